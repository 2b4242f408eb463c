//! Threads that block in a channel are served without running: a sender's value is taken out of its hands, a receiver's
//! is put into them. What others do meanwhile, and whether they go away, changes nothing about what is promised.
#![cfg(all(feature = "std", not(loom)))]

#[path = "common/random.rs"]
mod random;
#[path = "common/watch.rs"]
mod watch;

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use cloakroom::channel::{
    Buffered, Channel, Compete, ConstStrategy, Priority, Receiver, Rendezvous, Sender, Strategy,
};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError, TryRecvError};
use cloakroom::std_layer::channel::{bounded, unbounded};
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock, block_on};
use random::Random;

fn waits(senders: usize, receivers: usize, waiting: impl Fn() -> (usize, usize)) {
    while waiting() != (senders, receivers) {
        thread::yield_now();
    }
}

#[test]
fn values_of_blocked_senders_are_received_before_they_run() {
    watch::watched(|| {
        let channel: Channel<Lock, u32, Buffered<1>> = Channel::new();
        thread::scope(|scope| {
            channel.try_send(0).unwrap();
            for value in 1..=4 {
                let channel = &channel;
                scope.spawn(move || channel.blocking_send(value));
                waits(value as usize, 0, || waiting(channel));
            }
            // In the order in which they came, and the ring is full after each.
            for value in 0..4 {
                assert_eq!(channel.try_recv(), Ok(value));
                assert_eq!(channel.len(), 1);
            }
            assert_eq!(channel.try_recv(), Ok(4));
            assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
        });
        let snapshot = channel.snapshot();
        assert_eq!((snapshot.sent, snapshot.received), (5, 5));
    });
}

#[test]
fn a_send_that_may_be_given_up_keeps_its_value_until_it_is_polled() {
    let channel: Channel<Lock, u32, Buffered<1>> = Channel::new();
    channel.try_send(0).unwrap();
    let mut send = pin!(channel.send(1));
    assert!(poll(send.as_mut()).is_pending());
    assert_eq!(channel.try_recv(), Ok(0));
    // It has been promised the slot.
    assert_eq!((channel.len(), channel.is_full()), (0, true));
    assert_eq!(send.as_mut().take_value(), Some(1));
    assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
}

/// As many sends as receivers wait succeed at once, whoever of these has run.
fn blocked_receivers_are_served_at_once<S>()
where
    S: ConstStrategy<u32, Receipt = (), Rank: Default> + Compete<u32> + Send + Sync,
{
    let channel: Channel<Lock, u32, S> = Channel::new();
    thread::scope(|scope| {
        let receivers: Vec<_> = (0..4)
            .map(|number| {
                let channel = &channel;
                let receiver = scope.spawn(move || channel.blocking_recv());
                waits(0, number + 1, || waiting(channel));
                receiver
            })
            .collect();
        for value in 0..4 {
            channel.try_send(value).unwrap();
        }
        let received = receivers.into_iter().map(|receiver| receiver.join().unwrap());
        assert!(received.eq((0..4).map(Ok)), "in the order in which they came");
    });
    let snapshot = channel.snapshot();
    assert_eq!((snapshot.sent, snapshot.received, snapshot.depth), (4, 4, 0));
    assert_eq!(snapshot.high_water > 0, snapshot.capacity != Some(0));
}

#[test]
fn a_rendezvous_serves_blocked_receivers_at_once() {
    watch::watched(blocked_receivers_are_served_at_once::<Rendezvous>);
}

#[test]
fn a_ring_serves_blocked_receivers_at_once() {
    watch::watched(blocked_receivers_are_served_at_once::<Buffered<1>>);
}

#[test]
fn a_value_that_comes_back_is_received_before_those_behind_it() {
    watch::watched(|| {
        let channel: Channel<Lock, u32, Buffered<2>> = Channel::new();
        let mut fickle = Box::pin(channel.recv());
        assert!(poll(fickle.as_mut()).is_pending());
        channel.try_send(1).unwrap();
        thread::scope(|scope| {
            let patient = scope.spawn(|| channel.blocking_recv());
            waits(0, 1, || waiting(&channel));
            channel.try_send(2).unwrap();
            drop(fickle);
            assert_eq!(patient.join().unwrap(), Ok(1));
        });
        assert_eq!(channel.try_recv(), Ok(2));
    });
}

#[test]
fn a_permit_among_blocked_senders_is_given_in_its_turn() {
    watch::watched(|| {
        let channel: Channel<Lock, u32, Buffered<1>> = Channel::new();
        channel.try_send(0).unwrap();
        thread::scope(|scope| {
            let channel = &channel;
            scope.spawn(move || channel.blocking_send(1));
            waits(1, 0, || waiting(channel));
            let mut reserve = pin!(channel.reserve());
            assert!(poll(reserve.as_mut()).is_pending());
            scope.spawn(move || channel.blocking_send(3));
            waits(3, 0, || waiting(channel));
            assert_eq!(channel.try_recv(), Ok(0));
            assert!(poll(reserve.as_mut()).is_pending());
            assert_eq!(channel.try_recv(), Ok(1));
            assert_eq!(channel.try_recv(), Err(TryRecvError::Empty));
            let Poll::Ready(Ok(permit)) = poll(reserve) else { panic!("it was promised") };
            permit.send(2);
            assert_eq!((channel.try_recv(), channel.try_recv()), (Ok(2), Ok(3)));
        });
    });
}

