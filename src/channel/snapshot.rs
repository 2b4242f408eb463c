//! A channel's counters.

/// The kind of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

/// A channel at one moment. Counters wrap.
///
/// They reconcile: `sent = received + depth + dropped`. Of a broadcast channel, a value is received when its
/// last subscriber has read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChannelSnapshot {
    /// Its kind.
    pub kind: Kind,
    /// How many values it can hold; `None` when memory decides.
    pub capacity: Option<usize>,
    /// Values in it.
    pub depth: usize,
    /// The most there ever were.
    pub high_water: usize,
    /// Whether it is closed.
    pub closed: bool,
    /// Values sent.
    pub sent: u32,
    /// Values received.
    pub received: u32,
    /// Values replaced, or dropped by policy, before they were received; in a broadcast channel also those
    /// that nobody was there to read.
    pub dropped: u32,
    /// Sends refused for want of room.
    pub full: u32,
    /// Receives refused for want of a value.
    pub empty: u32,
    /// Sends refused because it was closed.
    pub refused: u32,
    /// Sends that had to wait.
    pub send_waits: u32,
    /// Receives that had to wait.
    pub recv_waits: u32,
    /// Operations whose deadline passed.
    pub timeouts: u32,
    /// Operations that were cancelled.
    pub cancelled: u32,
    /// Receives that returned a value: in a broadcast channel one for each subscriber, elsewhere `received`.
    pub delivered: u32,
    /// Receives that a broadcast channel's subscribers missed, because the value was dropped by policy.
    pub lagged: u32,
}

/// The counters that are kept.
#[derive(Clone, Copy)]
pub(super) struct Counters {
    pub(super) sent: u32,
    pub(super) received: u32,
    pub(super) dropped: u32,
    pub(super) full: u32,
    pub(super) empty: u32,
    pub(super) refused: u32,
    pub(super) send_waits: u32,
    pub(super) recv_waits: u32,
    pub(super) timeouts: u32,
    pub(super) cancelled: u32,
    pub(super) high_water: usize,
}

impl Counters {
    pub(super) const ZERO: Self = Self {
        sent: 0,
        received: 0,
        dropped: 0,
        full: 0,
        empty: 0,
        refused: 0,
        send_waits: 0,
        recv_waits: 0,
        timeouts: 0,
        cancelled: 0,
        high_water: 0,
    };
}

/// Counts one.
#[inline]
pub(super) fn count(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}
