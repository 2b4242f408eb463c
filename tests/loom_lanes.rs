//! The lanes beside the lock of a channel on the heap, under the loom model checker.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --features std --test loom_lanes
//! ```
//!
//! Under loom each use of a slot by a lane is a step of its own, and is watched: two at once, or one that does not see
//! what the one before has done, fail the model. A wake-up that is lost is a deadlock.
#![cfg(all(loom, feature = "std"))]

#[path = "common/loom_lock.rs"]
mod loom_lock;
#[path = "common/loom_quiet.rs"]
mod loom_quiet;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use cloakroom::channel::{Channel, Compete, Discard, DropOldest, Receiver, Sender, Unlimited};
use cloakroom::std_layer::StdRawMutex;
use cloakroom::std_layer::channel::{OnHeap, bounded, bounded_with};
use cloakroom::{Arena, TryRecvError, TrySendError};
use loom::thread;
use loom_lock::{block_on, explore};
use loom_quiet::lend;

/// Both sides of one channel.
type Sides<S, T = u32> = (&'static Sender<StdRawMutex, T, S>, &'static Receiver<StdRawMutex, T, S>);

/// A ring of so many slots, which are on loan.
macro_rules! with_ring {
    ($capacity:expr, $model:expr) => {
        lend(bounded($capacity), |(sender, receiver)| {
            assert_eq!(sender.len(), 0);
            $model((&**sender, &**receiver))
        })
    };
}

/// Segments of one value more than a lane for receivers is lent. There are none at first.
macro_rules! with_segments {
    ($model:expr) => {
        lend(Arena::<StdRawMutex, 16, 64, 16>::new(), |arena| {
            let kind = Unlimited::<StdRawMutex, 2, OnHeap>::over(arena);
            lend(Channel::with(kind), |channel: &'static Channel<_, _, _>| {
                // Before there are threads: to loom, what they share begins with its first use.
                assert_eq!(channel.len(), 0);
                $model((channel.sender(), channel.receiver()))
            });
        })
    };
}

/// Sees whether all that there is adds up, while others go on.
fn look<S: Compete<u32> + Send + Sync>(receiver: &Receiver<StdRawMutex, u32, S>) {
    let seen = receiver.snapshot();
    assert_eq!(seen.sent, seen.received + seen.dropped + seen.depth as u32);
    assert!(seen.high_water >= seen.depth);
    assert!(seen.capacity.is_none_or(|capacity| seen.high_water <= capacity), "{seen:?}");
}

/// All that was sent has been received.
fn assert_done<S: Compete<u32> + Send + Sync>(
    receiver: &Receiver<StdRawMutex, u32, S>,
    count: u32,
) {
    look(receiver);
    let seen = receiver.snapshot();
    assert_eq!((seen.sent, seen.received, receiver.len()), (count, count, 0));
    assert!(seen.high_water > 0);
}

/// One sender with two values and another one with one, and a receiver that may have to wait.
fn two_senders<S>((sender, receiver): Sides<S>)
where
    S: Compete<u32, Receipt = ()> + Send + Sync + 'static,
{
    let send = |values: &'static [u32]| {
        thread::spawn(move || {
            for value in values {
                assert_eq!(block_on(sender.send(*value)), Ok(()));
            }
        })
    };
    let senders = [send(&[1, 2]), send(&[10])];
    let received = [(); 3].map(|()| block_on(receiver.recv()).unwrap());
    let of_first: Vec<_> = received.into_iter().filter(|value| *value < 10).collect();
    assert_eq!(of_first, [1, 2]);
    assert!(received.contains(&10));
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert_done(receiver, 3);
}

/// Lanes are made while both sides come for the first time.
#[test]
fn lanes_are_made_by_two_at_once() {
    explore(Some(2), || {
        lend(bounded::<u32>(2), |(sender, receiver)| {
            let (sender, receiver): Sides<_> = (&**sender, &**receiver);
            let sends = thread::spawn(move || {
                for value in 1..=2 {
                    assert_eq!(sender.try_send(value), Ok(()));
                }
            });
            let first = receiver.try_recv();
            assert!(matches!(first, Ok(1) | Err(TryRecvError::Empty)));
            sends.join().unwrap();
            let next = if first.is_ok() { 2 } else { 1 };
            assert_eq!(receiver.try_recv(), Ok(next));
            look(receiver);
        });
    });
}

#[test]
fn two_senders_pass_a_slot_to_a_receiver() {
    explore(Some(1), || with_ring!(1, two_senders));
}

#[test]
fn two_senders_pass_a_ring_to_a_receiver() {
    explore(Some(1), || with_ring!(2, two_senders));
}

#[test]
fn two_senders_pass_segments_to_a_receiver() {
    explore(Some(1), || with_segments!(two_senders));
}

