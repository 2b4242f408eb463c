//! Compaction: payloads at rest slide down, free pages gather at the top.
//!
//! One payload moves at a time, a block of [`BLOCK`] bytes a critical section, and the arena's header
//! holds all there is to know about the move. So nobody owns it: whoever needs the payload (a redeem),
//! or the pages (an allocation), finishes the move instead of waiting for the one who began it, who
//! may be a task that this very interrupt handler has preempted.
//!
//! ```text
//!        begin                        step × n                     finish
//!  AtRest ─────► Moving{row, src, dst, done = 0} ─► done += BLOCK ─► AtRest at dst
//! ```
//!
//! Why the blocks are copied *under* the lock: source and destination overlap when the gap is smaller
//! than the payload, so a block may be written once only, by whoever holds the turn. A copier who was
//! preempted outside the lock would come back with a stale block. The section stays as short as any
//! other: a block is four words on a microcontroller. Payloads in hand are never touched, and no
//! allocation, send or receive copies anything under a lock.

use super::hook::Hook;
use super::layout::{ArenaRef, Index};
use super::map::{Map, Owner, Run};
use crate::sync::RawMutex;

/// Bytes copied in one critical section: a few aligned words. Divides every page size.
const BLOCK: usize = size_of::<Words>();
#[cfg(target_pointer_width = "64")]
type Words = [u64; 2];
#[cfg(not(target_pointer_width = "64"))]
type Words = [u32; 4];

/// The running move.
#[derive(Clone, Copy)]
pub(super) struct Move {
    row: Index,
    from: Index,
    to: Index,
    pages: Index,
    /// Pages of the free run in front of the payload.
    gap: Index,
    /// Bytes that are in their new place. A payload's pages may be 4 GiB in all.
    done: usize,
    /// How others finish it.
    pub(super) finish: Hook,
}

impl Move {
    /// Pages of the gap.
    pub(super) fn gap(&self) -> usize {
        self.gap as usize
    }

    /// Whether `page` is part of the gap or of the payload on its way.
    pub(super) fn covers(&self, page: usize) -> bool {
        (self.to as usize..self.from as usize + self.pages as usize).contains(&page)
    }
}

/// What a step of the running move came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// No move is running.
    Idle,
    More,
    Finished,
}

