//! Waiting for an arena's memory, and messages in it.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Waker};

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes, Channel, Unlimited};

use crate::ledger::message;
use crate::shuttle_lock::{PerObject as Lock, below, explore, together};

const PAGE: usize = 16;
type Memory<const PAGES: usize> = Arena<Lock, PAGES, PAGE, 4, 1>;

/// Everything has been given back. How many allocations had to wait.
fn assert_all_free<const PAGES: usize>(arena: &Memory<PAGES>) -> u32 {
    assert!(arena.handle().verify().is_clean());
    let snapshot = arena.snapshot();
    assert_eq!((snapshot.live, snapshot.free), (0, PAGES), "something was not given back");
    snapshot.waited
}

/// Producers wait for memory and for room, consumers keep what they receive for a while, or put it to rest
/// once more, and somebody compacts.
fn frames() {
    const PRODUCERS: usize = 3;
    const CONSUMERS: usize = 2;
    let arena = Memory::<4>::new();
    {
        let frames: Bytes<'_, Lock, Buffered<1>> = Bytes::new();
        let producing = AtomicUsize::new(PRODUCERS);
        let received = together(PRODUCERS + CONSUMERS + 1, async |number| {
            let mut received = vec![];
            if number < PRODUCERS {
                for count in 0..2 {
                    let content = message(number, count) as u8;
                    // One to three pages, so that there is a gap now and then.
                    let bytes = vec![content; PAGE * (1 + below(3) as usize)];
                    if below(3) == 0 {
                        // Goes away while it waits, whatever it was about to be handed.
                        let mut cx = Context::from_waker(Waker::noop());
                        drop(pin!(arena.alloc(bytes.len())).poll(&mut cx));
                    }
                    frames.send_bytes(arena.handle(), &bytes).await.expect("open, and it can fit");
                }
                if producing.fetch_sub(1, Ordering::Relaxed) == 1 {
                    frames.close();
                }
            } else if number < PRODUCERS + CONSUMERS {
                while let Ok(mut lease) = frames.recv().await {
                    if below(2) == 0 {
                        let ticket = lease.deposit().expect("few");
                        lease = arena.redeem(ticket).expect("live");
                    }
                    let content = lease[0];
                    assert!(lease.iter().all(|&byte| byte == content), "moved in pieces");
                    received.push(content);
                }
            } else {
                for _ in 0..3 {
                    arena.compact(1);
                }
            }
            received
        });
        let mut received = received.concat();
        received.sort_unstable();
        assert_eq!(received, [0, 1, 100, 101, 200, 201]);
    }
    WAITED_FOR_FRAMES.fetch_add(assert_all_free(&arena), Ordering::Relaxed);
}

/// In all schedules.
static WAITED_FOR_FRAMES: AtomicU32 = AtomicU32::new(0);
static WAITED_FOR_SEGMENTS: AtomicU32 = AtomicU32::new(0);

#[test]
fn messages_wait_for_memory() {
    explore(frames);
    assert!(WAITED_FOR_FRAMES.load(Ordering::Relaxed) > 0, "what this is about was never met");
}

/// A channel takes its segments from an arena in which others take and free payloads.
fn segments() {
    const SENDERS: usize = 2;
    // Three segments, of three pages each, hold everything, so there is room for two. The one that the
    // channel keeps is pinned, and leaves room for three pages in a row wherever it lies.
    let arena = Memory::<8>::new();
    {
        let channel: Channel<Lock, u32, Unlimited<'_, Lock, 2>> = Channel::over(&arena);
        let sending = AtomicUsize::new(SENDERS);
        let received = together(SENDERS + 2, async |number| {
            let mut received = vec![];
            if number < SENDERS {
                for count in 0..3 {
                    let value = message(number, count);
                    channel.send(value).await.expect("open");
                }
                if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
                    channel.close();
                }
            } else if number == SENDERS {
                for _ in 0..2 {
                    let lease = arena.alloc(PAGE * (1 + below(3) as usize)).await;
                    drop(lease.expect("it can fit"));
                }
            } else {
                while let Ok(value) = channel.recv().await {
                    received.push(value);
                }
            }
            received
        });
        let mut received = received.concat();
        for sender in 0..SENDERS {
            let mut from_it = received.clone();
            from_it.retain(|value| value / 100 == sender as u32);
            assert!(from_it.is_sorted(), "overtaken: {received:?}");
        }
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2, 100, 101, 102]);
    }
    WAITED_FOR_SEGMENTS.fetch_add(assert_all_free(&arena), Ordering::Relaxed);
}

#[test]
fn a_channel_waits_for_memory() {
    explore(segments);
    assert!(WAITED_FOR_SEGMENTS.load(Ordering::Relaxed) > 0, "what this is about was never met");
}
