//! Running one future on this thread.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::thread_local;
use std::time::{Duration, Instant};

use super::StdClock;
use crate::kernel::{Clock, Driver, Kernel, Next, TimerQueue};
use crate::limit::{Operation, Stopped};
use crate::sync::RawMutex;

/// Wakes a parked thread.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the Acquire in `park`: the woken thread sees why. `unpark` is skipped
        // when a wake-up is on its way already.
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

thread_local! {
    /// One allocation a thread, at its first use.
    static UNPARK: (Arc<Unpark>, Waker) = {
        let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
        (unpark.clone(), Waker::from(unpark))
    };

    /// How many futures this thread runs, one within the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// One more future on this thread.
struct Nested<'a>(&'a Unpark);

impl<'a> Nested<'a> {
    fn enter(unpark: &'a Unpark) -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self(unpark)
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if DEPTH.get() > 0 {
            // The wake-ups that the inner future has used up may have been the outer one's.
            self.0.woken.store(true, Ordering::Release);
        }
    }
}

/// Runs `future` on this thread, which sleeps while there is nothing to do. Uses no CPU while it waits.
///
/// The first call on a thread allocates its waker, later ones allocate nothing.
///
/// ```
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::std_layer::{StdRawMutex, block_on};
///
/// static CHANNEL: Channel<StdRawMutex, u32, Buffered<4>> = Channel::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| block_on(CHANNEL.send(5)));
///     assert_eq!(block_on(CHANNEL.recv()), Ok(5));
/// });
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    UNPARK.with(|(unpark, waker)| {
        let _nested = Nested::enter(unpark);
        let mut cx = Context::from_waker(waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            unpark.park(None);
        }
    })
}

/// Runs an operation on this thread, until `deadline` at the latest; see
/// [`block_on_for`](super::block_on_for).
pub fn block_on_by<F: Operation>(operation: F, deadline: Instant) -> F::Limited {
    let mut operation = pin!(operation);
    UNPARK.with(|(unpark, waker)| {
        let _nested = Nested::enter(unpark);
        let mut cx = Context::from_waker(waker);
        loop {
            if let Poll::Ready(output) = operation.as_mut().poll(&mut cx) {
                return F::finish(output);
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                if let Some(limited) = operation.as_mut().abandon(Stopped::Timeout) {
                    return limited;
                }
            }
            unpark.park(Some(rest));
        }
    })
}

/// Runs `future` together with a kernel's tasks and timers on this thread, until `future` is done.
///
/// The thread sleeps while nothing is ready, until the kernel's next deadline at most. Several threads
/// may do so with one kernel: whoever is free runs what is ready.
///
/// ```
/// use cloakroom::{Arena, kernel::Kernel};
/// use cloakroom::std_layer::{StdClock, StdRawMutex, block_on_until};
///
/// static ARENA: Arena<StdRawMutex, 64, 64, 16> = Arena::new();
/// static KERNEL: Kernel<StdRawMutex> = Kernel::new();
///
/// let task = KERNEL.spawn(ARENA.handle(), async {
///     KERNEL.timers().after(1_000).await; // a millisecond
///     "done"
/// })?;
/// assert_eq!(block_on_until(&KERNEL, &StdClock::new(), task), Ok("done"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn block_on_until<F: Future, M: RawMutex + Sync + 'static, W: TimerQueue>(
    kernel: &Kernel<M, W>,
    clock: &StdClock,
    future: F,
) -> F::Output {
    let mut future = pin!(future);
    let mut driver = pin!(Driver::new(kernel));
    UNPARK.with(|(unpark, waker)| {
        let _nested = Nested::enter(unpark);
        let mut cx = Context::from_waker(waker);
        loop {
            // The future comes first, as it may begin a sleep, too, and counts from now on.
            kernel.advance(clock.now());
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            match driver.as_mut().poll(clock.now(), &mut cx) {
                Next::Ready => {}
                next => {
                    let before = clock.now();
                    unpark.park(match next {
                        Next::At(tick) => Some(clock.until(tick)),
                        _ => None,
                    });
                    kernel.add_idle(clock.now().saturating_sub(before));
                }
            }
        }
    })
}

impl Unpark {
    /// Sleeps until woken, or for `limit`.
    fn park(&self, limit: Option<Duration>) {
        // A limit beyond what the clock can tell is none.
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        // `park` may return early, so the flag decides.
        while !self.woken.swap(false, Ordering::Acquire) {
            match end {
                None => thread::park(),
                Some(end) => {
                    let rest = end.saturating_duration_since(Instant::now());
                    if rest.is_zero() {
                        return;
                    }
                    thread::park_timeout(rest);
                }
            }
        }
    }
}
