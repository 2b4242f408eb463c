//! Values that go into the store and out of it, counted and weighed: the part of the [state machine](super::state) that asks
//! nobody whose they are.

use super::snapshot::{Kind, count};
use super::state::State;
use super::store::{Store, Strategy};

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether each value that goes in adds one to those that are there, and replaces none.
    pub(super) const ADDS_ONE: bool =
        !S::LOSES && matches!(S::KIND, Kind::Buffered | Kind::Unlimited | Kind::Priority);

    #[inline]
    pub(super) fn put(&mut self, mut value: T, rank: S::Rank) -> Option<T> {
        count(&mut self.counters.sent);
        self.weigh_in(&mut value);
        self.put_counted(value, rank)
    }

    /// Puts a value in that has been counted and weighed.
    #[inline(always)]
    pub(super) fn put_counted(&mut self, value: T, rank: S::Rank) -> Option<T> {
        if Self::ADDS_ONE {
            // While the length is at hand: the compiler cannot know that the value leaves it alone.
            self.counters.note_depth(self.store.len() + 1);
        }
        // SAFETY: callers have made sure of room besides what is promised, or the strategy loses values; whoever
        // keeps a promise has taken it off first.
        let replaced = unsafe { self.store.push(value, rank, self.promised_slots()) };
        if replaced.is_some() {
            count(&mut self.counters.dropped);
        }
        if !Self::ADDS_ONE {
            self.counters.note_depth(self.store.len());
        }
        replaced
    }

    #[inline]
    pub(super) fn pop(&mut self, reader: S::Reader) -> Option<(S::Received, Option<S::Growth>)> {
        let mut popped = self.pop_weighed(reader);
        if let Some((received, _)) = &mut popped {
            self.weigh_out(received);
        }
        popped
    }

    /// Takes a value out that is weighed by the caller.
    #[inline]
    pub(super) fn pop_weighed(
        &mut self,
        reader: S::Reader,
    ) -> Option<(S::Received, Option<S::Growth>)> {
        let depth = self.store.len();
        let popped = self.store.pop(self.promised_slots(), reader);
        // Of a value that is shared, the last receiver's counts.
        if popped.is_some() && (!S::SHARES || self.store.len() < depth) {
            count(&mut self.counters.received);
        }
        popped
    }

    /// A value goes from a sender to a receiver, and is in the store at no time.
    #[inline]
    pub(super) fn pass_by(&mut self, mut value: T) -> S::Received {
        if !S::MEETS {
            self.counters.note_depth(1);
        }
        count(&mut self.counters.sent);
        count(&mut self.counters.received);
        self.weigh_in(&mut value);
        let mut received = S::Store::received(value);
        self.weigh_out(&mut received);
        received
    }

    /// Takes a value out that nobody is there to receive.
    pub(super) fn discard(&mut self) -> Option<(S::Received, Option<S::Growth>)>
    where
        S: Strategy<T, Reader = ()>,
    {
        if self.store.len() <= self.promised_values() {
            return None;
        }
        let popped = self.store.pop(self.promised_slots(), ());
        if popped.is_some() {
            count(&mut self.counters.dropped);
        }
        popped
    }
}
