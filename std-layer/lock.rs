//! A lock for threads.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::sync::RawMutex;
use crate::sync::thread::wait_until;

/// A lock for threads: one byte. Who finds it held spins for a moment, then lets others run, then sleeps, a
/// millisecond at most.
///
/// Critical sections of this crate take a few dozen nanoseconds, so a waiter practically always gets it while it
/// spins; if not, the holder has been preempted, and what helps is to let it run. Giving the lock up is a plain
/// store: nobody needs to be told. That halves what a lock costs that nobody else wants, against
/// `std::sync::Mutex`, which asks at each unlock whether somebody sleeps (a pair of `try_send` and `try_recv`
/// 14 ns instead of 24, an allocation, a message and a release 61 instead of 88).
///
/// Threads are not served in the order they came. A thread of real-time priority does not starve the holder: it
/// sleeps, too.
///
/// ```
/// use cloakroom::Arena;
/// use cloakroom::std_layer::StdRawMutex;
///
/// static ARENA: Arena<StdRawMutex, 64, 64, 32> = Arena::new();
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| drop(ARENA.try_alloc(100)));
///     }
/// });
/// assert_eq!(ARENA.snapshot().live, 0);
/// ```
#[derive(Debug)]
pub struct StdRawMutex {
    held: AtomicBool,
}

impl StdRawMutex {
    /// A lock nobody holds.
    pub const fn new() -> Self {
        Self { held: AtomicBool::new(false) }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        // Acquire pairs with the Release in `Held::drop`: what the last holder wrote is seen.
        self.held.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn contend(&self) {
        // A plain load until it looks free, so that waiters share the cache line.
        wait_until(|| !self.held.load(Ordering::Relaxed) && self.try_acquire());
    }
}

impl Default for StdRawMutex {
    fn default() -> Self {
        Self::new()
    }
}

/// Gives the lock up, also when the closure unwinds.
struct Held<'a>(&'a StdRawMutex);

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: everything done under the lock happens before the next holder's Acquire.
        self.0.held.store(false, Ordering::Release);
    }
}

// SAFETY: `held` goes from false to true in one compare-exchange, so at most one holder exists, and only that holder
// stores false, after `f`.
unsafe impl RawMutex for StdRawMutex {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self::new();

    #[inline]
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        if !self.try_acquire() {
            self.contend();
        }
        let _held = Held(self);
        f()
    }
}
