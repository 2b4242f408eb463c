//! Where a store's slots lie: in the channel itself, or in memory that is made with it.
//!
//! A store is written once for both. The length of an array is known to the compiler, so nothing is read or
//! compared that would not be if the store were written for arrays alone.

use core::mem::MaybeUninit;

#[cfg(feature = "std")]
use super::aside::Aside;
use super::aside::HasAside;
use super::store::sealed::Sealed;
use super::weigh::MayWeigh;
#[cfg(feature = "std")]
use super::{Channel, Strategy, state::State};
#[cfg(feature = "std")]
use crate::sync::{Locked, RawMutex};

/// How much room there is, and where.
#[doc(hidden)]
pub trait Room: HasAside {
    /// Slots that hold `T`.
    type Of<T: Blank>: Slots<T>;
    /// How many slots there are, if that is known when the program is built.
    const LEN: Option<usize>;
}

/// The slot where one comes to who goes round the `room` slots of a ring, and is less than two rounds on.
#[inline(always)]
pub(super) fn round<R: Room>(slot: usize, room: usize) -> usize {
    // Known when the program is built, and half the instructions.
    if R::LEN.is_some_and(usize::is_power_of_two) {
        slot & (room - 1)
    } else if slot < room {
        slot
    } else {
        slot - room
    }
}

/// A fixed number of slots.
#[doc(hidden)]
pub trait Slots<T> {
    /// Blank ones; none, where their number is known only at run time.
    const BLANK: Self;
    fn all(&self) -> &[T];
    fn all_mut(&mut self) -> &mut [T];
}

/// What a slot holds at first.
#[doc(hidden)]
pub trait Blank {
    const BLANK: Self;
}

impl<T> Blank for MaybeUninit<T> {
    const BLANK: Self = Self::uninit();
}

/// `N` slots in the channel itself.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline<const N: usize>;

impl<const N: usize> Sealed for Inline<N> {}

impl<const N: usize> HasAside for Inline<N> {
    type Aside<T> = ();
    type Weighs = MayWeigh;
}

impl<const N: usize> Room for Inline<N> {
    type Of<T: Blank> = [T; N];
    const LEN: Option<usize> = Some(N);
}

impl<T: Blank, const N: usize> Slots<T> for [T; N] {
    const BLANK: Self = [const { T::BLANK }; N];
    #[inline(always)]
    fn all(&self) -> &[T] {
        self
    }
    #[inline(always)]
    fn all_mut(&mut self) -> &mut [T] {
        self
    }
}

#[cfg(feature = "std")]
impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// An open channel over a store that has been made at run time, and is empty.
    pub(crate) fn over_store(kind: S, store: S::Store) -> Self {
        Self { strategy: kind, state: Locked::beside(S::Aside::NEW, State::over(store)) }
    }
}
