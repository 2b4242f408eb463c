//! A pending receive as an arm of a select.

use core::pin::Pin;
use core::task::{Context, Poll};

use super::RecvFuture;
use super::parked::Step;
use crate::channel::meeting::Look;
use crate::channel::snapshot::Leaves;
use crate::channel::store::Strategy;
use crate::select::{Arm, Attempt};
use crate::sync::RawMutex;
use crate::sync::claim::{Claim, claim_own};
use crate::sync::wait::State as TokenState;

impl<M: RawMutex, T, S: Strategy<T>> crate::select::sealed::Sealed for RecvFuture<'_, M, T, S> {}

impl<M: RawMutex, T, S: Strategy<T>> Arm for RecvFuture<'_, M, T, S> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        let token = &self.node.token;
        if !token.is_known() {
            // SAFETY: passed on.
            unsafe { token.join_select(claim, arm) };
            return;
        }
        self.channel.locked(|_| {
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
        unsafe { self.get_unchecked_mut() }.leave(Leaves::Otherwise);
    }

    #[inline]
    fn is_fresh(&self) -> bool {
        !self.node.token.is_known()
    }

    #[inline]
    fn comes_fresh() -> bool {
        true
    }

    #[inline]
    fn attempt(self: Pin<&mut Self>) -> Attempt<Self::Output> {
        self.channel.attempt_take(self.reader).map(Ok)
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let token = &self.node.token;
        let mut waker = None;
        loop {
            let (step, settled) = self.channel.locked(|state| {
                let step = match token.state() {
                    TokenState::Idle => match state.would_take(token.side(), self.reader) {
                        Look::Ready => Step::Closed,
                        Look::NotYet => self.park(true, state, cx.waker(), &mut waker),
                        Look::Again => Step::Again,
                    },
                    TokenState::Granted | TokenState::Closed => Step::Closed,
                    TokenState::Lost | TokenState::Taken => Step::Idle,
                    _ => self.park(true, state, cx.waker(), &mut waker),
                };
                let settled = !matches!(step, Step::Parked) || state.is_settled_with_me();
                (step, settled)
            });
            match step {
                Step::Closed => return Poll::Ready(()),
                Step::Again => {}
                Step::NeedWaker => waker = Some(cx.waker().clone()),
                Step::Parked => {
                    drop(waker);
                    self.channel.tell([None, None], settled);
                    return Poll::Pending;
                }
                _ => return Poll::Pending,
            }
        }
    }
}
