//! One or two channels and the futures that wait on them: what a call does, step by step.
//!
//! Most calls take effect in one step. A poll of a select takes one a channel, as it asks one arm after
//! the other; but there is one moment at which one of its arms is matched, and from then on all others are
//! out of line, on both channels. That is the promise about selects.

use super::history::{Answer, Arm, Call, History, OperationId, Outcome};
use super::models::{Chance, Kind, Room, Settling, Waiter};

/// How the wait of a future was decided, before its next poll.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Match {
    /// A slot, or a value, is promised to it.
    Promised,
    /// Its value has been taken.
    Taken,
    /// It is closed.
    Dismissed,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Matched {
    operation: OperationId,
    arm: u8,
    how: Match,
}

/// The state of everything that calls act on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub rooms: Vec<Room>,
    /// In order of the operations, so that equal states are equal.
    matched: Vec<Matched>,
}

/// Where a call stands after a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is more to do: the number of the next step.
    Step(u8),
    Done,
}

/// What an arm that was asked did.
enum Asked {
    Happened(Outcome),
    Queued,
    NotYet,
}

impl World {
    pub fn new(channels: usize) -> Self {
        Self { rooms: vec![Room::default(); channels], matched: Vec::new() }
    }

    /// All that settling may do next.
    pub fn settlings<'a>(&'a self, kinds: &'a [Kind]) -> impl Iterator<Item = (usize, Settling)> {
        self.rooms.iter().enumerate().flat_map(|(channel, room)| {
            room.settling(kinds[channel]).map(move |settling| (channel, settling))
        })
    }

    pub fn settle(&mut self, channel: usize, settling: Settling) {
        match settling {
            Settling::PromiseValue(receiver) => {
                self.decide(receiver, Match::Promised);
                self.rooms[channel].promised_values += 1;
            }
            Settling::PromiseSlot(sender) => {
                self.decide(sender, Match::Promised);
                self.rooms[channel].promised_slots += 1;
            }
            Settling::Introduce(sender, receiver) => {
                self.decide(sender, Match::Taken);
                self.decide(receiver, Match::Promised);
                self.rooms[channel].values.extend(sender.value);
                self.rooms[channel].promised_values += 1;
            }
            Settling::Dismiss(waiter) => self.decide(waiter, Match::Dismissed),
        }
    }

    /// Does step `step` of `call`, if it can be that `answer` will be the answer.
    pub fn step(
        &self,
        history: &History,
        kinds: &[Kind],
        call: Call,
        answer: Answer,
        step: u8,
    ) -> Option<(Self, Progress)> {
        let mut world = self.clone();
        let progress = match call {
            Call::Poll(operation) => {
                world.poll(kinds, operation, &history.arms[&operation], answer, step)
            }
            Call::Limit(operation) => {
                world.limit(kinds, operation, &history.arms[&operation], answer, step)
            }
            Call::Drop(operation) => {
                world.withdraw(operation, &history.arms[&operation], answer, step)
            }
            _ => world.call(kinds, call, answer).then_some(Progress::Done),
        }?;
        Some((world, progress))
    }

    /// A call that is no future's. Whether it can be answered so.
    fn call(&mut self, kinds: &[Kind], call: Call, answer: Answer) -> bool {
        let channel = match call {
            Call::TrySend { channel, .. }
            | Call::TryReceive { channel }
            | Call::TryReserve { channel }
            | Call::Redeem { channel, .. }
            | Call::Return { channel }
            | Call::Close { channel } => usize::from(channel),
            Call::Poll(_) | Call::Limit(_) | Call::Drop(_) => return false,
        };
        let kind = kinds[channel];
        let arm = match (call, answer) {
            (Call::TrySend { .. }, Answer::Full) => {
                return !self.rooms[channel].closed && self.rooms[channel].is_full(kind, false);
            }
            (Call::TryReserve { .. }, Answer::Full) => {
                return !self.rooms[channel].closed && self.rooms[channel].is_full(kind, true);
            }
            (Call::TryReceive { .. }, Answer::Empty) => {
                return self.rooms[channel].is_empty(kind);
            }
            (Call::TrySend { channel, value }, _) => Arm::Send { channel, value },
            (Call::TryReserve { channel }, _) => Arm::Reserve { channel },
            (Call::TryReceive { channel }, _) => Arm::Receive { channel },
            (Call::Redeem { value, .. }, _) => {
                self.rooms[channel].promised_slots -= 1;
                let dropped = self.rooms[channel].put(kind, value);
                return answer == Answer::Ready(0, Outcome::Sent(dropped));
            }
            (Call::Return { .. }, _) => {
                self.rooms[channel].promised_slots -= 1;
                return answer == Answer::Returned;
            }
            (Call::Close { .. }, _) => {
                let was_open = !std::mem::replace(&mut self.rooms[channel].closed, true);
                return answer == Answer::WasOpen(was_open);
            }
            _ => return false,
        };
        match self.ask(kind, arm, None) {
            Asked::Happened(outcome) => answer == Answer::Ready(0, outcome),
            Asked::Queued | Asked::NotYet => false,
        }
    }

    /// Asks for what `arm` wants, for a newcomer: one that can wait, and then does, or one that cannot.
    fn ask(&mut self, kind: Kind, arm: Arm, newcomer: Option<(OperationId, u8)>) -> Asked {
        let operation = newcomer.map(|(operation, _)| operation);
        let (channel, value) = match arm {
            Arm::Send { channel, value } => (channel, Some(value)),
            Arm::Receive { channel } | Arm::Reserve { channel } | Arm::Closed { channel } => {
                (channel, None)
            }
        };
        let room = &mut self.rooms[usize::from(channel)];
        let chance = match arm {
            Arm::Closed { .. } | Arm::Send { .. } | Arm::Reserve { .. } if room.closed => {
                return Asked::Happened(Outcome::Closed);
            }
            Arm::Closed { .. } => Chance::Wait,
            Arm::Send { .. } => room.chance_to_send(kind, operation, false),
            Arm::Reserve { .. } => room.chance_to_send(kind, operation, true),
            Arm::Receive { .. } => room.chance_to_receive(kind, operation),
        };
        let partner = match chance {
            Chance::NotYet => return Asked::NotYet,
            Chance::Wait => {
                let line = match arm {
                    Arm::Receive { .. } if room.is_drained(kind) => {
                        return Asked::Happened(Outcome::Closed);
                    }
                    Arm::Receive { .. } => &mut room.receivers,
                    Arm::Send { .. } | Arm::Reserve { .. } => &mut room.senders,
                    Arm::Closed { .. } => &mut room.closers,
                };
                if let Some((operation, arm)) = newcomer {
                    line.push(Waiter { operation, arm, value });
                }
                return Asked::Queued;
            }
            Chance::Now(partner) => partner,
        };
        let outcome = match (arm, partner) {
            (Arm::Send { value, .. }, partner) => {
                let dropped = room.put(kind, value);
                if let Some(receiver) = partner {
                    room.promised_values += 1;
                    self.decide(receiver, Match::Promised);
                }
                Outcome::Sent(dropped)
            }
            // A permit matches nobody yet.
            (Arm::Reserve { .. }, _) => {
                room.promised_slots += 1;
                Outcome::Held
            }
            (Arm::Receive { .. }, None) => Outcome::Received(room.pop()),
            (Arm::Receive { .. }, Some(sender)) => {
                self.decide(sender, Match::Taken);
                let Some(value) = sender.value else { return Asked::NotYet };
                Outcome::Received(value)
            }
            (Arm::Closed { .. }, _) => return Asked::NotYet,
        };
        if let Some((operation, _)) = newcomer {
            self.leave_lines(operation);
        }
        Asked::Happened(outcome)
    }

    /// A poll: each step asks one arm, unless one has happened by then.
    fn poll(
        &mut self,
        kinds: &[Kind],
        operation: OperationId,
        arms: &[Arm],
        answer: Answer,
        step: u8,
    ) -> Option<Progress> {
        if self.matched(operation).is_some() {
            let (arm, outcome) = self.finish(kinds, operation, arms)?;
            return (answer == Answer::Ready(arm, outcome)).then_some(Progress::Done);
        }
        if step == 0 && self.waits(operation) {
            // Not its first poll: all arms are in line.
            return match self.has_closed(arms) {
                Some(arm) => {
                    self.leave_lines(operation);
                    answer == Answer::Ready(arm, Outcome::Closed)
                }
                None => answer == Answer::Pending,
            }
            .then_some(Progress::Done);
        }
        let arm = *arms.get(usize::from(step))?;
        let kind = kinds[usize::from(arm.channel())];
        match self.ask(kind, arm, Some((operation, step))) {
            Asked::NotYet => None,
            Asked::Happened(outcome) => {
                self.leave_lines(operation);
                (answer == Answer::Ready(step, outcome)).then_some(Progress::Done)
            }
            Asked::Queued if usize::from(step) + 1 < arms.len() => Some(Progress::Step(step + 1)),
            Asked::Queued if answer == Answer::Pending => Some(Progress::Done),
            // A select looks once more whether one of its arms has been matched by now.
            Asked::Queued => (arms.len() > 1).then_some(Progress::Step(step + 1)),
        }
    }

    /// A poll, and if the operation is still pending then, giving it up.
    fn limit(
        &mut self,
        kinds: &[Kind],
        operation: OperationId,
        arms: &[Arm],
        answer: Answer,
        step: u8,
    ) -> Option<Progress> {
        let given_up = u8::try_from(arms.len()).expect("few");
        if step < given_up {
            if let Some(progress) = self.clone().poll(kinds, operation, arms, answer, step) {
                self.poll(kinds, operation, arms, answer, step);
                return Some(progress);
            }
            self.poll(kinds, operation, arms, Answer::Pending, step)?;
            return Some(Progress::Step(given_up));
        }
        if self.matched(operation).is_some() {
            let (arm, outcome) = self.finish(kinds, operation, arms)?;
            return (answer == Answer::Ready(arm, outcome)).then_some(Progress::Done);
        }
        self.leave_lines(operation);
        (answer == Answer::Stopped).then_some(Progress::Done)
    }

    /// Dropping: each step takes one arm out of line, or undoes what it was promised.
    fn withdraw(
        &mut self,
        operation: OperationId,
        arms: &[Arm],
        answer: Answer,
        step: u8,
    ) -> Option<Progress> {
        let Answer::Dropped(gone) = answer else { return None };
        if let Some(Matched { arm, how, .. }) = self.matched(operation) {
            self.matched.retain(|matched| matched.operation != operation);
            let room = &mut self.rooms[usize::from(arms[usize::from(arm)].channel())];
            match (how, arms[usize::from(arm)]) {
                (Match::Promised, Arm::Receive { .. }) => room.promised_values -= 1,
                (Match::Promised, _) => room.promised_slots -= 1,
                _ => {}
            }
            return (gone == (how == Match::Taken).then_some(arm)).then_some(Progress::Done);
        }
        for room in &mut self.rooms {
            let mine = |waiter: &Waiter| (waiter.operation, waiter.arm) == (operation, step);
            room.senders.retain(|waiter| !mine(waiter));
            room.receivers.retain(|waiter| !mine(waiter));
            room.closers.retain(|waiter| !mine(waiter));
        }
        if usize::from(step) + 1 < arms.len() {
            return Some(Progress::Step(step + 1));
        }
        gone.is_none().then_some(Progress::Done)
    }

    /// Keeps the promise to an operation that has been matched.
    fn finish(
        &mut self,
        kinds: &[Kind],
        operation: OperationId,
        arms: &[Arm],
    ) -> Option<(u8, Outcome)> {
        let Matched { arm, how, .. } = self.matched(operation)?;
        self.matched.retain(|matched| matched.operation != operation);
        let wanted = arms[usize::from(arm)];
        let channel = usize::from(wanted.channel());
        let room = &mut self.rooms[channel];
        let outcome = match (how, wanted) {
            (Match::Taken, _) => Outcome::Sent(None),
            (Match::Dismissed, _) => Outcome::Closed,
            (Match::Promised, Arm::Send { value, .. }) => {
                room.promised_slots -= 1;
                Outcome::Sent(room.put(kinds[channel], value))
            }
            (Match::Promised, Arm::Receive { .. }) => {
                room.promised_values -= 1;
                Outcome::Received(room.pop())
            }
            (Match::Promised, Arm::Reserve { .. } | Arm::Closed { .. }) => Outcome::Held,
        };
        Some((arm, outcome))
    }

    fn matched(&self, operation: OperationId) -> Option<Matched> {
        self.matched.iter().find(|matched| matched.operation == operation).copied()
    }

    /// An arm that waits for closing, of a channel that is closed.
    fn has_closed(&self, arms: &[Arm]) -> Option<u8> {
        let closed = arms.iter().position(|arm| {
            matches!(arm, Arm::Closed { .. }) && self.rooms[usize::from(arm.channel())].closed
        })?;
        u8::try_from(closed).ok()
    }

    fn waits(&self, operation: OperationId) -> bool {
        self.rooms.iter().any(|room| {
            let mut lines = room.senders.iter().chain(&room.receivers).chain(&room.closers);
            lines.any(|waiter| waiter.operation == operation)
        })
    }

    /// Decides a wait: all arms leave their lines.
    fn decide(&mut self, waiter: Waiter, how: Match) {
        let Waiter { operation, arm, .. } = waiter;
        self.leave_lines(operation);
        let at = self.matched.partition_point(|matched| matched.operation < operation);
        self.matched.insert(at, Matched { operation, arm, how });
    }

    fn leave_lines(&mut self, operation: OperationId) {
        for room in &mut self.rooms {
            for line in [&mut room.senders, &mut room.receivers, &mut room.closers] {
                line.retain(|waiter| waiter.operation != operation);
            }
        }
    }
}

impl Arm {
    fn channel(self) -> u8 {
        match self {
            Arm::Send { channel, .. }
            | Arm::Receive { channel }
            | Arm::Reserve { channel }
            | Arm::Closed { channel } => channel,
        }
    }
}
