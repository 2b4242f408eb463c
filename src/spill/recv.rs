//! A pending receive: a future, an arm of a select, an operation that can be limited.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};

use super::channel::SpillBytes;
use super::counting::Counting;
use super::error::{SpillRecvError, TrySpillRecvError};
use super::message::Message;
use super::receive::{Memory, Taken, Turn, open};
use super::side::Side;
use super::slot::Slot;
use crate::arena::{Alloc, LeaseMut};
use crate::channel::{Buffered, Compete, RecvFuture, Reserve};
use crate::error::{ClosedError, RecvError, RecvTimeoutError};
use crate::limit::{Operation, Stopped};
use crate::select::{Arm, Attempt, sealed::Sealed};
use crate::sync::RawMutex;
use crate::sync::claim::Claim;

/// A pending [`SpillBytes::recv`].
///
/// If the target lends all, a select's claim is that of the queue's receive. If not, a message is taken from the queue, and gets memory, before
/// the select is claimed: should another arm have been, it is put in front, and is received next.
///
/// ```
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::select::{Either, select};
/// # use cloakroom::spill::{Class, Extents, MemoryTarget, Policy, Spill, SpillBytes, Watermarks, Word};
/// # use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
/// # static ARENA: Arena<Lock, 8, 64, 8> = Arena::new();
/// # let mut psram = [0; 512];
/// # let target = MemoryTarget::new(&mut psram, Extents::new([Class { bytes: 64, count: 8 }], Word::free::<1>()));
/// # let spill = Spill::over(&ARENA, &target, Watermarks::new(0, 0));
/// let log: SpillBytes<'_, Lock, Buffered<8>> = SpillBytes::new(&spill, Policy::ColdFirst);
/// static STOP: Channel<Lock, (), Buffered<1>> = Channel::new();
///
/// log.try_send_bytes(b"a line")?;
/// # let done = core::cell::Cell::new(false);
/// # let run = async {
/// match select((STOP.recv(), log.recv())).await {
///     Either::First(_) => println!("told to stop"),
///     Either::Second(line) => assert_eq!(*line?, *b"a line"),
/// }
/// # done.set(true);
/// # Ok::<(), cloakroom::spill::SpillRecvError>(())
/// # };
/// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(std::pin::pin!(run).poll(&mut cx).is_ready() && done.get());
/// # use std::future::Future;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct SpillRecv<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> {
    channel: &'c SpillBytes<'a, M, S>,
    /// Pinned. Dropped before what is had: a message that was handed over goes back while this has the turn.
    waits: Waits<'c, 'a, M, S>,
    has: Has<'c, 'a, M, S>,
    /// Unless the queue's receive is the arm.
    side: Side,
}

/// A receive of the queue's.
type OfQueue<'c, 'a, M, S> = RecvFuture<'c, M, Slot<'a, M>, Counting<S>>;

