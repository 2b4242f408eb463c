//! What is measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A quantity, for each message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Nanoseconds by the clock on the wall.
    Wall,
    /// Nanoseconds of all processors.
    Cpu,
    /// Context switches, wanted and unwanted.
    Switches,
    /// Calls of the allocator for memory.
    Allocations,
    /// Nanoseconds that half of the round trips took at the most.
    P50,
    /// Of 99 in 100.
    P99,
    /// Of 999 in 1,000.
    P999,
    /// Bytes of memory held.
    Bytes,
}

impl Figure {
    /// All, in the order of a table's columns.
    pub const ALL: [Self; 8] = [
        Self::Wall,
        Self::Cpu,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Switches,
        Self::Allocations,
        Self::Bytes,
    ];

    /// The head of its column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Wall => "ns",
            Self::Cpu => "CPU ns",
            Self::Switches => "switches",
            Self::Allocations => "allocations",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Bytes => "bytes",
        }
    }

    /// A value, in as many digits as mean something.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Switches | Self::Allocations if value < 10.0 => format!("{value:.3}"),
            _ if value < 100.0 => format!("{value:.1}"),
            _ => format!("{value:.0}"),
        }
    }
}

/// Those of one round.
pub type Figures = BTreeMap<Figure, f64>;
