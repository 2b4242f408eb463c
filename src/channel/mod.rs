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
mod closed;
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
mod meeting;
mod overflow;
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
pub use closed::Closed;
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

use core::mem::ManuallyDrop;

use crate::error::{TryRecvError, TrySendError};
#[cfg(feature = "std")]
use crate::sync::atomic::AtomicU32;
use crate::sync::{Locked, RawMutex, const_fn};
use crate::unwind::to_the_end;
use aside::{Aside, Lending, Missed};
use meeting::Look;
use recv::received;
use snapshot::count;
use state::{Offer, Settled, State, Take, Wakers};
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

#[cfg(feature = "std")]
impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// See [`Locked::owners`].
    pub(crate) fn owners(&self) -> &AtomicU32 {
        self.state.owners()
    }
}

/// The lanes of a channel.
type LanesOf<T, S> = <<S as Strategy<T>>::Aside as Aside<T>>::Lanes;

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

    /// Runs `f` with the state, under the lock; what was lent to the lanes is called back before.
    #[inline]
    fn locked<R>(&self, f: impl FnOnce(&mut State<T, S>) -> R) -> R {
        if S::Aside::TELLS {
            return self.state.with(|state| {
                let result = f(state);
                self.aside()
                    .keep([state.waiting.receivers().is_empty(), state.waiting.senders.is_empty()]);
                result
            });
        }
        if !S::Aside::LENDS {
            return self.state.with(f);
        }
        let Some((lanes, _inside)) = self.enter() else { return self.locked_shared(f) };
        // SAFETY: the lock is biased to this thread, so whoever takes it waits in `settle_bias`, before it has touched the state, until
        // this thread has left. By the rules of `Locked`, `f` does not come back to this lock.
        let state = unsafe { self.state.reach() };
        Self::recall(lanes, state);
        let result = f(state);
        if !Self::lend(lanes, state) {
            lanes.keep_unsaid();
        }
        result
    }

    /// The same, if the lock is not biased to this thread. Apart, so that what is done where it is may be compiled into whoever
    /// does it: tasks of one thread that wait for each other at each value come several times for each.
    #[inline(never)]
    fn locked_shared<R>(&self, f: impl FnOnce(&mut State<T, S>) -> R) -> R {
        let mut wants_lanes = false;
        let result = self.state.with(|state| {
            let lanes = self.aside().lanes();
            if let Some(lanes) = lanes {
                lanes.settle_bias();
                Self::recall(lanes, state);
            }
            let result = f(state);
            match lanes {
                Some(lanes) if Self::lend(lanes, state) => {}
                Some(lanes) => lanes.keep(state.keeps_waiting()),
                None => wants_lanes = S::Aside::is_wanted(state.counters.sent),
            }
            result
        });
        if wants_lanes {
            self.make_lanes();
        }
        result
    }

    /// The lanes, if there are any, and the lock is biased to this thread, which is inside then, without taking it, until it drops what
    /// is beside them. See [`biased`](crate::sync::biased).
    #[inline(always)]
    fn enter(&self) -> Option<(&LanesOf<T, S>, impl Sized)> {
        let lanes = self.aside().lanes()?;
        Some((lanes, lanes.enter()?))
    }

    /// Calls back what was lent to the lanes. Under the lock.
    #[inline(always)]
    fn recall(lanes: &LanesOf<T, S>, state: &mut State<T, S>) {
        if let Some(returned) = lanes.recall() {
            state.take_back(returned);
        }
    }

    /// Lends to the lanes, if they are of use, and the state can do without. Under the lock, with nothing lent.
    #[inline(always)]
    fn lend(lanes: &LanesOf<T, S>, state: &mut State<T, S>) -> bool {
        lanes.is_worth_it() && Self::lend_if_it_can(lanes, state)
    }

    #[inline(never)]
    fn lend_if_it_can(lanes: &LanesOf<T, S>, state: &mut State<T, S>) -> bool {
        let Some(lent) = state.lend() else { return false };
        // SAFETY: the state is not used before it is called back, in `locked` or when the channel is dropped.
        unsafe { lanes.lend(lent) };
        true
    }

    /// Runs `f` under the lock, on the lanes, if there are any, and on the state, which what is lent has not come back to.
    fn with_lanes<R>(&self, f: impl FnOnce(&LanesOf<T, S>, &mut State<T, S>) -> R) -> Option<R> {
        if let Some((lanes, _inside)) = self.enter() {
            // SAFETY: as in `locked`.
            return Some(f(lanes, unsafe { self.state.reach() }));
        }
        self.state.with(|state| {
            let lanes = self.aside().lanes()?;
            lanes.settle_bias();
            Some(f(lanes, state))
        })
    }

    /// Runs `f` under the lock, which has nothing to do with the state; so what is lent stays so.
    #[inline]
    fn under_lock<R>(&self, f: impl FnOnce() -> R) -> R {
        // To a model checker what threads share begins with its first use. Endpoints are counted before there are threads.
        #[cfg(loom)]
        self.aside().batch();
        let Some(_inside) = self.enter() else {
            return self.state.with(|_| {
                if let Some(lanes) = self.aside().lanes() {
                    lanes.settle_bias();
                }
                f()
            });
        };
        f()
    }

    /// It is in use, so there should be lanes. Outside the lock: memory may have to be found.
    #[cold]
    #[inline(never)]
    fn make_lanes(&self) {
        if self.aside().make() {
            // For a loan. Somebody else may have come since, and lent already: then it is called back first.
            self.locked(|_| ());
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

    /// Sends at once or not at all. Constant time, interrupt-safe.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* behind all values sent before; never before a sender that waits.
    /// * *Wake-ups:* the receiver that has waited longest, if one waits (a broadcast: all of them,
    ///   one in a critical section); outside the lock.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section of constant length in the common case; one more for each
    ///   waiter that somebody was in the middle of dealing with.
    ///
    /// # Errors
    /// The value comes back: [`Full`](TrySendError::Full) when there is no room (for a rendezvous: no
    /// receiver waits) or others wait for it, [`Closed`](TrySendError::Closed).
    #[inline]
    pub fn try_send(&self, value: T) -> Result<S::Receipt, TrySendError<T>> {
        self.try_send_with_priority(value, S::Rank::default())
    }

    /// As [`try_send`](Self::try_send), saying how urgent the value is on a [`Priority`] channel.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn try_send_with_priority(
        &self,
        value: T,
        priority: S::Rank,
    ) -> Result<S::Receipt, TrySendError<T>> {
        let value = match self.aside().send(value, !S::LOSES) {
            Ok(()) => return Ok(self.strategy.receipt(None)),
            Err(Missed::NotNow(value)) if !S::LOSES => return Err(TrySendError::Full(value)),
            Err(Missed::Spent(value)) => match self.send_growing(value) {
                Ok(()) => return Ok(self.strategy.receipt(None)),
                Err(value) => value,
            },
            Err(missed) => missed.into_inner(),
        };
        let mut value = ManuallyDrop::new(value);
        let mut refused = false;
        let sent = self.locked(|state| {
            // SAFETY: called once at most, and used below only if it was not.
            let mut take = || unsafe { ManuallyDrop::take(&mut value) };
            if !S::MEETS && !state.is_crowded() {
                if state.accepts() {
                    return Some((state.put(take(), priority), None));
                }
                // Nobody waits who might make room.
                if !(S::LOSES || S::GROWS || state.is_closed()) {
                    count(&mut state.counters.full);
                    refused = true;
                    return None;
                }
            }
            // Firmware looks for a receiver that waits in a critical section of its own: that keeps this one short.
            let delivers = S::Aside::LENDS && state.sends_at_once();
            delivers.then(|| state.deliver(take(), priority))
        });
        let value = match sent {
            Some((replaced, waker)) => {
                wake(waker);
                return Ok(self.strategy.receipt(replaced));
            }
            None => ManuallyDrop::into_inner(value),
        };
        if refused {
            return Err(TrySendError::Full(value));
        }
        self.try_send_slowly(value, priority)
    }

    /// As [`try_send`](Self::try_send), with a receiver waiting, or in one of the rarer cases.
    #[inline(never)]
    fn try_send_slowly(&self, value: T, priority: S::Rank) -> Result<S::Receipt, TrySendError<T>> {
        let mut value = ManuallyDrop::new(value);
        let sent = self.locked(|state| {
            if !state.sends_at_once() {
                return None;
            }
            // SAFETY: taken out once, and used below only if it was not.
            Some(state.deliver(unsafe { ManuallyDrop::take(&mut value) }, priority))
        });
        match sent {
            Some((replaced, waker)) => {
                wake(waker);
                Ok(self.strategy.receipt(replaced))
            }
            None => self.try_send_among_others(ManuallyDrop::into_inner(value), priority),
        }
    }

    /// As [`try_send`](Self::try_send), with others waiting, or without room.
    #[inline(never)]
    fn try_send_among_others(
        &self,
        value: T,
        priority: S::Rank,
    ) -> Result<S::Receipt, TrySendError<T>> {
        let mut value = Some(value);
        let mut helps = false;
        loop {
            let (offer, settled) = self.locked(|state| {
                if let Some(wakers) = state.help(helps) {
                    return (Offer::Again(wakers), false);
                }
                let offer = state.offer(None, &mut value, priority);
                // At a rendezvous the meeting point is taken then, so nobody else can be helped.
                let met = S::MEETS && matches!(offer, Offer::Sent(..));
                let settled = met || state.is_settled();
                if matches!(offer, Offer::Full) && (settled || helps) && !S::GROWS {
                    count(&mut state.counters.full);
                }
                (offer, settled)
            });
            let failed: fn(T) -> TrySendError<T> = match offer {
                Offer::Sent(replaced, waker) => {
                    wake(waker);
                    if !settled {
                        self.settle();
                    }
                    return Ok(self.strategy.receipt(replaced));
                }
                Offer::Again(wakers) => {
                    self.help_on(wakers);
                    continue;
                }
                Offer::Lost => continue,
                // Somebody who was interrupted halfway does not make it full.
                Offer::Full if !settled && !helps => {
                    helps = true;
                    self.help_on([None, None]);
                    continue;
                }
                Offer::Full if S::GROWS && self.grow_for_newcomer() => continue,
                Offer::Full => {
                    if S::GROWS {
                        self.locked(|state| count(&mut state.counters.full));
                    }
                    TrySendError::Full
                }
                Offer::Closed => {
                    if !settled {
                        self.settle();
                    }
                    TrySendError::Closed
                }
            };
            // SAFETY: `offer` takes the value out only when it returns `Sent`.
            return Err(failed(unsafe { value.unwrap_unchecked() }));
        }
    }

    /// Sends, waiting for room or for a receiver, first come, first served.
    ///
    /// The future fails with [`SendError`](crate::SendError) when the channel is closed. See [`SendFuture`]
    /// for cancel safety, deadlines and cancellation.
    ///
    /// * *Cancel safety:* dropping the future drops the value, which was not sent, or gives a slot
    ///   back that was handed to it; [`take_value`](SendFuture::take_value) recovers the value.
    /// * *Order:* senders that wait are served in the order of their first polls.
    /// * *Wake-ups:* the future is woken once, when it can complete; completing wakes one receiver.
    /// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
    ///   lock is.
    /// * *Cost:* the value and about ten words; a poll is a critical section or two of constant
    ///   length. Nothing is allocated, except a segment of an [`Unlimited`] channel.
    pub fn send(&self, value: T) -> SendFuture<'_, M, T, S> {
        SendFuture::new(self, value)
    }

    /// Receives at once or not at all, for whoever receives.
    #[inline]
    pub(super) fn try_take(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        match self.aside().recv(true) {
            Ok(value) => Ok(S::Store::received(value)),
            Err(Missed::NotNow(())) => Err(TryRecvError::Empty),
            Err(missed) if S::Aside::LENDS => self.try_take_beside_lane(missed, reader),
            Err(_) => self.try_take_locked(reader),
        }
    }

    /// As [`try_take`](Self::try_take), under the lock. Apart from the lane, so that who receives there, as a select tries to on
    /// one channel after the other, has fewer registers to save.
    #[inline(never)]
    fn try_take_beside_lane(
        &self,
        missed: Missed<()>,
        reader: S::Reader,
    ) -> Result<S::Received, TryRecvError> {
        match self.with_next(Err(missed)) {
            Ok(value) => Ok(S::Store::received(value)),
            Err(_) => self.try_take_locked(reader),
        }
    }

    #[inline(always)]
    fn try_take_locked(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        let taken = self.locked(|state| {
            if let Some(taken) = state.take_quickly(!state.is_crowded(), reader) {
                return Tried::Done(taken);
            }
            // Nobody waits who might bring a value. A broadcast's readers, who find values far more often than they take
            // them, look further for that.
            let is_empty =
                !S::MEETS && !S::SHARES && !state.is_crowded() && !state.has_unpromised(reader);
            if !is_empty || state.is_closed() {
                return Tried::Unclear;
            }
            count(&mut state.counters.empty);
            Tried::Refused
        });
        match taken {
            Tried::Done((value, unused)) => Ok(received::<T, S>(value, unused)),
            Tried::Refused => Err(TryRecvError::Empty),
            Tried::Unclear => self.try_take_slowly(reader),
        }
    }

    /// As [`try_take`](Self::try_take), with a sender waiting, or in one of the rarer cases.
    #[inline(never)]
    fn try_take_slowly(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        match self.locked(|state| state.collect_at_once(reader)) {
            Some((value, unused, waker)) => {
                let value = received::<T, S>(value, unused);
                wake(waker);
                Ok(value)
            }
            None => self.try_take_among_others(reader),
        }
    }

    /// As [`try_take`](Self::try_take), with others waiting, or without a value.
    #[inline(never)]
    fn try_take_among_others(&self, reader: S::Reader) -> Result<S::Received, TryRecvError> {
        let mut helps = false;
        loop {
            let (take, settled) = self.locked(|state| {
                if let Some(wakers) = state.help(helps) {
                    return (Take::Again(wakers), false);
                }
                let take = state.take(None, reader);
                let settled = state.is_settled();
                if matches!(take, Take::Empty) && (settled || helps) {
                    count(&mut state.counters.empty);
                }
                (take, settled)
            });
            let result = match take {
                Take::Value(value, unused, waker) => {
                    let value = received::<T, S>(value, unused);
                    wake(waker);
                    Ok(value)
                }
                Take::Again(wakers) => {
                    self.help_on(wakers);
                    continue;
                }
                Take::Lost => continue,
                // Somebody who was interrupted halfway does not make it empty.
                Take::Empty if !settled && !helps => {
                    helps = true;
                    self.help_on([None, None]);
                    continue;
                }
                Take::Empty => return Err(TryRecvError::Empty),
                Take::Closed => Err(TryRecvError::Closed),
            };
            if !settled {
                self.settle();
            }
            return result;
        }
    }

    /// Closes the channel: senders, waiting ones included, get their values back; what is in the
    /// channel, or promised to be sent, is still received; then receivers fail. Returns whether it was
    /// open; closing twice does nothing.
    ///
    /// Interrupt-safe. Each waiter is woken in a critical section of its own.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* what was sent before is received; slots that were promised may still be used.
    /// * *Wake-ups:* every sender that waits, and, once all has been received, every receiver; and
    ///   all who wait for closing.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* a critical section for each waiter.
    pub fn close(&self) -> bool {
        let was_open = self.locked(State::close);
        self.settle();
        was_open
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.locked(|state| state.is_closed())
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

    /// Closes it, and drops what is in it and promised to nobody, counted, and what will be sent into slots that
    /// are promised: nobody is left to receive it.
    fn desert(&self)
    where
        S: Compete<T>,
    {
        self.locked(State::desert);
        self.settle();
        to_the_end(|| {
            let Some((value, unused)) = self.locked(State::discard) else { return false };
            if let Some(unused) = unused {
                S::shrink(unused);
            }
            drop(value);
            true
        });
    }

    /// What is left to do after a critical section: wakes those who are `told` of it, and unless that has `settled`
    /// all, deals with waiters.
    #[inline]
    fn tell(&self, told: Wakers, settled: bool) {
        let [first, second] = told;
        if S::MEETS {
            wake(second);
        } else {
            // Two are told of a meeting only.
            debug_assert!(second.is_none());
            core::mem::forget(second);
        }
        wake(first);
        if !settled {
            self.settle();
        }
    }

    /// Goes on with [helping](State::help) others before it is asked again.
    #[inline]
    fn help_on(&self, wakers: Wakers) {
        wakers.into_iter().for_each(wake);
        if State::<T, S>::IN_STEPS {
            self.settle();
        }
    }

    /// Deals with waiters until none can be helped.
    fn settle(&self) {
        while let Settled::Step(told) = self.locked(State::settle) {
            self.tell(told, true);
        }
    }
}

