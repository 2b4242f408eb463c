//! The test suite that runs on the host under every lock, and on every board.
//!
//! One file a concept. A test is a function, generic over the lock, that returns what went wrong; it
//! is deterministic, needs no heap and a few kilobytes of stack. Tests that need a kernel, or memory
//! for an unlimited channel, need a lock that may be shared, and a [`Place`] with statics for it.
//!
//! ```
//! use cloakroom::sync::SpinRawMutex;
//!
//! cloakroom_suite::place!(Spin, SpinRawMutex);
//!
//! for (name, test) in cloakroom_suite::tests::<Spin>() {
//!     assert!(test().is_ok(), "{name}");
//! }
//! ```
#![no_std]
#![cfg(not(loom))]
#![deny(missing_docs)]

#[macro_use]
mod check;
mod arena;
mod bad_input;
mod channels;
mod compaction;
mod fixture;
mod handover;
mod kernel;
mod select;
mod tickets;
mod timers;
mod unlimited;
mod waiting;
mod waiting_for_memory;

pub use check::Failure;
pub use fixture::{Place, Stage};

use cloakroom::sync::RawMutex;

/// A test and its name.
pub type Test = (&'static str, fn() -> Result<(), Failure>);

/// The tests that run under any lock, one that belongs to a single thread included.
pub fn tests_for_any_lock<M: RawMutex + 'static>() -> impl Iterator<Item = Test> {
    let tables = [
        arena::table::<M>(),
        tickets::table::<M>(),
        compaction::table::<M>(),
        waiting_for_memory::table::<M>(),
        channels::table::<M>(),
        handover::table::<M>(),
        waiting::table::<M>(),
        select::table::<M>(),
        timers::table::<M>(),
        bad_input::table::<M>(),
    ];
    tables.into_iter().flatten().copied()
}

/// All tests, under a lock that may be shared.
pub fn tests<P: Place>() -> impl Iterator<Item = Test> {
    let shared = [kernel::table::<P>(), unlimited::table::<P>()];
    tests_for_any_lock::<P::Lock>().chain(shared.into_iter().flatten().copied())
}
