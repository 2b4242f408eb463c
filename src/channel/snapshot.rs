//! A channel's counters, and what can be read off them.
//!
//! They are kept under the channel's lock, so a snapshot is of one moment. How many operations are parked is
//! counted by their lists; what can be computed from the rest is computed by whoever reads.

use super::Channel;
use super::aside::Passed;
use super::meeting::Bystanders;
use super::state::State;
use super::store::{Store, Strategy, sealed::Sealed};
use super::waiting::Abandoned;
use super::weigh::{Sums, Times, Weighing};
use crate::limit::Stopped;
use crate::sync::RawMutex;

/// The kind of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Kind {
    /// Both sides meet.
    Rendezvous,
    /// A ring.
    Buffered,
    /// Segments from an arena.
    Unlimited,
    /// The latest value.
    Conflated,
    /// A heap.
    Priority,
    /// A ring that every subscriber reads.
    Broadcast,
}

/// What a channel carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum PayloadMode {
    /// Values of any type, moved.
    Values,
    /// Payloads of an arena: a [`Bytes`](super::Bytes) channel. Their bytes are counted.
    Messages,
}

/// Whether work can pass through a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ChannelState {
    /// Nobody waits to send.
    Open,
    /// Senders wait, for this.
    Throttled(Shortage),
    /// Closed. There may be values in it.
    Closed,
}

/// What senders wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Shortage {
    /// The channel is full.
    Room,
    /// An unlimited channel needs a segment, and its arena has none.
    Memory,
    /// Nobody is there to meet.
    Receiver,
}

/// A channel at one moment. Counters wrap.
///
/// They reconcile: `sent = received + depth + dropped`, in every snapshot. Of a broadcast channel, a value is
/// received when its last subscriber has read it. Which messages are *in flight* (received, and their leases
/// held) a channel does not know: it would have to be told of each drop. What is in hand is in the arena's
/// [census](crate::ArenaRef::census_by_home), by home. Which payloads wait in it, [`Channel::waiting`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ChannelSnapshot {
    /// Its kind.
    pub kind: Kind,
    /// What it carries.
    pub mode: PayloadMode,
    /// How many values it can hold; `None` when memory decides.
    pub capacity: Option<usize>,
    /// Values in it.
    pub depth: usize,
    /// The most there ever were; 4,294,967,295 if there were more.
    pub high_water: usize,
    /// Whether it is closed. See [`state`](Self::state) for more.
    pub closed: bool,
    /// Values sent.
    pub sent: u32,
    /// Values received.
    pub received: u32,
    /// Values replaced, or dropped by policy, before they were received; in a broadcast channel also those
    /// that nobody was there to read.
    pub dropped: u32,
    /// Receives that returned a value: in a broadcast channel one for each subscriber, elsewhere `received`.
    pub delivered: u32,
    /// Receives that a broadcast channel's subscribers missed, because the value was dropped by policy.
    pub lagged: u32,
    /// Bytes of the messages sent. Wraps where the device's addresses do.
    pub bytes_sent: u64,
    /// Bytes of the messages that were delivered. Wraps where the device's addresses do.
    pub bytes_received: u64,
    /// Messages whose bytes were copied into the arena to be sent; all others were sent, and all are received,
    /// without a copy.
    pub copied: u32,
    /// Sends refused for want of room.
    pub full: u32,
    /// Receives refused for want of a value.
    pub empty: u32,
    /// Sends refused because it was closed.
    pub refused: u32,
    /// Receives that failed because it was closed and empty.
    pub ended: u32,
    /// Sends that had to wait.
    pub send_waits: u32,
    /// Receives that had to wait.
    pub recv_waits: u32,
    /// Sends, and waits for closing, whose deadline passed.
    pub send_timeouts: u32,
    /// Receives whose deadline passed.
    pub recv_timeouts: u32,
    /// Sends, and waits for closing, that were cancelled.
    pub send_cancelled: u32,
    /// Receives that were cancelled.
    pub recv_cancelled: u32,
    /// Sends, permits and receives that were dropped while they waited. Those of a select that lost are none.
    pub abandoned: u32,
    /// Sends, and permits, that wait now. Arms of a select that has been decided otherwise stand in line until
    /// somebody comes upon them, or they are withdrawn.
    pub parked_senders: u32,
    /// Receives that wait now, in the same sense.
    pub parked_receivers: u32,
    /// When it was used, in ticks of its messages' arena; `None` without the `stamps` feature, for channels of
    /// values, and before the first message.
    pub times: Option<Times>,
    /// How long messages were queued; `None` for channels of values. Only with the `histograms` feature, and left out
    /// when a snapshot is serialized: a report has a record of its own for it.
    #[cfg(feature = "histograms")]
    #[cfg_attr(feature = "serde", serde(skip))]
    pub queueing: Option<super::Histogram>,
}

