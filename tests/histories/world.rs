//! One or two channels and the futures that wait on them: what a call does, step by step.
//!
//! Most calls take effect in one step. A poll of a select takes one a channel, as it asks one arm after
//! the other; but there is one moment at which one of its arms is matched, and from then on all others are
//! out of line, on both channels. That is the promise about selects.

use super::history::{Answer, Arm, Call, History, OperationId, Outcome, Value, lane_of};
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

/// What a newcomer wants.
#[derive(Clone, Copy)]
enum Wish {
    Send(Value, u8),
    /// For this reader, where that matters.
    Receive(u8),
    Reserve,
    Closed,
}

/// What a newcomer who asked was told.
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

    /// Waits that may end, although nothing says that they must.
    pub fn findings<'a>(&'a self, kinds: &'a [Kind]) -> impl Iterator<Item = (usize, Settling)> {
        self.rooms.iter().enumerate().filter_map(|(channel, room)| {
            room.finds_memory(kinds[channel]).map(|settling| (channel, settling))
        })
    }

    pub fn settle(&mut self, kind: Kind, channel: usize, settling: Settling) {
        match settling {
            Settling::PromiseValue(receiver) => {
                self.decide(receiver, Match::Promised);
                // Of a value that all receive there is one for everybody.
                self.rooms[channel].promised_values += u8::from(!kind.shares());
            }
            Settling::PromiseSlot(sender) => {
                self.decide(sender, Match::Promised);
                self.rooms[channel].promised_slots += 1;
            }
            Settling::Introduce(sender, receiver) => {
                self.decide(sender, Match::Taken);
                self.decide(receiver, Match::Promised);
                if let Some(value) = sender.value {
                    self.rooms[channel].put(kind, value, 0);
                }
                self.rooms[channel].promised_values += 1;
            }
            Settling::Dismiss(waiter) => self.decide(waiter, Match::Dismissed),
        }
    }

    /// Does step `step` of `call`, if it can be that `answer` will be the answer. A `reluctant` send waits
    /// although there may be room.
    pub fn step(
        &self,
        history: &History,
        kinds: &[Kind],
        (call, answer): (Call, Answer),
        step: u8,
        reluctant: bool,
    ) -> Option<(Self, Progress)> {
        let mut world = self.clone();
        let progress = match call {
            Call::Poll(operation) | Call::Limit(operation) => {
                let arms = &history.arms[&operation];
                let queued = reluctant.then(|| world.queue_all_the_same(kinds, operation, arms));
                match (queued, call) {
                    (Some(false), _) => None,
                    (Some(true), Call::Poll(_)) if answer == Answer::Pending => {
                        Some(Progress::Done)
                    }
                    (Some(true), _) => Some(Progress::Step(1)),
                    (None, Call::Poll(_)) => world.poll(kinds, operation, arms, answer, step),
                    (None, _) => world.limit(kinds, operation, arms, answer, step),
                }
            }
            Call::Drop(operation) => {
                world.withdraw(kinds, operation, &history.arms[&operation], answer, step)
            }
            Call::Rest => world.is_at_rest(kinds).then_some(Progress::Done),
            _ if reluctant => None,
            _ => world.call(kinds, call, answer),
        }?;
        Some((world, progress))
    }

    /// Whether all who wait may sleep: nobody has anything to do, and nobody could be helped.
    fn is_at_rest(&self, kinds: &[Kind]) -> bool {
        let helped = self.settlings(kinds).chain(self.findings(kinds)).next();
        let mut closed = self.rooms.iter().filter(|room| room.closed);
        helped.is_none() && self.matched.is_empty() && closed.all(|room| room.closers.is_empty())
    }

    /// Puts an operation that is polled for the first time in line because memory may be missing.
    fn queue_all_the_same(&mut self, kinds: &[Kind], operation: OperationId, arms: &[Arm]) -> bool {
        let &[arm @ (Arm::Send { .. } | Arm::Reserve { .. })] = arms else { return false };
        let (channel, is_new) = (arm.channel(), !self.waits(operation));
        let room = &mut self.rooms[channel];
        let lacks = is_new && !room.closed && room.may_lack_memory(kinds[channel]);
        if lacks && self.matched(operation).is_none() {
            self.rooms[channel].queue(kinds[channel], operation, 0, arm.wish(operation));
            return true;
        }
        false
    }

    /// A call that is no future's. Whether it can be answered so.
    fn call(&mut self, kinds: &[Kind], call: Call, answer: Answer) -> Option<Progress> {
        let channel = usize::from(match call {
            Call::TrySend { channel, .. }
            | Call::TryReceive { channel, .. }
            | Call::TryReserve { channel }
            | Call::Redeem { channel, .. }
            | Call::Return { channel }
            | Call::Close { channel }
            | Call::Subscribe { channel, .. }
            | Call::Unsubscribe { channel, .. } => channel,
            Call::Poll(_) | Call::Limit(_) | Call::Drop(_) | Call::Rest => return None,
        });
        let kind = kinds[channel];
        let room = &mut self.rooms[channel];
        let is_so = match (call, answer) {
            (Call::TrySend { .. }, Answer::Full) => room.is_full(kind, false),
            (Call::TryReserve { .. }, Answer::Full) => room.is_full(kind, true),
            (Call::TryReceive { reader, .. }, Answer::Empty) => room.is_empty(kind, reader),
            (Call::TrySend { value, rank, .. }, Answer::Ready(0, outcome)) => {
                self.asks(kind, Wish::Send(value, rank), channel, outcome)
            }
            (Call::TryReserve { .. }, Answer::Ready(0, outcome)) => {
                self.asks(kind, Wish::Reserve, channel, outcome)
            }
            (Call::TryReceive { reader, .. }, Answer::Ready(0, outcome)) => {
                self.asks(kind, Wish::Receive(reader), channel, outcome)
            }
            (Call::Redeem { value, rank, .. }, Answer::Ready(0, outcome)) => {
                room.promised_slots -= 1;
                outcome == Outcome::Sent(room.put(kind, value, rank))
            }
            (Call::Return { .. }, Answer::Done) => {
                room.promised_slots -= 1;
                true
            }
            (Call::Close { .. }, Answer::WasOpen(was_open)) => {
                was_open != std::mem::replace(&mut room.closed, true)
            }
            (Call::Subscribe { reader, .. }, Answer::Done) => {
                room.subscribe(reader);
                true
            }
            (Call::Unsubscribe { reader, .. }, Answer::Done) => {
                if !room.unsubscribe(reader) {
                    return Some(Progress::Step(1));
                }
                true
            }
            _ => false,
        };
        is_so.then_some(Progress::Done)
    }

    /// Whether somebody who does not wait is given what it asks for.
    fn asks(&mut self, kind: Kind, wish: Wish, channel: usize, outcome: Outcome) -> bool {
        matches!(self.ask(kind, wish, channel, None), Asked::Happened(happened) if happened == outcome)
    }

    /// Asks for something, for a newcomer: an arm of an operation, which waits if it must, or one that
    /// cannot wait.
    fn ask(
        &mut self,
        kind: Kind,
        wish: Wish,
        channel: usize,
        newcomer: Option<(OperationId, u8)>,
    ) -> Asked {
        let operation = newcomer.map(|(operation, _)| operation);
        let room = &mut self.rooms[channel];
        if room.closed && !matches!(wish, Wish::Receive(_)) {
            return Asked::Happened(Outcome::Closed);
        }
        let chance = match wish {
            Wish::Closed => Chance::Wait,
            Wish::Send(..) => room.chance_to_send(kind, operation, false),
            Wish::Reserve => room.chance_to_send(kind, operation, true),
            Wish::Receive(reader) => room.chance_to_receive(kind, operation, reader),
        };
        let partner = match chance {
            Chance::NotYet => return Asked::NotYet,
            Chance::Now(partner) => partner,
            Chance::Wait => {
                if matches!(wish, Wish::Receive(_)) && room.is_drained(kind) {
                    return Asked::Happened(Outcome::Closed);
                }
                if let Some((operation, arm)) = newcomer {
                    room.queue(kind, operation, arm, wish);
                }
                return Asked::Queued;
            }
        };
        Asked::Happened(match (wish, partner) {
            (Wish::Send(value, rank), partner) => {
                let dropped = room.put(kind, value, rank);
                if let Some(receiver) = partner {
                    room.promised_values += 1;
                    self.decide(receiver, Match::Promised);
                }
                Outcome::Sent(dropped)
            }
            // A permit matches nobody yet.
            (Wish::Reserve, _) => {
                room.promised_slots += 1;
                Outcome::Held
            }
            (Wish::Receive(_), Some(sender)) => {
                self.decide(sender, Match::Taken);
                Outcome::Received(sender.value.expect("it was looked for"))
            }
            (Wish::Receive(reader), None) => room.pop(kind, reader),
            (Wish::Closed, _) => Outcome::Closed,
        })
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
        let channel = arm.channel();
        let wish = arm.wish(operation);
        match self.ask(kinds[channel], wish, channel, Some((operation, step))) {
            Asked::NotYet => None,
            Asked::Happened(outcome) => {
                self.leave_lines(operation);
                (answer == Answer::Ready(step, outcome)).then_some(Progress::Done)
            }
            Asked::Queued if usize::from(step) + 1 < arms.len() => Some(Progress::Step(step + 1)),
            Asked::Queued if answer == Answer::Pending => Some(Progress::Done),
            // A select looks once more whether one of its arms has been matched by now, and so does whoever
            // waits for memory.
            Asked::Queued => {
                let looks = arms.len() > 1 || matches!(kinds[channel], Kind::Scarce(_));
                looks.then_some(Progress::Step(step + 1))
            }
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
        kinds: &[Kind],
        operation: OperationId,
        arms: &[Arm],
        answer: Answer,
        step: u8,
    ) -> Option<Progress> {
        let Answer::Dropped(gone) = answer else { return None };
        if let Some(Matched { arm, how, .. }) = self.matched(operation) {
            self.matched.retain(|matched| matched.operation != operation);
            let wanted = arms[usize::from(arm)];
            let channel = wanted.channel();
            let room = &mut self.rooms[channel];
            match (how, wanted) {
                (Match::Promised, Arm::Receive { .. }) => {
                    room.promised_values -= u8::from(!kinds[channel].shares());
                }
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
        let channel = wanted.channel();
        let room = &mut self.rooms[channel];
        let outcome = match (how, wanted) {
            (Match::Taken, _) => Outcome::Sent(None),
            (Match::Dismissed, _) => Outcome::Closed,
            (Match::Promised, Arm::Send { value, rank, .. }) => {
                room.promised_slots -= 1;
                Outcome::Sent(room.put(kinds[channel], value, rank))
            }
            (Match::Promised, Arm::Receive { .. }) => {
                room.promised_values -= u8::from(!kinds[channel].shares());
                room.pop(kinds[channel], lane_of(operation))
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
            matches!(arm, Arm::Closed { .. }) && self.rooms[arm.channel()].closed
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

impl Room {
    /// Puts an arm at the end of its line.
    fn queue(&mut self, kind: Kind, operation: OperationId, arm: u8, wish: Wish) {
        let mut waiter = Waiter { operation, arm, value: None, mark: 0 };
        let line = match wish {
            Wish::Send(value, _) => {
                waiter.value = Some(value);
                &mut self.senders
            }
            Wish::Reserve => &mut self.senders,
            Wish::Receive(_) => {
                waiter.mark = if kind.shares() { self.end() } else { 0 };
                &mut self.receivers
            }
            Wish::Closed => &mut self.closers,
        };
        line.push(waiter);
    }
}

impl Arm {
    fn channel(self) -> usize {
        usize::from(match self {
            Arm::Send { channel, .. }
            | Arm::Receive { channel }
            | Arm::Reserve { channel }
            | Arm::Closed { channel } => channel,
        })
    }

    fn wish(self, operation: OperationId) -> Wish {
        match self {
            Arm::Send { value, rank, .. } => Wish::Send(value, rank),
            Arm::Receive { .. } => Wish::Receive(lane_of(operation)),
            Arm::Reserve { .. } => Wish::Reserve,
            Arm::Closed { .. } => Wish::Closed,
        }
    }
}
