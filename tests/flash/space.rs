//! Bounded space, and whose time erases take.

use std::collections::BTreeSet;

use cloakroom::journal::flash::{
    FlashError, FlashLog, FlashMemory, FlashOpenError, FlashOptions, NorSlots,
};
use cloakroom::journal::{Entry, Journal};

use crate::chip::{Chip, Image};
use crate::random::Random;

type Memory = FlashMemory<8, 400, 256, 8>;

#[derive(Clone, Copy)]
struct Torment {
    seed: u64,
    slot: u32,
    slots: u32,
    longest: u64,
    steps: u32,
    /// One step of so many opens it anew; 0 for none.
    opened: u64,
}

/// Messages of all lengths, up to what may live; acknowledged in any order, so that notes of that fill up soon; some stay for
/// good; opened anew now and then.
fn torment<const W: usize>(Torment { seed, slot, slots, longest, steps, opened }: Torment) {
    let mut random = Random(seed);
    let chip = Chip::<W>::of(&Image::blank((slot * slots) as usize));
    let options = FlashOptions { max_payload: longest as u32, ..FlashOptions::default() };
    let mut memories = [Memory::new(), Memory::new()];
    let (mut living, mut next, mut bytes): (Vec<(u64, u64)>, _, _) = (Vec::new(), 1, 0);
    let payload = vec![7; longest as usize];
    let (mut step, mut turns) = (0, 0);
    while step < steps {
        turns += 1;
        let area = NorSlots::new(chip.clone(), 0..slot * slots, slot).unwrap();
        let (log, _) = FlashLog::open(area, &mut memories[turns % 2], options).unwrap();
        let most = log.most_live_bytes();
        while step < steps {
            step += 1;
            if opened != 0 && random.below(opened) == 0 {
                // What is only noted down goes with the power.
                log.sync().unwrap();
                break;
            }
            let len = if longest == 1 { 1 } else { random.below(longest + 1) };
            let record = (28 + len).next_multiple_of(W.max(8) as u64);
            let full = bytes + record > most || living.len() >= 350;
            if !full || random.below(8) == 0 {
                let entry = Entry { chan: 1, seq: next, payload: &payload[..len as usize] };
                match log.keep(&entry, ()) {
                    Ok(()) => {
                        assert!(!full, "seed {seed}, step {step}");
                        living.push((next, record));
                        bytes += record;
                        next += 1;
                    }
                    Err(error) => {
                        let room = format!("seed {seed}, step {step}: {bytes} of {most} bytes");
                        assert!(error == FlashError::Full && full, "{room}: {error}");
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
                    log.forget(1, seq).unwrap_or_else(|error| panic!("{seed}, {step}: {error}"));
                    bytes -= record;
                }
            }
        }
        let expected: BTreeSet<u64> = living.iter().map(|&(seq, _)| seq).collect();
        let (mut found, mut after) = (BTreeSet::new(), 0);
        while let Some(pending) = log.next_pending(1, after) {
            after = pending.seq;
            found.insert(after);
        }
        assert_eq!(found, expected);
    }
}

const SMALL: Torment =
    Torment { seed: 1, slot: 1024, slots: 6, longest: 100, steps: 4000, opened: 0 };

#[test]
fn full_only_when_it_is_full() {
    for seed in 1..=6 {
        torment::<4>(Torment { seed, ..SMALL });
        torment::<4>(Torment { seed, slot: 4096, slots: 4, longest: 700, ..SMALL });
        torment::<32>(Torment { seed, slot: 4096, slots: 4, longest: 700, ..SMALL });
        torment::<4>(Torment { seed, slot: 2048, slots: 8, longest: 300, ..SMALL });
    }
}

/// Notes of acknowledgements are longer than the messages.
#[test]
fn full_only_when_it_is_full_of_short_ones() {
    for seed in 1..=6 {
        torment::<4>(Torment { seed, longest: 1, steps: 8000, ..SMALL });
        torment::<32>(Torment { seed, longest: 1, steps: 8000, ..SMALL });
    }
}

/// Each opening begins a segment.
#[test]
fn full_only_when_it_is_full_and_opened_often() {
    for seed in 1..=6 {
        torment::<4>(Torment { seed, opened: 10, ..SMALL });
        torment::<32>(Torment { seed, opened: 10, ..SMALL });
        torment::<4>(Torment { seed, slots: 4, opened: 3, ..SMALL });
    }
}

/// Acknowledged messages one after the other, none of which was written: a recovery has them all in its index, and has room.
#[test]
fn acknowledgements_are_written_before_a_recovery_needs_more_memory() {
    let chip = Chip::<4>::of(&Image::blank(8 * 4096));
    let area = || NorSlots::new(chip.clone(), 0..8 * 4096, 4096).unwrap();
    let mut memory = FlashMemory::<8, 16>::new();
    let (log, _) = FlashLog::open(area(), &mut memory, FlashOptions::default()).unwrap();
    for seq in 1..=100 {
        log.keep(&Entry { chan: 1, seq, payload: b"short" }, ()).unwrap();
        log.forget(1, seq).unwrap();
    }
    let (log, report) = FlashLog::open(area(), &mut memory, FlashOptions::default()).unwrap();
    assert!(log.live() <= 14, "{report:?}");
    assert_eq!(log.last_seq(), 100);
    assert_eq!(
        log.keep(&Entry { chan: 1, seq: 101, payload: &[0; 257] }, ()),
        Err(FlashError::TooLong { most: 256 })
    );
    // What came again fills the index at most.
    let mut kept = log.live();
    while log.keep(&Entry { chan: 1, seq: 200 + kept as u64, payload: b"" }, ()).is_ok() {
        kept += 1;
    }
    assert_eq!(kept, 14);
}

/// Whoever has time for `maintain` waits for no erase.
#[test]
fn erases_are_made_when_there_is_time() {
    for idle in [true, false] {
        let chip = Chip::<4>::of(&Image::blank(6 * 1024));
        let area = NorSlots::new(chip.clone(), 0..6 * 1024, 1024).unwrap();
        let options = FlashOptions { max_payload: 100, ..FlashOptions::default() };
        let mut memory = Memory::new();
        let (log, _) = FlashLog::open(area, &mut memory, options).unwrap();
        let (mut in_time, mut in_the_way) = (0, 0);
        for seq in 1..=200 {
            let before = chip.counts().erases;
            log.keep(&Entry { chan: 1, seq, payload: &[5; 60] }, ()).unwrap();
            log.forget(1, seq).unwrap();
            in_the_way += chip.counts().erases - before;
            let before = chip.counts().erases;
            while idle && log.maintain().unwrap() {}
            in_time += chip.counts().erases - before;
        }
        assert!(if idle { in_the_way == 0 && in_time > 10 } else { in_the_way > 10 });
        assert_eq!(log.maintain(), Ok(!idle));
    }
}

/// Erases go round.
#[test]
fn each_slot_is_erased_as_often() {
    let chip = Chip::<4>::of(&Image::blank(6 * 1024));
    let options = FlashOptions { max_payload: 100, ..FlashOptions::default() };
    let mut firsts = BTreeSet::new();
    for seq in 1..=24 {
        let area = NorSlots::new(chip.clone(), 0..6 * 1024, 1024).unwrap();
        let mut memory = Memory::new();
        let (log, _) = FlashLog::open(area, &mut memory, options).unwrap();
        log.keep(&Entry { chan: 1, seq, payload: &[5; 60] }, ()).unwrap();
        log.ack(1, 1, seq).unwrap();
        log.close().unwrap();
        assert_eq!(log.sync(), Err(FlashError::ReadOnly));
        firsts.insert(log.durable().segment % 6);
    }
    assert_eq!(firsts.len(), 6, "segments begin in all of them");
    let erases = chip.counts().erases / 2;
    assert!((18..=24).contains(&erases), "one each opening: {erases}");
}

/// As many messages as the index has room for, and openings at any moment: what the log does not need any more takes no room
/// in a recovery.
#[test]
fn a_full_index_is_recovered() {
    for seed in 1..=20 {
        let mut random = Random(seed);
        let chip = Chip::<4>::of(&Image::blank(6 * 1024));
        let options = FlashOptions { max_payload: 100, ..FlashOptions::default() };
        let mut memory = FlashMemory::<6, 16>::new();
        let mut full = 0;
        for _ in 0..60 {
            let area = NorSlots::new(chip.clone(), 0..6 * 1024, 1024).unwrap();
            let opened = FlashLog::open(area, &mut memory, options);
            let (log, _) = opened.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            for _ in 0..random.below(60) {
                let seq = log.last_seq() + 1;
                match random.below(8) {
                    0..5 => {
                        let kept = log.keep(&Entry { chan: 1, seq, payload: b"" }, ());
                        assert!(kept.is_ok() || log.live() == 14, "{kept:?}");
                        full += u32::from(kept.is_err());
                    }
                    5 => log.maintain().map(drop).unwrap(),
                    _ => {
                        let after = random.below(seq);
                        let pending = log.next_pending(1, after);
                        let pending = pending.or_else(|| log.next_pending(1, 0));
                        pending.map_or(Ok(()), |pending| log.forget(1, pending.seq)).unwrap();
                    }
                }
            }
        }
        assert!(full > 20, "{full}");
    }
}

/// Headers are short: numbers have 40 bits, and lengths 16.
#[test]
fn numbers_and_payloads_that_are_too_long() {
    let (chip, mut memory) = (Chip::<4>::of(&Image::blank(6 * 1024)), Memory::new());
    let area = || NorSlots::new(chip.clone(), 0..6 * 1024, 1024).unwrap();
    let options = FlashOptions::default();
    let last = (1 << 40) - 2;
    let (log, _) =
        FlashLog::open(area(), &mut memory, FlashOptions { max_payload: 60, ..options }).unwrap();
    log.keep(&Entry { chan: 1, seq: last, payload: b"last" }, ()).unwrap();
    let beyond = Entry { chan: 1, seq: last + 1, payload: b"beyond" };
    assert_eq!(log.keep(&beyond, ()), Err(FlashError::Reserved));
    assert_eq!(log.keep_once(&beyond, 1, ()), Err(FlashError::Reserved));
    Journal::close(&log, 1, ()).unwrap();
    drop(log);
    let (log, _) =
        FlashLog::open(area(), &mut memory, FlashOptions { max_payload: 60, ..options }).unwrap();
    assert_eq!(
        (log.next_pending(1, 0).map(|pending| pending.seq), log.last_seq()),
        (Some(last), last)
    );
    assert!(log.is_closed(1) && log.next_pending(1, last).is_none());
    drop(log);
    let long = FlashOptions { max_payload: 1 << 16, ..options };
    let refused = FlashLog::open(area(), &mut memory, long);
    assert!(matches!(refused, Err(FlashOpenError::Options("payloads of 64 KiB"))));
}
