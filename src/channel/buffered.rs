//! Buffered channels: a ring of `N` values.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::overflow::{ConstOverflow, Overflow, Victim, Wait};
use super::snapshot::Kind;
use super::store::{
    ConstStrategy, NoGrowth, Store, Strategy, never_grows, receivers_compete, sealed::Sealed,
};
use crate::unwind::to_the_end;

/// A ring of `N` values, first in, first out. What happens when it is full is the policy's matter:
/// senders [`Wait`], or a value is dropped ([`DropNewest`](super::DropNewest),
/// [`DropOldest`](super::DropOldest)).
#[derive(Clone, Copy, Debug, Default)]
pub struct Buffered<const N: usize, P = Wait>(P);

impl<const N: usize, P> Buffered<N, P> {
    /// With a policy that has a hook; see [`Hook`](super::Hook) for an example.
    pub const fn with(policy: P) -> Self {
        Self(policy)
    }
}

impl<const N: usize, P> Sealed for Buffered<N, P> {}

impl<T, const N: usize, P: Overflow<T>> Strategy<T> for Buffered<N, P> {
    type Receipt = ();
    type Received = T;
    type Rank = ();
    type Reader = ();
    type Mark = ();
    type Store = Ring<T, N, P>;
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
    const STRATEGY: Self = Buffered(P::POLICY);
}

/// The values from `head` on, `len` of them, round the ring.
#[doc(hidden)]
pub struct Ring<T, const N: usize, P> {
    slots: [MaybeUninit<T>; N],
    head: usize,
    len: usize,
    _policy: PhantomData<fn() -> P>,
}

impl<T, const N: usize, P> Ring<T, N, P> {
    #[inline]
    fn append(&mut self, value: T) {
        let end = self.head + self.len;
        let slot = if end < N { end } else { end - N };
        // Always there, as head and len are at most N; spelled so that no panic is compiled in.
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.write(value);
            self.len += 1;
        }
    }

    #[inline]
    fn take(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let slot = self.slots.get_mut(self.head)?;
        // SAFETY: `len > 0`, so the slot at `head` holds a value, and it leaves the ring here.
        let value = unsafe { slot.assume_init_read() };
        self.head = if self.head + 1 == N { 0 } else { self.head + 1 };
        self.len -= 1;
        Some(value)
    }
}

impl<T, const N: usize, P> Sealed for Ring<T, N, P> {}

impl<T, const N: usize, P: Overflow<T>> Store<T> for Ring<T, N, P> {
    type Growth = NoGrowth;
    type Rank = ();
    const EMPTY: Self = {
        assert!(N > 0, "a channel without room is `Rendezvous`");
        Self { slots: [const { MaybeUninit::uninit() }; N], head: 0, len: 0, _policy: PhantomData }
    };
    receivers_compete!();

    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    fn capacity(&self) -> Option<usize> {
        Some(N)
    }

    #[inline]
    fn has_room(&self, promised: usize) -> bool {
        self.len + promised < N
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
        self.append(value);
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
        // SAFETY: `len > 0`, so the slot at `head` holds a value.
        self.slots.get_mut(self.head).map(|slot| unsafe { slot.assume_init_mut() })
    }

    unsafe fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }
}

impl<T, const N: usize, P> Drop for Ring<T, N, P> {
    fn drop(&mut self) {
        to_the_end(|| self.take().is_some());
    }
}
