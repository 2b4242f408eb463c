//! A pending receive: the future, and what it does in the common cases.

mod arm;
mod by_lane;
mod parked;

use core::cell::Cell;
use core::future::Future;
use core::marker::{PhantomData, PhantomPinned};
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::Channel;
use super::aside::{Aside, Missed};
use super::landing::Landing;
use super::meeting::Look;
use super::parking::{RecvToken, RecvTokenOf};
use super::settle::wake;
use super::snapshot::Leaves;
use super::state::State;
use super::store::{Compete, Strategy};
use crate::error::RecvError;
use crate::sync::RawMutex;
use crate::sync::claim::claim_own;
use crate::sync::wait::{State as TokenState, Token};
use crate::sync::waker::Waits;

impl<M: RawMutex, T, S: Compete<T>> Channel<M, T, S> {
    /// Receives, waiting for a value, first come, first served.
    ///
    /// The future fails with [`RecvError`] when the channel is closed and empty. See
    /// [`RecvFuture`] for cancel safety, deadlines and cancellation.
    ///
    /// * *Cancel safety:* dropping the future loses nothing: a value that was handed to it goes to
    ///   the next receiver.
    /// * *Order:* receivers that wait are served in the order of their first polls.
    /// * *Wake-ups:* the future is woken once, when it can complete; completing wakes one sender.
    /// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
    ///   lock is.
    /// * *Cost:* about nine words; a poll is a critical section or two of constant length.
    pub fn recv(&self) -> RecvFuture<'_, M, T, S> {
        RecvFuture::new(self, ())
    }
}

/// A pending receive, made by [`Channel::recv`] and [`Subscriber::recv`](super::Subscriber::recv).
///
/// Cancel safety: dropping it at any moment loses nothing. A value that was handed to it goes to the
/// receiver that has waited longest, or stays in front in the channel. Wake-ups: one. Its size does not
/// depend on the values'. Polled again after its end it receives the next value, and as a [`Stream`] it
/// yields values until the channel is closed and empty.
#[must_use = "futures do nothing unless polled"]
pub struct RecvFuture<'a, M: RawMutex, T, S: Strategy<T>> {
    channel: &'a Channel<M, T, S>,
    /// Points to a cursor that is borrowed uniquely for `'a`, if it points to anything.
    reader: S::Reader,
    node: RecvTokenOf<T, S>,
    _reader: PhantomData<&'a mut ()>,
    _pinned: PhantomPinned,
}

// SAFETY: the token is guarded by the channel's lock, and so is the cursor, where there is one.
unsafe impl<M: RawMutex + Sync, T: Send, S: Strategy<T> + Sync> Send for RecvFuture<'_, M, T, S> {}

/// What came of a poll that tries the common cases only.
enum Quick<T, G> {
    Received(T, Option<G>, Option<Waker>),
    Parked,
    /// It is none of them, and nothing has been changed. Whether it must wait, under a waker that is not cloned under
    /// the lock.
    No {
        waits: bool,
    },
}

impl<'a, M: RawMutex, T, S: Strategy<T>> RecvFuture<'a, M, T, S> {
    /// The cursor that `reader` points to, if any, is the new future's alone for `'a`.
    pub(super) fn new(channel: &'a Channel<M, T, S>, reader: S::Reader) -> Self {
        Self {
            channel,
            reader,
            node: RecvToken {
                token: Token::new(),
                mark: Cell::new(S::Mark::default()),
                landing: Landing::none(),
            },
            _reader: PhantomData,
            _pinned: PhantomPinned,
        }
    }

    /// The same, by a call that stays until it is told what has come of it: what it receives may be put into `place`, which
    /// is empty.
    #[cfg(feature = "std")]
    pub(crate) fn landing(self, place: &'a mut Option<S::Received>) -> Self {
        // SAFETY: borrowed uniquely for as long as the future may live.
        unsafe { self.node.landing.set(&self.node.token, place) };
        self
    }

    /// What is there now. That there is nothing is no failure.
    pub(super) fn try_next(&mut self) -> Option<S::Received> {
        loop {
            let look = self.channel.locked(|state| match state.is_drained_for(self.reader) {
                true => Look::NotYet,
                false => state.would_take(None, self.reader),
            });
            match look {
                Look::Ready => return self.channel.try_take(self.reader).ok(),
                Look::NotYet => return None,
                Look::Again => {}
            }
        }
    }

    /// What a lane has at once, into the first of these places: how many.
    #[inline]
    pub(super) fn try_several(&self, into: &mut [MaybeUninit<T>]) -> Result<usize, Missed<()>> {
        self.channel.aside().recv_many(into)
    }

    /// Whether it may end without having received: if it is an arm of a select, it is the one that happens.
    pub(super) fn wins(&self) -> bool {
        self.channel.locked(|_| claim_own(self.node.token.side()))
    }

