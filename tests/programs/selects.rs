//! Go's tests of `select`, and what crossbeam's users rely on: one thing happens, the rest leaves no trace.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use cloakroom::select::{Either, select};

use crate::crew::{Crew, poll_once};
use crate::kinds::{Kind, Line};

on_every_kind!(every_crew: one_value_offered_to_four);
on_every_kind!(alone: failed_arms_do_not_stand_in_the_way);
on_kinds!(every_crew swap: rendezvous on Rendezvous);

/// Go's `doubleselect`: the same number is offered to four channels at once; it goes into one of them.
fn one_value_offered_to_four<K: Kind>(crew: Crew) {
    const VALUES: u32 = 300;
    let offered: [Line<K, u32>; 4] = std::array::from_fn(|_| K::line());
    let merged = K::line::<u32>();
    let open = Arc::new(AtomicUsize::new(offered.len()));
    for line in &offered {
        let (line, merged, open) = (line.clone(), merged.clone(), open.clone());
        crew.spawn(async move {
            while let Ok(value) = line.recv().await {
                assert!(merged.send(value).await.is_ok());
            }
            if open.fetch_sub(1, Ordering::Relaxed) == 1 {
                merged.close();
            }
        });
    }
    crew.spawn(async move {
        for value in 0..VALUES {
            let [a, b, c, d] = &offered;
            // Whoever is first in line is another one each time.
            let mut lines = [a, b, c, d];
            lines.rotate_left(value as usize % 4);
            let (_, sent) = select(lines.map(|line| line.send(value))).await;
            assert!(sent.is_ok());
        }
        for line in &offered {
            line.close();
        }
    });
    let mut received = crew.run(async {
        let mut received = Vec::new();
        while let Ok(value) = merged.recv().await {
            received.push(value);
        }
        received
    });
    received.sort_unstable();
    assert!(received.into_iter().eq(0..VALUES), "a value was sent twice, or not at all");
}

/// Go's issue 2075: a select that ended elsewhere must leave the queues of its other arms in order, with others
/// waiting there before and after it.
fn failed_arms_do_not_stand_in_the_way<K: Kind>() {
    let (busy, other) = (K::line::<u8>(), K::line::<u8>());
    let mut before = pin!(busy.recv());
    let mut after = pin!(busy.recv());
    let mut last = pin!(busy.recv());
    {
        let mut selected = pin!(select((busy.recv(), other.recv())));
        assert!(poll_once(before.as_mut()).is_pending());
        assert!(poll_once(selected.as_mut()).is_pending());
        assert!(poll_once(after.as_mut()).is_pending());
        assert!(other.try_send(7).is_ok());
        // Decided, and still in the queue of the busy channel.
        assert!(poll_once(last.as_mut()).is_pending());
        assert!(matches!(poll_once(selected), Poll::Ready(Either::Second(Ok(7)))));
    }
    for (value, receive) in [before, after, last].into_iter().enumerate() {
        let value = value as u8;
        assert!(busy.try_send(value).is_ok());
        assert_eq!(poll_once(receive), Poll::Ready(Ok(value)));
    }
    assert_eq!((busy.len(), other.len()), (0, 0));
}

/// Two sides that both offer and ask on one channel: neither meets itself, so each gets the other's.
fn swap<K: Kind>(crew: Crew) {
    const ROUNDS: u32 = 300;
    let line = K::line::<(u8, u32)>();
    let side = |name: u8, line: Line<K, (u8, u32)>| async move {
        let (mut given, mut taken) = (0, 0);
        while given + taken < ROUNDS {
            match select((line.send((name, given)), line.recv())).await {
                Either::First(sent) => {
                    assert!(sent.is_ok());
                    given += 1;
                }
                Either::Second(received) => {
                    assert_eq!(received, Ok((1 - name, taken)), "not the other's next");
                    taken += 1;
                }
            }
        }
        (given, taken)
    };
    let other = side(1, line.clone());
    crew.spawn(async move {
        other.await;
    });
    let (given, taken) = crew.run(side(0, line.clone()));
    assert_eq!(given + taken, ROUNDS);
    assert_eq!((line.len(), line.snapshot().sent), (0, ROUNDS));
}
