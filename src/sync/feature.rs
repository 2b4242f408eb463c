//! What a program does not use, and how its linker finds out.
//!
//! Some of what an operation looks at can only be there if another part of the program has put it there: an arm of a
//! select, say, only if there are selects. A [`Feature`] is a flag that such a part raises first, and that never falls
//! again. In a program without that part nothing raises it, so the compiler, which sees the whole program when it links
//! (`lto = "fat"`), knows the flag's value, and leaves out whatever depends on it. Nobody has to configure that, and a
//! program that has the part pays one look, where the rare case has been found already.
//!
//! Under the `std` feature flash is no matter, and nothing is looked at.

#[cfg(not(any(feature = "std", loom, shuttle)))]
use core::sync::atomic::{AtomicBool, Ordering};

/// A part of the crate that a program may be without.
pub(crate) struct Feature {
    #[cfg(not(any(feature = "std", loom, shuttle)))]
    used: AtomicBool,
}

/// Operations that are arms of a select.
pub(crate) static SELECT: Feature = Feature::new();
/// Channels that are closed, and those who wait for that.
pub(crate) static CLOSE: Feature = Feature::new();
/// Tasks that somebody joins.
pub(crate) static JOIN: Feature = Feature::new();
/// Tasks that are cancelled.
pub(crate) static CANCEL: Feature = Feature::new();
/// Kernels that are driven from tasks of another executor.
pub(crate) static DRIVE: Feature = Feature::new();

impl Feature {
    const fn new() -> Self {
        Self {
            #[cfg(not(any(feature = "std", loom, shuttle)))]
            used: AtomicBool::new(false),
        }
    }

    /// The program has it: before anything that it leaves is seen by others.
    #[inline(always)]
    pub(crate) fn raise(&self) {
        // Relaxed: whoever finds what it leaves does so under the lock under which that was left, after this.
        #[cfg(not(any(feature = "std", loom, shuttle)))]
        self.used.store(true, Ordering::Relaxed);
    }

    /// Whether the program has it. To be asked when something of it seems to have been found, as that is rare.
    #[inline(always)]
    pub(crate) fn is_used(&self) -> bool {
        #[cfg(not(any(feature = "std", loom, shuttle)))]
        return self.used.load(Ordering::Relaxed);
        #[cfg(any(feature = "std", loom, shuttle))]
        true
    }
}
