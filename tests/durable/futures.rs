//! Sends from futures at `Sync`: nobody's thread waits for the disk, and what a dropped future leaves is known.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use cloakroom::durable::{Queue, SendError, Sent, TryRecvError};
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::journal::{Journal, Level, Log, Message, Options};
use cloakroom::{Arena, LeaseMut};

use crate::disk::{Disk, EIO, Fault};
use crate::{Lock, Lot, Small, options};

/// One that the test maintains.
fn open(disk: &Disk) -> Log<Disk> {
    Log::open(disk.clone(), Options { maintained: true, ..options() }).unwrap().0
}

fn queue<'q, 'a>(arena: &'a Small, log: &'q Log<Disk>) -> Lot<'q, 'a> {
    Queue::new(arena.handle(), log, 1, Level::Sync)
}

fn message<'a>(arena: &'a Small, byte: u8) -> LeaseMut<'a, Lock> {
    let mut payload = arena.try_alloc(4).unwrap();
    payload.fill(byte);
    payload
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn it_is_received_when_it_is_durable() {
    let (arena, disk) = (Small::new(), Disk::default());
    let log = open(&disk);
    // It has slots in advance.
    (0..4).for_each(|_| log.maintain().unwrap());
    let queue = queue(&arena, &log);
    let (calls, syncs) =
        (disk.calls(), |disk: &Disk| disk.kinds().iter().filter(|it| **it == "sync").count());
    let before = syncs(&disk);
    let mut one = pin!(queue.send(message(&arena, 1)));
    let mut two = pin!(queue.send_once(message(&arena, 2), 2));
    assert!(poll(one.as_mut()).is_pending() && poll(two.as_mut()).is_pending());
    assert!(poll(one.as_mut()).is_pending(), "nobody has synced");
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    assert_eq!(disk.calls(), calls, "a future touches no file");
    log.maintain().unwrap();
    assert_eq!(syncs(&disk), before + 1, "for both");
    assert!(open(&Disk::of(&disk.durable())).pending().len() == 2);
    let Poll::Ready(Ok(first)) = poll(one.as_mut()) else { panic!("it is durable") };
    assert!(matches!(poll(two.as_mut()), Poll::Ready(Ok(Sent::New(second))) if second > first));
    for byte in [1, 2] {
        assert_eq!(queue.try_recv().unwrap().ack().unwrap()[0], byte);
    }
    assert_eq!(arena.snapshot().live, 0);
}

#[test]
fn futures_that_are_dropped() {
    let (arena, disk) = (Small::new(), Disk::default());
    let log = open(&disk);
    let queue = queue(&arena, &log);
    // Not polled, and not durable: gone.
    drop(queue.send(message(&arena, 1)));
    {
        let mut given_up = pin!(queue.send(message(&arena, 2)));
        assert!(poll(given_up.as_mut()).is_pending());
        assert_eq!(log.pending().len(), 1);
    }
    assert_eq!((log.pending().len(), arena.snapshot().live), (0, 0));
    // It has given its key up, too.
    {
        let mut given_up = pin!(queue.send_once(message(&arena, 3), 3));
        assert!(poll(given_up.as_mut()).is_pending());
    }
    let permit = queue.try_reserve().unwrap();
    assert!(matches!(permit.send_once(message(&arena, 3), 3), Ok(Sent::New(_))));
    assert_eq!(queue.try_recv().unwrap().ack().unwrap()[0], 3);
    // Durable, and nobody has looked: it is received.
    {
        let mut late = pin!(queue.send(message(&arena, 4)));
        assert!(poll(late.as_mut()).is_pending());
        log.sync().unwrap();
    }
    assert_eq!(queue.try_recv().unwrap().ack().unwrap()[0], 4);
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    // Slots are all there again.
    for byte in 0..8 {
        queue.try_send(message(&arena, byte)).unwrap();
    }
    drop(queue);
    log.sync().unwrap();
    let log = open(&Disk::of(&disk.durable()));
    assert_eq!(log.pending().len(), 8);
}

#[test]
fn a_log_that_fails_gives_the_payload_back() {
    let (arena, disk) = (Small::new(), Disk::default());
    let log = open(&disk);
    let queue = queue(&arena, &log);
    let mut send = pin!(queue.send(message(&arena, 9)));
    assert!(poll(send.as_mut()).is_pending());
    disk.clone().with(Fault::FailAt(disk.calls() + 1, EIO));
    assert!(log.maintain().is_err());
    let Poll::Ready(Err(SendError::Journal(payload, _))) = poll(send.as_mut()) else {
        panic!("it has failed");
    };
    assert_eq!(payload[0], 9);
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
}