impl ChannelSnapshot {
    /// Whether work can pass. Whether anything *does* pass (or the channel is stalled) takes two snapshots.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Channel, ChannelState, Shortage};
    /// use cloakroom::sync::CriticalSectionRawMutex as Lock;
    /// use std::{pin::pin, task::{Context, Waker}};
    ///
    /// static LINE: Channel<Lock, u8, Buffered<1>> = Channel::new();
    /// LINE.try_send(1)?;
    /// let mut second = pin!(LINE.send(2));
    /// assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    /// assert_eq!(LINE.snapshot().state(), ChannelState::Throttled(Shortage::Room));
    /// # Ok::<(), cloakroom::TrySendError<u8>>(())
    /// ```
    pub fn state(&self) -> ChannelState {
        match self.kind {
            _ if self.closed => ChannelState::Closed,
            _ if self.parked_senders == 0 => ChannelState::Open,
            Kind::Rendezvous => ChannelState::Throttled(Shortage::Receiver),
            Kind::Unlimited => ChannelState::Throttled(Shortage::Memory),
            _ => ChannelState::Throttled(Shortage::Room),
        }
    }

    /// Whether every value that was sent is somewhere: `sent = received + depth + dropped`.
    pub fn reconciles(&self) -> bool {
        // Lossless up to wrapping, which the counters do, too.
        let depth = self.depth as u32;
        self.sent == self.received.wrapping_add(depth).wrapping_add(self.dropped)
    }

    /// Messages sent without a copy; none on a channel of values.
    pub fn zero_copy_sent(&self) -> u32 {
        match self.mode {
            PayloadMode::Values => 0,
            PayloadMode::Messages => self.sent.wrapping_sub(self.copied),
        }
    }

    /// Messages received without a copy: all of them; none on a channel of values.
    pub fn zero_copy_received(&self) -> u32 {
        match self.mode {
            PayloadMode::Values => 0,
            PayloadMode::Messages => self.delivered,
        }
    }

    /// Of a rendezvous: how often both sides met.
    pub fn matches(&self) -> Option<u32> {
        (self.kind == Kind::Rendezvous).then_some(self.sent)
    }

    /// Operations whose deadline passed, on both sides.
    pub fn timeouts(&self) -> u32 {
        self.send_timeouts.wrapping_add(self.recv_timeouts)
    }

    /// Operations that were cancelled, on both sides.
    pub fn cancelled(&self) -> u32 {
        self.send_cancelled.wrapping_add(self.recv_cancelled)
    }

    /// Operations that went away without an outcome: of a rendezvous, those who came to meet somebody and did
    /// not.
    pub fn cancels(&self) -> u32 {
        self.timeouts().wrapping_add(self.cancelled()).wrapping_add(self.abandoned)
    }
}

/// The counters that are kept.
#[derive(Clone, Copy)]
pub(super) struct Counters<W: Weighing, H: Highest> {
    pub(super) sent: u32,
    pub(super) received: u32,
    pub(super) dropped: u32,
    pub(super) full: u32,
    pub(super) empty: u32,
    pub(super) refused: u32,
    pub(super) ended: u32,
    pub(super) send_waits: u32,
    pub(super) recv_waits: u32,
    pub(super) stopped: [Stops; 2],
    pub(super) abandoned: Abandoned,
    pub(super) high_water: H,
    pub(super) sums: W::Sums,
}

/// What is kept of the most values there ever were.
#[doc(hidden)]
pub trait Highest: Copy + Sealed {
    const NONE: Self;
    fn get(self) -> u32;
    /// So many values are there now.
    fn note(&mut self, depth: usize);
}

impl Sealed for u32 {}

impl Highest for u32 {
    const NONE: Self = 0;
    #[inline(always)]
    fn get(self) -> u32 {
        self
    }
    #[inline(always)]
    fn note(&mut self, depth: usize) {
        // Lossless: addresses have 32 bits at least.
        if depth > *self as usize {
            *self = Self::try_from(depth).unwrap_or(Self::MAX);
        }
    }
}

/// Nothing: the store [knows](Store::highest) itself.
#[cfg(feature = "std")]
impl Highest for () {
    const NONE: Self = ();
    #[inline(always)]
    fn get(self) -> u32 {
        0
    }
    #[inline(always)]
    fn note(&mut self, _depth: usize) {}
}

/// Operations of one side that were stopped from outside.
#[derive(Clone, Copy)]
pub(super) struct Stops {
    timeouts: u32,
    cancelled: u32,
}

