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
mod batches;
mod broadcast;
mod channels;
mod compaction;
pub mod conformance;
mod counters;
mod endpoints;
mod fan_out;
mod fixture;
#[cfg(feature = "flash")]
mod flash;
mod handover;
mod kernel;
mod select;
#[cfg(feature = "spill")]
mod spill;
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
    let memory = [
        arena::table::<M>(),
        tickets::table::<M>(),
        compaction::table::<M>(),
        waiting_for_memory::table::<M>(),
        bad_input::table::<M>(),
        counters::table::<M>(),
    ];
    let memory = memory.into_iter().flatten().chain(timers::table::<M>());
    memory.chain(channels_for_any_lock::<M>()).chain(conformance::table::<M>()).copied()
}

fn channels_for_any_lock<M: RawMutex + 'static>() -> impl Iterator<Item = &'static Test> {
    let channels = [
        channels::table::<M>(),
        handover::table::<M>(),
        batches::table::<M>(),
        waiting::table::<M>(),
        select::table::<M>(),
        broadcast::table::<M>(),
        fan_out::table::<M>(),
        endpoints::table::<M>(),
    ];
    channels.into_iter().flatten()
}

/// All tests, under a lock that may be shared: for hosts, which have room for them in one program.
pub fn tests<P: Place>() -> impl Iterator<Item = Test> {
    let tests = memory_and_tasks::<P>().chain(channels::<P>()).chain(conformance::<P>());
    #[cfg(feature = "flash")]
    let tests = tests.chain(journal::<P>());
    #[cfg(feature = "spill")]
    let tests = tests.chain(spill::<P>());
    tests
}

/// A third of the tests: the arena, the kernel and its timers, and what is counted.
pub fn memory_and_tasks<P: Place>() -> impl Iterator<Item = Test> {
    let tables = [
        arena::table::<P::Lock>(),
        tickets::table::<P::Lock>(),
        compaction::table::<P::Lock>(),
        waiting_for_memory::table::<P::Lock>(),
        bad_input::table::<P::Lock>(),
        timers::table::<P::Lock>(),
        kernel::table::<P>(),
        counters::table::<P::Lock>(),
    ];
    tables.into_iter().flatten().copied()
}

/// A third of the tests: channels and selects.
pub fn channels<P: Place>() -> impl Iterator<Item = Test> {
    channels_for_any_lock::<P::Lock>().chain(unlimited::table::<P>()).copied()
}

/// A third of the tests: the conformance matrix.
pub fn conformance<P: Place>() -> impl Iterator<Item = Test> {
    conformance::table::<P::Lock>().iter().chain(conformance::at_a_place::table::<P>()).copied()
}

/// The journal in flash, with the feature `flash`: a program of its own on boards.
#[cfg(feature = "flash")]
pub fn journal<P: Place>() -> impl Iterator<Item = Test> {
    flash::table::<P::Lock>().iter().copied()
}

/// Channels that spill, with the feature `spill`: a program of its own on boards.
#[cfg(feature = "spill")]
pub fn spill<P: Place>() -> impl Iterator<Item = Test> {
    spill::table::<P>().iter().copied()
}
