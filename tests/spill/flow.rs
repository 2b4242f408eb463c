//! Traffic of many times the arena's size, through a slow consumer, among threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cloakroom::spill::{Policy, Spill, SpillBytes, SpillRecvError, SpillTarget, Watermarks};
use cloakroom::std_layer::channel::Bounded;
use cloakroom::std_layer::spill::{FileTarget, MemfdTarget, bounded};
use cloakroom::std_layer::{MappedArena, block_on};

use crate::fixture::{Faulty, Lock, assert_clean, message, slots};

const LONGEST: usize = 1024;

/// Resident bytes of this process, but for what it shares with files.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("RssAnon")).expect("a figure");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number")
        * 1024
}

/// A checksum of a stream, and how many bytes it has.
fn crc(stream: (u32, usize), bytes: &[u8]) -> (u32, usize) {
    let mut sum = flate2::Crc::new();
    sum.update(&stream.0.to_le_bytes());
    sum.update(bytes);
    (sum.sum(), stream.1 + bytes.len())
}

/// A consumer that does not begin before all is sent could not be any slower.
#[test]
#[cfg(target_os = "linux")]
fn fifty_times_the_arena_through_a_slow_consumer() {
    // 1 MiB; 51 MiB of messages, all of which wait at once. On the disk, as it is memory that is looked at.
    const ARENA: usize = 1 << 20;
    let arena = MappedArena::<Lock>::new(ARENA, 1024, 1024).expect("memory");
    let count = 105_000;
    let here = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = FileTarget::new(here, slots(count, LONGEST as u32)).expect("room on the disk");
    let spill = Spill::over(&arena, &target, Watermarks::default());
    let channel = bounded(&spill, Policy::ColdFirst, count as usize);
    let before = resident();
    let (mut sent, mut most) = ((0, 0), 0);
    for number in 0..count {
        let bytes = message(number, LONGEST);
        sent = crc(sent, &bytes);
        if number % 2 == 0 {
            block_on(channel.send_bytes(&bytes)).expect("open");
        } else {
            let mut lease = block_on(arena.handle().alloc(bytes.len())).expect("memory");
            lease.copy_from_slice(&bytes);
            block_on(channel.send(lease)).expect("open");
        }
        if number % 1000 == 0 {
            most = most.max(resident().saturating_sub(before));
        }
    }
    channel.close();
    assert!(sent.1 > 50 * ARENA, "{} bytes", sent.1);
    assert!(spill.snapshot().bytes > 49 * ARENA as u64);
    let mut received = (0, 0);
    for number in 0.. {
        match block_on(channel.recv()) {
            Ok(bytes) => {
                assert_eq!(bytes[..4], u32::to_le_bytes(number));
                received = crc(received, &bytes);
                if number % 7 == 0 {
                    channel.step(16 << 10);
                }
            }
            Err(error) => {
                assert_eq!((error, number), (SpillRecvError::Closed, count));
                break;
            }
        }
        if number % 1000 == 0 {
            most = most.max(resident().saturating_sub(before));
        }
    }
    assert_eq!(sent, received);
    // The arena, the queue's slots, and something for the tests that run beside this one.
    let bound = ARENA + count as usize * 24 + (8 << 20);
    assert!(most < bound, "{most} bytes more than before, and {bound} may be");
    assert_clean(spill.snapshot());
    drop(channel);
    assert_eq!(arena.handle().snapshot().live, 0);
}

/// Several send, several receive, one does housekeeping, memory comes and goes.
fn among_threads(target: &dyn SpillTarget) {
    const SENDERS: u32 = 3;
    const EACH: u32 = 3_000;
    let arena = MappedArena::<Lock>::new(64 << 10, 256, 512).expect("memory");
    let spill = Spill::over(&arena, target, Watermarks::new(50, 30));
    let channel: SpillBytes<'_, Lock, Bounded> = bounded(&spill, Policy::ColdFirst, 2_000);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (channel, arena) = (&channel, arena.handle());
                scope.spawn(move || {
                    for number in 0..EACH {
                        let bytes = message(sender << 24 | number, 600);
                        if number % 3 == 0 {
                            let mut lease = block_on(arena.alloc(bytes.len())).expect("memory");
                            lease.copy_from_slice(&bytes);
                            block_on(channel.send(lease)).expect("open");
                        } else {
                            block_on(channel.send_bytes(&bytes)).expect("open");
                        }
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut last, mut count) = ([None; SENDERS as usize], 0);
                    loop {
                        let bytes = match block_on(channel.recv()) {
                            Ok(bytes) => bytes,
                            Err(error) => break assert_eq!(error, SpillRecvError::Closed),
                        };
                        let number = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
                        assert_eq!(*bytes, message(number, 600));
                        let last = &mut last[number as usize >> 24];
                        assert!(last.is_none_or(|last| last < number), "out of order");
                        *last = Some(number);
                        count += 1;
                        if count % 50 == 0 {
                            thread::sleep(Duration::from_micros(500));
                        }
                    }
                    count
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                channel.step(8 << 10);
                assert!(channel.spilled().reconciles() && spill.snapshot().reconciles());
                thread::yield_now();
            }
        });
        // Others need memory, too.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                drop(arena.handle().try_alloc(20 << 10));
                thread::sleep(Duration::from_micros(100));
            }
        });
        senders.into_iter().for_each(|sender| sender.join().expect("a sender"));
        channel.close();
        let received = receivers.into_iter().map(|receiver| receiver.join().expect("a receiver"));
        let received = received.collect::<Vec<_>>();
        done.store(true, Ordering::Relaxed);
        let _ = received;
    });
    assert!(spill.snapshot().out > 0);
    assert_clean(spill.snapshot());
    assert_eq!(channel.spilled(), spill.snapshot());
    assert_eq!(channel.snapshot().received, SENDERS * EACH);
    drop(channel);
    let snapshot = arena.handle().snapshot();
    assert_eq!((snapshot.live, snapshot.waiting), (0, 0));
    assert!(arena.handle().verify().is_clean());
}

#[test]
#[cfg(target_os = "linux")]
fn threads_with_a_target_that_lends() {
    among_threads(&MemfdTarget::new(slots(1_500, 600)).expect("memory"));
}

#[test]
fn threads_with_a_file() {
    let here = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    among_threads(&FileTarget::new(here, slots(1_500, 600)).expect("room"));
}

#[test]
fn threads_with_a_target_that_notices_misuse() {
    let target = Faulty::default();
    among_threads(&target);
    assert!(!target.is_misused());
}
