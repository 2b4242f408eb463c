//! The model of what is done at once.

use super::model::{Kind, Model, Outcome, Phase, Side, claim};

impl Model {
    /// A newcomer's send. `None`: no room.
    pub fn offer(&mut self, side: &Side, value: usize, priority: u8) -> Option<Outcome> {
        self.forget_losers();
        if self.closed {
            claim(side);
            self.counters.refused += 1;
            return Some(Outcome::Closed(Some(value)));
        }
        if self.shape.meets {
            let receiver = self.other_receiver(side).filter(|_| self.has_room())?;
            self.promised_values += 1;
            self.decide(receiver, Phase::Granted);
        } else if !(self.loses() || (self.senders.is_empty() && self.has_room())) {
            return None;
        }
        claim(side);
        let replaced = self.put(value, priority);
        self.settle();
        Some(Outcome::Sent(replaced))
    }

    /// A newcomer's request for a permit. `None`: no room.
    pub fn hold(&mut self, side: &Side) -> Option<Outcome> {
        self.forget_losers();
        if self.closed {
            claim(side);
            self.counters.refused += 1;
            return Some(Outcome::Closed(None));
        }
        let possible = if self.shape.meets {
            self.other_receiver(side).is_some()
        } else {
            self.senders.is_empty()
        };
        (possible && self.has_room()).then(|| {
            claim(side);
            self.promised_slots += 1;
            Outcome::Held
        })
    }

    /// The first sender that one of another select can take a value from.
    pub(super) fn other_sender(&self, side: &Side) -> Option<usize> {
        let valued =
            |&sender: &usize| !self.operations[sender].bare && !self.is_arm_of(sender, side);
        self.senders.iter().copied().find(valued)
    }

    /// A newcomer's receive. `None`: nothing there.
    pub fn take(&mut self, side: &Side) -> Option<Outcome> {
        self.forget_losers();
        let outcome = match self.other_sender(side) {
            _ if self.queue.len() > self.promised_values => {
                claim(side);
                Outcome::Received(self.pull())
            }
            Some(sender) if self.shape.meets && self.has_room() => {
                claim(side);
                let Kind::Send(value, _) = self.operations[sender].kind else { unreachable!() };
                self.decide(sender, Phase::Taken);
                self.counters.sent += 1;
                self.counters.received += 1;
                self.counters.delivered += 1;
                Outcome::Received(value)
            }
            _ if self.is_drained() => {
                claim(side);
                self.counters.ended += 1;
                Outcome::Closed(None)
            }
            _ => return None,
        };
        self.settle();
        Some(outcome)
    }

    pub fn close(&mut self) -> bool {
        let was_open = !std::mem::replace(&mut self.closed, true);
        self.settle();
        was_open
    }

    /// As many receives as there are values, or until one fails.
    pub fn drain(&mut self) -> Vec<usize> {
        let mut values = Vec::new();
        for _ in 0..self.queue.len() {
            match self.take(&None) {
                Some(Outcome::Received(value)) => values.push(value),
                Some(_) => break,
                None => {
                    self.counters.empty += 1;
                    break;
                }
            }
        }
        values
    }
}
