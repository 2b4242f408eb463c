//! What a channel on the heap takes from the allocator while nothing happens in it. Every byte is accounted for in ARCHITECTURE.md,
//! "Figures".
#![cfg(all(feature = "std", target_pointer_width = "64", not(any(loom, shuttle))))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use cloakroom::Parcel;
use cloakroom::channel::{Counted, Meeting};
use cloakroom::std_layer::StdRawMutex;
use cloakroom::std_layer::channel::{Bounded, Messages, bounded, messages, rendezvous};

thread_local! {
    /// Bytes, and pieces, that this thread has taken and not given back. May wrap: it gives others' back, too.
    static TAKEN: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

struct Counting;

// SAFETY: passes everything on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| {
            let (bytes, pieces) = taken.get();
            taken.set((bytes.wrapping_add(layout.size()), pieces.wrapping_add(1)));
        });
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = TAKEN.try_with(|taken| {
            let (bytes, pieces) = taken.get();
            taken.set((bytes.wrapping_sub(layout.size()), pieces.wrapping_sub(1)));
        });
        // SAFETY: passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `make` takes, and that it is given back.
fn taken_by<E>(make: impl FnOnce() -> E) -> (usize, usize) {
    let before = TAKEN.get();
    let ends = make();
    let (bytes, pieces) = TAKEN.get();
    drop(ends);
    assert_eq!(TAKEN.get(), before);
    (bytes.wrapping_sub(before.0), pieces.wrapping_sub(before.1))
}

#[test]
fn idle_channels_are_small() {
    // What a program does once.
    drop(bounded::<u64>(1));
    assert_eq!(taken_by(|| bounded::<u64>(1)), (120 + 8, 2));
    assert_eq!(taken_by(|| bounded::<u64>(16)), (120 + 16 * 8, 2));
    assert_eq!(taken_by(|| bounded::<[u8; 3]>(5)), (120 + 5 * 3, 2));
    assert_eq!(taken_by(rendezvous::<u64>), (120, 1));
    if cfg!(not(feature = "stamps")) {
        let parcels = 16 * size_of::<Parcel<'static, StdRawMutex>>();
        assert_eq!(taken_by(|| messages(16)), (152 + parcels, 2));
    }
}

#[test]
fn so_are_channels_elsewhere() {
    assert_eq!(size_of::<Counted<StdRawMutex, u64, Bounded>>(), 120);
    assert_eq!(size_of::<Counted<StdRawMutex, u64, Meeting>>(), 120);
    if cfg!(not(feature = "stamps")) {
        assert_eq!(size_of::<Counted<StdRawMutex, u64, Messages>>(), 152);
    }
}
