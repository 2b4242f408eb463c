//! Waiting for the first of several operations.
//!
//! Every arm's token points to one [claim](crate::sync). A peer that wants to match an arm, and the
//! select itself when it finds an arm ready, must win the claim before any value moves; so exactly one
//! arm happens, and the others leave no trace.

use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::sync::claim::Claim;

/// An operation that can be an arm of a [`select`]: a send, a receive, an allocation, a sleep, or a
/// pinned reference to one (to use it again, or to take a value back that was not sent).
pub trait Arm: Future + sealed::Sealed {
    /// Makes it an arm, before the select's first poll.
    ///
    /// # Safety
    /// `claim` stays in place and alive until [`withdraw`](Self::withdraw), or until this arm is gone.
    #[doc(hidden)]
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u8);

    /// Stops waiting, and being an arm.
    #[doc(hidden)]
    fn withdraw(self: Pin<&mut Self>);

    /// As `poll`, but does nothing beyond waiting: what there is stays there.
    #[doc(hidden)]
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;
}

impl<A: Arm> sealed::Sealed for Pin<&mut A> {}

impl<A: Arm> Arm for Pin<&mut A> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u8) {
        // SAFETY: passed on. Should the select be leaked, its pinned memory, and the claim in it, stay.
        unsafe { self.as_deref_mut().join(claim, arm) }
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.as_deref_mut().withdraw();
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.as_deref_mut().poll_ready(cx)
    }
}

/// A tuple (of two to six) or an array of arms.
pub trait Arms: sealed::Sealed {
    /// Which arm happened, with its result.
    type Output;
    #[doc(hidden)]
    const COUNT: u8;
    /// # Safety
    /// As for [`Arm::join`].
    #[doc(hidden)]
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim);
    #[doc(hidden)]
    fn poll_arm(self: Pin<&mut Self>, arm: u8, cx: &mut Context<'_>) -> Poll<Self::Output>;
    #[doc(hidden)]
    fn withdraw(self: Pin<&mut Self>);
}

/// Waits for the first of several operations and does exactly that one.
///
/// The arms are polled in order, so that among several that are ready the first is taken (it is
/// *biased*). When a peer comes to one of the waiting arms, that arm is claimed before its value moves;
/// the others are withdrawn and lose nothing: a value that a losing arm wanted to send is dropped with
/// the arm, or, if the arm is a pinned reference, recovered by
/// [`take_value`](crate::channel::SendFuture::take_value). Two arms of one select never match each
/// other.
///
/// Cancel safety: dropping it drops the arms; a value or slot that one of them was handed goes to the
/// next waiter.
///
/// ```
/// use std::pin::pin;
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::select::{Either, select};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static JOBS: Channel<Lock, u32, Buffered<4>> = Channel::new();
/// static RESULTS: Channel<Lock, u32, Buffered<4>> = Channel::new();
///
/// # async fn example() {
/// let mut result = pin!(RESULTS.send(7));
/// match select((JOBS.recv(), result.as_mut())).await {
///     Either::First(job) => println!("a job, {job:?}; still to send: {:?}", result.take_value()),
///     Either::Second(sent) => println!("sent, {sent:?}"),
/// }
/// # }
/// ```
pub fn select<A: Arms>(arms: A) -> Select<A> {
    Select { claim: Claim::new(), arms, joined: false, _pinned: PhantomPinned }
}

/// A pending [`select`].
#[must_use = "futures do nothing unless polled"]
pub struct Select<A: Arms> {
    claim: Claim,
    arms: A,
    joined: bool,
    _pinned: PhantomPinned,
}

impl<A: Arms> Future for Select<A> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        // SAFETY: the arms are pinned with the whole; nothing is moved.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let mut arms = unsafe { Pin::new_unchecked(&mut this.arms) };
        if !this.joined {
            this.joined = true;
            // SAFETY: the claim is pinned beside the arms, which are withdrawn in `drop`.
            unsafe { arms.as_mut().join(&raw const this.claim) };
        }
        let done = |mut arms: Pin<&mut A>, output| {
            arms.as_mut().withdraw();
            Poll::Ready(output)
        };
        loop {
            if let Some(winner) = this.claim.winner() {
                // A peer has claimed this arm; the arm knows by now, or waits for the peer's lock.
                return match arms.as_mut().poll_arm(winner, cx) {
                    Poll::Ready(output) => done(arms, output),
                    Poll::Pending => Poll::Pending,
                };
            }
            for arm in 0..A::COUNT {
                if let Poll::Ready(output) = arms.as_mut().poll_arm(arm, cx) {
                    return done(arms, output);
                }
            }
            // A peer may have claimed an arm after that arm had been polled.
            if this.claim.winner().is_none() {
                return Poll::Pending;
            }
        }
    }
}

