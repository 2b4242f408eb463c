//! The arena: fixed memory for every payload, with descriptors, leases and tickets.
//!
//! Hand a payload in, get a numbered [`Ticket`]; redeem the ticket, get the payload back. What is *in
//! hand* ([`LeaseMut`], [`Lease`], [`Owned`]) stays at its address. What is *at rest* ([`Ticket`],
//! [`Parcel`]) belongs to nobody's borrow, so compaction may move it.
//!
//! One concept a file: where things lie ([`layout`](ArenaRef)), the page map, descriptors and their
//! state word, redeeming and giving up, what there is in stock, allocation, trays of threads, waiting for memory, leases, parcels, typed
//! values, scattered chains, homes (quotas), compaction, verification and dump.

mod allocate;
mod chain;
#[cfg(feature = "checksum")]
mod checksum;
mod compact;
#[cfg(feature = "correlation")]
mod correlation;
mod descriptor;
mod hook;
pub(crate) mod layout;
mod lease;
#[cfg(feature = "spill")]
mod load;
mod map;
mod owned;
mod parcel;
#[cfg(all(target_has_atomic = "64", any(feature = "std", loom)))]
mod pile;
mod quota;
mod redeem;
mod release;
mod rested;
mod shared;
mod snapshot;
mod stock;
mod ticket;
#[cfg(feature = "stamps")]
mod time;
#[cfg_attr(not(all(target_has_atomic = "64", any(feature = "std", loom))), path = "untrayed.rs")]
mod tray;
mod verify;
mod waiting;
mod weight;
mod within;
mod word;

#[cfg(all(test, not(loom)))]
mod tests;

use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::ptr::NonNull;

pub use chain::Chain;
pub use compact::Compaction;
pub use layout::ArenaRef;
pub use lease::{Lease, LeaseMut};
#[cfg(feature = "spill")]
pub(crate) use load::FULL;
pub use owned::Owned;
pub use parcel::{Parcel, Parcels};
pub use quota::{Home, HomeSnapshot};
pub use shared::Shared;
pub use snapshot::{ArenaSnapshot, Census, PayloadState, TicketDump};
pub use ticket::Ticket;
pub use verify::{Verdict, Violation};
pub use waiting::Alloc;
pub(crate) use weight::Weight;

use crate::error::{AllocValueError, RedeemError, TryAllocError};
use crate::sync::RawMutex;
use descriptor::Row;
use layout::{
    Core, Geometry, Index, MAX_DESCRIPTORS, MAX_PAGE_SIZE, MAX_PAGES, MIN_PAGE_ALIGN, MIN_PAGE_SIZE,
};
use quota::HomeRow;

/// Pages, aligned for anything a message is likely to hold.
#[cfg_attr(target_pointer_width = "64", repr(C, align(64)))]
#[cfg_attr(not(target_pointer_width = "64"), repr(C, align(8)))]
struct Pages<const PAGES: usize, const PAGE_SIZE: usize>(UnsafeCell<[[u8; PAGE_SIZE]; PAGES]>);

/// A fixed amount of memory: `PAGES` pages of `PAGE_SIZE` bytes, and a table of `DESCRIPTORS`.
///
/// It is `const`-constructed, needs no initialisation and no initialised data: a `static` one lies in
/// `.bss`. It never grows and never calls an allocator. `M` is the lock, as in embassy-sync: a critical
/// section on one core, [`SpinRawMutex`](crate::sync::SpinRawMutex) on several, `StdRawMutex` on a host.
///
/// The page size is a power of two from 16 bytes to 256 MiB. Memory cost besides the pages: 2 bytes a page and
/// 20 bytes a descriptor on a 32-bit target (4 and 32 on a 64-bit one), 12 bytes a home, and a header. With `std`
/// there are 10,880 bytes more, in which threads keep what they have freed for their own next allocations.
///
/// The operations are those of [`ArenaRef`], which code should take as a parameter: it is the same type
/// for arenas of every size. The ones used most are here, too.
///
/// ```
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex};
///
/// static ARENA: Arena<CriticalSectionRawMutex, 64, 64, 32> = Arena::new();
///
/// let mut message = ARENA.try_alloc(11)?;
/// message.copy_from_slice(b"hello world");
/// let ticket = message.deposit();          // a plain integer from here
/// let message = ARENA.redeem(ticket)?;     // to here
/// assert_eq!(&message[..], b"hello world");
/// assert!(ARENA.redeem(ticket).is_err());  // once only
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(C)]
pub struct Arena<
    M,
    const PAGES: usize,
    const PAGE_SIZE: usize,
    const DESCRIPTORS: usize,
    const HOMES: usize = 4,
