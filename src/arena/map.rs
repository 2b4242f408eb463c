//! The page map: which pages are free, and finding a run of them in constant time.
//!
//! Free runs are kept in bins by length, with a bitmap of the bins that are not empty, as in TLSF
//! (Masmano et al., 2004). The *owner map* has one entry a page:
//!
//! | entry | meaning |
//! |---|---|
//! | `0` | inside a run, or in transit during a move |
//! | `FREE \| p` | first or last page of a free run whose other end is `p` |
//! | `r + 1` | first or last page of descriptor `r`'s run |
//!
//! Entries inside a run are always 0, so the entry beside a run tells what the neighbour is. A free
//! run's links (next and previous in its bin) lie in its own first page.
//!
//! Every method here is called with the arena's lock held and does a constant amount of work.

use super::compact::Move;
use super::descriptor::Row;
use super::hook::{CreditHook, Hook};
use super::layout::{ArenaRef, Index};
use super::stock::Stock;
use super::tray::Closings;
use crate::sync::RawMutex;
use crate::sync::wait::TokenList;

const FREE: Index = 1 << (Index::BITS - 1);
/// Exact bins for runs of 1 to 4 pages, then two bins an octave.
const EXACT: usize = 4;
const BINS: usize = Index::BITS as usize * 2;
#[cfg(target_pointer_width = "64")]
type Bitmap = u64;
#[cfg(not(target_pointer_width = "64"))]
type Bitmap = u32;

/// Payloads of up to this many pages are kept together with their descriptor when they are released,
/// ready for the next request of the same size.
pub(super) const QUICK: usize = 8;
const _: () = assert!(QUICK % 2 == 0, "`first_shelf` looks at pairs");

/// "Descriptor or page `n`, or none": zero is none, so that a fresh arena is all zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Link(Index);

impl Link {
    pub(super) const NONE: Self = Self(0);
    #[inline]
    pub(super) fn to(index: usize) -> Self {
        Self(index as Index + 1)
    }
    #[inline]
    pub(super) fn get(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
    pub(super) fn from_raw(raw: Index) -> Self {
        Self(raw)
    }
    pub(super) fn raw(self) -> Index {
        self.0
    }
}

/// The links of a free run, in its first page.
#[derive(Clone, Copy)]
struct RunLinks {
    next: Link,
    prev: Link,
}

/// A run of pages, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Run {
    pub(super) fn new(first: usize, len: usize) -> Self {
        debug_assert!(len > 0);
        Self { first, last: first + len - 1 }
    }
    pub(super) fn len(self) -> usize {
        self.last - self.first + 1
    }
}

/// What stands at the edge of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Inside,
    Free { other_end: usize },
    Row(usize),
}

/// The state of the arena's allocator, under its lock.
pub(crate) struct Map {
    bins: [Link; BINS],
    occupied: Bitmap,
    /// Released descriptors that kept their run of 1 to `QUICK` pages, last released first.
    pub(super) quick: [Link; QUICK],
    /// Released descriptors with longer runs, on their way to being taken apart.
    pub(super) long: Link,
    /// Descriptors without pages, last released first.
    pub(super) free_rows: Link,
    /// Descriptors from here on were never used.
    pub(super) fresh_row: Index,
    /// Descriptors whose generations are used up.
    pub(super) retired: Link,
    pub(super) retired_count: Index,
    /// Descriptors in use, and pages not in use: in bins, on shelves, loose, or the gap of the running move.
    pub(super) stock: Stock,
    /// Pages in use by homes other than the arena's own.
    pub(super) housed: Index,
    pub(super) homes: u8,
    pub(super) waiters: TokenList,
    /// Those who wait, in the queue or at their homes.
    pub(super) waiting: u32,
    /// A waiter has left the list to try its luck; nobody may overtake it.
    pub(super) baton_out: bool,
    /// Those who are about to wait, or to be refused.
    pub(super) looking: u16,
    /// How often trays have been closed, and up to which of these times they have been cleared.
    pub(super) closings: Closings,
    pub(super) cleared: Closings,
    pub(super) moving: Option<Move>,
    /// Left by those who wait.
    pub(super) kick: Option<Hook>,
    /// Left by homes.
    pub(super) credit: Option<CreditHook>,
    /// Where compaction goes on.
    pub(super) cursor: Index,
    /// First page, and last, of the loose run; see [`loose`](Self::loose).
    loose: Link,
    loose_last: Index,
    /// Counts what may help a waiter that enough free pages in too short runs did not: memory freed,
    /// a payload moved or put to rest. It wraps, and stands still while nobody waits or is about to.
    pub(super) changes: u32,
    /// A request has failed for want of compaction since the last pass.
    pub(super) scattered: bool,
    pub(super) stats: MapStats,
}

