//! Driving a kernel from threads, or from tasks of another executor.

use core::cell::Cell;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

#[cfg(feature = "std")]
use super::timer::Watch;
use super::{Kernel, Next, Shared, TimerQueue, wake};
use crate::sync::RawMutex;
use crate::sync::wait::{State, Token};

/// A place among those who drive a kernel: threads, or tasks of another executor.
///
/// ```text
///          ┌───────────── finds nothing ──────────────┐
///          ▼                                          │
///       parked ── woken, or wakes by itself ──► searching ── takes a task ──► busy ──┐
///          ▲                                                                   ▲    │ next task
///          └───────────────────────── finds nothing ───────────────────────────┴────┘
/// ```
///
/// Who makes a task ready wakes a driver unless one is searching: that one will find it. Who takes a task and
/// leaves more wakes the next, unless one is searching. So as many run as there is work for, and nobody
/// is woken twice for one task. The last to fall asleep is the first to be woken. Under the `std` feature one of
/// those who sleep keeps the time.
pub(crate) struct Driver<'k, M: RawMutex + Sync + 'static, W: TimerQueue> {
    kernel: &'k Kernel<M, W>,
    token: Token,
    /// It is one of those whom the kernel counts as searching.
    searching: Cell<bool>,
}

impl<'k, M: RawMutex + Sync + 'static, W: TimerQueue> Driver<'k, M, W> {
    pub(crate) fn new(kernel: &'k Kernel<M, W>) -> Self {
        Self { kernel, token: Token::new(), searching: Cell::new(false) }
    }

    /// It is awake, and will [`poll`](Self::poll) at once: there is no need to wake another one for what becomes
    /// ready until then.
    #[cfg(feature = "std")]
    pub(crate) fn search(self: Pin<&mut Self>) {
        self.kernel.shared.with(|shared| self.begin_search(shared));
    }

    fn begin_search(&self, shared: &mut Shared<M>) {
        match self.token.state() {
            // Whoever woke it has counted it.
            State::Granted => self.token.set_state(State::Idle),
            State::Queued => {
                // SAFETY: queued.
                unsafe { shared.drivers.remove(&raw const self.token) };
                shared.searching += 1;
            }
            _ => return,
        }
        self.searching.set(true);
    }

    fn end_search(&self, shared: &mut Shared<M>) {
        shared.searching -= u32::from(self.searching.replace(false));
    }

    /// As [`Kernel::poll`]; unless more is ready, `cx` will be woken when it is.
    pub(crate) fn poll(self: Pin<&mut Self>, now: u64, cx: &mut Context<'_>) -> Next {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let shared = &this.kernel.shared;
        shared.with(|shared| this.begin_search(shared));
        this.hand_over_time();
        let next = this.kernel.poll_batch(now, || {
            let (task, helper) = shared.with(|shared| {
                let task = shared.pop();
                if task.is_none() {
                    return (None, None);
                }
                this.end_search(shared);
                (task, shared.helper())
            });
            wake(helper);
            task
        });
        if next == Next::Ready {
            return next;
        }
        let token = &this.token;
        let waker = cx.waker().clone();
        let (unused, ready) = shared.with(|shared| {
            if !shared.head.is_null() {
                return (Some(waker), true);
            }
            this.end_search(shared);
            // SAFETY: pinned, in no list, and taken out in `drop`.
            unsafe { shared.drivers.push_front(token) };
            (token.set_waker(Some(waker)), false)
        });
        drop(unused);
        if ready { Next::Ready } else { this.keep_time(now, next, cx) }
    }

    /// What is next for a driver that is about to sleep.
    #[cfg(feature = "std")]
    fn keep_time(&self, now: u64, _next: Next, cx: &Context<'_>) -> Next {
        match self.kernel.timers.keep(self.name(), cx.waker()) {
            Watch::Keep(Some(deadline)) if deadline <= now => Next::Ready,
            Watch::Keep(Some(deadline)) => Next::At(deadline),
            Watch::Keep(None) | Watch::Sleep => Next::Idle,
        }
    }

    #[cfg(not(feature = "std"))]
    fn keep_time(&self, _now: u64, next: Next, _cx: &Context<'_>) -> Next {
        next
    }

    /// It is awake. If it has kept the time and is needed for something else, the next one does.
    fn hand_over_time(&self) {
        #[cfg(feature = "std")]
        if self.kernel.timers.resign(self.name()) {
            wake(
                self.kernel.shared.with(|shared| {
                    if shared.head.is_null() { None } else { shared.parked_driver() }
                }),
            );
        }
    }

    #[cfg(feature = "std")]
    fn name(&self) -> usize {
        (&raw const self.token).addr()
    }
}

impl<M: RawMutex + Sync + 'static, W: TimerQueue> Drop for Driver<'_, M, W> {
    fn drop(&mut self) {
        #[cfg(feature = "std")]
        self.kernel.timers.resign(self.name());
        // Others may count on this one for what is ready, and for the next deadline.
        let timed = self.kernel.timers.next_deadline().is_some();
        let (waker, successor) = self.kernel.shared.with(|shared| {
            self.begin_search(shared);
            self.end_search(shared);
            let needed = timed || !shared.head.is_null();
            (self.token.take_waker(), if needed { shared.driver() } else { None })
        });
        drop(waker);
        wake(successor);
    }
}

/// A kernel as a future of another executor: polls until all tasks have ended.
///
/// ```
/// # use cloakroom::{Arena, kernel::{Kernel, drive}, sync::CriticalSectionRawMutex};
/// # type Lock = CriticalSectionRawMutex;
/// # static ARENA: Arena<Lock, 64, 64, 16> = Arena::new();
/// # static KERNEL: Kernel<Lock> = Kernel::new();
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// KERNEL.spawn(ARENA.handle(), async {})?;
/// drive(&KERNEL).await; // timers are advanced by others
/// # Ok(()) }
/// ```
pub async fn drive<M: RawMutex + Sync + 'static, W: TimerQueue>(kernel: &Kernel<M, W>) {
    let mut driver = pin!(Driver::new(kernel));
    core::future::poll_fn(|cx| {
        if driver.as_mut().poll(0, cx) == Next::Ready {
            cx.waker().wake_by_ref();
        }
        if kernel.snapshot().tasks == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
