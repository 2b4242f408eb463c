//! Buffered channels: a ring of `N` values.

use core::mem::MaybeUninit;

use super::snapshot::Kind;
use super::store::{ConstStrategy, NoGrowth, Store, Strategy, sealed::Sealed};
use crate::error::TryAllocError;

/// A ring of `N` values; when it is full, senders wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buffered<const N: usize>;

impl<const N: usize> Sealed for Buffered<N> {}

impl<const N: usize> Strategy for Buffered<N> {
    type Receipt<T> = ();
    type Store<T> = Ring<T, N>;
    type Growth = NoGrowth;
    type Growing<T> = ();
    const KIND: Kind = Kind::Buffered;

    fn receipt<T>(_replaced: Option<T>) {}
    fn grow<T>(&self) -> Result<NoGrowth, TryAllocError> {
        Err(TryAllocError::Full)
    }
    fn growing<T>(&self) {}
}

impl<const N: usize> ConstStrategy for Buffered<N> {
    const STRATEGY: Self = {
        assert!(N > 0, "a channel without room is `Rendezvous`");
        Buffered
    };
}

/// The values from `head` on, `len` of them, round the ring.
#[doc(hidden)]
pub struct Ring<T, const N: usize> {
    slots: [MaybeUninit<T>; N],
    head: usize,
    len: usize,
}

impl<T, const N: usize> Sealed for Ring<T, N> {}

impl<T, const N: usize> Store<T> for Ring<T, N> {
    type Growth = NoGrowth;
    const EMPTY: Self = Self { slots: [const { MaybeUninit::uninit() }; N], head: 0, len: 0 };

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
    fn push(&mut self, value: T) -> Option<T> {
        let end = self.head + self.len;
        let slot = if end < N { end } else { end - N };
        // Always there, as head and len are at most N; spelled so that no panic is compiled in.
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.write(value);
            self.len += 1;
        }
        None
    }

    #[inline]
    fn pop(&mut self, _promised: usize) -> Option<(T, Option<NoGrowth>)> {
        if self.len == 0 {
            return None;
        }
        let slot = self.slots.get_mut(self.head)?;
        // SAFETY: `len > 0`, so the slot at `head` holds a value, and it leaves the ring here.
        let value = unsafe { slot.assume_init_read() };
        self.head = if self.head + 1 == N { 0 } else { self.head + 1 };
        self.len -= 1;
        Some((value, None))
    }

    fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }
}

impl<T, const N: usize> Drop for Ring<T, N> {
    fn drop(&mut self) {
        while self.pop(0).is_some() {}
    }
}
