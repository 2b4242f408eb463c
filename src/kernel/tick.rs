//! Timers that are received from: once at a moment, or again and again.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::timer::{Sleep, Timers};
use crate::error::TryRecvError;
use crate::select::Arm;
use crate::sync::RawMutex;
use crate::sync::claim::Claim;

/// A receiver of ticks: [`Timers::tick`] yields one every period, [`Timers::once_at`] and
/// [`Timers::once_after`] yield a single one and then never another.
///
/// What it yields is the tick it was due at. It never closes. Pin it, then await it again and again, make it an
/// arm of a select by reference, or use it as a `Stream`. Ticks that were not received in time are skipped:
/// the next one is due at the next whole period.
///
/// Cancel safety: dropping it, or a select with it, loses no tick but its own. Wake-ups: one a tick, while
/// it is waited for.
///
/// ```
/// use std::pin::pin;
/// use cloakroom::TryRecvError;
/// use cloakroom::kernel::{TimerQueue, Timers};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static TIMERS: Timers<Lock> = Timers::new();
/// let mut tick = pin!(TIMERS.tick(10));
/// assert_eq!(tick.as_mut().try_recv(), Err(TryRecvError::Empty));
/// TIMERS.advance(34);
/// assert_eq!(tick.as_mut().try_recv(), Ok(10)); // 20 and 30 are skipped
/// TIMERS.advance(40);
/// assert_eq!(tick.as_mut().try_recv(), Ok(40));
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Ticks<'t, M: RawMutex> {
    sleep: Sleep<'t, M>,
    /// `None`: a single tick, which is due at `sleep`'s deadline or has been received.
    period: Option<u64>,
    ended: bool,
}

impl<M: RawMutex> Timers<M> {
    /// A tick every `period` ticks, at least one, for the first time in `period` from
    /// [`now`](Self::now) on.
    ///
    /// * *Cancel safety:* dropping it loses only its own ticks.
    /// * *Order:* none.
    /// * *Wake-ups:* one a tick, while it is waited for.
    /// * *Interrupts:* polling it is safe in a handler of any priority, if the lock is.
    /// * *Cost:* a sleep and two words.
    pub fn tick(&self, period: u64) -> Ticks<'_, M> {
        let period = period.max(1);
        Ticks { sleep: self.after(period), period: Some(period), ended: false }
    }

    /// A single tick at `deadline`.
    pub fn once_at(&self, deadline: u64) -> Ticks<'_, M> {
        Ticks { sleep: self.at(deadline), period: None, ended: false }
    }

    /// A single tick in `ticks` from [`now`](Self::now) on.
    pub fn once_after(&self, ticks: u64) -> Ticks<'_, M> {
        self.once_at(self.now().saturating_add(ticks))
    }
}

impl<'t, M: RawMutex> Ticks<'t, M> {
    /// Receives a tick that is due, at once or not at all.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) when none is.
    pub fn try_recv(self: Pin<&mut Self>) -> Result<u64, TryRecvError> {
        if self.sleep.timers().now() < self.sleep.deadline() {
            // Without a poll, which would leave a waker that wakes nobody.
            return Err(TryRecvError::Empty);
        }
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll(&mut cx) {
            Poll::Ready(tick) => Ok(tick),
            Poll::Pending => Err(TryRecvError::Empty),
        }
    }

    fn sleep(self: Pin<&mut Self>) -> Pin<&mut Sleep<'t, M>> {
        // SAFETY: pinned with the whole.
        unsafe { self.map_unchecked_mut(|this| &mut this.sleep) }
    }
}

impl<M: RawMutex> Future for Ticks<'_, M> {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        if self.ended {
            return Poll::Pending;
        }
        core::task::ready!(self.as_mut().sleep().poll(cx));
        let due = self.sleep.deadline();
        let period = self.period;
        match period.and_then(|period| {
            let late = self.sleep.timers().now().saturating_sub(due);
            due.checked_add(late - late % period)?.checked_add(period)
        }) {
            Some(next) => self.sleep().restart(next),
            // SAFETY: nothing pinned is moved.
            None => unsafe { self.get_unchecked_mut() }.ended = true,
        }
        Poll::Ready(due)
    }
}

impl<M: RawMutex> Stream for Ticks<'_, M> {
    type Item = u64;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u64>> {
        self.poll(cx).map(Some)
    }
}

impl<M: RawMutex> crate::select::sealed::Sealed for Ticks<'_, M> {}

impl<M: RawMutex> Arm for Ticks<'_, M> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on.
        unsafe { self.sleep().join(claim, arm) }
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.sleep().withdraw();
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended { Poll::Pending } else { self.sleep().poll_ready(cx) }
    }
}
