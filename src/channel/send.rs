//! A pending send: the future, and what it does in the common cases.

mod arm;
mod by_lane;
mod parked;

use core::cell::UnsafeCell;
use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::Channel;
use super::aside::{Aside, Missed};
use super::growth::Growth;
use super::parking::SendToken;
use super::settle::wake;
use super::snapshot::Leaves;
use super::state::State;
use super::store::Strategy;
use crate::error::SendError;
use crate::sync::RawMutex;
use crate::sync::wait::{State as TokenState, Token};
use crate::sync::waker::Waits;

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Sends, waiting for room or for a receiver, first come, first served.
    ///
    /// The future fails with [`SendError`] when the channel is closed. See [`SendFuture`]
    /// for cancel safety, deadlines and cancellation.
    ///
    /// * *Cancel safety:* dropping the future drops the value, which was not sent, or gives a slot
    ///   back that was handed to it; [`take_value`](SendFuture::take_value) recovers the value.
    /// * *Order:* senders that wait are served in the order of their first polls.
    /// * *Wake-ups:* the future is woken once, when it can complete; completing wakes one receiver.
    /// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
    ///   lock is.
    /// * *Cost:* the value and about ten words; a poll is a critical section or two of constant
    ///   length. Nothing is allocated, except a segment of an [`Unlimited`](super::Unlimited) channel.
    pub fn send(&self, value: T) -> SendFuture<'_, M, T, S> {
        SendFuture::new(self, value)
    }
}

/// A pending send, made by [`Channel::send`].
///
/// Cancel safety: dropping it before it has returned drops the value with it, and the value is not
/// sent (a rendezvous receiver that has already taken it keeps it). [`take_value`](Self::take_value)
/// recovers the value instead. A slot that was handed to it goes to the next sender. Wake-ups: one.
/// Polled again after its end it stays pending.
#[must_use = "futures do nothing unless polled"]
pub struct SendFuture<'a, M: RawMutex, T, S: Strategy<T>> {
    channel: &'a Channel<M, T, S>,
    node: SendToken<T>,
    rank: S::Rank,
    growth: Growth<T, S>,
    _pinned: PhantomPinned,
}

// SAFETY: the token is guarded by the channel's lock, the value is `Send`, and so is every (sealed)
// strategy's request for memory: it is none, or an `Alloc` under a `Sync` lock.
unsafe impl<M: RawMutex + Sync, T: Send, S: Strategy<T> + Sync> Send for SendFuture<'_, M, T, S> {}

/// What came of a poll that tries the common cases only.
enum Quick<T> {
    /// It is in. The value it replaced, and the receiver that it was promised to.
    Sent(Option<T>, Option<Waker>),
    Parked,
    /// It is none of them, and nothing has been changed. Whether it must wait, under a waker that is not cloned under
    /// the lock.
    No {
        waits: bool,
    },
}

impl<'a, M: RawMutex, T, S: Strategy<T>> SendFuture<'a, M, T, S> {
    pub(super) fn new(channel: &'a Channel<M, T, S>, value: T) -> Self {
        Self {
            channel,
            node: SendToken { token: Token::new(), value: UnsafeCell::new(Some(value)) },
            rank: S::Rank::default(),
            growth: Growth::new(),
            _pinned: PhantomPinned,
        }
    }

