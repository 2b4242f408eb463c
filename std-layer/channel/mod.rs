//! Channels for servers: made at run time, of a size that is chosen then, owned by their endpoints.
//!
//! These are the channels of [`crate::channel`], with endpoints that are cloned freely, may be moved to any thread
//! or task, and keep the channel together: when the last sender or the last receiver has gone it is closed, and
//! when both have gone it is freed. A thread calls `blocking_send` and `blocking_recv`, a task of tokio, of the
//! token kernel or of any other executor awaits `send` and `recv`, all on one channel at once: it is the same
//! operation, waiting in the same line.
//!
//! | constructor | kind | when it is full |
//! |---|---|---|
//! | [`bounded`], [`bounded_with`] | a ring | senders wait; or a policy drops a value |
//! | [`messages`] | a ring of payloads in arenas | senders wait |
//! | [`unbounded`], [`unbounded_in`] | segments of an arena | senders wait for memory |
//! | [`rendezvous`] | none: both sides meet | senders wait for a receiver |
//! | [`conflated`] | the latest value | a send replaces the value |
//! | [`priority`] | a heap | senders wait |
//! | [`broadcast`], [`broadcast_with`] | a ring that every subscriber reads | senders wait; or a policy drops a value |
//!
//! **Memory.** A constructor allocates once, or twice for a ring; after that nothing is allocated or freed until the
//! channel is freed, with the exception below. An unbounded channel takes its memory from the arena.
//!
//! On a 64-bit host an idle channel of `u64`s takes 120 bytes besides its slots, a rendezvous 128. One that is in use, after 16 values, has
//! *lanes* as well, 384 bytes, by which senders and receivers do not meet at its lock. The lanes of 64 channels, 24 KiB, are the
//! program's own and go from one that is freed to the next. Each bounded or unbounded channel that comes into use while 64 others are
//! in use allocates its lanes then, once; if there is no memory, it goes on without.
//!
//! ```
//! use cloakroom::std_layer::channel::bounded;
//!
//! let (jobs, inbox) = bounded(64);
//! let worker = std::thread::spawn(move || inbox.blocking_iter().sum::<u32>());
//! for job in 1..=100 {
//!     jobs.blocking_send(job)?; // or, in a task: jobs.send(job).await?
//! }
//! drop(jobs);
//! assert_eq!(worker.join().unwrap(), 5050);
//! # Ok::<(), cloakroom::SendError<u32>>(())
//! ```

mod beside;
mod distance;
mod joint;
mod lanes;
mod owned_arena;
mod room;
mod siding;

pub use joint::Joint;
pub use owned_arena::InArena;
pub use room::OnHeap;

use std::sync::Arc;

use super::{MappedArena, StdRawMutex};
use crate::Parcel;
use crate::channel::broadcast::SharedRing;
use crate::channel::buffered::Ring;
use crate::channel::priority::{Heap, MOST_IN_HEAP};
use crate::channel::weigh::NeverWeighs;
use crate::channel::{
    AnyArena, Broadcast, Buffered, Channel, Conflated, Counted, CountedReceiver, CountedSender,
    Meeting, Overflow, Priority, Share, Strategy, Subscriber, Unlimited, Wait, endpoints,
};
#[cfg(feature = "spill-std")]
use crate::sync::RawMutex;
use crate::sync::asymmetric_fence;
use room::HeapSlots;

/// The sending side of a channel of kind `K`: a [`CountedSender`], with the operations of
/// [`Sender`](crate::channel::Sender).
pub type Sender<T, K> = CountedSender<Joint<Counted<StdRawMutex, T, K>>>;

/// The receiving side of a channel of kind `K`: a [`CountedReceiver`], with the operations of
/// [`Receiver`](crate::channel::Receiver).
pub type Receiver<T, K> = CountedReceiver<Joint<Counted<StdRawMutex, T, K>>>;

/// The sending side of a channel of [`messages`].
pub type MessageSender<'a> = Sender<Parcel<'a, StdRawMutex>, Messages>;

/// The receiving side of a channel of [`messages`].
pub type MessageReceiver<'a> = Receiver<Parcel<'a, StdRawMutex>, Messages>;

/// The sending side of a channel that keeps its arena.
pub type ArenaSender<T> = CountedSender<Joint<InArena<T>>>;

