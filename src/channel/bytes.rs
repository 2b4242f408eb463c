//! Channels of messages in an arena: bytes and zero-copy.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::hand_over::{NoLease, NotTaken};
use super::store::{Compete, ConstStrategy, Strategy};
use super::weigh::Weighing;
use super::{Channel, ChannelSnapshot, HasChannel, RecvFuture, SendFuture};
use crate::arena::{ArenaRef, Lease, LeaseMut, Parcel};
use crate::error::{
    RecvError, RecvTimeoutError, SendError, TryAllocError, TryRecvError, TrySendError,
};
use crate::limit::{Operation, Stopped};
use crate::select::{Arm, Attempt};
use crate::sync::claim::Claim;
use crate::sync::{RawMutex, const_fn};

/// A channel whose messages are payloads of an arena.
///
/// [`send`](Self::send) takes a lease and copies nothing; [`try_send_bytes`](Self::try_send_bytes)
/// copies once, into the arena; [`recv`](Self::recv) returns a lease on that same memory. While a
/// message is queued it is *at rest*: a [`Parcel`], which compaction may move.
///
/// It is a [`Channel`] of parcels and has its guarantees and kinds; a slot is two words.
///
/// ```
/// use cloakroom::channel::{Buffered, Bytes};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex};
///
/// type Lock = CriticalSectionRawMutex;
/// static ARENA: Arena<Lock, 32, 64, 16> = Arena::new();
/// static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
///
/// let mut frame = ARENA.try_alloc(3)?;
/// frame.copy_from_slice(b"ecg");
/// FRAMES.try_send(frame)?;
/// assert_eq!(&*FRAMES.try_recv()?, b"ecg");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[repr(transparent)]
pub struct Bytes<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> {
    channel: Channel<M, Parcel<'a, M>, S>,
}

/// Why no message was received at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ByteTryRecvError {
    /// Nothing there now.
    Empty,
    /// Nothing there, and nothing will come.
    Closed,
    /// The next message has changed while it was at rest. It has been freed.
    Damaged,
}

/// Why no message was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ByteRecvError {
    /// The channel is closed and empty.
    Closed,
    /// The message has changed while it was at rest. It has been freed.
    Damaged,
    /// The receive was cancelled.
    Cancelled,
    /// Its deadline has passed.
    Timeout,
}

impl fmt::Display for ByteTryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel is empty",
            Self::Closed => "the channel is closed and empty",
            Self::Damaged => "the message has changed while it was at rest",
        })
    }
}

impl fmt::Display for ByteRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the channel is closed and empty",
            Self::Damaged => "the message has changed while it was at rest",
            Self::Cancelled => "cancelled while receiving",
            Self::Timeout => "timed out while receiving",
        })
    }
}

impl core::error::Error for ByteTryRecvError {}
impl core::error::Error for ByteRecvError {}

impl<'a, M: RawMutex, S: ConstStrategy<Parcel<'a, M>>> Bytes<'a, M, S> {
    const_fn! {
        /// An open, empty channel.
        pub const fn new() -> Self {
            Self { channel: Channel::of_messages(S::STRATEGY) }
        }
    }
}

