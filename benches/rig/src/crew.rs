//! Threads that send, threads that receive, and when they began and ended.

use std::ops::Range;
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

/// What a thread does that sends: all messages of these numbers.
pub type Sending = Box<dyn FnOnce(Range<u64>) + Send>;

/// What a thread does that receives: all there are, until no more will come.
pub type Receiving = Box<dyn FnOnce() -> Tally + Send>;

/// Sends message after message. The loop is compiled for each participant, and what runs it only once.
pub fn sending(send: impl FnMut(u64) + Send + 'static) -> Sending {
    // The endpoint goes with the loop: the last one closes the channel.
    Box::new(move |numbers| {
        // On the thread's stack: in the box another one's could be beside it.
        let mut send = send;
        numbers.for_each(&mut send);
    })
}

/// Receives message after message: their numbers.
pub fn receiving(receive: impl FnMut() -> Option<u64> + Send + 'static) -> Receiving {
    Box::new(move || {
        let (mut receive, mut tally) = (receive, Tally::default());
        while let Some(number) = receive() {
            tally.add(number);
        }
        tally
    })
}

/// Runs a thread for each. The senders share the first `messages` numbers; each message shall arrive `copies` times.
///
/// # Panics
/// When not everything has arrived.
pub fn run(
    senders: Vec<Sending>,
    receivers: Vec<Receiving>,
    messages: u64,
    copies: u64,
) -> Figures {
    let everybody = senders.len();
    let senders = senders.into_iter().enumerate().map(|(which, send)| -> Receiving {
        Box::new(move || {
            send(share(messages, everybody, which));
            Tally::default()
        })
    });
    let all: Vec<Receiving> = receivers.into_iter().chain(senders).collect();
    let barrier = Barrier::new(all.len() + 1);
    let (meter, spans, tally) = thread::scope(|scope| {
        let threads: Vec<_> = all
            .into_iter()
            .map(|work| {
                scope.spawn(|| {
                    barrier.wait();
                    let start = Instant::now();
                    let tally = work();
                    (start..Instant::now(), tally)
                })
            })
            .collect();
        let meter = Meter::start();
        barrier.wait();
        let ended = threads.into_iter().map(|thread| thread.join());
        let (spans, tallies): (Vec<_>, Vec<_>) =
            ended.map(|thread| thread.expect("the messages are whole")).unzip();
        (meter, spans, tallies.into_iter().sum::<Tally>())
    });
    tally.check(messages, copies);
    let start = spans.iter().map(|span| span.start).min();
    let end = spans.iter().map(|span| span.end).max();
    let wall = start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start);
    meter.stop_after(wall, messages)
}
