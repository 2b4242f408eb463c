//! What channels count about a message: how long it is, and whether it was copied.

use core::marker::PhantomData;

use super::descriptor::Row;
use super::parcel::Parcel;
use crate::sync::RawMutex;

/// What there is to be known about a message, without taking it in hand.
pub(crate) struct Weight<'p> {
    pub(crate) bytes: u32,
    /// Its bytes were copied into the arena to be sent. Told once.
    pub(crate) copied: bool,
    /// The time of its arena.
    #[cfg(feature = "stamps")]
    pub(crate) now: u32,
    /// When it was allocated.
    #[cfg(feature = "stamps")]
    pub(crate) stamp: u32,
    /// When it was sent, for its channel to note down and to look up.
    #[cfg(feature = "histograms")]
    pub(crate) sent: &'p mut u32,
    _parcel: PhantomData<&'p mut u32>,
}

impl<M: RawMutex> Parcel<'_, M> {
    /// Its descriptor.
    #[inline]
    pub(super) fn index(&self) -> usize {
        self.rested.index()
    }

    /// The same, marked as copied.
    pub(crate) fn copied(mut self) -> Self {
        self.rested.set_copied(true);
        self
    }

    /// Fetches its descriptor, which is about to be changed. As for `weigh`, `M` need not be its arena's.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn fetch_row(&self) {
        crate::prefetch::to_write(self.arena.row_whatever_lock(self.index()));
    }

    /// Fetches its payload, or the beginning of it. The descriptor should have been fetched before.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn fetch_payload(&self) {
        let row = self.arena.row_whatever_lock(self.index());
        // If it is being moved, that may be where it was.
        crate::prefetch::lines(self.arena.page(row.start()), row.len(), crate::prefetch::to_read);
    }

    /// Weighs it, and takes the mark off. Constant time, without a lock, so `M` need not be its arena's: the length
    /// of a payload at rest does not change. (If somebody has redeemed its number behind its back it may be another payload's.)
    #[inline]
    pub(crate) fn weigh(&mut self) -> Weight<'_> {
        let copied = self.take_mark();
        let row = self.arena.row_whatever_lock(self.index());
        self.weight(row, copied)
    }

    /// The same by who knows that `M` is its arena's lock.
    #[inline]
    pub(crate) fn weigh_at_home(&mut self) -> Weight<'_> {
        let copied = self.take_mark();
        let row = self.arena.row(self.index());
        self.weight(row, copied)
    }

    #[inline(always)]
    fn take_mark(&mut self) -> bool {
        let copied = self.rested.is_copied();
        // On a host only if it is there: it is then moved in one piece, and what has just been written in several a processor waits for.
        if copied || !cfg!(feature = "std") {
            self.rested.set_copied(false);
        }
        copied
    }

    #[inline(always)]
    fn weight(&mut self, row: &Row, copied: bool) -> Weight<'_> {
        Weight {
            // Lossless: an arena refuses longer ones.
            bytes: row.len() as u32,
            copied,
            #[cfg(feature = "stamps")]
            now: self.arena.head().now.now(),
            #[cfg(feature = "stamps")]
            stamp: row.stamp(),
            #[cfg(feature = "histograms")]
            sent: &mut self.sent,
            _parcel: PhantomData,
        }
    }
}
