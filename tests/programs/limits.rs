//! A channel's capacity as a promise: how far a sender can be ahead, how many can be at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crew::{Crew, breathe};
use crate::kinds::Kind;

on_every_bounded_kind!(every_crew: never_further_ahead_than_the_capacity);
on_kinds!(every_crew semaphore:
    buffered_1 on Buffered1,
    buffered_3 on Buffered3,
    buffered_128 on Buffered128,
    priority_3 on Priority3,
);
on_kinds!(every_crew mutex: buffered_1 on Buffered1);

/// The rule of Go's memory model: the n-th receive from a channel of capacity c begins (c = 0: has begun)
/// before send n + c completes.
fn never_further_ahead_than_the_capacity<K: Kind>(crew: Crew) {
    const VALUES: usize = 400;
    let capacity = K::CAPACITY.expect("a bounded kind");
    let line = K::line::<usize>();
    let begun = Arc::new(AtomicUsize::new(0));
    let (receiving, begins) = (line.clone(), begun.clone());
    crew.spawn(async move {
        for expected in 0..VALUES {
            begins.fetch_add(1, Ordering::SeqCst);
            assert_eq!(receiving.recv().await, Ok(expected));
            if expected % 7 == 0 {
                breathe().await;
            }
        }
    });
    crew.run(async {
        for value in 0..VALUES {
            assert!(line.send(value).await.is_ok());
            let (sends, receives) = (value + 1, begun.load(Ordering::SeqCst));
            assert!(sends <= receives + capacity, "{sends} sends, {receives} receives begun");
        }
    });
    assert!(line.snapshot().high_water <= capacity.max(1));
}

/// Go's counting semaphore: a value in the channel is the right to work.
fn semaphore<K: Kind>(crew: Crew) {
    const TASKS: usize = 8;
    let limit = K::CAPACITY.expect("a bounded kind");
    let rights = K::line::<()>();
    let working = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    for _ in 0..TASKS {
        let (rights, working, most) = (rights.clone(), working.clone(), most.clone());
        crew.spawn(async move {
            for _ in 0..40 {
                assert!(rights.send(()).await.is_ok());
                let now = working.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                breathe().await;
                working.fetch_sub(1, Ordering::SeqCst);
                assert_eq!(rights.recv().await, Ok(()));
            }
        });
    }
    crew.run(async {});
    let most = most.load(Ordering::SeqCst);
    assert!(1 <= most && most <= limit, "{most} at work with {limit} rights");
    assert_eq!(rights.len(), 0);
}

/// A channel of one as a lock: what is done with the right in hand is seen by whoever has it next.
fn mutex<K: Kind>(crew: Crew) {
    const TASKS: usize = 4;
    const ROUNDS: usize = 200;
    let lock = K::line::<()>();
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..TASKS {
        let (lock, count) = (lock.clone(), count.clone());
        crew.spawn(async move {
            for _ in 0..ROUNDS {
                assert!(lock.send(()).await.is_ok());
                // In two steps, which somebody else could come between.
                let before = count.load(Ordering::Relaxed);
                breathe().await;
                count.store(before + 1, Ordering::Relaxed);
                assert_eq!(lock.recv().await, Ok(()));
            }
        });
    }
    crew.run(async {});
    assert_eq!(count.load(Ordering::Relaxed), TASKS * ROUNDS);
}
