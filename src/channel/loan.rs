//! What the [state machine](super::state) lends to [lanes](super::aside), and has back.

use super::aside::{Lent, Returned, Window};
use super::snapshot::Highest;
use super::state::State;
use super::store::{Store, Strategy};

/// With more values than these nothing is lent, or what lanes count might come to its end. (There are as many only where addresses have 32
/// bits, of values without a size.)
const MOST_LENT: usize = usize::MAX / 8;

impl<T, S: Strategy<T>> State<T, S> {
    /// Parts with slots and values, if lanes can do without the rest.
    #[inline]
    pub(super) fn lend(&mut self) -> Option<Lent<T>> {
        // Lanes tell no times.
        if self.is_deserted() || !self.is_quiet() || (cfg!(feature = "stamps") && self.weighs()) {
            return None;
        }
        let mut lent = self.store.lend([self.promised_slots(), self.promised_values()])?;
        if lent.len > MOST_LENT {
            return None;
        }
        lent.head.left = self.lendable(lent.head.left, lent.len)?;
        Some(Lent {
            high_water: self.counters.high_water.get() as usize,
            weighs: self.weighs(),
            is_closed: self.is_closed(),
            ..lent
        })
    }

    /// Whether senders, and receivers, who come now would have to wait. (Who can bring memory along may not have to.)
    #[inline]
    pub(super) fn keeps_waiting(&self) -> [bool; 2] {
        if self.is_closed() {
            return [false; 2];
        }
        let is_full = !S::GROWS && !S::LOSES && !self.has_room();
        let is_empty = self.store.len() <= self.promised_values();
        [
            is_full || !self.waiting.senders.is_empty(),
            is_empty || !self.waiting.receivers().is_empty(),
        ]
    }

    /// Has them back.
    #[inline]
    pub(super) fn take_back(&mut self, returned: Returned) {
        let Returned { high_water, sends, recvs } = returned;
        // SAFETY: this is what the lanes say of what they were lent.
        unsafe { self.store.take_back(sends.values, recvs.values) };
        self.counters.note_depth(high_water);
        self.counters.add(sends, recvs);
    }

    /// How many values may be lent, of `left`, if there are `len`.
    #[inline]
    fn lendable(&self, left: usize, len: usize) -> Option<usize> {
        if !self.is_closed() {
            return Some(left);
        }
        // One that is not promised stays, so that nobody waits on a lane for what will not come.
        let others = len.saturating_sub(self.promised_values()).checked_sub(1)?;
        Some(left.min(others))
    }

    /// While it has lent all: `sends` have filled the last piece of memory, so `growth` is lent instead, if it may be.
    pub(super) fn lend_more(
        &mut self,
        returned: Returned,
        growth: &mut Option<S::Growth>,
    ) -> Option<Window<T>> {
        let Returned { high_water, sends, recvs } = returned;
        // SAFETY: this is what the lanes say of what they were lent; the memory comes from this channel's strategy.
        match unsafe { self.store.lend_more(sends.values, growth.take()?) } {
            Ok(window) => {
                self.counters.note_depth(high_water);
                self.counters.add(sends, recvs);
                Some(window)
            }
            Err(unused) => {
                *growth = Some(unused);
                None
            }
        }
    }

    /// While it has lent all: receives have emptied the first piece of memory, so the next one's values are lent instead, if it
    /// is not the only one. That memory is `unused` then.
    pub(super) fn lend_next(
        &mut self,
        returned: Returned,
        unused: &mut Option<S::Growth>,
    ) -> Option<Window<T>> {
        let Returned { sends, recvs, .. } = returned;
        // Of a closed channel nothing is sent meanwhile, so the store knows how many there are.
        let left = self.lendable(usize::MAX, self.store.len().wrapping_sub(recvs.values))?;
        // SAFETY: this is what the lanes say of what they were lent.
        let (mut window, growth) = unsafe { self.store.lend_next(recvs.values) }?;
        window.left = window.left.min(left);
        *unused = Some(growth);
        self.counters.add(sends, recvs);
        Some(window)
    }
}
