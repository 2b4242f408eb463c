//! Leases: payloads in hand.

use core::fmt;
use core::hint::assert_unchecked;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::slice;

use super::allocate::Request;
use super::layout::{ArenaRef, MIN_PAGE_ALIGN};
use super::parcel::{Parcel, Parcels};
use super::quota::Home;
use super::rested::Rested;
use super::ticket::Ticket;
use super::waiting::Alloc;
use crate::error::{DepositError, TryAllocError};
use crate::sync::RawMutex;

/// A payload in hand, unique and writable.
///
/// The bytes stay at one address while it is held. They are *not* cleared at allocation: a fresh lease
/// shows whatever the pages held before. Dropping it frees the payload at once. Two words; dropping,
/// freezing and depositing are interrupt-safe and take constant time.
///
/// ```
/// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
/// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
/// let mut lease = ARENA.try_alloc(5)?;
/// lease.copy_from_slice(b"hello");
/// let ticket = lease.deposit();
/// assert_eq!(&*ARENA.redeem(ticket)?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LeaseMut<'a, M: RawMutex> {
    pub(super) arena: ArenaRef<'a, M>,
    pub(super) index: usize,
}

/// A payload in hand, shared and read-only.
///
/// Cloning shares the payload and never copies it. The last lease to go frees it, unless it is also at
/// rest somewhere. More than 16,383 leases of one payload at one time make it stay for ever, rather
/// than be freed too early.
///
/// ```
/// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
/// # static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
/// let lease = ARENA.try_alloc_from(b"shared")?;
/// let again = lease.clone();
/// assert!(core::ptr::eq(&lease[..], &again[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lease<'a, M: RawMutex> {
    pub(super) arena: ArenaRef<'a, M>,
    pub(super) index: usize,
}

impl<'a, M: RawMutex> LeaseMut<'a, M> {
    /// # Safety
    /// The caller hands over the only handle to `index`, which is in hand and not scattered.
    pub(super) unsafe fn from_raw(arena: ArenaRef<'a, M>, index: usize) -> Self {
        Self { arena, index }
    }

    /// The memory and its descriptor; the lease is the caller's to keep or to
    /// [release](ArenaRef::release_raw).
    pub(crate) fn into_raw(mut self) -> (core::ptr::NonNull<u8>, usize) {
        let memory = core::ptr::NonNull::from(&mut *self).cast();
        (memory, self.into_index())
    }

    pub(super) fn into_index(self) -> usize {
        ManuallyDrop::new(self).index
    }

    /// How many bytes fit: the length rounded up to whole pages.
    pub fn capacity(&self) -> usize {
        self.arena.row(self.index).pages() * self.arena.geometry().page_size
    }

    /// Changes the length, up to the [capacity](Self::capacity): allocate for the longest message, fill
    /// in, then cut to what was written. The pages stay.
    ///
    /// # Errors
    /// [`TryAllocError::TooLarge`] beyond the capacity; nothing changes.
    pub fn set_len(&mut self, len: usize) -> Result<(), TryAllocError> {
        if len > self.capacity() || len > u32::MAX as usize {
            return Err(TryAllocError::TooLarge);
        }
        self.arena.row(self.index).set_len(len);
        Ok(())
    }

    /// Makes it shareable and read-only.
    pub fn freeze(self) -> Lease<'a, M> {
        let arena = self.arena;
        Lease { arena, index: self.into_index() }
    }

    /// Puts the payload to rest. The ticket does not own it; see [`Ticket`].
    pub fn deposit(self) -> Ticket {
        let arena = self.arena;
        let index = self.into_index();
        arena.ticket_of(index, rest_unique(arena, index))
    }

    /// Puts the payload to rest, owned.
    pub fn into_parcel(self) -> Parcel<'a, M> {
        let arena = self.arena;
        let index = self.into_index();
        Parcel::new(arena, Rested::new(index, rest_unique(arena, index)))
    }

    /// The arena it lies in.
    pub fn arena(&self) -> ArenaRef<'a, M> {
        self.arena
    }
}

impl<'a, M: RawMutex> Lease<'a, M> {
    /// Puts this lease's share of the payload to rest. The ticket does not own it; see [`Ticket`].
    ///
    /// While other leases remain, the payload is in hand *and* at rest, and is not moved.
    ///
    /// # Errors
    /// The lease comes back when 16,382 tickets for this payload are out already.
    pub fn deposit(self) -> Result<Ticket, DepositError<Self>> {
        // Before the step, in which foreign code may panic: then the lease is gone already.
        let lease = ManuallyDrop::new(self);
        let Some(generation) = lease.arena.rest(lease.index) else {
            return Err(DepositError(ManuallyDrop::into_inner(lease)));
        };
        Ok(lease.arena.ticket_of(lease.index, generation))
    }

