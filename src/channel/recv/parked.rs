//! A receive beyond the common cases: the steps of one that waits, or may have to, and how it ends without having received.

use core::pin::Pin;
use core::task::{Poll, Waker};

use super::{RecvFuture, received};
use crate::channel::snapshot::{Leaves, Sided, count};
use crate::channel::state::{State, Take, Wakers};
use crate::channel::store::{Store, Strategy};
use crate::error::{RecvError, RecvTimeoutError};
use crate::limit::{Operation, Stopped};
use crate::sync::RawMutex;
use crate::sync::wait::State as TokenState;

/// What a step came to.
pub(super) enum Step<T, G> {
    /// What was received, and memory no longer needed.
    Received(T, Option<G>),
    Closed,
    /// Waiters were dealt with first.
    Again,
    /// It must wait, and the waker it shall leave is missing.
    NeedWaker,
    /// It waits. A waker that it had left before is where the new one was, to be dropped outside the lock.
    Parked,
    /// Its select has been decided otherwise.
    Idle,
}

impl<M: RawMutex, T, S: Strategy<T>> RecvFuture<'_, M, T, S> {
    /// Stops waiting, and being an arm.
    #[inline]
    pub(super) fn leave(&mut self, why: Leaves) {
        if self.node.token.is_known() {
            self.leave_slowly(why);
        } else {
            self.node.token.leave_select();
        }
    }

    /// As [`leave`](Self::leave), for one that may be waiting: out of the list, or the promised value to the next receiver. Foreign
    /// code comes last, as it may panic.
    #[inline(never)]
    pub(super) fn leave_slowly(&mut self, why: Leaves) {
        let token = &self.node.token;
        let (waker, settled) = self.channel.locked(|state| {
            token.leave_select();
            state.note_leaving(why, token);
            match token.state() {
                TokenState::Idle => return (None, true),
                // SAFETY: in one of these states it stands in the list of receivers.
                TokenState::Queued | TokenState::First => unsafe { state.remove_receiver(token) },
                TokenState::Granted => state.return_value(),
                // What has landed is the place's owner's.
                TokenState::Taken | TokenState::Closed | TokenState::Lost => {}
            }
            token.set_state(TokenState::Idle);
            (token.take_waker(), state.is_settled_without_me())
        });
        token.forget();
        drop(waker);
        if !settled {
            self.channel.settle();
        }
    }

    /// Leaves the list unless its wait has been decided, in one step: afterwards it cannot be.
    fn give_up(&mut self) -> bool {
        let token = &self.node.token;
        self.channel.locked(|state| match token.state() {
            TokenState::Granted | TokenState::Closed => false,
            // What has landed has been received.
            TokenState::Taken => self.node.landing.place(token).is_null(),
            TokenState::Queued | TokenState::First => {
                // SAFETY: in one of these states it stands in the list of receivers.
                unsafe { state.remove_receiver(token) };
                // Not idle yet: `leave` has the rest to do.
                token.set_state(TokenState::Lost);
                true
            }
            TokenState::Idle | TokenState::Lost => true,
        })
    }

    /// Stays in the list, or joins it, perhaps as one that only `looks`.
    pub(super) fn park(
        &self,
        looks: bool,
        state: &mut State<T, S>,
        current: &Waker,
        waker: &mut Option<Waker>,
    ) -> Step<S::Received, S::Growth> {
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
        self.node.mark.set(state.store.mark());
        token.set_bare(looks);
        token.make_known();
        // The pointer is made from the whole, as whoever finds it in the list reads the mark.
        // SAFETY: pinned, in no list, and `leave` takes it out before it goes.
        unsafe { state.queue_receiver((&raw const self.node).cast()) };
    }

    /// As [`poll`](Future::poll), in any case; whether it will probably have to wait.
    #[inline(never)]
    pub(super) fn poll_slowly(
        &mut self,
        current: &Waker,
        waits: bool,
    ) -> Poll<Result<S::Received, RecvError>> {
        let mut waker = waits.then(|| current.clone());
        loop {
            match self.step(current, &mut waker) {
                Step::Received(value, unused) => {
                    return Poll::Ready(Ok(received::<T, S>(value, unused)));
                }
                Step::Closed => return Poll::Ready(Err(RecvError)),
                Step::Again => {}
                Step::NeedWaker => waker = Some(current.clone()),
                Step::Parked | Step::Idle => return Poll::Pending,
            }
        }
    }

    /// One step: what the token's state allows, or else queueing with `waker`; and what is to be done for others
    /// after it.
    fn step(&mut self, current: &Waker, waker: &mut Option<Waker>) -> Step<S::Received, S::Growth> {
        let mut told = [None, None];
        let (step, settled) = self.channel.locked(|state| {
            let step = self.step_locked(state, current, waker, &mut told);
            let settled = match step {
                Step::Received(..) => state.is_settled(),
                Step::Parked => state.is_settled_with_me(),
                _ => true,
            };
            (step, settled)
        });
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
    ) -> Step<S::Received, S::Growth> {
        let token = &self.node.token;
        let take = match token.state() {
            TokenState::Idle => state.take(State::<T, S>::side_of(token), self.reader),
            TokenState::Granted => {
                token.end_wait();
                state.keep_value(self.reader)
            }
            TokenState::Queued | TokenState::First => Take::Empty,
            TokenState::Closed => {
                count(&mut state.counters.ended);
                token.end_wait();
                return Step::Closed;
            }
            TokenState::Taken => {
                let Some(value) = self.node.landing.take(token) else { return Step::Idle };
                token.end_wait();
                return Step::Received(value, None);
            }
            TokenState::Lost => return Step::Idle,
        };
        match take {
            Take::Value(value, unused, waker) => {
                told[0] = waker;
                Step::Received(value, unused)
            }
            Take::Closed => Step::Closed,
            Take::Lost => Step::Idle,
            Take::Again(wakers) => {
                if S::MEETS {
                    *told = wakers;
                } else {
                    // The compiler cannot know that there are none.
                    debug_assert!(matches!(wakers, [None, None]));
                    core::mem::forget(wakers);
                }
                Step::Again
            }
            Take::Empty => self.park(false, state, current, waker),
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Operation for RecvFuture<'_, M, T, S> {
    type Limited = Result<S::Received, RecvTimeoutError>;

    fn finish(output: Self::Output) -> Self::Limited {
        output.map_err(|RecvError| RecvTimeoutError::Closed)
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        // Match and close come before cancel and timeout: what has been decided stands, and so does what
        // somebody who was interrupted is about to decide.
        this.channel.settle();
        if !this.give_up() {
            match this.step(Waker::noop(), &mut None) {
                Step::Received(value, unused) => {
                    return Some(Ok(received::<T, S>(value, unused)));
                }
                Step::Closed => return Some(Err(RecvTimeoutError::Closed)),
                _ => {}
            }
        }
        this.leave(Leaves::Otherwise);
        this.channel.count_stopped(Sided::Recv, why);
        Some(Err(match why {
            Stopped::Cancelled => RecvTimeoutError::Cancelled,
            Stopped::Timeout => RecvTimeoutError::Timeout,
        }))
    }
}