/// The receiving side of a channel that keeps its arena.
pub type ArenaReceiver<T> = CountedReceiver<Joint<InArena<T>>>;

/// The reader of a broadcast channel.
pub type Listener<T, P = Wait> = Subscriber<Joint<Counted<StdRawMutex, T, Announced<P>>>>;

/// The kind of [`bounded`] channels: [`Buffered`] with its ring on the heap. They count no bytes.
pub type Bounded<P = Wait> = Buffered<0, P, OnHeap<NeverWeighs>>;

/// The kind of channels of [`messages`]: the same, with memory to count bytes in.
pub type Messages = Buffered<0, Wait, OnHeap>;

/// The kind of [`priority`] channels: [`Priority`] with its heap on the heap.
pub type Urgent<const AGEING: u32 = 16> = Priority<0, AGEING, OnHeap>;

/// The kind of [`broadcast`] channels: [`Broadcast`] with its ring on the heap.
pub type Announced<P = Wait> = Broadcast<0, P, OnHeap>;

/// The kind of [`unbounded`] channels: [`Unlimited`] in segments of 256 values. (With 32, a value between two threads
/// takes 33 ns; with 128 it is 19, with 256 15.6, with 512, that is 4 KiB for a channel with one value, 14.7.)
pub type Unbounded<'a> = Unlimited<'a, StdRawMutex, 256, OnHeap>;

fn over<T, K: Strategy<T>>(kind: K, store: K::Store) -> Joint<Counted<StdRawMutex, T, K>> {
    asymmetric_fence::prepare();
    Joint::new(Counted::around(Channel::over_store(kind, store)))
}

/// A channel that holds up to `capacity` values, first in, first out; senders wait for room.
///
/// A capacity of 0 counts as 1: a channel without room is a [`rendezvous`]. More than 4,294,967,295 counts as that.
///
/// # Panics
/// When that much memory cannot be addressed, as `Vec::with_capacity` does.
///
/// ```
/// use cloakroom::std_layer::channel::bounded;
///
/// let (sender, receiver) = bounded(2);
/// assert_eq!(sender.capacity(), Some(2));
/// sender.clone().blocking_send("hello")?;
/// drop(sender);
/// assert_eq!(receiver.blocking_iter().collect::<Vec<_>>(), ["hello"]);
/// # Ok::<(), cloakroom::SendError<&str>>(())
/// ```
pub fn bounded<T>(capacity: usize) -> (Sender<T, Bounded>, Receiver<T, Bounded>) {
    bounded_with(capacity, Wait)
}

/// As [`bounded`], with a policy for a send that finds no room: [`Wait`], [`DropNewest`] or [`DropOldest`], with a
/// [`Hook`] if there is to be one.
///
/// [`DropNewest`]: crate::channel::DropNewest
/// [`DropOldest`]: crate::channel::DropOldest
/// [`Hook`]: crate::channel::Hook
///
/// # Panics
/// As there.
///
/// ```
/// use cloakroom::channel::{Discard, DropOldest};
/// use cloakroom::std_layer::channel::bounded_with;
///
/// let (sender, receiver) = bounded_with(2, DropOldest(Discard));
/// for reading in 1..=5 {
///     sender.try_send(reading)?;
/// }
/// assert!(receiver.drain().eq([4, 5]));
/// # Ok::<(), cloakroom::TrySendError<i32>>(())
/// ```
pub fn bounded_with<T, P: Overflow<T>>(
    capacity: usize,
    policy: P,
) -> (Sender<T, Bounded<P>>, Receiver<T, Bounded<P>>) {
    let ring = Ring::over(HeapSlots::new(capacity));
    endpoints(over(Bounded::within(policy), ring))
}

/// The same without endpoints, for a channel that has more to it, and a kind that is made of this one.
#[cfg(feature = "spill-std")]
pub(in crate::std_layer) fn bounded_queue<M: RawMutex, T, S>(
    capacity: usize,
    kind: impl FnOnce(Bounded) -> S,
) -> Channel<M, T, S>
where
    S: Strategy<T, Store = <Bounded as Strategy<T>>::Store>,
{
    asymmetric_fence::prepare();
    let ring = Ring::over(HeapSlots::new(capacity));
    Channel::over_store(kind(Bounded::within(Wait)), ring)
}

