//! Running one future on this thread.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread_local;
use std::time::Instant;

use super::StdClock;
use super::park::Unpark;
use crate::kernel::{Clock, Driver, Kernel, Next, TimerQueue};
use crate::limit::{Operation, Stopped};
use crate::sync::RawMutex;

thread_local! {
    /// One allocation a thread, at its first use.
    static UNPARK: (Arc<Unpark>, Waker) = Unpark::of_this_thread();

    /// How many futures this thread runs, one within the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `f` with what parks and wakes this thread.
fn with_unpark<R>(mut f: impl FnMut(&Unpark, &Waker) -> R) -> R {
    UNPARK.try_with(|(unpark, waker)| f(unpark, waker)).unwrap_or_else(|_| {
        // The thread is ending, and this is called by the `Drop` of another of its variables.
        let (unpark, waker) = Unpark::of_this_thread();
        f(&unpark, &waker)
    })
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
            self.0.wake_itself();
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
    with_unpark(|unpark, waker| {
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
    block_on_pinned(pin!(operation), Some(deadline), || None)
}

/// Runs an operation on this thread, until `deadline` at the latest. It is polled again, though nobody has woken it,
/// at the instant that `due` says.
pub(super) fn block_on_pinned<F: Operation>(
    mut operation: Pin<&mut F>,
    deadline: Option<Instant>,
    due: impl Fn() -> Option<Instant>,
) -> F::Limited {
    with_unpark(|unpark, waker| {
        let _nested = Nested::enter(unpark);
        let mut cx = Context::from_waker(waker);
        loop {
            if let Poll::Ready(output) = operation.as_mut().poll(&mut cx) {
                return F::finish(output);
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                if let Some(limited) = operation.as_mut().abandon(Stopped::Timeout) {
                    return limited;
                }
            }
            let next = [deadline, due()].into_iter().flatten().min();
            unpark.park(next.map(|next| next.saturating_duration_since(now)));
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
    drive_until(kernel, clock, future, &Rest::plain(&AtomicU32::new(0)))
}

/// What a thread does when nothing is ready.
pub(super) struct Rest<'a> {
    /// Work that can wait, a bounded piece of it; done between batches, too.
    pub(super) before: &'a dyn Fn(),
    /// Told the time, in ticks of the clock, when it wakes up and between batches: before what is run then.
    pub(super) tell: &'a dyn Fn(u64),
    /// Polls the kernel, and does what there is to do about a panic that comes out of it.
    pub(super) poll: &'a dyn Fn(&mut dyn FnMut() -> Next) -> Next,
    /// How many threads sleep.
    pub(super) parked: &'a AtomicU32,
    /// The future itself takes no time: nobody else need be woken for tasks meanwhile.
    pub(super) is_brief: bool,
}

impl<'a> Rest<'a> {
    /// Nothing but sleep.
    pub(super) fn plain(parked: &'a AtomicU32) -> Self {
        Self { before: &|| {}, tell: &|_| {}, poll: &|poll| poll(), parked, is_brief: false }
    }
}

/// As [`block_on_until`], with something else to do.
pub(super) fn drive_until<F: Future, M: RawMutex + Sync + 'static, W: TimerQueue>(
    kernel: &Kernel<M, W>,
    clock: &StdClock,
    future: F,
    rest: &Rest<'_>,
) -> F::Output {
    let mut future = pin!(future);
    let mut driver = pin!(Driver::new(kernel));
    with_unpark(|unpark, waker| {
        let _nested = Nested::enter(unpark);
        let mut cx = Context::from_waker(waker);
        let sleep = |limit| {
            // A figure: nothing depends on it.
            rest.parked.fetch_add(1, Ordering::Relaxed);
            let before = clock.now();
            unpark.park(limit);
            kernel.add_idle(clock.now().saturating_sub(before));
            rest.parked.fetch_sub(1, Ordering::Relaxed);
        };
        loop {
            if rest.is_brief {
                driver.as_mut().search();
            } else {
                driver.as_mut().stand_aside();
            }
            // The future comes first, as it may begin a sleep, too, and counts from now on.
            let now = clock.now();
            (rest.tell)(now);
            kernel.advance(now);
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            let next = (rest.poll)(&mut || driver.as_mut().poll(clock.now(), &mut cx));
            (rest.before)();
            match next {
                Next::Ready => {}
                Next::At(tick) => sleep(Some(clock.until(tick))),
                Next::Idle => sleep(None),
            }
        }
    })
}
