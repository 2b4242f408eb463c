//! The sequential specification of one channel: what each kind does when calls come one at a time.
//!
//! A channel is its values in the order in which they leave, and two lines of waiters. What is promised is
//! counted: a slot to a sender that has left its line (or to a permit), a value to such a receiver. From
//! that follows when a newcomer is refused, and these are the only reasons:
//!
//! | answer | is right if |
//! |---|---|
//! | `Full` | every slot is taken or promised; on a rendezvous: the meeting point is, or nobody waits to receive |
//! | `Empty` | every value that is in is promised to somebody who waited for it; on a rendezvous also: the meeting point is taken, or nobody waits with a value; for a subscriber: it has read everything |
//! | `Closed` | it is closed; for a receiver: and no value is in, and no slot is promised |
//! | `Pending` | at the first poll: as for `Full` or `Empty`, or others wait; later: nothing has been promised to it |
//!
//! With nobody waiting and no permit out that is the textbook's bounded queue.
//!
//! *Settling* is what happens between calls: a free value is promised to the first receiver that waits, a
//! free slot to the first sender, the two are introduced (on a rendezvous), or after closing they are sent
//! away. It happens one waiter at a time, and is over when the calls that gave rise to it have returned.

use super::history::{OperationId, Outcome, Value};

/// What a send does when there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    Wait,
    DropNewest,
    DropOldest,
}

/// The kind of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Rendezvous,
    Buffered(usize, Policy),
    Conflated,
    /// With memory enough.
    Unlimited,
    /// The same with memory for so many values. Memory is on its way while a call that takes it, or gives it
    /// back, is under way: then it may seem to be missing.
    Scarce(usize),
    /// Its capacity, and how many values a step of priority is ahead of.
    Priority(usize, u32),
    Broadcast(usize, Policy),
}

impl Kind {
    /// Both sides meet.
    pub fn meets(self) -> bool {
        self == Kind::Rendezvous
    }

    /// Every receiver receives every value.
    pub fn shares(self) -> bool {
        matches!(self, Kind::Broadcast(..))
    }

    /// Values leave in the order in which they came, each to a receiver.
    pub fn is_queue(self) -> bool {
        matches!(
            self,
            Kind::Rendezvous | Kind::Buffered(_, Policy::Wait) | Kind::Unlimited | Kind::Scarce(_)
        )
    }

    fn policy(self) -> Policy {
        match self {
            Kind::Buffered(_, policy) | Kind::Broadcast(_, policy) => policy,
            _ => Policy::Wait,
        }
    }

    /// A send goes through although there is no room.
    fn loses(self) -> bool {
        self.policy() != Policy::Wait
    }
}

/// Somebody in line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Waiter {
    pub operation: OperationId,
    pub arm: u8,
    /// What it wants to send; `None` for a receiver, and for somebody who wants a permit.
    pub value: Option<Value>,
    /// The number of the value that a subscriber waits for.
    pub mark: u32,
}

/// A value in a channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Item {
    pub value: Value,
    /// When a value of a priority channel is due, in values sent.
    due: u32,
}

/// A subscriber that is no longer one: values that are sent do not wait for it, but it has yet to pass those that did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Leaver {
    reader: u8,
    /// The number of the value that it passes next, and of the first that is none of its business.
    next: u32,
    end: u32,
}

/// One channel.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Room {
    pub items: Vec<Item>,
    pub senders: Vec<Waiter>,
    pub receivers: Vec<Waiter>,
    pub closers: Vec<Waiter>,
    pub promised_slots: u8,
    pub promised_values: u8,
    pub closed: bool,
    /// The number of the first value of a broadcast channel.
    first: u32,
    /// Its subscribers, and the number of the value that each reads next.
    cursors: Vec<(u8, u32)>,
    /// Subscribers that are going away.
    leavers: Vec<Leaver>,
    /// Values sent into a priority channel.
    clock: u32,
}

/// What there is for a newcomer now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chance {
    /// It need not wait. On a rendezvous it meets this one.
    Now(Option<Waiter>),
    /// It must wait.
    Wait,
    /// Two who wait must be introduced first.
    NotYet,
}

/// A step of settling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settling {
    PromiseValue(Waiter),
    PromiseSlot(Waiter),
    /// A sender with a value, and the receiver that it meets.
    Introduce(Waiter, Waiter),
    Dismiss(Waiter),
}

impl Room {
    pub fn has_room(&self, kind: Kind) -> bool {
        let taken = self.items.len() + usize::from(self.promised_slots);
        match kind {
            Kind::Rendezvous => taken == 0,
            Kind::Scarce(capacity)
            | Kind::Buffered(capacity, _)
            | Kind::Priority(capacity, _)
            | Kind::Broadcast(capacity, _) => taken < capacity,
            Kind::Conflated | Kind::Unlimited => true,
        }
    }

    /// Whether room that there is may be refused, as other threads may have its memory in hand. For those who
    /// are first in line only.
    pub fn may_lack_memory(&self, kind: Kind) -> bool {
        const OTHERS: usize = 3;
        let taken = self.items.len() + usize::from(self.promised_slots);
        matches!(kind, Kind::Scarce(capacity) if taken + OTHERS >= capacity)
    }

