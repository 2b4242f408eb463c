//! Counted endpoints: the last one of a side to go closes the channel.

use core::cell::UnsafeCell;
use core::ops::Deref;

use super::endpoint::{HasChannel, KindOf, LockOf, Receiver, Sender, ValueOf};
use super::store::{Compete, ConstStrategy, Strategy, sealed::Sealed};
use super::subscriber::{Listen, Subscriber};
use super::{Channel, ChannelRef};
#[cfg(feature = "std")]
use crate::sync::atomic::AtomicU32;
use crate::sync::{RawMutex, const_fn};

/// A channel that knows how many endpoints it has.
///
/// It may lie in a `static`, on the stack (its endpoints then borrow it), in an arena
/// ([`Shared`](crate::Shared), its endpoints then own it together) or in an `Arc`. Two words more than the
/// [`Channel`].
///
/// ```
/// use cloakroom::channel::{Buffered, Counted, endpoints};
/// use cloakroom::{Arena, TryRecvError, sync::CriticalSectionRawMutex as Lock};
///
/// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
/// let channel = ARENA.try_alloc_value(Counted::<Lock, u8, Buffered<4>>::new())?;
/// let (sender, receiver) = endpoints(channel.share());
/// sender.clone().try_send(1)?;
/// drop(sender);
/// assert_eq!(receiver.try_recv(), Ok(1));
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
/// drop(receiver);
/// assert_eq!(ARENA.snapshot().live, 0); // created and destroyed without a heap
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Counted<M: RawMutex, T, S: Strategy<T>> {
    channel: Channel<M, T, S>,
    /// Under the channel's lock.
    counts: UnsafeCell<Counts>,
}

// SAFETY: the counts are plain numbers, reached in `count` only, under the channel's lock, which excludes everybody else if
// the channel may be shared.
unsafe impl<M: RawMutex, T, S: Strategy<T>> Sync for Counted<M, T, S> where Channel<M, T, S>: Sync {}

/// How many endpoints there are. A count that has come to its maximum stays there.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Counts {
    senders: u32,
    receivers: u32,
}

/// What happens to an endpoint.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Change {
    None,
    SenderComes,
    SenderGoes,
    /// If there is one already.
    SenderJoins,
    ReceiverComes,
    ReceiverGoes,
}

