//! Numbers for threads, from zero on; none is given twice.

extern crate std;

#[cfg(not(loom))]
use core::{
    cell::Cell,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// No thread's number.
pub(crate) const NONE: u32 = u32::MAX;
/// Of all threads that are begun when there are no other numbers left.
pub(crate) const SHARED: u32 = u32::MAX - 1;

/// Relaxed: any number will do.
fn give(next: &AtomicU32) -> u32 {
    next.fetch_update(Relaxed, Relaxed, |next| (next < SHARED).then(|| next + 1)).unwrap_or(SHARED)
}

#[cfg(not(loom))]
static NEXT: AtomicU32 = AtomicU32::new(0);

#[cfg(not(loom))]
std::thread_local! {
    static NUMBER: Cell<u32> = const { Cell::new(NONE) };
}

/// This thread's.
#[cfg(not(loom))]
#[inline]
pub(crate) fn number() -> u32 {
    if NUMBER.get() == NONE {
        NUMBER.set(give(&NEXT));
    }
    NUMBER.get()
}

#[cfg(loom)]
loom::lazy_static! {
    static ref NEXT: AtomicU32 = AtomicU32::new(0);
}

#[cfg(loom)]
loom::thread_local! {
    static NUMBER: u32 = give(&NEXT);
}

/// This thread's.
#[cfg(loom)]
pub(crate) fn number() -> u32 {
    NUMBER.with(|number| *number)
}
