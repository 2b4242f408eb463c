//! The common cases of operations that wait, or find others waiting: the part of the [state machine](super::state) that
//! leaves nobody to be helped, so that one critical section is all.
//!
//! Each of these does all of what it says, or nothing. Meetings, closed channels, broadcasts with waiters and arms of
//! selects, which must be claimed, are left to the long way. Nobody looks here whether somebody else was
//! interrupted halfway: that one goes on itself.

use core::task::Waker;

use super::aside::Aside;
use super::state::{RecvTokenOf, State};
use super::store::{Store, Strategy};
use crate::sync::wait::{State as TokenState, Token};

/// What was received, memory no longer needed, and a sender to be told.
pub(super) type Pulled<T, S> =
    (<S as Strategy<T>>::Received, Option<<S as Strategy<T>>::Growth>, Option<Waker>);

impl<T, S: Strategy<T>> State<T, S> {
    /// A newcomer's send to the receiver that has waited longest, when nobody waits to send and that one
    /// is no arm of a select; `None` in any other case, in which `value` is not called.
    #[inline]
    pub(super) fn hand_over(
        &mut self,
        value: impl FnOnce() -> T,
        rank: S::Rank,
    ) -> Option<(Option<T>, Option<Waker>)> {
        let first = self.receivers.front().filter(|first| !first.is_arm());
        if S::MEETS || S::SHARES || self.closed || !self.senders.is_empty() {
            return None;
        }
        if first.is_none() || !self.has_room() {
            return None;
        }
        if let Some(place) = self.first_landing() {
            *place = Some(self.pass_by(value()));
            return Some((None, self.receivers.settle_front(TokenState::Taken)));
        }
        let replaced = self.put(value(), rank);
        Some((replaced, self.pass_on()))
    }

    /// Where the receiver that has waited longest finds a value, if it stays for that; not past values that are promised to
    /// others.
    #[inline]
    fn first_landing<'r>(&self) -> Option<&'r mut Option<S::Received>> {
        let first = self.receivers.first()?;
        // SAFETY: in the list, hence alive while the lock is held. Every token of this list heads a `RecvToken`, whose place
        // is nobody else's while it is queued.
        let place = unsafe { (*first.cast::<RecvTokenOf<T, S>>()).landing.place().as_mut() }?;
        (self.store.len() == 0).then_some(place)
    }

    /// Promises the value that was just put in to the receiver that has waited longest.
    #[inline]
    fn pass_on(&mut self) -> Option<Waker> {
        // What was promised before, and has been replaced, is made up for by this one.
        if self.store.len() <= self.promised_values {
            return None;
        }
        self.promised_values += 1;
        self.receivers.settle_front(TokenState::Granted)
    }

    /// A sender's promise is kept, in the common case: nobody waits for memory, and nobody to receive, or one that is no
    /// arm of a select. `None` in any other, in which `value` is not called.
    #[inline]
    pub(super) fn fill_quickly(
        &mut self,
        value: impl FnOnce() -> T,
        rank: S::Rank,
    ) -> Option<(Option<T>, Option<Waker>)> {
        let first = self.receivers.front();
        let is_quick = first.is_none_or(|first| S::Aside::LENDS && !S::SHARES && !first.is_arm());
        if S::MEETS || self.closed || !is_quick || self.waits_for_memory() {
            return None;
        }
        self.promised_slots -= 1;
        let replaced = self.put(value(), rank);
        let waker = if self.receivers.is_empty() { None } else { self.pass_on() };
        Some((replaced, waker))
    }

    /// Whether a newcomer that wants to send must wait.
    #[inline]
    pub(super) fn send_waits(&self) -> bool {
        !(S::LOSES || self.closed || self.senders.is_empty() && self.has_room())
    }

    /// A receiver's promise is kept, in the common case: nobody waits to send, or one that is no arm of a select.
    /// `None` in any other.
    #[inline]
    pub(super) fn collect_quickly(&mut self, reader: S::Reader) -> Option<Pulled<T, S>> {
        // Once it is closed, the last value's receiver tells the others.
        if S::MEETS || S::SHARES || self.closed || !self.leaves_slot_quickly() {
            return None;
        }
        // There would be one more to be told.
        if !self.receivers.is_empty() && self.admits_first() {
            return None;
        }
        let (value, unused) = self.pop(reader)?;
        self.promised_values -= 1;
        Some((value, unused, self.leave_slot()))
    }

    /// A newcomer's receive, when nobody waits to receive, and nobody to send or one that is no arm of a
    /// select; `None` in any other case.
    #[inline]
    pub(super) fn take_over(&mut self, reader: S::Reader) -> Option<Pulled<T, S>> {
        if S::MEETS || self.closed || !self.receivers.is_empty() || !self.leaves_slot_quickly() {
            return None;
        }
        if !self.has_unpromised(reader) {
            return None;
        }
        let (value, unused) = self.pop(reader)?;
        Some((value, unused, self.leave_slot()))
    }

    /// Whether the slot that a value leaves can be promised in the same step.
    #[inline]
    fn leaves_slot_quickly(&self) -> bool {
        self.senders.front().is_none_or(|first| !S::GROWS && !S::SHARES && !first.is_arm())
    }

    /// Promises it to the sender that has waited longest, or puts its value there.
    #[inline]
    fn leave_slot(&mut self) -> Option<Waker> {
        if self.senders.is_empty() || !self.has_room() {
            return None;
        }
        if self.admits_first() {
            return self.admit_first();
        }
        self.promised_slots += 1;
        self.senders.settle_front(TokenState::Granted)
    }

    /// Whether the sender that has waited longest need not come and keep a promise: it stays, so its value may go in
    /// without it, and it is told when that has been done.
    #[inline]
    pub(super) fn admits_first(&self) -> bool {
        Self::ADMITS && self.senders.front().is_some_and(Token::stays)
    }

    /// That is done. There is room.
    #[inline]
    pub(super) fn admit_first(&mut self) -> Option<Waker> {
        let first = self.senders.first()?;
        // SAFETY: found in this list just now; it stays, so it is not bare, and heads a `SendToken`.
        let (value, waker) = unsafe { self.collect_from(first) };
        if let Some(value) = value {
            let _ = self.put(value, S::Rank::default());
        }
        waker
    }

    /// Whether values of those who wait may go in without them: where it can be told from the value alone where it goes,
    /// and whom it is for.
    const ADMITS: bool = !S::MEETS && !S::GROWS && !S::SHARES && size_of::<S::Rank>() == 0;

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