    /// Puts this lease's share to rest, owned.
    ///
    /// # Errors
    /// As for [`deposit`](Self::deposit).
    // As a call it is a fan-out to four of 1,783 instructions instead of 1,658. Firmware is compiled as a whole.
    #[cfg_attr(feature = "std", inline)]
    pub fn into_parcel(self) -> Result<Parcel<'a, M>, DepositError<Self>> {
        // Before the step, in which foreign code may panic: then the lease is gone already.
        let lease = ManuallyDrop::new(self);
        let Some(generation) = lease.arena.rest(lease.index) else {
            return Err(DepositError(ManuallyDrop::into_inner(lease)));
        };
        Ok(Parcel::new(lease.arena, Rested::new(lease.index, generation)))
    }

    /// Puts it to rest as so many parcels of the same payload, counted in one step: for one message to several
    /// receivers, each of which waits in its own channel. ([`fan_out`](crate::channel::fan_out) sends to several channels
    /// at once, [`fan_out_all`](crate::channel::fan_out_all) to all of them or to none.)
    ///
    /// ```
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    /// # static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// let parcels = ARENA.try_alloc_from(b"all of you")?.into_parcels(3).map_err(|_| "too many")?;
    /// for parcel in parcels {
    ///     assert_eq!(&*parcel.redeem()?, b"all of you");
    /// }
    /// assert_eq!(ARENA.snapshot().live, 0);
    /// drop(ARENA.try_alloc_from(b"nobody")?.into_parcels(3));
    /// assert_eq!(ARENA.snapshot().live, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The lease comes back when there would be more tickets than can be counted.
    pub fn into_parcels(self, count: usize) -> Result<Parcels<'a, M>, Self> {
        let lease = ManuallyDrop::new(self);
        let generation = match u32::try_from(count) {
            // There is nothing to rest as: it is given up.
            Ok(0) => Some(0),
            Ok(tickets) => lease.arena.rest_as(lease.index, tickets),
            Err(_) => None,
        };
        let Some(generation) = generation else { return Err(ManuallyDrop::into_inner(lease)) };
        let (arena, rested) = (lease.arena, Rested::new(lease.index, generation));
        if count == 0 {
            drop(ManuallyDrop::into_inner(lease));
        }
        Ok(Parcels { arena, rested, left: count })
    }

    /// Makes it writable, if this is the only lease and nothing of it is at rest.
    ///
    /// # Errors
    /// The lease comes back when the payload is shared.
    pub fn try_into_mut(self) -> Result<LeaseMut<'a, M>, Self> {
        let bits = self.arena.state(self.arena.row(self.index));
        // The state was read with Acquire, so the last uses of leases given up before are over. No
        // new handle can appear: each is made from a lease or a ticket, and this lease is all there is.
        if bits.in_hand() == 1 && bits.at_rest() == 0 {
            let lease = ManuallyDrop::new(self);
            Ok(LeaseMut { arena: lease.arena, index: lease.index })
        } else {
            Err(self)
        }
    }

    /// The arena it lies in.
    pub fn arena(&self) -> ArenaRef<'a, M> {
        self.arena
    }
}

