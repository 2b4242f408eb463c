//! Sets of arms whose number is known when the program is built: tuples, arrays, and the chain that the macro
//! makes.

use core::pin::Pin;
use core::task::{Context, Poll};

use super::{Arm, Arms, Attempt, MOST, is_fresh, sealed};
use crate::sync::claim::Claim;
use crate::unwind::to_the_end;

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

            fn count(&self) -> u16 {
                $count
            }

            unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, first: u16) {
                // SAFETY: each arm is pinned with the tuple, which is not moved.
                unsafe {
                    let this = self.get_unchecked_mut();
                    $(Pin::new_unchecked(&mut this.$field).join(claim, first + $field);)+
                }
            }

            fn poll_arm(self: Pin<&mut Self>, arm: u16, cx: &mut Context<'_>) -> Poll<Self::Output> {
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

            fn poll_arm_ready(self: Pin<&mut Self>, arm: u16, cx: &mut Context<'_>) -> Poll<()> {
                // SAFETY: as in `join`.
                let this = unsafe { self.get_unchecked_mut() };
                match arm {
                    $($field => {
                        // SAFETY: as in `join`.
                        unsafe { Pin::new_unchecked(&mut this.$field) }.poll_ready(cx)
                    })+
                    _ => Poll::Pending,
                }
            }

            fn are_fresh(&self) -> bool {
                $(is_fresh(&self.$field))&&+
            }

            fn attempt_arm(self: Pin<&mut Self>, arm: u16) -> Attempt<Self::Output> {
                // SAFETY: as in `join`.
                let this = unsafe { self.get_unchecked_mut() };
                match arm {
                    $($field => {
                        // SAFETY: as in `join`.
                        let arm = unsafe { Pin::new_unchecked(&mut this.$field) };
                        arm.attempt().map($either::$variant)
                    })+
                    _ => Attempt::NotNow,
                }
            }

            fn withdraw(self: Pin<&mut Self>) {
                // SAFETY: as in `join`.
                let this = unsafe { self.get_unchecked_mut() };
                let mut arms = 0..$count;
                to_the_end(|| {
                    match arms.next() {
                        // SAFETY: as in `join`.
                        $(Some($field) => unsafe { Pin::new_unchecked(&mut this.$field) }.withdraw(),)+
                        _ => return false,
                    }
                    true
                });
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

    fn count(&self) -> u16 {
        const { assert!(N <= MOST as usize, "at most 65,533 arms") };
        N as u16
    }

    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, first: u16) {
        // SAFETY: the elements are pinned with the array, which is not moved.
        unsafe {
            for (number, arm) in self.get_unchecked_mut().iter_mut().enumerate() {
                Pin::new_unchecked(arm).join(claim, first + number as u16);
            }
        }
    }

    fn poll_arm(self: Pin<&mut Self>, number: u16, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let number = usize::from(number);
        // SAFETY: as in `join`.
        let Some(arm) = unsafe { self.get_unchecked_mut() }.get_mut(number) else {
            return Poll::Pending;
        };
        // SAFETY: as in `join`.
        unsafe { Pin::new_unchecked(arm) }.poll(cx).map(|output| (number, output))
    }

    fn poll_arm_ready(self: Pin<&mut Self>, number: u16, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: as in `join`.
        match unsafe { self.get_unchecked_mut() }.get_mut(usize::from(number)) {
            // SAFETY: as in `join`.
            Some(arm) => unsafe { Pin::new_unchecked(arm) }.poll_ready(cx),
            None => Poll::Pending,
        }
    }

    fn are_fresh(&self) -> bool {
        self.iter().all(is_fresh)
    }

    fn attempt_arm(self: Pin<&mut Self>, number: u16) -> Attempt<Self::Output> {
        let number = usize::from(number);
        // SAFETY: as in `join`.
        let Some(arm) = unsafe { self.get_unchecked_mut() }.get_mut(number) else {
            return Attempt::NotNow;
        };
        // SAFETY: as in `join`.
        unsafe { Pin::new_unchecked(arm) }.attempt().map(|output| (number, output))
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: as in `join`.
        let mut arms = unsafe { self.get_unchecked_mut() }.iter_mut();
        to_the_end(|| {
            let Some(arm) = arms.next() else { return false };
            // SAFETY: as in `join`.
            unsafe { Pin::new_unchecked(arm) }.withdraw();
            true
        });
    }
}

