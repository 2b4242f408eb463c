//! The sequential specification of one channel: what each kind does when calls come one at a time.
//!
//! A channel is its values in order, and two lines of waiters. What is promised is counted: a slot to a
//! sender that has left its line (or to a permit), a value to such a receiver. From that follows when a
//! newcomer is refused, and these are the only reasons:
//!
//! | answer | is right if |
//! |---|---|
//! | `Full` | every slot is taken or promised; on a rendezvous: nobody waits to receive whom those who wait to send do not meet first, or the meeting point is taken |
//! | `Empty` | every value that is in is promised to somebody who waited for it; on a rendezvous also: nobody waits to send who could (the meeting point is taken, or they come with a permit) |
//! | `Closed` | it is closed; for a receiver: and no value is in, and no slot is promised |
//! | `Pending` | at the first poll: as for `Full` or `Empty`, or others wait; later: it has been promised nothing |
//!
//! With nobody waiting and no permit out that is the textbook's bounded queue.
//!
//! *Settling* is what happens between calls: a free value is promised to the first receiver that waits, a
//! free slot to the first sender, the two are introduced (on a rendezvous), or after closing they are sent
//! away. It happens one waiter at a time, and is over when the calls that gave rise to it have returned.

use super::history::{OperationId, Value};

/// The kind of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Rendezvous,
    Buffered(usize),
    DropNewest(usize),
    DropOldest(usize),
    Conflated,
    /// With memory enough.
    Unlimited,
}

impl Kind {
    /// Both sides meet.
    pub fn meets(self) -> bool {
        self == Kind::Rendezvous
    }

    /// Values leave in the order in which they came, each to a receiver.
    pub fn is_queue(self) -> bool {
        matches!(self, Kind::Rendezvous | Kind::Buffered(_) | Kind::Unlimited)
    }

    /// A send goes through although there is no room.
    pub fn loses(self) -> bool {
        matches!(self, Kind::DropNewest(_) | Kind::DropOldest(_))
    }
}

/// Somebody in line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Waiter {
    pub operation: OperationId,
    pub arm: u8,
    /// What it wants to send; `None` for a receiver, and for somebody who wants a permit.
    pub value: Option<Value>,
}

/// One channel.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Room {
    pub values: Vec<Value>,
    pub senders: Vec<Waiter>,
    pub receivers: Vec<Waiter>,
    pub closers: Vec<Waiter>,
    pub promised_slots: u8,
    pub promised_values: u8,
    pub closed: bool,
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
        let taken = self.values.len() + usize::from(self.promised_slots);
        match kind {
            Kind::Rendezvous => taken == 0,
            Kind::Buffered(capacity) | Kind::DropNewest(capacity) | Kind::DropOldest(capacity) => {
                taken < capacity
            }
            Kind::Conflated | Kind::Unlimited => true,
        }
    }

    /// Puts a value in and returns the one that had to go for it.
    pub fn put(&mut self, kind: Kind, value: Value) -> Option<Value> {
        let replaced = match kind {
            Kind::Conflated => self.values.pop(),
            Kind::DropNewest(_) if !self.has_room(kind) => return Some(value),
            Kind::DropOldest(_) if !self.has_room(kind) => {
                if self.values.is_empty() {
                    return Some(value);
                }
                Some(self.values.remove(0))
            }
            _ => None,
        };
        self.values.push(value);
        replaced
    }

    /// Takes out what is next.
    pub fn pop(&mut self) -> Value {
        self.values.remove(0)
    }

    fn has_free_value(&self) -> bool {
        self.values.len() > usize::from(self.promised_values)
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
        if kind.meets() {
            return self.chance_to_send(kind, None, for_permit) == Chance::Wait;
        }
        !self.has_room(kind) && (for_permit || !kind.loses())
    }

    /// What a newcomer who wants to receive finds.
    pub fn chance_to_receive(&self, kind: Kind, newcomer: Option<OperationId>) -> Chance {
        if self.has_free_value() && self.receivers.is_empty() {
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
    pub fn is_empty(&self, kind: Kind) -> bool {
        !self.has_free_value()
            && (!kind.meets() || self.chance_to_receive(kind, None) == Chance::Wait)
            && !self.is_over()
    }

    /// Nothing can come any more, but from those who have yet to be sent away.
    fn is_over(&self) -> bool {
        self.closed && self.promised_slots == 0 && self.values.is_empty()
    }

    /// Whether a receiver is to be told that it is closed.
    pub fn is_drained(&self, kind: Kind) -> bool {
        self.is_over() && (!kind.meets() || self.senders.is_empty())
    }

    /// What settling may do next.
    pub fn settling(&self, kind: Kind) -> impl Iterator<Item = Settling> {
        let promise_value = (self.has_free_value() && !self.receivers.is_empty())
            .then(|| Settling::PromiseValue(self.receivers[0]));
        let meet = if kind.meets() {
            self.has_room(kind).then(|| self.pair()).flatten().map(
                |(sender, receiver)| match sender.value {
                    Some(_) => Settling::Introduce(sender, receiver),
                    None => Settling::PromiseSlot(sender),
                },
            )
        } else {
            (!self.closed && self.has_room(kind))
                .then(|| self.senders.first().map(|&first| Settling::PromiseSlot(first)))
                .flatten()
        };
        // A match comes before closing.
        let dismiss = (self.closed && promise_value.is_none() && meet.is_none())
            .then(|| {
                let receivers = if self.is_drained(kind) { &self.receivers[..] } else { &[] };
                let next = [&self.senders, receivers, &self.closers];
                next.into_iter()
                    .find_map(<[Waiter]>::first)
                    .map(|&waiter| Settling::Dismiss(waiter))
            })
            .flatten();
        [promise_value, meet, dismiss].into_iter().flatten()
    }
}

/// The first in line that is no arm of `operation`: a select never matches itself.
fn first_but(line: &[Waiter], operation: Option<OperationId>) -> Option<Waiter> {
    line.iter().find(|waiter| Some(waiter.operation) != operation).copied()
}