/// A channel that holds up to `capacity` messages of bytes, each a payload at rest in an arena; senders wait for room.
///
/// It is [`bounded`] with [`Parcel`]s, whose bytes are counted in its snapshot: send
/// [`into_parcel`](crate::LeaseMut::into_parcel), receive and [`redeem`](crate::Parcel::redeem). The messages may lie in
/// several arenas. (A channel of messages in a `static` is [`Bytes`](crate::channel::Bytes).)
///
/// # Panics
/// As there.
///
/// ```
/// use cloakroom::std_layer::channel::messages;
/// use cloakroom::std_layer::{MappedArena, StdRawMutex};
///
/// let arena = MappedArena::<StdRawMutex>::new(1 << 20, 256, 1 << 12)?.leak();
/// let (sender, receiver) = messages(64);
/// let mut message = arena.try_alloc(5)?;
/// message.copy_from_slice(b"hello");
/// sender.blocking_send(message.into_parcel())?;
/// assert_eq!(&*receiver.blocking_recv()?.redeem()?, b"hello");
/// assert_eq!(receiver.snapshot().bytes_received, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn messages<'a>(capacity: usize) -> (MessageSender<'a>, MessageReceiver<'a>) {
    let ring = Ring::over(HeapSlots::new(capacity));
    let channel = Channel::over_store(Messages::within(Wait), ring).weighing();
    endpoints(Joint::new(Counted::around(channel)))
}

/// A channel without a limit of its own: it takes memory from `arena` as it needs it, and gives it back. When the
/// arena is exhausted senders wait for memory.
///
/// The channel borrows the arena, so for endpoints of `'static` life the arena must be, too: a `static`, or a mapped
/// one that is leaked. [`unbounded_in`] shares one instead.
///
/// Memory: a segment of 256 values at a time. A value is best far smaller than the arena: a send fails as if the
/// channel were closed if not even an empty arena has room for a segment.
///
/// ```
/// use cloakroom::std_layer::channel::unbounded;
/// use cloakroom::std_layer::{MappedArena, StdRawMutex};
///
/// let arena = MappedArena::<StdRawMutex>::new(1 << 20, 256, 1 << 10)?;
/// let (sender, receiver) = unbounded(&arena);
/// for number in 0..10_000 {
///     sender.try_send(number)?;
/// }
/// assert_eq!(receiver.len(), 10_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unbounded<'a, T>(
    arena: &'a dyn AnyArena<StdRawMutex>,
) -> (Sender<T, Unbounded<'a>>, Receiver<T, Unbounded<'a>>) {
    asymmetric_fence::prepare();
    endpoints(Joint::new(Counted::with(Unlimited::over(arena))))
}

/// As [`unbounded`], over an arena that the channel shares: the arena stays for as long as any channel, or anybody
/// else, has it.
///
/// ```
/// use std::sync::Arc;
/// use cloakroom::std_layer::channel::unbounded_in;
/// use cloakroom::std_layer::MappedArena;
///
/// // One budget for all connections.
/// let budget = Arc::new(MappedArena::new(16 << 20, 256, 1 << 14)?);
/// let (to_first, first) = unbounded_in(budget.clone());
/// let (to_second, second) = unbounded_in(budget);
/// to_first.try_send(1)?;
/// to_second.try_send("one")?;
/// assert_eq!((first.try_recv(), second.try_recv()), (Ok(1), Ok("one")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unbounded_in<T>(arena: Arc<MappedArena<StdRawMutex>>) -> (ArenaSender<T>, ArenaReceiver<T>) {
    endpoints(Joint::new(InArena::new(arena)))
}

/// A channel without room: a send succeeds when it meets a receive. It counts no bytes; for messages there is
/// [`Rendezvous`](crate::channel::Rendezvous), in an [`Arc`] as well as anywhere else.
///
/// ```
/// use cloakroom::std_layer::channel::rendezvous;
///
/// let (sender, receiver) = rendezvous();
/// assert!(sender.try_send(1).is_err()); // nobody waits
/// let other = std::thread::spawn(move || receiver.blocking_recv());
/// sender.blocking_send(2)?;
/// assert_eq!(other.join().unwrap(), Ok(2));
/// # Ok::<(), cloakroom::SendError<i32>>(())
/// ```
pub fn rendezvous<T>() -> (Sender<T, Meeting>, Receiver<T, Meeting>) {
    endpoints(Joint::new(Counted::new()))
}

