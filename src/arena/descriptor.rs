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

use super::layout::{ArenaRef, AtomicIndex, Index};
use super::map::{Link, Map, Run};
use super::ticket::Ticket;
use super::tray::HasTrays;
use super::word::{Bits, CasWords, LAST_GENERATION, Word};
use crate::error::RedeemError;
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

    /// See [`redeem_at_once`](ArenaRef::redeem_at_once): the same with the lock held, of an arena whose words change under it.
    #[inline]
    pub(super) fn redeem_held(&self, map: &mut Map, generation: u32) -> bool {
        let redeemed = self.word.read(map).redeemed_quickly(generation);
        redeemed.is_some_and(|bits| {
            self.word.set(map, bits);
            true
        })
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

    /// Gives up one lease on `index`.
    #[inline]
    pub(super) fn release(self, index: usize) {
        if HasTrays::<M>::YES && self.put_at_once(index) {
            return;
        }
        if !self.release_at_once(index) {
            self.release_slowly(index);
        }
    }

    /// The common cases: the only lease of a plain payload, and one of several leases; where words change by
    /// compare-exchange, also one beside tickets, as a receiver gives up whose message waits elsewhere. `false`, and
    /// nothing changed, for all others.
    #[inline]
    fn release_at_once(self, index: usize) -> bool {
        let row = self.row(index);
        if CasWords::<M>::YES {
            // Acquire, in there: a count of one must see all that was done with the other leases.
            let mut bits = self.state(row);
            if !bits.is_leased_once() {
                match row.word.update_cas(Bits::released_beside_any) {
                    Ok((_, new)) => {
                        if new.is_movable() {
                            self.tell_stalled();
                        }
                        return true;
                    }
                    // Of two that give theirs up at once, the later one may be the last.
                    Err(last) if last.is_leased_once() => bits = last,
                    Err(_) => return false,
                }
            }
            if HasTrays::<M>::YES {
                // Who comes upon another thread at its tray takes the longer way.
                return self.put_on_tray(index, row, bits);
            }
            return self.core().map.with(|map| self.shelve_at_once(map, index, row, bits));
        }
        self.core().map.with(|map| {
            let bits = row.word.read(map);
            if bits.is_leased_once() {
                return self.shelve_at_once(map, index, row, bits);
            }
            bits.released_beside_others().is_some_and(|fewer| {
                row.word.set(map, fewer);
                true
            })
        })
    }

    #[cold]
    #[inline(never)]
    fn release_slowly(self, index: usize) {
        // Infallible: a row in hand is not being moved, so the closure always has a next value.
        if let Ok(chores) = self.drop_handle(index, |bits| Some(bits.released())) {
            self.finish_free(chores);
        }
    }

    /// As [`release`](Self::release), for a scattered payload.
    pub(super) fn release_scattered(self, head: usize) {
        // Infallible, as above.
        if let Ok(chores) = self.drop_handle(head, |bits| Some(bits.released())) {
            self.finish_free_parts(chores);
        }
    }

    /// As [`retain`](Self::retain), for leases taken apart by `LeaseMut::into_raw`.
    pub(crate) fn retain_raw(self, index: usize) {
        self.retain(index);
    }

    /// As [`release`](Self::release), for leases taken apart.
    pub(crate) fn release_raw(self, index: usize) {
        self.release(index);
    }

    /// Gives up one lease on `index`, except the last one: then the caller has the payload to itself, and
    /// has seen all that was done with the others (the state word's ordering).
    pub(super) fn release_unless_last(self, index: usize) -> bool {
        let more = |bits: Bits| (bits.in_hand() > 1).then(|| bits.released());
        self.update(self.row(index), more).is_ok()
    }

    /// Gives up one claim on a payload at rest, if `generation` still is that of `index`.
    pub(super) fn discard_row(self, index: usize, generation: u32) {
        loop {
            // The check for a move and the discard are one step: compaction may begin a move between
            // any two critical sections, and must not be left with a freed row.
            let result = self.drop_handle(index, |bits| {
                let ours = bits.generation() == generation && bits.at_rest() > 0;
                (ours && !bits.is_moving()).then(|| bits.discarded())
            });
            match result {
                Err(bits) if bits.generation() == generation && bits.is_moving() => {
                    self.settle_move(index);
                }
                Err(_) => return,
                Ok(chores) => return self.finish_free_parts(chores),
            }
        }
    }

    /// Takes one handle away by `f` and frees the row when it was the last; what is left to do then. `Err`, and nothing
    /// changed, when `f` says `None`.
    #[inline]
    fn drop_handle(self, index: usize, f: impl Fn(Bits) -> Option<Bits>) -> Result<Chores, Bits> {
        let row = self.row(index);
        let chores = if CasWords::<M>::YES {
            let (old, new) = row.word.update_cas(f)?;
            if old.generation() == new.generation() {
                if new.is_movable() {
                    self.tell_stalled();
                }
                return Ok(Chores::NONE);
            }
            self.core().map.with(|map| self.free(map, index, row, old))
        } else {
            // One critical section for both: with such a lock the state word costs nothing extra.
            let (movable, chores) = self.core().map.with(|map| {
                let (old, new) = row.word.update_held::<M>(map, f)?;
                let freed = old.generation() != new.generation();
                let chores = if freed { self.free(map, index, row, old) } else { Chores::NONE };
                Ok((new.is_movable(), chores))
            })?;
            if movable {
                self.tell_stalled();
            }
            chores
        };
        Ok(chores)
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

    /// Turns one ticket of a payload in one run, which still is in `generation` and not being moved, into a
    /// lease: the common case. `false`, and nothing changed, for all others.
    #[inline]
    pub(super) fn redeem_at_once(self, index: usize, generation: u32) -> bool {
        let row = self.row(index);
        #[cfg(target_has_atomic = "64")]
        if CasWords::<M>::YES {
            let parked = Bits::parked_in(generation);
            return row.word.exchange(parked, parked.leased())
                || row.word.update_cas(|bits| bits.redeemed_in(generation)).is_ok();
        }
        self.core().map.with(|map| row.redeem_held(map, generation))
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

    /// The descriptor of `rows` that a ticket names, if the number can be genuine.
    #[inline]
    pub(super) fn look_up(self, ticket: Ticket, rows: usize) -> Result<(usize, u32), RedeemError> {
        let (index, generation) =
            ticket.open(self.core().epoch.load(Relaxed)).ok_or(RedeemError::Forged)?;
        if index >= rows {
            return Err(RedeemError::Forged);
        }
        Ok((index, generation))
    }

    /// Takes one ticket's claim: at rest to in hand, or, by `f`, away.
    #[inline]
    pub(super) fn take_ticket(
        self,
        ticket: Ticket,
        scattered: bool,
        f: impl Fn(Bits) -> Bits,
    ) -> Result<usize, RedeemError> {
        let (index, generation) = self.look_up(ticket, self.geometry().row_count)?;
        self.take_at_rest(index, generation, scattered, f).map(|()| index)
    }

    /// As [`take_ticket`](Self::take_ticket), for an index and generation.
    #[inline]
    pub(super) fn take_at_rest(
        self,
        index: usize,
        generation: u32,
        scattered: bool,
        f: impl Fn(Bits) -> Bits,
    ) -> Result<(), RedeemError> {
        let row = self.row(index);
        loop {
            let result = self.update(row, |bits| {
                let genuine = bits.generation() == generation
                    && bits.at_rest() > 0
                    && !bits.is_link()
                    && bits.is_scattered() == scattered
                    && !bits.is_moving();
                genuine.then(|| f(bits))
            });
            match result {
                Ok(_) => return Ok(()),
                Err(bits) if bits.generation() != generation => return Err(RedeemError::Stale),
                // A later part of a chain never had a ticket in this generation.
                Err(bits) if bits.is_link() => return Err(RedeemError::Forged),
                Err(bits) if bits.at_rest() == 0 => return Err(RedeemError::Stale),
                Err(bits) if bits.is_scattered() != scattered => {
                    return Err(RedeemError::Layout);
                }
                Err(_) => self.settle_move(index),
            }
        }
    }

    /// At rest to in hand for a later part of a chain whose head the caller has in hand. No ticket for
    /// such a part is ever accepted, so nobody else can have taken it.
    #[inline]
    pub(super) fn take_part(self, index: usize) {
        let row = self.row(index);
        while self.update(row, |bits| (!bits.is_moving()).then(|| bits.redeemed())).is_err() {
            self.settle_move(index);
        }
    }

    /// Finishes the move of `index`, if it is the one being moved.
    pub(super) fn settle_move(self, index: usize) {
        while self.state(self.row(index)).is_moving() {
            // Where words change without the lock, it may be over already, and the word yet to be changed.
            self.run(Map::mover);
            crate::sync::pause();
        }
    }

    /// Puts a row whose last handle is gone back into the map. `old` is its word before that.
    fn free(self, map: &mut Map, index: usize, row: &Row, old: Bits) -> Chores {
        let pages = row.pages();
        map.stock.put(pages);
        if row.home() != 0 {
            self.credit(map, row.home(), pages);
        }
        map.changes = map.changes.wrapping_add(1);
        let more = (old.is_scattered() || old.is_link()).then(|| row.next()).and_then(Link::get);
        let shelved = self.shelve(map, index, row, old.generation() == LAST_GENERATION);
        let kick = !map.waiters.is_empty();
        Chores::new(!shelved, kick, more)
    }

    /// What is left to do after a payload in one run was freed.
    #[inline]
    fn finish_free(self, chores: Chores) {
        if chores != Chores::NONE {
            self.do_chores(chores);
        }
    }

    #[cold]
    #[inline(never)]
    fn do_chores(self, chores: Chores) {
        if chores.long() {
            self.unshelve_long();
        }
        if chores.kick() {
            self.call_kick();
        }
    }

    /// What is left to do after a payload was freed that may be scattered.
    #[inline]
    fn finish_free_parts(self, chores: Chores) {
        if chores != Chores::NONE {
            self.do_chores_of_parts(chores);
        }
    }

    #[cold]
    #[inline(never)]
    fn do_chores_of_parts(self, mut chores: Chores) {
        loop {
            self.finish_free(chores);
            let Some(part) = chores.more() else { return };
            let row = self.row(part);
            let next = self.core().map.with(|map| {
                let (old, _) = row.word.update_held::<M>(map, |bits| {
                    let settled = !bits.is_moving();
                    settled.then(|| {
                        if bits.in_hand() > 0 { bits.released() } else { bits.discarded() }
                    })
                })?;
                Ok::<_, Bits>(self.free(map, part, row, old))
            });
            match next {
                Ok(next) => chores = next,
                Err(_) => {
                    self.settle_move(part);
                    chores = Chores::new(false, false, Some(part));
                }
            }
        }
    }
}

/// What is left to do after a row was freed, outside that critical section: whether a descriptor with
/// a long run is to be taken apart, whether somebody waits for memory, and the next part of a scattered
/// payload. Packed, so that the critical section hands it over in a register.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Chores(u32);

impl Chores {
    const NONE: Self = Self(0);

    #[inline]
    fn new(long: bool, kick: bool, more: Option<usize>) -> Self {
        // Lossless: descriptors are counted in 20 bits.
        let more = more.map_or(0, |part| part as u32 + 1);
        Self(more << 2 | u32::from(kick) << 1 | u32::from(long))
    }
    fn long(self) -> bool {
        self.0 & 1 != 0
    }
    fn kick(self) -> bool {
        self.0 & 2 != 0
    }
    fn more(self) -> Option<usize> {
        (self.0 as usize >> 2).checked_sub(1)
    }
}
