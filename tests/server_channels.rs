//! Channels for servers: sizes that are known at run time, endpoints that own them, threads and tasks on one channel.
#![cfg(all(feature = "std", not(any(loom, shuttle))))]

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread;

use cloakroom::channel::{
    Channel, Compete, Delivery, Discard, DropNewest, DropOldest, Kind, Unlimited,
};
use cloakroom::select::{Either, select};
use cloakroom::std_layer::channel::{
    OnHeap, Receiver, Sender, bounded, bounded_with, broadcast, broadcast_with, conflated,
    priority, rendezvous, unbounded, unbounded_in,
};
use cloakroom::std_layer::{ArcShare, MappedArena, StdRawMutex, block_on};
use cloakroom::{Arena, RecvError, TryRecvError, TrySendError};

/// A generator of numbers that is the same in each run.
struct Dice(u32);

impl Dice {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % limit
    }
}

/// Counts the drops of the values that refer to it.
#[derive(Clone, Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_ring_of_any_size_behaves_as_a_queue() {
    for capacity in [1, 2, 3, 7, 64, 1000] {
        let (sender, receiver) = bounded(capacity);
        let (mut model, mut dice) = (VecDeque::new(), Dice(capacity as u32));
        for number in 0..20_000 {
            // More sends than receives in one half, the other way round in the next: full and empty are met.
            if dice.below(8) < if number < 10_000 { 5 } else { 3 } {
                let sent = sender.try_send(number);
                if model.len() == capacity {
                    assert_eq!(sent, Err(TrySendError::Full(number)));
                } else {
                    assert_eq!(sent, Ok(()));
                    model.push_back(number);
                }
            } else {
                assert_eq!(receiver.try_recv(), model.pop_front().ok_or(TryRecvError::Empty));
            }
            assert_eq!((sender.len(), sender.is_full()), (model.len(), model.len() == capacity));
        }
        assert_eq!(sender.capacity(), Some(capacity));
        assert_eq!(sender.snapshot().kind, Kind::Buffered);
    }
}

#[test]
fn policies_drop_what_they_say() {
    let (sender, receiver) = bounded_with(3, DropOldest(Discard));
    (0..10).for_each(|number| sender.try_send(number).unwrap());
    assert!(receiver.drain().eq([7, 8, 9]));
    assert_eq!(sender.snapshot().dropped, 7);

    let missed = Arc::new(AtomicUsize::new(0));
    let hook = {
        let missed = missed.clone();
        move |number: usize| {
            missed.fetch_add(number, Relaxed);
        }
    };
    let (sender, receiver) = bounded_with(3, DropNewest(hook));
    (0..6).for_each(|number| sender.try_send(number).unwrap());
    assert!(receiver.drain().eq([0, 1, 2]));
    assert_eq!(missed.load(Relaxed), 3 + 4 + 5);
}

