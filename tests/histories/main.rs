//! Histories: what concurrent threads were told can be explained by calls that came one at a time.
//!
//! Four threads do seven things each, at random, on one or two fresh channels, under locks that let others in
//! between. Every call is written down with what it was answered and when ([`history`]); afterwards, what is
//! left is received. Then an order is looked for ([`checker`]) in which a sequential channel ([`models`],
//! [`world`]) would have answered the same. Should all threads sleep, the channels are closed; should they
//! sleep still, a wake-up has been forgotten.
//!
//! The threads run as they like, so a seed brings back what they try to do, not in which order. A failure prints
//! the whole history. `CLOAKROOM_ROUNDS` sets how many histories each test takes, `CLOAKROOM_SEED` the first seed.
//!
//! # Bugs put in by hand
//!
//! Each was put into the crate once and taken out again; of the 56 tests there were, with 300 histories each, so
//! many failed.
//!
//! | bug | tests |
//! |---|---:|
//! | a send of a select puts its value in before it has claimed its arm | 10 |
//! | a receive of a select takes its value out before it has claimed its arm | 11 |
//! | on a rendezvous a value is published for an arm that could not be claimed, or taken from one | 4, 4 |
//! | a claim of two selects keeps the first half when the second is lost | 4 |
//! | a waiter is granted something without a claim | 12 |
//! | a value that is promised can be received by a newcomer | 40 |
//! | a slot that is promised can be had by a newcomer | crash |
//! | a freed slot is promised to nobody, and a sender is woken to look for it | 30 |
//! | newcomers pass receivers, or senders, that have yet to be settled | 4, 9 |
//! | senders that wait are served last in, first out | 36 |
//! | a receive without a value at first sight is told that there is none; a send, that there is no room | 56, 56 |
//! | whoever finds that others have settled the waiters is refused (300, and 3,000 histories) | 0, 3 |
//! | a value is lost with the receiver that it was promised to; or stays promised | 31, 27 |
//! | a slot stays promised to a sender that has gone | 13 |
//! | a receive does not settle what it gave rise to | 38 |
//! | receivers are told that it is closed while a slot is promised | 54 |
//! | a cancelled send does not look whether it has been received | 6 |
//! | priority: of two that are due the less urgent comes first | 6 |
//! | broadcast: a value leaves before its last reader; a lag is counted one short | 8, 2 |
//! | the claim of an arm that waits for closing is taken by the closer | 3 |
#![cfg(all(feature = "std", not(loom)))]

mod actor;
mod by_hand;
mod checker;
mod history;
mod limits;
mod models;
#[path = "../common/random.rs"]
mod random;
mod selects;
mod stage;
mod subjects;
mod textbook;
mod workloads;
mod world;

use cloakroom::std_layer::StdRawMutex;
use cloakroom::sync::SpinRawMutex;
use stage::Stirred;
use subjects::{
    Endless, Heard, Latest, Meeting, Newest, Oldest, Overheard, Poor, Ring, Subject, Urgent,
};
use workloads::{Deed, Mix, run};

/// Nobody waits.
const TRIES: Mix = Mix {
    deeds: &[(8, Deed::TrySend), (8, Deed::TryReceive), (2, Deed::TryReserve), (1, Deed::Close)],
    patience: 8,
    channels: 1,
};

/// Everybody waits, or tries, and nobody gives up.
const WAITS: Mix = Mix {
    deeds: &[
        (8, Deed::Send),
        (8, Deed::Receive),
        (3, Deed::Reserve),
        (3, Deed::TrySend),
        (3, Deed::TryReceive),
        (1, Deed::Closed),
        (1, Deed::Close),
        (1, Deed::Unsubscribe),
    ],
    patience: 8,
    channels: 1,
};

/// Most give up: dropped, cancelled, timed out.
const IMPATIENT: Mix = Mix {
    deeds: &[
        (8, Deed::Send),
        (8, Deed::Receive),
        (4, Deed::Reserve),
        (2, Deed::TrySend),
        (2, Deed::TryReceive),
        (1, Deed::Close),
        (1, Deed::Unsubscribe),
    ],
    patience: 2,
    channels: 1,
};

