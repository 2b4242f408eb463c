//! Selects under threads: nothing lost, nothing doubled.
//!
//! Four threads meet in selects whose arms both send and receive, on two channels of various kinds.
//! Every message is a number of its own. What was acknowledged, and what was taken out of a send that
//! was given up, must be what was received, each once.
//!
//! | test | messages | what happens to a select |
//! |---|---|---|
//! | `to_the_end` | 400,000 acknowledged | awaited |
//! | `dropped_at_any_poll` | 400,000 sent | polled by hand a random number of times, then dropped |
//! | `closed_and_limited` | 400,000 offered | closed, cancelled and timed out under way |
//!
//! An ancestor of this design lost between 170 and 1,868 of 400,000 acknowledged messages here.
#![cfg(all(feature = "std", not(loom)))]

#[path = "common/random.rs"]
mod random;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use cloakroom::channel::{Buffered, Channel, Compete, ConstStrategy, Rendezvous};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError};
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::limit::Operation;
use cloakroom::select::{Either, Either3, Either4, Either5, select};
use cloakroom::std_layer::{StdRawMutex, block_on};
use cloakroom::sync::{RawMutex, SpinRawMutex};
use random::Random;

const THREADS: usize = 4;
const MESSAGES: usize = 400_000;

/// The two channels of a test.
struct Hall<M: RawMutex, A: ConstStrategy<u64> + Compete<u64>, B: ConstStrategy<u64> + Compete<u64>>
{
    a: Channel<M, u64, A>,
    b: Channel<M, u64, B>,
    received: AtomicUsize,
}

impl<M: RawMutex, A: ConstStrategy<u64> + Compete<u64>, B: ConstStrategy<u64> + Compete<u64>>
    Hall<M, A, B>
{
    fn new() -> Self {
        Self { a: Channel::new(), b: Channel::new(), received: AtomicUsize::new(0) }
    }

    fn close(&self) {
        self.a.close();
        self.b.close();
    }
}

/// What one thread has seen.
#[derive(Default)]
struct Ledger {
    acknowledged: Vec<u64>,
    /// Taken out of a send that was given up before it could say so.
    taken: Vec<u64>,
    received: Vec<u64>,
}

/// Messages of one thread, numbered; those that were not sent are offered again.
struct Source {
    next: u64,
    end: u64,
    returned: Vec<u64>,
}

impl Source {
    fn of(thread: usize, messages: usize) -> Self {
        let start = (thread as u64) << 32;
        Self { next: start, end: start + messages as u64, returned: Vec::new() }
    }

    fn take(&mut self) -> Option<u64> {
        self.returned.pop().or_else(|| {
            (self.next < self.end).then(|| {
                self.next += 1;
                self.next - 1
            })
        })
    }
}

/// Compares what was sent with what arrived or is still there.
fn reconcile(ledgers: Vec<Ledger>, left: Vec<u64>) -> usize {
    let mut sent = Vec::new();
    let mut arrived = left;
    for ledger in ledgers {
        sent.extend(ledger.acknowledged);
        sent.extend(ledger.taken);
        arrived.extend(ledger.received);
    }
    sent.sort_unstable();
    arrived.sort_unstable();
    let doubled = arrived.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(doubled, 0, "received twice");
    assert!(sent.windows(2).all(|pair| pair[0] != pair[1]), "acknowledged twice");
    let lost = sent.iter().filter(|value| arrived.binary_search(value).is_err()).count();
    let invented = arrived.iter().filter(|value| sent.binary_search(value).is_err()).count();
    assert_eq!(
        (lost, invented),
        (0, 0),
        "of {} sent: lost, and received but never sent",
        sent.len()
    );
    sent.len()
}

fn drain<
    M: RawMutex,
    A: ConstStrategy<u64> + Compete<u64>,
    B: ConstStrategy<u64> + Compete<u64>,
>(
    hall: &Hall<M, A, B>,
) -> Vec<u64> {
    let a = std::iter::from_fn(|| hall.a.try_recv().ok());
    let b = std::iter::from_fn(|| hall.b.try_recv().ok());
    let left = a.chain(b).collect();
    for snapshot in [hall.a.snapshot(), hall.b.snapshot()] {
        let accounted = snapshot.received.wrapping_add(snapshot.dropped);
        assert_eq!(snapshot.sent, accounted.wrapping_add(snapshot.depth as u32), "{snapshot:?}");
    }
    left
}

