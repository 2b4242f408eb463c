//! Bounded space: a log is full when what lives fills it, and at no other time, whoever has written how much in between.

use std::collections::BTreeSet;

use cloakroom::journal::record_len;
use cloakroom::std_layer::journal::{Level, Log, LogError, LogFiles, Message, Options};

use crate::disk::Disk;
use crate::random::Random;
use crate::script;

/// Messages of all lengths, and of one, up to what may live; acknowledged in any order, so that notes of that fill up
/// soon; some stay for good; reopened now and then.
fn torment(seed: u64, options: &Options, longest: u64, steps: u32, reopened: u64) {
    let mut random = Random(seed);
    let disk = Disk::default();
    let mut log = Log::open(disk.clone(), options.clone()).unwrap().0;
    let mut living: Vec<(u64, u64)> = Vec::new();
    let (mut bytes, mut next) = (0, 1);
    let payload = vec![7; longest as usize];
    for step in 0..steps {
        if reopened != 0 && random.below(reopened) == 0 {
            // What is only noted down goes with the process.
            log.sync().unwrap();
            drop(log);
            log = Log::open(disk.clone(), options.clone()).unwrap().0;
        }
        let len = if longest == 1 { 1 } else { random.below(longest) };
        let record = u64::from(record_len(len as usize).unwrap());
        let fits = bytes + record <= options.most_live_bytes();
        let full = !fits || living.len() >= options.max_messages;
        if !full || random.below(8) == 0 {
            let level = [Level::Buffered, Level::Sync][(random.below(8) == 0) as usize];
            let sent = log.send(&Message::new(1, next, &payload[..len as usize]), level);
            let room = format!("seed {seed}, step {step}: {bytes} bytes live: {sent:?}");
            match sent {
                Ok(_) => {
                    assert!(fits, "{room}");
                    living.push((next, record));
                    bytes += record;
                    next += 1;
                }
                Err(error) => {
                    // An index has some room more than was asked for.
                    assert!(error == LogError::Full && full, "{room}");
                }
            }
        }
        // In fits: many at once, then none, and rarely the oldest.
        if full && !living.is_empty() {
            for _ in 0..=random.below(living.len() as u64) {
                let newest = random.below(8) != 0;
                let from = if newest { living.len() as u64 / 4 } else { 0 };
                let at = from + random.below(living.len() as u64 - from);
                let (seq, record) = living.swap_remove(at as usize);
                log.ack(1, seq, seq).unwrap_or_else(|error| panic!("seed {seed}, {step}: {error}"));
                bytes -= record;
            }
        }
    }
    assert!(disk.list().unwrap().len() <= options.slots as usize + 1);
    let expected: BTreeSet<u64> = living.iter().map(|&(seq, _)| seq).collect();
    let found: BTreeSet<u64> = log.pending().iter().map(|live| live.seq).collect();
    assert_eq!(found, expected);
}

#[test]
fn full_only_when_it_is_full() {
    for seed in 1..=12 {
        torment(seed, &script::options(), 600, 6000, 0);
    }
}

/// Notes of acknowledgements are longer than the messages.
#[test]
fn full_only_when_it_is_full_of_short_ones() {
    let options = Options { max_messages: 1000, ..script::options() };
    for seed in 1..=6 {
        torment(seed, &options, 1, 20_000, 0);
    }
}

/// Each opening begins a segment.
#[test]
fn full_only_when_it_is_full_and_opened_often() {
    for seed in 1..=12 {
        torment(seed, &script::options(), 600, 3000, 10);
    }
}

/// Whoever opens it and does nothing does not take more and more room.
#[test]
fn opened_a_hundred_times() {
    let (disk, options) = (Disk::default(), script::options());
    for seq in 0..100 {
        let log = Log::open(disk.clone(), options.clone()).unwrap().0;
        if seq < 20 {
            log.send(&Message::new(1, seq, &[3; 500]), Level::Sync).unwrap();
        }
        assert_eq!(log.pending().len() as u64, (seq + 1).min(20));
    }
    assert!(disk.list().unwrap().len() <= options.slots as usize + 1);
}

/// A log is opened with fewer slots than what lives takes: it has them, and goes on.
#[test]
fn fewer_slots_than_what_lives() {
    let disk = Disk::default();
    let wide = Options { slots: 12, ..script::options() };
    let log = Log::open(disk.clone(), wide).unwrap().0;
    let mut sent = 0;
    while log.send(&Message::new(1, sent, &[1; 500]), Level::Buffered).is_ok() {
        sent += 1;
    }
    drop(log);
    let narrow = Options { slots: 4, ..script::options() };
    let log = Log::open(disk, narrow).unwrap().0;
    assert_eq!(log.pending().len() as u64, sent);
    // In an order in which no two notes are one.
    for seq in (0..sent).step_by(2).chain((1..sent).step_by(2)) {
        log.ack(1, seq, seq).unwrap();
        log.send(&Message::new(1, sent + seq, &[2; 400]), Level::Buffered).unwrap();
    }
    assert_eq!(log.pending().len() as u64, sent);
}
