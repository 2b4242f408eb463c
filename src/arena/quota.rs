//! Homes: a share of the arena with a cap and a reserved minimum.

use super::allocate::Request;
use super::layout::{ArenaRef, Index};
use super::lease::LeaseMut;
use super::map::Map;
use super::waiting::Alloc;
use crate::error::{HomeError, TryAllocError};
use crate::sync::RawMutex;
use crate::sync::wait::TokenList;

/// A home's row in the arena, under the arena's lock.
pub(super) struct HomeRow {
    used: Index,
    cap: Index,
    min: Index,
    /// Waiters held back by the cap. They return to the front of the queue when pages come home.
    pub(super) capped: TokenList,
}

impl HomeRow {
    pub(super) const fn new() -> Self {
        Self { used: 0, cap: 0, min: 0, capped: TokenList::new() }
    }

    pub(super) fn unused_minimum(&self) -> Index {
        self.min.saturating_sub(self.used)
    }
}

/// A share of an arena: payloads allocated through it count against its cap, and its minimum is kept
/// free for it whatever the others do. One slow consumer cannot take the whole arena.
///
/// A payload belongs to the home it was allocated from until it is freed, wherever it travels. Home 0,
/// which [`Arena::try_alloc`](crate::Arena::try_alloc) uses, has no cap and no minimum.
///
/// The minimum is one of pages: it does not set descriptors aside, nor a run of a certain length. A
/// waiting request stands in the common queue; it is [`try_alloc`](Self::try_alloc), and the first look
/// of [`alloc`](Self::alloc), that the minimum lets pass everybody.
///
/// Homes are opened once and stay for the arena's life; their number is the arena's last parameter
/// (4 unless given, home 0 included). A `Home` is two words and `Copy`.
///
/// ```
/// use cloakroom::{Arena, TryAllocError, sync::CriticalSectionRawMutex};
///
/// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 16> = Arena::new();
///
/// let telemetry = ARENA.handle().open_home(4, 2)?; // at most 4 pages, 2 kept for it
/// let a = telemetry.try_alloc(4 * 64)?;
/// assert_eq!(telemetry.try_alloc(1).unwrap_err(), TryAllocError::Full);
/// drop(a);
/// assert!(telemetry.try_alloc(1).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Home<'a, M> {
    arena: ArenaRef<'a, M>,
    id: u8,
}

impl<M> Clone for Home<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Home<'_, M> {}

/// What a home uses, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HomeSnapshot {
    /// Its [number](Home::id).
    pub id: u8,
    /// Pages in use.
    pub used: usize,
    /// The most it may use.
    pub cap: usize,
    /// What is kept for it.
    pub min: usize,
}

impl<'a, M: RawMutex> Home<'a, M> {
    /// The arena's own home, without cap and minimum.
    pub(super) fn common(arena: ArenaRef<'a, M>) -> Self {
        Self { arena, id: 0 }
    }

    /// The number that [`dump`](crate::arena::ArenaRef::dump) shows.
    pub fn id(self) -> u8 {
        self.id
    }