    /// Leaves the channel, if it is still waiting, and gives the value back, if it has not been sent:
    /// for a send that lost a select, or that shall not be awaited any longer.
    ///
    /// ```
    /// # use cloakroom::{channel::{Buffered, Channel}, sync::CriticalSectionRawMutex};
    /// # use std::pin::pin;
    /// let channel: Channel<CriticalSectionRawMutex, u8, Buffered<1>> = Channel::new();
    /// let mut send = pin!(channel.send(5));
    /// assert_eq!(send.as_mut().take_value(), Some(5));
    /// ```
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        // SAFETY: nothing pinned is moved; the value is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        this.leave(Leaves::Abandoned);
        this.node.value.get_mut().take()
    }

    /// Says how urgent the value is, on a [`Priority`](super::Priority) channel; before the first poll.
    /// See there for an example.
    pub fn priority(mut self, priority: S::Rank) -> Self {
        self.rank = priority;
        self
    }

    /// The same, by a call that stays until it is told what has come of it.
    #[cfg(feature = "std")]
    pub(crate) fn staying(self) -> Self {
        self.node.token.make_stay();
        self
    }

    /// One step in the common cases: a slot was promised to it, or there is room and nobody waits to send; or it
    /// must wait, and a waker can be left at once. One critical section, and nobody else to help.
    #[inline]
    fn step_quickly(&mut self, waits: &mut Waits<'_>) -> Quick<T> {
        let this = &*self;
        // As for a receive.
        #[cfg(not(feature = "std"))]
        let rank = this.rank;
        this.channel.locked(move |state| {
            #[cfg(feature = "std")]
            let rank = this.rank;
            let node = &this.node;
            let token = &node.token;
            if S::MEETS && cfg!(feature = "std") {
                return this.step_to_meet(state, waits);
            }
            // SAFETY: as in `step_locked`, in `parked.rs`.
            let value = unsafe { &mut *node.value.get() };
            if S::MEETS || value.is_none() {
                if token.stays() && token.is_known() && token.state() == TokenState::Taken {
                    token.end_wait();
                    return Quick::Sent(None, None);
                }
                return Quick::No { waits: false };
            }
            // SAFETY: it is there, see above, and taken out once.
            let mut take = || unsafe { value.take().unwrap_unchecked() };
            if token.is_known() {
                if token.state() != TokenState::Granted || !state.fills_at_once() {
                    return Quick::No { waits: false };
                }
                token.end_wait();
                let (replaced, waker) = state.fill(take(), rank);
                return Quick::Sent(replaced, waker);
            }
            // An arm must be claimed first.
            if !token.is_arm() && state.sends_at_once() {
                let (replaced, waker) = state.deliver(take(), rank);
                return Quick::Sent(replaced, waker);
            }
            if S::GROWS || !state.send_waits() {
                return Quick::No { waits: false };
            }
            let Some(waker) = waits.waker() else { return Quick::No { waits: true } };
            token.leave_waker(waker);
            this.queue(false, state);
            Quick::Parked
        })
    }

    /// The same at a rendezvous, where there are threads. Under the lock.
    #[inline]
    fn step_to_meet(&self, state: &mut State<T, S>, waits: &mut Waits<'_>) -> Quick<T> {
        let token = &self.node.token;
        if token.is_known() {
            return match token.state() {
                TokenState::Taken => {
                    token.end_wait();
                    Quick::Sent(None, None)
                }
                TokenState::Queued if token.will_wake(waits.current) => Quick::Parked,
                _ => Quick::No { waits: false },
            };
        }
        // SAFETY: as in `step_locked`, in `parked.rs`.
        let value = unsafe { &mut *self.node.value.get() };
        if value.is_none() || token.is_arm() || !state.meets_plainly() {
            return Quick::No { waits: false };
        }
        if state.waiting.receivers().is_empty() {
            let Some(waker) = waits.waker() else { return Quick::No { waits: true } };
            token.leave_waker(waker);
            self.queue(false, state);
            return Quick::Parked;
        }
        if !state.meets_receiver() {
            return Quick::No { waits: false };
        }
        Quick::Sent(None, state.meet_receiver(value))
    }

    /// As [`poll`](Future::poll), under the lock; with a waker to leave there, if it has been cloned.
    #[inline(always)]
    fn poll_locked(
        &mut self,
        cx: &mut Context<'_>,
        cloned: Option<Waker>,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        let mut waits = Waits { current: cx.waker(), cloned };
        loop {
            match self.step_quickly(&mut waits) {
                Quick::Sent(replaced, waker) => {
                    self.growth.stop();
                    wake(waker);
                    // SAFETY: it was unknown, or its wait has been ended.
                    unsafe { self.node.token.assume_unknown() };
                    return Poll::Ready(Ok(self.channel.strategy.receipt(replaced)));
                }
                Quick::Parked => return Poll::Pending,
                Quick::No { waits: true } if S::Aside::TELLS => {
                    waits.cloned = Some(cx.waker().clone());
                }
                Quick::No { waits } => {
                    let polled = self.poll_slowly(cx, waits);
                    if polled.is_ready() {
                        // As for a receive.
                        self.node.token.forget();
                    }
                    return polled;
                }
            }
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Future for SendFuture<'_, M, T, S> {
    type Output = Result<S::Receipt, SendError<T>>;

    // As for a receive.
    #[cfg_attr(feature = "std", inline)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        if S::Aside::LENDS {
            return this.poll_by_lane(cx);
        }
        // As for a receive.
        let is_new = !this.node.token.is_known() && !this.node.token.is_arm();
        let waits = S::Aside::TELLS
            && is_new
            && matches!(this.channel.aside().may_send(), Err(Missed::NotNow(())));
        this.poll_locked(cx, waits.then(|| cx.waker().clone()))
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Drop for SendFuture<'_, M, T, S> {
    #[inline]
    fn drop(&mut self) {
        if self.node.token.is_known() {
            self.leave_slowly(Leaves::Abandoned);
        }
    }
}
