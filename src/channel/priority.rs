//! Priority channels: a bounded heap, first in first out among equals, with ageing.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::room::{Blank, Inline, Room, Slots};
use super::snapshot::Kind;
use super::store::{
    ConstStrategy, NoGrowth, Store, Strategy, never_grows, receivers_compete, sealed::Sealed,
};
use super::walk::{Place, Step};
use crate::unwind::to_the_end;

/// Up to `N` values, the most urgent first, the oldest first among equals; when it is full, senders wait.
///
/// A send says how urgent its value is, from 0 (unless told) to 255. **Nothing starves**: a step of
/// priority is a head start of `AGEING` values and no more, so a value of priority `p` is overtaken by a
/// later one of priority `q` only if fewer than `(q − p) × AGEING` values were sent in between, and by at
/// most `(255 − p) × AGEING` later ones in all. With a large `AGEING` the order is strict for as long as
/// the channel is never that deep.
///
/// This is a virtual deadline, as in earliest-deadline-first scheduling, with sends for a clock: it is fixed
/// when a value arrives, so ageing costs nothing. A send or a receive takes at most log₂ `N` steps, which move
/// eight bytes each and not the values; no other kind's cost depends on its capacity.
///
/// ```
/// use cloakroom::channel::{Channel, Priority};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static ALARMS: Channel<Lock, &str, Priority<8>> = Channel::new();
/// ALARMS.try_send("door")?;
/// ALARMS.try_send_with_priority("fire", 9)?; // or ALARMS.send("fire").priority(9).await
/// assert_eq!(ALARMS.try_recv(), Ok("fire"));
/// # Ok::<(), cloakroom::TrySendError<&str>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Priority<const N: usize, const AGEING: u32 = 16, R = Inline<N>>(PhantomData<fn() -> R>);

impl<const N: usize, const AGEING: u32, R> Priority<N, AGEING, R> {
    /// With room of any sort.
    pub(crate) const fn within() -> Self {
        Self(PhantomData)
    }
}

impl<const N: usize, const AGEING: u32, R> Sealed for Priority<N, AGEING, R> {}

impl<T, const N: usize, const AGEING: u32, R: Room> Strategy<T> for Priority<N, AGEING, R> {
    type Receipt = ();
    type Received = T;
    type Rank = u8;
    type Reader = ();
    type Mark = ();
    type Store = Heap<T, R, AGEING>;
    type Aside = ();
    type Weighs = R::Weighs;
    type Highest = u32;
    const KIND: Kind = Kind::Priority;
    never_grows!();

    fn receipt(&self, _dropped: Option<T>) {}
}

impl<T, const N: usize, const AGEING: u32> ConstStrategy<T> for Priority<N, AGEING> {
    const STRATEGY: Self = Self::within();
}

/// A value's place in the order, and where it lies.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Entry {
    /// When it is due, in values sent; wraps.
    due: u32,
    /// In the upper byte how little urgent it is, in the others the number of its slot.
    rest: u32,
}

impl Blank for Entry {
    const BLANK: Self = Self { due: 0, rest: 0 };
}

impl Entry {
    fn new(due: u32, rank: u8, slot: usize) -> Self {
        // Lossless: there are at most `MOST_IN_HEAP` slots.
        Self { due, rest: u32::from(u8::MAX - rank) << 24 | slot as u32 }
    }

    fn slot(self) -> usize {
        (self.rest & MOST_IN_HEAP as u32) as usize
    }

    /// When it is due; of two at once the later one first: it is the more urgent. (No two are due at once and as urgent:
    /// each is sent at a time of its own.)
    #[inline(always)]
    fn key(self) -> u64 {
        u64::from(self.due) << u32::BITS | u64::from(self.rest)
    }

    #[inline(always)]
    fn is_before(self, other: Self) -> bool {
        // The due times of values that are in the heap together differ by less than half the range, see
        // `over`, so the sign of their difference shows which is earlier.
        (self.key().wrapping_sub(other.key()) as i64) < 0
    }
}

/// The first `len` entries of `order` are a binary heap. The others say which slots are free, from
/// `touched` on those at their own place: so all is zero at first.
#[doc(hidden)]
pub struct Heap<T, R: Room, const AGEING: u32> {
    slots: R::Of<MaybeUninit<T>>,
    order: R::Of<Entry>,
    len: usize,
    touched: usize,
    /// Values sent so far; wraps.
    clock: u32,
}

/// The most values a heap may hold.
pub(crate) const MOST_IN_HEAP: usize = (1 << 24) - 1;

