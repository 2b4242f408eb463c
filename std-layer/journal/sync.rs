//! The lock and the condition variable: shuttle's under it.

use std::sync::PoisonError;
use std::time::Duration;

#[cfg(shuttle)]
pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(shuttle))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

/// Waits until it is notified, or that time has passed.
#[cfg(not(shuttle))]
pub(super) fn wait_at_most<'s, T>(
    _: &'s Mutex<T>,
    condvar: &Condvar,
    guard: MutexGuard<'s, T>,
    most: Duration,
) -> MutexGuard<'s, T> {
    condvar.wait_timeout(guard, most).unwrap_or_else(PoisonError::into_inner).0
}

/// In a model time does not pass for a condition variable: it has passed after any number of turns of others.
#[cfg(shuttle)]
pub(super) fn wait_at_most<'s, T>(
    mutex: &'s Mutex<T>,
    _: &Condvar,
    guard: MutexGuard<'s, T>,
    _: Duration,
) -> MutexGuard<'s, T> {
    drop(guard);
    shuttle::thread::yield_now();
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
