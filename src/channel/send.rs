//! A pending send.

use core::cell::UnsafeCell;
use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::Channel;
use super::aside::{Aside, Missed};
use super::growth::Growth;
use super::meeting::Look;
use super::parking::SendToken;
use super::settle::wake;
use super::snapshot::{Leaves, Sided, count};
use super::state::{Offer, State, Wakers};
use super::store::Strategy;
use crate::error::{SendError, SendTimeoutError};
use crate::limit::{Operation, Stopped};
use crate::select::{Arm, Attempt};
use crate::sync::RawMutex;
use crate::sync::claim::{Claim, claim_own};
use crate::sync::wait::{State as TokenState, Token};
use crate::sync::waker::Waits;

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Sends, waiting for room or for a receiver, first come, first served.
    ///
    /// The future fails with [`SendError`](crate::SendError) when the channel is closed. See [`SendFuture`]
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

/// What a step came to.
enum Step<T> {
    /// It is in. The value it replaced.
    Sent(Option<T>),
    /// The value is its own again.
    Closed,
    /// Waiters were dealt with first.
    Again,
    /// It must wait, and the waker it shall leave is missing.
    NeedWaker,
    /// It waits. A waker that it had left before is where the new one was, to be dropped outside the lock.
    Parked,
    /// Its select has been decided otherwise, or it has ended.
    Idle,
}

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

    fn token(&self) -> *const Token {
        core::ptr::from_ref(&self.node).cast()
    }

    /// Stops waiting, and being an arm.
    #[inline]
    fn leave(&mut self, why: Leaves) {
        if self.node.token.is_known() {
            self.leave_slowly(why);
        } else {
            self.node.token.leave_select();
        }
    }

    /// As [`leave`](Self::leave), for one that may be waiting: out of the list, or the promised slot to the next
    /// sender. That the value was taken is remembered, for when it is polled again. Foreign code comes last, as
    /// it may panic.
    #[inline(never)]
    fn leave_slowly(&mut self, why: Leaves) {
        let token = self.token();
        let (waker, settled, granted) = self.channel.locked(|state| {
            self.node.token.leave_select();
            let granted = self.node.token.state() == TokenState::Granted;
            state.note_leaving(why, &self.node.token);
            match self.node.token.state() {
                TokenState::Idle | TokenState::Taken => return (None, true, false),
                // SAFETY: in one of these states it stands in the list of senders.
                TokenState::Queued | TokenState::First => unsafe { state.remove_sender(token) },
                TokenState::Granted => state.return_slot(),
                TokenState::Closed | TokenState::Lost => {}
            }
            self.node.token.end_wait();
            (self.node.token.take_waker(), state.is_settled_without_me(), granted)
        });
        drop(waker);
        self.growth.stop();
        if !settled {
            self.channel.settle();
        }
        if granted {
            self.channel.give_memory_back();
        }
    }

    /// Leaves the list unless its wait has been decided, in one step: afterwards it cannot be.
    fn give_up(&mut self) -> bool {
        let token = self.token();
        self.channel.locked(|state| match self.node.token.state() {
            TokenState::Granted | TokenState::Taken | TokenState::Closed => false,
            TokenState::Queued | TokenState::First => {
                // SAFETY: in one of these states it stands in the list of senders.
                unsafe { state.remove_sender(token) };
                // Not idle yet: `leave` has the rest to do.
                self.node.token.set_state(TokenState::Lost);
                true
            }
            TokenState::Idle | TokenState::Lost => true,
        })
    }

    /// Stays in the list, or joins it, perhaps as one that only `looks`.
    #[inline(never)]
    fn park(
        &self,
        looks: bool,
        state: &mut State<T, S>,
        current: &Waker,
        waker: &mut Option<Waker>,
    ) -> Step<T> {
        let token = &self.node.token;
        let queued = token.state() != TokenState::Idle;
        if queued && token.will_wake(current) {
            return Step::Parked;
        }
        if waker.is_none() {
            return Step::NeedWaker;
        }
        token.swap_waker(waker);
        if !queued {
            self.queue(looks, state);
        }
        Step::Parked
    }

    /// Joins the list, perhaps as one that only `looks`.
    #[inline]
    fn queue(&self, looks: bool, state: &mut State<T, S>) {
        let token = &self.node.token;
        token.set_bare(looks);
        token.make_known();
        // SAFETY: pinned, in no list, and `leave` takes it out before it goes.
        unsafe { state.queue_sender(self.token()) };
    }

    /// One step in the common cases: a slot was promised to it, or there is room and nobody waits to send; or it
    /// must wait, and a waker can be left at once. One critical section, and nobody else to help.
    #[inline]
    fn step_quickly(&mut self, waits: &mut Waits<'_>) -> Quick<T> {
        let (this, rank) = (&*self, self.rank);
        this.channel.locked(|state| {
            let node = &this.node;
            let token = &node.token;
            if S::MEETS && cfg!(feature = "std") {
                return this.step_to_meet(state, waits);
            }
            // SAFETY: as in `step_locked`.
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
        // SAFETY: as in `step_locked`.
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

    /// As [`poll`](Future::poll), by the lane, which is open, as it seems.
    // As for a receive.
    #[inline(always)]
    fn poll_lane(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Receipt, SendError<T>>> {
        let Some(value) = self.node.value.get_mut().take() else {
            return self.poll_beside_lane(cx, false);
        };
        let sent = match self.channel.send_aside(value) {
            Err(Missed::NotNow(value)) if !S::LOSES => self.channel.aside().send_again(value),
            sent => sent,
        };
        match sent {
            Ok(()) => Poll::Ready(Ok(self.channel.strategy.receipt(None))),
            Err(missed) => {
                let waits = !S::LOSES && matches!(missed, Missed::NotNow(_));
                *self.node.value.get_mut() = Some(missed.into_inner());
                self.poll_beside_lane(cx, waits)
            }
        }
    }

    /// As [`poll`](Future::poll), under the lock, and whether it will probably have to wait.
    #[inline(never)]
    fn poll_beside_lane(
        &mut self,
        cx: &mut Context<'_>,
        waits: bool,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        // Cloned where it is wanted: a foreign one cannot be under the lock.
        self.poll_locked(cx, waits.then(|| cx.waker().clone()))
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
                    if S::Aside::LENDS && waits.cloned.is_some() {
                        self.channel.aside().note_send(false);
                    }
                    self.growth.stop();
                    wake(waker);
                    // SAFETY: it was unknown, or its wait has been ended.
                    unsafe { self.node.token.assume_unknown() };
                    return Poll::Ready(Ok(self.channel.strategy.receipt(replaced)));
                }
                Quick::Parked => return Poll::Pending,
                Quick::No { waits: true } if S::Aside::LENDS || S::Aside::TELLS => {
                    self.channel.aside().note_send(true);
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

    /// As [`poll`](Future::poll), in any case; whether it will probably have to wait.
    #[inline(never)]
    fn poll_slowly(
        &mut self,
        cx: &mut Context<'_>,
        waits: bool,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        let mut waker = waits.then(|| cx.waker().clone());
        loop {
            match self.step(cx.waker(), &mut waker) {
                Step::Sent(replaced) => {
                    return Poll::Ready(Ok(self.channel.strategy.receipt(replaced)));
                }
                Step::Closed => return self.refused(),
                Step::Again => {}
                Step::NeedWaker if S::GROWS && self.channel.grow_for_newcomer() => {}
                Step::NeedWaker => waker = Some(cx.waker().clone()),
                Step::Parked => {
                    drop(waker.take());
                    if !S::GROWS {
                        return Poll::Pending;
                    }
                    if !core::task::ready!(self.poll_growth(cx)) {
                        if !self.channel.locked(|_| claim_own(self.node.token.side())) {
                            return Poll::Pending;
                        }
                        self.leave(Leaves::Otherwise);
                        return self.refused();
                    }
                }
                Step::Idle => return Poll::Pending,
            }
        }
    }

    /// The value goes back, if it has not gone yet.
    fn refused(&mut self) -> Poll<Result<S::Receipt, SendError<T>>> {
        let value = self.node.value.get_mut().take();
        value.map_or(Poll::Pending, |value| Poll::Ready(Err(SendError(value))))
    }

    /// One step: what the token's state allows, or else queueing with `waker`; and what is to be done for others
    /// after it.
    fn step(&mut self, current: &Waker, waker: &mut Option<Waker>) -> Step<T> {
        let mut told = [None, None];
        let (step, settled) = self.channel.locked(|state| {
            let step = self.step_locked(state, current, waker, &mut told);
            let settled = match step {
                // At a rendezvous the meeting point is taken now, so nobody else can be helped.
                Step::Sent(_) => S::MEETS || state.is_settled(),
                Step::Parked => state.is_settled_with_me(),
                _ => true,
            };
            (step, settled)
        });
        if matches!(step, Step::Sent(_) | Step::Closed) {
            self.growth.stop();
        }
        self.channel.tell(told, settled);
        step
    }

    /// The part of [`step`](Self::step) that is done with the lock held; who is `told` of it outside.
    #[inline]
    fn step_locked(
        &self,
        state: &mut State<T, S>,
        current: &Waker,
        waker: &mut Option<Waker>,
        told: &mut Wakers,
    ) -> Step<T> {
        let node = &self.node;
        // SAFETY: the value's cell is this future's, or the channel's while the token is queued;
        // the lock is held, so either way nobody else is at it.
        let value = unsafe { &mut *node.value.get() };
        let offer = match node.token.state() {
            TokenState::Idle if value.is_none() => Offer::Lost,
            TokenState::Idle => state.offer(State::<T, S>::side_of(&node.token), value, self.rank),
            TokenState::Queued | TokenState::First => Offer::Full,
            TokenState::Granted => {
                node.token.end_wait();
                let (replaced, waker) = state.keep_slot(value, self.rank);
                Offer::Sent(replaced, waker)
            }
            TokenState::Taken if S::MEETS || node.token.stays() => {
                node.token.end_wait();
                Offer::Sent(None, None)
            }
            TokenState::Closed => {
                count(&mut state.counters.refused);
                node.token.end_wait();
                Offer::Closed
            }
            TokenState::Taken | TokenState::Lost => Offer::Lost,
        };
        match offer {
            Offer::Sent(replaced, waker) => {
                told[0] = waker;
                Step::Sent(replaced)
            }
            Offer::Closed => Step::Closed,
            Offer::Lost => Step::Idle,
            Offer::Again(wakers) => {
                *told = wakers;
                Step::Again
            }
            Offer::Full => self.park(false, state, current, waker),
        }
    }

    /// Asks for memory; see [`Growth::poll`].
    fn poll_growth(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // SAFETY: pinned with the whole.
        let growth = unsafe { Pin::new_unchecked(&mut self.growth) };
        growth.poll(self.channel, &self.node.token, cx)
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Future for SendFuture<'_, M, T, S> {
    type Output = Result<S::Receipt, SendError<T>>;

    // As for a receive.
    #[cfg_attr(feature = "std", inline)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        if !S::Aside::LENDS && !S::Aside::TELLS {
            return this.poll_locked(cx, None);
        }
        if this.node.token.is_known() || this.node.token.is_arm() {
            return this.poll_beside_lane(cx, false);
        }
        match this.channel.aside().may_send() {
            Ok(()) => this.poll_lane(cx),
            Err(missed) => {
                this.poll_beside_lane(cx, !S::LOSES && matches!(missed, Missed::NotNow(())))
            }
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Operation for SendFuture<'_, M, T, S> {
    type Limited = Result<S::Receipt, SendTimeoutError<T>>;

    fn finish(output: Self::Output) -> Self::Limited {
        output.map_err(|SendError(value)| SendTimeoutError::Closed(value))
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        // Match and close come before cancel and timeout: what has been decided stands, and so does what
        // somebody who was interrupted is about to decide.
        this.channel.settle();
        if !this.give_up() {
            this.growth.stop();
            match this.step(Waker::noop(), &mut None) {
                Step::Sent(replaced) => return Some(Ok(this.channel.strategy.receipt(replaced))),
                Step::Closed => {
                    let value = this.node.value.get_mut().take()?;
                    return Some(Err(SendTimeoutError::Closed(value)));
                }
                _ => {}
            }
        }
        this.leave(Leaves::Otherwise);
        let value = this.node.value.get_mut().take()?;
        this.channel.count_stopped(Sided::Send, why);
        Some(Err(SendTimeoutError::stopped(why, value)))
    }
}

impl<M: RawMutex, T, S: Strategy<T>> crate::select::sealed::Sealed for SendFuture<'_, M, T, S> {}

impl<M: RawMutex, T, S: Strategy<T>> Arm for SendFuture<'_, M, T, S> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: nothing is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let token = &this.node.token;
        if !token.is_known() {
            // SAFETY: passed on.
            unsafe { token.join_select(claim, arm) };
            return;
        }
        this.channel.locked(|_| {
            // SAFETY: passed on; the lock is held, as it may stand in the list already.
            unsafe { token.join_select(claim, arm) };
            if matches!(token.state(), TokenState::Granted | TokenState::Taken | TokenState::Closed)
            {
                // Matched before it became an arm: then it is the one that happens, or one of them.
                claim_own(token.side());
            }
        });
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: nothing pinned is moved.
        unsafe { self.get_unchecked_mut() }.leave(Leaves::Otherwise);
    }

    #[inline]
    fn is_fresh(&self) -> bool {
        !self.node.token.is_known()
    }

    #[inline]
    fn attempt(self: Pin<&mut Self>) -> Attempt<Self::Output> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        this.channel.attempt_send(this.node.value.get_mut(), this.rank).map(Ok)
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let mut waker = None;
        loop {
            let node = &this.node;
            let (step, settled) = this.channel.locked(|state| {
                let step = match node.token.state() {
                    // SAFETY: as in `step_locked`.
                    TokenState::Idle if unsafe { (*node.value.get()).is_none() } => Step::Idle,
                    TokenState::Idle => match state.would_send(node.token.side()) {
                        Look::Ready => Step::Sent(None),
                        Look::NotYet => this.park(true, state, cx.waker(), &mut waker),
                        Look::Again => Step::Again,
                    },
                    TokenState::Granted | TokenState::Taken | TokenState::Closed => {
                        Step::Sent(None)
                    }
                    TokenState::Lost => Step::Idle,
                    _ => this.park(true, state, cx.waker(), &mut waker),
                };
                let settled = !matches!(step, Step::Parked) || state.is_settled_with_me();
                (step, settled)
            });
            match step {
                Step::Sent(_) => return Poll::Ready(()),
                Step::Again => {}
                Step::NeedWaker if S::GROWS && this.channel.grow_for_newcomer() => {}
                Step::NeedWaker => waker = Some(cx.waker().clone()),
                Step::Parked => {
                    drop(waker);
                    this.channel.tell([None, None], settled);
                    if !S::GROWS {
                        return Poll::Pending;
                    }
                    return this.poll_growth(cx).map(drop);
                }
                _ => return Poll::Pending,
            }
        }
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
