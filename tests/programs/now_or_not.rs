//! Operations that do not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom::TrySendError;

use crate::crew::{Crew, breathe};
use crate::kinds::Kind;

on_every_kind!(every_crew: the_sender_only_tries, the_receiver_only_tries);
on_every_kind_with_room!(every_crew: what_was_sent_is_there);

const VALUES: u32 = 200;

/// Go's `nonblock`: one side never waits, the other does, and everything arrives in order.
fn the_sender_only_tries<K: Kind>(crew: Crew) {
    let line = K::line::<u32>();
    let receiving = line.clone();
    crew.spawn(async move {
        for expected in 0..VALUES {
            assert_eq!(receiving.recv().await, Ok(expected));
        }
        assert!(receiving.recv().await.is_err());
    });
    crew.run(async {
        for value in 0..VALUES {
            while let Err(why) = line.try_send(value) {
                assert_eq!(why, TrySendError::Full(value));
                breathe().await;
            }
        }
        line.close();
    });
    assert_eq!(line.snapshot().send_waits, 0);
    if K::CAPACITY == Some(0) {
        // A sender that does not wait meets only those who do. The last one waited for the end, perhaps.
        let waits = line.snapshot().recv_waits;
        assert!(waits == VALUES || waits == VALUES + 1, "{waits} waits");
    }
}

fn the_receiver_only_tries<K: Kind>(crew: Crew) {
    let line = K::line::<u32>();
    let sending = line.clone();
    crew.spawn(async move {
        for value in 0..VALUES {
            assert!(sending.send(value).await.is_ok());
        }
    });
    crew.run(async {
        for expected in 0..VALUES {
            let value = loop {
                match line.try_recv() {
                    Ok(value) => break value,
                    Err(_) => breathe().await,
                }
            };
            assert_eq!(value, expected);
        }
    });
    assert_eq!(line.snapshot().recv_waits, 0);
    if K::CAPACITY == Some(0) {
        assert_eq!(line.snapshot().send_waits, VALUES);
    }
}

/// crossbeam's `linearizable`: whoever has sent one value finds one. Others may have taken it, but then theirs
/// is still there.
fn what_was_sent_is_there<K: Kind>(crew: Crew) {
    const TASKS: usize = 4;
    const ROUNDS: usize = 200;
    let line = K::line::<usize>();
    let sum = Arc::new(AtomicUsize::new(0));
    for task in 0..TASKS {
        let (line, sum) = (line.clone(), sum.clone());
        crew.spawn(async move {
            for round in 0..ROUNDS {
                assert!(line.send(task * ROUNDS + round).await.is_ok());
                let value = line.try_recv().expect("as many values as sends that have returned");
                sum.fetch_add(value, Ordering::Relaxed);
            }
        });
    }
    crew.run(async {});
    let all = TASKS * ROUNDS;
    assert_eq!(sum.load(Ordering::Relaxed), all * (all - 1) / 2, "not each value once");
    assert_eq!(line.len(), 0);
}
