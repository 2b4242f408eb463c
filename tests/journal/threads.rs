//! Threads on a real disk, and on the simulated one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use cloakroom::std_layer::journal::{Journal, Level, Log, LogError, Message, Options};

use crate::directory::{Place, options};
use crate::disk::{Disk, EIO, Fault};
use crate::random::Random;
use crate::script::{self, payload};

#[test]
fn many_threads_at_every_level() {
    const THREADS: u16 = 6;
    const EACH: u64 = 1500;
    let place = Place::new();
    let (log, _) = Journal::open(&place.0, options()).unwrap();
    thread::scope(|scope| {
        for chan in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                let level = [Level::Sync, Level::Buffered, Level::Interval][chan as usize % 3];
                for seq in 1..=EACH {
                    // Never full: of what fits, a fraction lives.
                    log.send(&Message::new(chan, seq, &payload(chan, seq)), level).unwrap();
                    if seq > 50 {
                        log.ack(chan, seq - 50, seq - 50).unwrap();
                    }
                }
            });
        }
    });
    drop(log);
    let (log, report) = Journal::open(&place.0, options()).unwrap();
    assert!(report.clean && report.damaged == 0, "{report:?}");
    let expected: Vec<(u16, u64)> =
        (0..THREADS).flat_map(|chan| (EACH - 49..=EACH).map(move |seq| (chan, seq))).collect();
    let found: Vec<(u16, u64)> = log.pending().iter().map(|live| (live.chan, live.seq)).collect();
    assert_eq!(found, expected);
    let mut buffer = [0; 600];
    for (chan, seq) in found {
        let len = log.read(chan, seq, &mut buffer).unwrap();
        assert!(buffer[..len] == payload(chan, seq));
    }
}

/// Who waits at the same time shares a sync: there are fewer than there were sends.
#[test]
fn those_who_wait_together_sync_together() {
    const THREADS: u16 = 8;
    const EACH: u64 = 20;
    let disk = Disk::default();
    let (log, _) = script::open(&disk);
    let before = disk.kinds().len();
    let (log, slow) = (&log, disk.clone().with(Fault::Slow));
    thread::scope(|scope| {
        for chan in 0..THREADS {
            scope.spawn(move || {
                for seq in 0..EACH {
                    log.send(&Message::new(chan, seq, b"together"), Level::Sync).unwrap();
                }
            });
        }
    });
    let syncs = slow.kinds()[before..].iter().filter(|&&kind| kind == "sync").count();
    // One each would be 160. At best all eight share: 20, and one more at the beginning and at the end.
    assert!(syncs <= 80, "{syncs} syncs of {} sends", u64::from(THREADS) * EACH);
    assert_eq!(log.pending().len() as u64, u64::from(THREADS) * EACH);
}

/// A sync fails while many wait: all are told, nobody waits for ever, and what was acknowledged before is durable.
#[test]
fn a_failure_wakes_everybody() {
    let mut random = Random(12);
    for round in 0..40 {
        let disk = Disk::default();
        let (log, _) = script::open(&disk);
        disk.clone().with(Fault::FailAt(disk.calls() + 5 + round, EIO));
        let (acknowledged, told) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for chan in 0..4 {
                let (log, acknowledged, told) = (&log, &acknowledged, &told);
                scope.spawn(move || {
                    for seq in 0..200 {
                        match log.send(&Message::new(chan, seq, b"kept"), Level::Sync) {
                            Ok(_) => acknowledged.fetch_add(1, Ordering::Relaxed),
                            Err(LogError::Failed { errno, .. }) => {
                                assert_eq!(errno, EIO);
                                told.fetch_add(1, Ordering::Relaxed);
                                return;
                            }
                            Err(error) => panic!("{error}"),
                        };
                    }
                });
            }
        });
        assert_eq!(told.into_inner(), 4, "all four are told");
        let image = disk.after_power_cut(&mut random);
        let (log, _) = script::open(&Disk::of(&image));
        assert!(log.pending().len() as u64 >= acknowledged.into_inner());
    }
}

/// What is sent at `Interval` becomes durable without anybody waiting for it.
#[test]
fn an_interval_passes() {
    let place = Place::new();
    let interval = Duration::from_millis(5);
    let (log, _) = Journal::open(&place.0, Options { interval, ..options() }).unwrap();
    let end = log.send(&Message::new(1, 1, b"soon"), Level::Interval).unwrap();
    // However long that takes on a busy machine.
    while log.durable() < end {
        thread::yield_now();
    }
    assert!(log.durable() >= end);
}

/// Messages are read while they are copied forward and their slots used again.
#[test]
fn reading_while_the_log_is_collected() {
    let disk = Disk::default();
    let log: Log<Disk> = script::open(&disk).0;
    for seq in 0..10 {
        log.send(&Message::new(5, seq, &payload(5, seq)), Level::Buffered).unwrap();
    }
    let done = AtomicBool::new(false);
    let rounds = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut buffer = [0; 600];
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) {
                for seq in 0..10 {
                    let len = log.read(5, seq, &mut buffer).unwrap();
                    assert!(buffer[..len] == payload(5, seq));
                }
                rounds += 1;
            }
            rounds
        });
        for seq in 0..3000 {
            log.send(&Message::new(6, seq, &payload(6, seq)), Level::Buffered).unwrap();
            log.ack(6, seq, seq).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(rounds > 0);
    assert!(log.pending()[0].at.segment > 5, "they were copied forward");
}
