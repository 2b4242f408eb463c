//! Damage, and devices that fail.

use cloakroom::journal::flash::{
    FlashError, FlashLog, FlashOpenError, FlashOptions, NorError, NorSlots,
};
use cloakroom::journal::{DamageKind, Entry, Journal, OpenPolicy, RecoverError};

use crate::chip::{BLOCK, Chip, Image};
use crate::random::Random;
use crate::script::{
    LONGEST, Ledger, Memory, SLOT, SLOTS, blank, check, handed_out, open, options, payload, run,
    slots,
};

fn salvaging() -> FlashOptions {
    FlashOptions { policy: OpenPolicy::Salvage, ..options() }
}

fn keep<const W: usize>(log: &crate::script::Log<'_, W>, chan: u16, seq: u64) {
    log.keep(&Entry { chan, seq, payload: &payload(chan, seq) }, ()).unwrap();
}

/// A log of a few segments, closed in order, and what lives in it.
fn closed() -> (Image, Vec<(u16, u64)>) {
    let (chip, mut memory) = (Chip::<4>::of(&blank()), Memory::new());
    let (log, _) = open(&chip, &mut memory).unwrap();
    run(&log, &mut Ledger::new(), &mut Random(5), 120);
    log.sync().unwrap();
    let there = handed_out(&log);
    log.close().unwrap();
    (chip.image(), there)
}

/// One bit of each byte: opened strictly, nothing is missing; otherwise what is missing is one record's.
#[test]
fn every_byte_flipped() {
    let (image, there) = closed();
    let mut random = Random(9);
    let (mut refused, mut same) = (0, 0);
    for byte in 0..image.bytes.len() {
        let mut image = image.clone();
        image.flip(byte * 8 + random.below(8) as usize);
        let (chip, mut memory) = (Chip::<4>::of(&image), Memory::new());
        match open(&chip, &mut memory) {
            Ok((log, _)) => {
                assert_eq!(handed_out(&log), there, "byte {byte}");
                same += 1;
            }
            Err(FlashOpenError::Recover(RecoverError::Refused { damage })) => {
                assert!(chip.image() == image, "what is refused is left as it is");
                assert!(memory.report().acked_damage && damage.acknowledged);
                refused += 1;
                let opened = FlashLog::open(slots(&chip), &mut memory, salvaging());
                let (log, report) = opened.unwrap_or_else(|error| panic!("byte {byte}: {error:?}"));
                assert!(report.damaged > 0);
                let found = handed_out(&log);
                let lost = there.iter().filter(|key| !found.contains(key)).count();
                assert!(lost <= 1, "byte {byte}: {lost} of {}", there.len());
                drop(log);
                let (log, report) = open(&chip, &mut memory).unwrap();
                assert_eq!(report.damaged, 0, "what was passed over once is no news");
                assert_eq!(handed_out(&log), found);
            }
            Err(error) => panic!("byte {byte}: {error:?}"),
        }
    }
    assert!(refused > 1000 && same > 1000, "{refused}, {same}");
}

/// Not closed in order: rot in the last record looks like a torn end, and in no other one.
#[test]
fn rot_is_told_from_a_torn_end() {
    let (chip, mut memory) = (Chip::<4>::of(&blank()), Memory::new());
    let (log, _) = open(&chip, &mut memory).unwrap();
    for seq in 1..=4 {
        log.keep(&Entry { chan: 1, seq, payload: &[6; 36] }, ()).unwrap();
    }
    drop(log);
    // A header, a checkpoint, four messages.
    let image = chip.image();
    // Behind the checkpoint, which has 44 bytes, are four that nobody reads.
    for byte in (64..108).chain(112..112 + 4 * 56) {
        let mut image = image.clone();
        image.flip(byte * 8 + byte % 8);
        let (chip, mut memory) = (Chip::<4>::of(&image), Memory::new());
        let opened = open(&chip, &mut memory).map(|(_, report)| report.damaged);
        if byte < 112 + 3 * 56 {
            assert!(matches!(opened, Err(FlashOpenError::Recover(_))), "byte {byte}: {opened:?}");
        } else {
            assert_eq!(opened, Ok(1), "byte {byte}");
        }
    }
}

