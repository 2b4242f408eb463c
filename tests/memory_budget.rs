//! A consumer that cannot keep pace, and a producer that never stops: memory stays within the arena.
//!
//! `CLOAKROOM_BUDGET_BYTES=1000000000 cargo test --release --all-features --test memory_budget -- --nocapture` sends a
//! billion bytes. One test in a program of its own, as it looks at the memory of the whole process.
#![cfg(all(feature = "std", target_os = "linux", not(loom)))]

use std::collections::VecDeque;
use std::thread;

use cloakroom::channel::{Buffered, Bytes, Conflated, Unlimited};
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock, block_on};

const ARENA: usize = 16 << 20;
/// What the process may take besides the arena's bytes: its tables (32 bytes a descriptor, 4 a page), two
/// threads' stacks and the program.
const BESIDES: usize = 4 << 20;
const MESSAGE: usize = 1500;

/// The most memory that this process has had in use.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux process");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("it is counted");
    line.split_whitespace().nth(1).and_then(|size| size.parse::<usize>().ok()).expect("a number")
        << 10
}

#[test]
fn memory_stays_within_the_arena() {
    let total = std::env::var("CLOAKROOM_BUDGET_BYTES").ok().and_then(|bytes| bytes.parse().ok());
    let total: usize = total.unwrap_or(100_000_000);
    let before = peak();
    let arena = MappedArena::<Lock>::new(ARENA, 256, 1 << 15).expect("memory").leak();
    let queue: &Bytes<'_, Lock, Unlimited<'_, Lock, 64>> =
        Box::leak(Box::new(Bytes::over(Box::leak(Box::new(arena)))));
    let latest: Bytes<'_, Lock, Conflated> = Bytes::new();
    let log: Bytes<'_, Lock, Buffered<256>> = Bytes::new();

    let (mut sent, mut received) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let text = [7; MESSAGE];
            while sent < total {
                // It waits for memory, and never for anything else.
                block_on(queue.send_bytes(arena, &text)).expect("open");
                // Others want a share of the arena, too, and may do without.
                let _ = latest.try_send_bytes(arena, &text);
                let _ = log.try_send_bytes(arena, &text);
                sent += MESSAGE;
            }
            queue.close();
        });
        // It sleeps until the arena is full, and then holds on to messages.
        while arena.snapshot().waiting == 0 {
            thread::yield_now();
        }
        let mut held = VecDeque::new();
        while let Ok(message) = block_on(queue.recv()) {
            received += message.len();
            held.push_back(message);
            if held.len() > 10_000 {
                held.pop_front();
            }
            if received % (64 * MESSAGE) == 0 {
                thread::yield_now();
            }
        }
        drop((latest.try_recv(), log.try_recv()));
    });
    assert_eq!(received, sent);
    let grown = peak() - before;
    println!("{sent} bytes sent; memory has grown by {grown} bytes, for an arena of {ARENA}");
    assert!(grown <= ARENA + BESIDES, "{grown} bytes for an arena of {ARENA}");
    assert!(grown > ARENA / 2, "the arena was not used");
}