/// Counters of the allocator. They wrap.
#[derive(Clone, Copy, Default)]
pub(super) struct MapStats {
    pub(super) failed: u32,
    pub(super) waited: u32,
    pub(super) stopped: u32,
    pub(super) damaged: u32,
    pub(super) moves: u32,
    pub(super) pages_moved: u32,
    pub(super) passes: u32,
}

impl Map {
    pub(super) const fn new() -> Self {
        Self {
            bins: [Link::NONE; BINS],
            occupied: 0,
            quick: [Link::NONE; QUICK],
            long: Link::NONE,
            free_rows: Link::NONE,
            fresh_row: 0,
            retired: Link::NONE,
            retired_count: 0,
            stock: Stock::EMPTY,
            housed: 0,
            homes: 0,
            waiters: TokenList::new(),
            waiting: 0,
            baton_out: false,
            looking: 0,
            closings: Closings::NONE,
            cleared: Closings::NONE,
            moving: None,
            kick: None,
            credit: None,
            cursor: 0,
            loose: Link::NONE,
            loose_last: 0,
            changes: 0,
            scattered: false,
            stats: MapStats {
                failed: 0,
                waited: 0,
                stopped: 0,
                damaged: 0,
                moves: 0,
                pages_moved: 0,
                passes: 0,
            },
        }
    }

    /// How to finish the running move, if there is one.
    pub(super) fn mover(&self) -> Option<Hook> {
        self.moving.as_ref().map(|running| running.finish)
    }

