//! What a channel counts is what its users saw: threads tally each outcome of each call, on every kind, with every
//! cause of failure, and the tallies add up to the counters.
//!
//! `CLOAKROOM_MESSAGES=10000000 cargo test --release --all-features --test totals` for ten million calls; unless told
//! a few hundred thousand.
#![cfg(all(feature = "std", not(loom)))]

#[path = "common/random.rs"]
mod random;

use std::ops::AddAssign;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use cloakroom::channel::{
    Broadcast, Buffered, Channel, ChannelSnapshot, Compete, Conflated, ConstStrategy, Delivery,
    DropNewest, DropOldest, Priority, Rendezvous, Strategy, Unlimited, Wait,
};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use cloakroom::kernel::CancelToken;
use cloakroom::limit::Operation;
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock, block_on, block_on_for};
use random::Random;

const THREADS: u64 = 4;

fn calls() -> u64 {
    let calls = std::env::var("CLOAKROOM_MESSAGES").ok().and_then(|calls| calls.parse().ok());
    calls.unwrap_or(300_000)
}

/// How calls ended.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Tally {
    sent: u32,
    delivered: u32,
    full: u32,
    empty: u32,
    refused: u32,
    ended: u32,
    send_timeouts: u32,
    recv_timeouts: u32,
    send_cancelled: u32,
    recv_cancelled: u32,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.full += other.full;
        self.empty += other.empty;
        self.refused += other.refused;
        self.ended += other.ended;
        self.send_timeouts += other.send_timeouts;
        self.recv_timeouts += other.recv_timeouts;
        self.send_cancelled += other.send_cancelled;
        self.recv_cancelled += other.recv_cancelled;
    }
}

impl Tally {
    fn of(snapshot: &ChannelSnapshot) -> Self {
        Self {
            sent: snapshot.sent,
            delivered: snapshot.delivered,
            full: snapshot.full,
            empty: snapshot.empty,
            refused: snapshot.refused,
            ended: snapshot.ended,
            send_timeouts: snapshot.send_timeouts,
            recv_timeouts: snapshot.recv_timeouts,
            send_cancelled: snapshot.send_cancelled,
            recv_cancelled: snapshot.recv_cancelled,
        }
    }

    fn send<S: Strategy<u64>>(&mut self, channel: &Channel<Lock, u64, S>, random: &mut Random) {
        let value = random.next();
        let outcome = match random.below(20) {
            0 => block_on_for(channel.send(value), Duration::from_micros(1)).map(drop),
            1 => {
                let token: CancelToken<Lock> = CancelToken::new();
                token.cancel();
                block_on(channel.send(value).cancelled_by(token.cancelled())).map(drop)
            }
            _ => {
                return match channel.try_send(value) {
                    Ok(_) => self.sent += 1,
                    Err(TrySendError::Full(back)) => {
                        assert_eq!(back, value);
                        self.full += 1;
                    }
                    Err(TrySendError::Closed(_)) => self.refused += 1,
                };
            }
        };
        match outcome {
            Ok(()) => self.sent += 1,
            Err(SendTimeoutError::Timeout(back)) => {
                assert_eq!(back, value);
                self.send_timeouts += 1;
            }
            Err(SendTimeoutError::Cancelled(_)) => self.send_cancelled += 1,
            Err(SendTimeoutError::Closed(_)) => self.refused += 1,
        }
    }

    fn try_received<T>(&mut self, outcome: Result<T, TryRecvError>) {
        match outcome {
            Ok(_) => self.delivered += 1,
            Err(TryRecvError::Empty) => self.empty += 1,
            Err(TryRecvError::Closed) => self.ended += 1,
        }
    }

    fn received<T>(&mut self, outcome: Result<T, RecvTimeoutError>) {
        match outcome {
            Ok(_) => self.delivered += 1,
            Err(RecvTimeoutError::Timeout) => self.recv_timeouts += 1,
            Err(RecvTimeoutError::Cancelled) => self.recv_cancelled += 1,
            Err(RecvTimeoutError::Closed) => self.ended += 1,
        }
    }

    fn receive<S: Compete<u64>>(&mut self, channel: &Channel<Lock, u64, S>, random: &mut Random) {
        match random.below(20) {
            0 => self.received(block_on_for(channel.recv(), Duration::from_micros(1))),
            1 => {
                let token: CancelToken<Lock> = CancelToken::new();
                token.cancel();
                let recv = channel.recv().cancelled_by(token.cancelled());
                self.received(block_on(recv));
            }
            _ => self.try_received(channel.try_recv()),
        }
    }
}