/// What [`compact`](ArenaRef::compact) did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Compaction {
    /// Pages moved by this call.
    pub pages_moved: usize,
    /// The pass has reached the end of the arena: at that moment nothing at rest stood behind a free
    /// page that it could have moved into. `false`: the budget ran out.
    pub finished: bool,
}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Moves payloads at rest together, up to `budget` pages and the rest of the last payload, which is moved as a whole, and goes on from
    /// there at the next call.
    ///
    /// Afterwards (with `finished`, and nothing in hand standing in the way) all free pages are one
    /// run. Payloads in hand stay where they are. The kernel calls this as a housekeeping step; call
    /// it yourself under another executor.
    ///
    /// It may run while everything else goes on, interrupts included, and holds the lock only for a
    /// few words at a time. A redeem of the payload that is being moved finishes that move itself.
    ///
    /// ```
    /// use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    ///
    /// static ARENA: Arena<CriticalSectionRawMutex, 4, 64, 8> = Arena::new();
    /// let first = ARENA.try_alloc(64)?;
    /// let kept = ARENA.try_alloc(64)?.deposit();
    /// drop(first); // free, kept, free, free: three pages, but not in one run
    /// # let _ = kept;
    /// ARENA.compact(usize::MAX);
    /// assert!(ARENA.try_alloc(3 * 64).is_ok());
    /// # Ok::<(), cloakroom::TryAllocError>(())
    /// ```
    pub fn compact(self, budget: usize) -> Compaction {
        let mut pages_moved = 0;
        // Pages on trays and shelves belong to nobody, but look owned: take the shelves apart first.
        self.clear_trays();
        while self.core().map.with(|map| self.gather(map)) {}
        self.finish_move();
        // A pass that begins in the middle says nothing of what lies below: it may have been freed, or
        // put to rest, since the cursor went by.
        let mut whole = self.core().map.with(|map| map.cursor == 0);
        let finished = loop {
            while self.move_step() == Step::More {}
            if pages_moved >= budget {
                break false;
            }
            // The gap of the last move, so that it is seen.
            self.place();
            match self.core().map.with(|map| self.next_move(map)) {
                Next::Begun(pages) => pages_moved += pages,
                Next::Looking => {}
                Next::End if whole => break true,
                Next::End => whole = true,
            }
        };
        if pages_moved > 0 {
            self.kick();
        }
        Compaction { pages_moved, finished }
    }

    /// As [`compact`](Self::compact), if a request has failed since the last pass although there were
    /// enough free pages for it.
    pub fn compact_on_demand(self, budget: usize) {
        if self.core().map.with(|map| map.scattered) {
            self.compact(budget);
        }
    }

    /// Looks at one run, and begins to move it if it can be moved down.
    fn next_move(self, map: &mut Map) -> Next {
        if map.moving.is_some() {
            // Somebody else has begun one in between; it is finished first.
            return Next::Looking;
        }
        let cursor = map.cursor as usize;
        let pages = self.geometry().page_count;
        if cursor >= pages {
            map.cursor = 0;
            map.scattered = false;
            map.stats.passes = map.stats.passes.wrapping_add(1);
            return Next::End;
        }
        let gap = match map.owner(self, cursor) {
            Owner::Row(index) => {
                // In use and nothing free in front of it, or not movable. At the last page of its run,
                // where a changed map may have left the cursor, its length says nothing.
                let row = self.row(index);
                let step = if row.start() == cursor { row.pages().max(1) } else { 1 };
                map.cursor += step as Index;
                return Next::Looking;
            }
            Owner::Free { other_end } if other_end >= cursor => {
                Run { first: cursor, last: other_end }
            }
            // The map has changed under the cursor and it no longer stands at an edge: on to the next.
            Owner::Free { .. } | Owner::Inside => {
                map.cursor += 1;
                return Next::Looking;
            }
        };
        let Some(above) = (gap.last + 1 < pages).then(|| map.owner(self, gap.last + 1)) else {
            map.cursor = pages as Index;
            return Next::Looking;
        };
        let Owner::Row(index) = above else {
            // A run on its way into a bin, or shelved since the pass began: on behind it.
            map.cursor = (gap.last + 1) as Index;
            return Next::Looking;
        };
        let row = self.row(index);
        let begun = row
            .word
            .update_held::<M>(map, |bits| bits.is_movable().then(|| bits.with_moving(true)));
        if begun.is_err() {
            map.cursor = (gap.last + 1 + row.pages().max(1)) as Index;
            return Next::Looking;
        }
        let length = row.pages();
        map.unlink(self, gap);
        map.disown(self, gap);
        map.moving = Some(Move {
            row: index as Index,
            from: row.start() as Index,
            to: gap.first as Index,
            pages: length as Index,
            gap: gap.len() as Index,
            done: 0,
            finish: Self::FINISH_MOVE,
        });
        Next::Begun(length)
    }

    /// Does one step of the running move, if there is one.
    pub(super) fn move_step(self) -> Step {
        self.core().map.with(|map| {
            let Some(running) = &mut map.moving else {
                return Step::Idle;
            };
            let page_size = self.geometry().page_size;
            let (from, to) = (running.from as usize, running.to as usize);
            let done = running.done;
            if done < running.pages as usize * page_size {
                running.done += BLOCK;
                // SAFETY: both blocks lie in the arena's pages: the payload's run and the gap in front
                // of it, which belong to this move (the row is `Moving`, the gap unlinked), so no
                // reference to them exists. The word type is aligned because pages are. Source and
                // destination blocks do not overlap, as a gap is at least a page, and blocks are
                // copied in ascending order, so none is overwritten before it was read.
                unsafe {
                    let source = self.page(from).add(done).cast::<Words>();
                    let target = self.page(to).add(done).cast::<Words>();
                    // An assignment would be a call that asks about overlaps, and twenty instructions longer.
                    core::ptr::copy_nonoverlapping(source, target, 1);
                }
                return Step::More;
            }
            if map.place(self) {
                // The gap becomes loose, and there is one loose run at a time.
                return Step::More;
            }
            let Some(Move { row: index, pages, gap, .. }) = map.moving else { return Step::Idle };
            let (pages, gap) = (pages as usize, gap as usize);
            map.moving = None;
            let row = self.row(index as usize);
            row.set_start(to);
            map.disown(self, Run::new(from, pages));
            map.own(self, Run::new(to, pages), index as usize);
            map.loosen(Run::new(to + pages, gap));
            map.cursor = (to + pages) as Index;
            map.changes = map.changes.wrapping_add(1);
            map.stats.moves = map.stats.moves.wrapping_add(1);
            map.stats.pages_moved = map.stats.pages_moved.wrapping_add(pages as u32);
            // Release, by compare-exchange where others change words without the lock: whoever sees
            // the payload at rest again sees its new place.
            let _ = row.word.update_held::<M>(map, |bits| Some(bits.with_moving(false)));
            Step::Finished
        })
    }

    /// Finishes the running move; `false` if there is none.
    pub(super) fn finish_move(self) -> bool {
        loop {
            match self.move_step() {
                Step::Idle => return false,
                Step::More => {}
                Step::Finished => return true,
            }
        }
    }
}

/// What [`ArenaRef::next_move`] found.
enum Next {
    Begun(usize),
    Looking,
    End,
}
