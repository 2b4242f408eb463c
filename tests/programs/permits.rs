//! tokio's reservations: a place first, the value later.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use cloakroom::error::TryReserveError;
use cloakroom::{RecvError, TryRecvError};

use crate::crew::{Crew, breathe, poll_once};
use crate::kinds::{Kind, Line};
use crate::random::Random;

on_every_kind!(every_crew: reserved_and_sent_or_given_back);
on_every_kind!(alone: a_permit_outlives_closing, a_permit_given_back_after_closing);
on_every_kind_with_room!(alone: a_permit_holds_its_place);

/// A permit, with a receiver that waits if that is what it takes.
macro_rules! permit_on {
    ($line:ident, $receiver:ident) => {{
        if K::CAPACITY == Some(0) {
            assert_eq!($line.try_reserve().err(), Some(TryReserveError::Full));
        }
        if K::CAPACITY == Some(0) {
            assert!(poll_once($receiver.as_mut()).is_pending());
        }
        $line.try_reserve().expect("a free place")
    }};
}

fn a_permit_outlives_closing<K: Kind>() {
    let line = K::line::<u8>();
    let mut receiver = pin!(line.recv());
    let permit = permit_on!(line, receiver);
    assert!(line.close());
    assert_eq!(line.try_reserve().err(), Some(TryReserveError::Closed));
    assert!(poll_once(receiver.as_mut()).is_pending(), "a value is still to come");
    assert_eq!(line.try_recv(), Err(TryRecvError::Empty));
    drop(permit.send(5));
    assert_eq!(poll_once(receiver.as_mut()), Poll::Ready(Ok(5)));
    assert_eq!(poll_once(receiver), Poll::Ready(Err(RecvError)));
}

fn a_permit_given_back_after_closing<K: Kind>() {
    let line = K::line::<u8>();
    let mut receiver = pin!(line.recv());
    let permit = permit_on!(line, receiver);
    line.close();
    assert!(poll_once(receiver.as_mut()).is_pending(), "a value may still come");
    drop(permit);
    assert_eq!(poll_once(receiver), Poll::Ready(Err(RecvError)));
    assert_eq!(line.try_recv(), Err(TryRecvError::Closed));
}

fn a_permit_holds_its_place<K: Kind>() {
    let line = K::line::<u32>();
    let permit = line.try_reserve().expect("a free place");
    // As many as there is room for besides.
    let mut sent = 0;
    while line.try_send(sent).is_ok() {
        sent += 1;
    }
    if let Some(capacity) = K::CAPACITY {
        assert_eq!(sent as usize, capacity - 1);
    }
    assert_eq!(line.try_reserve().err(), Some(TryReserveError::Full));
    let mut waiting = pin!(line.reserve());
    assert!(poll_once(waiting.as_mut()).is_pending());
    drop(permit.send(sent));
    assert!(poll_once(waiting.as_mut()).is_pending(), "the place is taken now");
    let step = K::STEP as u32;
    for value in 0..step {
        assert_eq!(line.try_recv(), Ok(value));
    }
    let Poll::Ready(Ok(permit)) = poll_once(waiting) else { panic!("a place has become free") };
    drop(permit.send(sent + 1));
    let rest: Vec<_> = std::iter::from_fn(|| line.try_recv().ok()).collect();
    assert!(rest.into_iter().eq(step..sent + 2), "not in the order in which they were sent");
}

/// Reserves, and now and then changes its mind.
async fn reserve_and_send<K: Kind>(line: Line<K, (u64, u64)>, sender: u64, each: u64) {
    let mut random = Random(sender);
    let mut number = 0;
    while number < each {
        let mut reserve: Pin<Box<_>> = Box::pin(line.reserve());
        if random.below(4) == 0 {
            // Not even waited for to the end.
            drop(poll_once(reserve.as_mut()));
            continue;
        }
        let Ok(permit) = reserve.await else { panic!("closed early") };
        match random.below(3) {
            0 => drop(permit),
            1 => {
                breathe().await;
                drop(permit.send((sender, number)));
                number += 1;
            }
            _ => {
                drop(permit.send((sender, number)));
                number += 1;
            }
        }
    }
}

fn reserved_and_sent_or_given_back<K: Kind>(crew: Crew) {
    const SENDERS: u64 = 4;
    const EACH: u64 = 100;
    let line = K::line::<(u64, u64)>();
    let sending = Arc::new(AtomicUsize::new(SENDERS as usize));
    for sender in 0..SENDERS {
        let (line, sending) = (line.clone(), sending.clone());
        crew.spawn(async move {
            reserve_and_send::<K>(line.clone(), sender, EACH).await;
            if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
                line.close();
            }
        });
    }
    let next = crew.run(async {
        let mut next = [0; SENDERS as usize];
        while let Ok((sender, number)) = line.recv().await {
            assert_eq!(number, next[sender as usize], "of sender {sender}");
            next[sender as usize] += 1;
        }
        next
    });
    assert_eq!(next, [EACH; SENDERS as usize]);
}
