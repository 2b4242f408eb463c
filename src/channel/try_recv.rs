//! Receiving at once or not at all.

use super::Channel;
use super::aside::{Aside, Missed};
use super::recv::received;
use super::settle::wake;
use super::snapshot::count;
use super::state::Take;
use super::store::{Compete, Store, Strategy};
use crate::error::TryRecvError;
use crate::sync::RawMutex;

impl<M: RawMutex, T, S: Compete<T>> Channel<M, T, S> {
    /// Receives at once or not at all. Constant time, interrupt-safe.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* the oldest value (a priority channel: the first that is due); never one that was
    ///   promised to a receiver that waits.
    /// * *Wake-ups:* the sender that has waited longest, if one waits for the slot.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section of constant length in the common case; one more for each
    ///   waiter that somebody was in the middle of dealing with.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) when there is nothing, or nothing that was not promised to
    /// receivers which waited longer; [`Closed`](TryRecvError::Closed).
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.try_take(())
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Receives at once or not at all, for whoever receives.
    #[inline]
    pub(super) fn try_take(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        match self.aside().recv(true) {
            Ok(value) => Ok(S::Store::received(value)),
            Err(Missed::NotNow(())) => Err(TryRecvError::Empty),
            Err(missed) if S::Aside::LENDS => self.try_take_beside_lane(missed, reader),
            Err(_) => self.try_take_locked(reader),
        }
    }

    /// As [`try_take`](Self::try_take), under the lock. Apart from the lane, so that who receives there, as a select tries to on
    /// one channel after the other, has fewer registers to save.
    #[inline(never)]
    fn try_take_beside_lane(
        &self,
        missed: Missed<()>,
        reader: S::Reader,
    ) -> Result<S::Received, TryRecvError> {
        if let Ok(value) = self.with_next(Err(missed)) {
            return Ok(S::Store::received(value));
        }
        match self.locked_plainly(|state| state.take_plainly(reader)).flatten() {
            Some((value, waker)) => {
                wake(waker);
                Ok(value)
            }
            None => self.try_take_after_all(reader),
        }
    }

    /// The same, however the lock is to be had.
    #[inline(never)]
    fn try_take_after_all(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        self.try_take_locked(reader)
    }

    #[inline(always)]
    fn try_take_locked(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        let taken = self.locked(|state| {
            if let Some(taken) = state.take_quickly(!state.is_crowded(), reader) {
                return Tried::Done(taken);
            }
            // Nobody waits who might bring a value. A broadcast's readers, who find values far more often than they take
            // them, look further for that.
            let is_empty =
                !S::MEETS && !S::SHARES && !state.is_crowded() && !state.has_unpromised(reader);
            if !is_empty || state.is_closed() {
                return Tried::Unclear;
            }
            count(&mut state.counters.empty);
            Tried::Refused
        });
        match taken {
            Tried::Done((value, unused)) => Ok(received::<T, S>(value, unused)),
            Tried::Refused => Err(TryRecvError::Empty),
            Tried::Unclear => self.try_take_slowly(reader),
        }
    }

    /// As [`try_take`](Self::try_take), with a sender waiting, or in one of the rarer cases.
    #[inline(never)]
    pub(super) fn try_take_slowly(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        match self.locked(|state| state.collect_at_once(reader)) {
            Some((value, unused, waker)) => {
                let value = received::<T, S>(value, unused);
                wake(waker);
                Ok(value)
            }
            None => self.try_take_among_others(reader),
        }
    }

    /// As [`try_take`](Self::try_take), with others waiting, or without a value.
    #[inline(never)]
    fn try_take_among_others(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        let mut helps = false;
        loop {
            let (take, settled) = self.locked(|state| {
                if let Some(wakers) = state.help(helps) {
                    return (Take::Again(wakers), false);
                }
                let take = state.take(None, reader);
                let settled = state.is_settled();
                if matches!(take, Take::Empty) && (settled || helps) {
                    count(&mut state.counters.empty);
                }
                (take, settled)
            });
            let result = match take {
                Take::Value(value, unused, waker) => {
                    let value = received::<T, S>(value, unused);
                    wake(waker);
                    Ok(value)
                }
                Take::Again(wakers) => {
                    self.help_on(wakers);
                    continue;
                }
                Take::Lost => continue,
                // Somebody who was interrupted halfway does not make it empty.
                Take::Empty if !settled && !helps => {
                    helps = true;
                    self.help_on([None, None]);
                    continue;
                }
                Take::Empty => return Err(TryRecvError::Empty),
                Take::Closed => Err(TryRecvError::Closed),
            };
            if !settled {
                self.settle();
            }
            return result;
        }
    }
}

/// What came of the common case of an operation that is tried.
enum Tried<R> {
    Done(R),
    /// For certain, and counted.
    Refused,
    /// It is not the common case, and nothing has been changed.
    Unclear,
}
