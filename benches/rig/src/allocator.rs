//! An allocator that counts, when it is told to.
//!
//! Counters that all threads share would be a toll on those who allocate. So allocations are counted in a round
//! of their own, which is not timed; in all others the price is one load of a flag that nobody writes.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// Which allocator a program runs under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Allocator {
    /// The one of the C library.
    System,
    /// The crate `mimalloc`.
    Mimalloc,
}

impl Allocator {
    /// Its name, for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Mimalloc => "mimalloc",
        }
    }
}

// Relaxed: figures, read by a thread that has joined those that changed them.
static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// Begins, or ends, to count.
pub fn count(whether: bool) {
    IS_COUNTING.store(whether, Relaxed);
}

/// Whether it counts.
pub fn is_counting() -> bool {
    IS_COUNTING.load(Relaxed)
}

/// Allocations while it counted.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// Bytes allocated less bytes freed, while it counted.
pub fn live_bytes() -> i64 {
    LIVE_BYTES.load(Relaxed)
}

/// Another allocator, counted.
pub struct Counting<A>(pub A);

fn taken(bytes: usize) {
    if is_counting() {
        ALLOCATIONS.fetch_add(1, Relaxed);
        LIVE_BYTES.fetch_add(bytes as i64, Relaxed);
    }
}

fn given_back(bytes: usize) {
    if is_counting() {
        LIVE_BYTES.fetch_sub(bytes as i64, Relaxed);
    }
}

// SAFETY: each call is passed on as it is, to an allocator that keeps the contract.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: passed on.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: passed on.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        given_back(layout.size());
        taken(new_size);
        // SAFETY: passed on.
        unsafe { self.0.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        given_back(layout.size());
        // SAFETY: passed on.
        unsafe { self.0.dealloc(block, layout) }
    }
}
