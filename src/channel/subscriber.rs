//! Subscribers of a broadcast channel.

use core::cell::Cell;
use core::iter;

use super::broadcast::{Cursor, CursorRef, Delivery};
use super::endpoint::{ChannelRef, HasChannel, KindOf, LockOf, ValueOf};
use super::snapshot::count;
use super::store::{Leaving, Store, Strategy};
use super::{Channel, RecvFuture};
use crate::error::TryRecvError;
use crate::sync::RawMutex;
use crate::unwind::to_the_end;

/// Strategies that deliver every value to every subscriber: [`Broadcast`](super::Broadcast).
pub trait Listen<T>: Strategy<T, Received = Delivery<T>, Reader = CursorRef> {}

impl<T, S: Strategy<T, Received = Delivery<T>, Reader = CursorRef>> Listen<T> for S {}

/// A reader of a [`Broadcast`](super::Broadcast) channel: it receives every value that is sent from the
/// moment it subscribed, in order, unless the policy dropped some.
///
/// Made by [`Channel::subscribe`]. While it exists, values wait for it, so receive or drop it. Dropping it
/// passes what it has not read, one value in a critical section. A leaked one holds values back for ever.
///
/// See [`Broadcast`](super::Broadcast) for an example.
pub struct Subscriber<P: ChannelRef>
where
    KindOf<P>: Listen<ValueOf<P>>,
{
    channel: P,
    cursor: Cursor,
}

impl<M: RawMutex, T, S: Listen<T>> Channel<M, T, S> {
    /// A reader of all values that are sent from now on. Constant time, interrupt-safe.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* from the next value that is sent.
    /// * *Wake-ups:* nobody.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section of constant length.
    pub fn subscribe(&self) -> Subscriber<&Self> {
        Subscriber::of(self)
    }

    /// How many subscribers there are.
    pub fn subscribers(&self) -> usize {
        self.locked(|state| state.store.subscribers()) as usize
    }
}

impl<P: ChannelRef> Subscriber<P>
where
    KindOf<P>: Listen<ValueOf<P>>,
{
    /// As [`Channel::subscribe`], for a channel that is reached by a counted pointer, which the subscriber
    /// keeps.
    pub fn of(channel: P) -> Self {
        let cursor = Cell::new(0);
        channel.channel().locked(|state| state.store.subscribe(CursorRef::to(&cursor)));
        Self { channel, cursor }
    }

    /// Receives at once or not at all. Constant time, interrupt-safe.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* values in the order in which they were sent.
    /// * *Wake-ups:* the sender that has waited longest, if this was the last reader of a value.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section of constant length in the common case; one more for each
    ///   waiter that somebody was in the middle of dealing with.
    ///
    /// # Errors
    /// [`Empty`](TryRecvError::Empty) when it has read everything, [`Closed`](TryRecvError::Closed) when
    /// there will be no more, either.
    pub fn try_recv(&mut self) -> Result<Delivery<ValueOf<P>>, TryRecvError> {
        self.channel.channel().try_take(CursorRef::to(&self.cursor))
    }

    /// Receives, waiting for a value. All subscribers that wait are woken by a send, one in a critical
    /// section.
    ///
    /// * *Cancel safety:* dropping the future loses nothing: the cursor has not moved.
    /// * *Order:* values in the order in which they were sent.
    /// * *Wake-ups:* the future is woken once; it wakes a sender as `try_recv` does.
    /// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
    ///   lock is.
    /// * *Cost:* about ten words; a poll is a critical section or two of constant length.
    pub fn recv(&mut self) -> RecvFuture<'_, LockOf<P>, ValueOf<P>, KindOf<P>> {
        RecvFuture::new(self.channel.channel(), CursorRef::to(&self.cursor))
    }

    /// What is there now and comes until it is exhausted, without waiting.
    pub fn try_iter(&mut self) -> impl Iterator<Item = Delivery<ValueOf<P>>> {
        iter::from_fn(|| self.try_recv().ok())
    }

    /// What is there at this moment and nothing that comes later, without waiting.
    pub fn drain(&mut self) -> impl Iterator<Item = Delivery<ValueOf<P>>> {
        let reader = CursorRef::to(&self.cursor);
        let end = self.channel.channel().locked(|state| {
            let available = state.store.available(reader);
            self.cursor.get() + available as u64
        });
        // By number, as one delivery may tell of several values that were lost.
        iter::from_fn(move || {
            let at = self.channel.channel().locked(|_| self.cursor.get());
            if at < end { self.try_recv().ok() } else { None }
        })
    }

    /// How many values it has not read, lost ones included.
    pub fn len(&self) -> usize {
        let reader = CursorRef::to(&self.cursor);
        self.channel.channel().locked(|state| state.store.available(reader))
    }

    /// Whether it has read everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The channel.
    pub fn channel(&self) -> &Channel<LockOf<P>, ValueOf<P>, KindOf<P>> {
        self.channel.channel()
    }

    /// Another subscriber of the same channel, from now on.
    pub fn resubscribe(&self) -> Self {
        Self::of(self.channel.clone())
    }
}

impl<P: ChannelRef> Drop for Subscriber<P>
where
    KindOf<P>: Listen<ValueOf<P>>,
{
    fn drop(&mut self) {
        let channel = self.channel.channel();
        // What is sent from now on does not wait for it: so it comes to an end, however much that is.
        let end = channel.locked(|state| state.store.unsubscribe());
        to_the_end(|| {
            let leaving = channel.locked(|state| {
                let leaving = state.store.leave(CursorRef::to(&self.cursor), end);
                if let Leaving::Done(_, read) = leaving {
                    let counters = &mut state.counters;
                    count(if read { &mut counters.received } else { &mut counters.dropped });
                }
                leaving
            });
            if let Leaving::Gone = leaving {
                return false;
            }
            // Outside the lock: the sender that the slot is for, if the value is done with; then the value,
            // whose drop may panic.
            channel.settle();
            drop(leaving);
            true
        });
    }
}
