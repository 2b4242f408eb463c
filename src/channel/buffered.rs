//! Buffered channels: a ring of `N` values.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::aside::{Lent, Window};
use super::overflow::{ConstOverflow, Overflow, Victim, Wait};
use super::room::{Inline, Room, Slots, round};
use super::snapshot::Kind;
use super::store::{
    ConstStrategy, NoGrowth, Store, Strategy, never_grows, receivers_compete, sealed::Sealed,
};
use crate::unwind::to_the_end;

/// A ring of `N` values, first in, first out. What happens when it is full is the policy's matter:
/// senders [`Wait`], or a value is dropped ([`DropNewest`](super::DropNewest),
/// [`DropOldest`](super::DropOldest)).
#[derive(Clone, Copy, Debug, Default)]
pub struct Buffered<const N: usize, P = Wait, R = Inline<N>>(P, PhantomData<fn() -> R>);

impl<const N: usize, P> Buffered<N, P> {
    /// With a policy that has a hook; see [`Hook`](super::Hook) for an example.
    pub const fn with(policy: P) -> Self {
        Self::within(policy)
    }
}

impl<const N: usize, P, R> Buffered<N, P, R> {
    /// With room of any sort.
    pub(crate) const fn within(policy: P) -> Self {
        Self(policy, PhantomData)
    }
}

impl<const N: usize, P, R> Sealed for Buffered<N, P, R> {}

impl<T, const N: usize, P: Overflow<T>, R: Room> Strategy<T> for Buffered<N, P, R> {
    type Receipt = ();
    type Received = T;
    type Rank = ();
    type Reader = ();
    type Mark = ();
    type Store = Ring<T, R, P>;
    type Aside = R::Aside<T>;
    type Weighs = R::Weighs;
    type Highest = u32;
    const KIND: Kind = Kind::Buffered;
    const LOSES: bool = !matches!(P::VICTIM, Victim::None);
    never_grows!();

    #[inline]
    fn receipt(&self, dropped: Option<T>) {
        if let Some(value) = dropped {
            self.0.dropped(value);
        }
    }
}

impl<T, const N: usize, P: Overflow<T> + ConstOverflow> ConstStrategy<T> for Buffered<N, P> {
    const STRATEGY: Self = Self::within(P::POLICY);
}

/// The most slots of a ring.
pub(crate) const MOST: usize = u32::MAX as usize;

/// The values from `head` on, `len` of them, round the ring.
#[doc(hidden)]
#[cfg_attr(not(feature = "std"), repr(C))] // as `State`
pub struct Ring<T, R: Room, P> {
    // Words of 32 bits, as there is one of these in each of many channels that are idle.
    len: u32,
    head: u32,
    slots: R::Of<MaybeUninit<T>>,
    _policy: PhantomData<fn() -> P>,
}

impl<T, R: Room, P> Ring<T, R, P> {
    /// An empty ring in these slots.
    ///
    /// There are no more than [`MOST`].
    pub(crate) const fn over(slots: R::Of<MaybeUninit<T>>) -> Self {
        Self { slots, head: 0, len: 0, _policy: PhantomData }
    }

    #[inline(always)]
    fn room(&self) -> usize {
        self.slots.all().len()
    }

    /// How many values there are.
    #[inline(always)]
    fn count(&self) -> usize {
        // Lossless, as in `head`.
        self.len as usize
    }

    /// The slot of the next value.
    #[inline(always)]
    fn head(&self) -> usize {
        // Lossless: addresses have 32 bits at least.
        self.head as usize
    }

    /// The slot that is so many behind the head, no more than there are.
    #[inline(always)]
    fn behind_head(&self, count: usize) -> usize {
        round::<R>(self.head() + count, self.room())
    }

    /// # Safety
    /// There is room.
    #[inline]
    unsafe fn append(&mut self, value: T) {
        let slot = self.behind_head(self.count());
        debug_assert!(self.count() < self.room() && slot < self.room());
        // Before the value is written: the compiler cannot know that it leaves the length alone.
        self.len += 1;
        // SAFETY: the head is below the room, and so, by the caller's word, is the length: less than a round from the
        // head, this is counted round into the room.
        unsafe { self.slots.all_mut().get_unchecked_mut(slot) }.write(value);
    }

