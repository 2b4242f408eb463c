//! A log that something has damaged at rest. It opens, or says why not; what is lost is what was damaged, and is named.

use cloakroom::journal::{
    Damage, Keys, LogDevice, Memory, RecoverError, SegmentHeader, SlotState, recover,
};
use cloakroom::std_layer::journal::{
    DamageKind, Level, Live, Log, Message, OpenError, OpenPolicy, Options, RecoveryReport,
};

use crate::disk::{Disk, Image};
use crate::random::Random;
use crate::script::{
    Ledger, SEGMENT, check, handed_out, open, options, payload, run, salvaging, send, sync,
};

/// A log of several segments that was closed, or not, and what lives in it.
fn log(steps: u32, close: bool) -> (Image, Vec<(u16, u64)>) {
    let disk = Disk::default();
    let (log, _) = open(&disk);
    let mut ledger = Ledger::new();
    run(&log, &mut ledger, 1, steps, 3);
    sync(&log, &mut ledger).unwrap();
    if close {
        log.close().unwrap();
    }
    (disk.image(), handed_out(&log))
}

/// Where the records of the first slot end.
fn used(image: &Image) -> usize {
    let records = &image[&0][..SEGMENT as usize - 64];
    records.iter().rposition(|&byte| byte != 0).unwrap() + 1
}

/// Opens strictly, then salvages: what is left of the log, whether it was refused, and what was reported.
fn judge(image: &Image, all: &[(u16, u64)]) -> (Vec<(u16, u64)>, bool, RecoveryReport) {
    let disk = Disk::of(image);
    let strict = Log::open(disk.clone(), options());
    let refused = match &strict {
        Ok(_) => false,
        Err(OpenError::Refused { report, .. }) => {
            assert!(report.acked_damage && disk.calls() == 0, "nothing is changed");
            true
        }
        Err(error) => panic!("{error}"),
    };
    drop(strict);
    let disk = Disk::of(image);
    let (log, report) = Log::open(disk.clone(), salvaging()).unwrap();
    assert_eq!(report.acked_damage, refused);
    // Nothing else than what was sent, each with its own payload. What an acknowledgement was lost of, comes again.
    let there = handed_out(&log);
    drop(log);
    // Passed over once, the log is opened strictly from then on.
    let (log, again) = open(&Disk::of(&disk.image()));
    assert_eq!(handed_out(&log), there);
    assert_eq!(again.damaged, 0, "{again:?}");
    let lost = all.iter().filter(|key| there.binary_search(key).is_err()).copied().collect();
    (lost, refused, report)
}

#[test]
fn every_bit_is_flipped() {
    // Of every kind of record, and short.
    let (image, all) = log(6, true);
    let used = used(&image);
    assert!((1000..2500).contains(&used) && !all.is_empty(), "{used} bytes, {all:?}");
    let (mut refused, mut losses) = (0, 0);
    for bit in 0..used * 8 {
        let at = bit / 8;
        let mut image = image.clone();
        image.get_mut(&0).unwrap()[at] ^= 1 << (bit % 8);
        let (lost, was_refused, report) = judge(&image, &all);
        assert!(lost.len() <= 1, "one record at the most is lost by bit {bit}: {lost:?}");
        if at < 64 {
            assert!(!was_refused && lost.is_empty() && report.headers_damaged == 1, "byte {at}");
            continue;
        }
        // The zeros behind a body are nobody's, and in the last record, which says that the log was closed, it looks torn.
        assert!(lost.is_empty() || was_refused, "byte {at}: {lost:?} lost, {report:?}");
        refused += usize::from(was_refused);
        losses += lost.len();
    }
    assert!(refused > used * 6 && losses > used * 2, "{refused} refused, {losses} lost");
}

#[test]
fn every_bit_of_one_record_is_flipped() {
    let disk = Disk::default();
    let (log, _) = open(&disk);
    let mut ledger = Ledger::new();
    for seq in 1..4 {
        send(&log, &mut ledger, 0, seq, Level::Sync).unwrap();
    }
    log.close().unwrap();
    let live = log.pending()[1];
    let bits = (live.at.offset as usize * 8)..((live.at.offset + 32 + live.body_len) as usize * 8);
    for bit in bits {
        let mut image = disk.image();
        image.get_mut(&0).unwrap()[bit / 8] ^= 1 << (bit % 8);
        let (lost, refused, report) = judge(&image, &handed_out(&log));
        assert_eq!((lost, refused, report.damaged), (vec![(0, 2)], true, 1), "bit {bit}");
        let damage = report.first_damage.unwrap();
        assert_eq!(damage.from, live.at);
        // A damaged body is known by its header.
        let body = bit / 8 >= live.at.offset as usize + 32;
        assert_eq!(damage.message, body.then_some((0, 2)), "bit {bit}");
    }
}

