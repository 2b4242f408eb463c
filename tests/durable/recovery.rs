//! What was pending, after a crash.

use std::pin::pin;
use std::task::{Context, Waker};

use cloakroom::durable::{LostWhy, Queue, TryRecvError, TrySendError};
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::journal::Level;
use cloakroom::{Arena, Lease};

use crate::disk::{Disk, Fault};
use crate::{Lock, Small, open, put, queue};

/// More than the queue has slots, and the arena memory: in order, before what is sent then.
#[test]
fn it_comes_in_order_and_first() {
    let disk = Disk::default();
    {
        let big: Arena<Lock, 512, 64, 128> = Arena::new();
        let log = open(&disk);
        let queue: Queue<'_, '_, _, _, 64, 4> = Queue::new(big.handle(), &log, 1, Level::Buffered);
        for seq in 0..40 {
            let mut payload = big.try_alloc(400).unwrap();
            payload.fill(seq);
            queue.try_send(payload).unwrap();
        }
        // The third was done with; that is durable.
        let mut out: Vec<_> = (0..3).map(|_| queue.try_recv().unwrap()).collect();
        out.pop().unwrap().ack().unwrap();
        log.sync().unwrap();
    }
    let (arena, log) = (Small::new(), open(&disk));
    let queue = queue(&arena, &log);
    assert!(!queue.is_recovered());
    let Err(TrySendError::Full(early)) = queue.try_send(arena.try_alloc(1).unwrap()) else {
        panic!("it would overtake");
    };
    drop(early);
    for seq in (0..40).filter(|&seq| seq != 2) {
        let delivery = queue.try_recv().unwrap();
        assert!(delivery.may_be_again());
        assert!(delivery.len() == 400 && delivery.iter().all(|&byte| byte == seq));
        delivery.ack().unwrap();
    }
    assert!(queue.is_recovered());
    let seq = put(&queue, &arena, b"new").unwrap();
    assert!(seq > 40);
    assert_eq!(&*queue.try_recv().unwrap().ack().unwrap(), b"new");
    assert_eq!((log.pending().len(), arena.snapshot().live), (0, 0));
}

/// Without memory it waits for some; a receive that is given up at any moment leaves all as it was.
#[test]
fn receives_that_are_given_up() {
    let disk = Disk::default();
    {
        let (arena, log) = (Small::new(), open(&disk));
        for text in [b"one", b"two"] {
            put(&queue(&arena, &log), &arena, text).unwrap_or_default();
        }
        // The second one's queue had the first one's message before it.
        let queue = queue(&arena, &log);
        queue.try_recv().unwrap().ack().unwrap();
        put(&queue, &arena, b"two").unwrap();
        log.sync().unwrap();
    }
    let (arena, log) = (Small::new(), open(&disk));
    let queue = queue(&arena, &log);
    let mut cx = Context::from_waker(Waker::noop());
    let hoard: Vec<Lease<'_, Lock>> =
        std::iter::from_fn(|| arena.try_alloc_from(&[0; 64]).ok()).collect();
    for polls in 0..4 {
        let mut receive = pin!(queue.recv());
        for _ in 0..polls {
            assert!(receive.as_mut().poll(&mut cx).is_pending());
        }
    }
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Memory)));
    drop(hoard);
    assert_eq!(&*block_on(queue.recv()).unwrap().ack().unwrap(), b"two");
    for polls in 0..4 {
        let mut receive = pin!(queue.recv());
        for _ in 0..polls {
            assert!(receive.as_mut().poll(&mut cx).is_pending());
        }
    }
    put(&queue, &arena, b"new").unwrap();
    assert_eq!(&*block_on(queue.recv_acked()).unwrap(), b"new");
    assert_eq!(arena.snapshot().live, 0);
}

/// One that cannot be delivered is named, and holds nobody up.
#[test]
fn what_cannot_be_delivered_is_passed_over() {
    let disk = Disk::default();
    {
        let big: Arena<Lock, 512, 64, 128> = Arena::new();
        let log = open(&disk);
        let queue: Queue<'_, '_, _, _, 8, 4> = Queue::new(big.handle(), &log, 1, Level::Sync);
        for len in [10, 4096, 20, 30] {
            let mut payload = big.try_alloc(len).unwrap();
            payload.fill(len as u8);
            queue.try_send(payload).unwrap();
        }
    }
    let tiny: Arena<Lock, 8, 64, 8> = Arena::new();
    let log = open(&disk);
    let queue: Queue<'_, '_, _, _, 8, 4> = Queue::new(tiny.handle(), &log, 1, Level::Sync);
    assert_eq!(queue.try_recv().unwrap().ack().unwrap().len(), 10);
    let Err(TryRecvError::Lost(lost)) = queue.try_recv() else { panic!("it is too long") };
    assert!(matches!(lost.why, LostWhy::TooLarge) && lost.len == 4096);
    assert_eq!(queue.try_recv().unwrap().ack().unwrap().len(), 20);
    disk.clone().with(Fault::UnreadableFrom(0));
    let Err(TryRecvError::Lost(unread)) = queue.try_recv() else { panic!("it cannot be read") };
    assert!(matches!(unread.why, LostWhy::Journal(_)));
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    assert_eq!(log.pending().len(), 2, "both stay");
    queue.discard(lost.seq).unwrap();
    assert_eq!(log.pending().len(), 1);
    assert_eq!(tiny.snapshot().live, 0);
}