impl<M: RawMutex, T, S: Compete<T>> Channel<M, T, S> {
    /// Receives at once or not at all. Constant time, interrupt-safe.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* the oldest value (a priority channel: the first that is due); never one that was
    ///   promised to a receiver that waits.
    /// * *Wake-ups:* the sender that has waited longest, if one waits for the slot.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section of constant length in the common case; one more for each
    ///   waiter that somebody was in the middle of dealing with.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) when there is nothing, or nothing that was not promised to
    /// receivers which waited longer; [`Closed`](TryRecvError::Closed).
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.try_take(())
    }

    /// Receives, waiting for a value, first come, first served.
    ///
    /// The future fails with [`RecvError`](crate::RecvError) when the channel is closed and empty. See
    /// [`RecvFuture`] for cancel safety, deadlines and cancellation.
    ///
    /// * *Cancel safety:* dropping the future loses nothing: a value that was handed to it goes to
    ///   the next receiver.
    /// * *Order:* receivers that wait are served in the order of their first polls.
    /// * *Wake-ups:* the future is woken once, when it can complete; completing wakes one sender.
    /// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
    ///   lock is.
    /// * *Cost:* about nine words; a poll is a critical section or two of constant length.
    pub fn recv(&self) -> RecvFuture<'_, M, T, S> {
        RecvFuture::new(self, ())
    }
}

/// What came of the common case of an operation that is tried.
enum Tried<R> {
    Done(R),
    /// For certain, and counted.
    Refused,
    /// It is not the common case, and nothing has been changed.
    Unclear,
}

/// Wakes outside the lock.
#[inline]
fn wake(waker: Option<core::task::Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
