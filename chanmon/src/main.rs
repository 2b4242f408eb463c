//! `chanmon`: what is inside a running process or firmware that uses cloakroom.
//!
//! ```text
//!   source ──► reports ──► feed (a thread) ──► top, watch
//!                     └──► dump, json, prom, actions
//!   a log at rest ──► wal
//!   picture: one report. rates: two of them. words: what they mean. page_map, alert: parts of it
//! ```

mod actions;
mod alert;
mod cli;
mod dump;
mod export;
mod feed;
mod page_map;
mod picture;
mod queueing;
mod rates;
mod reports;
#[cfg(test)]
mod samples;
mod series;
mod source;
mod top;
mod trouble;
mod wal;
mod watch;
mod words;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// Something that was watched for has happened.
const ALERT: u8 = 1;
/// It could not be done.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Nobody is to be told more than once.
            let _ = error.print();
            // Of a log 2 would be its damage.
            let of_a_log = std::env::args().nth(1).is_some_and(|word| word == "wal");
            let trouble = if of_a_log { wal::TROUBLE } else { TROUBLE };
            return if error.use_stderr() { trouble.into() } else { ExitCode::SUCCESS };
        }
    };
    let result = match command {
        Command::Top(options) => top::run(&options).map(|()| true),
        Command::Dump(options) => dump::run(&options).map(|()| true),
        Command::Json(options) => export::json(&options).map(|()| true),
        Command::Prom(options) => export::prom(&options).map(|()| true),
        Command::Watch(options) => watch::run(&options),
        Command::Actions(options) => actions::run(&options).map(|()| true),
        Command::Wal(options) => return wal::run(&options.command),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ALERT.into(),
        Err(trouble) => {
            eprintln!("chanmon: {trouble}");
            TROUBLE.into()
        }
    }
}
