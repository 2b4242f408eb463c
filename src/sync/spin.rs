//! A spin lock for several cores, with interrupts masked while it is held.

#[cfg(not(loom))]
use super::RawMutex;
use super::atomic::{AtomicBool, Ordering};
use super::pause;

/// A lock for arenas, channels and kernels that several cores share.
///
/// Interrupts are masked *before* the lock is tried and stay masked until it is given up: an
/// interrupt handler that waited for a lock held by the code it interrupted would wait for ever.
/// Masking is the `critical-section` implementation's where a target has interrupts of its own
/// (`target_os = "none"`); elsewhere there is nothing to mask, and the lock alone does the work.
///
/// On a hosted target a waiter gives up its time slice after a short spin when the `std` feature is
/// on. For threads, `StdRawMutex` parks instead and is the better choice.
///
/// Note that a `critical-section` implementation for several cores already contains a lock of its
/// own. This type adds a second one that is *per object*, so that two cores working on different
/// objects do not meet; it needs an implementation that masks only, or tolerates nesting.
///
/// ```
/// use cloakroom::sync::{RawMutex, SpinRawMutex};
///
/// let lock = SpinRawMutex::new();
/// assert_eq!(lock.lock(|| 6 * 7), 42);
/// ```
pub struct SpinRawMutex {
    held: AtomicBool,
}

impl SpinRawMutex {
    super::const_fn! {
        /// A lock nobody holds. One byte.
        pub const fn new() -> Self {
            Self { held: AtomicBool::new(false) }
        }
    }

    /// Holds the lock, if nobody does. For threads: it does not mask interrupts.
    #[cfg(any(loom, shuttle))]
    pub(crate) fn try_hold(&self) -> Option<Held<'_>> {
        // Acquire: as in `acquire`.
        let free =
            self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        free.then(|| Held(self))
    }

    /// Waits until it is free. As above.
    #[cfg(any(loom, shuttle))]
    pub(crate) fn hold(&self) -> Held<'_> {
        self.acquire();
        Held(self)
    }

    fn acquire(&self) {
        let mut tries = 0u32;
        // Acquire pairs with the Release in `Held::drop`: what the last holder wrote is seen.
        while self
            .held
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            // A plain load until it looks free, so that waiters share the cache line.
            while self.held.load(Ordering::Relaxed) {
                tries = tries.wrapping_add(1);
                if cfg!(all(feature = "std", not(any(loom, shuttle)))) && tries % 64 == 0 {
                    yield_slice();
                } else {
                    pause();
                }
            }
        }
    }
}

impl Default for SpinRawMutex {
    fn default() -> Self {
        Self::new()
    }
}

fn yield_slice() {
    #[cfg(feature = "std")]
    std::thread::yield_now();
}

/// Gives the lock up, also when the closure unwinds.
pub(crate) struct Held<'a>(&'a SpinRawMutex);

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: everything done under the lock happens before the next holder's Acquire.
        self.0.held.store(false, Ordering::Release);
    }
}

// SAFETY: `held` goes from false to true in one compare-exchange, so at most one holder exists, and
// only that holder stores false. On a bare-metal target interrupts are masked for the whole time, so
// no handler on this core can try the lock while it is held here.
#[cfg(not(loom))]
unsafe impl RawMutex for SpinRawMutex {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self::new();

    #[inline]
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let run = || {
            self.acquire();
            let _held = Held(self);
            f()
        };
        #[cfg(target_os = "none")]
        return critical_section::with(|_| run());
        #[cfg(not(target_os = "none"))]
        run()
    }
}

/// Under loom the lock must be made inside a model, so it cannot be a `const`; `LoomRawMutex` of the
/// model tests wraps it.
#[cfg(loom)]
impl SpinRawMutex {
    /// Runs `f` with the lock held.
    pub fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        self.acquire();
        let _held = Held(self);
        f()
    }
}
