//! Taking descriptors and pages, and shelving them again.

use super::descriptor::Row;
use super::layout::{ArenaRef, Index};
use super::map::{Link, Map, QUICK, Run};
use super::word::Bits;
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
    /// A shelved descriptor was taken apart: look again.
    Again,
    No(Refusal),
}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Checks a length against what the arena, and the home's cap, can ever give.
    pub(super) fn request(self, len: usize, home: u8) -> Result<Request, TryAllocError> {
        let pages = self.pages_for(len).ok_or(TryAllocError::TooLarge)?;
        if home != 0 && pages > self.home_cap(home) {
            return Err(TryAllocError::TooLarge);
        }
        Ok(Request { len, pages, home, first: false })
    }

    /// A descriptor with a contiguous run, in hand once.
    #[inline]
    pub(super) fn take(self, request: Request) -> Result<usize, Refusal> {
        loop {
            match self.core().map.with(|map| self.take_once(map, request)) {
                Take::Row(index) => return Ok(index),
                Take::Again => {}
                // The gap of a running move is free memory that cannot be seen: finish it first.
                Take::No(Refusal::Fragmented) if self.finish_move() => {}
                Take::No(refusal) => return Err(refusal),
            }
        }
    }

    fn take_once(self, map: &mut Map, request: Request) -> Take {
        let Request { pages, home, first, .. } = request;
        if !self.may_take(map, home, pages, first) {
            return Take::No(Refusal::Full);
        }
        let (index, row) = match pages.checked_sub(1).and_then(|class| map.quick.get_mut(class)) {
            Some(shelf) if *shelf != Link::NONE => {
                let Some((index, row)) = Map::pop_row(self, shelf) else {
                    return Take::Again;
                };
                if *shelf == Link::NONE {
                    map.quick_occupied &= !(1 << (pages - 1));
                }
                (index, row)
            }
            _ => {
                let Some((index, row)) = self.bare_row(map) else {
                    return self.unshelve(map);
                };
                let mut start = 0;
                if pages > 0 {
                    match map.take_run(self, pages) {
                        Some(first) => {
                            start = first;
                            map.own(self, Run::new(first, pages), index);
                        }
                        None => {
                            Map::push_row(self, &mut map.free_rows, index);
                            return self.unshelve(map);
                        }
                    }
                }
                row.set_start(start);
                row.set_pages(pages);
                (index, row)
            }
        };
        row.set_len(request.len);
        row.set_home(home);
        #[cfg(feature = "stamps")]
        row.set_stamp(self.core().now.load(Relaxed));
        map.live += 1;
        map.free_pages -= pages as Index;
        map.low_free = map.low_free.min(map.free_pages);
        self.charge_home(map, home, pages);
        // Infallible: `taken` always has a value. A free row is changed by nobody else.
        let _ = row.word.update_held::<M>(map, |bits| Some(bits.taken()));
        Take::Row(index)
    }

    /// A descriptor without pages.
    fn bare_row(self, map: &mut Map) -> Option<(usize, &'a Row)> {
        if let Some(found) = Map::pop_row(self, &mut map.free_rows) {
            return Some(found);
        }
        let fresh = map.fresh_row as usize;
        if fresh >= self.geometry().row_count {
            return None;
        }
        map.fresh_row += 1;
        Some((fresh, self.row(fresh)))
    }

    /// Closes a seam that somebody has left open, or takes one shelved descriptor apart.
    #[cold]
    fn unshelve(self, map: &mut Map) -> Take {
        if map.close_seam(self) || self.unshelve_one(map) {
            return Take::Again;
        }
        map.scattered = true;
        Take::No(Refusal::Fragmented)
    }

    /// As [`unshelve`](Self::unshelve); `false` when nothing is shelved.
    pub(super) fn unshelve_one(self, map: &mut Map) -> bool {
        if map.quick_occupied == 0 {
            return false;
        }
        let class = map.quick_occupied.trailing_zeros() as usize % QUICK;
        let shelf = &mut map.quick[class];
        let popped = Map::pop_row(self, shelf);
        if *shelf == Link::NONE {
            map.quick_occupied &= !(1 << class);
        }
        if let Some((index, row)) = popped {
            if let Some(run) = row.run() {
                // A seam left open here is one between shelved neighbours; it is closed at once, as
                // this path is off the common one.
                if let Some(seam) = map.give_run(self, run) {
                    map.merge(self, seam);
                }
            }
            row.set_pages(0);
            Map::push_row(self, &mut map.free_rows, index);
        }
        true
    }

    /// Shelves a freed row with its pages, or gives the pages to the bins.
    pub(super) fn shelve(self, map: &mut Map, index: usize, row: &Row) -> Option<usize> {
        let pages = row.pages();
        if (1..=QUICK).contains(&pages) {
            let class = (pages - 1) % QUICK;
            map.quick_occupied |= 1 << class;
            Map::push_row(self, &mut map.quick[class], index);
            return None;
        }
        let seam = row.run().and_then(|run| map.give_run(self, run));
        row.set_pages(0);
        Map::push_row(self, &mut map.free_rows, index);
        seam
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
        let (idle, changed) = self.core().map.with(|map| {
            let idle = map.live == 0;
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
