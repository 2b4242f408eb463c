//! What a channel without a buffer promises: both sides are there, or nothing happens.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use cloakroom::{TryRecvError, TrySendError};

use crate::crew::{Crew, breathe, poll_once};
use crate::kinds::{Kind, Rendezvous};

on_kinds!(every_crew two_that_only_try_never_meet: rendezvous on Rendezvous);
on_every_kind!(every_crew: chain);

#[test]
fn tries_find_those_who_wait_and_nobody_else() {
    let line = Rendezvous::line::<u8>();
    assert_eq!((line.capacity(), line.is_full()), (Some(0), true));
    assert_eq!(line.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(line.try_recv(), Err(TryRecvError::Empty));
    {
        let mut receive = pin!(line.recv());
        assert_eq!(poll_once(receive.as_mut()), Poll::Pending);
        assert!(!line.is_full());
        assert_eq!(line.try_send(2), Ok(()));
        // The receiver has been met: it waits for nobody any more.
        assert_eq!(line.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(poll_once(receive), Poll::Ready(Ok(2)));
    }
    {
        let mut send = pin!(line.send(4));
        assert_eq!(poll_once(send.as_mut()), Poll::Pending);
        assert_eq!(line.len(), 0, "a value that nobody took is the sender's");
        assert_eq!(line.try_recv(), Ok(4));
        assert_eq!(line.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(poll_once(send), Poll::Ready(Ok(())));
    }
    // One who has gone is not met.
    drop(Box::pin(line.recv()));
    assert!(poll_once(pin!(line.recv())).is_pending());
    assert_eq!(line.try_send(5), Err(TrySendError::Full(5)));
    assert!(poll_once(pin!(line.send(6))).is_pending());
    assert_eq!(line.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_send_ends_when_a_receiver_has_come() {
    let line = Rendezvous::line::<u8>();
    let (mut first, mut second) = (pin!(line.send(1)), pin!(line.send(2)));
    for _ in 0..3 {
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
    }
    assert_eq!(poll_once(pin!(line.recv())), Poll::Ready(Ok(1)));
    assert!(poll_once(second.as_mut()).is_pending(), "one receiver ended two sends");
    assert_eq!(poll_once(first), Poll::Ready(Ok(())));
    assert_eq!(poll_once(pin!(line.recv())), Poll::Ready(Ok(2)));
    assert_eq!(poll_once(second), Poll::Ready(Ok(())));
}

fn two_that_only_try_never_meet<K: Kind>(crew: Crew) {
    const TRIES: u32 = 2_000;
    let line = K::line::<u32>();
    let sending = line.clone();
    crew.spawn(async move {
        for value in 0..TRIES {
            assert_eq!(sending.try_send(value).err(), Some(TrySendError::Full(value)));
            breathe().await;
        }
    });
    crew.run(async {
        for _ in 0..TRIES {
            assert_eq!(line.try_recv(), Err(TryRecvError::Empty));
            breathe().await;
        }
    });
    let end = line.snapshot();
    assert_eq!((end.full, end.empty, end.sent, end.received), (TRIES, TRIES, 0, 0));
}

/// Go's `SynchFifo`: each waits for its predecessor, takes its value out of the common channel, and lets its
/// successor go. The order of the values is that of the chain.
fn chain<K: Kind>(crew: Crew) {
    const LINKS: usize = 12;
    let common = K::line::<usize>();
    let taken = Arc::new(AtomicUsize::new(0));
    crew.run(async {
        let first = K::line::<()>();
        let mut before = first.clone();
        for link in 0..LINKS {
            let after = K::line::<()>();
            let (common, taken, go, next) = (common.clone(), taken.clone(), before, after.clone());
            crew.spawn(async move {
                assert_eq!(go.recv().await, Ok(()));
                assert_eq!(common.recv().await, Ok(link));
                assert_eq!(taken.fetch_add(1, Ordering::Relaxed), link);
                assert!(next.send(()).await.is_ok());
            });
            before = after;
        }
        assert!(first.send(()).await.is_ok());
        for value in 0..LINKS {
            assert!(common.send(value).await.is_ok());
        }
        assert_eq!(before.recv().await, Ok(()));
    });
    assert_eq!(taken.load(Ordering::Relaxed), LINKS);
}