/// More pieces than there is memory for: they are told as fewer, longer ones.
#[test]
fn more_damage_than_memory() {
    let bytes = 4 * 4096;
    let chip = Chip::<4>::of(&Image::blank(bytes));
    let area = |chip: &Chip<4>| NorSlots::new(chip.clone(), 0..bytes as u32, 4096).unwrap();
    let mut memory = cloakroom::journal::flash::FlashMemory::<4, 100>::new();
    let (log, _) = FlashLog::open(area(&chip), &mut memory, options()).unwrap();
    for seq in 1..=36 {
        log.keep(&Entry { chan: 1, seq, payload: &[1; 16] }, ()).unwrap();
    }
    let mut image = chip.image();
    // Behind the headers, and a checkpoint: every third record loses its body.
    let bodies = (112..112 + 36 * 40).step_by(40 * 3);
    let damaged = bodies.map(|at| image.flip((at + 28) * 8)).count();
    assert!(damaged > 8);
    let chip = Chip::<4>::of(&image);
    let refused = FlashLog::open(area(&chip), &mut memory, options());
    assert!(matches!(refused, Err(FlashOpenError::Recover(RecoverError::Refused { .. }))));
    let (log, report) = FlashLog::open(area(&chip), &mut memory, salvaging()).unwrap();
    assert!(report.damaged == 8 && log.live() > 20, "{report:?}");
    let found = log.live();
    let (log, report) = FlashLog::open(area(&chip), &mut memory, options()).unwrap();
    assert_eq!((report.damaged, log.live()), (0, found));
}

/// Slots without a header, with messages: that is no interrupted erase.
#[test]
fn headers_gone() {
    let (image, there) = closed();
    let mut refused = 0;
    for slot in 0..SLOTS as usize {
        let mut image = image.clone();
        let at = slot * SLOT as usize;
        if image.bytes[at] == 0xFF {
            continue;
        }
        image.bytes[at] ^= 1;
        image.bytes[at + SLOT as usize - 64] ^= 1;
        let (chip, mut memory) = (Chip::<4>::of(&image), Memory::new());
        match open(&chip, &mut memory) {
            Err(FlashOpenError::Recover(RecoverError::Refused { .. })) => {}
            // One that is not needed any more.
            Ok((log, _)) => {
                assert_eq!(handed_out(&log), there);
                continue;
            }
            Err(error) => panic!("{error:?}"),
        }
        assert!(chip.image() == image);
        refused += 1;
        let (log, report) = FlashLog::open(slots(&chip), &mut memory, salvaging()).unwrap();
        assert!(report.first_damage.is_some());
        (0..3).for_each(|chan| log.ack(chan, 1, 9_999).unwrap());
        keep(&log, 1, 10_000);
        assert_eq!(handed_out(&log), [(1, 10_000)]);
    }
    assert!(refused >= 2, "{refused}");
}

/// A block that somebody else has erased.
#[test]
fn a_segment_gone() {
    let (image, _) = closed();
    let mut kinds = Vec::new();
    for block in 0..image.bytes.len() / BLOCK {
        let mut image = image.clone();
        if image.bytes[block * BLOCK..][..BLOCK].iter().all(|&byte| byte == 0xFF) {
            continue;
        }
        image.bytes[block * BLOCK..][..BLOCK].fill(0xFF);
        let (chip, mut memory) = (Chip::<4>::of(&image), Memory::new());
        match open(&chip, &mut memory) {
            Err(FlashOpenError::Recover(RecoverError::Refused { damage })) => {
                kinds.push(damage.kind)
            }
            Ok(_) => {}
            Err(error) => panic!("{error:?}"),
        }
        FlashLog::open(slots(&chip), &mut memory, salvaging()).unwrap();
    }
    assert!(kinds.contains(&DamageKind::Records), "{kinds:?}");
}

/// What was something else's is not written over, unless it is erased first.
#[test]
fn an_area_that_was_used() {
    let mut random = Random(3);
    let mut image = blank();
    image.fill_with(|| random.next() as u8);
    let (chip, mut memory) = (Chip::<8>::of(&image), Memory::new());
    let error = open(&chip, &mut memory).map(drop).unwrap_err();
    assert!(matches!(error, FlashOpenError::Recover(RecoverError::Refused { .. })), "{error:?}");
    assert!(chip.image() == image);
    slots(&chip).erase_all().unwrap();
    let (log, _) = open(&chip, &mut memory).unwrap();
    keep(&log, 1, 1);
    assert_eq!(handed_out(&log), [(1, 1)]);

    assert_eq!(NorSlots::new(chip.clone(), 0..SLOT * SLOTS, 700).map(drop), Err(NorError::Area));
    assert_eq!(NorSlots::new(chip.clone(), 8..SLOT * SLOTS, SLOT).map(drop), Err(NorError::Area));
    assert_eq!(NorSlots::new(chip, 0..SLOT * SLOTS + 1, SLOT).map(drop), Err(NorError::Area));
}

