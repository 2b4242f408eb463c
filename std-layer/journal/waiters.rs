//! Futures that wait for the log: for a sync that somebody else makes, or for room.
//!
//! Each has a place in a table that grows to as many as ever wait at a time; nothing else is allocated for them.

use std::task::Waker;
use std::vec::Vec;

use crate::journal::{Kept, Position};

/// What one waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum For {
    /// Room for its record, which is not staged. It is told when somebody has looked for some, and whether there was none.
    Room { refused: bool },
    /// That another message, with the same key, is durable, or was given up: then it looks again.
    Decision(Position),
    /// That everything before is durable. If it is new, it is the message of that channel and number, and can be given up.
    Sync { upto: Position, kept: Kept, chan: u16, seq: u64 },
}

struct Waiter {
    awaits: For,
    /// Taken when it is woken.
    waker: Option<Waker>,
    /// Room was looked for.
    looked: bool,
}

/// The table.
#[derive(Default)]
pub(super) struct Waiters {
    places: Vec<Option<Waiter>>,
    /// How many have a place.
    taken: usize,
}

/// How many are woken at a time: they are woken without the lock.
pub(super) const BATCH: usize = 16;

impl Waiters {
    /// Waits, in the place that it has, or takes one. The waker that it had left there.
    #[must_use = "dropping a waker is foreign code: do it outside the lock"]
    pub(super) fn wait(
        &mut self,
        ticket: &mut Option<usize>,
        awaits: For,
        waker: Waker,
    ) -> Option<Waker> {
        let waiter = Waiter { awaits, waker: Some(waker), looked: false };
        let place = match *ticket {
            Some(place) => place,
            None => {
                self.taken += 1;
                let free = self.places.iter().position(Option::is_none);
                free.unwrap_or_else(|| {
                    self.places.push(None);
                    self.places.len() - 1
                })
            }
        };
        *ticket = Some(place);
        self.places[place].replace(waiter).and_then(|before| before.waker)
    }

    /// What the one of a place waits for.
    pub(super) fn of(&self, ticket: Option<usize>) -> Option<For> {
        let waiter = self.places.get(ticket?)?.as_ref()?;
        Some(waiter.awaits)
    }

    /// Gives its place up: what it has waited for, and the waker that it had left there.
    #[must_use = "dropping a waker is foreign code: do it outside the lock"]
    pub(super) fn leave(&mut self, ticket: &mut Option<usize>) -> Option<(For, Option<Waker>)> {
        let waiter = self.places.get_mut(ticket.take()?)?.take()?;
        self.taken -= 1;
        Some((waiter.awaits, waiter.waker))
    }

    /// Up to where the log has to be durable until it is certain that a message stays, which somebody may give up.
    pub(super) fn undecided(&self, chan: u16, seq: u64, durable: Position) -> Option<Position> {
        self.places.iter().flatten().find_map(|waiter| match waiter.awaits {
            For::Sync { upto, kept: Kept::New, chan: its, seq: own }
                if (its, own) == (chan, seq) && upto > durable =>
            {
                Some(upto)
            }
            _ => None,
        })
    }

    /// Somebody has looked for room.
    pub(super) fn looked_for_room(&mut self, found: bool) {
        for waiter in self.places.iter_mut().flatten() {
            if let For::Room { refused } = &mut waiter.awaits {
                (*refused, waiter.looked) = (!found, true);
            }
        }
    }

    /// A message was given up: who wait for that look again.
    pub(super) fn decided(&mut self) {
        for waiter in self.places.iter_mut().flatten() {
            waiter.looked |= matches!(waiter.awaits, For::Decision(_));
        }
    }

    /// Wakers of those who are to be woken: all of them, if the log has failed.
    pub(super) fn due(&mut self, durable: Position, failed: bool) -> [Option<Waker>; BATCH] {
        let mut batch = [const { None }; BATCH];
        if self.taken == 0 {
            return batch;
        }
        let due = self.places.iter_mut().flatten().filter(|waiter| {
            let reached = match waiter.awaits {
                For::Room { .. } => false,
                For::Decision(upto) | For::Sync { upto, .. } => upto <= durable,
            };
            waiter.waker.is_some() && (failed || reached || waiter.looked)
        });
        for (place, waiter) in batch.iter_mut().zip(due) {
            *place = waiter.waker.take();
        }
        batch
    }
}
