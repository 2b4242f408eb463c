//! Version 1 as it was written once: `v1.log` in this folder is a segment of 4 KiB that every later version has to read, and
//! whose bytes every later writer of version 1 has to produce.

use cloakroom::journal::{
    Binding, CLOSED, Checkpoint, Damage, Flags, HeaderError, Keys, Kind, Live, LogDevice, Memory,
    OpenPolicy, Position, Record, RecoverError, RecoveryReport, Remembered, SegmentHeader, Shape,
    SlotState, Span, recover,
};

const GOLDEN: &[u8] = include_bytes!("v1.log");
const BYTES: usize = 4096;
/// What came to be part of version 1 later, and is passed over by programs of before.
const ADDED: &[u8] = include_bytes!("v1-added.log");

/// Of both files.
const HEADER: SegmentHeader = SegmentHeader {
    log_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
    segment: 3,
    segment_bytes: BYTES as u64,
    geometry: 0x0102_0304,
    previous_end: 2048,
    created: 1_800_000_000,
    shape: Shape::Long,
};

/// The segment that the file holds: every kind of record.
fn written() -> Vec<u8> {
    let range = |first: u64, last: u64| [first.to_le_bytes(), last.to_le_bytes()].concat();
    let checkpoint = Checkpoint { first: 3, max_seq: 41, max_generation: 6 };
    let scar = Span { from: Position { segment: 2, offset: 2048 }, to: 2304 };
    let durable = Position { segment: 3, offset: 64 };
    let bodies: [(Kind, u16, u64, Vec<u8>, Flags); 10] = [
        (Kind::Checkpoint, 0, 0, checkpoint.encode().to_vec(), Flags::NONE),
        (Kind::Scar, 0, 0, scar.encode().to_vec(), Flags::NONE),
        (Kind::Reloc, 1, 40, b"copied forward".to_vec(), Flags::NONE),
        (Kind::Send, 1, 42, b"a message".to_vec(), Flags::NONE),
        (Kind::Send, 2, 43, Vec::new(), Flags::NONE),
        (Kind::Send, 1, 44, vec![0x5a; 100], Flags::NONE),
        (Kind::Close, 2, CLOSED, Vec::new(), Flags::NONE),
        (Kind::Batch, 0, 0, Span { from: durable, to: 0 }.encode().to_vec(), Flags::NONE),
        (Kind::Ack, 1, 42, [range(42, 42), range(30, 39)].concat(), Flags::CANCELLED),
        (Kind::Batch, 0, 0, Span { from: durable, to: 0 }.encode().to_vec(), Flags::CLEAN),
    ];
    let records = bodies.iter().map(|(kind, chan, seq, body, flags)| {
        let record = Record::new(*kind, *chan, *seq, body).unwrap().flagged(*flags);
        if *kind == Kind::Send { record.at_slot(5, 7) } else { record }
    });
    segment(&HEADER, records)
}

/// The segment that the other file holds: keys, and how often messages were delivered.
fn added() -> Vec<u8> {
    let checkpoint = Checkpoint { first: 3, max_seq: 41, max_generation: 6 }.encode();
    let keys: Vec<u8> =
        [0x1111_u64, 12, 0x2222, 41].iter().flat_map(|it| it.to_le_bytes()).collect();
    let cancelled: Vec<u8> = [44_u64, 44].iter().flat_map(|it| it.to_le_bytes()).collect();
    let new = |kind, chan, seq, body| Record::new(kind, chan, seq, body).unwrap();
    let records = [
        new(Kind::Checkpoint, 0, 0, &checkpoint),
        new(Kind::Keys, 1, 0, &keys),
        new(Kind::Reloc, 1, 41, b"copied forward").counted(3),
        new(Kind::Send, 1, 42, b"a message").keyed(0x0123_4567_89ab_cdef),
        new(Kind::Send, 1, 43, b"another").at_slot(5, 7),
        new(Kind::Send, 1, 44, b"cancelled").keyed(0x4444),
        new(Kind::Attempt, 1, 43, b"").counted(1),
        new(Kind::Attempt, 1, 41, b"").counted(255),
        new(Kind::Attempt, 1, 9, b"").counted(2),
        new(Kind::Ack, 1, 44, &cancelled).flagged(Flags::CANCELLED),
    ];
    segment(&HEADER, records.into_iter())
}

fn segment<'a>(header: &SegmentHeader, records: impl Iterator<Item = Record<'a>>) -> Vec<u8> {
    let mut bytes = vec![0; BYTES];
    bytes[..64].copy_from_slice(&header.encode());
    bytes[BYTES - 64..].copy_from_slice(&header.encode());
    let mut at = 64;
    for record in records {
        at += record.encode(&header.binding(), at as u32, &mut bytes[at..]).unwrap();
    }
    bytes
}

struct One<'a>(&'a [u8]);

impl LogDevice for One<'_> {
    type Error = &'static str;

    fn slots(&self) -> u32 {
        1
    }

    fn segment_bytes(&self) -> u32 {
        BYTES as u32
    }

    fn read(&mut self, _: u32, offset: u32, buffer: &mut [u8]) -> Result<(), Self::Error> {
        buffer.copy_from_slice(&self.0[offset as usize..offset as usize + buffer.len()]);
        Ok(())
    }

    fn write(&mut self, _: u32, _: u32, _: &[u8]) -> Result<(), Self::Error> {
        Err("read only")
    }

    fn sync(&mut self, _: u32) -> Result<(), Self::Error> {
        Err("read only")
    }

    fn renew(&mut self, _: u32) -> Result<(), Self::Error> {
        Err("read only")
    }
}

