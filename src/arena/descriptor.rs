//! Descriptors: one row of the arena's table, and its legal transitions.
//!
//! ```text
//!            take                 deposit (last lease)
//!   Free ───────────► InHand ───────────────────────────► AtRest ◄──────► Moving
//!    ▲                  ▲ │                                 │ │   compaction  (AtRest only)
//!    │                  │ │ deposit (one of several leases) │ │
//!    │                  │ ▼                                 │ │
//!    │              InHand and AtRest                       │ │
//!    │                  ▲            redeem                 │ │
//!    │                  └───────────────────────────────────┘ │
//!    └──────────── release / discard of the last handle ──────┘     (raises the generation)
//! ```
//!
//! Owners: a row in hand belongs to its leases, and only a unique lease writes the payload. A row at
//! rest belongs to nobody; its run may be changed by the one running move, under the arena's lock. A
//! free row belongs to the map. Any transition on a `Moving` row first finishes the move (it never
//! waits for whoever began it).
//!
//! Putting to rest is here; [redeeming](super::redeem) and [giving up](super::release) have files of their own.

use super::layout::{ArenaRef, AtomicIndex, Index};
use super::map::{Link, Map, Run};
use super::ticket::Ticket;
use super::word::{Bits, CasWords, Word};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::plain::{AtomicU8, AtomicU32};
use crate::sync::{RawMutex, const_fn};

/// One descriptor. Besides the state word, whose updates order all others, everything is written by the
/// row's owner alone; the fields are atomic so that a dump may read them while that happens.
pub(super) struct Row {
    pub(super) word: Word,
    len: AtomicU32,
    #[cfg(feature = "checksum")]
    sum: AtomicU32,
    #[cfg(feature = "stamps")]
    stamp: AtomicU32,
    #[cfg(feature = "correlation")]
    correlation: AtomicU32,
    start: AtomicIndex,
    pages: AtomicIndex,
    /// In a free, quick or retired list: the next row. In a scattered payload: the next part.
    next: AtomicIndex,
    home: AtomicU8,
}