    /// The arena.
    pub fn arena(self) -> ArenaRef<'a, M> {
        self.arena
    }

    /// As [`ArenaRef::try_alloc`], on this home's account. `Full` also when the cap is reached.
    ///
    /// # Errors
    /// `TooLarge` for more than the cap or the arena can ever give.
    pub fn try_alloc(self, len: usize) -> Result<LeaseMut<'a, M>, TryAllocError> {
        let request = self.request(len)?;
        self.arena.take_lease(request)
    }

    /// As [`ArenaRef::alloc`], on this home's account. A waiter that its home's cap holds back lets
    /// others pass.
    pub fn alloc(self, len: usize) -> Alloc<'a, M> {
        Alloc::new(self, len)
    }

    pub(super) fn request(self, len: usize) -> Result<Request, TryAllocError> {
        self.arena.request(len, self.id)
    }

    /// What is in use now.
    pub fn snapshot(self) -> HomeSnapshot {
        self.arena.home_now(self.id)
    }
}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Opens a share of the arena with at most `cap` pages, of which `min` are kept for it, for as long as there is the arena. So a request of
    /// anybody else for more than all homes' minimums leave is not met any more: a try is refused, and one that waits keeps those behind it waiting.
    ///
    /// # Errors
    /// [`HomeError::TooMany`] when all homes of the arena are in use; [`HomeError::Minimum`] if `min`
    /// is more than `cap`, or than what is free and not promised to others.
    ///
    /// See [`Home`] for an example.
    pub fn open_home(self, cap: usize, min: usize) -> Result<Home<'a, M>, HomeError> {
        let cap = cap.min(self.geometry().page_count);
        self.clear_trays();
        self.core().map.with(|map| {
            if map.homes >= self.geometry().home_count {
                return Err(HomeError::TooMany);
            }
            if min > cap || min > map.stock.free() - map.stock.promised() {
                return Err(HomeError::Minimum);
            }
            let id = map.homes;
            map.homes += 1;
            map.credit = Some(Self::CREDIT);
            map.stock.promise(min as Index, 0);
            // All of it: in a mapped arena there are zeros, and an empty list is none.
            *self.home(map, id) =
                HomeRow { cap: cap as Index, min: min as Index, ..HomeRow::new() };
            Ok(Home { arena: self, id })
        })
    }

    /// What each home uses now, by number: the arena's own, 0, and those that were opened. Each is read in a
    /// short critical section of its own.
    ///
    /// ```
    /// use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    ///
    /// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 16> = Arena::new();
    /// let arena = ARENA.handle();
    /// let telemetry = arena.open_home(4, 2)?;
    /// let (frame, other) = (telemetry.try_alloc(100)?, arena.try_alloc(300)?);
    /// assert!(arena.homes().map(|home| home.used).eq([5, 2]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn homes(self) -> impl Iterator<Item = HomeSnapshot> + use<'a, M> {
        let homes = self.core().map.with(|map| map.homes);
        (0..homes).map(move |id| self.home_now(id))
    }

    fn home_now(self, id: u8) -> HomeSnapshot {
        let pages = self.geometry().page_count;
        self.clear_trays();
        self.core().map.with(|map| {
            if id == 0 {
                let used = pages - (map.stock.free() + map.housed as usize);
                return HomeSnapshot { id, used, cap: pages, min: 0 };
            }
            let row = self.home(map, id);
            let (used, cap, min) = (row.used as usize, row.cap as usize, row.min as usize);
            HomeSnapshot { id, used, cap, min }
        })
    }

    /// A home's row; the lock is held as long as the map is borrowed.
    pub(super) fn home(self, _map: &mut Map, id: u8) -> &mut HomeRow {
        // SAFETY: home rows are touched only through here, with the lock held and the map borrowed
        // for as long as the row is.
        unsafe { &mut *self.home_row(id) }
    }

    pub(super) fn home_cap(self, id: u8) -> usize {
        self.core().map.with(|map| self.home(map, id).cap as usize)
    }

    /// Whether `pages` more may be used: there are that many that nobody else was promised, the cap
    /// allows them, and no earlier waiter is overtaken (but a home may always have its own minimum).
    #[inline]
    pub(super) fn may_take(self, map: &mut Map, id: u8, pages: usize, first: bool) -> bool {
        let mut free = map.stock.free() - map.stock.promised();
        let mut queue_bars = !first && (map.baton_out || !map.waiters.is_empty());
        if id != 0 {
            let own = self.home(map, id);
            if own.used as usize + pages > own.cap as usize {
                return false;
            }
            let unused_minimum = own.unused_minimum() as usize;
            free += unused_minimum;
            queue_bars &= pages > unused_minimum;
        }
        !queue_bars && pages <= free
    }

    /// Whether only its home's cap holds a request back.
    pub(super) fn is_capped(self, map: &mut Map, id: u8, pages: usize) -> bool {
        id != 0 && {
            let own = self.home(map, id);
            own.used as usize + pages > own.cap as usize
        }
    }

    #[inline]
    pub(super) fn charge_home(self, map: &mut Map, id: u8, pages: usize) {
        if id != 0 {
            let own = self.home(map, id);
            let before = own.unused_minimum();
            own.used += pages as Index;
            let after = own.unused_minimum();
            map.stock.promise(0, before - after);
            map.housed += pages as Index;
        }
    }

    /// Pages come back to a home that was opened.
    pub(super) fn credit_home(self, map: &mut Map, id: u8, pages: usize) {
        let own = self.home(map, id);
        let before = own.unused_minimum();
        own.used -= pages as Index;
        let after = own.unused_minimum();
        let mut returning = core::mem::replace(&mut own.capped, TokenList::new());
        map.stock.promise(after - before, 0);
        map.housed -= pages as Index;
        map.waiters.prepend(&mut returning);
        self.mind_waiters(map);
    }
}