impl<T, R: Room, const AGEING: u32> Heap<T, R, AGEING> {
    /// An empty heap in these slots.
    ///
    /// # Safety
    /// There are as many of both.
    pub(crate) const unsafe fn over(slots: R::Of<MaybeUninit<T>>, order: R::Of<Entry>) -> Self {
        // What is in the heap was sent within the last 255 × AGEING + `MOST_IN_HEAP` values, and is due within
        // 255 × AGEING of its sending.
        assert!(AGEING <= 1 << 21, "a head start of 2,097,152 values at most");
        Self { slots, order, len: 0, touched: 0, clock: 0 }
    }

    fn entry(&self, at: usize) -> Option<Entry> {
        // SAFETY: of the heap.
        (at < self.len).then(|| unsafe { self.nth(at) })
    }

    /// The entry at this place.
    ///
    /// # Safety
    /// There is room for so many and one more.
    #[inline(always)]
    unsafe fn nth(&self, at: usize) -> Entry {
        debug_assert!(at < self.order.all().len());
        // SAFETY: by the caller's word.
        unsafe { *self.order.all().get_unchecked(at) }
    }

    /// # Safety
    /// As for [`nth`](Self::nth).
    #[inline(always)]
    unsafe fn set(&mut self, at: usize, entry: Entry) {
        debug_assert!(at < self.order.all().len());
        // SAFETY: by the caller's word.
        unsafe { *self.order.all_mut().get_unchecked_mut(at) = entry }
    }

    /// Moves the hole at `at` up to where `entry` belongs, and puts it there.
    ///
    /// # Safety
    /// There is room for so many and one more.
    unsafe fn rise(&mut self, mut at: usize, entry: Entry) {
        // SAFETY: a parent's place is before its child's, which there is room for.
        unsafe {
            while at > 0 {
                let parent = (at - 1) / 2;
                let above = self.nth(parent);
                if !entry.is_before(above) {
                    break;
                }
                self.set(at, above);
                at = parent;
            }
            self.set(at, entry);
        }
    }

    /// Moves the hole at the top down to where `entry` belongs, and puts it there.
    ///
    /// # Safety
    /// There is a hole: one entry less than there is room for.
    unsafe fn sink(&mut self, entry: Entry) {
        let mut at = 0;
        // SAFETY: a child is looked at only if it is in the heap, and the hole is at the top, or where a child was.
        unsafe {
            loop {
                let mut child = 2 * at + 1;
                if child >= self.len {
                    break;
                }
                let mut below = self.nth(child);
                if child + 1 < self.len {
                    let right = self.nth(child + 1);
                    if right.is_before(below) {
                        (child, below) = (child + 1, right);
                    }
                }
                if !below.is_before(entry) {
                    break;
                }
                self.set(at, below);
                at = child;
            }
            self.set(at, entry);
        }
    }

    fn take(&mut self) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        // SAFETY: the heap has an entry, and room for no less than it has; one leaves it, so there is room for one more
        // than it has then. Each entry of the heap names a slot of its own that holds a value; this one has just left the
        // heap.
        unsafe {
            let first = self.nth(0);
            let moved = self.nth(last);
            self.len = last;
            if last > 0 {
                self.sink(moved);
            }
            // The slot is free: remembered behind the heap.
            self.set(last, first);
            debug_assert!(first.slot() < self.slots.all().len());
            Some(self.slots.all_mut().get_unchecked_mut(first.slot()).assume_init_read())
        }
    }
}

impl<T, R: Room, const AGEING: u32> Sealed for Heap<T, R, AGEING> {}

impl<T, R: Room, const AGEING: u32> Store<T> for Heap<T, R, AGEING> {
    type Growth = NoGrowth;
    type Rank = u8;
    const EMPTY: Self = {
        if let Some(len) = R::LEN {
            assert!(len > 0 && len <= MOST_IN_HEAP, "room for 1 to 16,777,215 values");
        }
        // SAFETY: `LEN` of both, or none.
        unsafe { Self::over(R::Of::<MaybeUninit<T>>::BLANK, R::Of::<Entry>::BLANK) }
    };
    receivers_compete!();

