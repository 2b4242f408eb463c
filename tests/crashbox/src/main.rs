//! `crashbox`: a load for the write-ahead log that may be killed at any moment, and a judge of what is found afterwards.
//!
//! ```text
//!   run, script ──► log        what was sent and acknowledged
//!         └───────► ledger     what the log has promised of that, never more
//!   check:  log against ledger
//! ```
//!
//! Who wants to torment the log, by kills, power cuts of a virtual machine, or a file system that fails, needs these two
//! places and the exit status. `cargo xtask kill` does it with SIGKILL.

#[cfg(unix)]
mod check;
#[cfg(unix)]
mod cli;
#[cfg(unix)]
mod deadly;
#[cfg(unix)]
mod ledger;
#[cfg(unix)]
mod load;
#[cfg(unix)]
mod messages;
#[cfg(unix)]
#[path = "../../common/random.rs"]
mod random;
#[cfg(unix)]
mod script;

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    use clap::Parser;
    use cli::{Cli, Command};

    let outcome = match Cli::parse().command {
        Command::Run(options) => load::run(&options),
        Command::Script(options) => script::run(&options),
        Command::Check(options) => check::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => {
            eprintln!("crashbox: {end}");
            end.status()
        }
    }
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    eprintln!("crashbox: the log in files is for Unix");
    ExitCode::from(2)
}