impl Row {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self {
                word: Word::new(),
                len: AtomicU32::new(0),
                #[cfg(feature = "checksum")]
                sum: AtomicU32::new(0),
                #[cfg(feature = "stamps")]
                stamp: AtomicU32::new(0),
                #[cfg(feature = "correlation")]
                correlation: AtomicU32::new(0),
                start: AtomicIndex::new(0),
                pages: AtomicIndex::new(0),
                next: AtomicIndex::new(0),
                home: AtomicU8::new(0),
            }
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed) as usize
    }
    #[inline]
    pub(super) fn set_len(&self, len: usize) {
        // Lossless: `pages_for` refuses more than u32::MAX.
        self.len.store(len as u32, Relaxed);
    }
    #[inline]
    pub(super) fn start(&self) -> usize {
        self.start.load(Relaxed) as usize
    }
    #[inline]
    pub(super) fn set_start(&self, page: usize) {
        self.start.store(page as Index, Relaxed);
    }
    #[inline]
    pub(super) fn pages(&self) -> usize {
        self.pages.load(Relaxed) as usize
    }
    #[inline]
    pub(super) fn set_pages(&self, pages: usize) {
        self.pages.store(pages as Index, Relaxed);
    }
    /// The run, for a row that has pages.
    #[inline]
    pub(super) fn run(&self) -> Option<Run> {
        (self.pages() > 0).then(|| Run::new(self.start(), self.pages()))
    }
    #[inline]
    pub(super) fn next(&self) -> Link {
        Link::from_raw(self.next.load(Relaxed))
    }
    #[inline]
    pub(super) fn set_next(&self, next: Link) {
        self.next.store(next.raw(), Relaxed);
    }
    #[inline]
    pub(super) fn home(&self) -> u8 {
        self.home.load(Relaxed)
    }
    #[inline]
    pub(super) fn set_home(&self, home: u8) {
        self.home.store(home, Relaxed);
    }
    #[cfg(feature = "stamps")]
    #[inline]
    pub(super) fn stamp(&self) -> u32 {
        self.stamp.load(Relaxed)
    }
    #[cfg(feature = "stamps")]
    #[inline]
    pub(super) fn set_stamp(&self, stamp: u32) {
        self.stamp.store(stamp, Relaxed);
    }
    #[cfg(feature = "correlation")]
    pub(super) fn correlation(&self) -> u32 {
        self.correlation.load(Relaxed)
    }
    #[cfg(feature = "correlation")]
    pub(super) fn set_correlation(&self, id: u32) {
        self.correlation.store(id, Relaxed);
    }
    #[cfg(feature = "checksum")]
    #[inline]
    pub(super) fn sum(&self) -> u32 {
        self.sum.load(Relaxed)
    }
    #[cfg(feature = "checksum")]
    #[inline]
    pub(super) fn set_sum(&self, sum: u32) {
        self.sum.store(sum, Relaxed);
    }
}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Changes a state word by `f`; see [`Word`].
    #[inline]
    pub(super) fn update(
        self,
        row: &Row,
        f: impl FnMut(Bits) -> Option<Bits>,
    ) -> Result<(Bits, Bits), Bits> {
        if CasWords::<M>::YES {
            row.word.update_cas(f)
        } else {
            self.core().map.with(|map| row.word.update_held::<M>(map, f))
        }
    }

    /// The state word now.
    pub(super) fn state(self, row: &Row) -> Bits {
        #[cfg(target_has_atomic = "64")]
        if CasWords::<M>::YES {
            return row.word.peek();
        }
        self.core().map.with(|map| row.word.read(map))
    }

    /// One more lease on `index`, which the caller has in hand.
    #[inline]
    pub(super) fn retain(self, index: usize) {
        // Where it fails, the count sticks.
        let _ = self.update(self.row(index), Bits::retained);
    }

    /// As [`retain`](Self::retain), for leases taken apart by `LeaseMut::into_raw`.
    pub(crate) fn retain_raw(self, index: usize) {
        self.retain(index);
    }

    /// Turns the only lease of a plain payload into its only ticket: the common case. `None`, and nothing changed,
    /// for all others.
    #[inline]
    pub(super) fn rest_at_once(self, index: usize) -> Option<u32> {
        let row = self.row(index);
        #[cfg(target_has_atomic = "64")]
        if CasWords::<M>::YES {
            let bits = row.word.peek();
            // As in `rest_held`.
            let plain = bits.is_leased_once() && !cfg!(feature = "checksum");
            return plain.then(|| {
                row.word.set_resting(bits.parked());
                self.tell_stalled();
                bits.generation()
            });
        }
        self.core().map.with(|map| self.rest_held(map, row))
    }

    /// The same with the lock held, of an arena whose words change under it.
    #[inline]
    pub(super) fn rest_held(self, map: &mut Map, row: &Row) -> Option<u32> {
        let bits = row.word.read(map);
        // Relaxed: the lock orders all of it.
        let plain = bits.is_leased_once() && !self.core().stalled.load(Relaxed);
        // A payload that is to have a checksum is not that plain.
        (plain && !cfg!(feature = "checksum")).then(|| {
            row.word.set(map, bits.parked());
            bits.generation()
        })
    }

    /// Turns one lease of `index` into a ticket; see [`rest_as`](Self::rest_as).
    pub(super) fn rest(self, index: usize) -> Option<u32> {
        self.rest_as(index, 1)
    }

    /// Turns one lease of `index` into some tickets, and returns the generation that they are for. `None`,
    /// and nothing changed, if that would be more tickets for this payload than can be counted.
    ///
    /// The generation is that of the very step: a moment later another ticket's holder may have
    /// redeemed and freed the payload.
    pub(super) fn rest_as(self, index: usize, tickets: u32) -> Option<u32> {
        let row = self.row(index);
        #[cfg(feature = "checksum")]
        self.seal_payload(row);
        let (_, new) = self.update(row, |bits| bits.deposited_as(tickets)).ok()?;
        if new.is_movable() {
            self.tell_stalled();
        }
        Some(new.generation())
    }

    /// One more ticket for a payload at rest, if `generation` still is that of `index`. Also for one that is
    /// being moved: the move concerns its place, not its counts.
    pub(super) fn share_at_rest(self, index: usize, generation: u32) -> bool {
        let share = |bits: Bits| {
            let ours = bits.generation() == generation && bits.at_rest() > 0;
            if ours { bits.shared_at_rest() } else { None }
        };
        self.update(self.row(index), share).is_ok()
    }

    /// The ticket of `index` in `generation`.
    pub(super) fn ticket_of(self, index: usize, generation: u32) -> Ticket {
        Ticket::seal(index, generation, self.core().epoch.load(Relaxed))
    }

    /// Finishes the move of `index`, if it is the one being moved.
    pub(super) fn settle_move(self, index: usize) {
        while self.state(self.row(index)).is_moving() {
            // Where words change without the lock, it may be over already, and the word yet to be changed.
            self.run(Map::mover);
            crate::sync::pause();
        }
    }
}