    #[inline]
    fn take(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let head = self.head();
        debug_assert!(head < self.room());
        // SAFETY: the head is below the room: it begins as zero, there is room for a value, as there is one, and whoever
        // moves it counts it round. `len > 0`, so the slot there holds a value, and it leaves the ring here.
        let value = unsafe { self.slots.all_mut().get_unchecked_mut(head).assume_init_read() };
        // Lossless: below the room.
        self.head = self.behind_head(1) as u32;
        self.len -= 1;
        Some(value)
    }
}

impl<T, R: Room, P> Sealed for Ring<T, R, P> {}

impl<T, R: Room, P: Overflow<T>> Store<T> for Ring<T, R, P> {
    type Growth = NoGrowth;
    type Rank = ();
    const EMPTY: Self = {
        assert!(!matches!(R::LEN, Some(0)), "a channel without room is `Rendezvous`");
        assert!(!matches!(R::LEN, Some(len) if len > MOST), "that many are not counted");
        Self::over(R::Of::<MaybeUninit<T>>::BLANK)
    };
    receivers_compete!();

    #[inline]
    fn len(&self) -> usize {
        self.count()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.room())
    }

    #[inline]
    fn has_room(&self, promised: usize) -> bool {
        self.count() + promised < self.room()
    }

    #[inline]
    unsafe fn push(&mut self, value: T, _rank: (), promised: usize) -> Option<T> {
        let victim = match P::VICTIM {
            Victim::Newest | Victim::Oldest if self.has_room(promised) => None,
            Victim::None => None,
            Victim::Newest => return Some(value),
            Victim::Oldest => match self.take() {
                Some(oldest) => Some(oldest),
                None => return Some(value),
            },
        };
        // SAFETY: there was room by the caller's word, or it has been made, or there is besides what is promised.
        unsafe { self.append(value) };
        victim
    }

    #[inline]
    fn pop(&mut self, _promised: usize, _reader: ()) -> Option<(T, Option<NoGrowth>)> {
        self.take().map(|value| (value, None))
    }

    #[cfg(feature = "stamps")]
    fn front(&mut self) -> Option<&mut T> {
        if self.len == 0 {
            return None;
        }
        let head = self.head();
        // SAFETY: `len > 0`, so the slot at `head` holds a value.
        self.slots.all_mut().get_mut(head).map(|slot| unsafe { slot.assume_init_mut() })
    }

    #[inline]
    fn lend(&mut self, promised: [usize; 2]) -> Option<Lent<T>> {
        let (room, len) = (self.room(), self.count());
        let slots = self.slots.all_mut().as_mut_ptr();
        let end = self.behind_head(len);
        Some(Lent {
            tail: Window { slots, at: end, left: usize::MAX },
            head: Window { slots, at: self.head(), left: usize::MAX },
            turn: room,
            len,
            room,
            promised,
            high_water: 0,
            is_closed: false,
            weighs: false,
        })
    }

    #[inline]
    unsafe fn take_back(&mut self, sent: usize, received: usize) {
        // Lossless, both: below the room, and no more than that.
        self.head = self.behind_head(received % self.room()) as u32;
        // Wrapping, as so many may have passed that there would be no room for the length beside them.
        self.len = self.count().wrapping_add(sent).wrapping_sub(received) as u32;
    }

    fn at(&self, index: usize) -> Option<&T> {
        if index >= self.count() {
            return None;
        }
        let slot = self.slots.all().get(self.behind_head(index))?;
        // SAFETY: `len` slots from `head` on hold values, and this is one of them.
        Some(unsafe { slot.assume_init_ref() })
    }

    #[cfg(feature = "spill")]
    fn at_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.count() {
            return None;
        }
        let slot = self.behind_head(index);
        // SAFETY: as in `at`.
        self.slots.all_mut().get_mut(slot).map(|slot| unsafe { slot.assume_init_mut() })
    }

    unsafe fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }
}

impl<T, R: Room, P> Drop for Ring<T, R, P> {
    fn drop(&mut self) {
        to_the_end(|| self.take().is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_values_may_pass_a_loan_as_can_be_counted() {
        let mut ring = Ring::<u8, Inline<4>, Wait>::over(Slots::BLANK);
        // SAFETY: there is room for four.
        unsafe {
            ring.append(1);
            ring.append(2);
        }
        // SAFETY: three slots on: where these two values would be, others are written before any is read.
        unsafe { ring.take_back(usize::MAX, usize::MAX) };
        assert_eq!((ring.head, ring.len), (3, 2));
        (ring.head, ring.len) = (0, 2);
        assert_eq!([ring.take(), ring.take(), ring.take()], [Some(1), Some(2), None]);
    }
}
