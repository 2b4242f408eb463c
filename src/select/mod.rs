//! Waiting for the first of several operations.
//!
//! Every arm's token points to one [claim](crate::sync). A peer that wants to match an arm, and the
//! select itself when it finds an arm ready, must win the claim before any value moves; so exactly one
//! arm happens, and the others leave no trace.
//!
//! ```text
//!            first poll                peer, or own poll            arm's result
//!   Apart ───────────────► Joined ─────────────────────► claimed ───────────────► Apart
//!     ▲                      │ given up: claimed for nobody                          (all arms withdrawn)
//!     └──────────────────────┘
//! ```
//!
//! * [`select`](fn@select) takes a tuple or an array of arms and returns the first result; the macro
//!   [`select!`](crate::select!) runs a piece of code for it, takes up to 32 arms, and has a default arm.
//! * A [`SelectSet`] has arms that are added and removed at run time.
//! * Arms are sends, receives, permits, allocations, sleeps, cancellations; [`plain`] makes one of any future,
//!   [`never`](fn@never) of none. [`Arm::mapped`] gives arms of different kinds one type.
//! * All can be [fair](Select::fair), limited by a [deadline or a cancellation](crate::limit), tried
//!   [at once](Select::try_now), or asked only [what is ready](Select::ready).

mod adapt;
mod arms;
pub(crate) mod fair;
mod macros;
mod set;

pub use adapt::{Mapped, Never, Plain, never, plain};
pub use arms::{Chain, Either, Either3, Either4, Either5, Either6, End, Link};
pub use set::{ArmSet, SelectSet};

use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::limit::{Operation, Stopped};
use crate::sync::claim::Claim;
use crate::sync::feature::SELECT;

/// The most arms a select may have.
const MOST: u16 = u16::MAX - 2;
/// What a select that is given up is claimed for.
const NOBODY: u16 = MOST;

/// An operation that can be an arm of a [`select`](fn@select): a send, a receive, a permit, an allocation, a
/// sleep, a cancellation, or a pinned reference to one (to use it again, or to take a value back that was
/// not sent). Not for implementing elsewhere: [`plain`] makes an arm of any future.
pub trait Arm: Future + sealed::Sealed {
    /// Makes it an arm, before the select's first poll.
    ///
    /// # Safety
    /// `claim` stays in place and alive until [`withdraw`](Self::withdraw), or until this arm is gone.
    #[doc(hidden)]
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16);

    /// Stops waiting, and being an arm.
    /// It must have done so if it panics, which foreign wakers may make it do: the claim is gone then, too.
    #[doc(hidden)]
    fn withdraw(self: Pin<&mut Self>);

    /// As `poll`, but does nothing beyond waiting: what there is stays there.
    #[doc(hidden)]
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether it waits nowhere for certain, so that nobody could meet it, and there is nothing to withdraw.
    #[doc(hidden)]
    fn is_fresh(&self) -> bool {
        false
    }

    /// Whether it is fresh whenever no select has it for an arm, if it is one by value: it must not be moved once it has been polled, so it
    /// has been polled by the select alone, and is fresh when that has withdrawn it.
    #[doc(hidden)]
    fn comes_fresh() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// Does it now, if that takes no waiting. It is fresh, and no arm of any select.
    #[doc(hidden)]
    fn attempt(self: Pin<&mut Self>) -> Attempt<Self::Output> {
        Attempt::Unclear
    }

    /// The same arm with another result, made from its own. So arms of different kinds can be of one type,
    /// `dyn Arm<Output = …>`, in a [`SelectSet`].
    fn mapped<U, F: FnMut(Self::Output) -> U>(self, map: F) -> Mapped<Self, F>
    where
        Self: Sized,
    {
        Mapped::new(self, map)
    }
}

/// Whether it is [fresh](Arm::is_fresh), as no select has it for an arm.
#[inline]
fn is_fresh<A: Arm>(arm: &A) -> bool {
    A::comes_fresh() || arm.is_fresh()
}

/// What came of an attempt to do an arm at once.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempt<T> {
    Done(T),
    /// It would have to wait, at the moment at which it was asked.
    NotNow,
    /// That is for a poll to tell.
    Unclear,
}