/// An arm, and the arms after it. Made by the macro [`select!`](crate::select!).
#[derive(Debug)]
pub struct Chain<A, R>(pub A, pub R);

/// The end of a [`Chain`].
#[derive(Clone, Copy, Debug)]
pub struct End;

/// The result of the first arm of a [`Chain`], or of one after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link<A, R> {
    /// The first arm happened.
    Here(A),
    /// One after it happened.
    Further(R),
}

impl<A, R> sealed::Sealed for Chain<A, R> {}
impl sealed::Sealed for End {}

impl Arms for End {
    type Output = core::convert::Infallible;

    fn count(&self) -> u16 {
        0
    }
    unsafe fn join(self: Pin<&mut Self>, _claim: *const Claim, _first: u16) {}
    fn poll_arm(self: Pin<&mut Self>, _arm: u16, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
    fn poll_arm_ready(self: Pin<&mut Self>, _arm: u16, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
    fn withdraw(self: Pin<&mut Self>) {}
    fn are_fresh(&self) -> bool {
        true
    }
    fn attempt_arm(self: Pin<&mut Self>, _arm: u16) -> Attempt<Self::Output> {
        Attempt::NotNow
    }
}

impl<A: Arm, R: Arms> Chain<A, R> {
    fn arm(self: Pin<&mut Self>) -> Pin<&mut A> {
        // SAFETY: pinned with the whole, which is never taken apart.
        unsafe { self.map_unchecked_mut(|chain| &mut chain.0) }
    }

    fn rest(self: Pin<&mut Self>) -> Pin<&mut R> {
        // SAFETY: as above.
        unsafe { self.map_unchecked_mut(|chain| &mut chain.1) }
    }
}

impl<A: Arm, R: Arms> Arms for Chain<A, R> {
    type Output = Link<A::Output, R::Output>;

    fn count(&self) -> u16 {
        self.1.count() + 1
    }

    unsafe fn join(mut self: Pin<&mut Self>, claim: *const Claim, first: u16) {
        // SAFETY: passed on.
        unsafe {
            self.as_mut().arm().join(claim, first);
            self.rest().join(claim, first + 1);
        }
    }

    fn poll_arm(self: Pin<&mut Self>, arm: u16, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match arm.checked_sub(1) {
            None => self.arm().poll(cx).map(Link::Here),
            Some(further) => self.rest().poll_arm(further, cx).map(Link::Further),
        }
    }

    fn poll_arm_ready(self: Pin<&mut Self>, arm: u16, cx: &mut Context<'_>) -> Poll<()> {
        match arm.checked_sub(1) {
            None => self.arm().poll_ready(cx),
            Some(further) => self.rest().poll_arm_ready(further, cx),
        }
    }

    fn are_fresh(&self) -> bool {
        is_fresh(&self.0) && self.1.are_fresh()
    }

    fn attempt_arm(self: Pin<&mut Self>, arm: u16) -> Attempt<Self::Output> {
        match arm.checked_sub(1) {
            None => self.arm().attempt().map(Link::Here),
            Some(further) => self.rest().attempt_arm(further).map(Link::Further),
        }
    }

    fn withdraw(mut self: Pin<&mut Self>) {
        let mut first = true;
        to_the_end(|| {
            if core::mem::take(&mut first) {
                self.as_mut().arm().withdraw();
                return true;
            }
            self.as_mut().rest().withdraw();
            false
        });
    }
}