#[test]
fn closing_gives_blocked_senders_their_values_back() {
    watch::watched(|| {
        let channel: Channel<Lock, u32, Buffered<1>> = Channel::new();
        channel.try_send(0).unwrap();
        thread::scope(|scope| {
            let sender = scope.spawn(|| channel.blocking_send(1));
            waits(1, 0, || waiting(&channel));
            channel.close();
            assert_eq!(sender.join().unwrap().map_err(|error| error.0), Err(1));
            assert_eq!(channel.blocking_recv(), Ok(0));
            assert!(channel.blocking_recv().is_err());
        });
    });
}

fn waiting<S: Strategy<u32>>(channel: &Channel<Lock, u32, S>) -> (usize, usize) {
    let snapshot = channel.snapshot();
    (snapshot.parked_senders as usize, snapshot.parked_receivers as usize)
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

const THREADS: u32 = 3;
const VALUES: u32 = 4_000;

/// A send, in one of many ways; whether it was sent.
fn send<S: Strategy<u32, Receipt = ()>>(
    channel: &Sender<Lock, u32, S>,
    value: u32,
    dice: &mut Random,
) -> bool {
    let moment = Duration::from_micros(dice.below(30));
    match dice.below(6) {
        0 => match channel.blocking_send_timeout(value, moment) {
            Ok(()) => true,
            Err(SendTimeoutError::Timeout(back)) => {
                assert_eq!(back, value);
                false
            }
            Err(error) => panic!("{error:?}"),
        },
        1 => {
            let mut send = pin!(channel.send(value));
            (0..2).any(|_| poll(send.as_mut()).is_ready()) || send.take_value().is_none()
        }
        2 => {
            block_on(channel.reserve()).expect("it is open").send(value);
            true
        }
        3 => block_on(channel.send(value)).is_ok(),
        _ => channel.blocking_send(value).is_ok(),
    }
}

/// A receive, in one of many ways.
fn receive<S: Compete<u32>>(
    channel: &Receiver<Lock, u32, S>,
    dice: &mut Random,
) -> Result<Option<u32>, ()> {
    let moment = Duration::from_micros(dice.below(30));
    match dice.below(5) {
        0 => match channel.blocking_recv_timeout(moment) {
            Ok(value) => Ok(Some(value)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(_) => Err(()),
        },
        1 => match poll(pin!(channel.recv())) {
            Poll::Ready(Ok(value)) => Ok(Some(value)),
            Poll::Ready(Err(_)) => Err(()),
            Poll::Pending => Ok(None),
        },
        2 => block_on(channel.recv()).map(Some).map_err(drop),
        _ => channel.blocking_recv().map(Some).map_err(drop),
    }
}

/// Threads send and receive in all ways at once, some giving up: what was sent is received once, and in order.
fn all_ways<S>(sender: &Sender<Lock, u32, S>, receiver: &Receiver<Lock, u32, S>, in_order: bool)
where
    S: Compete<u32> + Strategy<u32, Receipt = ()> + Send + Sync,
{
    let all = Mutex::new(HashSet::new());
    let all = &all;
    let sent = thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || {
                let mut dice = Random(u64::from(number) + 100);
                let mut latest = [None; THREADS as usize];
                let mut mine = Vec::new();
                while let Ok(received) = receive(receiver, &mut dice) {
                    let Some(value) = received else { continue };
                    let (sender, number) = ((value / VALUES) as usize, value % VALUES);
                    assert!(!in_order || latest[sender] < Some(number), "{latest:?}, {value}");
                    latest[sender] = Some(number);
                    mine.push(value);
                }
                let mut all = all.lock().unwrap();
                for value in mine {
                    assert!(all.insert(value), "{value} twice");
                }
            });
        }
        let senders: Vec<_> = (0..THREADS)
            .map(|number| {
                scope.spawn(move || {
                    let mut dice = Random(u64::from(number));
                    let values = number * VALUES..(number + 1) * VALUES;
                    values.filter(|&value| send(sender, value, &mut dice)).collect::<Vec<_>>()
                })
            })
            .collect();
        let sent: Vec<u32> =
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        sender.close();
        sent
    });
    let all = all.lock().unwrap();
    assert!(sent.len() > VALUES as usize, "most are sent");
    assert_eq!(*all, sent.iter().copied().collect());
    let snapshot = receiver.snapshot();
    assert_eq!((snapshot.sent, snapshot.received), (sent.len() as u32, sent.len() as u32));
    assert_eq!(snapshot.dropped, 0);
}

fn all_ways_through<S>(in_order: bool)
where
    S: ConstStrategy<u32, Receipt = ()> + Compete<u32> + Send + Sync,
{
    let channel: Channel<Lock, u32, S> = Channel::new();
    all_ways(channel.sender(), channel.receiver(), in_order);
}

#[test]
fn all_ways_through_a_rendezvous() {
    watch::watched(|| all_ways_through::<Rendezvous>(true));
}

#[test]
fn all_ways_through_a_single_slot() {
    watch::watched(|| all_ways_through::<Buffered<1>>(true));
}

#[test]
fn all_ways_through_a_ring() {
    watch::watched(|| all_ways_through::<Buffered<3>>(true));
}

#[test]
fn all_ways_through_a_heap() {
    watch::watched(|| all_ways_through::<Priority<2>>(false));
}

#[test]
fn all_ways_through_lanes() {
    watch::watched(|| {
        for capacity in [1, 2, 16] {
            let (sender, receiver) = bounded(capacity);
            all_ways(&sender, &receiver, true);
        }
    });
}

#[test]
fn all_ways_through_lanes_without_a_limit() {
    watch::watched(|| {
        // Memory for three segments.
        let arena = MappedArena::<Lock>::new(4 << 10, 256, 32).unwrap();
        let (sender, receiver) = unbounded(&arena);
        all_ways(&sender, &receiver, true);
    });
}