/// Puts a unique lease's payload to rest.
#[inline]
fn rest_unique<M: RawMutex>(arena: ArenaRef<'_, M>, index: usize) -> u32 {
    match arena.rest_at_once(index) {
        Some(generation) => generation,
        // A unique lease is the payload's only handle, so there is no ticket yet and one more can be
        // counted: there is a generation.
        None => arena.rest(index).unwrap_or(0),
    }
}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Allocates `len` bytes, in hand, at once.
    ///
    /// The bytes are not cleared. A length of zero takes a descriptor and no page. Constant time
    /// in the common case (one of the size classes, or a free run that is long enough); else one
    /// short critical section for each shelved payload that is taken apart, and with `std` one for each sixteen that
    /// threads have put aside. Always interrupt-safe.
    ///
    /// # Errors
    /// [`TryAllocError::Full`] when there is no descriptor or no run of free pages for it now, or when
    /// others have been waiting longer; [`TryAllocError::TooLarge`] when there can never be one.
    #[inline]
    pub fn try_alloc(self, len: usize) -> Result<LeaseMut<'a, M>, TryAllocError> {
        match self.alloc_at_once(len) {
            Some(lease) => Ok(lease),
            None => self.try_alloc_slowly(len),
        }
    }

    /// The common case of an allocation; see [`take_shelved`](Self::take_shelved).
    #[inline(always)]
    pub(super) fn alloc_at_once(self, len: usize) -> Option<LeaseMut<'a, M>> {
        let class = len.wrapping_sub(1) >> self.geometry().page_shift;
        // SAFETY: a descriptor that was free, in hand once.
        self.take_shelved(class, len).map(|index| unsafe { LeaseMut::from_raw(self, index) })
    }

    #[cold]
    #[inline(never)]
    pub(super) fn try_alloc_slowly(self, len: usize) -> Result<LeaseMut<'a, M>, TryAllocError> {
        let request = self.request(len, 0)?;
        self.take_lease(request)
    }

    pub(super) fn take_lease(self, request: Request) -> Result<LeaseMut<'a, M>, TryAllocError> {
        match self.take(request) {
            // SAFETY: `take` hands over a descriptor that was free, in hand once.
            Ok(index) => Ok(unsafe { LeaseMut::from_raw(self, index) }),
            Err(_) => Err(self.refuse()),
        }
    }

    /// Counts that there was no room.
    pub(super) fn refuse(self) -> TryAllocError {
        self.core().map.with(|map| map.stats.failed = map.stats.failed.wrapping_add(1));
        TryAllocError::Full
    }

    /// Allocates and copies `bytes` in, once. The copy is made outside any lock.
    ///
    /// # Errors
    /// As for [`try_alloc`](Self::try_alloc).
    pub fn try_alloc_from(self, bytes: &[u8]) -> Result<Lease<'a, M>, TryAllocError> {
        let mut lease = self.try_alloc(bytes.len())?;
        lease.copy_from_slice(bytes);
        Ok(lease.freeze())
    }

    /// Allocates `len` bytes, waiting for memory, first come, first served.
    ///
    /// A request that waits for a long run is not overtaken by shorter ones. See [`Alloc`] for what
    /// dropping it does, and for deadlines and cancellation.
    pub fn alloc(self, len: usize) -> Alloc<'a, M> {
        Alloc::new(Home::common(self), len)
    }

    /// The bytes of a row in hand.
    #[inline]
    fn bytes(self, index: usize) -> (*mut u8, usize) {
        let row = self.row(index);
        let start = self.page(row.start());
        // So who reads or writes words in there is spared a search for the first whole one.
        // SAFETY: pages lie at `MIN_PAGE_ALIGN`, and their sizes are multiples of it.
        unsafe { assert_unchecked(start.addr() % MIN_PAGE_ALIGN == 0) };
        (start, row.len())
    }
}

impl<M: RawMutex> Deref for LeaseMut<'_, M> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        let (start, len) = self.arena.bytes(self.index);
        // SAFETY: the payload is in hand through this lease alone: its run stays in place, nobody else
        // reads or writes it, and `len` lies within it. The bytes are initialised: pages start zeroed
        // and only bytes are ever left behind in them (`Owned` clears up after itself).
        unsafe { slice::from_raw_parts(start, len) }
    }
}

impl<M: RawMutex> DerefMut for LeaseMut<'_, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let (start, len) = self.arena.bytes(self.index);
        // SAFETY: as in `deref`, and the lease is borrowed uniquely.
        unsafe { slice::from_raw_parts_mut(start, len) }
    }
}

impl<M: RawMutex> Deref for Lease<'_, M> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        let (start, len) = self.arena.bytes(self.index);
        // SAFETY: in hand, so the run stays in place; shared, so nobody writes it: a `LeaseMut` is the
        // only handle of its payload.
        unsafe { slice::from_raw_parts(start, len) }
    }
}

impl<M: RawMutex> Clone for Lease<'_, M> {
    #[inline(always)]
    fn clone(&self) -> Self {
        self.arena.retain(self.index);
        Self { arena: self.arena, index: self.index }
    }
}

impl<M: RawMutex> Drop for LeaseMut<'_, M> {
    fn drop(&mut self) {
        self.arena.release(self.index);
    }
}

impl<M: RawMutex> Drop for Lease<'_, M> {
    fn drop(&mut self) {
        self.arena.release(self.index);
    }
}

impl<M: RawMutex> AsRef<[u8]> for Lease<'_, M> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<M: RawMutex> AsRef<[u8]> for LeaseMut<'_, M> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<M: RawMutex> AsMut<[u8]> for LeaseMut<'_, M> {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl<M: RawMutex> fmt::Debug for LeaseMut<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseMut").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<M: RawMutex> fmt::Debug for Lease<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("len", &self.len()).finish_non_exhaustive()
    }
}
