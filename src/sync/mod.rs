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
    };
    #[cfg(all(not(any(loom, shuttle)), target_has_atomic = "64"))]
    pub(crate) use portable_atomic::AtomicU64;
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) use portable_atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering,
    };
    #[cfg(shuttle)]
    pub(crate) use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };
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
