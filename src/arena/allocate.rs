//! Taking descriptors and pages, and shelving them again.

use super::descriptor::Row;
use super::layout::ArenaRef;
use super::map::{Link, Map, QUICK, Run};
use super::tray::HasTrays;
use super::word::{Bits, LAST_GENERATION};
use crate::error::TryAllocError;
use crate::sync::RawMutex;
use crate::sync::atomic::Ordering::Relaxed;

/// Who asks for memory.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) len: usize,
    pub(super) pages: usize,
    pub(super) home: u8,
    /// Holds the baton: first in the queue, which therefore does not bar the way.
    pub(super) first: bool,
}

/// Why a request was not met, for those who can do something about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// Too few free pages or descriptors, a quota, or earlier waiters.
    Full,
    /// Enough free pages, but no run that is long enough.
    Fragmented,
}

enum Take {
    Row(usize),
    /// There are enough free pages, but neither a shelf nor the loose run has them.
    Supply,
    No(Refusal),
}

/// What a step of [`ArenaRef::supply`] came to.
enum Supply {
    /// The request may succeed now, or after further steps.
    Again,
    /// The gap of a running move is free memory that cannot be used: finish the move.
    Move,
    Refused(Refusal),
}

/// The home of a shelved descriptor whose generations are used up.
const RETIRED: u8 = u8::MAX;

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Checks a length against what the arena, and the home's cap, can ever give.
    pub(super) fn request(self, len: usize, home: u8) -> Result<Request, TryAllocError> {
        let pages = self.pages_for(len).ok_or(TryAllocError::TooLarge)?;
        if home != 0 && pages > self.home_cap(home) {
            return Err(TryAllocError::TooLarge);
        }
        Ok(Request { len, pages, home, first: false })
    }

    /// A plain payload off the shelf of its class (one less than its pages), in hand once: the common case.
    /// `None` if there is none, or something else is to be looked at; [`take`](Self::take) does that. Needs no
    /// geometry.
    #[inline(always)]
    pub(super) fn take_shelved(self, class: usize, len: usize) -> Option<usize> {
        if HasTrays::<M>::YES {
            return self.take_from_tray(class, len);
        }
        self.core().map.with(|map| {
            let shelf = map.quick.get_mut(class)?;
            let index = shelf.get()?;
            if !map.stock.take_at_hand(class + 1) {
                return None;
            }
            let row = self.row(index);
            *shelf = row.next();
            row.set_len(len);
            #[cfg(feature = "stamps")]
            row.set_stamp(self.core().now.now());
            #[cfg(feature = "correlation")]
            row.set_correlation(0);
            row.word.set(map, row.word.read(map).taken(false));
            Some(index)
        })
    }

    /// A descriptor with a contiguous run, in hand once.
    pub(super) fn take(self, request: Request) -> Result<usize, Refusal> {
        let taken = self.take_in_steps(request, !HasTrays::<M>::YES);
        if !HasTrays::<M>::YES || taken.is_ok() {
            return taken;
        }
        // Once more with closed and empty trays: what is refused now is refused rightly, and the high-water mark
        // is raised by what is in use.
        self.look_closely(true);
        self.clear_trays();
        let taken = self.take_in_steps(request, true);
        self.look_closely(false);
        taken
    }

    fn look_closely(self, begins: bool) {
        self.core().map.with(|map| {
            map.looking = if begins { map.looking + 1 } else { map.looking - 1 };
            self.mind_waiters(map);
        });
    }

    /// `exact`: nothing lies on trays.
    fn take_in_steps(self, request: Request, exact: bool) -> Result<usize, Refusal> {
        loop {
            match self.core().map.with(|map| self.take_once(map, request, exact)) {
                Take::Row(index) => return Ok(index),
                Take::No(refusal) => return Err(refusal),
                Take::Supply => {
                    match self.core().map.with(|map| self.supply(map, request.pages, exact)) {
                        Supply::Again => {}
                        Supply::Move => self.run(Map::mover),
                        Supply::Refused(refusal) => return Err(refusal),
                    }
                }
            }
        }
    }

    fn take_once(self, map: &mut Map, request: Request, exact: bool) -> Take {
        let Request { pages, home, first, .. } = request;
        if !self.may_take(map, home, pages, first) || !exact && map.stock.lowers(pages) {
            return Take::No(Refusal::Full);
        }
        let shelved = match map.quick.get_mut(pages.wrapping_sub(1)) {
            Some(shelf) => Map::pop_row(self, shelf),
            None => None,
        };
        let Some((index, row)) = shelved.or_else(|| self.cut_row(map, pages)) else {
            return Take::Supply;
        };
        row.set_len(request.len);
        row.set_home(home);
        #[cfg(feature = "stamps")]
        row.set_stamp(self.core().now.now());
        #[cfg(feature = "correlation")]
        row.set_correlation(0);
        map.stock.take(pages);
        self.charge_home(map, home, pages);
        let odd = home != 0 || !(1..=QUICK).contains(&pages);
        row.word.set(map, row.word.read(map).taken(odd));
        Take::Row(index)
    }

    /// A bare descriptor with pages of the loose run.
    pub(super) fn cut_row(self, map: &mut Map, pages: usize) -> Option<(usize, &'a Row)> {
        let index = self.next_bare(map)?;
        let row = self.row(index);
        if pages > 0 {
            let start = map.cut(pages)?;
            map.own(self, Run::new(start, pages), index);
            row.set_start(start);
        }
        row.set_pages(pages);
        if map.free_rows == Link::NONE {
            map.fresh_row += 1;
        } else {
            map.free_rows = row.next();
        }
        Some((index, row))
    }

    /// The bare descriptor that will be used next.
    fn next_bare(self, map: &Map) -> Option<usize> {
        let fresh = map.fresh_row as usize;
        map.free_rows
            .get()
            .or_else(|| (fresh < self.geometry().row_count).then(|| self.fresh_row(fresh)))
    }

    /// The descriptor that is the first one to be used after so many others. With threads it is every other one first:
    /// two lie in a cache line, and those that are handed out one after the other often go to two threads.
    pub(super) fn fresh_row(self, earlier: usize) -> usize {
        if !HasTrays::<M>::YES {
            return earlier;
        }
        let even = self.geometry().row_count.div_ceil(2);
        if earlier < even { 2 * earlier } else { 2 * (earlier - even) + 1 }
    }

    /// One step towards a descriptor and a loose run of `pages`: places a loose run that is too short,
    /// loosens one that fits, or takes a shelved descriptor apart. What it refuses, it has seen at one
    /// moment: nothing fits, nothing is shelved or loose, and nothing moves.
    #[cold]
    fn supply(self, map: &mut Map, pages: usize, exact: bool) -> Supply {
        if map.place(self) {
            return Supply::Again;
        }
        let has_row = self.next_bare(map).is_some();
        if (has_row && pages > 0 && map.loosen_fit(self, pages)) || self.unshelve(map) {
            return Supply::Again;
        }
        if !has_row {
            return Supply::Refused(Refusal::Full);
        }
        if map.moving.is_some() {
            return Supply::Move;
        }
        map.scattered |= exact;
        Supply::Refused(Refusal::Fragmented)
    }

    /// One step of bringing free memory to the bins: of the loose run, or of taking one shelved
    /// descriptor apart. `false` when there is nothing to bring.
    pub(super) fn gather(self, map: &mut Map) -> bool {
        map.place(self) || self.unshelve(map)
    }

    /// Brings the loose run into its bin.
    pub(super) fn place(self) {
        while self.core().map.with(|map| map.place(self)) {}
    }

    /// Takes one shelved descriptor apart; its pages become loose. `false` when nothing is shelved.
    fn unshelve(self, map: &mut Map) -> bool {
        let Some(shelf) = map.first_shelf() else { return false };
        let Some((index, row)) = Map::pop_row(self, shelf) else { return false };
        if let Some(run) = row.run() {
            map.disown(self, run);
            map.loosen(run);
        }
        self.bare(map, index, row);
        true
    }

    /// Joins the first descriptor's long run with the loose one, if they touch: what was cut off last comes back
    /// first, more often than not, and then no bin is concerned.
    fn rejoin(self, map: &mut Map) -> bool {
        let Some(row) = map.long.get().map(|index| self.row(index)) else { return false };
        let Some(run) = row.run().filter(|&run| map.extend_loose(run)) else { return false };
        map.disown(self, run);
        if let Some((index, row)) = Map::pop_row(self, &mut map.long) {
            self.bare(map, index, row);
        }
        true
    }

    /// Lists a descriptor whose pages are gone.
    fn bare(self, map: &mut Map, index: usize, row: &Row) {
        row.set_pages(0);
        if row.home() == RETIRED {
            map.retired_count += 1;
            Map::push_row(self, &mut map.retired, index);
        } else {
            Map::push_row(self, &mut map.free_rows, index);
        }
    }

    /// Frees a plain payload, whose only lease is the caller's, onto its shelf: the common case. `false`, and
    /// nothing changed, if something else is to be looked at.
    #[inline(always)]
    pub(super) fn shelve_at_once(self, map: &mut Map, index: usize, row: &Row, bits: Bits) -> bool {
        let pages = row.pages();
        debug_assert!((1..=QUICK).contains(&pages));
        // SAFETY: a payload without a flag is of a size that there is a shelf for; see `take_once`. (Looking would
        // take three instructions.)
        let shelf = unsafe { map.quick.get_unchecked_mut(pages - 1) };
        if bits.generation() == LAST_GENERATION || !map.stock.put_at_hand(pages) {
            return false;
        }
        row.set_next(*shelf);
        *shelf = Link::to(index);
        row.word.set(map, bits.freed());
        true
    }

    /// Shelves a freed descriptor with its pages; `false` if it shall be taken apart, which is for
    /// critical sections of their own.
    pub(super) fn shelve(self, map: &mut Map, index: usize, row: &Row, retire: bool) -> bool {
        let class = row.pages().wrapping_sub(1);
        match map.quick.get_mut(class) {
            Some(shelf) if !retire => {
                // Those who take it off in haste are the arena's own home.
                row.set_home(0);
                Map::push_row(self, shelf, index);
                true
            }
            _ => {
                if retire {
                    row.set_home(RETIRED);
                }
                Map::push_row(self, &mut map.long, index);
                false
            }
        }
    }

    /// Takes the descriptors with long runs apart, and brings their pages to the loose run or the bins.
    pub(super) fn unshelve_long(self) {
        while self.core().map.with(|map| self.rejoin(map)) {}
        // The shelf of long runs is the first that `unshelve` looks at. Only after that there is a run to be placed.
        let mut apart = false;
        while self.core().map.with(|map| {
            if map.long == Link::NONE {
                return apart && map.place(self);
            }
            apart = true;
            map.place(self) || self.unshelve(map)
        }) {}
    }

    /// Changes the epoch, so that no ticket given out so far is ever accepted, and brings retired
    /// descriptors back. Returns `false`, and changes nothing, while anything is live.
    ///
    /// A `static` arena starts with the epoch 0 on a microcontroller (a random one with `std`): set it
    /// from a random number or a counter kept over resets if tickets of an earlier run can come back,
    /// from a log or over a wire.
    ///
    /// Use each epoch once: going back to an earlier one makes its old tickets look genuine again.
    /// Setting the present one again changes nothing.
    ///
    /// Interrupt-safe. The time grows with the number of retired descriptors, in steps.
    ///
    /// ```
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    /// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// let boot_count = 7;
    /// assert!(ARENA.handle().set_epoch(boot_count));
    /// ```
    pub fn set_epoch(self, epoch: u32) -> bool {
        self.clear_trays();
        let (idle, changed) = self.core().map.with(|map| {
            let idle = map.stock.live() == 0;
            // The same epoch again would bring used-up generations back.
            let changed = idle && self.core().epoch.load(Relaxed) != epoch;
            if changed {
                self.core().epoch.store(epoch, Relaxed);
            }
            (idle, changed)
        });
        // One descriptor a step. None can be retired anew and redeemed in between: its old tickets are
        // of the old epoch, and it is in no list while it is reset.
        while changed
            && self.core().map.with(|map| {
                let Some((index, row)) = Map::pop_row(self, &mut map.retired) else {
                    return false;
                };
                map.retired_count -= 1;
                let _ = row.word.update_held::<M>(map, |_| Some(Bits::first_generation()));
                row.set_pages(0);
                Map::push_row(self, &mut map.free_rows, index);
                true
            })
        {}
        // Descriptors that came back may be what somebody waits for.
        self.kick();
        idle
    }
}
