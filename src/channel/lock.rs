//! Entering a channel's lock. What was lent to the lanes is called back first; a thread that the lock is biased to takes nothing
//! for it.

use super::Channel;
use super::aside::{Aside, Lending};
use super::state::State;
use super::store::Strategy;
use crate::sync::RawMutex;
#[cfg(feature = "std")]
use crate::sync::atomic::AtomicU32;

/// The lanes of a channel.
type LanesOf<T, S> = <<S as Strategy<T>>::Aside as Aside<T>>::Lanes;

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Runs `f` with the state, under the lock; what was lent to the lanes is called back before. With threads it is part of whoever calls it:
    /// otherwise what `f` came to would be written to memory and read back, which is 20 instructions of a try to send that finds a receiver waiting.
    #[cfg_attr(feature = "std", inline(always))]
    #[cfg_attr(not(feature = "std"), inline)]
    pub(super) fn locked<R>(&self, f: impl FnOnce(&mut State<T, S>) -> R) -> R {
        if S::Aside::TELLS {
            return self.state.with(|state| {
                let result = f(state);
                self.aside()
                    .keep([state.waiting.receivers().is_empty(), state.waiting.senders.is_empty()]);
                result
            });
        }
        if !S::Aside::LENDS {
            return self.state.with(f);
        }
        let Some((lanes, _inside)) = self.enter() else { return self.locked_shared(f) };
        // SAFETY: the lock is biased to this thread, so whoever takes it waits in `settle_bias`, before it has touched the state, until
        // this thread has left. By the rules of `Locked`, `f` does not come back to this lock.
        let state = unsafe { self.state.reach() };
        Self::recall(lanes, state);
        let result = f(state);
        if !Self::lend(lanes, state) {
            lanes.keep_unsaid();
        }
        result
    }

    /// The same, if the lock is biased to this thread and nothing is to be done for the lanes: it calls nothing, so who needs no more has no registers to
    /// save, and tasks of one thread that wait for each other come here three times for each value.
    #[inline(always)]
    pub(super) fn locked_at_once<R>(&self, f: impl FnOnce(&mut State<T, S>) -> R) -> Option<R> {
        let (lanes, _inside) = self.enter()?;
        if !lanes.pass_quietly() {
            return None;
        }
        // SAFETY: as in `locked`.
        Some(f(unsafe { self.state.reach() }))
    }

    /// The same, for steps that are done [plainly](State::IS_PLAIN).
    #[inline(always)]
    pub(super) fn locked_plainly<R>(&self, f: impl FnOnce(&mut State<T, S>) -> R) -> Option<R> {
        if State::<T, S>::IS_PLAIN { self.locked_at_once(f) } else { None }
    }

    /// The same, if the lock is not biased to this thread. Apart, so that what is done where it is may be compiled into whoever
    /// does it: tasks of one thread that wait for each other at each value come several times for each.
    #[inline(never)]
    fn locked_shared<R>(&self, f: impl FnOnce(&mut State<T, S>) -> R) -> R {
        let mut wants_lanes = false;
        let result = self.state.with(|state| {
            let lanes = self.aside().lanes();
            if let Some(lanes) = lanes {
                lanes.settle_bias();
                Self::recall(lanes, state);
            }
            let result = f(state);
            match lanes {
                Some(lanes) if Self::lend(lanes, state) => {}
                Some(lanes) => lanes.keep(state.keeps_waiting()),
                None => wants_lanes = S::Aside::is_wanted(state.counters.sent),
            }
            result
        });
        if wants_lanes {
            self.make_lanes();
        }
        result
    }

    /// The lanes, if there are any, and the lock is biased to this thread, which is inside then, without taking it, until it drops what
    /// is beside them. See [`biased`](crate::sync::biased).
    #[inline(always)]
    fn enter(&self) -> Option<(&LanesOf<T, S>, impl Sized)> {
        let lanes = self.aside().lanes()?;
        Some((lanes, lanes.enter()?))
    }

    /// Calls back what was lent to the lanes. Under the lock.
    #[inline(always)]
    fn recall(lanes: &LanesOf<T, S>, state: &mut State<T, S>) {
        if let Some(returned) = lanes.recall() {
            state.take_back(returned);
        }
    }

    /// Lends to the lanes, if they are of use, and the state can do without. Under the lock, with nothing lent.
    #[inline(always)]
    fn lend(lanes: &LanesOf<T, S>, state: &mut State<T, S>) -> bool {
        lanes.is_worth_it() && Self::lend_if_it_can(lanes, state)
    }

    #[inline(never)]
    fn lend_if_it_can(lanes: &LanesOf<T, S>, state: &mut State<T, S>) -> bool {
        let Some(lent) = state.lend() else { return false };
        // SAFETY: the state is not used before it is called back, in `locked` or when the channel is dropped.
        unsafe { lanes.lend(lent) };
        true
    }

    /// Runs `f` under the lock, on the lanes, if there are any, and on the state, which what is lent has not come back to.
    pub(super) fn with_lanes<R>(
        &self,
        f: impl FnOnce(&LanesOf<T, S>, &mut State<T, S>) -> R,
    ) -> Option<R> {
        if let Some((lanes, _inside)) = self.enter() {
            // SAFETY: as in `locked`.
            return Some(f(lanes, unsafe { self.state.reach() }));
        }
        self.state.with(|state| {
            let lanes = self.aside().lanes()?;
            lanes.settle_bias();
            Some(f(lanes, state))
        })
    }

    /// Runs `f` under the lock, which has nothing to do with the state; so what is lent stays so.
    #[inline]
    pub(super) fn under_lock<R>(&self, f: impl FnOnce() -> R) -> R {
        // To a model checker what threads share begins with its first use. Endpoints are counted before there are threads.
        #[cfg(loom)]
        self.aside().batch();
        let Some(_inside) = self.enter() else {
            return self.state.with(|_| {
                if let Some(lanes) = self.aside().lanes() {
                    lanes.settle_bias();
                }
                f()
            });
        };
        f()
    }

    /// It is in use, so there should be lanes. Outside the lock: memory may have to be found.
    #[cold]
    #[inline(never)]
    fn make_lanes(&self) {
        if self.aside().make() {
            // For a loan. Somebody else may have come since, and lent already: then it is called back first.
            self.locked(|_| ());
        }
    }
}

#[cfg(feature = "std")]
impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// See [`Locked::owners`](crate::sync::Locked::owners).
    pub(crate) fn owners(&self) -> &AtomicU32 {
        self.state.owners()
    }
}
