//! What spilling costs beside memory, in pairs of rounds: `cargo bench --features spill-std --bench spill`.
//!
//! Each figure is the median of the rounds' ratios: 1.00 is as fast.

use std::collections::VecDeque;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use cloakroom::channel::{Buffered, Bytes};
use cloakroom::spill::{Class, Policy, Spill, SpillBytes, SpillTarget, Watermarks};
use cloakroom::std_layer::spill::FileTarget;
#[cfg(target_os = "linux")]
use cloakroom::std_layer::spill::MemfdTarget;
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock};

/// Payloads that wait at a time, and that pass in a round.
const WAITING: usize = 256;
const PASSING: usize = 20_000;
const ROUNDS: usize = 31;

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Prints how much faster the second one is.
fn compare(what: &str, first: impl FnMut(), second: impl FnMut()) {
    compare_of(PASSING, what, first, second);
}

/// The same of rounds of so many messages.
fn compare_of(messages: usize, what: &str, mut first: impl FnMut(), mut second: impl FnMut()) {
    let round = |_| {
        let first = time(&mut first).as_secs_f64();
        let second = time(&mut second).as_secs_f64();
        (first / second, second)
    };
    let mut rounds: Vec<(f64, f64)> = (0..ROUNDS).map(round).collect();
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, time) = rounds[ROUNDS / 2];
    println!("{what:<70} {ratio:>6.2}   {:>8.1} ns", time * 1e9 / messages as f64);
}

/// Copies into boxes on the heap, which are allocated for that, and out of them.
fn boxes(len: usize) -> impl FnMut() {
    let (bytes, mut into) = (vec![7; len], vec![0; len]);
    let mut held = VecDeque::with_capacity(WAITING);
    move || {
        for _ in 0..PASSING {
            held.push_back(Box::<[u8]>::from(black_box(&bytes[..])));
            if held.len() == WAITING / 2 {
                let Some(payload) = held.pop_front() else { continue };
                into.copy_from_slice(&payload);
                black_box(&into);
            }
        }
    }
}

/// Copies into slots that are there, and out of them.
fn heap(len: usize) -> impl FnMut() {
    let mut slots = vec![vec![0_u8; len]; WAITING];
    let (bytes, mut into) = (vec![7; len], vec![0; len]);
    move || {
        for number in 0..PASSING {
            slots[number % WAITING].copy_from_slice(black_box(&bytes));
            into.copy_from_slice(&slots[(number + WAITING / 2) % WAITING]);
            black_box(&into);
        }
    }
}

/// The same with a target.
fn target(target: &dyn SpillTarget, len: usize) -> impl FnMut() + '_ {
    let (bytes, mut into) = (vec![7; len], vec![0; len]);
    let mut held = VecDeque::with_capacity(WAITING);
    move || {
        for _ in 0..PASSING {
            let Ok(extent) = target.store(black_box(&bytes)) else { panic!("room for all") };
            held.push_back(extent);
            if held.len() == WAITING / 2 {
                let Some(extent) = held.pop_front() else { continue };
                // SAFETY: held since it was stored, so long, and freed once.
                unsafe {
                    assert!(target.read(extent, &mut into).is_ok());
                    target.free(extent);
                }
                black_box(&into);
            }
        }
    }
}

/// As many payloads as that are copied out, all of them, and then back: more than caches hold, as what is spilled is.
const DEEP: usize = 16 << 10;

/// Into slots on the heap that are there, and have been written to.
fn deep_heap(len: usize) -> impl FnMut() {
    let mut slots = vec![1_u8; DEEP * len];
    let (bytes, mut into) = (vec![7; len], vec![0; len]);
    move || {
        for slot in slots.chunks_exact_mut(len) {
            slot.copy_from_slice(black_box(&bytes));
        }
        for slot in slots.chunks_exact(len) {
            into.copy_from_slice(slot);
            black_box(&into);
        }
    }
}

/// The same with a target.
fn deep_target(target: &dyn SpillTarget, len: usize) -> impl FnMut() + '_ {
    let (bytes, mut into) = (vec![7; len], vec![0; len]);
    let mut held = Vec::with_capacity(DEEP);
    move || {
        for _ in 0..DEEP {
            let Ok(extent) = target.store(black_box(&bytes)) else { panic!("room for all") };
            held.push(extent);
        }
        for extent in held.drain(..) {
            // SAFETY: held since it was stored, so long, and freed once.
            unsafe {
                assert!(target.read(extent, &mut into).is_ok());
                target.free(extent);
            }
            black_box(&into);
        }
    }
}

/// Messages through a channel in one thread, half of its places taken.
macro_rules! through {
    ($channel:ident, $len:ident, |$bytes:ident| $send:expr) => {
        || {
            let payload = vec![7_u8; $len];
            for number in 0..PASSING {
                let $bytes = black_box(&payload[..]);
                assert!($send.is_ok());
                if number >= WAITING / 2 {
                    black_box($channel.try_recv().map(|message| message[$len / 2])).ok();
                }
            }
            while $channel.try_recv().is_ok() {}
        }
    };
}

fn channels(name: &str, target: &dyn SpillTarget, len: usize) {
    let Ok(arena) = MappedArena::<Lock>::new(64 << 20, 4096, 1024) else { panic!("no memory") };
    let arena = arena.handle();
    // Always, and never.
    let spills = Spill::over(&arena, target, Watermarks::new(0, 0));
    let stays = Spill::over(&arena, target, Watermarks::new(100, 100));
    let plain = Bytes::<Lock, Buffered<WAITING>>::new();
    let spilled = SpillBytes::<Lock, Buffered<WAITING>>::new(&spills, Policy::ColdFirst);
    let stayed = SpillBytes::<Lock, Buffered<WAITING>>::new(&stays, Policy::ColdFirst);
    let mut in_plain = through!(plain, len, |bytes| plain.try_send_bytes(arena, bytes));
    let mut in_stayed = through!(stayed, len, |bytes| stayed.try_send_bytes(bytes));
    let mut in_spilled = through!(spilled, len, |bytes| spilled.try_send_bytes(bytes));
    compare(
        &format!("channel, below the mark, beside `Bytes`, {len} B"),
        &mut in_plain,
        &mut in_stayed,
    );
    compare(
        &format!("channel, spilling to {name}, beside `Bytes`, {len} B"),
        &mut in_plain,
        &mut in_spilled,
    );
}

fn main() {
    println!("{:<70} {:>6}   {:>8}", "a message in and out", "ratio", "time");
    let slots = |len: usize| [Class { bytes: len as u32, count: WAITING as u32 }];
    #[cfg(target_os = "linux")]
    for len in [256, 1024, 4096] {
        let Ok(memfd) = MemfdTarget::new(slots(len)) else { panic!("no memory") };
        compare(
            &format!("shared memory beside bare copies, {len} B"),
            heap(len),
            target(&memfd, len),
        );
        compare(&format!("shared memory beside boxes, {len} B"), boxes(len), target(&memfd, len));
        channels("shared memory", &memfd, len);
        let many = [Class { bytes: len as u32, count: DEEP as u32 }];
        let Ok(memfd) = MemfdTarget::new(many) else { panic!("no memory") };
        let what = format!("{DEEP} out, then back: shared memory beside bare copies, {len} B");
        compare_of(DEEP, &what, deep_heap(len), deep_target(&memfd, len));
    }
    for len in [1024, 65_536] {
        let Ok(file) = FileTarget::new(Path::new("."), slots(len)) else { panic!("no room") };
        compare(&format!("a file beside bare copies, {len} B"), heap(len), target(&file, len));
        channels("a file", &file, len);
    }
}
