//! A request and its reply, one at a time: how long a round trip takes.

use std::future::Future;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::std_layer::channel as ours;

use super::threads::Capacity;
use crate::executor::{Executor, Task};
use crate::figure::{Figure, Figures};
use crate::meter::Meter;
use crate::statistics::quantile;
use crate::workload::{OURS, Subject, Workload, why};

/// All of them.
pub fn all() -> Vec<Workload> {
    let threads = [Capacity::Rendezvous, Capacity::Bounded(1)].map(|capacity| {
        Workload::new(format!("ping-pong/threads/{}", capacity.name()), between_threads(capacity))
    });
    let tasks = Executor::ALL.map(|executor| {
        let name = format!("ping-pong/{}/1", executor.name());
        let workload = Workload::new(name, between_tasks(executor));
        if executor.is_one_thread() { workload.in_one_thread() } else { workload }
    });
    threads.into_iter().chain(tasks).collect()
}

/// Round trips, or whatever is one after the other, some of which are timed one by one.
pub struct Stamps {
    nanoseconds: Vec<f64>,
    /// One in so many: where a round trip is short a look at the clock is a good part of it.
    every: u64,
    begun: Option<Instant>,
}

impl Stamps {
    fn new(round_trips: u64, every: u64) -> Self {
        let room = round_trips / every + 1;
        Self { nanoseconds: Vec::with_capacity(room as usize), every, begun: None }
    }

    /// Times that were taken otherwise.
    pub fn of(times: impl Iterator<Item = Duration>) -> Self {
        let nanoseconds = times.map(|time| time.as_nanos() as f64).collect();
        Self { nanoseconds, every: 1, begun: None }
    }

    fn begin(&mut self, number: u64) {
        self.begun = (number % self.every == 0).then(Instant::now);
    }

    fn end(&mut self) {
        let taken = self.begun.map(|begun| begun.elapsed());
        self.nanoseconds.extend(taken.map(|taken| taken.as_nanos() as f64));
    }

    /// Adds their quantiles.
    pub fn add_to(mut self, figures: &mut Figures) {
        self.nanoseconds.sort_by(f64::total_cmp);
        let parts = [(Figure::P50, 0.5), (Figure::P99, 0.99), (Figure::P999, 0.999)];
        let quantiles = parts.map(|(figure, part)| (figure, quantile(&self.nanoseconds, part)));
        figures.extend(quantiles.into_iter().filter_map(|(figure, value)| Some((figure, value?))));
    }
}

/// Two threads, and two channels made by `make`.
fn threads<S: Send + 'static, R: Send + 'static>(
    name: &str,
    make: impl Fn() -> (S, R) + 'static,
    send: impl Fn(&mut S, u64) -> bool + Copy + Send + 'static,
    receive: impl Fn(&mut R) -> Option<u64> + Copy + Send + 'static,
) -> Subject {
    Subject::new(name, move |messages| {
        let (mut requests, mut inbox) = make();
        let (mut outbox, mut replies) = make();
        let mut stamps = Stamps::new(messages, 1);
        let mut figures = thread::scope(|scope| {
            // Boxed, so that what starts a thread is compiled once.
            let echo: Box<dyn FnOnce() + Send> = Box::new(move || {
                while let Some(number) = receive(&mut inbox) {
                    assert!(send(&mut outbox, number + 1), "it is open");
                }
            });
            scope.spawn(echo);
            // Not before the other thread is there.
            thread::sleep(Duration::from_micros(200));
            let meter = Meter::start();
            for number in 0..messages {
                stamps.begin(number);
                assert!(send(&mut requests, number), "it is open");
                assert_eq!(receive(&mut replies), Some(number + 1));
                stamps.end();
            }
            let figures = meter.stop(messages);
            drop(requests);
            figures
        });
        stamps.add_to(&mut figures);
        figures
    })
}