impl<T> Attempt<T> {
    /// The same with another result.
    #[inline]
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Done(output) => Attempt::Done(map(output)),
            Self::NotNow => Attempt::NotNow,
            Self::Unclear => Attempt::Unclear,
        }
    }
}

impl<A: Arm + ?Sized> sealed::Sealed for Pin<&mut A> {}

impl<A: Arm + ?Sized> Arm for Pin<&mut A> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on. Should the select be leaked, its pinned memory, and the claim in it, stay.
        unsafe { self.as_deref_mut().join(claim, arm) }
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.as_deref_mut().withdraw();
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.as_deref_mut().poll_ready(cx)
    }

    fn is_fresh(&self) -> bool {
        self.as_ref().get_ref().is_fresh()
    }

    fn attempt(self: Pin<&mut Self>) -> Attempt<Self::Output> {
        self.as_deref_mut().attempt()
    }
}

/// Several arms: a tuple of two to six, an array, or what a [`SelectSet`] holds. Not for implementing elsewhere.
pub trait Arms: sealed::Sealed {
    /// Which arm happened, with its result.
    type Output;
    /// How many there may be; not all of these numbers need be taken.
    #[doc(hidden)]
    fn count(&self) -> u16;
    /// The arm that a fair select looks at first, given how to draw one of so many.
    #[doc(hidden)]
    fn draw(&self, below: fn(u16) -> u16) -> u16 {
        below(self.count())
    }
    /// Makes them arms, numbered from `first` on.
    ///
    /// # Safety
    /// As for [`Arm::join`].
    #[doc(hidden)]
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, first: u16);
    #[doc(hidden)]
    fn poll_arm(self: Pin<&mut Self>, arm: u16, cx: &mut Context<'_>) -> Poll<Self::Output>;
    #[doc(hidden)]
    fn poll_arm_ready(self: Pin<&mut Self>, arm: u16, cx: &mut Context<'_>) -> Poll<()>;
    /// Withdraws all of them, also those behind one that panics.
    #[doc(hidden)]
    fn withdraw(self: Pin<&mut Self>);
    /// Whether all are [fresh](Arm::is_fresh), as no select has them for arms.
    #[doc(hidden)]
    fn are_fresh(&self) -> bool {
        false
    }
    #[doc(hidden)]
    fn attempt_arm(self: Pin<&mut Self>, _arm: u16) -> Attempt<Self::Output> {
        Attempt::Unclear
    }
}

/// Waits for the first of several operations and does exactly that one.
///
/// The arms are polled in order, so that among several that are ready the first is taken (it is
/// *biased*; see [`fair`](Select::fair)). When a peer comes to one of the waiting arms, that arm is claimed
/// before its value moves; the others are withdrawn and lose nothing: a value that a losing arm wanted to
/// send is dropped with the arm, or, if the arm is a pinned reference, recovered by
/// [`take_value`](crate::channel::SendFuture::take_value). Two arms of one select never match each other.
/// There may be 65,533 arms.
///
/// Cancel safety: dropping it drops the arms; a value or slot that one of them was handed goes to the
/// next waiter.
///
/// * *Cancel safety:* dropping it loses nothing that the arms would not lose; see above.
/// * *Order:* in each arm's line it stands from its first poll on.
/// * *Wake-ups:* one, from the arm that is claimed (a memory waiter: whenever it may try again).
/// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
///   lock is.
/// * *Cost:* its arms and about four words; a poll polls each arm once, a critical section or two
///   an arm.
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
    Select {
        claim: Claim::new(),
        arms,
        joined: false,
        looks: false,
        fair: false,
        first: 0,
        _pinned: PhantomPinned,
    }
}

/// A pending [`select`](fn@select).
///
/// It can be used again: polled after its end it selects once more, among arms that still have something to
/// do (a receive always has). With a deadline or a cancellation it returns `Err` when that came first.
#[must_use = "futures do nothing unless polled"]
pub struct Select<A: Arms> {
    claim: Claim,
    arms: A,
    joined: bool,
    /// Whether the arms have joined only to look.
    looks: bool,
    fair: bool,
    /// The arm that is polled first.
    first: u16,
    _pinned: PhantomPinned,
}

