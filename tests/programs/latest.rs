//! A conflated channel as a gauge (tokio's `watch`, embassy's `Signal`): who looks sees the latest value.

use std::sync::{Arc, Mutex};

use crate::crew::{Crew, breathe};
use crate::kinds::{Conflated, Kind};

#[test]
fn gauge() {
    crate::crew::every_crew(|crew: Crew| {
        const LAST: u32 = 2_000;
        let line = Conflated::line::<u32>();
        let replaced = Arc::new(Mutex::new(Vec::new()));
        let (sending, back) = (line.clone(), replaced.clone());
        crew.spawn(async move {
            for value in 0..=LAST {
                // Never waits, and gives back what nobody has seen.
                back.lock().unwrap().extend(sending.try_send(value).expect("there is always room"));
                if value % 5 == 0 {
                    breathe().await;
                }
            }
            sending.close();
        });
        let seen = crew.run(async {
            let mut seen = Vec::new();
            while let Ok(value) = line.recv().await {
                seen.push(value);
            }
            seen
        });
        assert!(
            seen.is_sorted() && seen.last() == Some(&LAST),
            "older after newer, or not the last"
        );
        let mut all = std::mem::take(&mut *replaced.lock().unwrap());
        let end = line.snapshot();
        assert_eq!((end.dropped as usize, end.received as usize), (all.len(), seen.len()));
        all.extend(seen);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..=LAST), "each value is seen, or given back");
    });
}

/// embassy's `Signal`: set several times before anybody waits, it is one signal.
#[test]
fn signal() {
    crate::crew::every_crew(|crew: Crew| {
        const ROUNDS: u32 = 200;
        let (signal, done) = (Conflated::line::<u32>(), Conflated::line::<u32>());
        let (waiting, answer) = (signal.clone(), done.clone());
        crew.spawn(async move {
            while let Ok(round) = waiting.recv().await {
                assert!(waiting.try_recv().is_err(), "a signal of an earlier round");
                assert_eq!(answer.try_send(round), Ok(None), "an answer that nobody took");
            }
            answer.close();
        });
        crew.run(async {
            for round in 0..ROUNDS {
                assert!(signal.send(round).await.is_ok());
                assert_eq!(done.recv().await, Ok(round));
            }
            signal.close();
            assert!(done.recv().await.is_err());
        });
    });
}
