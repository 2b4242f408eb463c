//! The macro `select!` as Go's `select`: a default arm, arms that are switched off, deadlines and ticks.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::select;
use cloakroom::select::{Arm, never};
use cloakroom::{RecvError, SendError};

use crate::crew::{Crew, breathe, poll_once};
use crate::kinds::{Kind, Line, Lock};
use crate::random::Random;

on_every_kind!(every_crew:
    otherwise, merge_until_both_are_closed, sends_and_receives, ticks, stopped_generator
);
on_every_kind!(alone: a_default_arm_leaves_no_trace, only_never);

/// A consumer that does something else when there is nothing, and a producer that does when there is no room.
fn otherwise<K: Kind>(crew: Crew) {
    const VALUES: u32 = 200;
    let line = K::line::<u32>();
    let sending = line.clone();
    crew.spawn(async move {
        let mut value = 0;
        while value < VALUES {
            select! {
                sent = sending.send(value) => {
                    assert!(sent.is_ok());
                    value += 1;
                }
                default => breathe().await,
            }
        }
        sending.close();
    });
    let received = crew.run(async {
        let mut received = Vec::new();
        loop {
            // Without a buffer, somebody has to wait.
            let value = if K::CAPACITY == Some(0) {
                Some(line.recv().await)
            } else {
                select! {
                    value = line.recv() => Some(value),
                    default => None,
                }
            };
            match value {
                Some(Ok(value)) => received.push(value),
                Some(Err(RecvError)) => return received,
                None => breathe().await,
            }
        }
    });
    assert!(received.into_iter().eq(0..VALUES));
}

fn a_default_arm_leaves_no_trace<K: Kind>() {
    let (a, b) = (K::line::<u8>(), K::line::<u8>());
    while a.try_send(0).is_ok() {}
    let before = (a.len(), b.len());
    for _ in 0..3 {
        let happened = select! {
            _ = a.send(1) => true,
            _ = b.recv() => true,
            default => false,
        };
        assert!(!happened);
    }
    assert_eq!((a.len(), b.len()), before);
    // Nobody is left in a queue: what is sent stays, and room is anybody's.
    if K::CAPACITY == Some(0) {
        assert!(a.try_recv().is_err() && b.try_send(2).is_err());
    } else {
        assert!(b.try_send(2).is_ok());
        assert_eq!(b.try_recv(), Ok(2));
        (0..K::STEP).for_each(|_| assert_eq!(a.try_recv(), Ok(0)));
        assert!(a.try_send(3).is_ok());
    }
}

/// An arm that may be switched off: a receive, or never.
type Receive<'a> = Pin<&'a mut (dyn Arm<Output = Result<u32, RecvError>> + Send + 'a)>;

/// A send, or never.
type Offer<'a, R> = Pin<&'a mut (dyn Arm<Output = Result<R, SendError<u32>>> + Send + 'a)>;

/// Go's two inputs, one output: an input that is closed becomes nil, which is never ready.
fn merge_until_both_are_closed<K: Kind>(crew: Crew) {
    const EACH: u32 = 100;
    let inputs = [K::line::<u32>(), K::line::<u32>()];
    for (number, input) in inputs.iter().enumerate() {
        let input = input.clone();
        crew.spawn(async move {
            // The one ends long before the other.
            for value in 0..EACH * (1 + number as u32) {
                assert!(input.send(value).await.is_ok());
            }
            input.close();
        });
    }
    let next = crew.run(async {
        let mut open = [true; 2];
        let mut next = [0, 0];
        while open != [false; 2] {
            let (mut a, mut b) = (pin!(inputs[0].recv()), pin!(inputs[1].recv()));
            let (mut no_a, mut no_b) = (pin!(never()), pin!(never()));
            let a: Receive<'_> = if open[0] { a.as_mut() } else { no_a.as_mut() };
            let b: Receive<'_> = if open[1] { b.as_mut() } else { no_b.as_mut() };
            let (input, value) = select! {
                value = a => (0, value),
                value = b => (1, value),
            };
            match value {
                Ok(value) => {
                    assert_eq!(value, next[input], "of input {input}");
                    next[input] += 1;
                }
                Err(RecvError) => {
                    assert!(open[input], "an arm that is never ready happened");
                    open[input] = false;
                }
            }
        }
        next
    });
    assert_eq!(next, [EACH, 2 * EACH]);
}

/// Go's `chan` test: one select that sends to two and receives from two, each with a sequence of its own, until
/// all have had their number.
fn sends_and_receives<K: Kind>(crew: Crew) {
    const EACH: u32 = 100;
    let inputs = [K::line::<u32>(), K::line::<u32>()];
    let outputs = [K::line::<u32>(), K::line::<u32>()];
    for (input, output) in inputs.iter().zip(&outputs) {
        let (input, output) = (input.clone(), output.clone());
        crew.spawn(async move {
            for value in 0..EACH {
                assert!(input.send(value).await.is_ok());
            }
        });
        crew.spawn(async move {
            for expected in 0..EACH {
                assert_eq!(output.recv().await, Ok(expected));
            }
        });
    }
    crew.run(async {
        let (mut received, mut sent) = ([0; 2], [0; 2]);
        while (received, sent) != ([EACH; 2], [EACH; 2]) {
            let (mut from_a, mut from_b) = (pin!(inputs[0].recv()), pin!(inputs[1].recv()));
            let mut to_a = pin!(outputs[0].send(sent[0]));
            let mut to_b = pin!(outputs[1].send(sent[1]));
            let (mut off, mut off_too) = (pin!(never()), pin!(never()));
            let (mut off_a, mut off_b) = (pin!(never()), pin!(never()));
            let from_a: Receive<'_> =
                if received[0] < EACH { from_a.as_mut() } else { off.as_mut() };
            let from_b: Receive<'_> =
                if received[1] < EACH { from_b.as_mut() } else { off_too.as_mut() };
            let to_a: Offer<'_, _> = if sent[0] < EACH { to_a.as_mut() } else { off_a.as_mut() };
            let to_b: Offer<'_, _> = if sent[1] < EACH { to_b.as_mut() } else { off_b.as_mut() };
            select! {
                value = from_a => {
                    assert_eq!(value, Ok(received[0]));
                    received[0] += 1;
                }
                done = to_a => {
                    assert!(done.is_ok());
                    sent[0] += 1;
                }
                value = from_b => {
                    assert_eq!(value, Ok(received[1]));
                    received[1] += 1;
                }
                done = to_b => {
                    assert!(done.is_ok());
                    sent[1] += 1;
                }
            }
        }
    });
    assert!(inputs.iter().chain(&outputs).all(|line| line.is_empty()), "more than was wanted");
}

fn only_never<K: Kind>() {
    let line = K::line::<u32>();
    // A channel that nobody sends to is one, too.
    let mut waits = pin!(async {
        select! {
            _ = line.recv() => "received",
            () = never() => "happened",
        }
    });
    for _ in 0..3 {
        assert_eq!(poll_once(waits.as_mut()), Poll::Pending);
    }
    line.close();
    assert_eq!(poll_once(waits), Poll::Ready("received"));
}

/// Advances a clock while others work, and stops when it is told to.
fn run_clock(crew: &Crew) -> (Arc<Timers<Lock>>, Arc<AtomicBool>) {
    let (timers, over) = (Arc::new(Timers::new()), Arc::new(AtomicBool::new(false)));
    let (clock, stop) = (timers.clone(), over.clone());
    crew.spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            clock.advance(clock.now() + 1);
            breathe().await;
        }
    });
    (timers, over)
}

