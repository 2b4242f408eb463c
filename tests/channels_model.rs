//! Channels against a plain sequential model.
//!
//! Random sequences of operations, with futures polled and dropped at random moments, run on a channel
//! and on a model that is two queues of waiters and one of values. After every step the results, the
//! order of service, every counter, and the number of wake-ups must agree; at the end every value has
//! been dropped exactly once.
//!
//! A failure prints the seed and the step; a test of one seed is `sequence(kind, seed)`.
#![cfg(not(loom))]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use cloakroom::Arena;
use cloakroom::channel::{
    Buffered, ByteRecvError, Bytes, BytesError, Channel, ChannelSnapshot, Compete, Conflated,
    RecvFuture, Rendezvous, SendFuture, Unlimited,
};
use cloakroom::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::limit::Operation;
use cloakroom::sync::{RawMutex, SpinRawMutex};

type Lock = SpinRawMutex;

/// SplitMix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// A numbered value that counts its drops.
struct Value {
    id: usize,
    drops: Rc<RefCell<Vec<u32>>>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.drops.borrow_mut()[self.id] += 1;
    }
}

/// A waker that counts.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How an operation ended, with the number of the value that was involved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// With what it replaced.
    Sent(Option<usize>),
    SendClosed(usize),
    SendCancelled(usize),
    SendTimeout(usize),
    Received(usize),
    RecvClosed,
    RecvCancelled,
    RecvTimeout,
}

/// What a successful send returns, as the number of the value that was replaced.
trait Replaced {
    fn id(self) -> Option<usize>;
}

impl Replaced for () {
    fn id(self) -> Option<usize> {
        None
    }
}

impl Replaced for Option<Value> {
    fn id(self) -> Option<usize> {
        self.map(|value| value.id)
    }
}

/// The model: who waits, who was promised what, and the counters.
struct Model {
    meets: bool,
    replaces: bool,
    capacity: usize,
    closed: bool,
    queue: VecDeque<usize>,
    /// Waiting operations, by their numbers.
    senders: VecDeque<usize>,
    receivers: VecDeque<usize>,
    promised_slots: usize,
    promised_values: usize,
    operations: Vec<Waiting>,
    counters: ChannelSnapshot,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    New,
    Queued,
    Granted,
    Taken,
    Closed,
    Ended,
}

/// An operation as the model sees it.
struct Waiting {
    phase: Phase,
    /// What it sends, if it sends.
    value: Option<usize>,
    /// How often the channel has woken it.
    wakes: usize,
}

impl Model {
    fn new(empty: ChannelSnapshot, meets: bool, replaces: bool, capacity: usize) -> Self {
        Self {
            meets,
            replaces,
            capacity,
            closed: false,
            queue: VecDeque::new(),
            senders: VecDeque::new(),
            receivers: VecDeque::new(),
            promised_slots: 0,
            promised_values: 0,
            operations: Vec::new(),
            counters: empty,
        }
    }

    fn has_room(&self) -> bool {
        self.replaces || self.queue.len() + self.promised_slots < self.capacity
    }

    fn put(&mut self, value: usize) -> Option<usize> {
        self.counters.sent += 1;
        let replaced = if self.replaces { self.queue.pop_front() } else { None };
        self.counters.dropped += u32::from(replaced.is_some());
        self.queue.push_back(value);
        self.counters.high_water = self.counters.high_water.max(self.queue.len());
        replaced
    }

    fn pull(&mut self) -> usize {
        self.counters.received += 1;
        self.counters.delivered += 1;
        self.queue.pop_front().expect("a value that was promised")
    }

    fn decide(&mut self, operation: usize, phase: Phase) {
        let waiting = &mut self.operations[operation];
        assert_eq!(waiting.phase, Phase::Queued);
        waiting.phase = phase;
        waiting.wakes += 1;
    }

