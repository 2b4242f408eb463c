//! Worker threads that poll one kernel, and threads for blocking calls.
//!
//! ```text
//!            spawn                       wake                         shutdown
//!   caller ────────► kernel's queue ◄──────────── anybody     Running ─► Draining ─► Over
//!                     │ first come, first served                  └───────────────────┘
//!      worker, worker, worker … ── nothing ready ──► parked (one of them keeps the time)
//! ```
//!
//! Tasks lie in the arena, in one queue: whichever worker is free takes the one that has waited longest, and
//! wakes another worker while there are more. A worker with nothing to do is parked without a limit; only
//! the one that keeps the time wakes at the next deadline. So a runtime without work uses no CPU at all.
//!
//! What a runtime consists of stays for the rest of the process: tasks, and wakers that others keep,
//! refer to it. Make one at the start.

mod blocking;
mod builder;
mod contain;
mod join;
mod scope;
mod shutdown;
mod spawn;
mod task;
mod worker;

use std::boxed::Box;
use std::cell::Cell;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::thread_local;
use std::time::{Duration, Instant};
use std::vec::Vec;

pub use builder::{BuildError, Builder};
pub use join::{JoinError, JoinHandle};
pub use scope::{Scope, ScopedJoinHandle};
pub use shutdown::{Left, Shutdown};
pub use spawn::{NotSpawned, SpawnError};

use super::block_on::{Rest, drive_until};
use super::{StdClock, StdRawMutex as Lock, block_on};
use crate::arena::ArenaRef;
use crate::kernel::{CancelToken, Clock, Kernel, KernelSnapshot, Next, Sleep, Timers};
use blocking::Pool;
use contain::contain;
use shutdown::Residents;

/// Worker threads that run tasks in an arena. See the [module](self).
///
/// Dropping it is a [`shutdown`](Self::shutdown) of the kind [`Shutdown::Now`].
///
/// ```
/// use std::time::Duration;
/// use cloakroom::std_layer::runtime::{Runtime, Shutdown};
///
/// let runtime = Runtime::builder().workers(2).name("example").build()?;
/// let handle = runtime.handle();
/// let task = runtime.spawn(async move {
///     handle.sleep(Duration::from_millis(1)).await;
///     6 * 7
/// })?;
/// assert_eq!(runtime.block_on(task).expect("it neither panics nor is cancelled"), 42);
///
/// let left = runtime.shutdown(Shutdown::Drain);
/// assert_eq!((left.cancelled, left.running), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Runtime {
    handle: Handle,
    threads: Vec<thread::JoinHandle<()>>,
}

/// A reference to a [`Runtime`], for tasks and threads: all of it but shutting it down. One word, `Copy`.
#[derive(Clone, Copy)]
pub struct Handle {
    inner: &'static Inner,
}

/// What workers, tasks and handles share.
struct Inner {
    name: Box<str>,
    workers: u32,
    clock: StdClock,
    arena: ArenaRef<'static, Lock>,
    kernel: Kernel<Lock>,
    pool: Pool,
    /// Threads of the pool: whoever shuts down joins them.
    pool_threads: Mutex<Vec<thread::JoinHandle<()>>>,
    residents: Residents,
    /// Tasks are to end.
    cancel: CancelToken<Lock>,
    /// Threads are to end.
    over: CancelToken<Lock>,
    parked: AtomicU32,
    panics: AtomicU64,
}

impl Inner {
    /// Tells the arena the time, by the runtime's clock.
    #[cfg(feature = "stamps")]
    fn tell_time(&self, now: u64) {
        self.arena.advance_now(now);
    }

    #[cfg(not(feature = "stamps"))]
    fn tell_time(&self, _now: u64) {}
}

thread_local! {
    /// The runtime whose thread this is.
    static CURRENT: Cell<Option<Handle>> = const { Cell::new(None) };

    /// Whether it is one of the workers, which must not be blocked.
    static WORKS: Cell<bool> = const { Cell::new(false) };
}

/// A runtime at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuntimeSnapshot {
    /// Worker threads.
    pub workers: u32,
    /// Those of them that sleep.
    pub parked: u32,
    /// Threads for blocking calls that have been started.
    pub blocking_threads: u32,
    /// Those of them that sleep.
    pub blocking_parked: u32,
    /// Panics that ended a task.
    pub panics: u64,
    /// The tasks' kernel.
    pub kernel: KernelSnapshot,
    /// The kernel of blocking calls.
    pub blocking: KernelSnapshot,
}

impl Runtime {
    /// How many workers, how large an arena, and so on.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A reference, for tasks and other threads.
    pub fn handle(&self) -> Handle {
        self.handle
    }
}