fn between_threads(capacity: Capacity) -> Vec<Subject> {
    let limit = capacity.or_none().unwrap_or_default();
    let ours = match capacity {
        Capacity::Rendezvous => threads(
            OURS,
            ours::rendezvous,
            |s, m| s.blocking_send(m).is_ok(),
            |r| r.blocking_recv().ok(),
        ),
        _ => threads(
            OURS,
            move || ours::bounded(limit),
            |s, m| s.blocking_send(m).is_ok(),
            |r| r.blocking_recv().ok(),
        ),
    };
    let mut all = vec![
        ours,
        threads(
            "crossbeam",
            move || crossbeam_channel::bounded(limit),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        threads(
            "kanal",
            move || kanal::bounded(limit),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        threads(
            "flume",
            move || flume::bounded(limit),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        threads(
            "loole",
            move || loole::bounded(limit),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        threads(
            "std",
            move || mpsc::sync_channel(limit),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
    ];
    if capacity != Capacity::Rendezvous {
        all.extend([
            threads(
                "crossfire",
                move || crossfire::spsc::bounded_blocking(limit),
                |s, m| s.send(m).is_ok(),
                |r| r.recv().ok(),
            ),
            threads(
                "async-channel",
                move || async_channel::bounded(limit),
                |s, m| s.send_blocking(m).is_ok(),
                |r| r.recv_blocking().ok(),
            ),
            threads(
                "tokio",
                move || tokio::sync::mpsc::channel(limit),
                |s, m| s.blocking_send(m).is_ok(),
                |r| r.blocking_recv(),
            ),
        ]);
    }
    all
}

/// Two tasks, and two channels made by `make`.
fn tasks<S, R, CF, EF>(
    name: &str,
    executor: Executor,
    make: impl Fn() -> (S, R) + 'static,
    client: impl Fn(S, R, u64, Stamps) -> CF + 'static,
    echo: impl Fn(R, S) -> EF + 'static,
) -> Subject
where
    CF: Future<Output = Stamps> + Send + 'static,
    EF: Future<Output = Stamps> + Send + 'static,
{
    Subject::new(name, move |messages| {
        let (requests, inbox) = make();
        let (outbox, replies) = make();
        let meter = Meter::start();
        let client = client(requests, replies, messages, Stamps::new(messages, 8));
        let tasks: Vec<Task<Stamps>> = vec![Box::pin(client), Box::pin(echo(inbox, outbox))];
        let stamps = executor.run(tasks).into_iter().next();
        let mut figures = meter.stop(messages);
        stamps.expect("of the client").add_to(&mut figures);
        figures
    })
}

fn between_tasks(executor: Executor) -> Vec<Subject> {
    macro_rules! of {
        ($name:expr, $make:expr, $send:ident, $recv:ident) => {
            tasks(
                $name,
                executor,
                || $make,
                |requests, replies, messages, mut stamps| async move {
                    #[allow(unused_mut, reason = "some can do without")]
                    let mut replies = replies;
                    for number in 0..messages {
                        stamps.begin(number);
                        requests.$send(number).await.expect("it is open");
                        let reply = replies.$recv().await.into_iter().next();
                        assert_eq!(reply, Some(number + 1));
                        stamps.end();
                    }
                    stamps
                },
                |inbox, outbox| async move {
                    #[allow(unused_mut, reason = "some can do without")]
                    let mut inbox = inbox;
                    while let Some(number) = inbox.$recv().await.into_iter().next() {
                        outbox.$send(number + 1).await.expect("it is open");
                    }
                    Stamps::new(0, 1)
                },
            )
        };
    }
    vec![
        of!(OURS, ours::bounded::<u64>(1), send, recv),
        of!("kanal", kanal::bounded_async::<u64>(1), send, recv).aside(why::LOSES),
        of!("flume", flume::bounded::<u64>(1), send_async, recv_async).aside(why::SENDS),
        of!("loole", loole::bounded::<u64>(1), send_async, recv_async).aside(why::SENDS),
        of!("async-channel", async_channel::bounded::<u64>(1), send, recv),
        of!("crossfire", crossfire::spsc::bounded_async::<u64>(1), send, recv),
        of!("tokio", tokio::sync::mpsc::channel::<u64>(1), send, recv),
        of!("tachyonix", tachyonix::channel::<u64>(1), send, recv),
    ]
}
