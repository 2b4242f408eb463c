//! Histories: what concurrent threads were told can be explained by calls that came one at a time.
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