#[test]
fn the_most_urgent_comes_first_in_a_heap_that_no_array_could_hold() {
    let capacity = 100_000; // more than two bytes can count
    let (sender, receiver) = priority(capacity);
    let mut dice = Dice(9);
    let mut sent = Vec::new();
    for number in 0..capacity as u32 {
        let rank = dice.below(256) as u8;
        assert_eq!(sender.try_send_with_priority(number, rank), Ok(()));
        // When it is due: so many values later as it is less urgent.
        sent.push((u64::from(number) + u64::from(255 - rank) * 16, 255 - rank, number));
    }
    assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
    sent.sort_unstable();
    for (_, _, number) in sent {
        assert_eq!(receiver.try_recv(), Ok(number));
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn every_subscriber_reads_everything() {
    let (sender, first) = broadcast::<ArcShare<i32>>(5);
    let readers: Vec<_> = (0..3).map(|_| sender.subscribe()).chain([first]).collect();
    let threads: Vec<_> = readers
        .into_iter()
        .map(|mut reader| {
            thread::spawn(move || {
                let mut read = Vec::new();
                while let Ok(delivery) = block_on(reader.recv()) {
                    read.push(delivery.value().map(|shared| *shared).expect("senders wait"));
                }
                read
            })
        })
        .collect();
    for number in 0..1_000 {
        sender.blocking_send(ArcShare(Arc::new(number))).unwrap();
    }
    drop(sender);
    for thread in threads {
        assert!(thread.join().unwrap().into_iter().eq(0..1_000));
    }
}

#[test]
fn a_slow_subscriber_is_told_what_it_missed() {
    let (sender, mut slow) = broadcast_with(4, DropOldest(Discard));
    (0..10u8).for_each(|number| sender.try_send(number).unwrap());
    assert_eq!(slow.try_recv(), Ok(Delivery::Lagged(6)));
    let mut late = slow.resubscribe();
    assert!(slow.try_iter().map_while(Delivery::value).eq(6..10));
    assert_eq!(late.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(slow.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_send_replaces_the_latest() {
    let (sender, receiver) = conflated();
    assert_eq!(sender.try_send(1), Ok(None));
    assert_eq!(sender.clone().try_send(2), Ok(Some(1)));
    drop(sender);
    assert_eq!(receiver.try_recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn an_exhausted_arena_makes_senders_wait() {
    let arena = Arc::new(MappedArena::new(8 << 10, 256, 32).unwrap());
    let (sender, receiver) = unbounded_in(arena.clone());
    let mut sent = 0;
    while sender.try_send(sent).is_ok() {
        sent += 1;
    }
    assert!(sent > 100, "{sent}");
    let other = sender.clone();
    let waits = thread::spawn(move || other.blocking_send(sent));
    while sender.snapshot().send_waits == 0 {
        thread::yield_now();
    }
    drop(sender);
    assert!(receiver.blocking_iter().eq(0..=sent));
    assert_eq!(waits.join().unwrap(), Ok(()));
    drop(receiver);
    assert_eq!(arena.handle().snapshot().live, 0);
    assert!(arena.handle().verify().is_clean());
}

#[test]
fn the_arena_stays_for_as_long_as_its_channel() {
    let arena = Arc::new(MappedArena::new(8 << 10, 256, 32).unwrap());
    let weak = Arc::downgrade(&arena);
    let (sender, receiver) = unbounded_in(arena);
    sender.try_send("still here").unwrap();
    assert!(weak.upgrade().is_some());
    drop(sender);
    assert_eq!(receiver.try_recv(), Ok("still here"));
    drop(receiver);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_static_arena_serves_as_well() {
    static ARENA: Arena<StdRawMutex, 64, 256, 32> = Arena::new();
    let (sender, receiver) = unbounded(&ARENA);
    let sends = move || (0..100).for_each(|number| sender.blocking_send(number).unwrap());
    let thread = thread::spawn(sends);
    assert!(receiver.blocking_iter().eq(0..100));
    thread.join().unwrap();
    drop(receiver);
    assert_eq!(ARENA.snapshot().live, 0);
}

/// Batches of many sizes between two threads: in order, none lost, none doubled, and counted.
fn batched<K>((sender, receiver): (Sender<u64, K>, Receiver<u64, K>))
where
    K: Compete<u64, Receipt = ()> + Send + Sync + 'static,
{
    const VALUES: u64 = 20_000;
    let watch = receiver.clone();
    let sends = thread::spawn(move || {
        let (mut values, mut dice) = (0..VALUES, Dice(5));
        while !values.is_empty() {
            let size = 1 + dice.below(70) as usize;
            let expected = size.min(values.clone().count());
            assert_eq!(sender.blocking_send_many(values.by_ref().take(size)), Ok(expected));
        }
        sender.close();
        let refused = sender.blocking_send_many([7, 8]).unwrap_err();
        assert_eq!((refused.sent, refused.error.0), (0, 7));
    });
    let (mut received, mut dice) = (Vec::new(), Dice(9));
    assert_eq!(receiver.blocking_recv_many(&mut received, 0), Ok(0));
    loop {
        let (before, limit) = (received.len(), 1 + dice.below(90) as usize);
        match receiver.blocking_recv_many(&mut received, limit) {
            Ok(count) => {
                assert!((1..=limit).contains(&count), "{count} of {limit}");
                assert_eq!(received.len(), before + count);
            }
            Err(RecvError) => break,
        }
    }
    sends.join().unwrap();
    assert!(received.into_iter().eq(0..VALUES));
    let seen = watch.snapshot();
    assert_eq!((u64::from(seen.sent), u64::from(seen.received), seen.depth), (VALUES, VALUES, 0));
}

#[test]
fn batches_pass_between_threads() {
    let arena = Arc::new(MappedArena::new(64 << 10, 256, 128).unwrap());
    [1, 2, 31, 32, 33, 128].into_iter().for_each(|capacity| batched(bounded(capacity)));
    batched(rendezvous());
    let (sender, receiver) = unbounded_in(arena);
    let sends = thread::spawn(move || sender.blocking_send_many(0..20_000));
    let mut received = Vec::new();
    while receiver.blocking_recv_many(&mut received, 300).is_ok() {}
    assert_eq!(sends.join().unwrap().ok(), Some(20_000));
    assert!(received.into_iter().eq(0..20_000));
}

/// Values too large to be held in between, and a batch that ends in the middle of what there is.
#[test]
fn a_batch_takes_no_more_than_its_limit() {
    let (sender, receiver) = bounded(100);
    assert_eq!(sender.try_send_many((0..80).map(|number| [number; 300])).ok(), Some(80));
    let mut large = Vec::new();
    assert_eq!(receiver.blocking_recv_many(&mut large, 33), Ok(33));
    assert_eq!(receiver.blocking_recv_many(&mut large, 100), Ok(47));
    assert!(large.into_iter().eq((0..80).map(|number| [number; 300])));

    let (sender, receiver) = bounded(100);
    assert_eq!(sender.try_send_many(0..80).ok(), Some(80));
    let permit = sender.try_reserve().unwrap();
    let mut small = Vec::new();
    assert_eq!(receiver.blocking_recv_many(&mut small, 33), Ok(33));
    assert_eq!((receiver.len(), receiver.try_recv()), (47, Ok(33)));
    permit.send(80);
    assert_eq!(receiver.blocking_recv_many(&mut small, 100), Ok(47));
    assert_eq!((small.len(), small.last(), receiver.snapshot().empty), (80, Some(&80), 0));
}

/// What waits for a receiver that has been served is not taken by a batch.
#[test]
fn a_batch_leaves_what_was_promised() {
    let (sender, receiver) = bounded(8);
    let mut waits = pin!(receiver.recv());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    assert_eq!(sender.try_send_many(0..4).ok(), Some(4));
    let mut batch = Vec::new();
    assert_eq!(receiver.blocking_recv_many(&mut batch, 8), Ok(3));
    assert_eq!((batch, receiver.len()), (vec![0, 1, 2], 1));
    assert_eq!(waits.as_mut().poll(&mut cx), Poll::Ready(Ok(3)));
}

/// Takes two values, and then panics.
struct Two(Vec<Counted>);

impl Extend<Counted> for Two {
    fn extend<I: IntoIterator<Item = Counted>>(&mut self, values: I) {
        for value in values {
            assert!(self.0.len() < 2, "no room");
            self.0.push(value);
        }
    }
}

#[test]
fn a_buffer_that_panics_doubles_nothing() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = bounded(100);
    assert!(sender.try_send_many((0..50).map(|_| Counted(dropped.clone()))).is_ok());
    let mut two = Two(Vec::new());
    let ends = AssertUnwindSafe(|| receiver.blocking_recv_many(&mut two, 40));
    assert!(catch_unwind(ends).is_err());
    let gone = 50 - receiver.len();
    assert_eq!((dropped.load(Relaxed), two.0.len()), (gone - 2, 2));
    assert!(gone <= 40);
    assert_eq!(receiver.snapshot().received as usize, gone);
    drop((two, sender, receiver));
    assert_eq!(dropped.load(Relaxed), 50);
}

/// The last endpoint of either side closes, and each value is dropped once.
fn closes_and_drops<K: Compete<Counted>>(
    make: impl Fn() -> (Sender<Counted, K>, Receiver<Counted, K>),
    holds: usize,
) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let value = || Counted(dropped.clone());
    let fill = |sender: &Sender<Counted, K>| {
        for _ in 0..holds {
            assert!(sender.try_send(value()).is_ok());
        }
    };

    // The last sender goes: what is in it is received, then it is closed.
    let (sender, receiver) = make();
    fill(&sender);
    let second = sender.clone();
    drop(sender);
    assert!(!receiver.is_closed());
    drop(second);
    assert!(receiver.is_closed());
    assert_eq!(receiver.blocking_iter().count(), holds);
    assert_eq!(receiver.blocking_recv().err(), Some(RecvError));
    assert_eq!(dropped.swap(0, Relaxed), holds);

    // The last receiver goes: what is in it is dropped at once, and a send gives its value back.
    let (sender, receiver) = make();
    fill(&sender);
    let second = receiver.clone();
    drop(receiver);
    assert!(!sender.is_closed());
    drop(second);
    assert_eq!(dropped.load(Relaxed), holds);
    let refused = sender.try_send(value());
    assert!(matches!(refused, Err(TrySendError::Closed(_))));
    assert_eq!(dropped.load(Relaxed), holds);
    drop(refused);
    assert_eq!(dropped.swap(0, Relaxed), holds + 1);
}

#[test]
fn the_last_endpoint_closes() {
    closes_and_drops(|| bounded(5), 5);
    closes_and_drops(|| priority(5), 5);
    closes_and_drops(rendezvous, 0);
    closes_and_drops(conflated, 1);
    static ARENA: Arena<StdRawMutex, 64, 256, 32> = Arena::new();
    closes_and_drops(|| unbounded(&ARENA), 50);
}

/// Whether a select has been decided is asked before a value, or a slot, is promised to one of its arms; also where a channel has been waited at so
/// often that what is common there is done in a shorter way.
#[test]
fn a_select_takes_one_of_two_however_often_its_channels_have_been_waited_at() {
    let [(to_a, a), (to_b, b)] = [bounded(1), bounded(1)];
    let mut cx = Context::from_waker(Waker::noop());
    for number in 0..3_000 {
        let mut receives = pin!(select((a.recv(), b.recv())));
        assert!(receives.as_mut().poll(&mut cx).is_pending());
        assert_eq!((to_a.try_send(number), to_b.try_send(number)), (Ok(()), Ok(())));
        assert_eq!((a.try_recv(), b.try_recv()), (Err(TryRecvError::Empty), Ok(number)));
        assert_eq!(receives.as_mut().poll(&mut cx), Poll::Ready(Either::First(Ok(number))));

        assert_eq!((to_a.try_send(1), to_b.try_send(1)), (Ok(()), Ok(())));
        let mut sends = pin!(select((to_a.send(2), to_b.send(2))));
        assert!(sends.as_mut().poll(&mut cx).is_pending());
        assert_eq!((a.try_recv(), b.try_recv()), (Ok(1), Ok(1)));
        assert_eq!((to_a.try_send(3), to_b.try_send(3)), (Err(TrySendError::Full(3)), Ok(())));
        assert_eq!(sends.as_mut().poll(&mut cx), Poll::Ready(Either::First(Ok(()))));
        assert_eq!((a.try_recv(), b.try_recv()), (Ok(2), Ok(3)));
    }
}

#[test]
fn a_capacity_of_nothing_counts_as_one() {
    let (sender, _receiver) = bounded(0);
    assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Err(TrySendError::Full(2))));
    let (sender, _receiver) = priority(0);
    assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Err(TrySendError::Full(2))));
    let (sender, _listener) = broadcast(0);
    assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(()), Err(TrySendError::Full(2))));
}

