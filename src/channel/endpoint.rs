//! One side of a channel: what a piece of code is given that shall only send, or only receive.

use core::ops::Deref;

use super::store::{Compete, Strategy, sealed::Sealed};
use super::{Channel, ChannelSnapshot, Closed, Permit, RecvFuture, Reserve, SendFuture};
use crate::error::{TryRecvError, TryReserveError, TrySendError};
use crate::sync::RawMutex;

/// The sending side of a [`Channel`], seen by [`Channel::sender`]. Not counted: see
/// [`CountedSender`](super::CountedSender) for endpoints that close the channel when they are gone.
///
/// ```
/// use cloakroom::channel::{Buffered, Channel, Sender};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// fn measure(out: &Sender<Lock, u16, Buffered<4>>) {
///     out.try_send(42).ok();
/// }
///
/// static READINGS: Channel<Lock, u16, Buffered<4>> = Channel::new();
/// measure(READINGS.sender());
/// assert_eq!(READINGS.receiver().try_recv(), Ok(42));
/// ```
#[repr(transparent)]
pub struct Sender<M: RawMutex, T, S: Strategy<T>>(Channel<M, T, S>);

/// The receiving side of a [`Channel`], seen by [`Channel::receiver`]. Not counted.
#[repr(transparent)]
pub struct Receiver<M: RawMutex, T, S: Strategy<T>>(Channel<M, T, S>);

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Its sending side.
    pub fn sender(&self) -> &Sender<M, T, S> {
        // SAFETY: a transparent view of the same channel, for as long as it is borrowed.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }

    /// Its receiving side.
    pub fn receiver(&self) -> &Receiver<M, T, S> {
        // SAFETY: as above.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

/// Declares methods that are the channel's.
macro_rules! of_the_channel {
    ($($(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {
        $(
            #[doc = concat!("See [`Channel::", stringify!($name), "`].")]
            $(#[$meta])*
            pub fn $name(&self $(, $argument: $type)*) -> $result {
                self.0.$name($($argument),*)
            }
        )+
    };
}

/// Declares what both sides have.
macro_rules! of_both_sides {
    () => {
        of_the_channel! {
            close() -> bool;
            is_closed() -> bool;
            len() -> usize;
            is_empty() -> bool;
            is_full() -> bool;
            capacity() -> Option<usize>;
            snapshot() -> ChannelSnapshot;
        }

        /// Whether `other` belongs to the same channel.
        pub fn same_channel(&self, other: &Self) -> bool {
            self.0.same_channel(&other.0)
        }
    };
}

impl<M: RawMutex, T, S: Strategy<T>> Sender<M, T, S> {
    of_the_channel! {
        /// # Errors
        /// As there.
        try_send(value: T) -> Result<S::Receipt, TrySendError<T>>;
        /// # Errors
        /// As there.
        try_send_with_priority(value: T, priority: S::Rank) -> Result<S::Receipt, TrySendError<T>>;
        send(value: T) -> SendFuture<'_, M, T, S>;
        /// # Errors
        /// As there.
        try_reserve() -> Result<Permit<'_, M, T, S>, TryReserveError>;
        reserve() -> Reserve<'_, M, T, S>;
        closed() -> Closed<'_, M, T, S>;
    }
    of_both_sides!();

    /// The whole channel, for operations that take one.
    pub(crate) fn channel(&self) -> &Channel<M, T, S> {
        &self.0
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Receiver<M, T, S> {
    of_both_sides!();

    /// The whole channel, for operations that take one.
    pub(crate) fn channel(&self) -> &Channel<M, T, S> {
        &self.0
    }
}

impl<M: RawMutex, T, S: Compete<T>> Receiver<M, T, S> {
    of_the_channel! {
        /// # Errors
        /// As there.
        try_recv() -> Result<T, TryRecvError>;
        recv() -> RecvFuture<'_, M, T, S>;
    }
}

/// A [`Channel`], one with counted endpoints, or one of messages. Not for implementing elsewhere.
pub trait HasChannel: Sealed {
    /// Its lock.
    type Lock: RawMutex;
    /// What it carries.
    type Value;
    /// Its kind.
    type Kind: Strategy<Self::Value>;
    /// The channel.
    fn channel(&self) -> &Channel<Self::Lock, Self::Value, Self::Kind>;
}

impl<M: RawMutex, T, S: Strategy<T>> Sealed for Channel<M, T, S> {}

impl<M: RawMutex, T, S: Strategy<T>> HasChannel for Channel<M, T, S> {
    type Lock = M;
    type Value = T;
    type Kind = S;
    fn channel(&self) -> &Self {
        self
    }
}

/// How an endpoint reaches its channel: a reference, a [`Shared`](crate::Shared) in an arena, or an `Arc`.
pub trait ChannelRef: Deref<Target: HasChannel> + Clone {}

impl<P: Deref<Target: HasChannel> + Clone> ChannelRef for P {}

/// The lock, the value and the kind behind a [`ChannelRef`].
pub(super) type LockOf<P> = <<P as Deref>::Target as HasChannel>::Lock;
pub(super) type ValueOf<P> = <<P as Deref>::Target as HasChannel>::Value;
pub(super) type KindOf<P> = <<P as Deref>::Target as HasChannel>::Kind;