/// A channel that holds the latest value: a send replaces what is there, and returns it.
///
/// ```
/// use cloakroom::std_layer::channel::conflated;
///
/// let (sender, receiver) = conflated();
/// sender.try_send("connecting")?;
/// assert_eq!(sender.try_send("connected"), Ok(Some("connecting")));
/// assert_eq!(receiver.try_recv(), Ok("connected"));
/// # Ok::<(), cloakroom::TrySendError<&str>>(())
/// ```
pub fn conflated<T>() -> (Sender<T, Conflated>, Receiver<T, Conflated>) {
    endpoints(Joint::new(Counted::new()))
}

/// A channel that hands out the most urgent of up to `capacity` values first, and starves none: see [`Priority`].
///
/// A capacity of 0 counts as 1, more than 16,777,215 as that.
///
/// # Panics
/// When that much memory cannot be addressed.
///
/// ```
/// use cloakroom::std_layer::channel::priority;
///
/// let (sender, receiver) = priority(100_000);
/// sender.try_send("report")?;
/// sender.try_send_with_priority("alarm", 9)?;
/// assert_eq!(receiver.blocking_recv(), Ok("alarm"));
/// # Ok::<(), cloakroom::TrySendError<&str>>(())
/// ```
pub fn priority<T>(capacity: usize) -> (Sender<T, Urgent>, Receiver<T, Urgent>) {
    let capacity = capacity.clamp(1, MOST_IN_HEAP);
    // SAFETY: as many of both.
    let heap = unsafe { Heap::over(HeapSlots::new(capacity), HeapSlots::new(capacity)) };
    endpoints(over(Urgent::within(), heap))
}

/// A channel each of whose subscribers reads every value, from the moment it subscribed: see [`Broadcast`]. The
/// slowest subscriber may be `capacity` values behind; then senders wait for it.
///
/// The first subscriber is returned; [`subscribe`](CountedSender::subscribe) and
/// [`resubscribe`](Subscriber::resubscribe) make others. The last sender to go closes the channel. What is sent when
/// all subscribers have gone is dropped, counted.
///
/// A capacity of 0 counts as 1, more than 4,294,967,295 as that.
///
/// # Panics
/// When that much memory cannot be addressed.
///
/// ```
/// use std::sync::Arc;
/// use cloakroom::channel::Delivery;
/// use cloakroom::std_layer::ArcShare;
/// use cloakroom::std_layer::channel::broadcast;
///
/// let (sender, mut first) = broadcast(16);
/// let mut second = sender.subscribe();
/// sender.try_send(ArcShare(Arc::from("news")))?;
/// for reader in [&mut first, &mut second] {
///     let Ok(Delivery::Value(news)) = reader.try_recv() else { panic!("lost") };
///     assert_eq!(&*news, "news");
/// }
/// # Ok::<(), cloakroom::TrySendError<ArcShare<str>>>(())
/// ```
pub fn broadcast<T: Share>(capacity: usize) -> (Sender<T, Announced>, Listener<T>) {
    broadcast_with(capacity, Wait)
}

/// As [`broadcast`], with a policy for a send that finds the slowest subscriber `capacity` values behind. With
/// [`DropOldest`](crate::channel::DropOldest) a slow subscriber is told how many values it has missed.
///
/// # Panics
/// As there.
///
/// ```
/// use cloakroom::channel::{Delivery, Discard, DropOldest};
/// use cloakroom::std_layer::channel::broadcast_with;
///
/// let (sender, mut slow) = broadcast_with(2, DropOldest(Discard));
/// for beat in 1..=5 {
///     sender.try_send(beat)?;
/// }
/// assert_eq!(slow.try_recv(), Ok(Delivery::Lagged(3)));
/// assert_eq!(slow.try_recv(), Ok(Delivery::Value(4)));
/// # Ok::<(), cloakroom::TrySendError<i32>>(())
/// ```
pub fn broadcast_with<T: Share, P: Overflow<T>>(
    capacity: usize,
    policy: P,
) -> (Sender<T, Announced<P>>, Listener<T, P>) {
    let ring = SharedRing::over(HeapSlots::new(capacity));
    let sender = CountedSender::of(over(Announced::within(policy), ring));
    let listener = sender.subscribe();
    (sender, listener)
}