impl<'a, M: RawMutex, S: ConstStrategy<Parcel<'a, M>>> Default for Bytes<'a, M, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, M: RawMutex, const SEGMENT: usize> Bytes<'a, M, super::Unlimited<'a, M, SEGMENT>> {
    const_fn! {
        /// An open, empty channel that takes memory for its queue from `arena`, too.
        pub const fn over(arena: &'a dyn super::AnyArena<M>) -> Self {
            Self { channel: Channel::of_messages(super::Unlimited::over(arena)) }
        }
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Bytes<'a, M, S> {
    /// Sends a payload at once or not at all, without a copy. Constant time, interrupt-safe.
    ///
    /// A shared [`Lease`](crate::Lease) is turned into a parcel first and sent with
    /// [`try_send_parcel`](Self::try_send_parcel).
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as [`Channel::try_send`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* as there, and one step to put the payload to rest; no byte is copied.
    ///
    /// # Errors
    /// The payload comes back, at rest.
    #[inline]
    pub fn try_send(&self, payload: LeaseMut<'a, M>) -> Result<(), TrySendError<Parcel<'a, M>>> {
        if !Channel::<M, Parcel<'a, M>, S>::TAKES_IN {
            return self.try_send_parcel(payload.into_parcel());
        }
        match self.channel.take_in(payload) {
            Ok(()) => Ok(()),
            Err((payload, why)) => self.not_taken(payload, why),
        }
    }

    #[inline(never)]
    fn not_taken(
        &self,
        payload: LeaseMut<'a, M>,
        why: NotTaken,
    ) -> Result<(), TrySendError<Parcel<'a, M>>> {
        let parcel = payload.into_parcel();
        match why {
            NotTaken::Full => Err(TrySendError::Full(parcel)),
            NotTaken::Unclear => self.channel.try_send_slowly(parcel, S::Rank::default()).map(drop),
        }
    }

    /// Sends a payload that is at rest already, at once or not at all.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as [`Channel::try_send`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* as there.
    ///
    /// # Errors
    /// The parcel comes back.
    pub fn try_send_parcel(
        &self,
        parcel: Parcel<'a, M>,
    ) -> Result<(), TrySendError<Parcel<'a, M>>> {
        // A replaced message of a conflated channel is dropped here: its pages go back to the arena.
        self.channel.try_send(parcel).map(drop)
    }

    /// Copies `bytes` into the arena and sends them, at once or not at all.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as [`Channel::try_send`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* an allocation, one copy outside any lock, and a `try_send`.
    ///
    /// # Errors
    /// [`BytesError::Memory`] when the arena has no room, else why the channel refused; the bytes are
    /// still the caller's, and nothing stays allocated.
    pub fn try_send_bytes(&self, arena: ArenaRef<'a, M>, bytes: &[u8]) -> Result<(), BytesError> {
        let mut payload = arena.try_alloc(bytes.len()).map_err(BytesError::Memory)?;
        payload.copy_from_slice(bytes);
        self.try_send_parcel(payload.into_parcel().copied()).map_err(|error| match error {
            TrySendError::Full(_) => BytesError::Full,
            TrySendError::Closed(_) => BytesError::Closed,
        })
    }

    /// Sends a payload without a copy, waiting for room. See [`SendFuture`].
    ///
    /// * *Cancel safety:* dropping the future frees the payload, unless it is taken back.
    /// * *Order:* as [`Channel::send`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* as there.
    /// * *Cost:* as there; no byte is copied.
    pub fn send(&self, payload: LeaseMut<'a, M>) -> SendFuture<'_, M, Parcel<'a, M>, S> {
        self.channel.send(payload.into_parcel())
    }

    /// Sends a payload that is at rest already, waiting for room.
    ///
    /// * *Cancel safety:* dropping the future frees the payload, unless it is taken back.
    /// * *Order:* as [`Channel::send`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* as there.
    /// * *Cost:* as there.
    pub fn send_parcel(&self, parcel: Parcel<'a, M>) -> SendFuture<'_, M, Parcel<'a, M>, S> {
        self.channel.send(parcel)
    }

    /// Copies `bytes` into the arena, waiting for memory, and sends them, waiting for room.
    ///
    /// * *Cancel safety:* dropping the future sends nothing, and nothing stays allocated.
    /// * *Order:* first in the line for memory, then in the line of the channel.
    /// * *Wake-ups:* one for memory and one for room.
    /// * *Interrupts:* as [`Channel::send`].
    /// * *Cost:* an allocation, one copy outside any lock, and a send.
    ///
    /// # Errors
    /// [`BytesError::Memory`] for more than the arena can ever hold, [`BytesError::Closed`]; nothing
    /// stays allocated.
    pub async fn send_bytes(&self, arena: ArenaRef<'a, M>, bytes: &[u8]) -> Result<(), BytesError> {
        let allocated = arena.alloc(bytes.len()).await;
        let mut payload = allocated.map_err(|_| BytesError::Memory(TryAllocError::TooLarge))?;
        payload.copy_from_slice(bytes);
        match self.send_parcel(payload.into_parcel().copied()).await {
            Ok(_) => Ok(()),
            Err(SendError(_)) => Err(BytesError::Closed),
        }
    }

    /// The channel of parcels that this is, with all its operations: permits, batches, endpoints, subscribers.
    ///
    /// ```
    /// use cloakroom::channel::{Broadcast, Bytes};
    /// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
    ///
    /// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    /// static FRAMES: Bytes<'static, Lock, Broadcast<4>> = Bytes::new();
    ///
    /// let (mut a, mut b) = (FRAMES.channel().subscribe(), FRAMES.channel().subscribe());
    /// FRAMES.try_send_bytes(ARENA.handle(), b"one payload for both")?;
    /// let a = a.try_recv()?.value().ok_or("lagged")?.redeem()?;
    /// let b = b.try_recv()?.value().ok_or("lagged")?.redeem()?;
    /// assert!(core::ptr::eq(&a[..], &b[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn channel(&self) -> &Channel<M, Parcel<'a, M>, S> {
        &self.channel
    }

    /// The same channel of parcels as one of messages: for one that is counted, or lies elsewhere.
    ///
    /// A channel of a kind that is made for values alone (with `std`: `Meeting`) has no memory to count bytes in, and does not
    /// compile here.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Bytes, Channel};
    /// use cloakroom::{Arena, Parcel, sync::CriticalSectionRawMutex as Lock};
    ///
    /// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    /// static PARCELS: Channel<Lock, Parcel<'static, Lock>, Buffered<4>> = Channel::new();
    ///
    /// Bytes::of(&PARCELS).try_send_bytes(ARENA.handle(), b"hello")?;
    /// assert_eq!(&*PARCELS.try_recv()?.redeem()?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of<'c>(channel: &'c Channel<M, Parcel<'a, M>, S>) -> &'c Self {
        channel.locked(|state| {
            // From the first message on, or not at all: what goes out has been weighed when it went in.
            if state.counters.sent == 0 {
                state.weighs = S::Weighs::YES;
            }
        });
        // SAFETY: a transparent view of the same channel, for as long as it is borrowed.
        unsafe { &*core::ptr::from_ref(channel).cast() }
    }

    /// See [`Channel::close`].
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// Messages in the channel.
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.channel.is_empty()
    }

    /// See [`Channel::is_full`].
    pub fn is_full(&self) -> bool {
        self.channel.is_full()
    }

    /// See [`Channel::capacity`].
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }

    /// Its counters at this moment.
    pub fn snapshot(&self) -> ChannelSnapshot {
        self.channel.snapshot()
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> HasChannel for Bytes<'a, M, S> {
    type Lock = M;
    type Value = Parcel<'a, M>;
    type Kind = S;
    fn channel(&self) -> &Channel<M, Parcel<'a, M>, S> {
        &self.channel
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Bytes<'a, M, S> {
    /// Receives at once or not at all: a lease on the bytes as they were sent.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as [`Channel::try_recv`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is. If compaction is moving
    ///   the payload, the handler finishes that move.
    /// * *Cost:* as there, and one step to take the payload in hand; no byte is copied, and where
    ///   checksums are on all are read.
    ///
    /// # Errors
    /// As for [`Channel::try_recv`], and `Damaged` where the arena keeps checksums.
    #[inline]
    pub fn try_recv(&self) -> Result<Lease<'a, M>, ByteTryRecvError> {
        if !Channel::<M, Parcel<'a, M>, S>::HANDS_OUT {
            return Self::opened(self.channel.try_recv());
        }
        self.channel.hand_out().into_lease().or_else(|why| match why {
            NoLease::Empty => Err(ByteTryRecvError::Empty),
            NoLease::Damaged => Err(ByteTryRecvError::Damaged),
            NoLease::Unclear => self.try_recv_slowly(),
        })
    }

    #[inline(never)]
    fn try_recv_slowly(&self) -> Result<Lease<'a, M>, ByteTryRecvError> {
        Self::opened(self.channel.try_take_slowly(()))
    }

    #[inline]
    fn opened(
        received: Result<Parcel<'a, M>, TryRecvError>,
    ) -> Result<Lease<'a, M>, ByteTryRecvError> {
        let parcel = received.map_err(|error| match error {
            TryRecvError::Empty => ByteTryRecvError::Empty,
            TryRecvError::Closed => ByteTryRecvError::Closed,
        })?;
        parcel.redeem().map_err(|_| ByteTryRecvError::Damaged)
    }

    /// Receives, waiting for a message.
    ///
    /// * *Cancel safety:* dropping the future loses nothing.
    /// * *Order:* as [`Channel::recv`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* as there.
    /// * *Cost:* as there, and one step to take the payload in hand.
    pub fn recv(&self) -> RecvBytes<'_, 'a, M, S> {
        RecvBytes { inner: self.channel.recv() }
    }
}

