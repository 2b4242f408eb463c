//! Where everything lies: the arena's header, its tables, and the erased handle to them.
//!
//! ```text
//!  Arena (or mapped region)
//!  ┌──────────┬────────────────────┬────────────────┬──────────────┬───────────────────────┐
//!  │ Core<M>  │ descriptors        │ owner map      │ homes        │ pages                 │
//!  │ header   │ DESCRIPTORS × Row  │ PAGES × Index  │ HOMES × Home │ PAGES × PAGE_SIZE     │
//!  └──────────┴────────────────────┴────────────────┴──────────────┴───────────────────────┘
//! ```
//!
//! [`ArenaRef`] points to the header with the right to reach all of it, and is what leases and
//! channels hold, so they are compiled once for arenas of every size. All parts are zero at first:
//! a `static` arena needs no initialised data. The sizes enter the header at the first use.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use super::descriptor::Row;
use super::map::Map;
use super::quota::HomeRow;
use crate::sync::atomic::Ordering;
use crate::sync::plain::{AtomicBool, AtomicU32};
use crate::sync::{Locked, RawMutex, const_fn};

/// Counts pages and descriptors. Half its range is usable: the owner map keeps a mark in the top bit.
#[cfg(target_pointer_width = "64")]
pub(super) type Index = u32;
#[cfg(not(target_pointer_width = "64"))]
pub(super) type Index = u16;

#[cfg(target_pointer_width = "64")]
pub(super) type AtomicIndex = AtomicU32;
#[cfg(not(target_pointer_width = "64"))]
pub(super) type AtomicIndex = crate::sync::plain::AtomicU16;

/// The most pages, and the most descriptors, an arena of this target can have.
pub(super) const MAX_PAGES: usize = (Index::MAX >> 1) as usize - 1;
pub(super) const MAX_DESCRIPTORS: usize = {
    let by_ticket = 1 << super::ticket::INDEX_BITS;
    if MAX_PAGES < by_ticket { MAX_PAGES } else { by_ticket }
};
/// What the shelves hold must be counted in 32 bits.
pub(super) const MAX_PAGE_SIZE: usize = 1 << 28;
/// A free run keeps two links in its first page, and words are copied in blocks.
pub(super) const MIN_PAGE_SIZE: usize = 16;
/// What every page is aligned to, in every arena: see [`Pages`](super::Pages).
pub(super) const MIN_PAGE_ALIGN: usize = 8;

/// Sizes, and offsets from the header in bytes.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    /// The page size is two to this. In one byte, as is the number of homes: the header is RAM.
    pub(super) page_shift: u8,
    /// The same again: for some uses a multiplication is shorter than a shift.
    pub(super) page_size: usize,
    pub(super) page_count: usize,
    pub(super) row_count: usize,
    pub(super) home_count: u8,
    /// [`Core::ROWS`], for those who do not know the lock.
    pub(super) rows: usize,
    pub(super) owners: usize,
    pub(super) homes: usize,
    pub(super) pages: usize,
}

impl Geometry {
    const NONE: Self = Self {
        page_shift: 0,
        page_size: 0,
        page_count: 0,
        row_count: 0,
        home_count: 0,
        rows: 0,
        owners: 0,
        homes: 0,
        pages: 0,
    };
}

/// The arena's header.
#[repr(C)]
pub(crate) struct Core<M> {
    /// First, so that it is found without knowing the lock.
    head: Head,
    pub(super) map: Locked<M, Map>,
}

/// What the lock does not guard.
pub(crate) struct Head {
    /// Set once `geometry` and the map are in place.
    pub(super) ready: AtomicBool,
    /// Mixed into tickets; changes only while nothing is live.
    pub(super) epoch: AtomicU32,
    #[cfg(feature = "checksum")]
    pub(super) checksums: AtomicBool,
    /// The time that new payloads are stamped with.
    #[cfg(feature = "stamps")]
    pub(super) now: super::time::Time,
    /// A waiter is stuck behind payloads in hand: who puts one to rest should tell.
    pub(super) stalled: AtomicBool,
    pub(super) trays: super::tray::Trays,
    geometry: UnsafeCell<Geometry>,
}

