//! What makes one kind of channel different from another: a strategy, and the store it keeps values in.

use core::pin::Pin;
use core::task::{Context, Poll};

use super::aside::{Aside, Lent, Window};
use super::meeting::Bystanders;
use super::snapshot::{Highest, Kind};
use super::walk::{Place, Step};
use super::weigh::Weighing;
use crate::error::TryAllocError;

/// A channel's kind, as a type: [`Rendezvous`](super::Rendezvous), [`Buffered`](super::Buffered),
/// [`Unlimited`](super::Unlimited), [`Conflated`](super::Conflated), [`Priority`](super::Priority),
/// [`Broadcast`](super::Broadcast). Not for implementing elsewhere.
pub trait Strategy<T>: sealed::Sealed {
    /// What a successful send returns: `()`, or for a conflated channel the value it replaced.
    type Receipt;
    /// What a receive returns: `T`, or for a broadcast channel a [`Delivery`](super::Delivery).
    type Received;
    /// What a send may say about its value's place in the queue: nothing, or its priority.
    type Rank: Copy + Default + Send;
    /// Who receives: anybody, or the subscriber whose cursor this points to.
    #[doc(hidden)]
    type Reader: Copy;
    /// What a parked receiver notes down about the store, so that it shows whether it has changed.
    #[doc(hidden)]
    type Mark: Copy + Default;
    /// Where the values lie.
    #[doc(hidden)]
    type Store: Store<
            T,
            Growth = Self::Growth,
            Received = Self::Received,
            Rank = Self::Rank,
            Reader = Self::Reader,
            Mark = Self::Mark,
        >;
    /// Lanes past the lock.
    #[doc(hidden)]
    type Aside: Aside<T>;
    /// Whether it may be a channel of messages.
    #[doc(hidden)]
    type Weighs: Weighing;
    /// What the channel keeps of the most values there ever were.
    #[doc(hidden)]
    type Highest: Highest;
    /// Memory for more values.
    #[doc(hidden)]
    type Growth;
    /// A pending request for it.
    #[doc(hidden)]
    type Growing: Growing<Growth = Self::Growth>;

    #[doc(hidden)]
    const KIND: Kind;
    /// Both sides must meet: there is no room without a receiver.
    #[doc(hidden)]
    const MEETS: bool = false;
    /// Room is made by memory from an arena.
    #[doc(hidden)]
    const GROWS: bool = false;
    /// A send without room goes through all the same, and a value is dropped for it.
    #[doc(hidden)]
    const LOSES: bool = false;
    /// Every receiver receives every value.
    #[doc(hidden)]
    const SHARES: bool = false;

    /// What a send that pushed `dropped` out returns. Outside the lock: it may run foreign code.
    #[doc(hidden)]
    fn receipt(&self, dropped: Option<T>) -> Self::Receipt;
    /// Asks for memory at once.
    #[doc(hidden)]
    fn grow(&self) -> Result<Self::Growth, TryAllocError> {
        Err(TryAllocError::Full)
    }
    /// Gives memory back that is no longer needed. Outside the lock.
    #[doc(hidden)]
    fn shrink(growth: Self::Growth) {
        drop(growth);
    }
    /// Asks for memory, to be awaited.
    #[doc(hidden)]
    fn growing(&self) -> Self::Growing;
}

/// Strategies whose receivers compete: each value is received by one of them. All but
/// [`Broadcast`](super::Broadcast).
pub trait Compete<T>: Strategy<T, Received = T, Reader = ()> {}

impl<T, S: Strategy<T, Received = T, Reader = ()>> Compete<T> for S {}

/// Strategies that can be made in a `const`, without a parameter.
pub trait ConstStrategy<T>: Strategy<T> {
    #[doc(hidden)]
    const STRATEGY: Self;
}

