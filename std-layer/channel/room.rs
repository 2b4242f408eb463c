//! Slots on the heap, as many as are asked for, all allocated when the channel is made.

use std::boxed::Box;

use super::siding::Siding;
use crate::channel::aside::HasAside;
use crate::channel::room::{Blank, Room, Slots};
use crate::channel::store::sealed::Sealed;

/// Room whose size is chosen when the channel is made.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OnHeap;

impl Sealed for OnHeap {}

impl HasAside for OnHeap {
    type Aside<T> = Siding<T>;
}

impl Room for OnHeap {
    type Of<T: Blank> = HeapSlots<T>;
    const LEN: Option<usize> = None;
}

/// Slots in one allocation, which never grows.
#[doc(hidden)]
pub struct HeapSlots<T>(Option<Box<[T]>>);

impl<T: Blank> HeapSlots<T> {
    pub(super) fn new(count: usize) -> Self {
        Self(Some((0..count).map(|_| T::BLANK).collect()))
    }
}

impl<T: Blank> Slots<T> for HeapSlots<T> {
    const BLANK: Self = Self(None);
    #[inline]
    fn all(&self) -> &[T] {
        self.0.as_deref().unwrap_or_default()
    }
    #[inline]
    fn all_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}