impl<M> Deref for Core<M> {
    type Target = Head;

    #[inline]
    fn deref(&self) -> &Head {
        &self.head
    }
}

// SAFETY: `geometry` is written once, under the map's lock, before `ready` is set with Release, and
// read only after `ready` was seen with Acquire. Everything else is atomic or locked.
unsafe impl<M: RawMutex + Sync> Sync for Core<M> {}

impl<M: RawMutex> Core<M> {
    /// Where the descriptors lie: right behind the header, in every arena. As a constant it is part of an
    /// instruction, which saves two for each look at a descriptor.
    pub(super) const ROWS: usize = size_of::<Self>().next_multiple_of(align_of::<Row>());

    const_fn! {
        pub(super) const fn new() -> Self {
            Self {
                head: Head {
                    ready: AtomicBool::new(false),
                    epoch: AtomicU32::new(0),
                    #[cfg(feature = "checksum")]
                    checksums: AtomicBool::new(false),
                    #[cfg(feature = "stamps")]
                    now: super::time::Time::new(),
                    stalled: AtomicBool::new(false),
                    trays: super::tray::Trays::new(),
                    geometry: UnsafeCell::new(Geometry::NONE),
                },
                map: Locked::new(Map::new()),
            }
        }
    }
}

/// A handle to an arena of any size: what leases, channels and kernels hold.
///
/// It is one pointer, `Copy`, and has all of the arena's operations. Get one from
/// [`Arena::handle`](crate::Arena::handle).
///
/// ```
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex};
///
/// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
/// let arena = ARENA.handle();
/// let lease = arena.try_alloc(100)?;
/// assert_eq!(lease.len(), 100);
/// # Ok::<(), cloakroom::TryAllocError>(())
/// ```
#[repr(transparent)]
pub struct ArenaRef<'a, M> {
    core: NonNull<Core<M>>,
    _arena: PhantomData<&'a Core<M>>,
}

impl<M> Clone for ArenaRef<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for ArenaRef<'_, M> {}

