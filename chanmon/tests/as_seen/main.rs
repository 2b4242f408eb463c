//! chanmon as a person sees it: the real program in a terminal, and a real process to look at.
//!
//! Everything is waited for. The limit of the waiting only keeps a failure from taking for ever.

mod board;
mod busy;
mod commands;
mod demo;
mod errors;
mod multiplexer;
mod screen;
mod top;
mod wal;

use std::env;
use std::time::Duration;

/// How long anything may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program.
const CHANMON: &str = env!("CARGO_BIN_EXE_chanmon");

/// Where something is that a step of `xtask` has started for a test.
fn told(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: see the top of the file"))
}

/// What stands in the line that begins with this name.
fn cells<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let mut rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<&str>>());
    rows.find(|row| row.first() == Some(&name)).unwrap_or_default()
}