/// Queued values, under the channel's lock. No method runs foreign code.
#[doc(hidden)]
pub trait Store<T>: sealed::Sealed {
    type Growth;
    type Received;
    type Rank;
    type Reader: Copy;
    type Mark: Copy;
    /// A store with nothing in it, and no room if that is made at run time.
    const EMPTY: Self;
    fn len(&self) -> usize;
    /// How many it can hold; `None` when memory decides.
    fn capacity(&self) -> Option<usize>;
    /// Room for one more value than `promised`, which may be more than half of the range: then there is none.
    fn has_room(&self, promised: usize) -> bool;
    /// Adds a value and returns the one that had to go for it: one that it replaced, or, when there was
    /// no room besides the `promised`, one that the strategy loses.
    ///
    /// # Safety
    /// There is room besides the `promised`, or the strategy loses values.
    unsafe fn push(&mut self, value: T, rank: Self::Rank, promised: usize) -> Option<T>;
    /// How many values there are for `reader`.
    fn available(&self, reader: Self::Reader) -> usize;
    /// What is next for `reader`, and memory no longer needed; room for `promised` values stays.
    fn pop(
        &mut self,
        promised: usize,
        reader: Self::Reader,
    ) -> Option<(Self::Received, Option<Self::Growth>)>;
    /// `value` as it is received.
    fn received(value: T) -> Self::Received;
    /// The value in what was received, if there is one.
    fn value(received: &mut Self::Received) -> Option<&mut T>;
    /// The value that will be received next.
    #[cfg(feature = "stamps")]
    fn front(&mut self) -> Option<&mut T>;
    /// The value at this place, counted from the front, where it can be had in constant time.
    fn at(&self, _index: usize) -> Option<&T> {
        None
    }
    /// The same, for who may put another value in its place.
    #[cfg(feature = "spill")]
    fn at_mut(&mut self, _index: usize) -> Option<&mut T> {
        None
    }
    /// Places, counted from the front, in which there may be values.
    fn extent(&self) -> usize {
        self.len()
    }
    /// Begins to look at one value after the other.
    fn begin(&mut self, place: &mut Place) {
        place.left = self.extent();
    }
    /// Looks at the next one; constant time. Values may have come and gone since. From the back to the front, unless
    /// a store knows better. `gone` counts values that have left the store.
    fn step(&mut self, place: &mut Place, _gone: u32) -> Step<'_, T> {
        let Some(index) = place.left.min(self.extent()).checked_sub(1) else { return Step::End };
        place.left = index;
        self.at(index).map_or(Step::Nothing, |value| Step::Seen(value, index))
    }
    /// What a receiver that parks now notes down.
    fn mark(&self) -> Self::Mark;
    /// Whether there is something for a receiver that parked at `mark`.
    fn is_past(&self, mark: Self::Mark) -> bool;
    /// Parts with slots and values, to lanes, besides what is `promised`.
    fn lend(&mut self, _promised: [usize; 2]) -> Option<Lent<T>> {
        None
    }
    /// Has them back.
    ///
    /// # Safety
    /// They were lent, and so many values were added, and so many taken out.
    unsafe fn take_back(&mut self, _sent: usize, _received: usize) {}
    /// While all is lent: senders have filled the last piece of memory, by so many values that this store has not been told
    /// of, and go on in this one. If that may be, what is lent to them now.
    ///
    /// # Safety
    /// So many were added to what was lent, or has been since, and no more will be there; the memory is as for `add`.
    unsafe fn lend_more(
        &mut self,
        _sent: usize,
        growth: Self::Growth,
    ) -> Result<Window<T>, Self::Growth> {
        Err(growth)
    }
    /// The same of receivers, who have emptied the first piece, which is no longer needed. Not if it is the only one.
    ///
    /// # Safety
    /// So many were taken out of what was lent, or has been since, and no more will be there.
    unsafe fn lend_next(&mut self, _received: usize) -> Option<(Window<T>, Self::Growth)> {
        None
    }
    /// Adds memory.
    ///
    /// # Safety
    /// The strategy's `grow` or `growing` has provided it for such a store.
    unsafe fn add(&mut self, growth: Self::Growth);
    /// Memory that is not needed for what has been `promised`, when a promise has been given back.
    fn spare(&mut self, _promised: usize) -> Option<Self::Growth> {
        None
    }
    /// Of a rendezvous: those who wait without a value, or only look.
    #[inline]
    fn bystanders(&mut self) -> Option<&mut Bystanders> {
        None
    }
    /// The most values there ever were, if it knows.
    fn highest(&self) -> Option<u32> {
        None
    }
    /// Values that were received, and those that their receivers missed, where that is not the same
    /// as what left the store.
    fn shared(&self) -> Option<(u32, u32)> {
        None
    }
    /// How many subscribers there are.
    fn subscribers(&self) -> u32 {
        0
    }
    /// A new one.
    fn subscribe(&mut self, _reader: Self::Reader) {}
    /// One less, who has yet to pass what there is up to this number.
    fn unsubscribe(&mut self) -> u64 {
        0
    }
    /// One step of a subscriber's leaving: it passes a value that it has not read.
    fn leave(&mut self, _reader: Self::Reader, _end: u64) -> Leaving<T> {
        Leaving::Gone
    }
}

/// A step of a subscriber that goes away.
#[doc(hidden)]
pub enum Leaving<T> {
    Gone,
    /// It has passed a value that others will read, or made room.
    Passed,
    /// It was the last to pass this one; whether anybody had read it.
    Done(T, bool),
}

/// Declares what [`Store`]s of competing receivers have in common.
macro_rules! receivers_compete {
    () => {
        type Received = T;
        type Reader = ();
        type Mark = ();

        #[inline]
        fn available(&self, _reader: ()) -> usize {
            self.len()
        }
        fn received(value: T) -> T {
            value
        }
        #[inline]
        fn value(received: &mut T) -> Option<&mut T> {
            Some(received)
        }
        fn mark(&self) {}
        #[inline]
        fn is_past(&self, _mark: ()) -> bool {
            true
        }
    };
}
pub(crate) use receivers_compete;

/// Declares what [`Strategy`]s without a need for memory have in common.
macro_rules! never_grows {
    () => {
        type Growth = $crate::channel::store::NoGrowth;
        type Growing = ();
        fn growing(&self) {}
    };
}
pub(crate) use never_grows;

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

pub(crate) mod sealed {
    pub trait Sealed {}
}
