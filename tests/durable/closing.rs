//! The end of a queue: when all is acknowledged, and not before.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cloakroom::durable::{RecvError, TryRecvError, TrySendError};

use crate::disk::Disk;
use crate::{Small, open, put, queue};

#[test]
fn those_who_wait_are_told_when_all_is_acknowledged() {
    let (arena, log) = (Small::new(), open(&Disk::default()));
    let queue = queue(&arena, &log);
    put(&queue, &arena, b"last").unwrap();
    let last = queue.try_recv().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiting = pin!(queue.recv());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert!(queue.close() && !queue.close());
    let Err(TrySendError::Closed(_)) = queue.try_send(arena.try_alloc(1).unwrap()) else {
        panic!("it is closed");
    };
    assert!(waiting.as_mut().poll(&mut cx).is_pending(), "it may come back");
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    last.nack();
    let Poll::Ready(Ok(last)) = waiting.as_mut().poll(&mut cx) else { panic!("it came back") };
    let mut waiting = pin!(queue.recv());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    last.ack().unwrap();
    assert!(matches!(waiting.as_mut().poll(&mut cx), Poll::Ready(Err(RecvError::Closed))));
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Closed)));
}

/// One who waits for a row, as all are out, is told, too.
#[test]
fn those_who_wait_for_a_row() {
    let (arena, log) = (Small::new(), open(&Disk::default()));
    let queue = queue(&arena, &log);
    for byte in 0..4 {
        put(&queue, &arena, &[byte]).unwrap();
    }
    let out: Vec<_> = (0..4).map(|_| queue.try_recv().unwrap()).collect();
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiting = pin!(queue.recv());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    queue.close();
    for delivery in out {
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        delivery.ack().unwrap();
    }
    assert!(matches!(waiting.as_mut().poll(&mut cx), Poll::Ready(Err(RecvError::Closed))));
}

#[test]
fn closed_for_good() {
    let disk = Disk::default();
    {
        let (arena, log) = (Small::new(), open(&disk));
        let queue = queue(&arena, &log);
        put(&queue, &arena, b"left").unwrap();
        queue.close_for_good().unwrap();
        log.sync().unwrap();
    }
    let (arena, log) = (Small::new(), open(&disk));
    let queue = queue(&arena, &log);
    assert!(!queue.close());
    assert!(put(&queue, &arena, b"late").is_err());
    assert_eq!(&*queue.try_recv().unwrap().ack().unwrap(), b"left");
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Closed)));
}

/// What is pending is delivered by a queue that was closed before anybody looked.
#[test]
fn closed_before_what_was_pending() {
    let disk = Disk::default();
    {
        let (arena, log) = (Small::new(), open(&disk));
        put(&queue(&arena, &log), &arena, b"left").unwrap();
    }
    let (arena, log) = (Small::new(), open(&disk));
    let queue = queue(&arena, &log);
    assert!(queue.close());
    let mut cx = Context::from_waker(Waker::noop());
    // Gives its row up: that is when the end is looked for.
    {
        let hoard = arena.try_alloc(64 * 64).unwrap();
        let mut given_up = pin!(queue.recv());
        assert!(given_up.as_mut().poll(&mut cx).is_pending());
        drop(hoard);
    }
    assert_eq!(&*queue.try_recv().unwrap().ack().unwrap(), b"left");
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Closed)));
}
