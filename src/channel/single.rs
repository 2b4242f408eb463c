//! Channels of one slot: conflated, and the meeting point of a rendezvous.

use super::snapshot::Kind;
use super::store::{ConstStrategy, NoGrowth, Store, Strategy, sealed::Sealed};
use crate::error::TryAllocError;

/// One slot; a send replaces what is there and hands the old value back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conflated;

impl Sealed for Conflated {}

impl Strategy for Conflated {
    type Receipt<T> = Option<T>;
    type Store<T> = Slot<T, true>;
    type Growth = NoGrowth;
    type Growing<T> = ();
    const KIND: Kind = Kind::Conflated;

    fn receipt<T>(replaced: Option<T>) -> Option<T> {
        replaced
    }
    fn grow<T>(&self) -> Result<NoGrowth, TryAllocError> {
        Err(TryAllocError::Full)
    }
    fn growing<T>(&self) {}
}

impl ConstStrategy for Conflated {
    const STRATEGY: Self = Conflated;
}

/// No buffer: a send succeeds when it meets a receive.
///
/// A value on its way to a receiver that was already waiting lies in one slot of the channel until the
/// receiver takes it, and stays there for the next one if that receiver goes away. While the slot is
/// taken, further pairs wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rendezvous;

impl Sealed for Rendezvous {}

impl Strategy for Rendezvous {
    type Receipt<T> = ();
    type Store<T> = Slot<T, false>;
    type Growth = NoGrowth;
    type Growing<T> = ();
    const KIND: Kind = Kind::Rendezvous;
    const MEETS: bool = true;

    fn receipt<T>(_replaced: Option<T>) {}
    fn grow<T>(&self) -> Result<NoGrowth, TryAllocError> {
        Err(TryAllocError::Full)
    }
    fn growing<T>(&self) {}
}

impl ConstStrategy for Rendezvous {
    const STRATEGY: Self = Rendezvous;
}

/// At most one value.
#[doc(hidden)]
pub struct Slot<T, const REPLACE: bool>(Option<T>);

impl<T, const REPLACE: bool> Sealed for Slot<T, REPLACE> {}

impl<T, const REPLACE: bool> Store<T> for Slot<T, REPLACE> {
    type Growth = NoGrowth;
    const EMPTY: Self = Self(None);

    fn len(&self) -> usize {
        usize::from(self.0.is_some())
    }
    fn capacity(&self) -> Option<usize> {
        Some(usize::from(REPLACE))
    }
    fn has_room(&self, promised: usize) -> bool {
        REPLACE || (self.0.is_none() && promised == 0)
    }
    fn push(&mut self, value: T) -> Option<T> {
        self.0.replace(value)
    }
    fn pop(&mut self, _promised: usize) -> Option<(T, Option<NoGrowth>)> {
        self.0.take().map(|value| (value, None))
    }
    fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }
}