/// Why an operation leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// It is dropped, or its value is taken back.
    Abandoned,
    /// It is counted as something else, or it lost a select, which leaves no trace.
    Otherwise,
}

/// A side of a channel.
#[derive(Clone, Copy)]
pub(super) enum Sided {
    Send,
    Recv,
}

impl<W: Weighing, H: Highest> Counters<W, H> {
    pub(super) const ZERO: Self = Self {
        sent: 0,
        received: 0,
        dropped: 0,
        full: 0,
        empty: 0,
        refused: 0,
        ended: 0,
        send_waits: 0,
        recv_waits: 0,
        stopped: [Stops { timeouts: 0, cancelled: 0 }; 2],
        abandoned: Abandoned::NONE,
        high_water: H::NONE,
        sums: W::NOTHING,
    };

    /// So many values are there now.
    #[inline(always)]
    pub(super) fn note_depth(&mut self, depth: usize) {
        self.high_water.note(depth);
    }

    /// What went by the lanes.
    pub(super) fn add(&mut self, sends: Passed, recvs: Passed) {
        // Lossless up to wrapping, which the counters do, too.
        self.sent = self.sent.wrapping_add(sends.values as u32);
        self.received = self.received.wrapping_add(recvs.values as u32);
        self.full = self.full.wrapping_add(sends.failures);
        self.empty = self.empty.wrapping_add(recvs.failures);
        if let Some(sums) = W::sums(&mut self.sums) {
            sums.add(sends, recvs);
        }
    }
}

/// Counts one.
#[inline]
pub(super) fn count(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}

impl<T, S: Strategy<T>> State<T, S> {
    fn snapshot(&mut self) -> ChannelSnapshot {
        let (bare_senders, onlookers) = match self.store.bystanders() {
            Some(Bystanders { senders, receivers }) => (senders.count(), receivers.count()),
            None => (0, 0),
        };
        let sums = self.sums().map_or(Sums::NOTHING, |sums| *sums);
        let counters = &self.counters;
        let [send, recv] = counters.stopped;
        let (delivered, lagged) = self.store.shared().unwrap_or((counters.received, 0));
        ChannelSnapshot {
            kind: S::KIND,
            mode: if self.weighs() { PayloadMode::Messages } else { PayloadMode::Values },
            capacity: if S::MEETS { Some(0) } else { self.store.capacity() },
            depth: self.store.len(),
            // Lossless: addresses have 32 bits at least.
            high_water: self.store.highest().unwrap_or(counters.high_water.get()) as usize,
            closed: self.is_closed(),
            sent: counters.sent,
            received: counters.received,
            dropped: counters.dropped,
            delivered,
            lagged,
            bytes_sent: sums.bytes_sent as u64,
            bytes_received: sums.bytes_received as u64,
            copied: sums.copied,
            full: counters.full,
            empty: counters.empty,
            refused: counters.refused,
            ended: counters.ended,
            send_waits: counters.send_waits,
            recv_waits: counters.recv_waits,
            send_timeouts: send.timeouts,
            recv_timeouts: recv.timeouts,
            send_cancelled: send.cancelled,
            recv_cancelled: recv.cancelled,
            abandoned: counters.abandoned.get(&self.waiting),
            parked_senders: self.waiting.senders.count() + bare_senders,
            parked_receivers: self.waiting.receivers().count() + onlookers,
            #[cfg(feature = "histograms")]
            queueing: self.weighs().then(|| sums.queueing.histogram()),
            times: self.times(),
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Its counters at this moment: one critical section of constant length, interrupt-safe.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Channel};
    /// use cloakroom::sync::CriticalSectionRawMutex as Lock;
    ///
    /// static LINE: Channel<Lock, u8, Buffered<2>> = Channel::new();
    /// LINE.try_send(1)?;
    /// let snapshot = LINE.snapshot();
    /// assert_eq!((snapshot.sent, snapshot.depth, snapshot.capacity), (1, 1, Some(2)));
    /// assert!(snapshot.reconciles());
    /// # Ok::<(), cloakroom::TrySendError<u8>>(())
    /// ```
    pub fn snapshot(&self) -> ChannelSnapshot {
        self.locked(State::snapshot)
    }

    /// An operation of one side was stopped.
    pub(super) fn count_stopped(&self, side: Sided, why: Stopped) {
        self.locked(|state| {
            let stops = match side {
                Sided::Send => &mut state.counters.stopped[0],
                Sided::Recv => &mut state.counters.stopped[1],
            };
            count(match why {
                Stopped::Cancelled => &mut stops.cancelled,
                Stopped::Timeout => &mut stops.timeouts,
            });
        });
    }
}