/// A write that fails ends it: nothing is written any more, and the next opening has all that was kept. An erase that
/// fails is made elsewhere, or again.
#[test]
fn any_call_fails() {
    let chip = Chip::<4>::of(&blank());
    let mut memory = Memory::new();
    fn script(log: &crate::script::Log<'_, 4>, ledger: &mut Ledger) {
        run(log, ledger, &mut Random(3), 150);
    }
    script(&open(&chip, &mut memory).unwrap().0, &mut Ledger::new());
    let kinds = chip.kinds();
    // The opening itself is an erase and three writes.
    for (call, kind) in kinds.iter().enumerate().skip(4) {
        let chip = Chip::<4>::of(&blank());
        chip.fail(call as u64);
        let (log, _) = open(&chip, &mut memory).unwrap();
        let mut ledger = Ledger::new();
        script(&log, &mut ledger);
        if *kind == "write" {
            assert_eq!(chip.calls(), call as u64 + 1);
            let entry = Entry { chan: 1, seq: 5000, payload: b"" };
            assert_eq!(log.keep(&entry, ()), Err(FlashError::Failed));
            assert_eq!(log.forget(1, 1), Err(FlashError::Failed));
            assert_eq!(log.maintain(), Err(FlashError::Failed));
        } else {
            // It is told, if there was no other slot, and it is made again.
            while log.maintain().expect("it failed once") {}
            assert!(chip.calls() > call as u64 + 1, "call {call}");
        }
        check(&handed_out(&log), &ledger);
        drop(log);
        let (log, report) = open(&chip, &mut memory).unwrap();
        assert!(!report.acked_damage);
        check(&handed_out(&log), &ledger);
    }
}

/// What cannot be read for a while is there afterwards, and nothing was made of it.
#[test]
fn reads_fail_for_a_while() {
    let (chip, mut memory) = (Chip::<4>::of(&blank()), Memory::new());
    let (log, _) = open(&chip, &mut memory).unwrap();
    keep(&log, 2, 1);
    let mut buffer = vec![0; payload(2, 1).len()];
    assert_eq!(log.read(2, 2, &mut buffer), Err(FlashError::Unknown));
    assert_eq!(log.read(2, 1, &mut []), Err(FlashError::Length { need: buffer.len() as u32 }));
    chip.unreadable(true);
    let fault =
        FlashError::Device(NorError::Device(embedded_storage::nor_flash::NorFlashErrorKind::Other));
    assert_eq!(log.read(2, 1, &mut buffer), Err(fault));
    // It would have to be copied forward, before its slot is used again.
    let mut kept = 0;
    let refused = (2..).find_map(|seq| {
        let outcome = log.keep(&Entry { chan: 1, seq, payload: &[1; LONGEST as usize] }, ());
        let outcome = outcome.and_then(|()| log.forget(1, seq));
        kept += 1;
        outcome.err()
    });
    assert!(refused.is_some() && kept > 0, "{kept}");
    chip.unreadable(false);
    keep(&log, 2, 1000);
    log.ack(1, 1, 999).unwrap();
    log.sync().unwrap();
    assert_eq!(handed_out(&log), [(2, 1), (2, 1000)]);
    let (log, _) = open(&chip, &mut memory).unwrap();
    assert_eq!(handed_out(&log), [(2, 1), (2, 1000)]);
}