/// Values, ticks, and a deadline for the whole, in one loop.
fn ticks<K: Kind>(crew: Crew) {
    const PERIOD: u64 = 3;
    const VALUES: u32 = 60;
    let line = K::line::<u32>();
    let (timers, over) = run_clock(&crew);
    let sending = line.clone();
    crew.spawn(async move {
        for value in 0..VALUES {
            assert!(sending.send(value).await.is_ok());
            for _ in 0..value % 4 {
                breathe().await;
            }
        }
    });
    crew.run(async {
        let mut tick = pin!(timers.tick(PERIOD));
        let mut far = pin!(timers.at(u64::MAX));
        let (mut values, mut ticks, mut last) = (0, 0, timers.now());
        while values < VALUES || ticks < 20 {
            select! {
                value = line.recv() => {
                    assert_eq!(value, Ok(values));
                    values += 1;
                }
                at = tick.as_mut() => {
                    assert!(at > last && at <= timers.now(), "{at} after {last}");
                    assert!(ticks == 0 || (at - last) % PERIOD == 0, "{at} after {last}");
                    (last, ticks) = (at, ticks + 1);
                }
                () = far.as_mut() => panic!("too early"),
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// Go's generator with a quit channel, here once a channel and once a cancellation; a random number of values
/// is taken, then it is told to stop, and gives back what it had.
fn stopped_generator<K: Kind>(crew: Crew) {
    async fn generate<K: Kind>(
        line: Line<K, u32>,
        quit: Line<K, ()>,
        cancel: Arc<CancelToken<Lock>>,
    ) {
        let mut value = 0;
        loop {
            let mut send = pin!(line.send(value));
            select! {
                sent = send.as_mut() => {
                    assert!(sent.is_ok());
                    value += 1;
                }
                _ = quit.recv() => {
                    assert_eq!(send.take_value(), Some(value));
                    break;
                }
                () = cancel.cancelled() => {
                    assert_eq!(send.take_value(), Some(value));
                    break;
                }
            }
        }
        line.close();
    }

    let mut random = Random(11);
    crew.run(async {
        for round in 0..20 {
            let (line, quit) = (K::line::<u32>(), K::line::<()>());
            let cancel = Arc::new(CancelToken::new());
            crew.spawn(generate::<K>(line.clone(), quit.clone(), cancel.clone()));
            let wanted = random.below(30) as u32;
            for expected in 0..wanted {
                assert_eq!(line.recv().await, Ok(expected));
            }
            if round % 2 == 0 {
                assert!(quit.send(()).await.is_ok());
            } else {
                cancel.cancel();
            }
            // What it had sent by then is there, in order, and nothing else.
            let mut next = wanted;
            while let Ok(value) = line.recv().await {
                assert_eq!(value, next);
                next += 1;
            }
            assert_eq!(line.snapshot().sent, next);
        }
    });
}
