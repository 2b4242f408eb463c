//! Slots on the heap, as many as are asked for, all allocated when the channel is made.

use std::boxed::Box;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::vec::Vec;

use super::lanes::Lanes;
use crate::channel::room::{Blank, Room, Slots};
use crate::channel::store::sealed::Sealed;

/// Room whose size is chosen when the channel is made.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OnHeap;

impl Sealed for OnHeap {}

impl Room for OnHeap {
    type Of<T: Blank> = HeapSlots<T>;
    type Aside<T> = Lanes<T>;
    const LEN: Option<usize> = None;
}

/// Slots in one allocation, which never grows. Owned through a bare pointer, as lanes use them, too.
#[doc(hidden)]
pub struct HeapSlots<T>(NonNull<[T]>);

impl<T: Blank> HeapSlots<T> {
    pub(super) fn new(count: usize) -> Self {
        let mut slots = Vec::with_capacity(count);
        slots.resize_with(count, || T::BLANK);
        Self(NonNull::from(Box::leak(slots.into_boxed_slice())))
    }
}

impl<T> HeapSlots<MaybeUninit<T>> {
    /// The first one, and how many there are.
    pub(super) fn as_parts(&self) -> (NonNull<MaybeUninit<T>>, usize) {
        (self.0.cast(), self.0.len())
    }
}

impl<T: Blank> Slots<T> for HeapSlots<T> {
    const BLANK: Self = Self(NonNull::slice_from_raw_parts(NonNull::dangling(), 0));
    #[inline]
    fn all(&self) -> &[T] {
        // SAFETY: the slots are this one's; lanes use them only while they are lent, and then the ring does not.
        unsafe { self.0.as_ref() }
    }
    #[inline]
    fn all_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for HeapSlots<T> {
    fn drop(&mut self) {
        // SAFETY: it was leaked from a box in `new` (an empty slice is a box without memory), and is dropped once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