/// Runs `work` on four threads over fresh channels and reconciles.
fn run<M, A, B>(work: impl Fn(usize, &Hall<M, A, B>) -> Ledger + Sync) -> usize
where
    M: RawMutex + Send + Sync,
    A: ConstStrategy<u64> + Compete<u64> + Send + Sync,
    B: ConstStrategy<u64> + Compete<u64> + Send + Sync,
{
    let hall = Hall::new();
    let ledgers = thread::scope(|scope| {
        let (work, hall) = (&work, &hall);
        let threads: Vec<_> =
            (0..THREADS).map(|number| scope.spawn(move || work(number, hall))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    });
    reconcile(ledgers, drain(&hall))
}

/// Every select is awaited.
fn to_the_end<M, A, B>()
where
    M: RawMutex + Send + Sync,
    A: ConstStrategy<u64, Receipt = ()> + Compete<u64> + Send + Sync,
    B: ConstStrategy<u64, Receipt = ()> + Compete<u64> + Send + Sync,
{
    let sent = run::<M, A, B>(|thread, hall| {
        let mut ledger = Ledger::default();
        let mut source = Source::of(thread, MESSAGES / THREADS);
        let mut random = Random(thread as u64);
        loop {
            let received = match (source.take(), source.take()) {
                (Some(first), Some(second)) => {
                    let mut to_a = pin!(hall.a.send(first));
                    let mut to_b = pin!(hall.b.send(second));
                    let (from_a, from_b) = (hall.a.recv(), hall.b.recv());
                    // Who comes first matters when several arms are ready.
                    let outcome = if random.below(2) == 0 {
                        block_on(select((to_a.as_mut(), to_b.as_mut(), from_a, from_b)))
                    } else {
                        match block_on(select((from_b, from_a, to_b.as_mut(), to_a.as_mut()))) {
                            Either4::First(value) => Either4::Fourth(value),
                            Either4::Second(value) => Either4::Third(value),
                            Either4::Third(sent) => Either4::Second(sent),
                            Either4::Fourth(sent) => Either4::First(sent),
                        }
                    };
                    let (a, b) = (to_a.as_mut().take_value(), to_b.as_mut().take_value());
                    source.returned.extend(a);
                    source.returned.extend(b);
                    match outcome {
                        Either4::First(sent) => {
                            sent.expect("closed at the end only");
                            assert!(a.is_none() && b.is_some(), "two arms happened");
                            ledger.acknowledged.push(first);
                            None
                        }
                        Either4::Second(sent) => {
                            sent.expect("closed at the end only");
                            assert!(a.is_some() && b.is_none(), "two arms happened");
                            ledger.acknowledged.push(second);
                            None
                        }
                        Either4::Third(value) | Either4::Fourth(value) => {
                            assert!(a.is_some() && b.is_some(), "a losing send went through");
                            Some(value.expect("closed at the end only"))
                        }
                    }
                }
                (Some(last), None) | (None, Some(last)) => {
                    let mut send = pin!(hall.a.send(last));
                    let outcome = block_on(select((send.as_mut(), hall.a.recv(), hall.b.recv())));
                    source.returned.extend(send.as_mut().take_value());
                    match outcome {
                        Either3::First(sent) => {
                            sent.expect("closed at the end only");
                            ledger.acknowledged.push(last);
                            None
                        }
                        Either3::Second(value) | Either3::Third(value) => {
                            Some(value.expect("closed at the end only"))
                        }
                    }
                }
                (None, None) => match block_on(select((hall.b.recv(), hall.a.recv()))) {
                    Either::First(Ok(value)) | Either::Second(Ok(value)) => Some(value),
                    Either::First(Err(_)) | Either::Second(Err(_)) => return ledger,
                },
            };
            if let Some(value) = received {
                ledger.received.push(value);
                if hall.received.fetch_add(1, Ordering::Relaxed) + 1 == MESSAGES {
                    hall.close();
                }
            }
        }
    });
    assert_eq!(sent, MESSAGES);
}

/// Polls up to `times`, then gives up.
fn poll_some<F: Future>(mut future: Pin<&mut F>, times: u64, waker: &Waker) -> Option<F::Output> {
    let mut cx = Context::from_waker(waker);
    for _ in 0..times {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        thread::yield_now();
    }
    None
}

/// Every select is polled a few times and dropped, whatever it has come to.
fn dropped_at_any_poll<M, A, B>()
where
    M: RawMutex + Send + Sync,
    A: ConstStrategy<u64, Receipt = ()> + Compete<u64> + Send + Sync,
    B: ConstStrategy<u64, Receipt = ()> + Compete<u64> + Send + Sync,
{
    let sent = run::<M, A, B>(|thread, hall| {
        let mut ledger = Ledger::default();
        let mut source = Source::of(thread, MESSAGES / THREADS);
        let mut random = Random(100 + thread as u64);
        let waker = Waker::noop();
        loop {
            let (first, second) = (source.take(), source.take());
            if first.is_none() && hall.received.load(Ordering::Relaxed) >= MESSAGES {
                return ledger;
            }
            // A thread that has sent everything goes on receiving; its sends never begin.
            let sends = first.is_some() && second.is_some();
            let mut to_a = pin!(hall.a.send(first.unwrap_or(0)));
            let mut to_b = pin!(hall.b.send(second.unwrap_or(0)));
            let times = random.below(4);
            let outcome = if sends {
                let arms = (hall.b.recv(), to_a.as_mut(), hall.a.recv(), to_b.as_mut());
                poll_some(pin!(select(arms)), times, waker)
            } else if first.is_some() {
                let outcome = poll_some(pin!(select((to_a.as_mut(), hall.b.recv()))), times, waker);
                outcome.map(|outcome| match outcome {
                    Either::First(sent) => Either4::Second(sent),
                    Either::Second(value) => Either4::First(value),
                })
            } else {
                let outcome = poll_some(pin!(select((hall.a.recv(), hall.b.recv()))), times, waker);
                outcome.map(|outcome| match outcome {
                    Either::First(value) => Either4::Third(value),
                    Either::Second(value) => Either4::First(value),
                })
            };
            let acknowledged = match outcome {
                Some(Either4::First(value) | Either4::Third(value)) => {
                    ledger.received.push(value.expect("never closed"));
                    hall.received.fetch_add(1, Ordering::Relaxed);
                    None
                }
                Some(Either4::Second(sent)) => {
                    sent.expect("never closed");
                    first
                }
                Some(Either4::Fourth(sent)) => {
                    sent.expect("never closed");
                    second
                }
                None => None,
            };
            ledger.acknowledged.extend(acknowledged);
            // What neither came back nor was acknowledged has been taken by a receiver.
            let mut matched = 0;
            for (value, back) in
                [(first, to_a.as_mut().take_value()), (second, to_b.as_mut().take_value())]
            {
                let Some(value) = value else { continue };
                match back {
                    Some(back) => source.returned.push(back),
                    None => {
                        matched += 1;
                        if acknowledged != Some(value) {
                            assert!(outcome.is_none(), "a losing send went through");
                            ledger.taken.push(value);
                        }
                    }
                }
            }
            assert!(matched <= 1, "two arms happened");
        }
    });
    assert_eq!(sent, MESSAGES);
}

/// Operations and selects with deadlines and cancellations, on channels that are closed at a random
/// moment; every value is offered once.
fn closed_and_limited<M, A, B>()
where
    M: RawMutex + Send + Sync,
    A: ConstStrategy<u64, Receipt = ()> + Compete<u64> + Send + Sync,
    B: ConstStrategy<u64, Receipt = ()> + Compete<u64> + Send + Sync,
{
    const ROUNDS: usize = 100;
    const OFFERS: usize = MESSAGES / THREADS / ROUNDS;
    let timers: Timers<M> = Timers::new();
    let over = AtomicBool::new(false);
    let totals = thread::scope(|scope| {
        scope.spawn(|| {
            let mut now = 0;
            while !over.load(Ordering::Relaxed) {
                now += 1;
                timers.advance(now);
                thread::yield_now();
            }
        });
        let mut totals = [0; 6];
        for round in 0..ROUNDS {
            let cancel: CancelToken<M> = CancelToken::new();
            let ends: [AtomicUsize; 6] = Default::default();
            run::<M, A, B>(|thread, hall| {
                let seed = (round * THREADS + thread) as u64;
                limited_thread(thread, OFFERS, Random(1_000 + seed), hall, &timers, &cancel, &ends)
            });
            for (total, end) in totals.iter_mut().zip(&ends) {
                *total += end.load(Ordering::Relaxed);
            }
        }
        over.store(true, Ordering::Relaxed);
        totals
    });
    println!("acknowledged, received, closed, cancelled, timed out, sleep won: {totals:?}");
    assert!(totals.iter().all(|&total| total > 0), "an end that never happened: {totals:?}");
}

/// One thread's part of a round of [`closed_and_limited`].
fn limited_thread<M, A, B>(
    thread: usize,
    offers: usize,
    mut random: Random,
    hall: &Hall<M, A, B>,
    timers: &Timers<M>,
    cancel: &CancelToken<M>,
    ends: &[AtomicUsize; 6],
) -> Ledger
where
    M: RawMutex + Send + Sync,
    A: ConstStrategy<u64, Receipt = ()> + Compete<u64>,
    B: ConstStrategy<u64, Receipt = ()> + Compete<u64>,
{
    let mut ledger = Ledger::default();
    let ended = |end: usize| {
        ends[end].fetch_add(1, Ordering::Relaxed);
    };
    let disturb_at = random.below(offers as u64) as usize;
    let disturbance = random.below(3);
    for (number, value) in ((thread as u64) << 32..).take(offers).enumerate() {
        // Late in the round, so that most of it is undisturbed.
        if number == offers / 2 + disturb_at / 2 {
            match disturbance {
                0 => drop(hall.a.close()),
                1 => drop(hall.b.close()),
                _ => cancel.cancel(),
            }
        }
        let deadline = timers.after(random.below(20));
        match random.below(4) {
            0 => match block_on(
                hall.a.send(value).deadline(deadline).cancelled_by(cancel.cancelled()),
            ) {
                Ok(()) => {
                    ended(0);
                    ledger.acknowledged.push(value);
                }
                Err(SendTimeoutError::Closed(back)) => {
                    ended(2);
                    assert_eq!(back, value);
                }
                Err(SendTimeoutError::Cancelled(back)) => {
                    ended(3);
                    assert_eq!(back, value);
                }
                Err(SendTimeoutError::Timeout(back)) => {
                    ended(4);
                    assert_eq!(back, value);
                }
            },
            1 => {
                let recv = hall.a.recv().cancelled_by(cancel.cancelled()).deadline(deadline);
                match block_on(recv) {
                    Ok(value) => {
                        ended(1);
                        ledger.received.push(value);
                    }
                    Err(RecvTimeoutError::Closed) => ended(2),
                    Err(RecvTimeoutError::Cancelled) => ended(3),
                    Err(RecvTimeoutError::Timeout) => ended(4),
                }
            }
            arms => {
                let mut to_a = pin!(hall.a.send(value));
                let mut to_b = pin!(hall.b.send(value | 1 << 31));
                let (from_a, from_b) = (hall.a.recv(), hall.b.recv());
                let outcome = if arms == 2 {
                    block_on(select((to_a.as_mut(), from_a, to_b.as_mut(), from_b, deadline)))
                } else {
                    // The deadline first, as it may have passed before the select begins.
                    match block_on(select((deadline, from_b, to_b.as_mut(), from_a, to_a.as_mut())))
                    {
                        Either5::First(()) => Either5::Fifth(()),
                        Either5::Second(value) => Either5::Fourth(value),
                        Either5::Third(sent) => Either5::Third(sent),
                        Either5::Fourth(value) => Either5::Second(value),
                        Either5::Fifth(sent) => Either5::First(sent),
                    }
                };
                let back = (to_a.as_mut().take_value(), to_b.as_mut().take_value());
                let gone = usize::from(back.0.is_none()) + usize::from(back.1.is_none());
                match outcome {
                    Either5::First(sent) | Either5::Third(sent) => {
                        assert_eq!(gone, 1, "exactly one value has left");
                        match sent {
                            Ok(()) => {
                                ended(0);
                                let sent = if back.0.is_none() { value } else { value | 1 << 31 };
                                ledger.acknowledged.push(sent);
                            }
                            Err(error) => {
                                ended(2);
                                assert_eq!(error.into_inner() & !(1 << 31), value);
                            }
                        }
                    }
                    Either5::Second(received) | Either5::Fourth(received) => {
                        assert_eq!(gone, 0, "a losing send went through");
                        match received {
                            Ok(value) => {
                                ended(1);
                                ledger.received.push(value);
                            }
                            Err(_) => ended(2),
                        }
                    }
                    Either5::Fifth(()) => {
                        ended(5);
                        assert_eq!(gone, 0, "a losing send went through");
                    }
                }
            }
        }
    }
    ledger
}

macro_rules! under_each_lock {
    ($($test:ident: $run:ident<$a:ty, $b:ty>;)+) => {
        mod parking {
            use super::*;
            $(#[test] fn $test() { $run::<StdRawMutex, $a, $b>(); })+
        }
        mod spinning {
            use super::*;
            $(#[test] fn $test() { $run::<SpinRawMutex, $a, $b>(); })+
        }
    };
}

under_each_lock! {
    rendezvous_to_the_end: to_the_end<Rendezvous, Rendezvous>;
    buffered_to_the_end: to_the_end<Buffered<1>, Buffered<4>>;
    mixed_to_the_end: to_the_end<Rendezvous, Buffered<2>>;
    rendezvous_dropped_at_any_poll: dropped_at_any_poll<Rendezvous, Rendezvous>;
    buffered_dropped_at_any_poll: dropped_at_any_poll<Buffered<1>, Buffered<4>>;
    mixed_dropped_at_any_poll: dropped_at_any_poll<Rendezvous, Buffered<2>>;
    rendezvous_closed_and_limited: closed_and_limited<Rendezvous, Rendezvous>;
    buffered_closed_and_limited: closed_and_limited<Buffered<1>, Buffered<4>>;
    mixed_closed_and_limited: closed_and_limited<Rendezvous, Buffered<2>>;
}