impl std::ops::Deref for Runtime {
    type Target = Handle;
    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Handle {
    /// The runtime whose worker, or whose thread for blocking calls, this thread is.
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Its name; threads are called after it.
    pub fn name(&self) -> &'static str {
        &self.inner.name
    }

    /// The arena that its tasks lie in, for messages, too.
    pub fn arena(&self) -> ArenaRef<'static, Lock> {
        self.inner.arena
    }

    /// The clock of its timers.
    pub fn clock(&self) -> StdClock {
        self.inner.clock
    }

    /// Tells its [arena](Self::arena) the time, in ticks of its [clock](Self::clock): ages and queueing times are
    /// measured by that. One look at the clock.
    ///
    /// Its threads do so by themselves whenever they wake up, and between two batches of tasks. While all of them sleep,
    /// time stands still: what another thread sends then seems to have been sent when the last one fell asleep. Call this
    /// before, where that matters.
    ///
    /// ```
    /// use cloakroom::kernel::Clock;
    /// use cloakroom::std_layer::runtime::Runtime;
    ///
    /// let runtime = Runtime::builder().workers(1).build()?;
    /// let _payload = runtime.arena().try_alloc(10)?;
    /// std::thread::sleep(std::time::Duration::from_millis(1));
    /// runtime.tell_time();
    /// let age = runtime.arena().dump().filter_map(|payload| payload.age).max();
    /// assert!(age.is_some_and(|age| u64::from(age) <= runtime.clock().now()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "stamps")]
    pub fn tell_time(&self) {
        self.inner.tell_time(self.inner.clock.now());
    }

    /// Its timers, in ticks of [`clock`](Self::clock). Sleeps may be begun, and awaited, anywhere.
    pub fn timers(&self) -> &'static Timers<Lock> {
        self.inner.kernel.timers()
    }

    /// Its kernel.
    pub fn kernel(&self) -> &'static Kernel<Lock> {
        &self.inner.kernel
    }

    /// Sleeps for `duration` from now on, not from the first poll. An arm of a select, and a deadline for
    /// any [`Operation`](crate::limit::Operation). When the runtime is over it ends at once.
    pub fn sleep(&self, duration: Duration) -> Sleep<'static, Lock> {
        let now = self.inner.clock.now();
        // The present tick has begun already: one more, or it could end early.
        let begun = u64::from(!duration.is_zero());
        self.timers().at(now.saturating_add(StdClock::ticks(duration)).saturating_add(begun))
    }

    /// Sleeps until `moment`.
    pub fn sleep_until(&self, moment: Instant) -> Sleep<'static, Lock> {
        self.sleep(moment.saturating_duration_since(Instant::now()))
    }

    /// Runs `future` on this thread. In a runtime without workers it runs the tasks, too.
    ///
    /// # Panics
    /// In a task of this runtime, whose worker it would block: were all of them, nobody would end what they
    /// wait for. Await instead, or use [`spawn_blocking`](Self::spawn_blocking).
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.forbid_workers();
        if self.inner.workers > 0 {
            return block_on(future);
        }
        let inner = self.inner;
        let parked = AtomicU32::new(0);
        let rest = Rest {
            tell: &|now| inner.tell_time(now),
            // As for the workers: what comes of a task's destructors is not this future's.
            poll: &|poll| {
                contain(poll).unwrap_or_else(|| {
                    inner.panics.fetch_add(1, Ordering::Relaxed);
                    Next::Ready
                })
            },
            ..Rest::plain(&parked)
        };
        drive_until(&inner.kernel, &inner.clock, future, &rest)
    }

    fn forbid_workers(&self) {
        assert!(!(self.is_current() && WORKS.get()), "a task must not block its worker: await");
    }

    /// Whether this thread is the runtime's.
    fn is_current(&self) -> bool {
        CURRENT.get().is_some_and(|current| core::ptr::eq(current.inner, self.inner))
    }

    /// Its figures at this moment.
    pub fn snapshot(&self) -> RuntimeSnapshot {
        let Inner { workers, parked, panics, pool, kernel, .. } = self.inner;
        RuntimeSnapshot {
            workers: *workers,
            // Figures: nothing depends on them.
            parked: parked.load(Ordering::Relaxed),
            blocking_threads: pool.threads(),
            blocking_parked: pool.parked(),
            panics: panics.load(Ordering::Relaxed),
            kernel: kernel.snapshot(),
            blocking: pool.kernel.snapshot(),
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Handle").field(&self.inner.name).finish()
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Runtime").field(&self.handle.inner.name).finish()
    }
}
