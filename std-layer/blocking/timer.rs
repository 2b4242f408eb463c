//! Channels that deliver instants: after a while, or again and again.
//!
//! Nobody sends on them. What is delivered is made by the receiver, when it looks at the clock; nothing runs in the
//! background, and a timer that nobody looks at costs nothing.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use super::{RecvTimeoutError, TryRecvError};
use crate::select::{Arm, sealed::Sealed};
use crate::sync::claim::{Claim, claim_own};

/// Delivers instants, to one receiver each.
pub(super) struct Timer<T> {
    /// When it delivers next, if it does.
    next: Mutex<Option<Instant>>,
    /// How long after that it delivers again.
    period: Option<Duration>,
    /// The instant as it is received: `T` is `Instant`, which the type of a receiver does not say.
    deliver: fn(Instant) -> T,
}

impl Timer<Instant> {
    pub(super) fn new(first: Instant, period: Option<Duration>) -> Self {
        Self { next: Mutex::new(Some(first)), period, deliver: |instant| instant }
    }
}

impl<T> Timer<T> {
    fn next(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it delivers next.
    pub(super) fn due(&self) -> Option<Instant> {
        *self.next()
    }

    pub(super) fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// What follows a delivery that was due then: a period later, but not in a burst if the receiver was late.
    fn after(&self, due: Instant) -> Option<Instant> {
        due.max(Instant::now()).checked_add(self.period?)
    }

    /// Takes what is due, if `claims` says so.
    fn take(&self, claims: impl FnOnce() -> bool) -> Option<T> {
        let mut next = self.next();
        let due = next.filter(|due| *due <= Instant::now())?;
        if !claims() {
            return None;
        }
        *next = self.after(due);
        Some((self.deliver)(due))
    }

    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.take(|| true).ok_or(TryRecvError::Empty)
    }

    /// Waits for the next delivery, which is this receiver's from now on.
    pub(super) fn recv(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let mut next = self.next();
        // What is there comes first, as on every channel; a period goes by the deadline alone.
        let is_there = |due: Instant| self.period.is_none() && due <= Instant::now();
        let in_time = |due: Instant| deadline.is_none_or(|deadline| due <= deadline);
        let due = next.filter(|due| in_time(*due) || is_there(*due));
        if let Some(due) = due {
            *next = self.after(due);
        }
        drop(next);
        sleep_until(due.or(deadline));
        due.map(self.deliver).ok_or(RecvTimeoutError::Timeout)
    }
}

/// Sleeps until then, or for ever.
pub(super) fn sleep_until(end: Option<Instant>) {
    loop {
        let Some(end) = end else {
            thread::park();
            continue;
        };
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return;
        }
        thread::sleep(rest);
    }
}

/// A receive from a timer as an arm of a select. It is woken by nobody: whoever polls it comes back when it is
/// [due](Timer::due).
pub(super) struct Delivery<'a, T> {
    timer: &'a Timer<T>,
    claim: Cell<*const Claim>,
    arm: Cell<u16>,
}

impl<'a, T> Delivery<'a, T> {
    pub(super) fn of(timer: &'a Timer<T>) -> Self {
        Self { timer, claim: Cell::new(ptr::null()), arm: Cell::new(0) }
    }
}

impl<T> Future for Delivery<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: null, or the claim of the select that this is an arm of until `withdraw`.
        let side = unsafe { self.claim.get().as_ref() }.map(|claim| (claim, self.arm.get()));
        self.timer.take(|| claim_own(side)).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Sealed for Delivery<'_, T> {}

impl<T> Arm for Delivery<'_, T> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        self.claim.set(claim);
        self.arm.set(arm);
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.claim.set(ptr::null());
    }

    fn poll_ready(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_due() { Poll::Ready(()) } else { Poll::Pending }
    }
}
