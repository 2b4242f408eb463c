//! From hand to hand by one step or by two: what comes of it is the same under every lock.
#![cfg(not(any(loom, shuttle)))]

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use cloakroom::channel::{
    Buffered, ByteTryRecvError, Bytes, Conflated, DropOldest, Priority, Rendezvous, fan_out,
};
#[cfg(feature = "std")]
use cloakroom::std_layer::StdRawMutex;
use cloakroom::sync::{CriticalSectionRawMutex, NoopRawMutex, RawMutex, SpinRawMutex};
use cloakroom::{Arena, TrySendError};

type Small<M> = Arena<M, 8, 64, 6>;

fn poll<F: Future>(future: core::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What fits is received as it was sent; what does not comes back, at rest; both are counted.
fn full_and_empty<M: RawMutex>() {
    let arena = Small::<M>::new();
    let channel = Bytes::<M, Buffered<2>>::new();
    for round in 0..3u8 {
        assert_eq!(channel.try_recv().err(), Some(ByteTryRecvError::Empty));
        for number in [2 * round, 2 * round + 1] {
            let mut payload = arena.try_alloc(1 + usize::from(number)).unwrap();
            payload.fill(number);
            assert!(channel.try_send(payload).is_ok());
        }
        let third = channel.try_send(arena.try_alloc(7).unwrap());
        let Err(TrySendError::Full(parcel)) = third else { panic!("there is no room") };
        assert_eq!(parcel.redeem().map(|lease| lease.len()), Ok(7));
        for number in [2 * round, 2 * round + 1] {
            let received = channel.try_recv().unwrap();
            assert_eq!(received.len(), 1 + usize::from(number));
            assert!(received.iter().all(|&byte| byte == number));
        }
    }
    let snapshot = channel.snapshot();
    assert_eq!((snapshot.sent, snapshot.received, snapshot.high_water), (6, 6, 2));
    assert_eq!((snapshot.full, snapshot.empty), (3, 3));
    assert_eq!((snapshot.bytes_sent, snapshot.bytes_received), (21, 21));
    assert_eq!(arena.snapshot().live, 0);
    assert!(arena.handle().verify().is_clean());
}

/// What is closed is emptied, and refuses the rest.
fn closed<M: RawMutex>() {
    let arena = Small::<M>::new();
    let channel = Bytes::<M, Buffered<2>>::new();
    assert!(channel.try_send(arena.try_alloc(1).unwrap()).is_ok());
    channel.close();
    let late = channel.try_send(arena.try_alloc(2).unwrap());
    assert!(matches!(late, Err(TrySendError::Closed(parcel)) if parcel.len() == 2));
    assert_eq!(channel.try_recv().map(|lease| lease.len()), Ok(1));
    assert_eq!(channel.try_recv().err(), Some(ByteTryRecvError::Closed));
    assert_eq!((channel.snapshot().refused, channel.snapshot().ended), (1, 1));
    assert_eq!(arena.snapshot().live, 0);
}

/// Who waits comes first, on either side.
fn waiters<M: RawMutex>() {
    let arena = Small::<M>::new();
    let channel = Bytes::<M, Buffered<1>>::new();
    {
        let mut receive = pin!(channel.recv());
        assert!(poll(receive.as_mut()).is_pending());
        assert!(channel.try_send(arena.try_alloc(3).unwrap()).is_ok());
        assert_eq!(channel.try_recv().err(), Some(ByteTryRecvError::Empty));
        assert!(matches!(poll(receive), Poll::Ready(Ok(lease)) if lease.len() == 3));
    }
    assert!(channel.try_send(arena.try_alloc(4).unwrap()).is_ok());
    let mut send = pin!(channel.send(arena.try_alloc(5).unwrap()));
    assert!(poll(send.as_mut()).is_pending());
    assert_eq!(channel.try_recv().map(|lease| lease.len()), Ok(4));
    let newcomer = channel.try_send(arena.try_alloc(6).unwrap());
    assert!(matches!(newcomer, Err(TrySendError::Full(_))));
    assert!(poll(send).is_ready());
    assert_eq!(channel.try_recv().map(|lease| lease.len()), Ok(5));
}

/// A payload that others have, too, goes by as well; one whose number somebody has redeemed does not.
fn shared_and_stolen<M: RawMutex>() {
    let arena = Small::<M>::new();
    let lines = [Bytes::<M, Buffered<2>>::new(), Bytes::<M, Buffered<2>>::new()];
    let sent = fan_out(&[&lines[0], &lines[1]], arena.try_alloc_from(b"both").unwrap());
    assert_eq!(sent, 2);
    let (a, b) = (lines[0].try_recv().unwrap(), lines[1].try_recv().unwrap());
    assert!(core::ptr::eq(&a[..], &b[..]));
    drop((a, b));
    assert!(lines[0].try_send(arena.try_alloc(8).unwrap()).is_ok());
    let ticket = arena.handle().dump().next().unwrap().ticket;
    let stolen = arena.redeem(ticket).unwrap();
    assert_eq!(lines[0].try_recv().err(), Some(ByteTryRecvError::Damaged));
    assert_eq!(lines[0].try_recv().err(), Some(ByteTryRecvError::Empty));
    assert_eq!((lines[0].snapshot().sent, lines[0].snapshot().received), (2, 2));
    drop(stolen);
    assert_eq!(arena.snapshot().live, 0);
}

/// Other kinds: what is replaced or dropped is freed, what is urgent comes first, and who meets nobody is refused.
fn other_kinds<M: RawMutex>() {
    let arena = Small::<M>::new();
    let len_of = |received: Result<_, ByteTryRecvError>| {
        received.map(|lease: cloakroom::Lease<'_, M>| lease.len())
    };
    let latest = Bytes::<M, Conflated>::new();
    let newest = Bytes::<M, Buffered<2, DropOldest>>::new();
    let urgent = Bytes::<M, Priority<2>>::new();
    for len in 1..4 {
        assert!(latest.try_send(arena.try_alloc(len).unwrap()).is_ok());
        assert!(newest.try_send(arena.try_alloc(len).unwrap()).is_ok());
        assert_eq!(urgent.try_send(arena.try_alloc(len).unwrap()).is_ok(), len < 3);
    }
    assert_eq!(len_of(latest.try_recv()), Ok(3));
    assert_eq!([len_of(newest.try_recv()), len_of(newest.try_recv())], [Ok(2), Ok(3)]);
    assert_eq!([len_of(urgent.try_recv()), len_of(urgent.try_recv())], [Ok(1), Ok(2)]);
    let nobody = Bytes::<M, Rendezvous>::new();
    assert!(matches!(nobody.try_send(arena.try_alloc(1).unwrap()), Err(TrySendError::Full(_))));
    assert_eq!(len_of(nobody.try_recv()), Err(ByteTryRecvError::Empty));
    assert_eq!(arena.snapshot().live, 0);
}

fn all<M: RawMutex>() {
    full_and_empty::<M>();
    closed::<M>();
    waiters::<M>();
    shared_and_stolen::<M>();
    other_kinds::<M>();
}

#[test]
fn under_a_critical_section() {
    all::<CriticalSectionRawMutex>();
}

#[test]
fn under_none() {
    all::<NoopRawMutex>();
}

#[test]
fn under_a_spin_lock() {
    all::<SpinRawMutex>();
}

#[cfg(feature = "std")]
#[test]
fn under_a_lock_for_threads() {
    all::<StdRawMutex>();
}
