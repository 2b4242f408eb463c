//! What a report consists of.

use serde::{Deserialize, Serialize};

use super::name::Name;
use super::request::Outcome;
use super::ticket::{Orphans, TicketRecord};
use crate::arena::{ArenaSnapshot, Census, HomeSnapshot, TicketDump};
use crate::channel::{ChannelSnapshot, Histogram, SpillSnapshot};
use crate::kernel::KernelSnapshot;

/// One part of a report: a frame on the wire.
///
/// A report is a [`Begin`](Self::Begin), any number of the others, and an `End`. Records that a later version
/// adds come last, so that they change nothing for those there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// A report begins.
    Begin(Begin),
    /// A channel.
    Channel(ChannelRecord),
    /// An arena.
    Arena(ArenaRecord),
    /// A home of an arena.
    Home(HomeRecord),
    /// A kernel.
    Kernel(KernelRecord),
    /// A payload, of a dump.
    Ticket(TicketRecord),
    /// The report is complete: so many records came between its beginning and this one.
    End {
        /// How many.
        records: u32,
    },
    /// An answer to a [`Request`](super::Request) that asked for something to be done.
    Outcome(Outcome),
    /// How long a channel's messages were queued. It follows the channel's own record.
    Queueing(QueueingRecord),
    /// What is out of a channel that spills. It follows the channel's own record.
    Spilled(SpillRecord),
}

/// The beginning of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Begin {
    /// Who reports: a program's or a board's name.
    pub source: Name,
    /// The report's number, counted by the source.
    pub sequence: u32,
    /// When it was made, in the source's own ticks.
    pub ticks: u64,
    /// How long a tick is. 0 if the source has no clock.
    pub ticks_per_second: u64,
}

/// A channel's figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChannelRecord {
    /// The channel's name.
    pub name: Name,
    /// Its figures.
    pub snapshot: ChannelSnapshot,
}

/// How long a channel's messages were queued: of those that keep a histogram (with the `histograms` feature).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QueueingRecord {
    /// The channel's name.
    pub channel: Name,
    /// Its histogram, of the same moment as the record of its figures before this one.
    pub histogram: Histogram,
}

/// What is out of a channel that spills, and what became of what was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SpillRecord {
    /// The channel's name.
    pub channel: Name,
    /// Its figures. Not of the same moment as the record before this one.
    pub snapshot: SpillSnapshot,
}

/// An arena's figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ArenaRecord {
    /// The arena's name.
    pub name: Name,
    /// Its figures.
    pub snapshot: ArenaSnapshot,
    /// How the pages in use are held. Not of the same moment as the rest, and left out where the walk over all
    /// payloads is too long.
    pub census: Option<Census>,
    /// Payloads that nobody seems to be going to redeem. Only in a dump.
    pub orphans: Option<Orphans>,
}

/// The figures of an arena's home.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HomeRecord {
    /// The arena's name.
    pub arena: Name,
    /// The home's figures.
    pub snapshot: HomeSnapshot,
    /// How the home's pages are held: what is in hand was received, or is yet to be sent. As for an arena.
    pub census: Option<Census>,
}

/// A kernel's figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KernelRecord {
    /// The kernel's name.
    pub name: Name,
    /// Its figures.
    pub snapshot: KernelSnapshot,
}

impl Record {
    /// A record of a channel. How long messages were queued is left out: see [`queueing`](Self::queueing).
    pub fn channel(name: &str, snapshot: ChannelSnapshot) -> Self {
        #[cfg(feature = "histograms")]
        let snapshot = ChannelSnapshot { queueing: None, ..snapshot };
        Self::Channel(ChannelRecord { name: Name::new(name), snapshot })
    }

    /// A record of how long a channel's messages were queued, to follow the channel's own, if its snapshot says so: it
    /// must be one of messages, and the feature `histograms` be on.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Bytes, Channel};
    /// use cloakroom::report::Record;
    /// use cloakroom::sync::CriticalSectionRawMutex as Lock;
    ///
    /// static FRAMES: Bytes<'static, Lock, Buffered<8>> = Bytes::new();
    /// static BEATS: Channel<Lock, u32, Buffered<8>> = Channel::new();
    /// assert_eq!(Record::queueing("frames", &FRAMES.snapshot()).is_some(), cfg!(feature = "histograms"));
    /// assert_eq!(Record::queueing("beats", &BEATS.snapshot()), None);
    /// ```
    pub fn queueing(name: &str, snapshot: &ChannelSnapshot) -> Option<Self> {
        #[cfg(feature = "histograms")]
        let histogram = snapshot.queueing;
        #[cfg(not(feature = "histograms"))]
        let (histogram, _) = (None, snapshot);
        let record = |histogram| QueueingRecord { channel: Name::new(name), histogram };
        histogram.map(record).map(Self::Queueing)
    }

    /// A record of what is out of a channel, to follow the channel's own; made of `SpillBytes::spilled`, with the `spill` feature.
    pub fn spilled(channel: &str, snapshot: SpillSnapshot) -> Self {
        Self::Spilled(SpillRecord { channel: Name::new(channel), snapshot })
    }

    /// A record of an arena, with or without a census.
    pub fn arena(name: &str, snapshot: ArenaSnapshot, census: Option<Census>) -> Self {
        Self::Arena(ArenaRecord { name: Name::new(name), snapshot, census, orphans: None })
    }

    /// A record of a home of the arena of that name, with or without a [census](crate::ArenaRef::census_by_home).
    pub fn home(arena: &str, snapshot: HomeSnapshot, census: Option<Census>) -> Self {
        Self::Home(HomeRecord { arena: Name::new(arena), snapshot, census })
    }

    /// A record of a kernel.
    pub fn kernel(name: &str, snapshot: KernelSnapshot) -> Self {
        Self::Kernel(KernelRecord { name: Name::new(name), snapshot })
    }

    /// A record of a payload in the arena of that name, wherever it may wait. See [`TicketRecord`] for one that says that.
    pub fn ticket(arena: &str, dump: TicketDump) -> Self {
        Self::Ticket(TicketRecord::new(arena, dump))
    }
}
