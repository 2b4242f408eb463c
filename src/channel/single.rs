//! Channels of one slot: conflated, and the meeting point of a rendezvous.

use core::marker::PhantomData;

use super::meeting::Bystanders;
use super::snapshot::Kind;
use super::store::{
    ConstStrategy, NoGrowth, Store, Strategy, never_grows, receivers_compete, sealed::Sealed,
};
use super::weigh::{MayWeigh, Weighing};

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
pub struct Rendezvous<W = MayWeigh>(PhantomData<fn() -> W>);

impl<W> Sealed for Rendezvous<W> {}

impl<T, W: Weighing> Strategy<T> for Rendezvous<W> {
    type Receipt = ();
    type Received = T;
    type Rank = ();
    type Reader = ();
    type Mark = ();
    type Store = MeetingPoint<T>;
    type Aside = ();
    type Weighs = W;
    const KIND: Kind = Kind::Rendezvous;
    const MEETS: bool = true;
    never_grows!();

    fn receipt(&self, _replaced: Option<T>) {}
}

impl<T, W: Weighing> ConstStrategy<T> for Rendezvous<W> {
    const STRATEGY: Self = Self(PhantomData);
}

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

/// At most one value, on its way to a receiver, and those who stand by.
#[doc(hidden)]
pub struct MeetingPoint<T> {
    value: Option<T>,
    bystanders: Bystanders,
}

impl<T> Sealed for MeetingPoint<T> {}

impl<T> Store<T> for MeetingPoint<T> {
    type Growth = NoGrowth;
    type Rank = ();
    const EMPTY: Self = Self { value: None, bystanders: Bystanders::NONE };
    receivers_compete!();

    fn len(&self) -> usize {
        usize::from(self.value.is_some())
    }
    fn capacity(&self) -> Option<usize> {
        Some(0)
    }
    fn has_room(&self, promised: usize) -> bool {
        self.value.is_none() && promised == 0
    }
    unsafe fn push(&mut self, value: T, _rank: (), _promised: usize) -> Option<T> {
        self.value.replace(value)
    }
    fn pop(&mut self, _promised: usize, _reader: ()) -> Option<(T, Option<NoGrowth>)> {
        self.value.take().map(|value| (value, None))
    }
    #[cfg(feature = "stamps")]
    fn front(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }
    fn at(&self, index: usize) -> Option<&T> {
        if index == 0 { self.value.as_ref() } else { None }
    }
    unsafe fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }
    #[inline]
    fn bystanders(&mut self) -> Option<&mut Bystanders> {
        Some(&mut self.bystanders)
    }
}