// SAFETY: an `ArenaRef` is a shared borrow of the arena, and everything it reaches is atomic, locked
// by `M`, or owned by a lease; so it may be sent and shared where `M` may be shared.
unsafe impl<M: RawMutex + Sync> Send for ArenaRef<'_, M> {}
// SAFETY: as above.
unsafe impl<M: RawMutex + Sync> Sync for ArenaRef<'_, M> {}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// # Safety
    /// `core` is the header of a zero-initialised or already used arena laid out as `geometry` says,
    /// with provenance over all of it, and valid for `'a`. Every call for one arena gives the same
    /// geometry.
    #[inline]
    pub(super) unsafe fn attach(
        core: NonNull<Core<M>>,
        geometry: impl FnOnce() -> Geometry,
    ) -> Self {
        let arena = Self { core, _arena: PhantomData };
        // Acquire pairs with the Release in `initialise`: geometry and map are seen complete.
        if !arena.core().ready.load(Ordering::Acquire) {
            arena.initialise(geometry());
        }
        arena
    }

    /// A handle to an arena that may not have been used yet, for what needs no [geometry](Self::geometry): its
    /// map says that there is nothing, and its descriptors that they are free.
    ///
    /// # Safety
    /// As for `attach`; and the geometry is not looked at.
    #[inline]
    pub(super) unsafe fn unattached(core: NonNull<Core<M>>) -> Self {
        Self { core, _arena: PhantomData }
    }

    #[cold]
    fn initialise(self, geometry: Geometry) {
        self.core().map.with(|map| {
            if self.core().ready.load(Ordering::Relaxed) {
                return;
            }
            // SAFETY: not ready, so nobody reads the geometry yet, and the lock keeps other writers
            // out.
            unsafe { *self.core().geometry.get() = geometry };
            map.open(self);
            #[cfg(all(feature = "std", not(loom)))]
            self.core().epoch.store(random_epoch(), Ordering::Relaxed);
            self.core().ready.store(true, Ordering::Release);
        });
    }

    /// The header, without its lock's type.
    #[inline]
    pub(super) fn header(self) -> NonNull<()> {
        self.core.cast()
    }

    /// Where it is, which tells it from every other arena.
    pub(crate) fn address(&self) -> usize {
        self.core.addr().get()
    }

    #[inline]
    pub(super) fn core(&self) -> &'a Core<M> {
        // SAFETY: `attach` requires the header to be valid for 'a, and it is only ever shared.
        unsafe { self.core.as_ref() }
    }

    /// What the lock does not guard. It is all that is touched, so `M` may be another lock than the arena's.
    #[inline]
    pub(super) fn head(&self) -> &'a Head {
        // SAFETY: as for `core`; the head comes first whatever the lock.
        unsafe { self.core.cast().as_ref() }
    }

    #[inline]
    pub(super) fn geometry(&self) -> &'a Geometry {
        // SAFETY: written before this handle existed (see `attach`) and never again.
        unsafe { &*self.head().geometry.get() }
    }

    #[inline]
    fn part<T>(&self, offset: usize) -> *mut T {
        // SAFETY: offsets in the geometry lie inside the arena by `attach`'s contract.
        unsafe { self.core.as_ptr().cast::<u8>().add(offset).cast() }
    }

    /// The descriptor `index`, which is below `row_count`.
    #[inline]
    pub(super) fn row(&self, index: usize) -> &'a Row {
        // SAFETY: `index` is a descriptor of this arena: it comes from a lease, a list of the map, or
        // a bounds check. Rows are only ever shared and are valid for 'a.
        unsafe { &*self.part::<Row>(Core::<M>::ROWS).add(index) }
    }

    /// As [`row`](Self::row), where `M` may be another lock than the arena's: the constant would be another's, too.
    #[inline]
    pub(super) fn row_whatever_lock(&self, index: usize) -> &'a Row {
        debug_assert!(index < self.geometry().row_count);
        // SAFETY: as in `row`; this is where the descriptors of this arena lie.
        unsafe { &*self.part::<Row>(self.geometry().rows).add(index) }
    }

    /// The first byte of page `page`. `M` may be another lock than the arena's.
    #[inline]
    pub(super) fn page(&self, page: usize) -> *mut u8 {
        let geometry = self.geometry();
        debug_assert!(page <= geometry.page_count);
        // SAFETY: at most one past the last page.
        unsafe { self.part::<u8>(geometry.pages).add(page * geometry.page_size) }
    }

    /// The owner map's entry of `page`; use with the map's lock held.
    #[inline]
    pub(super) fn owner(&self, page: usize) -> *mut Index {
        debug_assert!(page < self.geometry().page_count);
        // SAFETY: `page` is a page of this arena.
        unsafe { self.part::<Index>(self.geometry().owners).add(page) }
    }

    /// The quota row of home `home`; use with the map's lock held.
    #[inline]
    pub(super) fn home_row(&self, home: u8) -> *mut HomeRow {
        debug_assert!(home < self.geometry().home_count);
        // SAFETY: `home` was handed out by `open_home`, which checks it.
        unsafe { self.part::<HomeRow>(self.geometry().homes).add(home as usize) }
    }

    /// How many pages a payload of `len` bytes takes; `None` if the arena has not so many.
    #[inline]
    pub(super) fn pages_for(&self, len: usize) -> Option<usize> {
        let geometry = self.geometry();
        if len > geometry.page_count << geometry.page_shift || len > u32::MAX as usize {
            return None;
        }
        Some((len + geometry.page_size - 1) >> geometry.page_shift)
    }

    /// Whether both are handles to one arena.
    pub fn same_arena(&self, other: &ArenaRef<'_, M>) -> bool {
        self.core == other.core
    }
}

#[cfg(all(feature = "std", not(loom)))]
fn random_epoch() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    // `RandomState` is seeded by the operating system, once a process, then counted up.
    std::hash::RandomState::new().build_hasher().finish() as u32
}
