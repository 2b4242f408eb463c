//! Messages with keys: who sends one again, as they do not know what became of the first, is told that it is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cloakroom::durable::{Queue, Sent, TryRecvError, TrySendError};
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::journal::Level;

use crate::disk::{Disk, EIO, Fault};
use crate::{KEYS, Lot, Small, open, queue};

fn put<'a>(queue: &Lot<'_, 'a>, arena: &'a Small, key: u64) -> Result<Sent, String> {
    let mut payload = arena.try_alloc(8).map_err(|error| error.to_string())?;
    payload.copy_from_slice(&key.to_le_bytes());
    queue.try_send_once(payload, key).map_err(|error| error.to_string())
}

/// Sent, received, acknowledged, crashed: a second one is never received.
#[test]
fn a_second_one_is_not_received() {
    let (disk, arena) = (Disk::default(), Small::new());
    let first = {
        let log = open(&disk);
        let queue = queue(&arena, &log);
        let Ok(Sent::New(first)) = put(&queue, &arena, 7) else { panic!("it is new") };
        assert_eq!(put(&queue, &arena, 7), Ok(Sent::Duplicate(first)));
        assert_eq!(queue.snapshot().waiting, 1);
        let delivery = queue.try_recv().unwrap();
        assert_eq!(put(&queue, &arena, 7), Ok(Sent::Duplicate(first)));
        delivery.ack().unwrap();
        assert_eq!(put(&queue, &arena, 7), Ok(Sent::Duplicate(first)));
        assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
        assert!(matches!(put(&queue, &arena, 8), Ok(Sent::New(second)) if second > first));
        log.sync().unwrap();
        first
    };
    let log = open(&disk);
    let queue = queue(&arena, &log);
    assert_eq!(block_on(queue.recv()).unwrap()[0], 8);
    assert_eq!(put(&queue, &arena, 7), Ok(Sent::Duplicate(first)));
    assert!(matches!(put(&queue, &arena, 8), Ok(Sent::Duplicate(_))));
    queue.try_recv().unwrap().ack().unwrap();
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    // Until as many others have come.
    for key in 100..100 + KEYS as u64 {
        assert!(matches!(put(&queue, &arena, key), Ok(Sent::New(_))));
        queue.try_recv().unwrap().ack().unwrap();
    }
    assert!(matches!(put(&queue, &arena, 7), Ok(Sent::New(_))));
    assert_eq!(&queue.try_recv().unwrap().ack().unwrap()[..1], [7]);
    assert_eq!((arena.snapshot().live, log.pending().len()), (0, 0));
}

/// A duplicate uses no slot up, and frees its payload; what is not kept comes back.
#[test]
fn slots_and_payloads() {
    let (arena, disk) = (Small::new(), Disk::default());
    let log = open(&disk);
    let queue = queue(&arena, &log);
    put(&queue, &arena, 1).unwrap();
    for _ in 0..20 {
        assert!(matches!(put(&queue, &arena, 1), Ok(Sent::Duplicate(_))));
    }
    assert_eq!((queue.snapshot().waiting, arena.snapshot().live), (1, 1));
    let other: Lot<'_, '_> = Queue::new(arena.handle(), &log, 2, Level::Sync);
    let payload = arena.try_alloc(3).unwrap();
    let Err(TrySendError::Journal(payload, error)) = other.try_send_once(payload, 1) else {
        panic!("there is one window");
    };
    assert_eq!((payload.len(), error.to_string().contains("keys")), (3, true));
    disk.clone().with(Fault::FailAt(disk.calls(), EIO));
    assert!(put(&queue, &arena, 2).is_err());
    drop(payload);
    assert_eq!(arena.snapshot().live, 1);
}

/// Senders that send the same, and are killed: whoever starts again sends all of it again, and all is received once.
#[test]
fn senders_that_begin_again() {
    const ORDERS: u64 = 60;
    let (disk, arena) = (Disk::default(), Small::new());
    let mut received = Vec::new();
    for life in 0..4 {
        let log = open(&disk);
        let queue = queue(&arena, &log);
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for key in 0..ORDERS {
                        let mut payload = block_on(arena.alloc(8)).unwrap();
                        payload.copy_from_slice(&key.to_le_bytes());
                        block_on(queue.send_once(payload, key)).unwrap();
                        // The last life is the only one that comes to its end.
                        if life < 3 && key == 15 * (life + 1) {
                            break;
                        }
                    }
                    if done.fetch_add(1, Ordering::SeqCst) == 1 {
                        queue.close();
                    }
                });
            }
            while let Ok(delivery) = block_on(queue.recv()) {
                received.push(u64::from_le_bytes(delivery[..].try_into().unwrap()));
                delivery.ack().unwrap();
            }
        });
        log.sync().unwrap();
    }
    // Of two who send at the same time either may be first.
    received.sort_unstable();
    assert_eq!(received, (0..ORDERS).collect::<Vec<_>>());
}