impl<A: Arms> Drop for Select<A> {
    fn drop(&mut self) {
        if self.joined {
            // SAFETY: pinned if it was ever polled, and not moved here. Arms that are references live
            // on, so they must forget the claim.
            unsafe { Pin::new_unchecked(&mut self.arms) }.withdraw();
        }
    }
}

macro_rules! tuple_of_arms {
    ($either:ident: $($arm:ident $field:tt $variant:ident),+; $count:literal) => {
        /// Which of the arms happened, with its result.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $either<$($arm),+> {
            $(
                #[doc = concat!("Arm ", stringify!($field), ".")]
                $variant($arm),
            )+
        }

        impl<$($arm: Arm),+> sealed::Sealed for ($($arm,)+) {}

        impl<$($arm: Arm),+> Arms for ($($arm,)+) {
            type Output = $either<$($arm::Output),+>;
            const COUNT: u8 = $count;

            unsafe fn join(self: Pin<&mut Self>, claim: *const Claim) {
                // SAFETY: each arm is pinned with the tuple, which is not moved.
                unsafe {
                    let this = self.get_unchecked_mut();
                    $(Pin::new_unchecked(&mut this.$field).join(claim, $field);)+
                }
            }

            fn poll_arm(self: Pin<&mut Self>, arm: u8, cx: &mut Context<'_>) -> Poll<Self::Output> {
                // SAFETY: as in `join`.
                let this = unsafe { self.get_unchecked_mut() };
                match arm {
                    $($field => {
                        // SAFETY: as in `join`.
                        let arm = unsafe { Pin::new_unchecked(&mut this.$field) };
                        arm.poll(cx).map($either::$variant)
                    })+
                    _ => Poll::Pending,
                }
            }

            fn withdraw(self: Pin<&mut Self>) {
                // SAFETY: as in `join`.
                let this = unsafe { self.get_unchecked_mut() };
                // SAFETY: as in `join`.
                $(unsafe { Pin::new_unchecked(&mut this.$field) }.withdraw();)+
            }
        }
    };
}

tuple_of_arms!(Either: A 0 First, B 1 Second; 2);
tuple_of_arms!(Either3: A 0 First, B 1 Second, C 2 Third; 3);
tuple_of_arms!(Either4: A 0 First, B 1 Second, C 2 Third, D 3 Fourth; 4);
tuple_of_arms!(Either5: A 0 First, B 1 Second, C 2 Third, D 3 Fourth, E 4 Fifth; 5);
tuple_of_arms!(Either6: A 0 First, B 1 Second, C 2 Third, D 3 Fourth, E 4 Fifth, F 5 Sixth; 6);

impl<A: Arm, const N: usize> sealed::Sealed for [A; N] {}

/// The number of the arm that happened, with its result.
impl<A: Arm, const N: usize> Arms for [A; N] {
    type Output = (usize, A::Output);
    const COUNT: u8 = {
        assert!(N < 255, "at most 254 arms");
        N as u8
    };

    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim) {
        // SAFETY: the elements are pinned with the array, which is not moved.
        unsafe {
            for (number, arm) in self.get_unchecked_mut().iter_mut().enumerate() {
                Pin::new_unchecked(arm).join(claim, number as u8);
            }
        }
    }

    fn poll_arm(self: Pin<&mut Self>, number: u8, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let number = usize::from(number);
        // SAFETY: as in `join`.
        let Some(arm) = unsafe { self.get_unchecked_mut() }.get_mut(number) else {
            return Poll::Pending;
        };
        // SAFETY: as in `join`.
        unsafe { Pin::new_unchecked(arm) }.poll(cx).map(|output| (number, output))
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: as in `join`.
        for arm in unsafe { self.get_unchecked_mut() } {
            // SAFETY: as in `join`.
            unsafe { Pin::new_unchecked(arm) }.withdraw();
        }
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}
}