#[test]
fn it_is_written_as_ever() {
    let written = written();
    assert_eq!(written.len(), GOLDEN.len());
    let differs = written.iter().zip(GOLDEN).position(|(new, old)| new != old);
    assert_eq!(differs, None, "the first byte that differs");
}

#[test]
fn what_was_added_is_written_and_read_as_ever() {
    assert!(added() == ADDED);
    let mut report = RecoveryReport::default();
    let memory = Memory {
        window: &mut [0; 256],
        slots: &mut [SlotState::default(); 1],
        damage: &mut [Damage::default(); 4],
        report: &mut report,
        live: &mut [Live::default(); 16][..],
        keys: Keys::new([Remembered::default(); 8], 4),
    };
    let found = recover(&mut One(ADDED), memory, OpenPolicy::Strict, 0x0102_0304).unwrap();
    // A key is no generation.
    assert_eq!(found.checkpoint, Checkpoint { first: 3, max_seq: 44, max_generation: 7 });
    assert_eq!((found.report.pending, found.report.damaged, found.report.unknown), (3, 0, 0));
    let known = [0x1111, 0x2222, 0x0123_4567_89ab_cdef, 0x4444].map(|key| found.keys.find(1, key));
    assert_eq!(known, [Some(12), Some(41), Some(42), None]);
    let (live, len) = found.live.into_sorted();
    let live = live[..len].iter().map(|it| (it.seq, it.attempts, it.slot, it.generation));
    let expected = [(41, 255, 0, 0), (42, 0, 0, 0), (43, 1, 5, 7)];
    assert_eq!(live.collect::<Vec<_>>(), expected);
}

#[test]
fn it_is_read_as_ever() {
    let mut report = RecoveryReport::default();
    let memory = Memory {
        window: &mut [0; 256],
        slots: &mut [SlotState::default(); 1],
        damage: &mut [Damage::default(); 4],
        report: &mut report,
        live: &mut [Live::default(); 16][..],
        keys: Keys::none(),
    };
    let found = recover(&mut One(GOLDEN), memory, OpenPolicy::Strict, 0x0102_0304).unwrap();
    assert_eq!(found.log_id, Some(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff));
    assert_eq!((found.next, found.previous_end, found.segments), (4, 624, 1));
    assert_eq!(found.checkpoint, Checkpoint { first: 3, max_seq: 44, max_generation: 7 });
    let report = found.report;
    assert_eq!((report.sends, report.acks, report.pending, report.closed), (3, 1, 3, 1));
    assert_eq!((report.clean, report.damaged, report.unknown), (true, 0, 0));
    assert_eq!(report.durable, Position { segment: 3, offset: 64 });
    let (live, len) = found.live.into_sorted();
    let live: Vec<_> = live[..len]
        .iter()
        .map(|live| (live.chan, live.seq, live.at.offset, live.body_len, live.slot))
        .collect();
    let expected =
        [(1, 40, 168, 14, 0), (1, 44, 296, 100, 5), (2, 43, 264, 0, 5), (2, CLOSED, 432, 0, 0)];
    assert_eq!(live, expected);
}

#[test]
fn what_is_newer_is_refused_and_what_is_unknown_is_passed_over() {
    // A record of a kind to come, behind the others.
    let mut bytes = GOLDEN.to_vec();
    let binding = Binding {
        log_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
        segment: 3,
        shape: Shape::Long,
    };
    let mut unknown = *Record::new(Kind::Send, 9, 9, b"").unwrap().header();
    unknown.kind = 200;
    bytes[624..656].copy_from_slice(&unknown.encode(&binding, 624));
    let read = |bytes: &[u8]| {
        let mut report = RecoveryReport::default();
        let memory = Memory {
            window: &mut [0; 256],
            slots: &mut [SlotState::default(); 1],
            damage: &mut [Damage::default(); 4],
            report: &mut report,
            live: &mut [Live::default(); 16][..],
            keys: Keys::none(),
        };
        recover(&mut One(bytes), memory, OpenPolicy::Strict, 0x0102_0304)
            .map(|found| (found.report.unknown, found.report.pending))
    };
    assert_eq!(read(&bytes), Ok((1, 3)));

    // An extension that this version does not know, with its checksum; and one that is for flash.
    let newer = Err(HeaderError::Newer { major: 1, incompatible: 2 });
    let short = Ok(SegmentHeader { shape: Shape::Short, ..HEADER });
    for (extension, header_is, refused) in [
        (2, newer, RecoverError::NewerFormat { major: 1, incompatible: 2 }),
        (1, short, RecoverError::Foreign { slot: 0 }),
    ] {
        let mut header = GOLDEN[..64].to_vec();
        header[6] = extension;
        let sum = crc32fast::hash(&header[..60]);
        header[60..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(header[..].try_into().unwrap()), header_is);
        bytes[..64].copy_from_slice(&header);
        bytes[BYTES - 64..].copy_from_slice(&header);
        assert_eq!(read(&bytes), Err(refused));
    }
}

/// Not a test: writes the file, when the format is made.
#[test]
#[ignore = "the file is written once"]
fn write_the_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journal/v1.log");
    std::fs::write(path, written()).unwrap();
}

/// Not a test: writes the other file.
#[test]
#[ignore = "the file is written once"]
fn write_what_was_added() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journal/v1-added.log");
    std::fs::write(path, added()).unwrap();
}