#[test]
fn cut_off_at_every_byte() {
    let (image, all) = log(24, true);
    let used = used(&image);
    let cuts = (1..used + 8).chain([used + 1000, SEGMENT as usize - 64, SEGMENT as usize - 1]);
    let mut before = usize::MAX;
    for cut in cuts {
        let mut image = image.clone();
        image.get_mut(&0).unwrap().truncate(cut);
        let (lost, refused, report) = judge(&image, &all);
        assert!(refused, "the file is shorter than it says: {cut}, {report:?}");
        assert!(lost.len() <= before, "what is before the cut is there: {cut}");
        before = lost.len();
    }
    assert_eq!(before, 0, "behind the last record nothing is lost");
}

#[test]
fn ends_of_zeros_and_of_garbage() {
    let mut random = Random(4);
    for garbage in [false, true] {
        let (image, all) = log(24, true);
        for from in (64..used(&image)).step_by(7) {
            let mut image = image.clone();
            let bytes = &mut image.get_mut(&0).unwrap()[from..SEGMENT as usize - 64];
            bytes.fill_with(|| if garbage { random.next() as u8 } else { 0 });
            let (lost, _, report) = judge(&image, &all);
            // All records before it are there, so those that are lost are the newest of each channel.
            for &(chan, seq) in &lost {
                let newer = all.iter().filter(|key| key.0 == chan && key.1 > seq);
                assert!(newer.into_iter().all(|key| lost.contains(key)), "{lost:?}");
            }
            assert!(!garbage || report.damaged > 0, "{report:?}");
        }
    }
}

#[test]
fn segments_that_are_gone_or_unreadable() {
    let (image, all) = log(300, false);
    assert!(image.len() >= 4);
    for slot in image.keys() {
        let segment = segment_in(&image[slot]);
        let newest = image.values().all(|bytes| segment_in(bytes) <= segment);
        let mut gone = image.clone();
        gone.remove(slot);
        let mut broken = image.clone();
        let bytes = broken.get_mut(slot).unwrap();
        if segment == 0 {
            bytes[5000] = 7;
        }
        bytes[5] ^= 1;
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        for (image, kind) in [(gone, DamageKind::Missing), (broken, DamageKind::Header)] {
            let (lost, refused, report) = judge(&image, &all);
            if kind == DamageKind::Missing && newest {
                // That cannot be told for certain: nothing was written after it. What is left is in order, or refused because
                // the latest checkpoint was in it.
                continue;
            }
            if kind == DamageKind::Missing && segment == 0 {
                assert!(!refused && lost.is_empty(), "blank ones are nobody's: {report:?}");
                continue;
            }
            assert!(refused, "slot {slot}, {kind:?}, {report:?}");
            assert!(report.first_damage.is_some_and(|damage| damage.kind == kind));
            assert!(lost.len() < all.len(), "others are read all the same");
        }
    }
}

/// The segment in a slot; 0 if there is none.
fn segment_in(bytes: &[u8]) -> u64 {
    SegmentHeader::decode(bytes[..64].try_into().unwrap()).map_or(0, |header| header.segment)
}

/// The one thing that cannot be told from a torn end: rot in what was synced last, if the log was not closed.
#[test]
fn rot_at_the_very_end_looks_torn() {
    let disk = Disk::default();
    let (log, _) = open(&disk);
    let mut ledger = Ledger::new();
    for seq in 1..4 {
        send(&log, &mut ledger, 0, seq, Level::Sync).unwrap();
    }
    for live in log.pending() {
        let mut image = disk.image();
        image.get_mut(&0).unwrap()[live.at.offset as usize + 40] ^= 1;
        let (lost, refused, report) = judge(&image, &handed_out(&log));
        assert_eq!(lost, [(0, live.seq)]);
        assert_eq!(refused, live.seq < 3, "{report:?}");
        assert_eq!((report.damaged, report.torn_bytes > 0), (1, !refused), "it is counted");
    }
}

/// A gap that was passed over is so for good: also when the segment before it is not needed any more.
#[test]
fn a_gap_that_was_passed_over_stays_so() {
    let disk = Disk::default();
    let wide = || Options { slots: 8, ..salvaging() };
    let log = Log::open(disk.clone(), wide()).unwrap().0;
    let mut seq = 0;
    while log.durable().segment < 4 {
        seq += 1;
        log.send(&Message::new(2, seq, &payload(2, seq)), Level::Sync).unwrap();
    }
    drop(log);
    let mut image = disk.image();
    image.retain(|_, bytes| !matches!(segment_in(bytes), 2 | 3));
    let disk = Disk::of(&image);
    let (log, report) = Log::open(disk.clone(), wide()).unwrap();
    let damage = report.first_damage.unwrap();
    assert_eq!((damage.kind, damage.from.segment, damage.to), (DamageKind::Missing, 2, 2));
    drop(log);
    // Through all of the log, with an opening at each step: strict ones.
    for seq in 1000..1100 {
        let strict = Options { policy: OpenPolicy::Strict, ..wide() };
        let (log, report) = Log::open(disk.clone(), strict).unwrap();
        assert_eq!(report.damaged, 0);
        log.send(&Message::new(2, seq, &payload(2, seq)), Level::Sync).unwrap();
        log.ack(2, 0, seq).unwrap();
        log.sync().unwrap();
        log.maintain().unwrap();
    }
}

