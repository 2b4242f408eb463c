//! Arms made of other things.

use core::cell::Cell;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll};

use super::{Arm, Attempt, sealed};
use crate::sync::claim::{Claim, claim_own};

/// An arm with another result, made by [`Arm::mapped`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Mapped<A, F> {
    arm: A,
    map: F,
}

impl<A: Arm, F> Mapped<A, F> {
    pub(super) fn new(arm: A, map: F) -> Self {
        Self { arm, map }
    }

    /// The arm itself, for example to take a value back that was not sent.
    pub fn arm(self: Pin<&mut Self>) -> Pin<&mut A> {
        // SAFETY: pinned with the whole; the function is not.
        unsafe { self.map_unchecked_mut(|this| &mut this.arm) }
    }
}

impl<A: Arm, U, F: FnMut(A::Output) -> U> Future for Mapped<A, F> {
    type Output = U;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<U> {
        let polled = self.as_mut().arm().poll(cx);
        // SAFETY: the function is never pinned, and the arm is not moved.
        polled.map(|output| (unsafe { &mut self.get_unchecked_mut().map })(output))
    }
}

impl<A, F> sealed::Sealed for Mapped<A, F> {}

impl<A: Arm, U, F: FnMut(A::Output) -> U> Arm for Mapped<A, F> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on.
        unsafe { self.arm().join(claim, arm) }
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.arm().withdraw();
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.arm().poll_ready(cx)
    }

    fn is_fresh(&self) -> bool {
        self.arm.is_fresh()
    }

    fn comes_fresh() -> bool {
        A::comes_fresh()
    }

    fn attempt(mut self: Pin<&mut Self>) -> Attempt<U> {
        let attempted = self.as_mut().arm().attempt();
        // SAFETY: as in `poll`.
        attempted.map(|output| (unsafe { &mut self.get_unchecked_mut().map })(output))
    }
}

/// Any future as an arm of a select.
///
/// It has no part in claims: it may end in the moment in which another arm is claimed. Then its output stays in
/// it, for when it is polled again, which is possible if the arm is a pinned reference; else it is dropped with
/// the arm. Use it for what can be dropped.
///
/// ```
/// use std::pin::pin;
/// use cloakroom::channel::{Channel, Rendezvous};
/// use cloakroom::select::{Either, plain, select};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static STOP: Channel<Lock, (), Rendezvous> = Channel::new();
/// # async fn connect() {}
///
/// # async fn example() {
/// let mut connected = pin!(plain(connect()));
/// match select((STOP.recv(), connected.as_mut())).await {
///     Either::First(_) => println!("told to stop"),
///     Either::Second(()) => println!("connected"),
/// }
/// # }
/// ```
pub fn plain<F: Future>(future: F) -> Plain<F> {
    Plain { future: Some(future), output: None, claim: Cell::new(ptr::null()), arm: Cell::new(0) }
}

/// A future as an arm, made by [`plain`]. Polled again after its end it stays pending.
#[must_use = "futures do nothing unless polled"]
pub struct Plain<F: Future> {
    /// `None` after its end.
    future: Option<F>,
    output: Option<F::Output>,
    claim: Cell<*const Claim>,
    arm: Cell<u16>,
}

// SAFETY: the claim is an atomic in the select that this is an arm of; otherwise it is what is in it.
unsafe impl<F: Future<Output: Send> + Send> Send for Plain<F> {}

impl<F: Future> Plain<F> {
    /// Runs the future to its end.
    fn advance(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<&mut Self> {
        // SAFETY: the future is pinned with the whole, and dropped in place at its end.
        let this = unsafe { self.get_unchecked_mut() };
        if this.output.is_none() {
            let Some(future) = &mut this.future else { return Poll::Pending };
            // SAFETY: as above.
            let output = core::task::ready!(unsafe { Pin::new_unchecked(future) }.poll(cx));
            this.future = None;
            this.output = Some(output);
        }
        Poll::Ready(this)
    }
}

impl<F: Future> Future for Plain<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = core::task::ready!(self.advance(cx));
        // SAFETY: null, or the claim of the select that this is an arm of until `withdraw`.
        let side = unsafe { this.claim.get().as_ref() }.map(|claim| (claim, this.arm.get()));
        let won = claim_own(side) || side.is_some_and(|(claim, arm)| claim.winner() == Some(arm));
        match this.output.take() {
            Some(output) if won => Poll::Ready(output),
            kept => {
                this.output = kept;
                Poll::Pending
            }
        }
    }
}

impl<F: Future> sealed::Sealed for Plain<F> {}

impl<F: Future> Arm for Plain<F> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        self.claim.set(claim);
        self.arm.set(arm);
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.claim.set(ptr::null());
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.advance(cx).map(drop)
    }

    fn is_fresh(&self) -> bool {
        // Where its future waits is not a select's business, and stays so.
        true
    }
}

/// An arm that never happens: to switch one off without another type.
///
/// ```
/// use std::pin::pin;
/// use cloakroom::select::{never, select};
///
/// let mut nothing = pin!(select([never::<u8>(), never()]));
/// assert_eq!(nothing.as_mut().try_now(), None);
/// ```
pub fn never<T>() -> Never<T> {
    Never { _output: PhantomData }
}

/// See [`never`](fn@never).
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Never<T> {
    _output: PhantomData<fn() -> T>,
}

impl<T> Future for Never<T> {
    type Output = T;
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        Poll::Pending
    }
}

impl<T> sealed::Sealed for Never<T> {}

impl<T> Arm for Never<T> {
    unsafe fn join(self: Pin<&mut Self>, _claim: *const Claim, _arm: u16) {}
    fn withdraw(self: Pin<&mut Self>) {}
    fn poll_ready(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
    fn is_fresh(&self) -> bool {
        true
    }
    fn attempt(self: Pin<&mut Self>) -> Attempt<T> {
        Attempt::NotNow
    }
}
