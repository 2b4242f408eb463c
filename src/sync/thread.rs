//! Threads: a number for each, and waiting for another one.

extern crate std;

#[cfg(not(loom))]
use core::{
    cell::Cell,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// No thread's number: they count from zero, and none is given twice.
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

/// How often a waiter looks before it gives its time slice away: about a microsecond, several times what
/// anybody holds a lock of this crate for.
#[cfg(not(loom))]
const LOOKS: u32 = 32;
/// How often it does that before it goes to sleep: by then whom it waits for is not running, and not about to.
#[cfg(not(loom))]
const YIELDS: u32 = 32;
/// How long it sleeps at first, and at most.
#[cfg(not(loom))]
const NAPS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(1)];

/// Until another thread has made it so, which is soon, unless that one is not running.
#[cfg(not(loom))]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    let mut yields = 0;
    let [mut nap, longest_nap] = NAPS;
    loop {
        for _ in 0..LOOKS {
            if is_so() {
                return;
            }
            core::hint::spin_loop();
        }
        if yields < YIELDS {
            yields += 1;
            std::thread::yield_now();
        } else {
            std::thread::sleep(nap);
            nap = (nap * 2).min(longest_nap);
        }
    }
}

/// The same; in a model the others go on meanwhile.
#[cfg(loom)]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        loom::thread::yield_now();
    }
}