    /// What the channel owes its waiters.
    fn settle(&mut self) {
        loop {
            if self.queue.len() > self.promised_values && !self.receivers.is_empty() {
                let receiver = self.receivers.pop_front().expect("not empty");
                self.promised_values += 1;
                self.decide(receiver, Phase::Granted);
            } else if self.meets {
                if self.senders.is_empty() || self.receivers.is_empty() || !self.queue.is_empty() {
                    break;
                }
                let sender = self.senders.pop_front().expect("not empty");
                let receiver = self.receivers.pop_front().expect("not empty");
                let value = self.operations[sender].value.expect("a sender");
                self.put(value);
                self.promised_values += 1;
                self.decide(sender, Phase::Taken);
                self.decide(receiver, Phase::Granted);
            } else if !self.closed && !self.senders.is_empty() && self.has_room() {
                let sender = self.senders.pop_front().expect("not empty");
                self.promised_slots += 1;
                self.decide(sender, Phase::Granted);
            } else {
                break;
            }
        }
        if self.closed {
            while let Some(sender) = self.senders.pop_front() {
                self.decide(sender, Phase::Closed);
            }
            if self.is_drained() {
                while let Some(receiver) = self.receivers.pop_front() {
                    self.decide(receiver, Phase::Closed);
                }
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.closed && self.queue.is_empty() && self.promised_slots == 0
    }

    /// `None`: no room.
    fn offer(&mut self, value: usize) -> Option<Outcome> {
        if self.closed {
            self.counters.refused += 1;
            return Some(Outcome::SendClosed(value));
        }
        let possible = if self.meets {
            self.queue.is_empty() && !self.receivers.is_empty()
        } else {
            self.senders.is_empty() && self.has_room()
        };
        possible.then(|| {
            let replaced = self.put(value);
            self.settle();
            Outcome::Sent(replaced)
        })
    }

    /// `None`: nothing there.
    fn take(&mut self) -> Option<Outcome> {
        if self.queue.len() > self.promised_values {
            let value = self.pull();
            self.settle();
            Some(Outcome::Received(value))
        } else if self.meets && self.queue.is_empty() && !self.senders.is_empty() {
            let sender = self.senders.pop_front().expect("not empty");
            self.decide(sender, Phase::Taken);
            self.counters.sent += 1;
            self.counters.received += 1;
            self.counters.delivered += 1;
            Some(Outcome::Received(self.operations[sender].value.expect("a sender")))
        } else if self.is_drained() {
            Some(Outcome::RecvClosed)
        } else {
            None
        }
    }

    /// What polling a send or a receive comes to.
    fn poll(&mut self, operation: usize) -> Option<Outcome> {
        let Waiting { phase, value, .. } = self.operations[operation];
        let outcome = match (phase, value) {
            (Phase::New, Some(value)) => {
                let outcome = self.offer(value);
                if outcome.is_none() {
                    self.counters.send_waits += 1;
                    self.operations[operation].phase = Phase::Queued;
                    self.senders.push_back(operation);
                    self.settle();
                }
                outcome
            }
            (Phase::New, None) => {
                let outcome = self.take();
                if outcome.is_none() {
                    self.counters.recv_waits += 1;
                    self.operations[operation].phase = Phase::Queued;
                    self.receivers.push_back(operation);
                    self.settle();
                }
                outcome
            }
            (Phase::Queued, _) => None,
            (Phase::Granted, Some(value)) => {
                self.promised_slots -= 1;
                let replaced = self.put(value);
                self.settle();
                Some(Outcome::Sent(replaced))
            }
            (Phase::Granted, None) => {
                self.promised_values -= 1;
                let value = self.pull();
                self.settle();
                Some(Outcome::Received(value))
            }
            (Phase::Taken, _) => Some(Outcome::Sent(None)),
            (Phase::Closed, Some(value)) => {
                self.counters.refused += 1;
                Some(Outcome::SendClosed(value))
            }
            (Phase::Closed, None) => Some(Outcome::RecvClosed),
            (Phase::Ended, _) => unreachable!("polled after its end"),
        };
        if outcome.is_some() {
            self.operations[operation].phase = Phase::Ended;
        }
        outcome
    }

    /// Dropping, or giving up.
    fn leave(&mut self, operation: usize) {
        let waiting = &mut self.operations[operation];
        let is_sender = waiting.value.is_some();
        match std::mem::replace(&mut waiting.phase, Phase::Ended) {
            Phase::Queued => {
                let list = if is_sender { &mut self.senders } else { &mut self.receivers };
                list.retain(|&other| other != operation);
            }
            Phase::Granted if is_sender => self.promised_slots -= 1,
            Phase::Granted => self.promised_values -= 1,
            _ => {}
        }
        self.settle();
    }
}

/// An operation under way.
enum Running<'a, S: Compete<Value>> {
    Send(Pin<Box<SendFuture<'a, Lock, Value, S>>>),
    Recv(Pin<Box<RecvFuture<'a, Lock, Value, S>>>),
    Limited(Pin<Box<dyn Future<Output = Outcome> + 'a>>, Limit),
}

#[derive(Clone, Copy)]
struct Limit {
    deadline: Option<u64>,
    token: Option<usize>,
}

/// One sequence. `capacity` is what the model believes.
fn sequence<'a, S: Compete<Value>>(
    channel: &'a Channel<Lock, Value, S>,
    shape: (bool, bool, usize),
    seed: u64,
    drops: &Rc<RefCell<Vec<u32>>>,
    timers: &'a Timers<Lock>,
    tokens: &'a [CancelToken<Lock>],
) where
    S::Receipt: Replaced,
{
    let mut random = Random(seed);
    let mut model = Model::new(channel.snapshot(), shape.0, shape.1, shape.2);
    let mut live: Vec<(usize, Running<'a, S>, Arc<Count>)> = Vec::new();
    let fresh = || {
        let id = drops.borrow().len();
        drops.borrow_mut().push(0);
        Value { id, drops: drops.clone() }
    };
    let mut now = timers.now();
    for step in 0..400 {
        let context = || format!("seed {seed}, step {step}");
        match random.below(100) {
            0..15 => {
                let value = fresh();
                let id = value.id;
                let expected = model.offer(id);
                let got = match channel.try_send(value) {
                    Ok(receipt) => Some(Outcome::Sent(receipt.id())),
                    Err(TrySendError::Closed(back)) => Some(Outcome::SendClosed(back.id)),
                    Err(TrySendError::Full(back)) => {
                        assert_eq!(back.id, id);
                        model.counters.full += 1;
                        None
                    }
                };
                assert_eq!(got, expected, "try_send, {}", context());
            }
            15..30 => {
                let expected = model.take();
                let got = match channel.try_recv() {
                    Ok(value) => Some(Outcome::Received(value.id)),
                    Err(TryRecvError::Closed) => Some(Outcome::RecvClosed),
                    Err(TryRecvError::Empty) => {
                        model.counters.empty += 1;
                        None
                    }
                };
                assert_eq!(got, expected, "try_recv, {}", context());
            }
            30..55 if live.len() < 10 => {
                let limit = Limit {
                    deadline: (random.below(2) == 0).then(|| now + random.below(30) as u64),
                    token: (random.below(2) == 0).then(|| random.below(tokens.len())),
                };
                let limited = random.below(3) == 0;
                let sends = random.below(2) == 0;
                let value = sends.then(&fresh);
                model.operations.push(Waiting {
                    phase: Phase::New,
                    value: value.as_ref().map(|value| value.id),
                    wakes: 0,
                });
                // A missing limit is one that never comes true.
                let deadline = timers.at(limit.deadline.unwrap_or(u64::MAX));
                let token = limit.token.map(|token| tokens[token].cancelled());
                let cancelled = async {
                    match token {
                        Some(token) => token.await,
                        None => std::future::pending().await,
                    }
                };
                let running = match (value, limited) {
                    (Some(value), false) => Running::Send(Box::pin(channel.send(value))),
                    (None, false) => Running::Recv(Box::pin(channel.recv())),
                    (Some(value), true) => {
                        let future = async move {
                            let send = channel.send(value);
                            match send.deadline(deadline).cancelled_by(cancelled).await {
                                Ok(receipt) => Outcome::Sent(receipt.id()),
                                Err(SendTimeoutError::Closed(back)) => Outcome::SendClosed(back.id),
                                Err(SendTimeoutError::Cancelled(back)) => {
                                    Outcome::SendCancelled(back.id)
                                }
                                Err(SendTimeoutError::Timeout(back)) => {
                                    Outcome::SendTimeout(back.id)
                                }
                            }
                        };
                        Running::Limited(Box::pin(future), limit)
                    }
                    (None, true) => {
                        let future = async move {
                            let recv = channel.recv();
                            match recv.cancelled_by(cancelled).deadline(deadline).await {
                                Ok(value) => Outcome::Received(value.id),
                                Err(RecvTimeoutError::Closed) => Outcome::RecvClosed,
                                Err(RecvTimeoutError::Cancelled) => Outcome::RecvCancelled,
                                Err(RecvTimeoutError::Timeout) => Outcome::RecvTimeout,
                            }
                        };
                        Running::Limited(Box::pin(future), limit)
                    }
                };
                live.push((
                    model.operations.len() - 1,
                    running,
                    Arc::new(Count(AtomicUsize::new(0))),
                ));
            }
            30..80 if !live.is_empty() => {
                let at = random.below(live.len());
                let (operation, running, count) = &mut live[at];
                let operation = *operation;
                let waker = Waker::from(count.clone());
                let mut cx = Context::from_waker(&waker);
                let mut expected = model.poll(operation);
                let got = match running {
                    Running::Send(send) => send.as_mut().poll(&mut cx).map(|result| match result {
                        Ok(receipt) => Outcome::Sent(receipt.id()),
                        Err(SendError(back)) => Outcome::SendClosed(back.id),
                    }),
                    Running::Recv(recv) => recv.as_mut().poll(&mut cx).map(|result| match result {
                        Ok(value) => Outcome::Received(value.id),
                        Err(RecvError) => Outcome::RecvClosed,
                    }),
                    Running::Limited(future, limit) => {
                        if expected.is_none() {
                            let cancelled =
                                limit.token.is_some_and(|token| tokens[token].is_cancelled());
                            let late = limit.deadline.is_some_and(|deadline| deadline <= now);
                            let value = model.operations[operation].value;
                            expected = match (cancelled, late, value) {
                                (true, _, Some(value)) => Some(Outcome::SendCancelled(value)),
                                (true, _, None) => Some(Outcome::RecvCancelled),
                                (false, true, Some(value)) => Some(Outcome::SendTimeout(value)),
                                (false, true, None) => Some(Outcome::RecvTimeout),
                                (false, false, _) => None,
                            };
                            if expected.is_some() {
                                model.leave(operation);
                                let counters = &mut model.counters;
                                *if cancelled {
                                    &mut counters.cancelled
                                } else {
                                    &mut counters.timeouts
                                } += 1;
                            }
                        }
                        future.as_mut().poll(&mut cx)
                    }
                };
                let got = match got {
                    Poll::Ready(outcome) => Some(outcome),
                    Poll::Pending => None,
                };
                assert_eq!(got, expected, "poll, {}", context());
                if got.is_some() {
                    live.swap_remove(at);
                }
            }
            80..92 if !live.is_empty() => {
                let (operation, running, _) = live.swap_remove(random.below(live.len()));
                let value = model.operations[operation].value;
                let was_taken = model.operations[operation].phase == Phase::Taken;
                model.leave(operation);
                if let (Running::Send(mut send), true) = (running, random.below(2) == 0) {
                    let back = send.as_mut().take_value().map(|value| value.id);
                    assert_eq!(back, if was_taken { None } else { value }, "{}", context());
                }
            }
            92..96 => {
                now += random.below(12) as u64;
                timers.advance(now);
            }
            96 => tokens[random.below(tokens.len())].cancel(),
            97 if random.below(6) == 0 => {
                assert_eq!(channel.close(), !model.closed, "{}", context());
                model.closed = true;
                model.settle();
            }
            _ => {}
        }
        model.counters.depth = model.queue.len();
        model.counters.closed = model.closed;
        assert_eq!(channel.snapshot(), model.counters, "{}", context());
        let ChannelSnapshot { sent, received, dropped, depth, .. } = model.counters;
        assert_eq!(sent, received + dropped + depth as u32, "{}", context());
        for (operation, running, count) in &live {
            let (woken, owed) =
                (count.0.load(Ordering::Relaxed), model.operations[*operation].wakes);
            match running {
                // The deadline and the cancellation wake it, too.
                Running::Limited(..) => {
                    assert!(owed <= woken && woken <= owed + 2, "{}", context())
                }
                _ => assert_eq!(woken, owed, "wake-ups, {}", context()),
            }
        }
    }
    // Half of what is left is received, the rest goes with the channel.
    drop(live);
    for _ in 0..channel.len() / 2 {
        drop(channel.try_recv());
    }
}

/// Runs many sequences on fresh channels.
fn sequences<S: Compete<Value>>(
    seeds: std::ops::Range<u64>,
    shape: (bool, bool, usize),
    make: impl Fn() -> Channel<Lock, Value, S>,
) where
    S::Receipt: Replaced,
{
    println!("seeds {seeds:?}");
    let mut totals = [0u64; 10];
    for seed in seeds {
        let drops = Rc::new(RefCell::new(Vec::new()));
        {
            let (channel, timers) = (make(), Timers::new());
            let tokens: [CancelToken<Lock>; 6] = Default::default();
            sequence(&channel, shape, seed, &drops, &timers, &tokens);
            let snapshot = channel.snapshot();
            let counters = [
                snapshot.sent,
                snapshot.received,
                snapshot.dropped,
                snapshot.full,
                snapshot.empty,
                snapshot.refused,
                snapshot.send_waits,
                snapshot.recv_waits,
                snapshot.timeouts,
                snapshot.cancelled,
            ];
            for (total, counter) in totals.iter_mut().zip(counters) {
                *total += u64::from(counter);
            }
        }
        assert!(
            drops.borrow().iter().all(|&drops| drops == 1),
            "seed {seed}: values dropped other than once"
        );
    }
    println!(
        "sent, received, dropped, full, empty, refused, send waits, recv waits, timeouts, \
         cancelled: {totals:?}"
    );
    // Every counter that can move has moved.
    let (_, replaces, capacity) = shape;
    for (number, total) in totals.into_iter().enumerate() {
        let moves = match number {
            2 => replaces,
            3 | 6 => !replaces && capacity < usize::MAX,
            _ => true,
        };
        assert_eq!(total > 0, moves, "counter {number}");
    }
}

#[test]
fn rendezvous() {
    sequences(0..2_000, (true, false, 0), Channel::<Lock, Value, Rendezvous>::new);
}

#[test]
fn buffered() {
    sequences(0..1_500, (false, false, 1), Channel::<Lock, Value, Buffered<1>>::new);
    sequences(1_500..3_000, (false, false, 3), Channel::<Lock, Value, Buffered<3>>::new);
}

#[test]
fn conflated() {
    sequences(0..2_000, (false, true, 1), Channel::<Lock, Value, Conflated>::new);
}

#[test]
fn unlimited_with_memory_to_spare() {
    let arena: Arena<Lock, 512, 64, 64> = Arena::new();
    sequences(0..2_000, (false, false, usize::MAX), || {
        Channel::<Lock, Value, Unlimited<'_, Lock, 3>>::over(&arena)
    });
    assert_eq!(arena.snapshot().live, 0);
    assert!(arena.handle().verify().is_clean());
}

/// An unlimited channel whose arena is used up again and again, also by others: who gets in when is
/// the arena's affair, but order, conservation and progress are the channel's.
#[test]
fn unlimited_without_memory() {
    for seed in 0..2_000 {
        let arena: Arena<Lock, 16, 64, 16> = Arena::new();
        let drops = Rc::new(RefCell::new(Vec::new()));
        let mut random = Random(seed);
        {
            let channel: Channel<Lock, Value, Unlimited<'_, Lock, 3>> = Channel::over(&arena);
            let fresh = || {
                let id = drops.borrow().len();
                drops.borrow_mut().push(0);
                Value { id, drops: drops.clone() }
            };
            let waker = Waker::noop();
            let mut cx = Context::from_waker(waker);
            let mut sends = Vec::new();
            let mut hogs = Vec::new();
            let mut expected = VecDeque::new();
            for step in 0..300 {
                match random.below(100) {
                    0..25 => {
                        let value = fresh();
                        let id = value.id;
                        if channel.try_send(value).is_ok() {
                            expected.push_back(id);
                        }
                    }
                    25..45 => {
                        let value = fresh();
                        sends.push((value.id, Box::pin(channel.send(value))));
                    }
                    45..65 if !sends.is_empty() => {
                        let at = random.below(sends.len());
                        if sends[at].1.as_mut().poll(&mut cx).is_ready() {
                            expected.push_back(sends.remove(at).0);
                        }
                    }
                    65..72 if !sends.is_empty() => {
                        drop(sends.swap_remove(random.below(sends.len())));
                    }
                    72..90 => {
                        let got = channel.try_recv().ok().map(|value| value.id);
                        assert_eq!(got, expected.pop_front(), "seed {seed}, step {step}");
                    }
                    90..95 => hogs.extend(arena.try_alloc(1 + random.below(500)).ok()),
                    _ => hogs.truncate(hogs.len() / 2),
                }
                assert_eq!(channel.len(), expected.len(), "seed {seed}, step {step}");
            }
            // When there is memory again, everybody who waits gets in, in one pass or a few.
            drop(hogs);
            for _ in 0..1_000 {
                let mut at = 0;
                while at < sends.len() {
                    if sends[at].1.as_mut().poll(&mut cx).is_ready() {
                        expected.push_back(sends.remove(at).0);
                    } else {
                        at += 1;
                    }
                }
                let got = channel.try_recv().ok().map(|value| value.id);
                assert_eq!(got, expected.pop_front(), "seed {seed}, at the end");
                if got.is_none() && sends.is_empty() {
                    break;
                }
            }
            assert!(sends.is_empty(), "seed {seed}: senders wait though there is memory");
            assert_eq!(arena.snapshot().live, 1, "seed {seed}: an empty channel keeps one segment");
        }
        assert!(drops.borrow().iter().all(|&drops| drops == 1), "seed {seed}");
        assert_eq!(arena.snapshot().live, 0, "seed {seed}");
        assert!(arena.handle().verify().is_clean(), "seed {seed}");
    }
}

/// How a pending operation ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Dropped,
    Cancelled,
    TimedOut,
    Closed,
    /// What it waits for happens, and it is dropped before it knows.
    MatchedThenDropped,
}

const ENDINGS: [Ending; 5] = [
    Ending::Dropped,
    Ending::Cancelled,
    Ending::TimedOut,
    Ending::Closed,
    Ending::MatchedThenDropped,
];

/// Every operation of a message channel, pending, with every ending. `fill` messages make it full.
fn byte_operations<'a, S: Compete<cloakroom::Parcel<'a, M>>, M: RawMutex + Sync>(
    arena: &'a Arena<M, 64, 64, 32>,
    make: impl Fn() -> Bytes<'a, M, S>,
    fill: usize,
    senders_wait: bool,
) {
    let handle = arena.handle();
    let lease = || {
        let mut lease = handle.try_alloc(100).expect("plenty");
        lease.fill(7);
        lease
    };
    let mut cx = Context::from_waker(Waker::noop());
    for ending in ENDINGS {
        for operation in 0..4 {
            if operation > 0 && !senders_wait {
                continue;
            }
            let (timers, token): (Timers<M>, CancelToken<M>) = Default::default();
            let channel = make();
            if operation > 0 {
                for _ in 0..fill {
                    channel.try_send_bytes(handle, &[1; 70]).expect("room");
                }
            }
            let pending = Cell::new(true);
            let end = || {
                match ending {
                    Ending::Dropped => {}
                    Ending::Cancelled => token.cancel(),
                    Ending::TimedOut => timers.advance(10),
                    Ending::Closed => drop(channel.close()),
                    Ending::MatchedThenDropped if operation == 0 => {
                        channel.try_send(lease()).map_err(drop).expect("a receiver waits");
                    }
                    Ending::MatchedThenDropped => {
                        channel.try_recv().expect("a message, or a sender that waits");
                    }
                }
                pending.set(matches!(ending, Ending::Dropped | Ending::MatchedThenDropped));
            };
            let sent = |result: Poll<Result<S::Receipt, SendTimeoutError<_>>>| match result {
                Poll::Pending => None,
                Poll::Ready(Ok(_)) => panic!("sent"),
                Poll::Ready(Err(error)) => {
                    let ending = match &error {
                        SendTimeoutError::Closed(_) => Ending::Closed,
                        SendTimeoutError::Cancelled(_) => Ending::Cancelled,
                        SendTimeoutError::Timeout(_) => Ending::TimedOut,
                    };
                    let parcel: cloakroom::Parcel<'_, M> = error.into_inner();
                    let lease = parcel.redeem().expect("undamaged");
                    assert_eq!(&*lease, &[7; 100]);
                    Some(ending)
                }
            };
            let ended = match operation {
                0 => {
                    let recv = channel.recv().deadline(timers.at(10));
                    let mut recv = pin!(recv.cancelled_by(token.cancelled()));
                    assert!(recv.as_mut().poll(&mut cx).is_pending());
                    end();
                    if pending.get() { None } else { Some(recv.as_mut().poll(&mut cx)) }.map(
                        |ended| match ended {
                            Poll::Ready(Err(ByteRecvError::Closed)) => Ending::Closed,
                            Poll::Ready(Err(ByteRecvError::Cancelled)) => Ending::Cancelled,
                            Poll::Ready(Err(ByteRecvError::Timeout)) => Ending::TimedOut,
                            other => panic!("{:?}", other.map(|result| result.map(drop))),
                        },
                    )
                }
                1 | 2 => {
                    let send = if operation == 1 {
                        channel.send(lease())
                    } else {
                        channel.send_parcel(lease().into_parcel())
                    };
                    let send = send.deadline(timers.at(10)).cancelled_by(token.cancelled());
                    let mut send = pin!(send);
                    assert!(sent(send.as_mut().poll(&mut cx)).is_none());
                    end();
                    if pending.get() { None } else { sent(send.as_mut().poll(&mut cx)) }
                }
                _ => {
                    let mut send = pin!(channel.send_bytes(handle, &[7; 100]));
                    assert!(send.as_mut().poll(&mut cx).is_pending());
                    end();
                    match (ending, send.as_mut().poll(&mut cx)) {
                        (Ending::Closed, Poll::Ready(Err(BytesError::Closed))) => {}
                        (Ending::MatchedThenDropped, Poll::Ready(Ok(()))) => {}
                        (Ending::Closed | Ending::MatchedThenDropped, other) => panic!("{other:?}"),
                        (_, other) => assert!(other.is_pending()),
                    }
                    None
                }
            };
            if let Some(ended) = ended {
                assert_eq!(ended, ending);
            }
            drop(channel);
            let context = format!("operation {operation}, {ending:?}");
            assert_eq!(arena.snapshot().live, 0, "{context}");
            assert!(handle.verify().is_clean(), "{context}");
        }
    }
}

#[test]
fn operations_on_bytes_leave_nothing_behind() {
    let arena: Arena<Lock, 64, 64, 32> = Arena::new();
    byte_operations(&arena, Bytes::<Lock, Rendezvous>::new, 0, true);
    byte_operations(&arena, Bytes::<Lock, Buffered<1>>::new, 1, true);
    byte_operations(&arena, Bytes::<Lock, Buffered<3>>::new, 3, true);
    byte_operations(&arena, Bytes::<Lock, Conflated>::new, 1, false);
    byte_operations(&arena, || Bytes::<Lock, Unlimited<'_, Lock, 2>>::over(&arena), 0, false);
}
