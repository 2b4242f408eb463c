//! While threads send and receive, and the time is told by one of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes};
use cloakroom::std_layer::{StdRawMutex as Lock, block_on};

use crate::queueing;

const MESSAGES: u32 = 20_000;
/// There the time stands still, below the last bound.
const LATEST: u32 = 1 << 20;

#[test]
fn as_many_as_were_delivered_at_every_moment_and_never_longer_than_there_was_time() {
    static HALL: Arena<Lock, 64, 64, 64> = Arena::new();
    static FRAMES: Bytes<'static, Lock, Buffered<16>> = Bytes::new();
    let hall = HALL.handle();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..MESSAGES {
                    block_on(FRAMES.send_bytes(hall, b"frame")).expect("open");
                }
            });
            scope
                .spawn(|| (0..MESSAGES).for_each(|_| drop(block_on(FRAMES.recv()).expect("open"))));
        }
        scope.spawn(|| {
            for now in 1..=LATEST {
                hall.set_now(now);
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        while queueing(&FRAMES.snapshot()).count() < u64::from(2 * MESSAGES) {
            thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
    });
    let queueing = queueing(&FRAMES.snapshot());
    // One that seemed to be received before it was sent would have been queued for nearly 2^32.
    assert!(queueing.longest() <= Some(2 * LATEST), "{queueing:?}");
    assert!(queueing.ticks <= u64::from(LATEST) * u64::from(2 * MESSAGES));
}
