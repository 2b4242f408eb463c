//! A send beyond the common cases: the steps of one that waits, or may have to, and how it ends without having sent.

use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::SendFuture;
use crate::channel::snapshot::{Leaves, Sided, count};
use crate::channel::state::{Offer, State, Wakers};
use crate::channel::store::Strategy;
use crate::error::{SendError, SendTimeoutError};
use crate::limit::{Operation, Stopped};
use crate::sync::RawMutex;
use crate::sync::claim::claim_own;
use crate::sync::wait::{State as TokenState, Token};

/// What a step came to.
pub(super) enum Step<T> {
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

impl<M: RawMutex, T, S: Strategy<T>> SendFuture<'_, M, T, S> {
    fn token(&self) -> *const Token {
        core::ptr::from_ref(&self.node).cast()
    }

    /// Stops waiting, and being an arm.
    #[inline]
    pub(super) fn leave(&mut self, why: Leaves) {
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
    pub(super) fn leave_slowly(&mut self, why: Leaves) {
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
    pub(super) fn park(
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
    pub(super) fn queue(&self, looks: bool, state: &mut State<T, S>) {
        let token = &self.node.token;
        token.set_bare(looks);
        token.make_known();
        // SAFETY: pinned, in no list, and `leave` takes it out before it goes.
        unsafe { state.queue_sender(self.token()) };
    }

    /// As [`poll`](Future::poll), in any case; whether it will probably have to wait.
    #[inline(never)]
    pub(super) fn poll_slowly(
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

    /// Asks for memory; see [`Growth::poll`](crate::channel::growth::Growth::poll).
    pub(super) fn poll_growth(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // SAFETY: pinned with the whole.
        let growth = unsafe { Pin::new_unchecked(&mut self.growth) };
        growth.poll(self.channel, &self.node.token, cx)
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