/// What it waits for.
enum Waits<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> {
    Nothing,
    /// A message, of a target that lends all.
    Lent(OfQueue<'c, 'a, M, S>),
    Turn(Reserve<'c, M, (), Buffered<1>>),
    /// A message, with the turn.
    Message(OfQueue<'c, 'a, M, S>),
    /// Memory for it, wherever there is some first.
    Memory(Alloc<'a, M>, RecvFuture<'c, M, LeaseMut<'a, M>, Buffered<1>>),
}

/// What it has.
enum Has<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> {
    Nothing,
    Turn(Turn<'c, 'a, M, S>),
    Message(Taken<'c, 'a, M, S>),
    /// It can be received.
    All(Taken<'c, 'a, M, S>, Option<Memory<'c, 'a, M>>),
    /// The channel is closed and empty.
    Closed,
    /// It has been received.
    Ended,
}

type Received<'c, 'a, M> = Result<Message<'c, 'a, M>, SpillRecvError>;

impl<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> SpillRecv<'c, 'a, M, S> {
    pub(super) fn new(channel: &'c SpillBytes<'a, M, S>) -> Self {
        let lends = channel.place.target().lends();
        let waits = if lends { Waits::Lent(channel.queue.recv()) } else { Waits::Nothing };
        Self { channel, waits, has: Has::Nothing, side: Side::none() }
    }

    /// The queue's receive, if the target lends all.
    fn lent(self: Pin<&mut Self>) -> Option<Pin<&mut OfQueue<'c, 'a, M, S>>> {
        // SAFETY: it is pinned with the whole, and not moved.
        match unsafe { &mut self.get_unchecked_mut().waits } {
            // SAFETY: as above.
            Waits::Lent(receive) => Some(unsafe { Pin::new_unchecked(receive) }),
            _ => None,
        }
    }

    /// What the queue's receive has returned.
    fn opened<E>(
        &self,
        slot: Result<Slot<'a, M>, E>,
        error: fn(E) -> SpillRecvError,
    ) -> Received<'c, 'a, M> {
        open(slot.map_err(error)?, None, self.channel.tally()).map_err(SpillRecvError::Lost)
    }

    /// Goes on until it has all, or the channel is closed.
    fn advance(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: what it waits for is pinned with the whole, and dropped in place; the rest is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let channel = this.channel;
        loop {
            match core::mem::replace(&mut this.has, Has::Nothing) {
                Has::Nothing => {
                    if !matches!(this.waits, Waits::Turn(_)) {
                        this.waits = Waits::Turn(channel.turn.reserve());
                    }
                    let Waits::Turn(reserve) = &mut this.waits else { continue };
                    // SAFETY: as above.
                    let place = ready!(unsafe { Pin::new_unchecked(reserve) }.poll(cx));
                    this.waits = Waits::Nothing;
                    this.has = match place {
                        Ok(place) => Has::Turn(Turn::new(channel, place)),
                        // It never is.
                        Err(ClosedError) => Has::Closed,
                    };
                }
                Has::Turn(turn) => {
                    let turn = match (&this.waits, turn) {
                        (Waits::Message(_), turn) => turn,
                        (_, turn) => match turn.given_up() {
                            Ok(taken) => {
                                this.has = Has::Message(taken);
                                continue;
                            }
                            Err(turn) => {
                                this.waits = Waits::Message(channel.queue.recv());
                                turn
                            }
                        },
                    };
                    let Waits::Message(receive) = &mut this.waits else { continue };
                    // SAFETY: as above.
                    let received = unsafe { Pin::new_unchecked(receive) }.poll(cx);
                    let Poll::Ready(received) = received else {
                        this.has = Has::Turn(turn);
                        return Poll::Pending;
                    };
                    this.waits = Waits::Nothing;
                    this.has = match received {
                        Ok(slot) => Has::Message(turn.with(slot)),
                        Err(RecvError) => Has::Closed,
                    };
                }
                Has::Message(taken) => {
                    let Some(len) = taken.needs() else {
                        this.has = Has::All(taken, None);
                        continue;
                    };
                    if !matches!(this.waits, Waits::Memory(..)) {
                        let memory = channel.place.arena().alloc(len);
                        this.waits = Waits::Memory(memory, channel.landing.take());
                    }
                    let Waits::Memory(alloc, landing) = &mut this.waits else { continue };
                    // SAFETY: as above.
                    let (alloc, landing) =
                        unsafe { (Pin::new_unchecked(alloc), Pin::new_unchecked(landing)) };
                    let memory = match alloc.poll(cx) {
                        Poll::Ready(Ok(memory)) => Memory::Arena(memory),
                        // (What goes out is measured before: it is never too long for the arena.)
                        _ => match landing.poll(cx) {
                            Poll::Ready(Ok(memory)) => {
                                Memory::Landing(channel.landing.landed(memory))
                            }
                            _ => {
                                this.has = Has::Message(taken);
                                return Poll::Pending;
                            }
                        },
                    };
                    this.waits = Waits::Nothing;
                    this.has = Has::All(taken, Some(memory));
                }
                Has::Ended => {
                    this.has = Has::Ended;
                    return Poll::Pending;
                }
                all => {
                    this.has = all;
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Receives what it has.
    fn finish_with_all(self: Pin<&mut Self>) -> Option<Received<'c, 'a, M>> {
        // SAFETY: what is had is not pinned.
        let has = unsafe { &mut self.get_unchecked_mut().has };
        match core::mem::replace(has, Has::Ended) {
            Has::All(taken, memory) => Some(taken.open(memory).map_err(SpillRecvError::Lost)),
            Has::Closed => Some(Err(SpillRecvError::Closed)),
            other => {
                *has = other;
                None
            }
        }
    }

    /// Gives everything up: what was taken is in front, and the turn another one's.
    fn give_up(self: Pin<&mut Self>, has: Has<'c, 'a, M, S>) {
        // SAFETY: what it waits for is dropped in place.
        let this = unsafe { self.get_unchecked_mut() };
        this.waits = Waits::Nothing;
        this.has = has;
    }
}

impl<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> Future for SpillRecv<'c, 'a, M, S> {
    type Output = Received<'c, 'a, M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(receive) = self.as_mut().lent() {
            let slot = ready!(receive.poll(cx));
            return Poll::Ready(self.opened(slot, |RecvError| SpillRecvError::Closed));
        }
        ready!(self.as_mut().advance(cx));
        if !self.side.wins() {
            return Poll::Pending;
        }
        self.finish_with_all().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> Operation for SpillRecv<'c, 'a, M, S> {
    type Limited = Received<'c, 'a, M>;

    fn finish(output: Self::Output) -> Self::Limited {
        output
    }

    fn abandon(mut self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        let stopped = |why| match why {
            Stopped::Cancelled => SpillRecvError::Cancelled,
            Stopped::Timeout => SpillRecvError::Timeout,
        };
        let limited = |error| match error {
            RecvTimeoutError::Closed => SpillRecvError::Closed,
            RecvTimeoutError::Cancelled => SpillRecvError::Cancelled,
            RecvTimeoutError::Timeout => SpillRecvError::Timeout,
        };
        if let Some(receive) = self.as_mut().lent() {
            let slot = receive.abandon(why)?;
            return Some(self.opened(slot, limited));
        }
        if matches!(self.has, Has::Ended) {
            return None;
        }
        // SAFETY: what it waits for is not moved.
        let this = unsafe { self.as_mut().get_unchecked_mut() };
        if let Waits::Message(receive) = &mut this.waits {
            // SAFETY: as above. A message that was handed over counts, and so does that none will come.
            let slot = unsafe { Pin::new_unchecked(receive) }.abandon(why);
            let has = core::mem::replace(&mut this.has, Has::Nothing);
            this.waits = Waits::Nothing;
            this.has = match (slot, has) {
                (Some(Ok(slot)), Has::Turn(turn)) => Has::Message(turn.with(slot)),
                (Some(Err(RecvTimeoutError::Closed)), _) => Has::Closed,
                (_, has) => has,
            };
        }
        let had = match this.has {
            Has::Message(_) | Has::All(..) | Has::Closed => {
                // It may be in the arena, or lent, or there may be memory by now.
                let _ = self.as_mut().advance(&mut Context::from_waker(Waker::noop()));
                self.as_mut().finish_with_all()
            }
            _ => None,
        };
        self.give_up(Has::Ended);
        Some(had.unwrap_or(Err(stopped(why))))
    }
}

impl<'a, M: RawMutex, S: Compete<Slot<'a, M>>> Sealed for SpillRecv<'_, 'a, M, S> {}

impl<'a, M: RawMutex, S: Compete<Slot<'a, M>>> Arm for SpillRecv<'_, 'a, M, S> {
    unsafe fn join(mut self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        match self.as_mut().lent() {
            // SAFETY: passed on.
            Some(receive) => unsafe { receive.join(claim, arm) },
            // SAFETY: passed on.
            None => unsafe { self.side.join(claim, arm) },
        }
    }

    fn withdraw(mut self: Pin<&mut Self>) {
        match self.as_mut().lent() {
            Some(receive) => receive.withdraw(),
            None => {
                self.side.leave();
                if !matches!(self.has, Has::Ended) {
                    self.give_up(Has::Nothing);
                }
            }
        }
    }

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.as_mut().lent() {
            Some(receive) => receive.poll_ready(cx),
            None => self.advance(cx),
        }
    }

    fn is_fresh(&self) -> bool {
        match &self.waits {
            Waits::Lent(receive) => receive.is_fresh(),
            Waits::Nothing => matches!(self.has, Has::Nothing | Has::Ended),
            _ => false,
        }
    }

    fn attempt(mut self: Pin<&mut Self>) -> Attempt<Self::Output> {
        if let Some(receive) = self.as_mut().lent() {
            let attempted = receive.attempt();
            return attempted.map(|slot| self.opened(slot, |RecvError| SpillRecvError::Closed));
        }
        let received = match self.channel.try_recv() {
            Err(TrySpillRecvError::Empty | TrySpillRecvError::Memory) => return Attempt::NotNow,
            Err(TrySpillRecvError::Closed) => Err(SpillRecvError::Closed),
            Err(TrySpillRecvError::Lost(why)) => Err(SpillRecvError::Lost(why)),
            Ok(message) => Ok(message),
        };
        self.give_up(Has::Ended);
        Attempt::Done(received)
    }
}