> {
    core: Core<M>,
    rows: [Row; DESCRIPTORS],
    owners: UnsafeCell<[Index; PAGES]>,
    homes: UnsafeCell<[HomeRow; HOMES]>,
    pages: Pages<PAGES, PAGE_SIZE>,
}

// SAFETY: the header and the rows are `Sync`; the owner map and the homes are touched with the map's
// lock held only; pages belong to whoever holds their lease, or to the map.
unsafe impl<M: RawMutex + Sync, const P: usize, const S: usize, const D: usize, const H: usize> Sync
    for Arena<M, P, S, D, H>
{
}

impl<
    M: RawMutex,
    const PAGES: usize,
    const PAGE_SIZE: usize,
    const DESCRIPTORS: usize,
    const HOMES: usize,
> Arena<M, PAGES, PAGE_SIZE, DESCRIPTORS, HOMES>
{
    const GEOMETRY: Geometry = {
        assert!(
            PAGE_SIZE.is_power_of_two() && PAGE_SIZE >= MIN_PAGE_SIZE && PAGE_SIZE <= MAX_PAGE_SIZE,
            "page size: a power of two from 16 bytes to 256 MiB"
        );
        assert!(PAGES <= MAX_PAGES, "more pages than this target can count: use larger ones");
        assert!(DESCRIPTORS <= MAX_DESCRIPTORS, "more descriptors than a ticket can name");
        assert!(offset_of!(Self, rows) == Core::<M>::ROWS, "descriptors lie behind the header");
        assert!(HOMES >= 1 && HOMES <= 255, "from 1 to 255 homes");
        assert!(
            align_of::<Pages<PAGES, PAGE_SIZE>>() >= MIN_PAGE_ALIGN,
            "pages are aligned as leases tell the compiler"
        );
        Geometry {
            page_shift: PAGE_SIZE.trailing_zeros() as u8,
            page_size: PAGE_SIZE,
            page_count: PAGES,
            row_count: DESCRIPTORS,
            home_count: HOMES as u8,
            rows: Core::<M>::ROWS,
            owners: offset_of!(Self, owners),
            homes: offset_of!(Self, homes),
            pages: offset_of!(Self, pages),
        }
    };

    /// An arena with everything free.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            core: Core::new(),
            rows: [const { Row::new() }; DESCRIPTORS],
            owners: UnsafeCell::new([0; PAGES]),
            homes: UnsafeCell::new([const { HomeRow::new() }; HOMES]),
            pages: Pages(UnsafeCell::new([[0; PAGE_SIZE]; PAGES])),
        }
    }

    /// An arena with everything free.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            core: Core::new(),
            rows: core::array::from_fn(|_| Row::new()),
            owners: UnsafeCell::new([0; PAGES]),
            homes: UnsafeCell::new([const { HomeRow::new() }; HOMES]),
            pages: Pages(UnsafeCell::new([[0; PAGE_SIZE]; PAGES])),
        }
    }

    /// The arena without its sizes: what everything else takes.
    #[inline]
    pub fn handle(&self) -> ArenaRef<'_, M> {
        // SAFETY: `self` is laid out as GEOMETRY says (`repr(C)` and `offset_of`), was all zero when
        // it was made, and is borrowed for as long as the handle lives. The pointer comes from a
        // reference to the whole, and every part that is written through it is inside a cell.
        unsafe { ArenaRef::attach(NonNull::from(self).cast(), || Self::GEOMETRY) }
    }

    /// See [`ArenaRef::try_alloc`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn try_alloc(&self, len: usize) -> Result<LeaseMut<'_, M>, TryAllocError> {
        // As `ArenaRef::try_alloc`, with a page size that the compiler knows, and without a look at whether this is
        // the first use: then there is nothing on a shelf.
        // SAFETY: as in `handle`; taking from a shelf needs no geometry.
        let arena = unsafe { ArenaRef::unattached(NonNull::from(self).cast()) };
        match arena.take_shelved(len.wrapping_sub(1) / PAGE_SIZE, len) {
            // SAFETY: a descriptor that was free, in hand once.
            Some(index) => Ok(unsafe { LeaseMut::from_raw(arena, index) }),
            None => self.handle().try_alloc_slowly(len),
        }
    }

    /// See [`ArenaRef::try_alloc_from`].
    ///
    /// # Errors
    /// As there.
    pub fn try_alloc_from(&self, bytes: &[u8]) -> Result<Lease<'_, M>, TryAllocError> {
        self.handle().try_alloc_from(bytes)
    }

    /// See [`ArenaRef::try_alloc_value`].
    ///
    /// # Errors
    /// As there.
    pub fn try_alloc_value<T>(&self, value: T) -> Result<Owned<'_, T, M>, AllocValueError<T>> {
        self.handle().try_alloc_value(value)
    }

    /// See [`ArenaRef::alloc`].
    pub fn alloc(&self, len: usize) -> Alloc<'_, M> {
        self.handle().alloc(len)
    }

    /// See [`ArenaRef::redeem`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn redeem(&self, ticket: Ticket) -> Result<Lease<'_, M>, RedeemError> {
        // As `ArenaRef::redeem`, with a number of descriptors that the compiler knows, and without a look at whether
        // this is the first use: then no descriptor is in use.
        // SAFETY: as in `handle`; nothing that is done for a free descriptor needs the geometry.
        let arena = unsafe { ArenaRef::unattached(NonNull::from(self).cast()) };
        arena.redeem_among(ticket, DESCRIPTORS)
    }

    /// See [`ArenaRef::compact`].
    pub fn compact(&self, budget: usize) -> Compaction {
        self.handle().compact(budget)
    }

    /// See [`ArenaRef::snapshot`].
    pub fn snapshot(&self) -> ArenaSnapshot {
        self.handle().snapshot()
    }
}

