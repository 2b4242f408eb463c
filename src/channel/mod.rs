//! Channels: one state machine for every kind, payload and way of waiting.
//!
//! A [`Channel`] is generic over its lock `M`, its values `T` and its [kind](Strategy). Values are
//! whatever is `Send`: numbers, `&'static` references, `Box`es, [`Owned`](crate::Owned) values in an
//! arena. Messages of bytes travel through [`Bytes`], which queues [`Parcel`](crate::Parcel)s: payloads
//! at rest in an arena.
//!
//! | to | see |
//! |---|---|
//! | choose a kind | [`Rendezvous`], [`Buffered`], [`Unlimited`], [`Conflated`], [`Priority`], [`Broadcast`] |
//! | drop values rather than wait | [`Overflow`], [`Hook`] |
//! | hold a slot first, send later | [`Permit`] |
//! | hand out one side | [`Sender`], [`Receiver`], or counted: [`endpoints`] |
//! | read what is broadcast | [`Subscriber`] |
//! | send one message to several channels | [`fan_out`], [`fan_out_all`] |
//! | wait for the first of several | [`select`](mod@crate::select) |
//! | limit a wait | [`Operation`](crate::limit::Operation) |
//!
//! Values are moved under the channel's lock, so keep them small (a few words); large ones belong into
//! the arena.

pub(crate) mod aside;
mod attempt;
mod batch;
pub(crate) mod broadcast;
pub(crate) mod buffered;
#[cfg(any(feature = "embedded-io-async", feature = "std"))]
pub(crate) mod byte_stream;
mod bytes;
mod closing;
pub(crate) mod counted;
#[cfg(feature = "embedded-io-async")]
mod embedded_io;
mod encounter;
mod endpoint;
mod fan_out;
mod growth;
mod hand_over;
mod histogram;
#[cfg(feature = "spill")]
pub(crate) mod inside;
mod landing;
mod loan;
mod lock;
mod meeting;
mod overflow;
mod parking;
pub(crate) mod priority;
mod quick;
mod recv;
mod reserve;
pub(crate) mod room;
mod send;
mod settle;
mod share;
#[cfg(feature = "std")]
mod sign;
mod single;
mod sink;
mod snapshot;
mod spilled;
mod state;
pub(crate) mod store;
mod subscriber;
mod transfer;
mod try_recv;
mod try_send;
mod unlimited;
mod waiting;
mod walk;
pub(crate) mod weigh;

pub use batch::{RecvMany, SendMany};
pub use broadcast::{Broadcast, Delivery};
pub use buffered::Buffered;
#[cfg(any(feature = "embedded-io-async", feature = "std"))]
pub use byte_stream::{ByteReader, ByteWriter};
pub use bytes::{ByteRecvError, ByteTryRecvError, Bytes, BytesError, RecvBytes};
pub use closing::Closed;
pub use counted::{Counted, CountedReceiver, CountedSender, HasCounts, WeakSender, endpoints};
pub use endpoint::{ChannelRef, HasChannel, Receiver, Sender};
pub use fan_out::{FanOut, FanOutError, NoFanOut, Outlet, fan_out, fan_out_all, try_fan_out_all};
pub use histogram::Histogram;
pub use overflow::{ConstOverflow, Discard, DropNewest, DropOldest, Hook, Overflow, Wait};
pub use priority::Priority;
pub use recv::RecvFuture;
pub use reserve::{Permit, Reserve};
pub use send::SendFuture;
pub use share::Share;
#[cfg(feature = "std")]
pub use single::Meeting;
pub use single::{Conflated, Rendezvous};
pub use sink::SendSink;
pub use snapshot::{ChannelSnapshot, ChannelState, Kind, PayloadMode, Shortage};
pub use spilled::SpillSnapshot;
pub use store::{Compete, ConstStrategy, Strategy};
pub use subscriber::{Listen, Subscriber};
pub use unlimited::{AnyArena, Unlimited};
pub use walk::{Waiting, Walk};
pub use weigh::Times;

use crate::sync::{Locked, RawMutex, const_fn};
use aside::{Aside, Lending};
use meeting::Look;
use state::State;
use store::Store;

