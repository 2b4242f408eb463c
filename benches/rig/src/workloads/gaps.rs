//! A message every 100 µs: what waiting for it costs the receiver.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::std_layer::channel as ours;

use crate::crew;
use crate::figure::Figure;
use crate::meter::{Meter, thread_cpu};
use crate::workload::{OURS, Subject, Workload};

const GAP: Duration = Duration::from_micros(100);
const CAPACITY: usize = 128;

/// The one there is.
pub fn all() -> Vec<Workload> {
    let subjects = vec![
        subject(
            OURS,
            || ours::bounded(CAPACITY),
            |s, m| s.blocking_send(m).is_ok(),
            |r| r.blocking_recv().ok(),
        ),
        subject(
            "crossbeam",
            || crossbeam_channel::bounded(CAPACITY),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        subject("kanal", || kanal::bounded(CAPACITY), |s, m| s.send(m).is_ok(), |r| r.recv().ok()),
        subject("flume", || flume::bounded(CAPACITY), |s, m| s.send(m).is_ok(), |r| r.recv().ok()),
        subject("loole", || loole::bounded(CAPACITY), |s, m| s.send(m).is_ok(), |r| r.recv().ok()),
        subject(
            "crossfire",
            || crossfire::spsc::bounded_blocking(CAPACITY),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        subject(
            "std",
            || mpsc::sync_channel(CAPACITY),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        subject(
            "tokio",
            || tokio::sync::mpsc::channel(CAPACITY),
            |s, m| s.blocking_send(m).is_ok(),
            |r| r.blocking_recv(),
        ),
    ];
    vec![Workload::new("gaps/100us/receiver", subjects).decided_by(Figure::Cpu).of(1_000)]
}

fn subject<S: Send + 'static, R: Send + 'static>(
    name: &str,
    make: impl Fn() -> (S, R) + 'static,
    send: impl Fn(&mut S, u64) -> bool + 'static,
    receive: impl Fn(&mut R) -> Option<u64> + Copy + Send + 'static,
) -> Subject {
    Subject::new(name, move |messages| {
        let (mut sender, mut receiver) = make();
        thread::scope(|scope| {
            let receive = crew::receiving(move || receive(&mut receiver));
            let receiver = scope.spawn(move || {
                let start = thread_cpu();
                let tally = receive();
                (thread_cpu() - start, tally)
            });
            let meter = Meter::start();
            let start = Instant::now();
            for number in 0..messages {
                // By the clock, not by the gap: a late one is made up for.
                let due = start + GAP * (number as u32 + 1);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                assert!(send(&mut sender, number), "it is open");
            }
            let mut figures = meter.stop(messages);
            drop(sender);
            let (cpu, tally) = receiver.join().expect("it only receives");
            tally.check(messages, 1);
            figures.insert(Figure::Cpu, cpu.as_nanos() as f64 / messages as f64);
            figures
        })
    })
}
