//! Where a channel on the heap has its lanes once it is in use.
//!
//! Lanes take six cache lines, several times what the rest of a channel does, and most channels of a program that has many
//! are idle. So a channel has a pointer to its lanes, which are made when some values have gone through its lock. They
//! lie in memory of the program's own, which is there from its start; only when so many channels are in use at once that all of it is,
//! they are allocated. Nothing waits for them: without lanes a channel goes by its lock.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicPtr, Ordering};

#[cfg(loom)]
use loom::sync::atomic::Ordering;

use super::lanes::Lanes;
use crate::channel::aside::{Aside, Missed};
use crate::channel::store::sealed::Sealed;
#[cfg(loom)]
use crate::std_layer::modelled::AtomicPtr;

/// How many values have been sent when a channel is in use. What lanes save is hardly to be measured before.
/// (A model checker has few values to pass, and is to see lanes all the same.)
const IN_USE: u32 = if cfg!(loom) { 0 } else { 16 };

/// The lanes of a channel, if it has been in use.
#[doc(hidden)]
pub struct Siding<T>(AtomicPtr<Lanes<T>>);

impl<T> Drop for Siding<T> {
    fn drop(&mut self) {
        // Relaxed: whoever made them was done with that before the channel could be dropped.
        if let Some(lanes) = NonNull::new(self.0.load(Ordering::Relaxed)) {
            // SAFETY: they came from `take`, and nobody has the channel, or them, any more.
            unsafe { give_back(lanes) };
        }
    }
}

impl<T> Sealed for Siding<T> {}

impl<T> Aside<T> for Siding<T> {
    #[cfg(not(loom))]
    const NEW: Self = Self(AtomicPtr::new(ptr::null_mut()));
    #[cfg(loom)]
    const NEW: Self = Self(AtomicPtr::null());
    const LENDS: bool = true;
    type Lanes = Lanes<T>;

    #[inline]
    fn lanes(&self) -> Option<&Lanes<T>> {
        // Acquire pairs with the Release in `make`: the lanes are seen as they were made.
        let lanes = NonNull::new(self.0.load(Ordering::Acquire))?;
        // SAFETY: they were made by `make`, are this channel's, and stay until it is dropped.
        Some(unsafe { lanes.as_ref() })
    }

    #[inline]
    fn is_wanted(sent: u32) -> bool {
        sent >= IN_USE
    }

    fn make(&self) -> bool {
        let Some(lanes) = take() else { return false };
        // Release pairs with the Acquire in `lanes`. Relaxed if it fails: then these are not used.
        let made = self.0.compare_exchange(
            ptr::null_mut(),
            lanes.as_ptr(),
            Ordering::Release,
            Ordering::Relaxed,
        );
        if made.is_err() {
            // SAFETY: they came from `take`, and nobody has seen them.
            unsafe { give_back(lanes) };
        }
        made.is_ok()
    }

    #[inline(always)]
    fn send_at_once(&self, place: &mut Option<T>) -> Result<bool, Missed<()>> {
        let lanes = self.lanes().ok_or(Missed::Shut(()))?;
        if lanes.send_from(place) { Ok(true) } else { lanes.may_send().map(|()| false) }
    }

    #[inline(always)]
    fn recv_at_once(&self) -> Result<Option<T>, Missed<()>> {
        let lanes = self.lanes().ok_or(Missed::Shut(()))?;
        match lanes.recv_at_once() {
            Some(value) => Ok(Some(value)),
            None => lanes.may_recv().map(|()| None),
        }
    }

    #[inline(always)]
    fn send(&self, value: T, counts: bool) -> Result<(), Missed<T>> {
        match self.lanes() {
            Some(lanes) => lanes.send(value, counts),
            None => Err(Missed::Shut(value)),
        }
    }

    #[inline(always)]
    fn send_unhurried(&self, value: T) -> Result<(), Missed<T>> {
        match self.lanes() {
            Some(lanes) => lanes.send_unhurried(value),
            None => Err(Missed::Shut(value)),
        }
    }

    fn send_again(&self, value: T) -> Result<(), Missed<T>> {
        match self.lanes() {
            Some(lanes) => lanes.send_again(value),
            None => Err(Missed::Shut(value)),
        }
    }

    fn recv_again(&self) -> Result<T, Missed<()>> {
        self.lanes().ok_or(Missed::Shut(()))?.recv_again()
    }

