//! chanmon as a person sees it: the real program in a terminal, and a real process to look at.
//!
//! Everything is waited for. The limit of the waiting only keeps a failure from taking for ever.

mod board;
mod busy;
mod commands;
mod errors;
mod screen;
mod top;

use std::time::Duration;

/// How long anything may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program.
const CHANMON: &str = env!("CARGO_BIN_EXE_chanmon");
