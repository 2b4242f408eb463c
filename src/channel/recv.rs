//! A pending receive.

use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::snapshot::count;
use super::state::{Take, Wakers};
use super::store::Strategy;
use super::{Channel, wake};
use crate::error::{RecvError, RecvTimeoutError};
use crate::limit::{Operation, Stopped};
use crate::select::Arm;
use crate::sync::RawMutex;
use crate::sync::claim::{Claim, claim_own};
use crate::sync::wait::{State as TokenState, Token};

/// A pending receive, made by [`Channel::recv`].
///
/// Cancel safety: dropping it at any moment loses nothing. A value that was handed to it goes to the
/// receiver that has waited longest, or stays in front in the channel. Wake-ups: one. Its size does not
/// depend on the values'. Polled again after its end it receives the next value.
#[must_use = "futures do nothing unless polled"]
pub struct RecvFuture<'a, M: RawMutex, T, S: Strategy> {
    channel: &'a Channel<M, T, S>,
    token: Token,
    _pinned: PhantomPinned,
}

/// What a step came to.
enum Step<T, G> {
    Received(T, Option<G>, Option<Waker>, Settled),
    Closed,
    /// Waiters were dealt with first.
    Again(Wakers),
    /// It must wait, and the waker it shall leave is missing.
    NeedWaker,
    /// It waits. The waker it replaced, to be dropped outside the lock.
    Parked(Option<Waker>, Settled),
    /// Its select has been decided otherwise.
    Idle,
}

/// Whether no other waiter needs help.
type Settled = bool;

impl<'a, M: RawMutex, T, S: Strategy> RecvFuture<'a, M, T, S> {
    pub(super) fn new(channel: &'a Channel<M, T, S>) -> Self {
        Self { channel, token: Token::new(), _pinned: PhantomPinned }
    }

    /// Stops waiting: out of the list, or the promised value to the next receiver.
    fn leave(&mut self) {
        let (waker, settled) = self.channel.state.with(|state| {
            match self.token.state() {
                TokenState::Idle => return (None, true),
                // SAFETY: in one of these states it stands in the list of receivers.
                TokenState::Queued | TokenState::First => unsafe {
                    state.receivers.remove(&raw const self.token);
                },
                TokenState::Granted => state.return_value(),
                TokenState::Taken | TokenState::Closed | TokenState::Lost => {}
            }
            self.token.set_state(TokenState::Idle);
            (self.token.take_waker(), state.is_settled())
        });
        drop(waker);
        if !settled {
            self.channel.settle();
        }
    }

    /// Leaves the list unless its wait has been decided, in one step: afterwards it cannot be.
    fn give_up(&mut self) -> bool {
        let token = &raw const self.token;
        self.channel.state.with(|state| match self.token.state() {
            TokenState::Granted | TokenState::Closed => false,
            TokenState::Queued | TokenState::First => {
                // SAFETY: in one of these states it stands in the list of receivers.
                unsafe { state.receivers.remove(token) };
                // Not idle yet: `leave` has the rest to do.
                self.token.set_state(TokenState::Lost);
                true
            }
            TokenState::Idle | TokenState::Taken | TokenState::Lost => true,
        })
    }

