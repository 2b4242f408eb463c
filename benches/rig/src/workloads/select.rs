//! A select among channels that all have something.

use std::array;
use std::time::{Duration, Instant};

use cloakroom::blocking;
use cloakroom::select::select;
use cloakroom::std_layer::{block_on, channel as ours};

use crate::figure::Figure;
use crate::meter::Meter;
use crate::workload::{OURS, Subject, Workload, why};

/// Selects between two looks at the clock; as many messages are in each channel then.
const TURN: usize = 64;

/// All of them.
pub fn all() -> Vec<Workload> {
    vec![
        Workload::new("select/blocking/4", blocking::<4>()),
        Workload::new("select/blocking/32", blocking::<32>()),
        Workload::new("select/async/4", asynchronous_4()),
        Workload::new("select/async/32", asynchronous_32()),
    ]
}

/// `turn` selects [`TURN`] times, and counts what it gets for each arm: the number of the arm is the message.
fn subject<S: 'static, R: 'static, const ARMS: usize>(
    name: &str,
    make: impl Fn() -> (S, R) + 'static,
    send: impl Fn(&S, usize) -> bool + 'static,
    turn: impl Fn(&mut [R; ARMS], &mut [usize; ARMS]) + 'static,
) -> Subject {
    Subject::new(name, move |messages| {
        let turns = (messages / TURN as u64).max(1);
        let mut senders = Vec::new();
        let mut receivers: [R; ARMS] = array::from_fn(|_| {
            let (sender, receiver) = make();
            senders.push(sender);
            receiver
        });
        let mut missing = [TURN; ARMS];
        let mut wall = Duration::ZERO;
        let meter = Meter::start();
        for _ in 0..turns {
            for (arm, sender) in senders.iter().enumerate() {
                (0..missing[arm]).for_each(|_| assert!(send(sender, arm), "there is room"));
            }
            missing = [0; ARMS];
            let start = Instant::now();
            turn(&mut receivers, &mut missing);
            wall += start.elapsed();
            assert_eq!(missing.iter().sum::<usize>(), TURN);
        }
        let mut figures = meter.stop_after(wall, turns * TURN as u64);
        // Of filling the channels, too.
        figures.remove(&Figure::Cpu);
        figures
    })
}

fn blocking<const ARMS: usize>() -> Vec<Subject> {
    vec![
        subject::<_, _, ARMS>(
            OURS,
            || blocking::bounded(TURN),
            |sender, arm| sender.try_send(arm).is_ok(),
            |receivers, taken| {
                let mut select = blocking::Select::new();
                for receiver in receivers.iter() {
                    select.recv(receiver);
                }
                for _ in 0..TURN {
                    let operation = select.select();
                    let receiver = &receivers[operation.index()];
                    taken[operation.recv(receiver).expect("it is open")] += 1;
                }
            },
        ),
        subject::<_, _, ARMS>(
            "crossbeam",
            || crossbeam_channel::bounded(TURN),
            |sender, arm| sender.try_send(arm).is_ok(),
            |receivers, taken| {
                let mut select = crossbeam_channel::Select::new();
                for receiver in receivers.iter() {
                    select.recv(receiver);
                }
                for _ in 0..TURN {
                    let operation = select.select();
                    let receiver = &receivers[operation.index()];
                    taken[operation.recv(receiver).expect("it is open")] += 1;
                }
            },
        ),
        subject::<_, _, ARMS>(
            "crossfire",
            || crossfire::mpsc::bounded_blocking(TURN),
            |sender, arm| sender.try_send(arm).is_ok(),
            |receivers, taken| {
                let mut select = crossfire::select::Select::new();
                receivers.iter().for_each(|receiver| select.add(receiver));
                for _ in 0..TURN {
                    let ready = select.select().expect("they are open");
                    let which = receivers.iter().find(|receiver| ready.is_from(*receiver));
                    let value = which.expect("one of them").read_select(ready);
                    taken[value.expect("it is open")] += 1;
                }
            },
        ),
        subject::<_, _, ARMS>(
            "flume",
            || flume::bounded(TURN),
            |sender, arm| sender.try_send(arm).is_ok(),
            |receivers, taken| {
                for _ in 0..TURN {
                    let select = receivers.iter().fold(flume::Selector::new(), |select, one| {
                        select.recv(one, |value| value.expect("it is open"))
                    });
                    taken[select.wait()] += 1;
                }
            },
        ),
    ]
}

/// This crate's futures: made for each select, as `select!` does.
fn cloakroom<const ARMS: usize>() -> Subject {
    subject::<_, _, ARMS>(
        OURS,
        || ours::bounded(TURN),
        |sender, arm| sender.try_send(arm).is_ok(),
        |receivers, taken| {
            block_on(async {
                for _ in 0..TURN {
                    let arms: [_; ARMS] = array::from_fn(|arm| receivers[arm].recv());
                    let (_, value) = select(arms).fair().await;
                    taken[value.expect("it is open")] += 1;
                }
            });
        },
    )
}

/// The same select again and again.
fn cloakroom_kept<const ARMS: usize>() -> Subject {
    let subject = subject::<_, _, ARMS>(
        "cloakroom, kept",
        || ours::bounded(TURN),
        |sender, arm| sender.try_send(arm).is_ok(),
        |receivers, taken| {
            let arms: [_; ARMS] = array::from_fn(|arm| receivers[arm].recv());
            let mut select = std::pin::pin!(select(arms).fair());
            block_on(async {
                for _ in 0..TURN {
                    let (_, value) = select.as_mut().await;
                    taken[value.expect("it is open")] += 1;
                }
            });
        },
    );
    subject.aside(why::OURS_TOO)
}

/// tokio's macro, over the receivers of a crate, by these names.
macro_rules! by_tokio {
    ($name:literal, $make:expr, $($receiver:ident)+) => {
        subject(
            $name,
            || $make,
            |sender, arm| sender.try_send(arm).is_ok(),
            |[$($receiver),+], taken| {
                block_on(async {
                    for _ in 0..TURN {
                        let value = tokio::select! {
                            $(value = $receiver.recv() => value.into_iter().next(),)+
                        };
                        taken[value.expect("it is open")] += 1;
                    }
                });
            },
        )
    };
}

fn asynchronous_4() -> Vec<Subject> {
    vec![
        cloakroom::<4>(),
        cloakroom_kept::<4>(),
        by_tokio!("tokio", tokio::sync::mpsc::channel(TURN), a b c d),
        by_tokio!("crossfire", crossfire::mpsc::bounded_async(TURN), a b c d),
    ]
}

fn asynchronous_32() -> Vec<Subject> {
    vec![
        cloakroom::<32>(),
        cloakroom_kept::<32>(),
        by_tokio!(
            "tokio",
            tokio::sync::mpsc::channel(TURN),
            a0 a1 a2 a3 a4 a5 a6 a7 b0 b1 b2 b3 b4 b5 b6 b7
            c0 c1 c2 c3 c4 c5 c6 c7 d0 d1 d2 d3 d4 d5 d6 d7
        ),
        by_tokio!(
            "crossfire",
            crossfire::mpsc::bounded_async(TURN),
            a0 a1 a2 a3 a4 a5 a6 a7 b0 b1 b2 b3 b4 b5 b6 b7
            c0 c1 c2 c3 c4 c5 c6 c7 d0 d1 d2 d3 d4 d5 d6 d7
        ),
    ]
}