/// A file that is not understood stays as it is, and is passed over for good: also when the segments have gone in which
/// that was noted down.
#[test]
fn what_was_passed_over_stays_so() {
    let (mut image, _) = log(300, false);
    image.insert(9, vec![7; SEGMENT as usize]);
    assert!(matches!(
        Log::open(Disk::of(&image), options()),
        Err(OpenError::Refused { damage, .. }) if damage.kind == DamageKind::Header
    ));
    let disk = Disk::of(&image);
    let (log, _) = Log::open(disk.clone(), salvaging()).unwrap();
    let first = log.durable().segment;
    let mut ledger = Ledger::new();
    while log.durable().segment < first + 20 {
        run(&log, &mut ledger, first + 1000 * log.durable().segment, 100, 5);
        log.ack(0, 0, u64::MAX - 1).and(log.ack(1, 0, u64::MAX - 1)).unwrap();
        log.ack(2, 0, u64::MAX - 1).unwrap();
        ledger.clear();
    }
    assert_eq!(disk.image()[&9], image[&9]);
    let (_, report) = open(&Disk::of(&disk.image()));
    assert_eq!(report.damaged, 0, "{report:?}");
}

/// A segment that was begun, and nothing more, is begun again, and is there once only: wherever a slot is spare.
#[test]
fn a_segment_that_was_only_begun_is_begun_again() {
    let disk = Disk::default();
    let (first, _) = open(&disk);
    let mut ledger = Ledger::new();
    send(&first, &mut ledger, 1, 1, Level::Sync).unwrap();
    drop(first);
    drop(open(&disk));
    let mut image = disk.image();
    let mut begun = image[&1].clone();
    let records = 64..begun.len() - 64;
    begun[records].fill(0);
    assert_eq!(segment_in(&begun), 2);
    for spare in [true, false] {
        image.insert(1, if spare { vec![0; SEGMENT as usize] } else { begun.clone() });
        image.insert(2, if spare { begun.clone() } else { vec![0; SEGMENT as usize] });
        let disk = Disk::of(&image);
        for seq in 2..5 {
            let (log, report) = open(&disk);
            assert_eq!(report.damaged, 0, "{report:?}");
            send(&log, &mut ledger, 1, seq, Level::Sync).unwrap();
            check(&log, &ledger, true);
        }
        ledger.retain(|key, _| *key == (1, 1));
    }
}

/// A header that was written half holds nothing: it is in no sector of its own if segments are of an odd length, and whoever
/// writes it may be killed.
#[test]
fn a_header_that_was_torn_is_no_damage() {
    let (image, all) = log(24, false);
    let last = SEGMENT as usize - 64;
    for half in [0..32, 32..64, last..last + 32, last + 32..last + 64] {
        let mut torn = vec![0; SEGMENT as usize];
        torn[half.clone()].fill(7);
        let image = Image::from([(0, image[&0].clone()), (1, torn.clone())]);
        let (lost, refused, report) = judge(&image, &all);
        assert!(!refused && lost.is_empty() && report.damaged == 0, "{half:?}: {report:?}");
        // What was between them was written later.
        torn[200] = 7;
        let image = Image::from([(0, image[&0].clone()), (1, torn)]);
        assert!(judge(&image, &all).1, "{half:?}");
    }
}

/// Clocks jump: when a segment was begun is noted down for people, and nothing follows from it.
#[test]
fn clocks_jump() {
    let (image, all) = log(300, true);
    for times in [[0, u64::MAX, 1], [u64::MAX, 0, 0], [9, 8, 7]] {
        let mut image = image.clone();
        let mut headers = 0;
        for bytes in image.values_mut() {
            let Ok(header) = SegmentHeader::decode(bytes[..64].try_into().unwrap()) else {
                continue;
            };
            let created = times[header.segment as usize % 3];
            let header = SegmentHeader { created, ..header }.encode();
            let last = bytes.len() - 64;
            bytes[..64].copy_from_slice(&header);
            bytes[last..].copy_from_slice(&header);
            headers += 1;
        }
        let (lost, refused, report) = judge(&image, &all);
        assert!(
            headers >= 2 && lost.is_empty() && !refused && report.clean,
            "{headers}: {report:?}"
        );
    }
}