    /// One step under the lock: what the token's state allows, or else queueing with `waker`.
    fn step(&mut self, current: &Waker, waker: &mut Option<Waker>) -> Step<T, S::Growth> {
        let token = &self.token;
        self.channel.state.with(|state| {
            let take = match token.state() {
                TokenState::Idle => state.take(token.side()),
                TokenState::Granted => {
                    token.set_state(TokenState::Idle);
                    state.keep_value()
                }
                TokenState::Queued | TokenState::First if token.will_wake(current) => {
                    return Step::Parked(None, true);
                }
                TokenState::Queued | TokenState::First if waker.is_none() => {
                    return Step::NeedWaker;
                }
                TokenState::Queued | TokenState::First => {
                    return Step::Parked(token.set_waker(waker.take()), true);
                }
                TokenState::Closed => {
                    token.set_state(TokenState::Idle);
                    return Step::Closed;
                }
                TokenState::Lost | TokenState::Taken => return Step::Idle,
            };
            match take {
                Take::Value(value, unused, waker) => {
                    Step::Received(value, unused, waker, state.is_settled())
                }
                Take::Closed => Step::Closed,
                Take::Lost => Step::Idle,
                Take::Again(wakers) => Step::Again(wakers),
                Take::Empty if waker.is_none() => Step::NeedWaker,
                Take::Empty => {
                    count(&mut state.counters.recv_waits);
                    let old = token.set_waker(waker.take());
                    // SAFETY: pinned, in no list, and `leave` takes it out before it goes.
                    unsafe { state.receivers.push_back(token) };
                    Step::Parked(old, state.is_settled())
                }
            }
        })
    }

    fn received(
        &self,
        value: T,
        unused: Option<S::Growth>,
        waker: Option<Waker>,
        settled: Settled,
    ) -> T {
        if let Some(unused) = unused {
            S::shrink(unused);
        }
        wake(waker);
        if !settled {
            self.channel.settle();
        }
        value
    }
}

impl<M: RawMutex, T, S: Strategy> Future for RecvFuture<'_, M, T, S> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let mut waker = None;
        loop {
            match this.step(cx.waker(), &mut waker) {
                Step::Received(value, unused, waker, settled) => {
                    return Poll::Ready(Ok(this.received(value, unused, waker, settled)));
                }
                Step::Closed => return Poll::Ready(Err(RecvError)),
                Step::Again(wakers) => wakers.into_iter().for_each(wake),
                Step::NeedWaker => waker = Some(cx.waker().clone()),
                Step::Parked(old, settled) => {
                    drop(old);
                    if !settled {
                        this.channel.settle();
                    }
                    return Poll::Pending;
                }
                Step::Idle => return Poll::Pending,
            }
        }
    }
}

impl<M: RawMutex, T, S: Strategy> Operation for RecvFuture<'_, M, T, S> {
    type Limited = Result<T, RecvTimeoutError>;

    fn finish(output: Self::Output) -> Self::Limited {
        output.map_err(|RecvError| RecvTimeoutError::Closed)
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        // Match and close come before cancel and timeout: what has been decided stands.
        if !this.give_up() {
            match this.step(Waker::noop(), &mut None) {
                Step::Received(value, unused, waker, settled) => {
                    return Some(Ok(this.received(value, unused, waker, settled)));
                }
                Step::Closed => return Some(Err(RecvTimeoutError::Closed)),
                _ => {}
            }
        }
        this.leave();
        this.channel.state.with(|state| {
            count(match why {
                Stopped::Cancelled => &mut state.counters.cancelled,
                Stopped::Timeout => &mut state.counters.timeouts,
            });
        });
        Some(Err(match why {
            Stopped::Cancelled => RecvTimeoutError::Cancelled,
            Stopped::Timeout => RecvTimeoutError::Timeout,
        }))
    }
}

impl<M: RawMutex, T, S: Strategy> crate::select::sealed::Sealed for RecvFuture<'_, M, T, S> {}

impl<M: RawMutex, T, S: Strategy> Arm for RecvFuture<'_, M, T, S> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u8) {
        // SAFETY: nothing is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let token = &this.token;
        this.channel.state.with(|_| {
            // SAFETY: passed on; the lock is held, as it may stand in the list already.
            unsafe { token.join_select(claim, arm) };
            if matches!(token.state(), TokenState::Granted | TokenState::Closed) {
                // Matched before it became an arm: then it is the one that happens, or one of them.
                claim_own(token.side());
            }
        });
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        this.leave();
        // SAFETY: it is in no list now; null is "no select".
        unsafe { this.token.join_select(core::ptr::null(), 0) }
    }
}

impl<M: RawMutex, T, S: Strategy> Drop for RecvFuture<'_, M, T, S> {
    fn drop(&mut self) {
        self.leave();
    }
}