/// Selects over two channels, and others that meet them there.
const SELECTS: Mix = Mix {
    deeds: &[
        (12, Deed::Select),
        (3, Deed::Send),
        (3, Deed::Receive),
        (1, Deed::Reserve),
        (2, Deed::TrySend),
        (2, Deed::TryReceive),
        (1, Deed::Close),
        (1, Deed::Unsubscribe),
    ],
    patience: 6,
    channels: 2,
};

/// How many rounds each test takes.
fn rounds() -> u64 {
    std::env::var("CLOAKROOM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300)
}

fn histories<A: Subject, B: Subject>(mix: &Mix) {
    let seed = std::env::var("CLOAKROOM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let tally = run::<A, B>(mix, seed, rounds());
    println!("{tally:?}");
    assert!(tally.overlapping > 0, "the threads never met");
}

macro_rules! under_each_lock {
    ($($test:ident: $mix:ident($a:ty, $b:ty);)+) => {
        mod parking {
            use super::*;
            type Lock = Stirred<StdRawMutex>;
            $(#[test] fn $test() { histories::<$a, $b>(&$mix); })+
        }
        mod spinning {
            use super::*;
            type Lock = Stirred<SpinRawMutex>;
            $(#[test] fn $test() { histories::<$a, $b>(&$mix); })+
        }
    };
}

under_each_lock! {
    rendezvous_tries: TRIES(Meeting<Lock>, Meeting<Lock>);
    rendezvous_waits: WAITS(Meeting<Lock>, Meeting<Lock>);
    rendezvous_impatient: IMPATIENT(Meeting<Lock>, Meeting<Lock>);
    rendezvous_selects: SELECTS(Meeting<Lock>, Meeting<Lock>);
    buffered_one_tries: TRIES(Ring<Lock, 1>, Ring<Lock, 1>);
    buffered_one_waits: WAITS(Ring<Lock, 1>, Ring<Lock, 1>);
    buffered_one_impatient: IMPATIENT(Ring<Lock, 1>, Ring<Lock, 1>);
    buffered_two_tries: TRIES(Ring<Lock, 2>, Ring<Lock, 2>);
    buffered_two_waits: WAITS(Ring<Lock, 2>, Ring<Lock, 2>);
    buffered_two_impatient: IMPATIENT(Ring<Lock, 2>, Ring<Lock, 2>);
    buffered_selects: SELECTS(Ring<Lock, 1>, Ring<Lock, 2>);
    mixed_selects: SELECTS(Meeting<Lock>, Ring<Lock, 1>);
    drop_newest_impatient: IMPATIENT(Newest<Lock, 2>, Newest<Lock, 2>);
    drop_oldest_impatient: IMPATIENT(Oldest<Lock, 2>, Oldest<Lock, 2>);
    dropping_selects: SELECTS(Newest<Lock, 1>, Oldest<Lock, 1>);
    conflated_tries: TRIES(Latest<Lock>, Latest<Lock>);
    conflated_waits: WAITS(Latest<Lock>, Latest<Lock>);
    conflated_impatient: IMPATIENT(Latest<Lock>, Latest<Lock>);
    unlimited_waits: WAITS(Endless<Lock>, Endless<Lock>);
    unlimited_impatient: IMPATIENT(Endless<Lock>, Endless<Lock>);
    scarce_tries: TRIES(Poor<Lock, 5>, Poor<Lock, 5>);
    scarce_waits: WAITS(Poor<Lock, 4>, Poor<Lock, 4>);
    scarce_impatient: IMPATIENT(Poor<Lock, 5>, Poor<Lock, 5>);
    conflated_and_unlimited_selects: SELECTS(Latest<Lock>, Endless<Lock>);
    priority_tries: TRIES(Urgent<Lock, 3>, Urgent<Lock, 3>);
    priority_waits: WAITS(Urgent<Lock, 2>, Urgent<Lock, 2>);
    priority_impatient: IMPATIENT(Urgent<Lock, 3>, Urgent<Lock, 3>);
    broadcast_waits: WAITS(Heard<Lock, 2>, Heard<Lock, 2>);
    broadcast_impatient: IMPATIENT(Heard<Lock, 2>, Heard<Lock, 2>);
    broadcast_lagging: IMPATIENT(Overheard<Lock, 2>, Overheard<Lock, 2>);
    priority_and_broadcast_selects: SELECTS(Urgent<Lock, 1>, Heard<Lock, 1>);
}