/// Why bytes were not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BytesError {
    /// The arena has no room for them.
    Memory(TryAllocError),
    /// The channel is full.
    Full,
    /// The channel is closed.
    Closed,
}

impl fmt::Display for BytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(why) => why.fmt(f),
            Self::Full => f.write_str("the channel is full"),
            Self::Closed => f.write_str("the channel is closed"),
        }
    }
}

impl core::error::Error for BytesError {}

/// A pending receive of a message, made by [`Bytes::recv`].
///
/// Cancel safety and wake-ups are those of [`RecvFuture`].
#[must_use = "futures do nothing unless polled"]
pub struct RecvBytes<'c, 'a, M: RawMutex, S: Compete<Parcel<'a, M>>> {
    inner: RecvFuture<'c, M, Parcel<'a, M>, S>,
}

impl<'c, 'a, M: RawMutex, S: Compete<Parcel<'a, M>>> RecvBytes<'c, 'a, M, S> {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut RecvFuture<'c, M, Parcel<'a, M>, S>> {
        // SAFETY: the only field, pinned with the whole.
        unsafe { self.map_unchecked_mut(|this| &mut this.inner) }
    }

    fn open(parcel: Parcel<'a, M>) -> Result<Lease<'a, M>, ByteRecvError> {
        parcel.redeem().map_err(|_| ByteRecvError::Damaged)
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Future for RecvBytes<'_, 'a, M, S> {
    type Output = Result<Lease<'a, M>, ByteRecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner()
            .poll(cx)
            .map(|result| result.map_err(|RecvError| ByteRecvError::Closed).and_then(Self::open))
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Operation for RecvBytes<'_, 'a, M, S> {
    type Limited = Self::Output;

    fn finish(output: Self::Output) -> Self::Limited {
        output
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        let result = self.inner().abandon(why)?;
        Some(result.map_or_else(
            |error| {
                Err(match error {
                    RecvTimeoutError::Closed => ByteRecvError::Closed,
                    RecvTimeoutError::Cancelled => ByteRecvError::Cancelled,
                    RecvTimeoutError::Timeout => ByteRecvError::Timeout,
                })
            },
            Self::open,
        ))
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> crate::select::sealed::Sealed
    for RecvBytes<'_, 'a, M, S>
{
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Arm for RecvBytes<'_, 'a, M, S> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on.
        unsafe { self.inner().join(claim, arm) }
    }

    fn withdraw(self: Pin<&mut Self>) {
        self.inner().withdraw();
    }

    fn is_fresh(&self) -> bool {
        self.inner.is_fresh()
    }

    fn attempt(self: Pin<&mut Self>) -> Attempt<Self::Output> {
        let received = self.inner().attempt();
        received
            .map(|result| result.map_err(|RecvError| ByteRecvError::Closed).and_then(Self::open))
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.inner().poll_ready(cx)
    }
}