/// A sender and a receiver, and somebody who calls back what was lent.
fn called_back<S>((sender, receiver): Sides<S>)
where
    S: Compete<u32, Receipt = ()> + Send + Sync + 'static,
{
    let sends = thread::spawn(move || {
        for value in 1..=3 {
            assert_eq!(block_on(sender.send(value)), Ok(()));
        }
    });
    let looks = thread::spawn(move || {
        look(receiver);
        // A slot that is promised for a moment, if there is one.
        drop(sender.try_reserve());
    });
    for value in 1..=3 {
        assert_eq!(block_on(receiver.recv()), Ok(value));
    }
    sends.join().unwrap();
    looks.join().unwrap();
    assert_done(receiver, 3);
}

#[test]
fn a_slot_is_called_back_under_way() {
    explore(Some(1), || with_ring!(1, called_back));
}

#[test]
fn a_ring_is_called_back_under_way() {
    explore(Some(1), || with_ring!(2, called_back));
}

#[test]
fn segments_are_called_back_under_way() {
    explore(Some(1), || with_segments!(called_back));
}

/// A receiver takes several values in one step of its lane, while their sender goes on.
fn batched<S>((sender, receiver): Sides<S>)
where
    S: Compete<u32, Receipt = ()> + Send + Sync + 'static,
{
    let sends = thread::spawn(move || assert_eq!(block_on(sender.send_many(1..=3)), Ok(3)));
    let mut received = Vec::new();
    while received.len() < 3 {
        let before = received.len();
        let count = block_on(receiver.recv_many(&mut received, 3)).unwrap();
        assert_eq!(received.len(), before + count);
    }
    assert_eq!(received, [1, 2, 3]);
    sends.join().unwrap();
    assert_done(receiver, 3);
}

#[test]
fn a_batch_leaves_a_ring_under_way() {
    explore(Some(2), || with_ring!(2, batched));
}

#[test]
fn a_batch_leaves_segments_under_way() {
    explore(Some(2), || with_segments!(batched));
}

/// Whoever only tries is told the truth.
#[test]
fn a_lane_is_full_or_empty_only_if_the_channel_is() {
    explore(Some(2), || {
        with_ring!(1, |(sender, receiver): Sides<_>| {
            let sends = thread::spawn(move || {
                assert_eq!(sender.try_send(1), Ok(()));
                sender.try_send(2)
            });
            let first = receiver.try_recv();
            let second = sends.join().unwrap();
            match (first, second) {
                // Before either was sent, or between the two, or after both.
                (Err(TryRecvError::Empty), Err(TrySendError::Full(2))) => {
                    assert_eq!(receiver.try_recv(), Ok(1));
                }
                (Ok(1), Err(TrySendError::Full(2))) => {}
                (Ok(1), Ok(())) => assert_eq!(receiver.try_recv(), Ok(2)),
                other => panic!("{other:?}"),
            }
            let seen = receiver.snapshot();
            assert_eq!(seen.full, u32::from(second.is_err()));
            assert_eq!(seen.empty, u32::from(first.is_err()));
            assert_eq!((seen.depth, seen.high_water), (0, 1));
        });
    });
}

/// A sender that finds it full and a receiver that finds it empty cannot both be right if neither has seen what the other
/// has done before.
#[test]
fn full_and_empty_are_of_one_order() {
    explore(Some(2), || {
        with_ring!(2, |(sender, receiver): Sides<_>| {
            assert_eq!(sender.try_send(0), Ok(()));
            let sends = thread::spawn(move || [1, 2].map(|value| sender.try_send(value)));
            let received = [(); 2].map(|()| receiver.try_recv());
            let sent = sends.join().unwrap();
            assert_eq!((sent[0], received[0]), (Ok(()), Ok(0)));
            // Full: with two values, before the first receive. Empty: after that, and before the first send.
            let is_full = sent[1].is_err();
            assert!(!(is_full && received[1].is_err()), "{sent:?} {received:?}");
            assert_eq!(receiver.len(), usize::from(received[1].is_err()) + usize::from(!is_full));
        });
    });
}

/// A value that has gone at once was there.
#[test]
fn the_highest_depth_is_noted() {
    explore(Some(2), || {
        with_ring!(1, |(sender, receiver): Sides<_>| {
            let sends = thread::spawn(move || sender.try_send(1));
            let received = receiver.try_recv();
            assert_eq!(sends.join().unwrap(), Ok(()));
            assert_eq!(receiver.snapshot().high_water, 1, "{received:?}");
        });
    });
}

/// What was sent before it was closed is received; what was not comes back.
fn closed<S>((sender, receiver): Sides<S>)
where
    S: Compete<u32, Receipt = ()> + Send + Sync + 'static,
{
    let sends = thread::spawn(move || (1..=2).take_while(|v| sender.try_send(*v).is_ok()).count());
    let closes = thread::spawn(move || assert!(receiver.close()));
    let mut received = 0;
    while let Ok(value) = block_on(receiver.recv()) {
        received += 1;
        assert_eq!(value, received);
    }
    closes.join().unwrap();
    assert_eq!(sends.join().unwrap(), received as usize);
    assert!(matches!(sender.try_send(9), Err(TrySendError::Closed(9))));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    let seen = receiver.snapshot();
    assert_eq!((seen.sent, seen.received, seen.depth), (received, received, 0));
}

