//! Channels of one slot: conflated, and the meeting point of a rendezvous.

use core::mem::MaybeUninit;

use super::meeting::Bystanders;
#[cfg(feature = "std")]
use super::sign::Sign;
use super::snapshot::Kind;
use super::store::{
    ConstStrategy, NoGrowth, Store, Strategy, never_grows, receivers_compete, sealed::Sealed,
};
use super::weigh::MayWeigh;
#[cfg(feature = "std")]
use super::weigh::NeverWeighs;

/// One slot; a send replaces what is there and hands the old value back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conflated;

impl Sealed for Conflated {}

impl<T> Strategy<T> for Conflated {
    type Receipt = Option<T>;
    type Received = T;
    type Rank = ();
    type Reader = ();
    type Mark = ();
    type Store = Latest<T>;
    type Aside = ();
    type Weighs = MayWeigh;
    type Highest = u32;
    const KIND: Kind = Kind::Conflated;
    never_grows!();

    fn receipt(&self, replaced: Option<T>) -> Option<T> {
        replaced
    }
}

impl<T> ConstStrategy<T> for Conflated {
    const STRATEGY: Self = Conflated;
}

/// No buffer: a send succeeds when it meets a receive.
///
/// A value on its way to a receiver that was already waiting lies in one slot of the channel until the
/// receiver takes it, and stays there for the next one if that receiver goes away. While the slot is
/// taken, further pairs wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rendezvous;

/// As [`Rendezvous`], made for values: it counts no bytes.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Meeting;

/// Declares kinds without a buffer.
macro_rules! meets {
    ($name:ident, $weighs:ty) => {
        impl Sealed for $name {}

        impl<T> Strategy<T> for $name {
            type Receipt = ();
            type Received = T;
            type Rank = ();
            type Reader = ();
            type Mark = ();
            type Store = MeetingPoint<T>;
            #[cfg(feature = "std")]
            type Aside = Sign;
            #[cfg(not(feature = "std"))]
            type Aside = ();
            type Weighs = $weighs;
            #[cfg(feature = "std")]
            type Highest = ();
            #[cfg(not(feature = "std"))]
            type Highest = u32;
            const KIND: Kind = Kind::Rendezvous;
            const MEETS: bool = true;
            never_grows!();

            fn receipt(&self, _replaced: Option<T>) {}
        }

        impl<T> ConstStrategy<T> for $name {
            const STRATEGY: Self = $name;
        }
    };
}

meets!(Rendezvous, MayWeigh);
#[cfg(feature = "std")]
meets!(Meeting, NeverWeighs);

/// The latest value.
#[doc(hidden)]
pub struct Latest<T>(Option<T>);

impl<T> Sealed for Latest<T> {}

impl<T> Store<T> for Latest<T> {
    type Growth = NoGrowth;
    type Rank = ();
    const EMPTY: Self = Self(None);
    receivers_compete!();

    fn len(&self) -> usize {
        usize::from(self.0.is_some())
    }
    fn capacity(&self) -> Option<usize> {
        Some(1)
    }
    fn has_room(&self, promised: usize) -> bool {
        // It is promised to nobody in particular; but a closed channel has promised more than there can be.
        promised < usize::MAX / 2
    }
    unsafe fn push(&mut self, value: T, _rank: (), _promised: usize) -> Option<T> {
        self.0.replace(value)
    }
    fn pop(&mut self, _promised: usize, _reader: ()) -> Option<(T, Option<NoGrowth>)> {
        self.0.take().map(|value| (value, None))
    }
    #[cfg(feature = "stamps")]
    fn front(&mut self) -> Option<&mut T> {
        self.0.as_mut()
    }
    fn at(&self, index: usize) -> Option<&T> {
        if index == 0 { self.0.as_ref() } else { None }
    }
    unsafe fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }
}

/// Whether a slot is taken; firmware writes a word in one instruction with the value beside it.
#[cfg(feature = "std")]
type Flag = u8;
#[cfg(not(feature = "std"))]
type Flag = u32;
const FREE: Flag = 0;
const TAKEN: Flag = 1;

/// At most one value, on its way to a receiver, and those who stand by.
///
/// (An `Option` would have gaps beside the lists.)
#[doc(hidden)]
pub struct MeetingPoint<T> {
    value: MaybeUninit<T>,
    /// Whether it is there.
    is_taken: Flag,
    /// Whether there ever was one. Firmware has the channel count that: one sort of counters is less code.
    #[cfg(feature = "std")]
    was_taken: bool,
    bystanders: Bystanders,
}

impl<T> Sealed for MeetingPoint<T> {}

impl<T> Store<T> for MeetingPoint<T> {
    type Growth = NoGrowth;
    type Rank = ();
    const EMPTY: Self = Self {
        value: MaybeUninit::uninit(),
        is_taken: FREE,
        #[cfg(feature = "std")]
        was_taken: false,
        bystanders: Bystanders::NONE,
    };
    receivers_compete!();

    fn len(&self) -> usize {
        usize::from(self.is_taken != FREE)
    }
    fn capacity(&self) -> Option<usize> {
        Some(0)
    }
    fn has_room(&self, promised: usize) -> bool {
        self.is_taken == FREE && promised == 0
    }
    unsafe fn push(&mut self, value: T, _rank: (), _promised: usize) -> Option<T> {
        debug_assert!(self.is_taken == FREE);
        self.is_taken = TAKEN;
        #[cfg(feature = "std")]
        {
            self.was_taken = true;
        }
        self.value.write(value);
        // There was room.
        None
    }
    fn pop(&mut self, _promised: usize, _reader: ()) -> Option<(T, Option<NoGrowth>)> {
        if self.is_taken == FREE {
            return None;
        }
        self.is_taken = FREE;
        // SAFETY: it was there, and leaves here.
        Some((unsafe { self.value.assume_init_read() }, None))
    }
    #[cfg(feature = "stamps")]
    fn front(&mut self) -> Option<&mut T> {
        // SAFETY: only if it is there.
        if self.is_taken != FREE { Some(unsafe { self.value.assume_init_mut() }) } else { None }
    }
    fn at(&self, index: usize) -> Option<&T> {
        // SAFETY: as above.
        if index < self.len() { Some(unsafe { self.value.assume_init_ref() }) } else { None }
    }
    unsafe fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }
    #[cfg(feature = "std")]
    fn highest(&self) -> Option<u32> {
        Some(u32::from(self.was_taken))
    }
    #[inline]
    fn bystanders(&mut self) -> Option<&mut Bystanders> {
        Some(&mut self.bystanders)
    }
}

impl<T> Drop for MeetingPoint<T> {
    fn drop(&mut self) {
        drop(self.pop(0, ()));
    }
}
