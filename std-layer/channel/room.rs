//! Slots on the heap, as many as are asked for, all allocated when the channel is made.

use std::boxed::Box;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::siding::Siding;
use crate::channel::aside::HasAside;
use crate::channel::buffered::MOST;
use crate::channel::room::{Blank, Room, Slots};
use crate::channel::store::sealed::Sealed;
use crate::channel::weigh::{MayWeigh, Weighing};

/// Room whose size is chosen when the channel is made.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OnHeap<W = MayWeigh>(PhantomData<fn() -> W>);

impl<W> Sealed for OnHeap<W> {}

impl<W: Weighing> HasAside for OnHeap<W> {
    type Aside<T> = Siding<T>;
    type Weighs = W;
}

impl<W: Weighing> Room for OnHeap<W> {
    type Of<T: Blank> = HeapSlots<T>;
    const LEN: Option<usize> = None;
}

/// Slots in one allocation, which never grows.
///
/// A pointer and a number of 32 bits, without a gap: there is one of these in each of many channels that are idle. (In this
/// order the pointer lies in one cache line, in a channel's state as it is.)
#[doc(hidden)]
#[repr(C, packed(4))]
pub struct HeapSlots<T> {
    first: NonNull<T>,
    count: u32,
}

impl<T: Blank> HeapSlots<T> {
    /// So many; one at least, and no more than [`MOST`].
    ///
    /// # Panics
    /// When that much memory cannot be addressed.
    pub(super) fn new(count: usize) -> Self {
        // Lossless: so many are counted.
        let count = count.clamp(1, MOST) as u32;
        let slots: Box<[T]> = (0..count).map(|_| T::BLANK).collect();
        Self { count, first: NonNull::from(Box::leak(slots)).cast() }
    }
}

impl<T> HeapSlots<T> {
    #[inline(always)]
    fn slice(&self) -> NonNull<[T]> {
        // Lossless: addresses have 32 bits at least.
        NonNull::slice_from_raw_parts(self.first, self.count as usize)
    }
}

impl<T: Blank> Slots<T> for HeapSlots<T> {
    const BLANK: Self = Self { count: 0, first: NonNull::dangling() };
    #[inline]
    fn all(&self) -> &[T] {
        // SAFETY: so many slots were allocated there, filled, and are this one's alone until it is dropped; or there are none.
        unsafe { self.slice().as_ref() }
    }
    #[inline]
    fn all_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `all`.
        unsafe { self.slice().as_mut() }
    }
}

impl<T> Drop for HeapSlots<T> {
    fn drop(&mut self) {
        // SAFETY: they came from a box in `new`, as many, or there are none, for which a box has no memory either. Nobody refers
        // to them any more.
        drop(unsafe { Box::from_raw(self.slice().as_ptr()) });
    }
}
