//! What rows can be sorted by.

use std::cmp::Ordering;

use clap::ValueEnum;

use super::app::Row;
use crate::dump::{failures, kind_word};
use crate::rates::ChannelRates;

/// A column of the table of channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Column {
    /// By name.
    Name,
    /// By kind.
    Kind,
    /// By condition, the worst first.
    State,
    /// By what is in it.
    Depth,
    /// By values sent a second.
    Sends,
    /// By values received a second.
    Receives,
    /// By operations that wait.
    Waiting,
    /// By operations that failed.
    Failures,
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Kind,
        Self::State,
        Self::Depth,
        Self::Sends,
        Self::Receives,
        Self::Waiting,
        Self::Failures,
    ];

    /// What stands above it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Name => "CHANNEL",
            Self::Kind => "KIND",
            Self::State => "STATE",
            Self::Depth => "DEPTH",
            Self::Sends => "SEND/S",
            Self::Receives => "RECV/S",
            Self::Waiting => "WAIT",
            Self::Failures => "FAIL",
        }
    }

    /// The one to its right; from the last, the first.
    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|column| *column == self).unwrap_or(0);
        Self::ALL[(place + 1) % Self::ALL.len()]
    }

    /// Which of two rows comes first: names from A to Z, conditions from the worst on, figures from the
    /// largest on.
    pub fn compare(self, a: &Row, b: &Row) -> Ordering {
        let rate = |of: fn(&ChannelRates) -> f64| {
            let rate = |row: &Row| row.rates.as_ref().map_or(-1.0, of);
            rate(b).total_cmp(&rate(a))
        };
        let (now, then) = (&a.channel.snapshot, &b.channel.snapshot);
        match self {
            Self::Name => a.channel.name.cmp(&b.channel.name),
            Self::Kind => kind_word(now.kind).cmp(kind_word(then.kind)),
            Self::State => a.diagnosis.condition.cmp(&b.diagnosis.condition),
            Self::Depth => then.depth.cmp(&now.depth),
            Self::Sends => rate(|rates| rates.sent),
            Self::Receives => rate(|rates| rates.received),
            Self::Waiting => waiting(b).cmp(&waiting(a)),
            Self::Failures => failures(b.channel).cmp(&failures(a.channel)),
        }
    }
}

fn waiting(row: &Row) -> u64 {
    u64::from(row.channel.snapshot.parked_senders)
        + u64::from(row.channel.snapshot.parked_receivers)
}
