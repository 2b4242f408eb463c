//! Larger mixes under the shuttle model checker: schedules at random, and schedules with a few
//! preemptions at places chosen at random (PCT).
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test --release --test shuttle
//! ```
//!
//! | module | what is mixed |
//! |---|---|
//! | `lines` | three senders and three receivers, awaited |
//! | `selects` | selects that send and receive on two channels, awaited or dropped at any poll |
//! | `stops` | closing, cancelling and deadlines under way |
//! | `permits` | permits held across waits, fan-in |
//! | `tasks` | a kernel: spawning, waking, joining and cancelling from several threads |
//! | `memory` | waiting for an arena's memory, with channels of messages |
//!
//! `CLOAKROOM_SCHEDULES` sets how many of each sort. A test that fails prints its schedule. Random choices are
//! the schedule's, too, so `shuttle::replay` with that text repeats it.
#![cfg(shuttle)]

#[path = "../common/shuttle_lock.rs"]
mod shuttle_lock;

mod ledger;
mod lines;
mod memory;
mod permits;
mod selects;
mod stops;
mod tasks;
