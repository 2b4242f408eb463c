//! What only the channels of this crate have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use cloakroom::blocking::{
    RecvError, Select, TrySendError, bounded, select, unbounded, unbounded_in,
};
use cloakroom::std_layer::MappedArena;

#[test]
fn unbounded_channels_wait_for_memory() {
    let arena = Arc::new(MappedArena::new(16 << 10, 1024, 16).unwrap());
    let (sender, receiver) = unbounded_in(arena.clone());
    let mut sent = 0;
    while sender.try_send(sent).is_ok() {
        sent += 1;
    }
    assert_eq!(sender.try_send(sent), Err(TrySendError::Full(sent)));
    assert_eq!((sender.capacity(), sender.len()), (None, sent));
    assert!(sender.send_timeout(0, Duration::from_millis(1)).unwrap_err().is_timeout());

    // A send and a select wait; both go on when something has been received.
    let threads = [sender.clone(), sender].map(|sender| {
        thread::spawn(move || {
            select! { send(sender, usize::MAX) -> sent => assert!(sent.is_ok()) }
            sender.send(usize::MAX).unwrap();
        })
    });
    let all: Vec<_> = receiver.iter().collect();
    assert!(all[..sent].iter().copied().eq(0..sent));
    assert_eq!(all[sent..], [usize::MAX; 4]);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(receiver);
    assert_eq!(arena.handle().snapshot().live, 0);
}

#[test]
fn a_select_may_be_long() {
    const MANY: usize = 3_000;
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..MANY).map(|_| bounded(1)).unzip();
    let mut select = Select::new();
    for receiver in &receivers {
        select.recv(receiver);
    }
    // One that is ready, and one that becomes ready.
    for at in [255, 256, MANY - 1] {
        senders[at].send(at).unwrap();
        let operation = select.select();
        assert_eq!(operation.recv(&receivers[at]), Ok(at));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(5));
                senders[at].send(at).unwrap();
            });
            assert_eq!(select.select().recv(&receivers[at]), Ok(at));
        });
    }
    assert!(select.try_select().is_err());
}

#[test]
fn a_sender_that_panics_after_it_was_chosen_leaves_no_trace() {
    for capacity in [0, 1] {
        let (sender, receiver) = bounded(capacity);
        let other = sender.clone();
        let panics = thread::spawn(move || {
            let value = || -> u8 { panic!("no value") };
            select! { send(other, value()) -> _ => {} }
        });
        if capacity == 1 {
            assert!(panics.join().is_err());
            // Its slot is free again.
            assert_eq!(sender.try_send(7), Ok(()));
            assert_eq!(receiver.recv(), Ok(7));
        } else {
            // The receiver that it has met takes the next value.
            let next = thread::spawn(move || sender.send(7));
            assert_eq!(receiver.recv(), Ok(7));
            assert_eq!(next.join().unwrap(), Ok(()));
            drop(receiver);
            let _ = panics.join();
        }
    }
}

/// Counts its drops.
struct Value(Arc<AtomicUsize>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn values_go_with_the_last_receiver() {
    for (sender, receiver) in [bounded(5), unbounded()] {
        let dropped = Arc::new(AtomicUsize::new(0));
        (0..3).for_each(|_| drop(sender.send(Value(dropped.clone()))));
        let other = receiver.clone();
        drop(receiver);
        assert_eq!(dropped.load(Relaxed), 0);
        drop(other);
        assert_eq!(dropped.load(Relaxed), 3);
        assert!(sender.is_empty());
    }
}

#[test]
fn what_was_selected_and_not_done_is_not_dropped_by_another_thread() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = bounded(1);
    assert!(sender.send(Value(dropped.clone())).is_ok());
    thread::scope(|scope| {
        let mut select = Select::new();
        select.recv(&receiver);
        assert!(scope.spawn(move || drop(select.select())).join().is_err());
    });
    drop((sender, receiver));
    assert_eq!(dropped.load(Relaxed), 0);
}

/// More than the other crate takes, and no `#![recursion_limit]`.
#[test]
fn many_cases() {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..32).map(|_| bounded::<usize>(1)).unzip();
    let r = |at: usize| &receivers[at];
    senders[31].send(0).unwrap();
    for at in [30, 0, 17, 31] {
        match at {
            31 => assert_eq!(r(at).recv(), Ok(0)),
            _ => senders[at].send(at).unwrap(),
        }
        let message = select! {
            recv(r(0)) -> message => (0, message),
            recv(r(1)) -> message => (1, message),
            recv(r(2)) -> message => (2, message),
            recv(r(3)) -> message => (3, message),
            recv(r(4)) -> message => (4, message),
            recv(r(5)) -> message => (5, message),
            recv(r(6)) -> message => (6, message),
            recv(r(7)) -> message => (7, message),
            recv(r(8)) -> message => (8, message),
            recv(r(9)) -> message => (9, message),
            recv(r(10)) -> message => (10, message),
            recv(r(11)) -> message => (11, message),
            recv(r(12)) -> message => (12, message),
            recv(r(13)) -> message => (13, message),
            recv(r(14)) -> message => (14, message),
            recv(r(15)) -> message => (15, message),
            recv(r(16)) -> message => (16, message),
            recv(r(17)) -> message => (17, message),
            recv(r(18)) -> message => (18, message),
            recv(r(19)) -> message => (19, message),
            recv(r(20)) -> message => (20, message),
            recv(r(21)) -> message => (21, message),
            recv(r(22)) -> message => (22, message),
            recv(r(23)) -> message => (23, message),
            recv(r(24)) -> message => (24, message),
            recv(r(25)) -> message => (25, message),
            recv(r(26)) -> message => (26, message),
            recv(r(27)) -> message => (27, message),
            recv(r(28)) -> message => (28, message),
            recv(r(29)) -> message => (29, message),
            recv(r(30)) -> message => (30, message),
            send(senders[31], 31) -> sent => (31, sent.map(|()| 31).map_err(|_| RecvError)),
            default => unreachable!(),
        };
        assert_eq!(message, (at, Ok(at)));
    }
}
