//! What whoever reads reports may ask for.

use serde::{Deserialize, Serialize};

use super::name::Name;

/// A request, in a frame of the same form as a [`Record`](super::Record)'s.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// One report.
    Report,
    /// A report now, and one whenever so much time has passed, until another request comes.
    Stream {
        /// Milliseconds from one report to the next.
        interval_ms: u32,
    },
    /// A report with all payloads of the arenas.
    Dump,
    /// Something to be done, if the program allows it.
    Act {
        /// The name of the channel or arena.
        target: Name,
        /// What.
        action: Action,
    },
}

/// What may be done to what is reported on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Close a channel: what is in it is still received.
    Close,
    /// Take what is in a channel out, and drop it.
    Drain,
    /// Move an arena's payloads together.
    Compact,
    /// Free an arena's payloads that are at rest, were allocated so many ticks ago or before, and wait in no channel.
    /// Tickets of them are stale from then on.
    Reap {
        /// Ticks of the arena.
        age: u32,
    },
}

/// What came of an [`Action`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It is done, to so many: 1 for a channel that was open and has been closed, the values that were dropped,
    /// the pages that were moved.
    Done(u64),
    /// The program does not allow actions.
    Forbidden,
    /// Nothing of that name is registered.
    Unknown,
    /// What has that name cannot do this.
    Unsuited,
    /// The request itself could not be read.
    Unreadable,
    /// So many payloads were freed.
    Reaped {
        /// How many.
        payloads: u64,
        /// Their lengths, together.
        bytes: u64,
    },
    /// Nothing is done: some channel would not show all that waits in it. Later it may.
    Busy,
}