/// Nobody maintains the log: it is kept in the call.
#[test]
fn a_log_without_threads() {
    let (arena, disk) = (Small::new(), Disk::default());
    let log = crate::open(&disk);
    let queue = queue(&arena, &log);
    for seq in 1..=400_u64 {
        let mut send = pin!(queue.send(message(&arena, seq as u8)));
        let Poll::Ready(Ok(sent)) = poll(send.as_mut()) else { panic!("it does not wait") };
        assert_eq!(sent, seq);
        let pending = open(&Disk::of(&disk.durable())).pending();
        assert_eq!(pending.last().map(|live| live.seq), Some(seq));
        queue.try_recv().unwrap().ack().unwrap();
    }
    assert!(log.durable().segment > 1);
}

/// One thread with many tasks, on a real disk: threads of the journal's sync, and wake them; some tasks are dropped.
#[test]
fn tasks_of_one_thread() {
    const TASKS: u64 = 40;
    let place = std::env::temp_dir().join(format!("cloakroom-futures-{}", std::process::id()));
    let arena: Arena<Lock, 256, 64, 128> = Arena::new();
    let options = Options {
        segment_bytes: 64 << 10,
        stage_bytes: 16 << 10,
        max_payload: 64,
        ..Options::default()
    };
    let received = {
        let (log, _) = Journal::open(&place, options.clone()).unwrap();
        let queue: Queue<'_, '_, _, _, 64, 4> = Queue::new(arena.handle(), &*log, 1, Level::Sync);
        let (received, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Ok(delivery) = block_on(queue.recv()) {
                    received
                        .lock()
                        .unwrap()
                        .push(u64::from_le_bytes(delivery[..].try_into().unwrap()));
                    delivery.ack().unwrap();
                }
                over.store(true, Ordering::Relaxed);
            });
            for round in 0..20 {
                let send = |task: u64| {
                    let mut payload = block_on(arena.alloc(8)).unwrap();
                    payload.copy_from_slice(&(round * TASKS + task).to_le_bytes());
                    queue.send(payload)
                };
                let mut tasks: Vec<_> = (0..TASKS).map(|task| Box::pin(send(task))).collect();
                let dropped = tasks.split_off(TASKS as usize - 2);
                block_on(std::future::poll_fn(|cx| {
                    tasks.retain_mut(|task| match task.as_mut().poll(cx) {
                        Poll::Ready(sent) => sent.is_err(),
                        Poll::Pending => true,
                    });
                    if tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
                }));
                for mut task in dropped {
                    let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }
            }
            queue.close();
        });
        assert!(over.into_inner());
        assert!(log.pending().is_empty());
        received.into_inner().unwrap()
    };
    let (log, report) = Journal::open(&place, options).unwrap();
    assert_eq!((report.pending, log.pending().len()), (0, 0));
    drop(log);
    std::fs::remove_dir_all(place).unwrap();
    let mut once = received.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), received.len(), "none comes twice");
    let certain = (0..20 * TASKS).filter(|number| number % TASKS < TASKS - 2);
    assert!(certain.into_iter().all(|number| once.binary_search(&number).is_ok()));
}

/// Memory is what the one that was returned has: whoever waits for some gets that one.
#[test]
fn one_that_waits_for_memory_receives_what_is_returned() {
    let (arena, disk) = (Arena::<Lock, 1, 64, 8>::new(), Disk::default());
    let log = open(&disk);
    for seq in 1..=2 {
        log.send(&Message::new(1, seq, b"x"), Level::Sync).unwrap();
    }
    let queue: Queue<'_, '_, _, _, 8, 4> = Queue::new(arena.handle(), &log, 1, Level::Sync);
    let first = block_on(queue.recv()).unwrap();
    let mut second = pin!(queue.recv());
    assert!(poll(second.as_mut()).is_pending(), "there is no memory");
    drop(first);
    let Poll::Ready(Ok(again)) = poll(second) else { panic!("it was returned") };
    assert_eq!((again.seq(), again.attempts()), (1, 2));
}
