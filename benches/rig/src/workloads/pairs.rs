//! One thread that sends and receives, nobody else being there.

use std::hint::black_box;
use std::sync::mpsc;

use cloakroom::std_layer::channel as ours;

use super::threads::Capacity;
use crate::meter::Meter;
use crate::ours::queue_arena;
use crate::tally::Tally;
use crate::workload::{OURS, Subject, Workload, why};

/// All of them.
pub fn all() -> Vec<Workload> {
    let capacities = [Capacity::Bounded(1), Capacity::Bounded(128), Capacity::Unbounded];
    capacities
        .into_iter()
        .map(|capacity| {
            let workload = Workload::new(format!("pair/u64/{}", capacity.name()), of(capacity));
            let workload = workload.in_one_thread();
            if capacity == Capacity::Unbounded { workload.allocating() } else { workload }
        })
        .collect()
}

fn subject<S, R>(
    name: &str,
    make: impl Fn() -> (S, R) + 'static,
    send: impl Fn(&mut S, u64) -> bool + 'static,
    receive: impl Fn(&mut R) -> Option<u64> + 'static,
) -> Subject {
    Subject::new(name, move |messages| {
        let (mut sender, mut receiver) = make();
        let mut tally = Tally::default();
        let meter = Meter::start();
        for number in 0..messages {
            assert!(send(&mut sender, black_box(number)), "there is room");
            tally.add(receive(&mut receiver).expect("there is a message"));
        }
        let figures = meter.stop(messages);
        tally.check(messages, 1);
        figures
    })
}

fn of(capacity: Capacity) -> Vec<Subject> {
    let limit = capacity.or_none();
    let cloakroom = match limit {
        Some(limit) => subject(
            OURS,
            move || ours::bounded(limit),
            |s, m| s.try_send(m).is_ok(),
            |r| r.try_recv().ok(),
        ),
        None => subject(
            OURS,
            || ours::unbounded(queue_arena()),
            |s, m| s.try_send(m).is_ok(),
            |r| r.try_recv().ok(),
        ),
    };
    let mut all = vec![
        cloakroom,
        subject(
            "crossbeam",
            move || limit.map_or_else(crossbeam_channel::unbounded, crossbeam_channel::bounded),
            |s, m| s.try_send(m).is_ok(),
            |r| r.try_recv().ok(),
        ),
        subject(
            "kanal",
            move || limit.map_or_else(kanal::unbounded, kanal::bounded),
            |s, m| s.try_send(m) == Ok(true),
            |r| r.try_recv().ok().flatten(),
        ),
        subject(
            "flume",
            move || limit.map_or_else(flume::unbounded, flume::bounded),
            |s, m| s.try_send(m).is_ok(),
            |r| r.try_recv().ok(),
        ),
        subject(
            "loole",
            move || limit.map_or_else(loole::unbounded, loole::bounded),
            |s, m| s.try_send(m).is_ok(),
            |r| r.try_recv().ok(),
        ),
        subject(
            "async-channel",
            move || limit.map_or_else(async_channel::unbounded, async_channel::bounded),
            |s, m| s.try_send(m).is_ok(),
            |r| r.try_recv().ok(),
        ),
    ];
    match limit {
        Some(limit) => all.extend([
            // For several of each side, as the others are.
            subject(
                "crossfire",
                move || crossfire::mpmc::bounded_blocking(limit),
                |s, m| s.try_send(m).is_ok(),
                |r| r.try_recv().ok(),
            ),
            subject(
                "std",
                move || mpsc::sync_channel(limit),
                |s, m| s.try_send(m).is_ok(),
                |r| r.try_recv().ok(),
            ),
            subject(
                "tokio",
                move || tokio::sync::mpsc::channel(limit),
                |s, m| s.try_send(m).is_ok(),
                |r| r.try_recv().ok(),
            ),
            subject(
                "thingbuf",
                move || thingbuf::mpsc::blocking::channel(limit),
                |s, m| s.try_send(m).is_ok(),
                |r| r.try_recv().ok(),
            ),
            subject(
                "rtrb",
                move || rtrb::RingBuffer::new(limit),
                |s, m| s.push(m).is_ok(),
                |r| r.pop().ok(),
            )
            .aside(why::SPINS),
        ]),
        None => all.extend([
            subject(
                "crossfire",
                crossfire::mpmc::unbounded_blocking,
                |s, m| s.try_send(m).is_ok(),
                |r| r.try_recv().ok(),
            ),
            subject("std", mpsc::channel, |s, m| s.send(m).is_ok(), |r| r.try_recv().ok()),
            subject(
                "tokio",
                tokio::sync::mpsc::unbounded_channel,
                |s, m| s.send(m).is_ok(),
                |r| r.try_recv().ok(),
            ),
        ]),
    }
    all
}