/// Numbers that no log comes to, with sums that are right.
#[test]
fn a_segment_behind_which_there_is_none_is_refused() {
    let (image, _) = log(24, true);
    for segment in [u64::MAX, u64::MAX - 1] {
        let mut image = image.clone();
        let bytes = image.get_mut(&0).unwrap();
        let header = SegmentHeader::decode(bytes[..64].try_into().unwrap()).unwrap();
        let header = SegmentHeader { segment, ..header }.encode();
        let last = bytes.len() - 64;
        bytes[64..last].fill(0);
        bytes[..64].copy_from_slice(&header);
        bytes[last..].copy_from_slice(&header);
        image.retain(|&slot, _| slot == 0);
        let refused = Log::open(Disk::of(&image), salvaging());
        assert!(matches!(refused, Err(OpenError::Foreign { .. })), "{refused:?}");
    }
}

#[test]
fn what_does_not_belong_is_refused() {
    let (image, _) = log(300, false);
    let (other, _) = log(300, false);
    let mut foreign = image.clone();
    foreign.insert(7, other[&1].clone());
    let mut twice = image.clone();
    twice.insert(7, image[&1].clone());
    for image in [foreign, twice] {
        for policy in [OpenPolicy::Strict, OpenPolicy::Salvage, OpenPolicy::Drain] {
            let options = Options { policy, ..options() };
            let disk = Disk::of(&image);
            let refused = Log::open(disk.clone(), options);
            assert!(matches!(refused, Err(OpenError::Foreign { .. })), "{refused:?}");
            assert_eq!(disk.calls(), 0);
        }
    }
    let options = Options { geometry: 1, ..options() };
    let refused = Log::open(Disk::of(&image), options);
    assert!(matches!(refused, Err(OpenError::Geometry { geometry: 0, .. })), "{refused:?}");
}

/// Slots in memory, of which some sectors cannot be read.
struct Sectors<'a>(Vec<&'a [u8]>, Option<u32>);

impl LogDevice for Sectors<'_> {
    type Error = ();

    fn slots(&self) -> u32 {
        self.0.len() as u32
    }

    fn segment_bytes(&self) -> u32 {
        SEGMENT
    }

    fn read(&mut self, slot: u32, offset: u32, buffer: &mut [u8]) -> Result<(), ()> {
        let end = offset + buffer.len() as u32;
        if self.1.is_some_and(|bad| slot == 0 && offset < bad + 512 && bad < end) {
            return Err(());
        }
        buffer.copy_from_slice(&self.0[slot as usize][offset as usize..end as usize]);
        Ok(())
    }

    fn write(&mut self, _: u32, _: u32, _: &[u8]) -> Result<(), ()> {
        unreachable!("a recovery writes nothing")
    }

    fn sync(&mut self, _: u32) -> Result<(), ()> {
        unreachable!("nor does it sync")
    }

    fn renew(&mut self, _: u32) -> Result<(), ()> {
        unreachable!("nor make anything blank")
    }
}

/// In the memory that a microcontroller has: the same messages, whatever the window.
#[test]
fn a_recovery_in_little_memory_and_past_sectors_that_cannot_be_read() {
    let (image, all) = log(300, false);
    let slots: Vec<&[u8]> = image.values().map(|bytes| &bytes[..]).collect();
    let recovered = |window: usize, live: usize, bad| {
        let mut report = RecoveryReport::default();
        let memory = Memory {
            window: &mut vec![0; window],
            slots: &mut [SlotState::default(); 8],
            damage: &mut [Damage::default(); 16],
            report: &mut report,
            live: &mut vec![Live::default(); live][..],
            keys: Keys::none(),
        };
        let mut device = Sectors(slots.clone(), bad);
        recover(&mut device, memory, OpenPolicy::Salvage, 0).map(|found| {
            let (live, len) = found.live.into_sorted();
            let keys: Vec<(u16, u64)> =
                live[..len].iter().map(|live| (live.chan, live.seq)).collect();
            (keys, *found.report)
        })
    };
    for window in [64, 72, 500, 4096, 100_000] {
        assert_eq!(recovered(window, 400, None).unwrap().0, all, "a window of {window}");
    }
    assert_eq!(recovered(63, 400, None), Err(RecoverError::WindowTooSmall));
    assert_eq!(recovered(64, 4, None), Err(RecoverError::TooManyMessages { have: 3 }));

    let mut hurt = 0;
    for bad in (0..SEGMENT).step_by(512) {
        let (there, report) = recovered(4096, 400, Some(bad)).unwrap();
        let lost = all.iter().filter(|key| there.binary_search(key).is_err()).count();
        assert!(lost == 0 || report.acked_damage, "sector at {bad}: {report:?}");
        hurt += usize::from(report.damaged > 0);
    }
    assert!(hurt > 10, "{hurt}");
}