    fn len(&self) -> usize {
        self.len
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.slots.all().len())
    }

    fn has_room(&self, promised: usize) -> bool {
        self.len + promised < self.slots.all().len()
    }

    unsafe fn push(&mut self, value: T, rank: u8, _promised: usize) -> Option<T> {
        let at = self.len;
        debug_assert!(at < self.slots.all().len());
        // SAFETY: there is room, by the caller's word, so behind the heap is an entry. It says which slot is free, or has
        // never been used, and neither has the slot at its place.
        let slot = if at < self.touched { unsafe { self.nth(at) }.slot() } else { at };
        self.touched = self.touched.max(at + 1);
        debug_assert!(slot < self.slots.all().len());
        // SAFETY: entries name slots that there are, of which there are as many as entries.
        unsafe { self.slots.all_mut().get_unchecked_mut(slot) }.write(value);
        self.clock = self.clock.wrapping_add(1);
        let due = self.clock.wrapping_add(u32::from(u8::MAX - rank) * AGEING);
        self.len += 1;
        // SAFETY: there was room for one more.
        unsafe { self.rise(at, Entry::new(due, rank, slot)) };
        None
    }

    fn pop(&mut self, _promised: usize, _reader: ()) -> Option<(T, Option<NoGrowth>)> {
        self.take().map(|value| (value, None))
    }

    #[cfg(feature = "stamps")]
    fn front(&mut self) -> Option<&mut T> {
        let first = self.entry(0)?;
        let slot = self.slots.all_mut().get_mut(first.slot())?;
        // SAFETY: each entry of the heap names a slot of its own that holds a value.
        Some(unsafe { slot.assume_init_mut() })
    }

    fn at(&self, index: usize) -> Option<&T> {
        let entry = self.entry(index)?;
        let slot = self.slots.all().get(entry.slot())?;
        // SAFETY: each entry of the heap names a slot of its own that holds a value.
        Some(unsafe { slot.assume_init_ref() })
    }

    fn begin(&mut self, place: &mut Place) {
        (place.left, place.number) = (self.len, self.clock);
    }

    /// A value that leaves moves others towards the front, past which the walk has yet to come, and the last one,
    /// which it has seen, or which still is before it. One that comes in moves others to the back.
    fn step(&mut self, place: &mut Place, _gone: u32) -> Step<'_, T> {
        if place.number != self.clock {
            let Some(patience) = place.patience.checked_sub(1) else { return Step::Lost };
            place.patience = patience;
            self.begin(place);
        }
        let Some(index) = place.left.min(self.len).checked_sub(1) else { return Step::End };
        place.left = index;
        self.at(index).map_or(Step::Nothing, |value| Step::Seen(value, index))
    }

    unsafe fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }
}

impl<T, R: Room, const AGEING: u32> Drop for Heap<T, R, AGEING> {
    fn drop(&mut self) {
        to_the_end(|| self.take().is_some());
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    /// The order is the same while the clock, and before it the due times, begin again at zero: sends enough for
    /// that take minutes, so the clock is set.
    fn order_around<const N: usize, const AGEING: u32>(start: u32) {
        let mut heap = Heap::<u64, Inline<N>, AGEING>::EMPTY;
        heap.clock = start;
        // Sent, at a time that does not wrap, and how urgent.
        let mut waiting: Vec<(u64, u8)> = Vec::new();
        let mut state = start | 1;
        for sent in 1..20_000 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let rank = [0, 1, 128, 255][(state >> 8) as usize % 4];
            // SAFETY: there is room: below, one leaves for each that comes when it is full.
            let dropped = unsafe { heap.push(sent, rank, 0) };
            assert!(dropped.is_none());
            waiting.push((sent, rank));
            while waiting.len() == N || (state % 3 == 0 && !waiting.is_empty()) {
                let due = |&(sent, rank): &(u64, u8)| {
                    (sent + u64::from(255 - rank) * u64::from(AGEING), 255 - rank)
                };
                let first = (0..waiting.len()).min_by_key(|&at| due(&waiting[at])).unwrap();
                let expected = waiting.swap_remove(first).0;
                assert_eq!(heap.take(), Some(expected), "ageing {AGEING}, from {start} on");
                state = state.rotate_left(7);
            }
        }
    }

    #[test]
    fn the_clock_may_wrap() {
        order_around::<50, 16>(u32::MAX - 10_000);
        order_around::<50, 1>(u32::MAX - 100);
        // The due time of the least urgent wraps long before the clock does.
        let latest = 255 << 21;
        order_around::<50, { 1 << 21 }>(u32::MAX - latest - 10_000);
        order_around::<50, { 1 << 21 }>(u32::MAX - 10_000);
        order_around::<50, { 1 << 21 }>((1 << 31) - latest);
    }
}