impl Counts {
    fn change(&mut self, change: Change) {
        let more = |count: &mut u32| *count = count.saturating_add(1);
        let less = |count: &mut u32| {
            if *count != u32::MAX {
                *count = count.saturating_sub(1);
            }
        };
        match change {
            Change::SenderJoins if self.senders == 0 => {}
            Change::SenderComes | Change::SenderJoins => more(&mut self.senders),
            Change::SenderGoes => less(&mut self.senders),
            Change::ReceiverComes => more(&mut self.receivers),
            Change::ReceiverGoes => less(&mut self.receivers),
            Change::None => {}
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Counted<M, T, S> {
    const_fn! {
        /// An open, empty channel of a kind that has a parameter, without endpoints.
        pub const fn with(kind: S) -> Self {
            Self {
                channel: Channel::with(kind),
                counts: UnsafeCell::new(Counts { senders: 0, receivers: 0 }),
            }
        }
    }

    /// The same around a channel that has been made at run time.
    #[cfg(feature = "std")]
    pub(crate) fn around(channel: Channel<M, T, S>) -> Self {
        Self { channel, counts: UnsafeCell::new(Counts { senders: 0, receivers: 0 }) }
    }
}

impl<M: RawMutex, T, S: ConstStrategy<T>> Counted<M, T, S> {
    const_fn! {
        /// An open, empty channel without endpoints.
        pub const fn new() -> Self {
            Self::with(S::STRATEGY)
        }
    }
}

impl<M: RawMutex, T, S: ConstStrategy<T>> Default for Counted<M, T, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Sealed for Counted<M, T, S> {}

impl<M: RawMutex, T, S: Strategy<T>> HasChannel for Counted<M, T, S> {
    type Lock = M;
    type Value = T;
    type Kind = S;
    fn channel(&self) -> &Channel<M, T, S> {
        &self.channel
    }
}

/// A channel with counted endpoints: [`Counted`]. Not for implementing elsewhere.
pub trait HasCounts: HasChannel {
    /// Changes the counts, and returns what they are then.
    #[doc(hidden)]
    fn count(&self, change: Change) -> Counts;
    /// A count that is its owners', if several own it together.
    #[cfg(feature = "std")]
    #[doc(hidden)]
    fn owners(&self) -> &AtomicU32;
}

impl<M: RawMutex, T, S: Strategy<T>> HasCounts for Counted<M, T, S> {
    fn count(&self, change: Change) -> Counts {
        self.channel.under_lock(|| {
            // SAFETY: the lock is held until this returns, and `change` does not enter it again.
            let counts = unsafe { &mut *self.counts.get() };
            counts.change(change);
            *counts
        })
    }

    #[cfg(feature = "std")]
    fn owners(&self) -> &AtomicU32 {
        self.channel.owners()
    }
}

/// One more sender and one more receiver of a channel; clone them for more. Once the last one of a side has
/// gone the channel is closed, and endpoints made later are, too.
///
/// * *Cancel safety:* there is nothing to cancel: it returns at once.
/// * *Order:* none.
/// * *Wake-ups:* nobody.
/// * *Interrupts:* safe in a handler of any priority, if the lock is.
/// * *Cost:* two critical sections of constant length.
pub fn endpoints<P: ChannelRef>(channel: P) -> (CountedSender<P>, CountedReceiver<P>)
where
    P::Target: HasCounts,
    KindOf<P>: Compete<ValueOf<P>>,
{
    (CountedSender::of(channel.clone()), CountedReceiver::of(channel))
}

/// A counted sender. The last one to go closes the channel; what is in it is still received.
///
/// It has all operations of [`Sender`]. Cloning and dropping it is interrupt-safe if the lock is, and takes
/// constant time, except that the last one wakes the receivers that wait, one in a critical section.
pub struct CountedSender<P: ChannelRef>
where
    P::Target: HasCounts,
{
    channel: P,
}

/// A counted receiver. The last one to go closes the channel and drops what is in it, counted; what is sent with
/// a permit after that is dropped, too.
///
/// It has all operations of [`Receiver`].
pub struct CountedReceiver<P: ChannelRef>
where
    P::Target: HasCounts,
    KindOf<P>: Compete<ValueOf<P>>,
{
    channel: P,
}

/// A sender that does not count: it does not keep the channel open, and can send only after
/// [`upgrade`](Self::upgrade).
///
/// ```
/// use cloakroom::channel::{Buffered, Counted, endpoints};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static LINE: Counted<Lock, u8, Buffered<4>> = Counted::new();
/// let (sender, receiver) = endpoints(&LINE);
/// let weak = sender.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(sender);
/// assert!(receiver.is_closed() && weak.upgrade().is_none());
/// ```
#[derive(Clone)]
pub struct WeakSender<P> {
    channel: P,
}

impl<P: ChannelRef> CountedSender<P>
where
    P::Target: HasCounts,
{
    /// One more sender of a channel. See [`endpoints`] for both sides at once.
    pub fn of(channel: P) -> Self {
        channel.count(Change::SenderComes);
        Self { channel }
    }

    /// One that does not count.
    pub fn downgrade(&self) -> WeakSender<P> {
        WeakSender { channel: self.channel.clone() }
    }

    /// A reader of all values that are sent from now on.
    pub fn subscribe(&self) -> Subscriber<P>
    where
        KindOf<P>: Listen<ValueOf<P>>,
    {
        Subscriber::of(self.channel.clone())
    }

    /// How many there are, this one included.
    pub fn sender_count(&self) -> usize {
        self.channel.count(Change::None).senders as usize
    }
}

impl<P: ChannelRef> CountedReceiver<P>
where
    P::Target: HasCounts,
    KindOf<P>: Compete<ValueOf<P>>,
{
    fn of(channel: P) -> Self {
        channel.count(Change::ReceiverComes);
        Self { channel }
    }

    /// How many there are, this one included.
    pub fn receiver_count(&self) -> usize {
        self.channel.count(Change::None).receivers as usize
    }
}

impl<P: ChannelRef> WeakSender<P>
where
    P::Target: HasCounts,
{
    /// A sender that counts, unless the last one has gone.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* none: a last sender that goes at the same moment has gone before or after.
    /// * *Wake-ups:* nobody.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section of constant length.
    pub fn upgrade(&self) -> Option<CountedSender<P>> {
        let counts = self.channel.count(Change::SenderJoins);
        (counts.senders > 0).then(|| CountedSender { channel: self.channel.clone() })
    }
}

impl<P: ChannelRef> Deref for CountedSender<P>
where
    P::Target: HasCounts,
{
    type Target = Sender<LockOf<P>, ValueOf<P>, KindOf<P>>;
    fn deref(&self) -> &Self::Target {
        self.channel.channel().sender()
    }
}

impl<P: ChannelRef> Deref for CountedReceiver<P>
where
    P::Target: HasCounts,
    KindOf<P>: Compete<ValueOf<P>>,
{
    type Target = Receiver<LockOf<P>, ValueOf<P>, KindOf<P>>;
    fn deref(&self) -> &Self::Target {
        self.channel.channel().receiver()
    }
}

impl<P: ChannelRef> Clone for CountedSender<P>
where
    P::Target: HasCounts,
{
    fn clone(&self) -> Self {
        Self::of(self.channel.clone())
    }
}

impl<P: ChannelRef> Clone for CountedReceiver<P>
where
    P::Target: HasCounts,
    KindOf<P>: Compete<ValueOf<P>>,
{
    fn clone(&self) -> Self {
        Self::of(self.channel.clone())
    }
}

impl<P: ChannelRef> Drop for CountedSender<P>
where
    P::Target: HasCounts,
{
    fn drop(&mut self) {
        if self.channel.count(Change::SenderGoes).senders == 0 {
            self.channel.channel().close();
        }
    }
}

impl<P: ChannelRef> Drop for CountedReceiver<P>
where
    P::Target: HasCounts,
    KindOf<P>: Compete<ValueOf<P>>,
{
    fn drop(&mut self) {
        if self.channel.count(Change::ReceiverGoes).receivers == 0 {
            self.channel.channel().desert();
        }
    }
}