#[test]
fn a_ring_is_closed_under_way() {
    explore(Some(2), || with_ring!(2, closed));
}

#[test]
fn segments_are_closed_under_way() {
    explore(Some(2), || with_segments!(closed));
}

/// Two receivers take what there is of a channel that has been closed, each value once, and are told that this was all.
fn drained<S>((sender, receiver): Sides<S>, count: u32)
where
    S: Compete<u32, Receipt = ()> + Send + Sync + 'static,
{
    (0..count).for_each(|value| assert_eq!(sender.try_send(value), Ok(())));
    assert!(receiver.close());
    let drain = || {
        let values: Vec<u32> = std::iter::from_fn(|| block_on(receiver.recv()).ok()).collect();
        assert!(values.is_sorted());
        values
    };
    let other = thread::spawn(drain);
    let mut values = drain();
    values.extend(other.join().unwrap());
    values.sort_unstable();
    assert!(values.into_iter().eq(0..count));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_done(receiver, count);
}

#[test]
fn two_receivers_drain_a_closed_ring() {
    explore(Some(2), || with_ring!(3, |sides| drained(sides, 3)));
}

#[test]
fn two_receivers_drain_closed_segments() {
    explore(Some(2), || with_segments!(|sides| drained(sides, 5)));
}

/// A sender goes on to its next segment while two receivers do, who both may find that they have used up theirs.
#[test]
fn segments_follow_each_other_under_way() {
    explore(Some(1), || {
        with_segments!(|(sender, receiver): Sides<_>| {
            (1..=3).for_each(|value| assert_eq!(sender.try_send(value), Ok(())));
            let sends = thread::spawn(move || {
                (4..=5).for_each(|value| assert_eq!(sender.try_send(value), Ok(())));
            });
            let other = thread::spawn(move || [(); 2].map(|()| receiver.try_recv().unwrap()));
            let mut received: Vec<u32> =
                std::iter::from_fn(|| receiver.try_recv().ok()).take(1).collect();
            assert!(received.is_sorted());
            sends.join().unwrap();
            let others = other.join().unwrap();
            assert!(others.is_sorted());
            received.extend(others);
            received.extend(std::iter::from_fn(|| receiver.try_recv().ok()));
            received.sort_unstable();
            assert_eq!(received, [1, 2, 3, 4, 5]);
            assert_done(receiver, 5);
        });
    });
}

/// Who waits comes before who comes by the lane, and is served.
#[test]
fn who_waits_comes_first() {
    explore(Some(2), || {
        with_ring!(1, |(sender, receiver): Sides<_>| {
            let mut waits = pin!(receiver.recv());
            let first = waits.as_mut();
            assert!(first.poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let sends = thread::spawn(move || {
                assert_eq!(block_on(sender.send(1)), Ok(()));
                assert_eq!(block_on(sender.send(2)), Ok(()));
            });
            let newcomer = thread::spawn(move || receiver.try_recv());
            assert_eq!(block_on(waits), Ok(1));
            match newcomer.join().unwrap() {
                Err(TryRecvError::Empty) => assert_eq!(block_on(receiver.recv()), Ok(2)),
                newcomer => assert_eq!(newcomer, Ok(2)),
            }
            sends.join().unwrap();
            assert_done(receiver, 2);
        });
    });
}

/// A sender that finds the ring full replaces what is in front, whoever is about to receive it.
#[test]
fn what_is_replaced_is_not_received() {
    explore(Some(2), || {
        lend(bounded_with(1, DropOldest(Discard)), |(sender, receiver)| {
            // As above.
            assert_eq!(sender.len(), 0);
            let sends = thread::spawn(move || {
                assert_eq!(sender.try_send(1), Ok(()));
                assert_eq!(sender.try_send(2), Ok(()));
            });
            let first = receiver.try_recv();
            sends.join().unwrap();
            let rest: Vec<u32> = receiver.drain().collect();
            match first {
                Ok(1) | Err(TryRecvError::Empty) => assert_eq!(rest, [2]),
                first => assert_eq!((first, rest), (Ok(2), vec![])),
            }
            look(receiver);
            assert_eq!(receiver.snapshot().full, 0);
        });
    });
}

/// A value that counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A channel that is dropped while its slots are lent drops each value once.
fn dropped<S>(drops: Arc<AtomicUsize>, (sender, receiver): Sides<S, Dropped>)
where
    S: Compete<Dropped, Receipt = ()> + Send + Sync + 'static,
{
    let values = [(); 2].map(|()| Dropped(drops.clone()));
    let sends = thread::spawn(move || values.map(|value| drop(sender.try_send(value))));
    drop(receiver.try_recv());
    sends.join().unwrap();
}

#[test]
fn values_on_loan_are_dropped_once() {
    explore(Some(2), || {
        let drops = Arc::new(AtomicUsize::new(0));
        with_ring!(2, |sides: Sides<_, _>| dropped(drops.clone(), sides));
        assert_eq!(drops.swap(0, Ordering::Relaxed), 2);
        with_segments!(|sides: Sides<_, _>| dropped(drops.clone(), sides));
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    });
}
