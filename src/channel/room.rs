//! Where a store's slots lie: in the channel itself, or in memory that is made with it.
//!
//! A store is written once for both. The length of an array is known to the compiler, so nothing is read or
//! compared that would not be if the store were written for arrays alone.

use core::mem::MaybeUninit;

use super::store::sealed::Sealed;

/// How much room there is, and where.
#[doc(hidden)]
pub trait Room: Sealed {
    /// Slots that hold `T`.
    type Of<T: Blank>: Slots<T>;
    /// The number of a slot.
    type Number: Number;
    /// How many slots there are, if that is known when the program is built.
    const LEN: Option<usize>;
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

/// The number of a slot, as small as it may be.
#[doc(hidden)]
pub trait Number: Copy {
    const ZERO: Self;
    /// There is no slot with a larger one.
    const MOST: usize;
    fn of(slot: usize) -> Self;
    fn get(self) -> usize;
}

macro_rules! number {
    ($number:ty) => {
        impl Number for $number {
            const ZERO: Self = 0;
            const MOST: usize = <$number>::MAX as usize;
            #[inline(always)]
            fn of(slot: usize) -> Self {
                // Lossless: below `MOST`.
                slot as Self
            }
            #[inline(always)]
            fn get(self) -> usize {
                self as usize
            }
        }
    };
}

number!(u16);
#[cfg(feature = "std")]
number!(u32);

/// `N` slots in the channel itself.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline<const N: usize>;

impl<const N: usize> Sealed for Inline<N> {}

impl<const N: usize> Room for Inline<N> {
    type Of<T: Blank> = [T; N];
    type Number = u16;
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
