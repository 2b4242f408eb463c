//! Operations that are done at once or not begun: for a select, before any of its arms waits.
//!
//! Nothing is counted, and nobody is helped: what is not one of the common cases is left to the long way, which a
//! select takes when none of its arms could be done.

use super::Channel;
use super::aside::{Aside, Missed};
use super::recv::received;
use super::settle::wake;
use super::store::{Store, Strategy};
use crate::select::Attempt;
use crate::sync::RawMutex;

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// A newcomer's receive, if it need not wait.
    #[inline]
    pub(super) fn attempt_take(&self, reader: S::Reader) -> Attempt<S::Received> {
        match self.aside().recv(false) {
            Ok(value) => Attempt::Done(S::Store::received(value)),
            Err(Missed::NotNow(())) => Attempt::NotNow,
            Err(_) => self.attempt_take_slowly(reader),
        }
    }

    /// As [`attempt_take`](Self::attempt_take), past the lanes.
    #[inline(never)]
    fn attempt_take_slowly(&self, reader: S::Reader) -> Attempt<S::Received> {
        let taken = self.locked(|state| {
            let at_once = state.receives_at_once(reader);
            match if at_once { state.collect(reader) } else { None } {
                Some(taken) => Attempt::Done(taken),
                None if S::MEETS || state.is_closed() || state.has_unpromised(reader) => {
                    Attempt::Unclear
                }
                None => Attempt::NotNow,
            }
        });
        taken.map(|(value, unused, waker)| {
            let value = received::<T, S>(value, unused);
            wake(waker);
            value
        })
    }

    /// A newcomer's send, if it need not wait. It takes the value only when it is done; without one it is not.
    #[inline]
    pub(super) fn attempt_send(&self, value: &mut Option<T>, rank: S::Rank) -> Attempt<S::Receipt> {
        let Some(taken) = value.take() else { return Attempt::NotNow };
        match self.send_aside(taken) {
            Ok(()) => Attempt::Done(self.strategy.receipt(None)),
            Err(missed) => {
                let waits = !S::LOSES && matches!(missed, Missed::NotNow(_));
                *value = Some(missed.into_inner());
                if waits { Attempt::NotNow } else { self.attempt_send_slowly(value, rank) }
            }
        }
    }

    /// As [`attempt_send`](Self::attempt_send), past the lanes, with a value.
    #[inline(never)]
    fn attempt_send_slowly(&self, value: &mut Option<T>, rank: S::Rank) -> Attempt<S::Receipt> {
        let sent = self.locked(|state| {
            if state.sends_at_once() {
                // SAFETY: there is one.
                let value = unsafe { value.take().unwrap_unchecked() };
                return Attempt::Done(state.deliver(value, rank));
            }
            // Without a limit it may still find memory.
            let waits = !S::MEETS && !S::GROWS && state.send_waits();
            if waits { Attempt::NotNow } else { Attempt::Unclear }
        });
        sent.map(|(replaced, waker)| {
            wake(waker);
            self.strategy.receipt(replaced)
        })
    }
}
