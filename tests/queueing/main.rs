//! How long messages were queued: every kind of channel, a model, threads.
//!
//! | file | what |
//! |---|---|
//! | `kinds` | from when to when, on every kind |
//! | `model` | random traffic and random figures, against lists of all times |
//! | `threads` | as many as were delivered, at every moment |
#![cfg(all(feature = "histograms", not(any(loom, shuttle))))]

#[path = "../common/random.rs"]
mod random;

mod kinds;
mod model;
#[cfg(feature = "std")]
mod threads;

use cloakroom::channel::{ChannelSnapshot, Histogram};

/// The histogram of a channel of messages, which is of as many as were delivered.
#[track_caller]
fn queueing(snapshot: &ChannelSnapshot) -> Histogram {
    let queueing = snapshot.queueing.expect("a channel of messages has one");
    assert_eq!(queueing.count(), u64::from(snapshot.delivered), "{snapshot:?}");
    queueing
}

/// What a histogram of these times is.
fn histogram_of(times: &[u32]) -> Histogram {
    let mut histogram = Histogram::default();
    for &time in times {
        let fits = |bucket: &usize| Histogram::bound(*bucket).is_none_or(|bound| time <= bound);
        let bucket = (0..Histogram::BUCKETS).find(fits).expect("the last has no bound");
        histogram.buckets[bucket] += 1;
        histogram.ticks += u64::from(time);
    }
    histogram
}