    /// One step in the common cases: a value was promised to it, or is there and nobody waits for it; or it must
    /// wait, and a waker can be left at once. One critical section, and nobody else to help.
    #[inline]
    fn step_quickly(&mut self, waits: &mut Waits<'_>) -> Quick<S::Received, S::Growth> {
        let this = &*self;
        // Before the lock is taken, which it does not need.
        #[cfg(not(feature = "std"))]
        let known = this.node.token.is_known();
        this.channel.locked(move |state| {
            let token = &this.node.token;
            // With two words to bring along, what is done under the lock is called with registers where it is not part of this.
            #[cfg(feature = "std")]
            let known = token.is_known();
            if S::MEETS && cfg!(feature = "std") {
                return this.step_to_meet(state, waits);
            }
            if known && token.state() != TokenState::Granted {
                return this.collect_landed();
            }
            if S::MEETS {
                return Quick::No { waits: false };
            }
            if !known && !state.has_unpromised(this.reader) {
                if state.is_closed() || state.waits_for_memory() {
                    return Quick::No { waits: false };
                }
                let Some(waker) = waits.waker() else { return Quick::No { waits: true } };
                token.leave_waker(waker);
                this.queue(false, state);
                return Quick::Parked;
            }
            let collects = if known {
                state.collects_promised()
            } else {
                // An arm must be claimed first. What is broadcast takes long enough without the question who else may be
                // helped.
                let is_long = State::<T, S>::IN_STEPS && S::SHARES;
                !is_long
                    && !token.is_arm()
                    && state.waiting.receivers().is_empty()
                    && state.collects_at_once()
            };
            if !collects {
                return Quick::No { waits: false };
            }
            let Some((value, unused, waker)) = state.collect(this.reader) else {
                return Quick::No { waits: false };
            };
            // Asked again rather than kept: in firmware a register costs more.
            if token.is_known() {
                state.promised_values -= 1;
                token.end_wait();
            }
            Quick::Received(value, unused, waker)
        })
    }

    /// The same at a rendezvous, where there are threads. Under the lock.
    #[inline]
    fn step_to_meet(
        &self,
        state: &mut State<T, S>,
        waits: &mut Waits<'_>,
    ) -> Quick<S::Received, S::Growth> {
        let token = &self.node.token;
        let known = token.is_known();
        if known && token.state() != TokenState::Granted {
            let waits_on = token.state() == TokenState::Queued && token.will_wake(waits.current);
            return if waits_on { Quick::Parked } else { self.collect_landed() };
        }
        if token.is_arm() || !state.meets_plainly() {
            return Quick::No { waits: false };
        }
        if known {
            if !state.leaves_nobody_to_introduce() {
                return Quick::No { waits: false };
            }
            let Some((value, unused)) = state.pop(self.reader) else {
                return Quick::No { waits: false };
            };
            state.promised_values -= 1;
            token.end_wait();
            return Quick::Received(value, unused, None);
        }
        if state.waiting.senders.is_empty() {
            if state.has_unpromised(self.reader) {
                return Quick::No { waits: false };
            }
            let Some(waker) = waits.waker() else { return Quick::No { waits: true } };
            token.leave_waker(waker);
            self.queue(false, state);
            return Quick::Parked;
        }
        if !state.meets_sender() {
            return Quick::No { waits: false };
        }
        let Some((value, waker)) = state.meet_sender() else { return Quick::No { waits: false } };
        Quick::Received(value, None, waker)
    }

    /// As [`poll`](Future::poll), under the lock; with a waker to leave there, if it has been cloned.
    #[inline(always)]
    fn poll_locked(
        &mut self,
        cx: &mut Context<'_>,
        cloned: Option<Waker>,
    ) -> Poll<Result<S::Received, RecvError>> {
        let mut waits = Waits { current: cx.waker(), cloned };
        loop {
            match self.step_quickly(&mut waits) {
                Quick::Received(value, unused, waker) => {
                    let value = received::<T, S>(value, unused);
                    wake(waker);
                    // SAFETY: it was unknown, or its wait has been ended.
                    unsafe { self.node.token.assume_unknown() };
                    return Poll::Ready(Ok(value));
                }
                Quick::Parked => return Poll::Pending,
                Quick::No { waits: true } if S::Aside::TELLS => {
                    waits.cloned = Some(cx.waker().clone());
                }
                Quick::No { waits } => {
                    let polled = self.poll_slowly(cx.waker(), waits);
                    if polled.is_ready() {
                        // That is so, but behind a call the compiler does not see it.
                        self.node.token.forget();
                    }
                    return polled;
                }
            }
        }
    }

    /// As [`step_quickly`](Self::step_quickly), when nothing was promised: a value may have been put where it is found. Under
    /// the lock.
    #[inline]
    fn collect_landed(&self) -> Quick<S::Received, S::Growth> {
        let token = &self.node.token;
        if token.state() != TokenState::Taken {
            return Quick::No { waits: false };
        }
        let Some(value) = self.node.landing.take(token) else { return Quick::No { waits: false } };
        token.end_wait();
        Quick::Received(value, None, None)
    }
}

/// What was received; memory that is no longer needed is given back.
#[inline]
pub(super) fn received<T, S: Strategy<T>>(
    value: S::Received,
    unused: Option<S::Growth>,
) -> S::Received {
    if let Some(unused) = unused {
        S::shrink(unused);
    }
    value
}

impl<M: RawMutex, T, S: Strategy<T>> Future for RecvFuture<'_, M, T, S> {
    type Output = Result<S::Received, RecvError>;

    // What tells whether there is a lane is to be part of whatever awaits this.
    #[cfg_attr(feature = "std", inline)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        if S::Aside::LENDS {
            return this.poll_by_lane(cx);
        }
        // Cloned where it will be wanted, as the sign says: a foreign one cannot be under the lock.
        let is_new = !this.node.token.is_known() && !this.node.token.is_arm();
        let waits = S::Aside::TELLS
            && is_new
            && matches!(this.channel.aside().may_recv(), Err(Missed::NotNow(())));
        this.poll_locked(cx, waits.then(|| cx.waker().clone()))
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Stream for RecvFuture<'_, M, T, S> {
    type Item = S::Received;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx).map(Result::ok)
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Drop for RecvFuture<'_, M, T, S> {
    #[inline]
    fn drop(&mut self) {
        if self.node.token.is_known() {
            self.leave_slowly(Leaves::Abandoned);
        }
    }
}
