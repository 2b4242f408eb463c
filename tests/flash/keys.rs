//! Messages with keys: none is sent twice, whenever the power fails.

use cloakroom::journal::flash::{FlashError, FlashLog, FlashMemory, FlashOptions};
use cloakroom::journal::{Entry, Journal, Kept};

use crate::chip::Chip;
use crate::random::Random;
use crate::script::{Log, blank, options, slots};

const WINDOW: u64 = 6;

type Memory = FlashMemory<6, 40, 128, 6, 12>;

fn open<'m, const W: usize>(chip: &Chip<W>, memory: &'m mut Memory) -> Option<Log<'m, W>> {
    let options =
        FlashOptions { key_window: WINDOW as u32, max_payload: 60, ack_at_once: true, ..options() };
    match FlashLog::open(slots(chip), memory, options) {
        Ok((log, report)) => {
            assert!(!report.acked_damage);
            Some(log)
        }
        Err(error) => {
            assert!(chip.is_dead(), "{error:?}");
            None
        }
    }
}

fn key(seq: u64) -> u64 {
    seq.wrapping_mul(0xD134_2543_DE82_EF95)
}

fn once<const W: usize>(log: &Log<'_, W>, seq: u64, number: u64) -> Option<Kept> {
    let entry = Entry { chan: 1 + (number % 2) as u16, seq, payload: &[number as u8; 40] };
    match log.keep_once(&entry, key(number), ()) {
        Ok(kept) => Some(kept),
        Err(FlashError::Failed | FlashError::Device(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// Two channels with a window each: the last of both are known, and nothing was kept for that.
fn all_known<const W: usize>(log: &Log<'_, W>, sent: u64) {
    let live = log.live();
    for number in (1..=sent).rev().take(2 * WINDOW as usize) {
        assert_eq!(once(log, 1 << 39, number), Some(Kept::Duplicate(number)), "{number}, {sent}");
    }
    assert_eq!(log.live(), live);
}

/// Sends until that is done, or the power fails, opening it now and then. Returns how many were kept for certain.
fn run<const W: usize>(chip: &Chip<W>, most: u64) -> u64 {
    let (mut sent, mut random) = (0, Random(3));
    while sent < most {
        let mut memory = Memory::new();
        let Some(log) = open(chip, &mut memory) else { return sent };
        all_known(&log, sent);
        for _ in 0..40 {
            match once(&log, sent + 1, sent + 1) {
                Some(kept) => assert_eq!(kept, Kept::New),
                None => return sent,
            }
            sent += 1;
            let lag = sent.saturating_sub(random.below(4));
            if log.ack(1, 0, lag).and_then(|()| log.ack(2, 0, lag)).is_err() {
                return sent;
            }
        }
        all_known(&log, sent);
    }
    sent
}

fn every_call<const W: usize>(corrects: bool) {
    let chip = Chip::<W>::of(&blank());
    assert!(run(&chip, 200) >= 200);
    assert!(chip.kinds().iter().filter(|&&kind| kind == "erase").count() > 12, "round and round");
    for call in 0..chip.calls() {
        let chip = Chip::<W>::of(&blank()).corrects(corrects).cut(call, call + 1);
        let sent = run(&chip, 200);
        let mut image = chip.image();
        // The same when it is opened again.
        let mut last = None;
        for _ in 0..2 {
            let (chip, mut memory) = (Chip::<W>::of(&image), Memory::new());
            let log = open(&chip, &mut memory).unwrap();
            // The one that was cut off is there, and known; or neither.
            let chan = 1 + ((sent + 1) % 2) as u16;
            let there = log.next_pending(chan, sent).is_some();
            all_known(&log, sent + u64::from(there));
            let kept = once(&log, sent + 1, sent + 1);
            let expected = if there { Kept::Duplicate(sent + 1) } else { Kept::New };
            assert_eq!(kept, Some(expected), "cut at {call}");
            assert!(last.is_none_or(|last| last || there), "it was kept then");
            last = Some(there);
            image = chip.image();
        }
    }
}

#[test]
fn power_fails_at_every_call() {
    every_call::<1>(false);
    every_call::<8>(true);
    every_call::<32>(true);
}

#[test]
fn memory_that_is_too_small() {
    let chip = Chip::<4>::of(&blank());
    let mut none = FlashMemory::<6, 40, 128, 6>::new();
    let (log, _) = FlashLog::open(slots(&chip), &mut none, options()).unwrap();
    let entry = Entry { chan: 1, seq: 1, payload: b"" };
    assert_eq!(log.keep_once(&entry, 1, ()), Err(FlashError::NoKeys));
    drop(log);
    let mut memory = Memory::new();
    let log = open(&chip, &mut memory).unwrap();
    assert_eq!(log.keep_once(&entry, 1, ()), Ok(Kept::New));
    assert_eq!(log.keep_once(&Entry { chan: 2, ..entry }, 1, ()), Ok(Kept::New));
    assert_eq!(log.keep_once(&Entry { chan: 3, ..entry }, 1, ()), Err(FlashError::NoKeys));
    drop(log);
    // What there is no room for is forgotten; messages are not.
    let (log, report) = FlashLog::open(slots(&chip), &mut none, options()).unwrap();
    assert_eq!((report.pending, log.live()), (2, 2));
    let mut large = FlashMemory::<6, 40, 128, 6, 400>::new();
    assert!(FlashLog::open(slots(&chip), &mut large, options()).is_err());
}