/// What has rotted is not given out, also after it was copied forward, and the others are.
#[test]
fn rot_while_it_is_open() {
    let (image, there) = closed();
    let (chip, mut memory) = (Chip::<4>::of(&image), Memory::new());
    let (log, _) = open(&chip, &mut memory).unwrap();
    let (chan, seq) = there[0];
    let text = payload(chan, seq);
    let stored: Vec<u8> = text.iter().map(|byte| !byte).collect();
    // Any copy: which of them is the newest is not for this test to know.
    let copies = image.bytes.windows(text.len()).enumerate().filter(|(_, bytes)| *bytes == stored);
    assert!(copies.map(|(at, _)| chip.flip(at * 8 + 3)).count() > 0);
    let mut buffer = vec![0; text.len()];
    assert_eq!(log.read(chan, seq, &mut buffer), Err(FlashError::Corrupt));
    for number in 5000..5100 {
        log.keep(&Entry { chan: 5, seq: number, payload: b"moves everything" }, ()).unwrap();
        log.forget(5, number).unwrap();
    }
    assert_eq!(log.read(chan, seq, &mut buffer), Err(FlashError::Corrupt));
    log.forget(chan, seq).unwrap();
    assert_eq!(handed_out(&log), there[1..]);
}

/// A log is drained without being written to.
#[test]
fn drained() {
    let (image, there) = closed();
    let (chip, mut memory) = (Chip::<4>::of(&image), Memory::new());
    let draining = FlashOptions { policy: OpenPolicy::Drain, ..options() };
    let (log, report) = FlashLog::open(slots(&chip), &mut memory, draining).unwrap();
    assert!(report.clean);
    assert_eq!(handed_out(&log), there);
    let (chan, seq) = there[0];
    log.forget(chan, seq).unwrap();
    assert_eq!(handed_out(&log), there[1..]);
    assert_eq!(
        log.keep(&Entry { chan: 1, seq: 5000, payload: b"" }, ()),
        Err(FlashError::ReadOnly)
    );
    assert_eq!(log.sync(), Err(FlashError::ReadOnly));
    assert_eq!(chip.calls(), 0);
}

/// Another set-up is told.
#[test]
fn other_geometries() {
    let (image, _) = closed();
    let (chip, mut memory) = (Chip::<4>::of(&image), Memory::new());
    let other = FlashOptions { geometry: 1, ..options() };
    let error = FlashLog::open(slots(&chip), &mut memory, other).map(drop).unwrap_err();
    assert!(matches!(error, FlashOpenError::Recover(RecoverError::Geometry { .. })), "{error:?}");
    let long = FlashOptions { max_payload: 200, ..options() };
    let error = FlashLog::open(slots(&chip), &mut memory, long).map(drop).unwrap_err();
    assert!(matches!(error, FlashOpenError::Options(_)), "{error:?}");
}

/// A gap that was passed over is so for good: also when the segment before it is not needed any more.
#[test]
fn a_gap_that_was_passed_over_stays_so() {
    let (chip, mut memory) = (Chip::<4>::of(&blank()), Memory::new());
    let (log, _) = open(&chip, &mut memory).unwrap();
    // In each segment something lives. Slots are used in their order: until the third segment is begun.
    let slot = |number: usize| (number - 1) * SLOT as usize..number * SLOT as usize;
    for seq in 1.. {
        log.keep(&Entry { chan: 1, seq, payload: &[7; 90] }, ()).unwrap();
        if seq % 3 != 0 {
            log.forget(1, seq).unwrap();
        }
        if chip.image().bytes[slot(3)].iter().any(|&byte| byte != 0xFF) {
            break;
        }
    }
    drop(log);
    let mut image = chip.image();
    image.erase(slot(2));
    let chip = Chip::<4>::of(&image);
    let (log, report) = FlashLog::open(slots(&chip), &mut memory, salvaging()).unwrap();
    let damage = report.first_damage.unwrap();
    assert_eq!((damage.kind, damage.from.segment, damage.to), (DamageKind::Missing, 2, 1));
    for (chan, seq) in handed_out_numbers(&log) {
        log.forget(chan, seq).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    // Through all of the log, with an opening at each step: strict ones.
    for seq in 1000..1100 {
        let (log, report) = open(&chip, &mut memory).unwrap();
        assert_eq!(report.damaged, 0, "{report:?}");
        log.keep(&Entry { chan: 1, seq, payload: &[8; 90] }, ()).unwrap();
        log.forget(1, seq).unwrap();
        log.sync().unwrap();
        while log.maintain().unwrap() {}
    }
}

/// What a log hands out, whatever it is.
fn handed_out_numbers<const W: usize>(log: &crate::script::Log<'_, W>) -> Vec<(u16, u64)> {
    let mut found = Vec::new();
    let mut after = 0;
    while let Some(pending) = log.next_pending(1, after) {
        after = pending.seq;
        found.push((1, after));
    }
    found
}
