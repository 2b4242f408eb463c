//! The model of what is done with a pending operation, and with a permit.

use super::model::{Kind, Model, Operation, Outcome, Phase, Side, claim};

impl Model {
    /// What polling an operation comes to.
    pub fn poll(&mut self, operation: usize) -> Option<Outcome> {
        let (kind, phase) = (self.operations[operation].kind, self.operations[operation].phase);
        let side = self.operations[operation].side.clone();
        let outcome = match (phase, kind) {
            (Phase::New, Kind::Send(value, priority)) => self.offer(&side, value, priority),
            (Phase::New, Kind::Recv) => self.take(&side),
            (Phase::New, Kind::Reserve) => self.hold(&side),
            (Phase::New, Kind::Closed) => self.look_whether_closed(&side),
            (Phase::Granted, Kind::Send(value, priority)) => {
                Some(Outcome::Sent(self.keep_slot(value, priority)))
            }
            (Phase::Granted, Kind::Recv) => {
                self.promised_values -= 1;
                let value = self.pull();
                self.settle();
                Some(Outcome::Received(value))
            }
            (Phase::Granted, _) => Some(Outcome::Held),
            (Phase::Taken, _) => Some(Outcome::Sent(None)),
            (Phase::Closed, Kind::Closed) => self.look_whether_closed(&side),
            (Phase::Closed, Kind::Recv) => {
                self.counters.ended += 1;
                Some(Outcome::Closed(None))
            }
            (Phase::Closed, Kind::Send(value, _)) => {
                self.counters.refused += 1;
                Some(Outcome::Closed(Some(value)))
            }
            (Phase::Closed, Kind::Reserve) => {
                self.counters.refused += 1;
                Some(Outcome::Closed(None))
            }
            (Phase::Queued | Phase::Lost | Phase::Ended, _) => return None,
        };
        match outcome {
            None => self.park(operation, kind == Kind::Reserve),
            // A receive may be used again.
            Some(_) if matches!(kind, Kind::Recv | Kind::Closed) => {
                self.operations[operation].phase = Phase::New;
            }
            Some(_) => self.operations[operation].phase = Phase::Ended,
        }
        outcome
    }

    fn look_whether_closed(&mut self, side: &Side) -> Option<Outcome> {
        self.closed.then(|| {
            claim(side);
            Outcome::Told
        })
    }

    fn park(&mut self, operation: usize, bare: bool) {
        let waiting = &mut self.operations[operation];
        waiting.phase = Phase::Queued;
        waiting.bare = bare;
        match waiting.kind {
            Kind::Send(..) | Kind::Reserve => {
                self.counters.send_waits += 1;
                self.senders.push_back(operation);
            }
            Kind::Recv => {
                self.counters.recv_waits += 1;
                self.receivers.push_back(operation);
            }
            Kind::Closed => self.closers.push_back(operation),
        }
        self.settle();
    }

    /// Whether an arm is ready. If it is not, it waits until it is, without offering anything.
    pub fn ready(&mut self, operation: usize) -> bool {
        let side = self.operations[operation].side.clone();
        match self.operations[operation].phase {
            Phase::Granted | Phase::Taken | Phase::Closed => return true,
            Phase::Queued | Phase::Lost | Phase::Ended => return false,
            Phase::New => {}
        }
        self.forget_losers();
        let kind = self.operations[operation].kind;
        let ready = match kind {
            Kind::Closed => self.look_whether_closed(&side).is_some(),
            Kind::Recv => {
                let meets = self.shape.meets && self.has_room();
                self.is_drained()
                    || self.queue.len() > self.promised_values
                    || (meets && self.other_sender(&side).is_some())
            }
            Kind::Send(..) | Kind::Reserve => {
                let may_hold = if self.shape.meets {
                    self.other_receiver(&side).is_some()
                } else {
                    self.senders.is_empty()
                };
                // A reservation drops nothing.
                let drops = self.loses() && kind != Kind::Reserve;
                self.closed || drops || (may_hold && self.has_room())
            }
        };
        if !ready {
            self.park(operation, true);
        }
        ready
    }

    /// Stops waiting. What it was promised goes to the next one; what was taken out of it stays taken, and it
    /// says so when it is polled again.
    pub fn withdraw(&mut self, operation: usize) {
        let waiting = &mut self.operations[operation];
        let is_receiver = waiting.kind == Kind::Recv;
        match waiting.phase {
            Phase::Taken | Phase::Ended => return,
            Phase::Granted if is_receiver => self.promised_values -= 1,
            Phase::Granted => self.promised_slots -= 1,
            _ => {}
        }
        waiting.phase = Phase::New;
        for list in 0..3 {
            self.list(list).retain(|&other| other != operation);
        }
        self.settle();
    }

    /// Is dropped, or gives its value back. Whether it had its value still.
    pub fn abandon(&mut self, operation: usize) -> bool {
        let Operation { kind, phase, .. } = self.operations[operation];
        let waits = matches!(phase, Phase::Queued | Phase::Granted) && kind != Kind::Closed;
        self.counters.abandoned += u32::from(waits);
        self.leave(operation)
    }

    /// Goes away. Whether it had its value still.
    pub fn leave(&mut self, operation: usize) -> bool {
        self.withdraw(operation);
        let phase = std::mem::replace(&mut self.operations[operation].phase, Phase::Ended);
        phase == Phase::New
    }

    /// A permit, or a sender that was promised a slot, sends.
    pub fn keep_slot(&mut self, value: usize, priority: u8) -> Option<usize> {
        self.promised_slots -= 1;
        let replaced = self.put(value, priority);
        self.settle();
        replaced
    }

    /// A permit is dropped.
    pub fn return_slot(&mut self) {
        self.promised_slots -= 1;
        self.settle();
    }
}
