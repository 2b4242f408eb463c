//! `chanmon wal`: a write-ahead log at rest.
//!
//! | module | what it does |
//! |---|---|
//! | `at_rest` | opens a directory for reading alone, whoever made the log |
//! | `show` | `ls`, `verify`, `dump` |
//! | `replay` | `replay` |
//! | `repair` | `repair` |

mod at_rest;
mod repair;
mod replay;
mod show;

use std::io;
use std::process::ExitCode;

use cloakroom::journal::RecoveryReport;

use crate::cli::WalCommand;
use crate::trouble::Trouble;

/// It could not be done.
pub const TROUBLE: u8 = 3;

/// How a log is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
enum Health {
    /// In order.
    Clean = 0,
    /// Its end is torn: nothing that was acknowledged.
    Torn = 1,
    /// Something is damaged that had been durable.
    Damaged = 2,
}

impl Health {
    fn of(report: &RecoveryReport) -> Self {
        match (report.acked_damage, report.damaged) {
            (true, _) => Self::Damaged,
            (false, 0) => Self::Clean,
            (false, _) => Self::Torn,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Torn => "torn",
            Self::Damaged => "damaged",
        }
    }
}

/// Why a command ends before it is done.
#[derive(Debug)]
enum End {
    /// A process has the log open.
    InUse(Option<u32>),
    /// It could not be done.
    Trouble(Trouble),
    /// Nobody reads what is printed any more.
    Unread,
}

type Result<T = ()> = std::result::Result<T, End>;

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// An error of what is printed.
fn unwritten(error: io::Error) -> End {
    match error.kind() {
        io::ErrorKind::BrokenPipe => End::Unread,
        _ => Trouble::new(format!("cannot write: {error}")).into(),
    }
}

/// Does it, and says how the log is.
pub fn run(command: &WalCommand) -> ExitCode {
    let out = &mut io::BufWriter::new(io::stdout().lock());
    let result = match command {
        WalCommand::Ls(place) => show::ls(place, out),
        WalCommand::Verify(place) => show::verify(place, out),
        WalCommand::Dump(place) => show::dump(place, out),
        WalCommand::Replay(options) => replay::run(options, out),
        WalCommand::Repair(options) => repair::run(options, out),
    };
    let flushed = io::Write::flush(out).map_err(unwritten);
    match result.and_then(|health| flushed.map(|()| health)) {
        Ok(health) => (health as u8).into(),
        Err(End::Unread) => ExitCode::SUCCESS,
        Err(End::InUse(pid)) => {
            let who = pid.map_or("a process".to_owned(), |pid| format!("process {pid}"));
            eprintln!(
                "chanmon: {who} has the log open\nStop it first: what is in a log changes while it is in use."
            );
            4.into()
        }
        Err(End::Trouble(trouble)) => {
            eprintln!("chanmon: {trouble}");
            TROUBLE.into()
        }
    }
}