/// Threads and tokio's tasks send and receive on one channel, all at once.
fn threads_and_tasks<K>(make: impl FnOnce() -> (Sender<u64, K>, Receiver<u64, K>))
where
    K: Compete<u64, Receipt: Send> + Send + Sync + 'static,
{
    const EACH: u64 = 2_000;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (sender, receiver) = make();
    let sends = |number: u64| (0..EACH).map(move |at| number * EACH + at);
    let mut sending = Vec::new();
    for number in 0..2 {
        let sender = sender.clone();
        sending.push(thread::spawn(move || {
            sends(number).for_each(|value| drop(sender.blocking_send(value).unwrap()));
        }));
    }
    for number in 2..4 {
        let sender = sender.clone();
        runtime.spawn(async move {
            for value in sends(number) {
                sender.send(value).await.unwrap();
            }
        });
    }
    drop(sender);
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let receiver = receiver.clone();
            runtime.spawn(async move {
                let mut received = Vec::new();
                while let Ok(value) = receiver.recv().await {
                    received.push(value);
                }
                received
            })
        })
        .collect();
    let other = receiver.clone();
    let thread = thread::spawn(move || other.blocking_iter().collect::<Vec<_>>());
    let mut lists = vec![receiver.blocking_iter().collect::<Vec<_>>(), thread.join().unwrap()];
    for task in tasks {
        lists.push(runtime.block_on(task).unwrap());
    }
    for list in &lists {
        // Each receiver sees each sender's values in order.
        for number in 0..4 {
            let of_one: Vec<_> = list.iter().filter(|value| *value / EACH == number).collect();
            assert!(of_one.is_sorted());
        }
    }
    let mut all = lists.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..4 * EACH));
    sending.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn threads_and_tasks_share_a_channel() {
    threads_and_tasks(|| bounded(1));
    threads_and_tasks(|| bounded(100));
    threads_and_tasks(rendezvous);
    threads_and_tasks(|| priority(10));
    static ARENA: Arena<StdRawMutex, 64, 256, 32> = Arena::new();
    threads_and_tasks(|| unbounded(&ARENA));
}

