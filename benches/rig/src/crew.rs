//! Threads that send, threads that receive, and when they began and ended.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::figure::Figures;
use crate::meter::Meter;
use crate::tally::{Tally, share};

/// How many there are of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Those who send.
    pub senders: usize,
    /// Those who receive.
    pub receivers: usize,
}

impl Shape {
    /// One to one.
    pub const PAIR: Self = Self { senders: 1, receivers: 1 };
    /// Four to one.
    pub const FAN_IN: Self = Self { senders: 4, receivers: 1 };
    /// Four to four.
    pub const CROWD: Self = Self { senders: 4, receivers: 4 };
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::PAIR, Self::FAN_IN, Self::CROWD];

    /// `4to1`.
    pub fn name(self) -> String {
        format!("{}to{}", self.senders, self.receivers)
    }
}

/// Runs a thread for each of `senders`, which sends the numbers it is given, and for each of `receivers`, which
/// returns the number of each message until there are no more. Together they handle the first `messages` numbers; if
/// each of `copies` receivers shall have them all, it is told so.
///
/// # Panics
/// When not everything has arrived.
pub fn run<S, R>(senders: Vec<S>, receivers: Vec<R>, messages: u64, copies: u64) -> Figures
where
    S: FnMut(u64) + Send,
    R: FnMut() -> Option<u64> + Send,
{
    let barrier = Barrier::new(senders.len() + receivers.len() + 1);
    let everybody = senders.len();
    let (meter, spans, tally) = thread::scope(|scope| {
        let receivers: Vec<_> = receivers
            .into_iter()
            .map(|mut receive| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let start = Instant::now();
                    let mut tally = Tally::default();
                    while let Some(number) = receive() {
                        tally.add(number);
                    }
                    (start..Instant::now(), tally)
                })
            })
            .collect();
        let senders: Vec<_> = senders
            .into_iter()
            .enumerate()
            .map(|(which, mut send)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let numbers = share(messages, everybody, which);
                    barrier.wait();
                    let start = Instant::now();
                    numbers.for_each(&mut send);
                    // The last one to go closes the channel.
                    drop(send);
                    (start..Instant::now(), Tally::default())
                })
            })
            .collect();
        let meter = Meter::start();
        barrier.wait();
        let ended = senders.into_iter().chain(receivers);
        let ended: Vec<_> =
            ended.map(|thread| thread.join().expect("the messages are whole")).collect();
        let (spans, tallies): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        (meter, spans, tallies.into_iter().sum::<Tally>())
    });
    tally.check(messages, copies);
    let start = spans.iter().map(|span| span.start).min();
    let end = spans.iter().map(|span| span.end).max();
    let wall = start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start);
    meter.stop_after(wall, messages)
}
