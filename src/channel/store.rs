//! The storage strategies: where queued values lie, one file a kind.

use super::snapshot::Kind;
use crate::error::TryAllocError;
use core::pin::Pin;
use core::task::{Context, Poll};

/// A channel's kind, as a type: [`Rendezvous`](super::Rendezvous), [`Buffered`](super::Buffered),
/// [`Unlimited`](super::Unlimited), [`Conflated`](super::Conflated). Not for implementing elsewhere.
pub trait Strategy: sealed::Sealed {
    /// What a successful send returns: `()`, or for a conflated channel the value it replaced.
    type Receipt<T>;
    /// Where the values lie.
    #[doc(hidden)]
    type Store<T>: Store<T, Growth = Self::Growth>;
    /// Memory for more values.
    #[doc(hidden)]
    type Growth;
    /// A pending request for it.
    #[doc(hidden)]
    type Growing<T>: Growing<Growth = Self::Growth>;

    #[doc(hidden)]
    const KIND: Kind;
    /// Both sides must meet: there is no room without a receiver.
    #[doc(hidden)]
    const MEETS: bool = false;
    /// Room is made by memory from an arena.
    #[doc(hidden)]
    const GROWS: bool = false;

    #[doc(hidden)]
    fn receipt<T>(replaced: Option<T>) -> Self::Receipt<T>;
    /// Asks for memory at once.
    #[doc(hidden)]
    fn grow<T>(&self) -> Result<Self::Growth, TryAllocError>;
    /// Gives memory back that is no longer needed. Outside the lock.
    #[doc(hidden)]
    fn shrink(growth: Self::Growth) {
        drop(growth);
    }
    /// Asks for memory, to be awaited.
    #[doc(hidden)]
    fn growing<T>(&self) -> Self::Growing<T>;
}

/// Strategies whose store can be made in a `const`.
pub trait ConstStrategy: Strategy {
    #[doc(hidden)]
    const STRATEGY: Self;
}

/// Queued values, under the channel's lock. No method runs foreign code.
#[doc(hidden)]
pub trait Store<T>: sealed::Sealed {
    type Growth;
    /// A store with nothing in it.
    const EMPTY: Self;
    fn len(&self) -> usize;
    /// How many it can hold; `None` when memory decides.
    fn capacity(&self) -> Option<usize>;
    /// Room for one more value than `promised`.
    fn has_room(&self, promised: usize) -> bool;
    /// Adds a value at the end; there is room. Returns what it replaced.
    fn push(&mut self, value: T) -> Option<T>;
    /// The value at the front, and memory no longer needed; room for `promised` values stays.
    fn pop(&mut self, promised: usize) -> Option<(T, Option<Self::Growth>)>;
    /// Adds memory.
    fn add(&mut self, growth: Self::Growth);
}

/// A pending request for memory.
#[doc(hidden)]
pub trait Growing {
    type Growth;
    fn poll_growth(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Growth>>;
}

/// For strategies that never grow.
#[doc(hidden)]
#[derive(Debug)]
pub enum NoGrowth {}

impl Growing for () {
    type Growth = NoGrowth;
    fn poll_growth(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<NoGrowth>> {
        Poll::Pending
    }
}

pub(super) mod sealed {
    pub trait Sealed {}
}
