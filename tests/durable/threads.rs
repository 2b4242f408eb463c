//! Threads that send, receive, return and are too slow.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use cloakroom::durable::{Queue, RecvError};
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::journal::Level;

use crate::disk::Disk;
use crate::random::Random;
use crate::{Lot, Small, open};

/// Every message is acknowledged once, whatever is returned or expires in between.
#[test]
fn each_is_done_with_once() {
    const SENDERS: u64 = 3;
    const EACH: u64 = 300;
    let (arena, log) = (Small::new(), open(&Disk::default()));
    let queue: Lot<'_, '_> = Queue::new(arena.handle(), &log, 1, Level::Buffered);
    let (done, clock, over) = (Mutex::new(Vec::new()), AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (queue, arena) = (&queue, &arena);
                scope.spawn(move || {
                    for number in 0..EACH {
                        let mut payload = block_on(arena.alloc(16)).unwrap();
                        payload[..8].copy_from_slice(&sender.to_le_bytes());
                        payload[8..].copy_from_slice(&number.to_le_bytes());
                        block_on(queue.send(payload)).unwrap();
                    }
                })
            })
            .collect();
        for seed in 1..=3 {
            let (queue, done, clock) = (&queue, &done, &clock);
            scope.spawn(move || {
                let mut random = Random(seed);
                loop {
                    let delivery = match block_on(queue.recv()) {
                        Ok(delivery) => delivery,
                        Err(RecvError::Closed) => return,
                        Err(error) => panic!("{error}"),
                    };
                    match random.below(4) {
                        0 => delivery.nack(),
                        1 => {
                            // It may be too late after that.
                            clock.fetch_add(1, Ordering::Relaxed);
                            thread::yield_now();
                            if let Ok(payload) = delivery.ack() {
                                done.lock().unwrap().push(payload.to_vec());
                            }
                        }
                        _ => match delivery.ack() {
                            Ok(payload) => done.lock().unwrap().push(payload.to_vec()),
                            Err(error) => drop(error.into_inner()),
                        },
                    }
                }
            });
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                queue.expire(clock.load(Ordering::Relaxed), 2);
                thread::yield_now();
            }
        });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        queue.close();
        while done.lock().unwrap().len() < (SENDERS * EACH) as usize {
            thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
    });
    let mut done = done.into_inner().unwrap();
    let all = done.len();
    done.sort();
    done.dedup();
    assert_eq!((all as u64, done.len() as u64), (SENDERS * EACH, SENDERS * EACH));
    assert_eq!((log.pending().len(), arena.snapshot().live), (0, 0));
    assert!(queue.snapshot().redelivered > 0);
}
