//! Locks, wait queues and claims: what everything above is built from.
//!
//! The atomics come from one place so that the same source runs on hardware, under
//! `portable-atomic`'s critical-section fallback, and inside the model checkers loom and shuttle.

pub(crate) mod asymmetric_fence;
#[cfg(all(feature = "std", not(loom)))]
pub(crate) mod biased;
#[cfg(loom)]
#[doc(hidden)]
pub mod biased;
pub(crate) mod claim;
pub(crate) mod feature;
pub(crate) mod locked;
pub(crate) mod looking;
pub(crate) mod spin;
#[cfg(any(feature = "std", loom))]
pub(crate) mod thread;
pub(crate) mod wait;
pub(crate) mod waker;

pub use embassy_sync::blocking_mutex::raw::{CriticalSectionRawMutex, NoopRawMutex, RawMutex};
pub use spin::SpinRawMutex;

pub(crate) use locked::Locked;

/// The atomics of the platform: those of a model checker under it, `portable-atomic`'s otherwise.
pub(crate) mod atomic {
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    };
    #[cfg(all(not(any(loom, shuttle)), feature = "spill"))]
    pub(crate) use portable_atomic::AtomicU8;
    #[cfg(all(
        not(any(loom, shuttle)),
        any(feature = "spill", feature = "std", feature = "stamps"),
    ))]
    pub(crate) use portable_atomic::AtomicU32;
    #[cfg(all(not(any(loom, shuttle)), target_has_atomic = "64"))]
    pub(crate) use portable_atomic::AtomicU64;
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) use portable_atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
    #[cfg(shuttle)]
    pub(crate) use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    };
}

/// Atomics that are only loaded and stored: the core library's. Those of `portable-atomic` enter a critical section for that,
/// too, where there is no compare-and-swap.
pub(crate) mod plain {
    #[cfg(not(any(loom, shuttle)))]
    use core::sync::atomic as source;

    #[cfg(any(loom, shuttle))]
    use super::atomic as source;
    #[cfg(not(target_pointer_width = "64"))]
    pub(crate) use source::AtomicU16;
    pub(crate) use source::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, fence};
}

/// Defines a constructor that is `const` except under loom, whose atomics register themselves with
/// the running model when they are made. (Shuttle's wait until they are used.)
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(loom))]
        $(#[$meta])*
        $vis const fn $($rest)*

        #[cfg(loom)]
        $(#[$meta])*
        $vis fn $($rest)*
    };
}
pub(crate) use const_fn;

/// Tells the processor, or the model, that this is a wait for another core.
#[inline]
pub(crate) fn pause() {
    #[cfg(not(any(loom, shuttle)))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
}
