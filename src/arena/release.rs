//! Giving handles up, leases or tickets; with the last one its row becomes free. What cannot be done in that critical section is
//! left as chores for after it.

use super::descriptor::Row;
use super::layout::ArenaRef;
use super::map::{Link, Map};
use super::tray::HasTrays;
use super::word::{Bits, CasWords, LAST_GENERATION};
use crate::sync::RawMutex;

impl<M: RawMutex> ArenaRef<'_, M> {
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
        let mut kick = false;
        loop {
            if chores.long() {
                self.unshelve_long();
            }
            kick |= chores.kick();
            let Some(part) = chores.more() else { break };
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
        if kick {
            self.call_kick();
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