/// A channel between any number of senders and receivers.
///
/// It is a plain value: put it in a `static`, on the stack or in an arena, and use it through shared
/// references. Every operation on it is interrupt-safe if the lock is. What is guaranteed:
///
/// * An operation that fails gives the value back.
/// * A send that reported success is received exactly once, or is still in the channel, or is counted
///   as dropped. Dropping a pending operation at any moment loses and doubles nothing.
/// * First come, first served: a value, or a slot, is handed to the operation that has waited longest,
///   and nobody can take it away in between. `Full` and `Empty` are never wrong.
/// * After [`close`](Self::close) what is in the channel is still received.
///
/// Memory: the store, three list heads and the counters.
///
/// ```
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex;
///
/// static READINGS: Channel<CriticalSectionRawMutex, u32, Buffered<8>> = Channel::new();
///
/// // In an interrupt handler:
/// READINGS.try_send(42)?;
/// // In a task: READINGS.recv().await, or
/// assert_eq!(READINGS.try_recv(), Ok(42));
/// # Ok::<(), cloakroom::TrySendError<u32>>(())
/// ```
pub struct Channel<M: RawMutex, T, S: Strategy<T>> {
    strategy: S,
    state: Locked<M, State<T, S>, S::Aside>,
}

// SAFETY: the state is reached under the lock only, and every strategy's store (strategies are sealed)
// may be sent when its values may: it owns them, and, for `Unlimited`, leases of an arena whose lock is
// `Sync` (`AnyArena` is sealed and implemented for such arenas only).
unsafe impl<M: RawMutex + Sync, T: Send, S: Strategy<T> + Sync> Sync for Channel<M, T, S> {}
// SAFETY: as above.
unsafe impl<M: RawMutex + Send, T: Send, S: Strategy<T> + Send> Send for Channel<M, T, S> {}

impl<M: RawMutex, T, S: Strategy<T>> Drop for Channel<M, T, S> {
    fn drop(&mut self) {
        // For the store to drop what there is.
        if let Some(returned) = self.aside().lanes().and_then(Lending::recall) {
            self.state.get_mut().take_back(returned);
        }
    }
}

impl<M: RawMutex, T, S: ConstStrategy<T>> Channel<M, T, S> {
    const_fn! {
        /// An open, empty channel.
        pub const fn new() -> Self {
            Self::with(S::STRATEGY)
        }
    }
}

impl<M: RawMutex, T, S: ConstStrategy<T>> Default for Channel<M, T, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, M: RawMutex, T, const SEGMENT: usize> Channel<M, T, Unlimited<'a, M, SEGMENT>> {
    const_fn! {
        /// An open, empty channel that takes its memory from `arena`.
        ///
        /// ```
        /// use cloakroom::{Arena, channel::{Channel, Unlimited}, sync::CriticalSectionRawMutex};
        ///
        /// type Lock = CriticalSectionRawMutex;
        /// static ARENA: Arena<Lock, 16, 64, 16> = Arena::new();
        /// static EVENTS: Channel<Lock, u16, Unlimited<'static, Lock>> = Channel::over(&ARENA);
        ///
        /// for event in 0..100 {
        ///     EVENTS.try_send(event)?;
        /// }
        /// assert_eq!(EVENTS.len(), 100);
        /// # Ok::<(), cloakroom::TrySendError<u16>>(())
        /// ```
        pub const fn over(arena: &'a dyn AnyArena<M>) -> Self {
            Self::with(Unlimited::over(arena))
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    const_fn! {
        /// An open, empty channel of a kind that has a parameter, such as a [`Hook`].
        pub const fn with(kind: S) -> Self {
            Self { strategy: kind, state: Locked::beside(S::Aside::NEW, State::new()) }
        }
    }

    /// Its kind, for one that has more to it.
    #[cfg(feature = "spill")]
    pub(crate) fn kind(&self) -> &S {
        &self.strategy
    }

    /// The lanes, or what else there is past the lock.
    #[inline(always)]
    pub(crate) fn aside(&self) -> &S::Aside {
        self.state.aside()
    }

    /// What a send by the lane returns.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn receipt(&self) -> S::Receipt {
        self.strategy.receipt(None)
    }

    /// Values in the channel.
    pub fn len(&self) -> usize {
        self.locked(|state| state.store.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values it can hold: 0 for a rendezvous, `None` when memory decides.
    pub fn capacity(&self) -> Option<usize> {
        if S::MEETS { Some(0) } else { self.locked(|state| state.store.capacity()) }
    }

    /// Whether there is no room now besides what has been promised to others. For a rendezvous: whether nobody
    /// waits to receive, or another pair is at the meeting point. For an unlimited channel: whether senders wait for memory. A channel that drops
    /// values is full when the next send drops one.
    pub fn is_full(&self) -> bool {
        if S::MEETS {
            return loop {
                match self.locked(|state| state.look_for_receiver(None)) {
                    Look::Ready => break false,
                    Look::NotYet => break true,
                    Look::Again => {}
                }
            };
        }
        self.locked(|state| {
            // Whether it is closed or not.
            let has_room = state.store.has_room(state.promised_slots());
            !has_room && (!S::GROWS || !state.waiting.senders.is_empty())
        })
    }

    /// Whether `other` is this very channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}
