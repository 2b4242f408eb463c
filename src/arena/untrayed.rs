//! Where there are no threads, or state words do not change by compare-exchange, there are no trays.

use super::descriptor::Row;
use super::layout::ArenaRef;
use super::word::Bits;
use crate::sync::RawMutex;

pub(super) struct HasTrays<M>(core::marker::PhantomData<M>);

impl<M> HasTrays<M> {
    pub(super) const YES: bool = false;
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Closings;

impl Closings {
    pub(super) const NONE: Self = Self;

    pub(super) fn next(self) -> Self {
        self
    }
}

pub(super) struct Trays;

impl Trays {
    pub(super) const fn new() -> Self {
        Self
    }
    pub(super) fn close(&self, _closed: bool) {}
}

impl<M: RawMutex> ArenaRef<'_, M> {
    #[inline]
    pub(super) fn take_from_tray(self, _class: usize, _len: usize) -> Option<usize> {
        None
    }
    #[inline]
    pub(super) fn put_at_once(self, _index: usize) -> bool {
        false
    }
    #[inline]
    pub(super) fn put_on_tray(self, _index: usize, _row: &Row, _bits: Bits) -> bool {
        false
    }
    #[inline]
    pub(super) fn clear_trays(self) {}
}
