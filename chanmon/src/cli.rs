//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::alert::{Alert, field_list};
use crate::top::Column;

/// Shows what is inside a running process or firmware that uses cloakroom.
///
/// SOURCE is the socket of a running process, a file or a pipe of reports, a serial line that firmware reports on, or
/// `-` for standard input.
///
/// Ends with 0 if all is well, 1 if `watch` saw an alert, 2 if something could not be done; `wal` has statuses of its own.
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// A live view; `?` shows the keys.
    Top(Top),
    /// One report in words, with every payload of the arenas.
    Dump(Dump),
    /// Reports as JSON lines.
    Json(Json),
    /// One report as text for Prometheus.
    Prom(Prom),
    /// Waits for alerts.
    Watch(Watch),
    /// Has a process do something, if it allows it.
    Actions(Actions),
    /// Looks into a write-ahead log at rest, gives out what is in it, repairs it.
    Wal(Wal),
}

#[derive(Args)]
pub struct Top {
    /// Where reports come from.
    pub source: String,
    /// Seconds from one report to the next.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub interval: Duration,
    /// How long nothing must have moved for a queue to be called stalled.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub stall: Duration,
    /// The column to sort by first.
    #[arg(long, value_enum, default_value = "name")]
    pub sort: Column,
    /// Print one picture of the third report as plain text, WIDTHxHEIGHT characters, instead of taking the terminal.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    pub once: Option<(u16, u16)>,
}

#[derive(Args)]
pub struct Dump {
    /// Where the report comes from: the last one in a file, the next one elsewhere.
    pub source: String,
    /// Only payloads that are at rest, wait in no registered channel, and were allocated that many ticks of their arena
    /// ago or before.
    #[arg(long, value_name = "TICKS")]
    pub orphans: Option<u32>,
}

#[derive(Args)]
pub struct Json {
    /// Where reports come from: all in a file or a stream; of a process one, unless an interval is given.
    pub source: String,
    /// Ask a process again after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub interval: Option<Duration>,
    /// Have a process tell of every payload of the arenas, and of orphans, too.
    #[arg(long)]
    pub payloads: bool,
}

#[derive(Args)]
pub struct Prom {
    /// Where the report comes from: the last one in a file, the next one elsewhere.
    pub source: String,
}

#[derive(Args)]
#[command(after_help = format!("An alert is a condition on a channel's figures, of >, >=, <, <=, ==, !=, and, or, not, \
+, -, *, / and brackets.\nThe figures:\n{}", field_list()))]
pub struct Watch {
    /// Where reports come from.
    pub source: String,
    /// A condition on a channel, such as 'depth > 100'. May be given several times.
    #[arg(long = "alert", value_name = "CONDITION", required = true)]
    pub alerts: Vec<Alert>,
    /// Only channels of this name. May be given several times.
    #[arg(long = "channel", value_name = "NAME")]
    pub channels: Vec<String>,
    /// How long to watch. Without it: as long as there are reports.
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub limit: Option<Duration>,
    /// An alert only counts if its condition has held for so long.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub hold: Duration,
    /// Seconds from one report to the next.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub interval: Duration,
    /// How long nothing must have moved for a queue to be called stalled.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub stall: Duration,
}

#[derive(Args)]
pub struct Actions {
    /// What to do.
    pub action: Deed,
    /// The socket of the process.
    pub source: String,
    /// The channel or arena to do it to.
    pub target: String,
    /// To reap: how many ticks of the arena ago a payload must have been allocated; longer than a message is ever under
    /// way.
    #[arg(long, value_name = "TICKS", required_if_eq("action", "reap"))]
    pub age: Option<u32>,
}

#[derive(Args)]
#[command(after_help = "The log is at rest: no process has it open. Nothing in it is changed.\n\n\
Ends with 0 if the log is in order, 1 if its end is torn (nothing that was acknowledged is lost), 2 if acknowledged \
data is damaged, 3 if it cannot be read, or something else could not be done, 4 if a process has it open.")]
pub struct Wal {
    #[command(subcommand)]
    pub command: WalCommand,
}

#[derive(Subcommand)]
pub enum WalCommand {
    /// The segments.
    Ls(WalPlace),
    /// Whether the log is in order, and if not, what is lost.
    Verify(WalPlace),
    /// Every record, and what is none.
    Dump(WalPlace),
    /// The messages that live, in order of channels and numbers, as JSON lines.
    Replay(Replay),
    /// A new log with what can be salvaged of this one, which stays as it is.
    Repair(Repair),
}

#[derive(Args)]
pub struct WalPlace {
    /// The log's directory.
    pub log: PathBuf,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Replay {
    /// The log's directory.
    pub log: PathBuf,
    /// How payloads are written.
    #[arg(long, value_enum, default_value = "base64")]
    pub payload: Payload,
    /// Write each payload into a file of this directory, CHANNEL-NUMBER, instead.
    #[arg(long, value_name = "DIR", conflicts_with = "payload")]
    pub files: Option<PathBuf>,
    /// Start this command, by the shell, and give it the lines on its standard input.
    #[arg(long, value_name = "COMMAND")]
    pub exec: Option<String>,
}

/// How a payload is written in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Payload {
    Base64,
    Hex,
    /// Left out.
    None,
}

#[derive(Args)]
pub struct Repair {
    /// The log's directory.
    pub log: PathBuf,
    /// The new log's, which must not be there yet.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
}

/// What may be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Deed {
    /// Close a channel: what is in it is still received.
    Close,
    /// Take what is in a channel out, and drop it.
    Drain,
    /// Move an arena's payloads together.
    Compact,
    /// Free an arena's payloads that are at rest, old (`--age`), and wait in no channel.
    Reap,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let size = text.split_once('x').and_then(|(width, height)| {
        let (width, height) = (width.parse().ok()?, height.parse().ok()?);
        // As large as any terminal, so that a slip of the finger does not take all the memory.
        ((1..=1000).contains(&width) && (1..=1000).contains(&height)).then_some((width, height))
    });
    size.ok_or_else(|| "not a size, such as 80x24".to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_and_seconds() {
        assert_eq!(size("80x24"), Ok((80, 24)));
        for wrong in ["80", "0x1", "1x0", "-1x2", "1001x1", "axb"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "-1", "nan", "1e99", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
