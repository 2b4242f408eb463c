//! A lock for threads.

use std::sync::{Mutex, PoisonError};

use crate::sync::RawMutex;

/// A lock for threads: spins briefly, then parks, as `std::sync::Mutex` does.
///
/// The critical sections of this crate never run foreign code and do not panic, so a poisoned lock
/// means nothing here.
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
    inner: Mutex<()>,
}

impl StdRawMutex {
    /// A lock nobody holds.
    pub const fn new() -> Self {
        Self { inner: Mutex::new(()) }
    }
}

impl Default for StdRawMutex {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the guard of a `Mutex` excludes every other holder until it is dropped, after `f`.
unsafe impl RawMutex for StdRawMutex {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self::new();

    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let _held = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        f()
    }
}
