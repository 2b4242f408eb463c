//! Sending at once or not at all.

use core::mem::ManuallyDrop;

use super::Channel;
use super::aside::{Aside, Missed};
use super::settle::wake;
use super::snapshot::count;
use super::state::Offer;
use super::store::Strategy;
use crate::error::TrySendError;
use crate::sync::RawMutex;

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Sends at once or not at all. Constant time, interrupt-safe.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* behind all values sent before; never before a sender that waits.
    /// * *Wake-ups:* the receiver that has waited longest, if one waits (a broadcast: all of them,
    ///   one in a critical section); outside the lock.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section of constant length in the common case; one more for each
    ///   waiter that somebody was in the middle of dealing with.
    ///
    /// # Errors
    /// The value comes back: [`Full`](TrySendError::Full) when there is no room (for a rendezvous: no
    /// receiver waits) or others wait for it, [`Closed`](TrySendError::Closed).
    #[inline]
    pub fn try_send(&self, value: T) -> Result<S::Receipt, TrySendError<T>> {
        self.try_send_with_priority(value, S::Rank::default())
    }

    /// As [`try_send`](Self::try_send), saying how urgent the value is on a [`Priority`](super::Priority) channel.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn try_send_with_priority(
        &self,
        value: T,
        priority: S::Rank,
    ) -> Result<S::Receipt, TrySendError<T>> {
        match self.aside().send(value, !S::LOSES) {
            Ok(()) => Ok(self.strategy.receipt(None)),
            Err(Missed::NotNow(value)) if !S::LOSES => Err(TrySendError::Full(value)),
            Err(missed) if S::Aside::LENDS => self.try_send_beside_lane(missed, priority),
            Err(missed) => self.try_send_locked(missed.into_inner(), priority),
        }
    }

    /// As [`try_send`](Self::try_send), under the lock. Apart from the lane, so that who sends there has no registers to save: a pair of
    /// tries takes 4.5 ns instead of 4.8.
    #[inline(never)]
    fn try_send_beside_lane(
        &self,
        missed: Missed<T>,
        priority: S::Rank,
    ) -> Result<S::Receipt, TrySendError<T>> {
        let mut value = match self.with_memory(Err(missed)) {
            Ok(()) => return Ok(self.strategy.receipt(None)),
            Err(missed) => Some(missed.into_inner()),
        };
        match self.locked_plainly(|state| state.deliver_plainly(&mut value, priority)).flatten() {
            Some(waker) => {
                wake(waker);
                Ok(self.strategy.receipt(None))
            }
            // SAFETY: `deliver_plainly` takes it only when it returns something.
            None => self.try_send_after_all(unsafe { value.unwrap_unchecked() }, priority),
        }
    }

    /// The same, however the lock is to be had.
    #[inline(never)]
    fn try_send_after_all(
        &self,
        value: T,
        priority: S::Rank,
    ) -> Result<S::Receipt, TrySendError<T>> {
        self.try_send_locked(value, priority)
    }

    #[inline(always)]
    fn try_send_locked(&self, value: T, priority: S::Rank) -> Result<S::Receipt, TrySendError<T>> {
        let mut value = ManuallyDrop::new(value);
        let mut refused = false;
        // With two words to bring along, as in futures.
        let (place, is_refused) = (&mut value, &mut refused);
        let sent = self.locked(move |state| {
            // SAFETY: called once at most, and used below only if it was not.
            let mut take = || unsafe { ManuallyDrop::take(place) };
            if !S::MEETS && !state.is_crowded() {
                if state.accepts() {
                    return Some((state.put(take(), priority), None));
                }
                // Nobody waits who might make room.
                if !(S::LOSES || S::GROWS || state.is_closed()) {
                    count(&mut state.counters.full);
                    *is_refused = true;
                    return None;
                }
            }
            // Firmware looks for a receiver that waits in a critical section of its own: that keeps this one short.
            let delivers = S::Aside::LENDS && state.sends_at_once();
            delivers.then(|| state.deliver(take(), priority))
        });
        let value = match sent {
            Some((replaced, waker)) => {
                wake(waker);
                return Ok(self.strategy.receipt(replaced));
            }
            None => ManuallyDrop::into_inner(value),
        };
        if refused {
            return Err(TrySendError::Full(value));
        }
        self.try_send_slowly(value, priority)
    }

    /// As [`try_send`](Self::try_send), with a receiver waiting, or in one of the rarer cases.
    #[inline(never)]
    pub(super) fn try_send_slowly(
        &self,
        value: T,
        priority: S::Rank,
    ) -> Result<S::Receipt, TrySendError<T>> {
        let mut value = ManuallyDrop::new(value);
        let sent = self.locked(|state| {
            if !state.sends_at_once() {
                return None;
            }
            // SAFETY: taken out once, and used below only if it was not.
            Some(state.deliver(unsafe { ManuallyDrop::take(&mut value) }, priority))
        });
        match sent {
            Some((replaced, waker)) => {
                wake(waker);
                Ok(self.strategy.receipt(replaced))
            }
            None => self.try_send_among_others(ManuallyDrop::into_inner(value), priority),
        }
    }

    /// As [`try_send`](Self::try_send), with others waiting, or without room.
    #[inline(never)]
    fn try_send_among_others(
        &self,
        value: T,
        priority: S::Rank,
    ) -> Result<S::Receipt, TrySendError<T>> {
        let mut value = Some(value);
        let mut helps = false;
        loop {
            let (offer, settled) = self.locked(|state| {
                if let Some(wakers) = state.help(helps) {
                    return (Offer::Again(wakers), false);
                }
                let offer = state.offer(None, &mut value, priority);
                // At a rendezvous the meeting point is taken then, so nobody else can be helped.
                let met = S::MEETS && matches!(offer, Offer::Sent(..));
                let settled = met || state.is_settled();
                if matches!(offer, Offer::Full) && (settled || helps) && !S::GROWS {
                    count(&mut state.counters.full);
                }
                (offer, settled)
            });
            let failed: fn(T) -> TrySendError<T> = match offer {
                Offer::Sent(replaced, waker) => {
                    wake(waker);
                    if !settled {
                        self.settle();
                    }
                    return Ok(self.strategy.receipt(replaced));
                }
                Offer::Again(wakers) => {
                    self.help_on(wakers);
                    continue;
                }
                Offer::Lost => continue,
                // Somebody who was interrupted halfway does not make it full.
                Offer::Full if !settled && !helps => {
                    helps = true;
                    self.help_on([None, None]);
                    continue;
                }
                Offer::Full if S::GROWS && self.grow_for_newcomer() => continue,
                Offer::Full => {
                    if S::GROWS {
                        self.locked(|state| count(&mut state.counters.full));
                    }
                    TrySendError::Full
                }
                Offer::Closed => {
                    if !settled {
                        self.settle();
                    }
                    TrySendError::Closed
                }
            };
            // SAFETY: `offer` takes the value out only when it returns `Sent`.
            return Err(failed(unsafe { value.unwrap_unchecked() }));
        }
    }
}