    #[inline(always)]
    fn recv(&self, counts: bool) -> Result<T, Missed<()>> {
        self.lanes().ok_or(Missed::Shut(()))?.recv(counts)
    }

    #[inline(always)]
    fn recv_unhurried(&self) -> Result<T, Missed<()>> {
        self.lanes().ok_or(Missed::Shut(()))?.recv_unhurried()
    }

    fn note_send(&self, waited: bool) {
        if let Some(lanes) = self.lanes() {
            lanes.note_send(waited);
        }
    }

    fn note_recv(&self, waited: bool) {
        if let Some(lanes) = self.lanes() {
            lanes.note_recv(waited);
        }
    }

    #[inline]
    fn recv_many(&self, into: &mut [MaybeUninit<T>]) -> Result<usize, Missed<()>> {
        self.lanes().ok_or(Missed::Shut(()))?.recv_many(into)
    }

    fn note_send_looks(&self) {
        if let Some(lanes) = self.lanes() {
            lanes.note_send_looks();
        }
    }

    fn note_recv_looks(&self) {
        if let Some(lanes) = self.lanes() {
            lanes.note_recv_looks();
        }
    }

    #[inline]
    fn batch(&self) -> usize {
        self.lanes().map_or(0, Lanes::batch)
    }
}

/// Places for the lanes of so many channels: 24 KiB, which the system provides when they are used.
/// (A model checker's atomics must not outlive a run of its model, so there all are allocated.)
const PLACES: usize = if cfg!(loom) { 0 } else { u64::BITS as usize };

/// The program's own lanes, and a bit for each that is taken.
struct Depot {
    taken: AtomicU64,
    places: [UnsafeCell<MaybeUninit<Lanes<()>>>; PLACES],
}

// SAFETY: a place is touched by whoever has set its bit alone, until that one clears it.
unsafe impl Sync for Depot {}

static DEPOT: Depot = Depot {
    taken: AtomicU64::new(0),
    places: [const { UnsafeCell::new(MaybeUninit::uninit()) }; PLACES],
};

impl Depot {
    fn take(&self) -> Option<*mut Lanes<()>> {
        // Orderings of the standard library: a model has no places.
        use std::sync::atomic::Ordering;
        let mut taken = self.taken.load(Ordering::Relaxed);
        loop {
            let place = self.places.get(taken.trailing_ones() as usize)?;
            // The lowest one that is clear. Acquire pairs with the Release in `give_back`: who had the place is done with it.
            let exchanged = self.taken.compare_exchange_weak(
                taken,
                taken | (taken + 1),
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) => return Some(place.get().cast()),
                Err(now) => taken = now,
            }
        }
    }

    /// Whether these were its own.
    fn give_back(&self, lanes: *mut Lanes<()>) -> bool {
        use std::sync::atomic::Ordering;
        let offset = lanes.addr().wrapping_sub(self.places.as_ptr().addr());
        if offset >= size_of_val(&self.places) {
            return false;
        }
        // Release: see `take`.
        self.taken.fetch_and(!(1 << (offset / size_of::<Lanes<()>>())), Ordering::Release);
        true
    }
}

/// Lanes with nothing lent; none if there is no memory.
fn take<T>() -> Option<NonNull<Lanes<T>>> {
    const { assert!(size_of::<Lanes<T>>() == size_of::<Lanes<()>>()) };
    // SAFETY: their size is not zero.
    let allocate = || unsafe { alloc(Layout::new::<Lanes<T>>()) }.cast();
    let lanes = NonNull::new(DEPOT.take().map_or_else(allocate, <*mut _>::cast))?;
    // SAFETY: a place for lanes, which lie in memory alike for any `T`; nobody else has it.
    unsafe { lanes.write(Lanes::NEW) };
    // SAFETY: written just now, and still nobody else's.
    #[cfg(loom)]
    unsafe {
        lanes.as_ref().begin();
    }
    Some(lanes)
}

/// # Safety
/// They came from [`take`], and are not used any more.
unsafe fn give_back<T>(lanes: NonNull<Lanes<T>>) {
    // SAFETY: by the caller's word. In a model they have something to drop.
    unsafe { lanes.drop_in_place() };
    if !DEPOT.give_back(lanes.as_ptr().cast()) {
        // SAFETY: they were no place of the depot, so they were allocated, with this layout.
        unsafe { dealloc(lanes.as_ptr().cast(), Layout::new::<Lanes<T>>()) };
    }
}
