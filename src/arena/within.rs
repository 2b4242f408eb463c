//! What a channel does with a message's payload in its own critical section, where that keeps everybody out of the arena,
//! too: the common cases of putting it to rest and of taking it in hand.

use core::hint::assert_unchecked;
use core::mem::{ManuallyDrop, forget};

use super::layout::{ArenaRef, MAX_DESCRIPTORS};
use super::lease::{Lease, LeaseMut};
use super::parcel::Parcel;
use super::rested::Rested;
use crate::sync::RawMutex;

impl<'a, M: RawMutex> LeaseMut<'a, M> {
    /// Puts the payload to rest, if that concerns nobody else.
    ///
    /// # Safety
    /// As for [`Locked::within`](crate::sync::Locked::within). If it succeeds, the parcel takes the lease's place, which is
    /// not used again.
    #[inline]
    pub(crate) unsafe fn rest_within(&self) -> Option<Parcel<'a, M>> {
        // SAFETY: passed on; the reference goes no further than this function.
        let map = unsafe { self.arena.core().map.within() };
        let row = self.arena.row(self.index);
        let generation = self.arena.rest_held(map, row)?;
        // SAFETY: a lease's descriptor is one of its arena's. (So its number bears no mark.)
        unsafe { assert_unchecked(self.index < MAX_DESCRIPTORS) };
        Some(Parcel::new(self.arena, Rested::new(self.index, generation)))
    }
}

impl<'a, M: RawMutex> Lease<'a, M> {
    /// Its arena and descriptor; the lease is the caller's to [put together](Self::from_parts) again.
    #[inline(always)]
    pub(crate) fn into_parts(self) -> (ArenaRef<'a, M>, usize) {
        let lease = ManuallyDrop::new(self);
        (lease.arena, lease.index)
    }

    /// # Safety
    /// These are the parts of a lease, which is put together once.
    #[inline(always)]
    pub(crate) unsafe fn from_parts(arena: ArenaRef<'a, M>, index: usize) -> Self {
        Self { arena, index }
    }
}

impl<'a, M: RawMutex> Parcel<'a, M> {
    /// Takes the payload in hand, if that concerns nobody else.
    ///
    /// # Errors
    /// The parcel comes back.
    ///
    /// # Safety
    /// As for [`Locked::within`](crate::sync::Locked::within).
    #[inline]
    pub(crate) unsafe fn redeem_within(self) -> Result<Lease<'a, M>, Self> {
        let (arena, index) = (self.arena, self.index());
        // SAFETY: passed on; the reference goes no further than this function.
        let map = unsafe { arena.core().map.within() };
        if !arena.row(index).redeem_held(map, self.rested.generation()) {
            return Err(self);
        }
        // It has become the lease.
        forget(self);
        Ok(Lease { arena, index })
    }
}
