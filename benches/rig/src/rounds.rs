//! Rounds in turns: whatever the machine does meanwhile hits everybody alike.

use std::time::Duration;

use crate::allocator::{self, Allocator};
use crate::figure::Figure;
use crate::results::{Measured, Participant};
use crate::workload::{Subject, Workload};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds, besides the one that warms up and counts allocations.
    pub rounds: usize,
    /// How long a participant's round shall take. Zero: as few messages as there can be.
    pub length: Duration,
    /// Of the messages that a workload itself asks for, one in so many.
    pub share: u64,
}

impl Effort {
    /// For figures to be published.
    pub const FULL: Self = Self { rounds: 9, length: Duration::from_millis(40), share: 1 };
    /// For work on one thing at a time.
    pub const QUICK: Self = Self { rounds: 5, length: Duration::from_millis(8), share: 20 };
    /// Whether it runs at all.
    pub const SMOKE: Self = Self { rounds: 1, length: Duration::ZERO, share: 5_000 };

    /// The least messages of a round: more than any channel holds.
    const LEAST: u64 = 150;

    /// Messages that take a participant about as long as a round shall be; or as many as the workload `asks` for.
    fn messages(self, asks: Option<u64>, subject: &mut Subject) -> u64 {
        if let Some(asks) = asks {
            return (asks / self.share).max(100);
        }
        let mut messages = Self::LEAST;
        if self.length.is_zero() {
            return messages;
        }
        // What is done only once, such as to map an arena, would make a long round of a short one.
        (subject.run)(messages);
        loop {
            // Not how long it takes to run them: threads that start would make a long round of a short one.
            let each = (subject.run)(messages).get(&Figure::Wall).copied().unwrap_or_default();
            let taken = Duration::from_nanos((each * messages as f64) as u64);
            if taken >= self.length {
                return messages;
            }
            // Beyond a tenth the estimate is good enough to go the rest of the way at once.
            let is_close = taken >= self.length / 10;
            let factor =
                if is_close { self.length.as_secs_f64() / taken.as_secs_f64() } else { 8.0 };
            messages = (messages as f64 * factor) as u64 + 1;
            if is_close {
                return messages;
            }
        }
    }
}

/// Measures a workload.
pub fn measure(workload: Workload, under: Allocator, effort: Effort) -> Measured {
    let Workload { name, primary, messages, rounds, mut subjects, .. } = workload;
    let lengths: Vec<u64> =
        subjects.iter_mut().map(|subject| effort.messages(messages, subject)).collect();

    let mut participants: Vec<Participant> = subjects
        .iter_mut()
        .zip(&lengths)
        .map(|(subject, &length)| {
            allocator::count(true);
            let mut counted = (subject.run)(length);
            allocator::count(false);
            counted.retain(|figure, _| matches!(figure, Figure::Allocations | Figure::Bytes));
            let figures = counted.into_iter().map(|(figure, value)| (figure, vec![rounded(value)]));
            Participant {
                name: subject.name.clone(),
                aside: subject.aside.map(str::to_owned),
                figures: figures.collect(),
            }
        })
        .collect();

    for round in 0..effort.rounds.min(rounds) {
        for turn in 0..subjects.len() {
            // Nobody always comes after the same one, or first.
            let who = (round + turn) % subjects.len();
            for (figure, value) in (subjects[who].run)(lengths[who]) {
                participants[who].figures.entry(figure).or_default().push(rounded(value));
            }
        }
    }
    Measured { name, allocator: under, primary, participants }
}

/// Four digits: the machine does not tell more, and results are kept for a long time.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
