//! Traffic through a slow consumer, among threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cloakroom::spill::{Class, Policy, Spill, SpillBytes, SpillRecvError, SpillTarget, Watermarks};
use cloakroom::std_layer::channel::Bounded;
use cloakroom::std_layer::spill::{FileTarget, MemfdTarget, bounded};
use cloakroom::std_layer::{MappedArena, block_on};

use crate::fixture::{Faulty, Lock, assert_clean, message, slots};

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

/// A message without bytes takes a descriptor, too, when it is had back.
#[test]
fn one_without_bytes_can_be_had_back() {
    let arena = MappedArena::<Lock>::new(16 << 10, 64, 8).expect("memory");
    let target = FileTarget::new(&std::env::temp_dir(), [Class { bytes: 64, count: 64 }]);
    let target = target.expect("a file");
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = bounded(&spill, Policy::ColdFirst, 64);
    let others: Vec<_> = (0..8).map(|_| arena.handle().try_alloc(10).expect("room")).collect();
    let sent = channel.try_send_bytes(&[]).is_ok();
    for lease in others {
        channel.try_send(lease).expect("room");
    }
    if sent {
        assert_eq!(channel.try_recv().expect("it is there").len(), 0);
    }
    for _ in 0..8 {
        assert_eq!(channel.try_recv().expect("as many as were sent").len(), 10);
    }
}
