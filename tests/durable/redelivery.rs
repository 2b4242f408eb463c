//! What is not acknowledged is delivered again, and what is too late or too often is not.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use cloakroom::durable::{AckError, Queue, TryRecvError};
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::journal::Level;

use crate::disk::{Disk, EIO, Fault};
use crate::{Lot, Small, open, put, queue};

#[test]
fn what_is_returned_comes_first_and_again() {
    let (arena, log) = (Small::new(), open(&Disk::default()));
    let queue = queue(&arena, &log);
    for text in [b"one", b"two", b"six"] {
        put(&queue, &arena, text).unwrap();
    }
    let one = queue.try_recv().unwrap();
    assert_eq!((&*one, one.attempts(), one.may_be_again()), (&b"one"[..], 1, false));
    one.nack();
    let again = queue.try_recv().unwrap();
    assert_eq!((&*again, again.attempts(), again.may_be_again()), (&b"one"[..], 2, true));
    assert_eq!(&*again.ack().unwrap(), b"one");
    drop(queue.try_recv().unwrap());
    let again = queue.try_recv().unwrap();
    assert_eq!((&*again, again.attempts()), (&b"two"[..], 2));
    assert_eq!(&*queue.try_recv().unwrap().ack().unwrap(), b"six");
    again.ack().unwrap();
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    assert_eq!(arena.snapshot().live, 0);
    assert_eq!(log.pending().len(), 0);
    assert_eq!(queue.snapshot().redelivered, 2);
}

/// As many are out as there are rows; the next one waits for a row, and gets it.
#[test]
fn no_more_are_out_than_may() {
    let (arena, log) = (Small::new(), open(&Disk::default()));
    let queue = queue(&arena, &log);
    for byte in 0..6 {
        put(&queue, &arena, &[byte]).unwrap();
    }
    let mut out: Vec<_> = (0..4).map(|_| queue.try_recv().unwrap()).collect();
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    let mut next = pin!(queue.recv());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(next.as_mut().poll(&mut cx).is_pending());
    out.pop().unwrap().ack().unwrap();
    let Poll::Ready(Ok(fifth)) = next.as_mut().poll(&mut cx) else { panic!("there is a row") };
    assert_eq!(&*fifth, [4]);
    // One that comes back is what the next one gets, although no row is free.
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    out.remove(0).nack();
    assert_eq!(&*queue.try_recv().unwrap(), [0]);
}

#[test]
fn a_late_acknowledgement_ends_nothing() {
    let (arena, log) = (Small::new(), open(&Disk::default()));
    let queue = queue(&arena, &log);
    put(&queue, &arena, b"slow").unwrap();
    let slow = queue.try_recv().unwrap();
    assert_eq!(queue.expire(1_000, 50), 0, "seen for the first time");
    assert_eq!(queue.expire(1_049, 50), 0);
    assert_eq!(queue.expire(1_050, 50), 1);
    let other = queue.try_recv().unwrap();
    assert_eq!((&*other, other.attempts()), (&b"slow"[..], 2));
    // It can be read all the same.
    assert_eq!(&*slow, b"slow");
    let Err(AckError::Expired(payload)) = slow.ack() else { panic!("somebody else has it") };
    assert_eq!(&*payload, b"slow");
    assert_eq!(log.pending().len(), 1);
    assert_eq!(queue.expire(2_000, 50), 0, "another attempt, seen for the first time");
    other.ack().unwrap();
    assert_eq!(log.pending().len(), 0);
    drop(payload);
    assert_eq!(arena.snapshot().live, 0);
    assert_eq!(queue.snapshot().expired, 1);
    // One that was dropped late does not come back twice.
    put(&queue, &arena, b"slow").unwrap();
    let slow = queue.try_recv().unwrap();
    assert_eq!((queue.expire(0, 1), queue.expire(1, 1)), (0, 1));
    drop(slow);
    queue.try_recv().unwrap().ack().unwrap();
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
}

#[test]
fn dead_letters_are_kept_elsewhere_before_they_are_forgotten() {
    let (arena, log) = (Small::new(), open(&Disk::default()));
    let grave: Queue<'_, '_, _, _, 1, 1> = Queue::new(arena.handle(), &log, 9, Level::Buffered);
    let queue: Lot<'_, '_> =
        Queue::new(arena.handle(), &log, 1, Level::Buffered).dead_letters(3, &grave);
    for text in [b"poison", b"poisom"] {
        put(&queue, &arena, text).unwrap();
    }
    for attempt in 1..=3 {
        let delivery = queue.try_recv().unwrap();
        assert_eq!((&*delivery, delivery.attempts()), (&b"poison"[..], attempt));
    }
    // Three times is enough.
    let next = queue.try_recv().unwrap();
    assert_eq!(&*next, b"poisom");
    assert_eq!(queue.snapshot().buried, 1);
    next.nack();
    // The grave is full: it is delivered on and on.
    for attempt in 2..10 {
        assert_eq!(queue.try_recv().unwrap().attempts(), attempt);
    }
    assert_eq!(&*grave.try_recv().unwrap().ack().unwrap(), b"poison");
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    assert_eq!(&*grave.try_recv().unwrap().ack().unwrap(), b"poisom");
    assert_eq!((log.pending().len(), arena.snapshot().live), (0, 0));
}