/// Threads do such calls; one of them closes the channel near the end.
fn adds_up<S>(
    channel: Channel<Lock, u64, S>,
    mix: impl Fn(&Channel<Lock, u64, S>, &mut Random, u64) -> Tally + Sync,
) -> Tally
where
    S: Strategy<u64> + Sync,
    Channel<Lock, u64, S>: Sync,
{
    let each = calls() / THREADS;
    let (start, mut total) = (Barrier::new(THREADS as usize), Tally::default());
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| {
                let (channel, start, mix) = (&channel, &start, &mix);
                scope.spawn(move || {
                    let mut random = Random(seed);
                    start.wait();
                    let mut tally = mix(channel, &mut random, each - each / 100);
                    if seed == 0 {
                        channel.close();
                    }
                    tally += mix(channel, &mut random, each / 100);
                    tally
                })
            })
            .collect();
        for thread in threads {
            total += thread.join().expect("no panic");
        }
    });
    let snapshot = channel.snapshot();
    assert!(snapshot.reconciles(), "{snapshot:?}");
    assert_eq!((snapshot.parked_senders, snapshot.parked_receivers), (0, 0));
    assert_eq!(Tally::of(&snapshot), total, "{:?}", snapshot.kind);
    total
}

/// Sends and receives, as many of each.
fn both<S: Compete<u64>>(
    channel: &Channel<Lock, u64, S>,
    random: &mut Random,
    calls: u64,
) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..calls {
        if random.below(2) == 0 {
            tally.send(channel, random);
        } else {
            tally.receive(channel, random);
        }
    }
    tally
}

/// On a broadcast a thread is a sender and a subscriber.
macro_rules! news {
    ($policy:ty) => {
        |channel: &Channel<Lock, u64, Broadcast<4, $policy>>, random: &mut Random, calls: u64| {
            let mut tally = Tally::default();
            let mut reader = channel.subscribe();
            for _ in 0..calls {
                if random.below(4) == 0 {
                    tally.send(channel, random);
                    continue;
                }
                match reader.try_recv() {
                    // That it has missed some is no receive of a value.
                    Ok(Delivery::Lagged(_)) => {}
                    outcome => tally.try_received(outcome),
                }
            }
            tally
        }
    };
}

/// All but these have happened.
fn all_but(rare: &[&str], tally: Tally) {
    let Tally { sent, delivered, full, empty, refused, ended, .. } = tally;
    let Tally { send_timeouts, recv_timeouts, send_cancelled, recv_cancelled, .. } = tally;
    let counts = [
        ("sent", sent),
        ("delivered", delivered),
        ("full", full),
        ("empty", empty),
        ("refused", refused),
        ("ended", ended),
        ("send timeouts", send_timeouts),
        ("receive timeouts", recv_timeouts),
        ("cancelled sends", send_cancelled),
        ("cancelled receives", recv_cancelled),
    ];
    for (name, count) in counts {
        assert_eq!(count == 0, rare.contains(&name), "{name}: {count}");
    }
}

fn compete<S: ConstStrategy<u64> + Compete<u64> + Sync>(rare: &[&str])
where
    Channel<Lock, u64, S>: Sync,
{
    all_but(rare, adds_up(Channel::<Lock, u64, S>::new(), both));
}

#[test]
fn rendezvous() {
    compete::<Rendezvous>(&[]);
}

#[test]
fn buffered() {
    compete::<Buffered<3>>(&[]);
}

#[test]
fn drop_newest() {
    compete::<Buffered<3, DropNewest>>(&["full", "send timeouts", "cancelled sends"]);
}

#[test]
fn drop_oldest() {
    compete::<Buffered<3, DropOldest>>(&["full", "send timeouts", "cancelled sends"]);
}

#[test]
fn conflated() {
    compete::<Conflated>(&["full", "send timeouts", "cancelled sends"]);
}

#[test]
fn priority() {
    compete::<Priority<4>>(&[]);
}

#[test]
fn unlimited() {
    // Little memory, so that it is full now and then.
    let arena = MappedArena::<Lock>::new(512, 64, 8).expect("memory");
    let arena = arena.handle();
    all_but(&[], adds_up(Channel::<Lock, u64, Unlimited<'_, Lock, 4>>::over(&arena), both));
}

#[test]
fn broadcast() {
    let receives = ["receive timeouts", "cancelled receives"];
    all_but(&receives, adds_up(Channel::new(), news!(Wait)));
}

#[test]
fn broadcast_drop_oldest() {
    let rare =
        ["receive timeouts", "cancelled receives", "full", "send timeouts", "cancelled sends"];
    all_but(&rare, adds_up(Channel::new(), news!(DropOldest)));
}
