//! Fan-in: many senders, one receiver. Each sender's values arrive in the order in which they were sent, and
//! closing, by whoever sends last, comes after all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crew::Crew;
use crate::kinds::Kind;

on_every_kind!(every_crew: fan_in, merge);

fn fan_in<K: Kind>(crew: Crew) {
    const SENDERS: usize = 6;
    const EACH: usize = 150;
    let line = K::line::<(usize, usize)>();
    let sending = Arc::new(AtomicUsize::new(SENDERS));
    for sender in 0..SENDERS {
        let (line, sending) = (line.clone(), sending.clone());
        crew.spawn(async move {
            for number in 0..EACH {
                assert!(line.send((sender, number)).await.is_ok());
            }
            if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
                assert!(line.close());
            }
        });
    }
    let next = crew.run(async {
        let mut next = [0; SENDERS];
        while let Ok((sender, number)) = line.recv().await {
            assert_eq!(number, next[sender], "of sender {sender}");
            next[sender] += 1;
        }
        next
    });
    assert_eq!(next, [EACH; SENDERS]);
}

/// The fan-in of *Go Concurrency Patterns*: one task for each of several channels, all into one.
fn merge<K: Kind>(crew: Crew) {
    const INPUTS: usize = 4;
    const EACH: usize = 100;
    let output = K::line::<usize>();
    let open = Arc::new(AtomicUsize::new(INPUTS));
    for number in 0..INPUTS {
        let input = K::line::<usize>();
        let source = input.clone();
        crew.spawn(async move {
            for value in (number..INPUTS * EACH).step_by(INPUTS) {
                assert!(source.send(value).await.is_ok());
            }
            source.close();
        });
        let (output, open) = (output.clone(), open.clone());
        crew.spawn(async move {
            while let Ok(value) = input.recv().await {
                assert!(output.send(value).await.is_ok());
            }
            if open.fetch_sub(1, Ordering::Relaxed) == 1 {
                output.close();
            }
        });
    }
    let mut merged = crew.run(async {
        let mut merged = Vec::new();
        while let Ok(value) = output.recv().await {
            merged.push(value);
        }
        merged
    });
    for number in 0..INPUTS {
        let of_one = merged.iter().filter(|&value| value % INPUTS == number);
        assert!(of_one.is_sorted(), "the values of input {number} changed places");
    }
    merged.sort_unstable();
    assert!(merged.into_iter().eq(0..INPUTS * EACH), "a value is missing, or came twice");
}