/// What the journal did not keep is not sent, and is in the caller's hand; its slot is not used up.
#[test]
fn a_journal_that_fails() {
    let (arena, disk) = (Small::new(), Disk::default());
    let log = open(&disk);
    let queue = queue(&arena, &log);
    put(&queue, &arena, b"kept").unwrap();
    disk.clone().with(Fault::FailAt(disk.calls(), EIO));
    for _ in 0..20 {
        let mut payload = arena.try_alloc(4).unwrap();
        payload.copy_from_slice(b"lost");
        let error = queue.try_send(payload).unwrap_err();
        assert!(error.to_string().contains("not kept"), "{error}");
        assert_eq!(&*error.into_inner(), b"lost");
    }
    let kept = queue.try_recv().unwrap();
    let Err(AckError::Journal(payload, _)) = kept.ack() else { panic!("the log has failed") };
    assert_eq!(&*payload, b"kept");
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    drop(payload);
    assert_eq!(arena.snapshot().live, 0);
}

/// A message that ends the process whenever it is received, another one that was just there, and one that is returned: the first
/// becomes a dead letter, after its first delivery and as many as may be, and each count goes on.
#[test]
fn too_often_through_crashes() {
    const MOST: u32 = 3;
    let mut disk = Disk::default();
    let mut delivered = Vec::new();
    for life in 0..8 {
        let (arena, log) = (Small::new(), open(&disk));
        let grave: Queue<'_, '_, _, _, 4, 1> = Queue::new(arena.handle(), &log, 9, Level::Buffered);
        let queue: Lot<'_, '_> =
            Queue::new(arena.handle(), &log, 1, Level::Buffered).dead_letters(MOST, &grave);
        if life == 0 {
            for text in [b"poison", b"beside"] {
                put(&queue, &arena, text).unwrap();
            }
        }
        let delivery = queue.try_recv().unwrap();
        delivered.push((delivery[0], delivery.attempts()));
        if delivery[0] == b'b' {
            assert_eq!(grave.snapshot().waiting, 1);
            break;
        }
        // What a kill leaves.
        disk = Disk::of(&disk.image());
    }
    assert_eq!(delivered, [(b'p', 1), (b'p', 1), (b'p', 2), (b'p', 3), (b'b', 1)]);
    // It stays buried, and what was returned in that process is counted from there on.
    let (arena, log) = (Small::new(), open(&Disk::of(&disk.image())));
    let grave: Queue<'_, '_, _, _, 4, 1> = Queue::new(arena.handle(), &log, 9, Level::Buffered);
    let queue: Lot<'_, '_> =
        Queue::new(arena.handle(), &log, 1, Level::Buffered).dead_letters(MOST, &grave);
    while queue.try_recv().is_ok_and(|delivery| delivery[0] == b'p') {}
    let mut buried = 0;
    while let Ok(letter) = grave.try_recv() {
        buried += u32::from(&*letter == b"poison");
        letter.ack().unwrap();
    }
    assert!(buried >= 1);
}

/// What was returned in one process, and returned in the next: both count; one in a future, too.
#[test]
fn counts_go_on_after_a_crash() {
    let disk = Disk::default();
    {
        let (arena, log) = (Small::new(), open(&disk));
        let queue = queue(&arena, &log);
        put(&queue, &arena, b"again").unwrap();
        for attempt in 1..=3 {
            assert_eq!(queue.try_recv().unwrap().attempts(), attempt);
        }
    }
    for life in 0..3 {
        let (arena, log) = (Small::new(), open(&Disk::of(&disk.image())));
        let queue = queue(&arena, &log);
        let delivery = match life {
            0 => queue.try_recv().unwrap(),
            _ => cloakroom::std_layer::block_on(queue.recv()).unwrap(),
        };
        assert_eq!((delivery.attempts(), delivery.may_be_again()), (4, true));
        delivery.nack();
        assert_eq!(queue.try_recv().unwrap().attempts(), 5);
    }
}

/// A full journal counts no more, and delivers.
#[test]
fn deliveries_that_cannot_be_counted() {
    let (arena, disk) = (Small::new(), Disk::default());
    let log = open(&disk);
    let queue = queue(&arena, &log);
    put(&queue, &arena, b"kept").unwrap();
    drop(queue.try_recv().unwrap());
    disk.clone().with(Fault::FailAt(disk.calls(), EIO));
    for attempt in 2..5 {
        assert_eq!(queue.try_recv().unwrap().attempts(), attempt);
    }
}

/// Who receives at most once does not have what has expired meanwhile, as somebody else will have that.
#[test]
fn what_expires_while_it_is_acknowledged_is_not_received_for_the_last_time_yet() {
    const MESSAGES: u8 = 100;
    let (arena, log) = (Small::new(), open(&Disk::default()));
    let queue = queue(&arena, &log);
    /// Also if something goes wrong.
    struct Ends<'o>(&'o AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    let mut times = [0; MESSAGES as usize];
    thread::scope(|scope| {
        let _ends = Ends(&over);
        scope.spawn(|| {
            let goes_on = |_: &u64| !over.load(Ordering::Relaxed);
            (0..).take_while(goes_on).for_each(|now| _ = queue.expire(now, 0));
        });
        for byte in 0..MESSAGES {
            put(&queue, &arena, &[byte]).unwrap();
            let received = block_on(queue.recv_acked()).unwrap();
            times[usize::from(received[0])] += 1;
        }
    });
    assert_eq!(times, [1; MESSAGES as usize]);
}
