//! The command line, and how the program ends.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cloakroom::std_layer::journal::{Level, LogError, OpenError, Options};

use crate::ledger::Next;
use crate::messages::LONGEST;

/// A load for the write-ahead log that may be killed at any moment, and a judge of what is found afterwards.
///
/// What the log has promised is noted down in a ledger, a file of its own. Give the same `--log`, `--ledger`,
/// `--segment-bytes` and `--slots` to every command; whatever happens in between, each begins with a check, and goes on
/// with what it found.
///
/// Ends with 0 if all is well, 1 if the log has broken a promise (or refuses to open because of damage), 2 if something
/// could not be done.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Check, then send, receive and acknowledge from several threads until killed.
    Run(Run),
    /// Check, then do the same steps each time, in one thread; be killed at a certain call, if wanted.
    Script(Script),
    /// Open the log, compare what is in it with the ledger, and note down in the ledger what is there from now on.
    ///
    /// Prints one line: sent=, promised=, pending=, again= (acknowledged, but not durably, so it may come again), and the
    /// broken promises: lost=, returned= (after a durable acknowledgement, or after an earlier check had not found
    /// it), invented= (nobody has sent it), wrong= (another payload). Each broken one is named on standard error.
    Check(Check),
}

#[derive(Args)]
pub struct Place {
    /// The log's directory. It is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub log: PathBuf,
    /// The ledger. It is made if it is not there: then the log must be empty.
    #[arg(long, value_name = "FILE")]
    pub ledger: PathBuf,
    /// Bytes of a segment. Small ones are soon gone through.
    #[arg(long, value_name = "BYTES", default_value = "16384")]
    pub segment_bytes: u32,
    /// Segments at the most.
    #[arg(long, value_name = "NUMBER", default_value = "6")]
    pub slots: u32,
    /// The power has failed, or the kernel: only what was durable is expected. Otherwise it was the process only.
    #[arg(long)]
    pub power_cut: bool,
}

impl Place {
    /// What the log is opened with.
    pub fn options(&self) -> Options {
        Options {
            segment_bytes: self.segment_bytes,
            slots: self.slots,
            max_payload: LONGEST,
            max_messages: 256,
            stage_bytes: 8 << 10,
            interval: Duration::from_millis(10),
            ..Options::default()
        }
    }
}

#[derive(Args)]
pub struct Duty {
    #[command(flatten)]
    pub place: Place,
    /// The level of each send.
    #[arg(long, value_enum, default_value = "sync")]
    pub level: Promise,
    /// Where random numbers begin: how long payloads are does not depend on it, but who is acknowledged when.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub seed: u64,
    /// Sync the ledger before each send and acknowledgement that it announces: for power cuts that hit its disk, too.
    #[arg(long)]
    pub sync_ledger: bool,
}

impl Duty {
    /// How the ledger goes on.
    pub fn next(&self) -> Next {
        Next { level: self.level, sync_ledger: self.sync_ledger }
    }
}

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub duty: Duty,
    /// How many threads send, each on its own channel, with another one that receives.
    #[arg(long, value_name = "NUMBER", default_value = "3", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub threads: u16,
    /// End after so long, in order, unless killed before.
    #[arg(long, value_name = "MILLISECONDS")]
    pub stop_after: Option<u64>,
}

#[derive(Args)]
pub struct Script {
    #[command(flatten)]
    pub duty: Duty,
    /// How many steps: sends, acknowledgements, syncs and maintenance.
    #[arg(long, value_name = "NUMBER", default_value = "400")]
    pub steps: u32,
    /// Raise SIGKILL in place of this call of the file system, counted from 1 from opening on; a write counts twice, the
    /// second time half of it is written first. Without it, and when there are fewer, `calls=` says how many there were.
    #[arg(long, value_name = "NUMBER")]
    pub kill_at_call: Option<u64>,
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    pub place: Place,
}

/// A level, as it is written in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Promise {
    Buffered,
    Interval,
    Sync,
}

impl Promise {
    pub fn level(self) -> Level {
        match self {
            Self::Buffered => Level::Buffered,
            Self::Interval => Level::Interval,
            Self::Sync => Level::Sync,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Interval => "interval",
            Self::Sync => "sync",
        }
    }
}

/// Why the program ends before it is killed.
#[derive(Debug)]
pub enum End {
    /// The log has broken a promise.
    Broken(String),
    /// Something could not be done.
    Trouble(String),
}

impl End {
    /// That could not be done.
    pub fn trouble(what: &str, error: impl fmt::Display) -> Self {
        Self::Trouble(format!("{what}: {error}"))
    }

    pub fn status(&self) -> ExitCode {
        match self {
            Self::Broken(_) => 1.into(),
            Self::Trouble(_) => 2.into(),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(what) | Self::Trouble(what) => f.write_str(what),
        }
    }
}

impl From<OpenError> for End {
    fn from(error: OpenError) -> Self {
        match error {
            // Nothing here damages a log but what torments it.
            OpenError::Refused { .. } | OpenError::Foreign { .. } => {
                Self::Broken(format!("the log does not open: {error}"))
            }
            error => Self::trouble("the log does not open", error),
        }
    }
}

impl From<LogError> for End {
    fn from(error: LogError) -> Self {
        Self::Trouble(error.to_string())
    }
}