    /// The first use: one free run of everything.
    pub(super) fn open<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>) {
        let pages = arena.geometry().page_count;
        self.stock.open(pages);
        self.homes = 1;
        if pages > 0 {
            self.loosen(Run::new(0, pages));
        }
    }

    /// Takes a run of at least `len` pages out of its bin and makes it the loose one, of which there
    /// is none yet. `false` if no bin has one.
    pub(super) fn loosen_fit<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>, len: usize) -> bool {
        let own = bin_of(len);
        // The bin of this very size first. Its first run is the only one looked at, so the work stays
        // constant; all runs in higher bins fit.
        let exact = self.bins[own % BINS].get().map(|first| self.free_run(arena, first));
        let run = match exact.filter(|run| run.len() >= len) {
            Some(run) => run,
            None => {
                let higher = self.occupied & Bitmap::MAX.checked_shl(own as u32 + 1).unwrap_or(0);
                if higher == 0 {
                    return false;
                }
                let bin = higher.trailing_zeros() as usize % BINS;
                let Some(first) = self.bins[bin].get() else { return false };
                self.free_run(arena, first)
            }
        };
        self.unlink(arena, run);
        self.disown(arena, run);
        self.loosen(run);
        true
    }

    /// Cuts `len` pages off the end of the loose run, if it is that long.
    pub(super) fn cut(&mut self, len: usize) -> Option<usize> {
        let first = self.loose.get()?;
        let end = self.loose_last as usize + 1;
        let start = end.checked_sub(len).filter(|&start| start >= first)?;
        if start == first {
            self.loose = Link::NONE;
        } else {
            self.loose_last = start as Index - 1;
        }
        Some(start)
    }

    /// The run that is free but in no bin: the one that requests are cut from, or one on its way into a
    /// bin. Taking in its free neighbours and linking it are critical sections of their own, done by
    /// whoever needs a longer run, or to loosen another.
    pub(super) fn loose(&self) -> Option<Run> {
        self.loose.get().map(|first| Run { first, last: self.loose_last as usize })
    }

    /// Makes `run`, whose ends are nobody's, the loose one. There is none yet.
    pub(super) fn loosen(&mut self, run: Run) {
        debug_assert!(self.loose().is_none());
        self.loose = Link::to(run.first);
        self.loose_last = run.last as Index;
    }

    /// Adds `run` to the loose run, if they touch.
    pub(super) fn extend_loose(&mut self, run: Run) -> bool {
        let Some(loose) = self.loose() else { return false };
        if run.last + 1 == loose.first {
            self.loose = Link::to(run.first);
        } else if loose.last + 1 == run.first {
            self.loose_last = run.last as Index;
        } else {
            return false;
        }
        true
    }

    /// One step of the loose run's way into a bin; `false` if there is no loose run.
    ///
    /// The look is made where it is called from: nothing is loose as often as not, and a call takes sixteen
    /// instructions, in sections that are among the longest.
    #[inline]
    pub(super) fn place<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>) -> bool {
        let run = self.loose();
        if let Some(run) = run {
            self.place_loose(arena, run);
        }
        run.is_some()
    }

    #[inline(never)]
    fn place_loose<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>, run: Run) {
        let neighbour =
            self.free_below(arena, run.first).or_else(|| self.free_above(arena, run.last));
        match neighbour {
            Some(neighbour) => {
                self.unlink(arena, neighbour);
                self.disown(arena, neighbour);
                self.loose = Link::to(run.first.min(neighbour.first));
                self.loose_last = run.last.max(neighbour.last) as Index;
            }
            None => {
                self.loose = Link::NONE;
                self.link(arena, run);
            }
        }
    }

    /// The free run that ends right before `page`.
    pub(super) fn free_below<M: RawMutex>(
        &self,
        arena: ArenaRef<'_, M>,
        page: usize,
    ) -> Option<Run> {
        let last = page.checked_sub(1)?;
        match self.owner(arena, last) {
            Owner::Free { other_end } if other_end <= last => Some(Run { first: other_end, last }),
            _ => None,
        }
    }

    /// The free run that begins right after `page`.
    pub(super) fn free_above<M: RawMutex>(
        &self,
        arena: ArenaRef<'_, M>,
        page: usize,
    ) -> Option<Run> {
        let first = page + 1;
        if first >= arena.geometry().page_count {
            return None;
        }
        match self.owner(arena, first) {
            Owner::Free { other_end } if other_end >= first => Some(Run { first, last: other_end }),
            _ => None,
        }
    }

    pub(super) fn owner<M: RawMutex>(&self, arena: ArenaRef<'_, M>, page: usize) -> Owner {
        // SAFETY: the owner map is touched only by methods of `Map`, with the lock held.
        let entry = unsafe { *arena.owner(page) };
        if entry & FREE != 0 {
            Owner::Free { other_end: (entry & !FREE) as usize }
        } else {
            Link(entry).get().map_or(Owner::Inside, Owner::Row)
        }
    }

    /// Marks `run` as descriptor `row`'s.
    pub(super) fn own<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>, run: Run, row: usize) {
        self.set_owner(arena, run.first, Link::to(row).0);
        self.set_owner(arena, run.last, Link::to(row).0);
    }

    /// Marks both ends of a run as nobody's.
    pub(super) fn disown<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>, run: Run) {
        self.set_owner(arena, run.first, 0);
        self.set_owner(arena, run.last, 0);
    }

    #[inline]
    fn set_owner<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>, page: usize, entry: Index) {
        // SAFETY: as in `owner`.
        unsafe { *arena.owner(page) = entry }
    }

    /// The free run that begins at `first`.
    pub(super) fn free_run<M: RawMutex>(&self, arena: ArenaRef<'_, M>, first: usize) -> Run {
        match self.owner(arena, first) {
            Owner::Free { other_end } => Run { first, last: other_end },
            _ => {
                debug_assert!(false, "not a free run");
                Run { first, last: first }
            }
        }
    }

    fn mark_free<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>, run: Run) {
        self.set_owner(arena, run.first, FREE | run.last as Index);
        self.set_owner(arena, run.last, FREE | run.first as Index);
    }

    fn links<M: RawMutex>(&self, arena: ArenaRef<'_, M>, first: usize) -> *mut RunLinks {
        arena.page(first).cast()
    }

    fn link<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>, run: Run) {
        self.mark_free(arena, run);
        let bin = bin_of(run.len());
        let next = self.bins[bin % BINS];
        // SAFETY: the pages of a free run belong to the map, and a page has room for the links and is
        // aligned for them (`MIN_PAGE_SIZE`); `next`, if any, begins a free run of this bin.
        unsafe {
            *self.links(arena, run.first) = RunLinks { next, prev: Link::NONE };
            if let Some(next) = next.get() {
                (*self.links(arena, next)).prev = Link::to(run.first);
            }
        }
        self.bins[bin % BINS] = Link::to(run.first);
        self.occupied |= 1 << bin;
    }

    /// Takes a run out of its bin. The ends keep their marks, for the caller to overwrite.
    pub(super) fn unlink<M: RawMutex>(&mut self, arena: ArenaRef<'_, M>, run: Run) {
        let bin = bin_of(run.len());
        // SAFETY: as in `link`; `run` is in this bin, so its neighbours are too.
        unsafe {
            let RunLinks { next, prev } = *self.links(arena, run.first);
            if let Some(next) = next.get() {
                (*self.links(arena, next)).prev = prev;
            }
            match prev.get() {
                Some(prev) => (*self.links(arena, prev)).next = next,
                None => {
                    self.bins[bin % BINS] = next;
                    if next == Link::NONE {
                        self.occupied &= !(1 << bin);
                    }
                }
            }
        }
    }

    /// The first shelf with something on it.
    #[inline]
    pub(super) fn first_shelf(&mut self) -> Option<&mut Link> {
        if self.long != Link::NONE {
            return Some(&mut self.long);
        }
        // Two at a time, as this is part of a long critical section.
        self.quick.chunks_exact_mut(2).find_map(|pair| match pair {
            [a, b] if a.0 | b.0 != 0 => Some(if *a == Link::NONE { b } else { a }),
            _ => None,
        })
    }

    /// Takes the first descriptor of a list whose links are the rows' own.
    #[inline]
    pub(super) fn pop_row<'a, M: RawMutex>(
        arena: ArenaRef<'a, M>,
        list: &mut Link,
    ) -> Option<(usize, &'a Row)> {
        let index = list.get()?;
        let row = arena.row(index);
        *list = row.next();
        Some((index, row))
    }

    /// Puts a descriptor in front of such a list.
    #[inline]
    pub(super) fn push_row<M: RawMutex>(arena: ArenaRef<'_, M>, list: &mut Link, index: usize) {
        arena.row(index).set_next(*list);
        *list = Link::to(index);
    }

    /// A free run's length: the loose one's, or at least two thirds of the longest in the bins.
    pub(super) fn long_run<M: RawMutex>(&self, arena: ArenaRef<'_, M>) -> usize {
        let loose = self.loose().map_or(0, Run::len);
        let Some(bin) = self.occupied.checked_ilog2() else {
            return loose;
        };
        let binned = self.bins[bin as usize % BINS].get();
        loose.max(binned.map_or(0, |first| self.free_run(arena, first).len()))
    }

    pub(super) fn bin_count() -> usize {
        BINS
    }

    pub(super) fn bin_runs<'m, M: RawMutex>(
        &'m self,
        arena: ArenaRef<'m, M>,
        bin: usize,
    ) -> impl Iterator<Item = Run> + 'm {
        let mut at = self.bins[bin % BINS].get();
        core::iter::from_fn(move || {
            let first = at?;
            // SAFETY: as in `link`.
            at = unsafe { (*self.links(arena, first)).next.get() };
            Some(self.free_run(arena, first))
        })
    }

    pub(super) fn bin_is_marked(&self, bin: usize) -> bool {
        self.occupied & (1 << bin) != 0
    }
}

/// The bin that holds runs of `len` pages.
#[inline]
pub(super) fn bin_of(len: usize) -> usize {
    if len <= EXACT {
        return len - 1;
    }
    let octave = len.ilog2() as usize;
    // The bit below the leading one tells the half of the octave.
    let half = (len >> (octave - 1)) & 1;
    EXACT + (octave - 2) * 2 + half
}