    /// Puts a value in and returns the one that had to go for it.
    pub fn put(&mut self, kind: Kind, value: Value, rank: u8) -> Option<Value> {
        if kind.shares() && self.cursors.is_empty() {
            // Dropped, whatever the policy; `Wait` has no hook that would be told.
            return Some(value).filter(|_| kind.loses());
        }
        let replaced = match kind.policy() {
            _ if kind == Kind::Conflated => self.items.pop(),
            Policy::DropNewest if !self.has_room(kind) => return Some(value),
            Policy::DropOldest if kind.shares() && !self.has_room(kind) && self.pass_hole() => None,
            Policy::DropOldest if !self.has_room(kind) => {
                if self.items.is_empty() {
                    return Some(value);
                }
                self.first += u32::from(kind.shares());
                Some(self.items.remove(0))
            }
            _ => None,
        };
        match kind {
            Kind::Priority(_, ageing) => {
                self.clock += 1;
                let due = self.clock + u32::from(u8::MAX - rank) * ageing;
                // Due at the same time: the later one, which is then the more urgent.
                let at = self.items.partition_point(|item| item.due < due);
                self.items.insert(at, Item { value, due });
            }
            _ => self.items.push(Item { value, due: 0 }),
        }
        replaced.map(|item| item.value)
    }

    /// Takes out what is next for `reader`, for whom there is something.
    pub fn pop(&mut self, kind: Kind, reader: u8) -> Outcome {
        if !kind.shares() {
            return Outcome::Received(self.items.remove(0).value);
        }
        match self.skip_lost(reader) {
            0 => Outcome::Received(self.pass(reader).expect("something is there")),
            missed => Outcome::Lagged(missed.into()),
        }
    }

    pub fn subscribe(&mut self, reader: u8) {
        let at = self.cursors.partition_point(|&(other, _)| other < reader);
        self.cursors.insert(at, (reader, self.end()));
    }

    /// A step of a subscriber that goes away: it is none any more, passes a place or a value, or is gone.
    pub fn unsubscribe(&mut self, reader: u8) -> bool {
        let end = self.end();
        if let Some(at) = self.cursors.iter().position(|&(other, _)| other == reader) {
            let (_, next) = self.cursors.remove(at);
            let at = self.leavers.partition_point(|other| other.reader < reader);
            self.leavers.insert(at, Leaver { reader, next, end });
            return false;
        }
        if self.pass_hole() {
            return false;
        }
        let at = self.leavers.iter().position(|other| other.reader == reader).expect("it leaves");
        let leaver = &mut self.leavers[at];
        let value = leaver.next.max(self.first);
        if value >= leaver.end {
            self.leavers.remove(at);
            return true;
        }
        leaver.next = value + 1;
        self.end_if_first(value);
        false
    }

    /// Passes over the oldest place, if all have passed the value that was there.
    fn pass_hole(&mut self) -> bool {
        let is_hole = !self.items.is_empty() && self.has_been_passed(self.first);
        if is_hole {
            self.items.remove(0);
            self.first += 1;
        }
        is_hole
    }

    /// A value has been passed. If it was the oldest, and nobody has yet to pass it, its place is free; of any other, when
    /// those before it are.
    fn end_if_first(&mut self, value: u32) {
        if value == self.first {
            self.pass_hole();
        }
    }

    fn has_been_passed(&self, value: u32) -> bool {
        let leaves_it = |leaver: &Leaver| leaver.next > value || leaver.end <= value;
        self.cursors.iter().all(|&(_, next)| next > value) && self.leavers.iter().all(leaves_it)
    }

    /// The number of the value that is sent next into a broadcast channel.
    pub fn end(&self) -> u32 {
        self.first + u32::try_from(self.items.len()).expect("few")
    }

    fn cursor(&mut self, reader: u8) -> &mut u32 {
        let mut cursors = self.cursors.iter_mut();
        cursors.find_map(|(other, next)| (*other == reader).then_some(next)).expect("subscribed")
    }

    fn skip_lost(&mut self, reader: u8) -> u32 {
        let first = self.first;
        let next = self.cursor(reader);
        let missed = first.saturating_sub(*next);
        *next += missed;
        missed
    }

    /// The value at a subscriber's cursor, which is done with when all have passed it.
    fn pass(&mut self, reader: u8) -> Option<Value> {
        let number = *self.cursor(reader);
        let at = usize::try_from(number - self.first).expect("not lost");
        let item = self.items.get(at).copied()?;
        *self.cursor(reader) += 1;
        self.end_if_first(number);
        Some(item.value)
    }

    /// Whether there is a value that is promised to nobody; for a subscriber: that it has not read.
    fn has_value(&self, kind: Kind, reader: u8) -> bool {
        if !kind.shares() {
            return self.items.len() > usize::from(self.promised_values);
        }
        self.cursors.iter().any(|&(other, next)| other == reader && next < self.end())
    }

