//! A pending send as an arm of a select.

use core::pin::Pin;
use core::task::{Context, Poll};

use super::SendFuture;
use super::parked::Step;
use crate::channel::meeting::Look;
use crate::channel::snapshot::Leaves;
use crate::channel::store::Strategy;
use crate::select::{Arm, Attempt};
use crate::sync::RawMutex;
use crate::sync::claim::{Claim, claim_own};
use crate::sync::wait::State as TokenState;

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
    fn comes_fresh() -> bool {
        // One whose value was taken at a meeting is withdrawn, and still has to say so.
        !S::MEETS
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
                    // SAFETY: as in `step_locked`, in `parked.rs`.
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
