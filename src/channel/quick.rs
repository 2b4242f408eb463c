//! The common cases of operations that wait, or find others waiting: the part of the [state machine](super::state) that
//! leaves nobody to be helped, so that one critical section is all.
//!
//! Each of these does all of what it says, or nothing. Meetings, closed channels, broadcasts with waiters and arms of
//! selects, which must be claimed, are left to the long way. Nobody looks here whether somebody else was
//! interrupted halfway: that one goes on itself.

use core::task::Waker;

use super::state::State;
use super::store::{Store, Strategy};
use crate::sync::wait::{State as TokenState, Token};

/// What was received, memory no longer needed, and a sender to be told.
pub(super) type Pulled<T, S> =
    (<S as Strategy<T>>::Received, Option<<S as Strategy<T>>::Growth>, Option<Waker>);

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether a newcomer's send leaves nobody to be helped: nobody waits to send, and if somebody waits to receive, it
    /// is no arm of a select. Then it is to be [delivered](Self::deliver).
    #[inline]
    pub(super) fn sends_at_once(&self) -> bool {
        let room = self.has_room() || S::LOSES && self.receivers.is_empty();
        let delivers = |first: &Token| !S::SHARES && !first.is_arm();
        !S::MEETS
            && room
            && self.senders.is_empty()
            && !self.closed
            && self.receivers.front().is_none_or(delivers)
    }

    /// Whether a sender that keeps its promise leaves nobody to be helped: nobody waits to receive, or for memory. Then
    /// its value is to be [put](Self::put) in.
    #[inline]
    pub(super) fn fills_at_once(&self) -> bool {
        !(S::MEETS || self.closed || !self.receivers.is_empty() || self.waits_for_memory())
    }

    /// Puts a value in, and promises it to the receiver that has waited longest, if one waits. There is room.
    #[inline]
    pub(super) fn deliver(&mut self, value: T, rank: S::Rank) -> (Option<T>, Option<Waker>) {
        // Before the value is stored, as the compiler has just seen it, and cannot know that it is the same afterwards.
        let waits = !self.receivers.is_empty();
        let replaced = self.put(value, rank);
        // What was promised before, and has been replaced, is made up for by this one.
        let waker = if waits && self.store.len() > self.promised_values {
            self.promised_values += 1;
            self.receivers.settle_front(TokenState::Granted)
        } else {
            None
        };
        (replaced, waker)
    }

    /// Whether a newcomer's send is refused for certain: there is no room, and nobody waits who might make some.
    #[inline]
    pub(super) fn is_full_for_certain(&self) -> bool {
        let may_refuse = !(S::MEETS || S::LOSES || S::GROWS);
        may_refuse && self.is_quiet() && !self.closed && !self.has_room()
    }

    /// Whether a newcomer's receive is refused for certain: there is no value for `reader`, and nobody waits who might
    /// bring one. A broadcast's readers, who find values far more often than they take them, look further for that.
    #[inline]
    pub(super) fn is_empty_for_certain(&self, reader: S::Reader) -> bool {
        !S::MEETS && !S::SHARES && self.is_quiet() && !self.closed && !self.has_unpromised(reader)
    }

    /// Whether a newcomer that wants to send must wait.
    #[inline]
    pub(super) fn send_waits(&self) -> bool {
        !(S::LOSES || self.closed || self.senders.is_empty() && self.has_room())
    }

    /// Whether a newcomer's receive leaves nobody to be helped: there is a value, nobody waits to receive, and if
    /// somebody waits to send, it is no arm of a select. Then it is to be [collected](Self::collect).
    #[inline]
    pub(super) fn receives_at_once(&self, reader: S::Reader) -> bool {
        !S::MEETS
            && self.receivers.is_empty()
            && self.has_unpromised(reader)
            && self.collects_at_once()
    }

    /// Whether what a value leaves can be promised in the same step. Once the channel is closed, the last value's
    /// receiver tells the others.
    #[inline]
    pub(super) fn collects_at_once(&self) -> bool {
        !self.closed && self.leaves_slot_quickly()
    }

    /// Takes a value out, and promises its slot to the sender that has waited longest, if one waits.
    #[inline]
    pub(super) fn collect(&mut self, reader: S::Reader) -> Option<Pulled<T, S>> {
        let (value, unused) = self.pop(reader)?;
        Some((value, unused, self.leave_slot()))
    }

    /// Whether the slot that a value leaves can be promised in the same step.
    #[inline]
    fn leaves_slot_quickly(&self) -> bool {
        self.senders.front().is_none_or(|first| !S::GROWS && !S::SHARES && !first.is_arm())
    }

    /// Promises it to the sender that has waited longest.
    #[inline]
    fn leave_slot(&mut self) -> Option<Waker> {
        // No more slots are promised than there were free ones, and now there is one more.
        debug_assert!(S::GROWS || S::SHARES || self.has_room());
        if !self.senders.is_empty() {
            self.promised_slots += 1;
            self.senders.settle_front(TokenState::Granted)
        } else {
            None
        }
    }

    /// Whether senders wait for memory: the first of them may have to be told that it is.
    #[inline]
    pub(super) fn waits_for_memory(&self) -> bool {
        S::GROWS && !self.senders.is_empty()
    }

    /// Whether there is a value for `reader` that was promised to nobody.
    #[inline]
    pub(super) fn has_unpromised(&self, reader: S::Reader) -> bool {
        self.store.available(reader) > self.promised_values
    }
}