    /// Whether there is a value for the first receiver that waits.
    fn has_value_for_first(&self, kind: Kind) -> bool {
        self.receivers.first().is_some_and(|first| {
            if kind.shares() { first.mark != self.end() } else { self.has_value(kind, 0) }
        })
    }

    /// The pair that meets next on a rendezvous: one that wants a permit needs a receiver, and leaves it
    /// in line.
    fn pair(&self) -> Option<(Waiter, Waiter)> {
        self.senders.iter().find_map(|&sender| {
            let partner = first_but(&self.receivers, Some(sender.operation))?;
            Some((sender, partner))
        })
    }

    /// What a newcomer who wants to send, or a permit, finds in an open channel.
    pub fn chance_to_send(
        &self,
        kind: Kind,
        newcomer: Option<OperationId>,
        for_permit: bool,
    ) -> Chance {
        if kind.meets() {
            if !self.has_room(kind) {
                return Chance::Wait;
            }
            if self.pair().is_some() {
                return Chance::NotYet;
            }
            return match first_but(&self.receivers, newcomer) {
                Some(partner) => Chance::Now(Some(partner)),
                None => Chance::Wait,
            };
        }
        if kind.loses() && !for_permit || self.senders.is_empty() && self.has_room(kind) {
            Chance::Now(None)
        } else {
            Chance::Wait
        }
    }

    /// Whether a newcomer may be told that there is no room.
    pub fn is_full(&self, kind: Kind, for_permit: bool) -> bool {
        if self.closed {
            return false;
        }
        if kind.meets() {
            return self.chance_to_send(kind, None, for_permit) == Chance::Wait;
        }
        let has_room = self.has_room(kind) && !self.may_lack_memory(kind);
        // Memory is waited for in line.
        let waits = matches!(kind, Kind::Scarce(_)) && !self.senders.is_empty();
        (!has_room || waits) && (for_permit || !kind.loses())
    }

    /// What a newcomer who wants to receive finds.
    pub fn chance_to_receive(
        &self,
        kind: Kind,
        newcomer: Option<OperationId>,
        reader: u8,
    ) -> Chance {
        if self.has_value(kind, reader) && (kind.shares() || self.receivers.is_empty()) {
            return Chance::Now(None);
        }
        if kind.meets() && self.has_room(kind) {
            if self.pair().is_some() {
                return Chance::NotYet;
            }
            let partner = self
                .senders
                .iter()
                .find(|sender| sender.value.is_some() && Some(sender.operation) != newcomer);
            if let Some(&partner) = partner {
                return Chance::Now(Some(partner));
            }
        }
        Chance::Wait
    }

    /// Whether a newcomer may be told that there is nothing.
    pub fn is_empty(&self, kind: Kind, reader: u8) -> bool {
        !self.has_value(kind, reader)
            && (!kind.meets() || self.chance_to_receive(kind, None, reader) == Chance::Wait)
            && !self.is_over(kind)
    }

    /// Nothing can come any more, but from those who have yet to be sent away.
    fn is_over(&self, kind: Kind) -> bool {
        self.closed && self.promised_slots == 0 && (kind.shares() || self.items.is_empty())
    }

    /// Whether a receiver who finds nothing is to be told that it is closed.
    pub fn is_drained(&self, kind: Kind) -> bool {
        self.is_over(kind) && (!kind.meets() || self.senders.is_empty())
    }

    /// A sender that waits for memory and may have found some. Nobody owes it that.
    pub fn finds_memory(&self, kind: Kind) -> Option<Settling> {
        let first = self.senders.first().filter(|_| !self.closed && self.has_room(kind));
        first.filter(|_| matches!(kind, Kind::Scarce(_))).map(|&first| Settling::PromiseSlot(first))
    }

    /// What settling has to do next.
    pub fn settling(&self, kind: Kind) -> impl Iterator<Item = Settling> {
        let promise_value =
            self.has_value_for_first(kind).then(|| Settling::PromiseValue(self.receivers[0]));
        let meet = if kind.meets() {
            let pair = self.has_room(kind).then(|| self.pair()).flatten();
            pair.map(|(sender, receiver)| match sender.value {
                Some(_) => Settling::Introduce(sender, receiver),
                None => Settling::PromiseSlot(sender),
            })
        } else {
            let owed = !self.closed && self.has_room(kind) && !matches!(kind, Kind::Scarce(_));
            let first = self.senders.first().filter(|_| owed);
            first.map(|&first| Settling::PromiseSlot(first))
        };
        // A match comes before closing.
        let dismiss = if !self.closed || promise_value.is_some() || meet.is_some() {
            None
        } else if self.is_drained(kind) {
            self.senders.first().or(self.receivers.first())
        } else {
            self.senders.first()
        };
        let dismiss = dismiss.map(|&waiter| Settling::Dismiss(waiter));
        [promise_value, meet, dismiss].into_iter().flatten()
    }
}

/// The first in line that is no arm of `operation`: a select never matches itself.
fn first_but(line: &[Waiter], operation: Option<OperationId>) -> Option<Waiter> {
    line.iter().find(|waiter| Some(waiter.operation) != operation).copied()
}
