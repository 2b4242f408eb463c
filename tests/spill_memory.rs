//! Traffic of many times the arena's size through a slow consumer, in a program of its own: its memory is looked at, and that is nobody
//! else's.
#![cfg(target_os = "linux")]

#[path = "spill/fixture.rs"]
#[allow(dead_code, reason = "tests of faults use all of it")]
mod fixture;

use cloakroom::spill::{Policy, Spill, SpillRecvError, Watermarks};
use cloakroom::std_layer::spill::{FileTarget, bounded};
use cloakroom::std_layer::{MappedArena, block_on};

use fixture::{Lock, assert_clean, message, slots};

const LONGEST: usize = 1024;

/// Resident bytes of this process, but for what it shares with files.
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
    // The arena, the queue's slots, and something for stacks and the like.
    let bound = ARENA + count as usize * 24 + (2 << 20);
    assert!(most < bound, "{most} bytes more than before, and {bound} may be");
    assert_clean(spill.snapshot());
    drop(channel);
    assert_eq!(arena.handle().snapshot().live, 0);
}