impl<M: RawMutex, const P: usize, const S: usize, const D: usize, const H: usize> Default
    for Arena<M, P, S, D, H>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Memory an arena of a size chosen at run time takes, and where its parts lie in it.
#[cfg(feature = "std")]
pub(crate) mod mapped {
    use super::*;

    /// The parts of an arena in a region that begins with its header.
    pub(crate) struct Plan {
        geometry: Geometry,
        /// Bytes the region needs.
        pub(crate) bytes: usize,
    }

    /// Lays an arena out; `None` if it cannot be counted or addressed.
    pub(crate) fn plan<M>(
        pages: usize,
        page_size: usize,
        rows: usize,
        homes: usize,
    ) -> Option<Plan> {
        let sound = page_size.is_power_of_two()
            && (MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&page_size)
            && pages <= MAX_PAGES
            && rows <= MAX_DESCRIPTORS
            && (1..=255).contains(&homes);
        if !sound {
            return None;
        }
        let mut end = size_of::<Core<M>>();
        let mut part = |size: usize, count: usize, align: usize| {
            let start = end.checked_next_multiple_of(align)?;
            end = start.checked_add(size.checked_mul(count)?)?;
            Some(start)
        };
        // The descriptors come first, at `Core::ROWS`.
        let first = part(size_of::<Row>(), rows, align_of::<Row>())?;
        let geometry = Geometry {
            page_shift: page_size.trailing_zeros() as u8,
            page_size,
            page_count: pages,
            row_count: rows,
            home_count: homes as u8,
            rows: first,
            owners: part(size_of::<Index>(), pages, align_of::<Index>())?,
            homes: part(size_of::<HomeRow>(), homes, align_of::<HomeRow>())?,
            // Pages begin on a page of the operating system.
            pages: part(page_size, pages, 4096)?,
        };
        Some(Plan { geometry, bytes: end })
    }

    impl Plan {
        /// The arena in a region.
        ///
        /// # Safety
        /// `region` is `self.bytes` long, zeroed or used with this same plan before, aligned to a page
        /// of the operating system, valid for `'a`, and used by nobody else. `M`'s initial value is
        /// all zeros.
        pub(crate) unsafe fn attach<'a, M: RawMutex>(
            &self,
            region: NonNull<u8>,
        ) -> ArenaRef<'a, M> {
            // SAFETY: by the caller's word.
            unsafe { ArenaRef::attach(region.cast(), || self.geometry) }
        }

        /// Writes the header into a fresh, zeroed region.
        ///
        /// # Safety
        /// As for `attach`, but nobody uses the region yet.
        pub(crate) unsafe fn format<M: RawMutex>(&self, region: NonNull<u8>) {
            // SAFETY: the region is large enough and aligned. Rows and owners are zero as they
            // should be: all their fields are integers. Homes are written when they are opened; the arena's own has no row that anybody reads.
            unsafe { region.cast::<Core<M>>().write(Core::new()) }
        }
    }
}
