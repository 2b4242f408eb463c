//! Programs that users of other channels know, on every kind of channel where they make sense.
//!
//! crossbeam-channel, flume, tokio, embassy-sync and Go have taught people what to expect of a channel. Each
//! file here is one such program (or a family of them), written for this crate and generic over the
//! [kind](kinds::Kind). Those that run side by side do so with a [crew](crew::Crew) of threads in `block_on`,
//! and with one of tasks in the crate's kernel, polled by one thread and by two.
//!
//! | file | the program |
//! |---|---|
//! | `ping_pong` | two sides, one ball |
//! | `sieve` | Go's daisy chain of filters that leaves the primes |
//! | `fan_in` | many senders, one receiver, the last sender closes |
//! | `workers` | a pool of workers with results, and jobs that carry the channel for the reply |
//! | `pipeline` | stages, cancelled from the end, closed in the middle |
//! | `many_to_many` | every way to send against every way to receive, each value once |
//! | `now_or_not` | operations that do not wait, and what they owe to each other |
//! | `limits` | a channel as a semaphore and as a mutex; a sender is never further ahead than the capacity |
//! | `meeting` | what a channel without a buffer promises |
//! | `selects` | Go's tests of select: one value offered to several, losers leave no trace |
//! | `choices` | `select!`: a default arm, arms that are never ready, deadlines, ticks, quitting |
//! | `sets` | crossbeam's `Select`: merging and balancing a number of channels known at run time |
//! | `permits` | tokio's reservations |
//! | `endpoints` | pools that end when the last sender goes, receivers that leave, weak senders |
//! | `batches` | several at once; iterators, `Stream` and `Sink` |
//! | `broadcasts` | ping-pong, hubs, laggards and a chat where everybody hears everything |
//! | `latest` | a conflated channel as a gauge |
//! | `values` | values of no size, large ones, aligned ones, boxes, channels |
//! | `drop_counts` | each value is dropped once, however it ends |
//! | `panicking_drop` | values whose `Drop` panics, or uses the channel |
#![cfg(all(feature = "std", not(loom)))]

#[path = "../common/random.rs"]
mod random;
#[path = "../common/watch.rs"]
mod watch;

#[macro_use]
#[path = "../common/kinds.rs"]
mod kinds;
mod crew;

/// Who runs a program: [`every_crew`](crew::every_crew), of which it is a function then, or it is
/// [`alone`](crew::alone).
use crew as runners;

mod batches;
mod broadcasts;
mod choices;
mod drop_counts;
mod endpoints;
mod fan_in;
mod latest;
mod ledger;
mod limits;
mod many_to_many;
mod meeting;
mod now_or_not;
mod panicking_drop;
mod permits;
mod ping_pong;
mod pipeline;
mod selects;
mod sets;
mod sieve;
mod values;
mod workers;