impl<A: Arms> Select<A> {
    /// Makes it fair: it looks at its arms from a random one on, in a circle, so that of several arms that
    /// are always ready each happens with a probability of at least 1 in the number of arms.
    pub fn fair(mut self) -> Self {
        self.fair = true;
        self
    }

    /// Selects among what is ready at this moment; `None` if nothing is. It does not wait, but does stand in
    /// the arms' queues for the time of this call.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as any select.
    /// * *Wake-ups:* those of the arm that happens.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* a poll, and withdrawing each arm.
    ///
    /// ```
    /// use std::pin::pin;
    /// use cloakroom::channel::{Buffered, Channel};
    /// use cloakroom::select::{Either, select};
    /// use cloakroom::sync::CriticalSectionRawMutex as Lock;
    ///
    /// static A: Channel<Lock, u8, Buffered<1>> = Channel::new();
    /// static B: Channel<Lock, u8, Buffered<1>> = Channel::new();
    ///
    /// let mut either = pin!(select((A.recv(), B.recv())));
    /// assert_eq!(either.as_mut().try_now(), None);
    /// B.try_send(1)?;
    /// assert_eq!(either.as_mut().try_now(), Some(Either::Second(Ok(1))));
    /// # Ok::<(), cloakroom::TrySendError<u8>>(())
    /// ```
    pub fn try_now(mut self: Pin<&mut Self>) -> Option<A::Output> {
        match self.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => self.give_up(),
        }
    }

    /// Waits until an arm is ready, and returns its number, without doing anything. Somebody else may have
    /// been faster when the operation is then tried.
    ///
    /// Cancel safety: dropping it withdraws all arms.
    ///
    /// * *Cancel safety:* dropping it withdraws the arms and loses nothing.
    /// * *Order:* as any select; being ready reserves nothing.
    /// * *Wake-ups:* one.
    /// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
    ///   lock is.
    /// * *Cost:* as a select.
    pub fn ready(self: Pin<&mut Self>) -> Ready<'_, A> {
        Ready { select: self }
    }

    /// The number of an arm that is ready now.
    pub fn try_ready(self: Pin<&mut Self>) -> Option<usize> {
        let ready = core::pin::pin!(self.ready());
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(arm) => Some(arm),
            Poll::Pending => None,
        }
    }

    /// Its parts, pinned where they have to be.
    fn parts(self: Pin<&mut Self>) -> (&Claim, Pin<&mut A>, &mut bool) {
        // SAFETY: the arms are pinned with the whole; nothing is moved.
        unsafe {
            let this = self.get_unchecked_mut();
            (&this.claim, Pin::new_unchecked(&mut this.arms), &mut this.joined)
        }
    }

    /// The arm that it looks at first.
    fn draw(&self) -> u16 {
        if self.fair { self.arms.draw(fair::below) } else { 0 }
    }

    /// Does the first arm, from this one on, that need not wait. Nobody else knows of any of them, so nothing is to be
    /// claimed, nor withdrawn. `None` does not say that none was ready: their moments are not one.
    #[inline(always)]
    fn attempt(mut self: Pin<&mut Self>, first: u16) -> Option<A::Output> {
        // Where a wait costs hardly more than an attempt, as there are no lanes, in vain is what counts: a try of two
        // receives that finds nothing takes 450 instructions on a Cortex-M3, and 616 with attempts before it.
        if !cfg!(feature = "std") || !self.arms.are_fresh() {
            return None;
        }
        // One that is biased has to be exact: what comes to its first arm after that was asked, and before the second
        // has something, comes first. A waiting arm would notice.
        let count = if self.fair { self.arms.count() } else { self.arms.count().min(1) };
        let mut arm = first;
        for _ in 0..count {
            match self.as_mut().parts().1.attempt_arm(arm) {
                Attempt::Done(output) => return Some(output),
                Attempt::NotNow => {}
                Attempt::Unclear => return None,
            }
            arm = if arm + 1 < count { arm + 1 } else { 0 };
        }
        None
    }

    /// Makes the arms this select's, if they are not, for more than to look or not.
    fn join(mut self: Pin<&mut Self>, looks: bool, first: Option<u16>) {
        if self.joined && self.looks == looks {
            return;
        }
        self.as_mut().part();
        let first = first.unwrap_or_else(|| self.draw());
        let (claim, arms, joined) = self.as_mut().parts();
        *joined = true;
        SELECT.raise();
        // SAFETY: the claim is pinned beside the arms, which are withdrawn in `part` or in `drop`.
        unsafe { arms.join(claim, 0) };
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        this.first = first;
        this.looks = looks;
    }

    /// Withdraws all arms: nobody refers to the claim any more.
    fn part(self: Pin<&mut Self>) {
        /// Opens the claim again, also if a waker has panicked.
        struct Reopen<'c>(&'c Claim);
        impl Drop for Reopen<'_> {
            fn drop(&mut self) {
                self.0.reopen();
            }
        }
        let (claim, arms, joined) = self.parts();
        if core::mem::take(joined) {
            let _last = Reopen(claim);
            arms.withdraw();
        }
    }

    /// Polls the arms in turn by `f` until one is done; the one that a peer has claimed, if any. `first` has been drawn
    /// already, or not.
    fn drive<R>(
        mut self: Pin<&mut Self>,
        looks: bool,
        first: Option<u16>,
        mut f: impl FnMut(Pin<&mut A>, u16) -> Poll<R>,
    ) -> Poll<R> {
        self.as_mut().join(looks, first);
        let (first, count) = (self.first, self.arms.count());
        loop {
            if let Some(winner) = self.claim.winner() {
                // The arm knows by now, or waits for the peer's lock.
                let (_, arms, _) = self.as_mut().parts();
                let polled = f(arms, winner);
                if polled.is_ready() {
                    self.part();
                }
                return polled;
            }
            for arm in (first..count).chain(0..first) {
                let (_, arms, _) = self.as_mut().parts();
                let polled = f(arms, arm);
                if polled.is_ready() {
                    self.part();
                    return polled;
                }
            }
            // A peer may have claimed an arm after that arm had been polled.
            if self.claim.winner().is_none() {
                return Poll::Pending;
            }
        }
    }

    /// Stops selecting. If an arm has been claimed by then it happens.
    fn give_up(mut self: Pin<&mut Self>) -> Option<A::Output> {
        let mut output = None;
        if self.joined && !self.claim.claim(NOBODY) {
            let cx = &mut Context::from_waker(Waker::noop());
            if let Poll::Ready(happened) = self.as_mut().poll(cx) {
                output = Some(happened);
            }
        }
        self.part();
        output
    }
}