#[test]
fn memory_for_promises_goes_with_the_last_value() {
    let arena = MappedArena::<StdRawMutex>::new(1 << 14, 64, 64).unwrap();
    let channel: Channel<StdRawMutex, u8, _> =
        Channel::with(Unlimited::<StdRawMutex, 4, OnHeap>::over(&arena));
    for value in 0..3 {
        channel.try_send(value).unwrap();
    }
    // One in the first segment, and the others in a second one, of which one is given back.
    let mut permits = [(); 3].map(|()| channel.try_reserve().unwrap()).into_iter();
    drop(permits.next());
    assert_eq!(arena.handle().snapshot().live, 2);
    for value in 0..3 {
        assert_eq!(channel.try_recv(), Ok(value));
    }
    // Both fit into one segment now.
    assert_eq!(arena.handle().snapshot().live, 1);
    for (value, permit) in (3..).zip(permits) {
        permit.send(value);
    }
    assert!(channel.drain().eq([3, 4]));
}

/// A reader that has missed values is told so by one delivery, whatever their number: it is not one for each.
#[test]
fn what_comes_after_a_drain_began_is_not_in_it() {
    let (sender, mut reader) = broadcast_with(4, DropOldest(Discard));
    (1..=6).for_each(|value| sender.try_send(value).unwrap());
    let mut drained = vec![];
    for delivery in reader.drain() {
        drained.push(delivery);
        if delivery == Delivery::Value(6) {
            sender.try_send(7).unwrap();
        }
    }
    let expected =
        [Delivery::Lagged(2), Delivery::Value(3), Delivery::Value(4), Delivery::Value(5)];
    assert_eq!(drained, [&expected[..], &[Delivery::Value(6)]].concat());
    assert_eq!(reader.try_recv(), Ok(Delivery::Value(7)));
}

/// Who has received something has not failed, as nothing was left of a closed channel.
#[test]
fn a_batch_that_empties_a_closed_channel_is_no_failure() {
    let (sender, receiver) = bounded(4);
    sender.try_send(1).unwrap();
    sender.close();
    let mut values = vec![];
    assert_eq!(block_on(receiver.recv_many(&mut values, 2)), Ok(1));
    assert_eq!(sender.snapshot().ended, 0);
    assert!(block_on(receiver.recv_many(&mut values, 2)).is_err());
    assert_eq!((sender.snapshot().ended, values), (1, vec![1]));
}