impl<A: Arms> Future for Select<A> {
    type Output = A::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        let mut first = None;
        if !self.joined {
            let drawn = self.draw();
            if let Some(output) = self.as_mut().attempt(drawn) {
                return Poll::Ready(output);
            }
            first = Some(drawn);
        }
        self.drive(false, first, |arms, arm| arms.poll_arm(arm, cx))
    }
}

impl<A: Arms> Operation for Select<A> {
    type Limited = Result<A::Output, Stopped>;

    fn finish(output: A::Output) -> Self::Limited {
        Ok(output)
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        Some(self.give_up().ok_or(why))
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

/// A pending [`Select::ready`].
#[must_use = "futures do nothing unless polled"]
pub struct Ready<'s, A: Arms> {
    select: Pin<&'s mut Select<A>>,
}

impl<A: Arms> Future for Ready<'_, A> {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        // What an arm was handed goes back when the arms are withdrawn.
        self.select
            .as_mut()
            .drive(true, None, |arms, arm| arms.poll_arm_ready(arm, cx).map(|()| usize::from(arm)))
    }
}

impl<A: Arms> Operation for Ready<'_, A> {
    type Limited = Result<usize, Stopped>;

    fn finish(arm: usize) -> Self::Limited {
        Ok(arm)
    }

    fn abandon(mut self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        let claimed = self.select.claim.winner();
        self.select.as_mut().part();
        Some(claimed.map(usize::from).ok_or(why))
    }
}

impl<A: Arms> Drop for Ready<'_, A> {
    fn drop(&mut self) {
        self.select.as_mut().part();
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}
}
