//! Reports on a line that damages them: what is read is what was written, or an error that says why not.
#![cfg(all(feature = "report", not(loom)))]

#[path = "common/random.rs"]
mod random;

use cloakroom::Arena;
use cloakroom::arena::{ArenaSnapshot, Census, HomeSnapshot};
use cloakroom::channel::{
    Buffered, Bytes, Channel, ChannelSnapshot, Histogram, SpillSnapshot, Times,
};
use cloakroom::kernel::{Kernel, KernelSnapshot};
use cloakroom::report::{
    Action, ArenaRecord, Begin, Decoder, FrameError, Frames, FullError, MAX_FRAME, Name, Orphans,
    Outcome, Place, QueueingRecord, Record, Request, TicketRecord, VERSION, decode, encode,
};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use random::Random;

static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
static KERNEL: Kernel<Lock> = Kernel::new();

/// One record of each sort, with figures of real things.
fn records() -> Vec<Record> {
    let numbers: Channel<Lock, u32, Buffered<4>> = Channel::new();
    let frames: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
    numbers.try_send(7).expect("room");
    frames.try_send_bytes(ARENA.handle(), b"a message").expect("room");
    let payload = ARENA.handle().dump().next().expect("a payload");
    let home = ARENA.handle().homes().next().expect("the arena's own");
    let source = Name::new("a board");
    vec![
        Record::Begin(Begin { source, sequence: 1, ticks: 1 << 40, ticks_per_second: 1_000 }),
        Record::channel("numbers", numbers.snapshot()),
        Record::channel("frames", frames.snapshot()),
        Record::arena("arena", ARENA.snapshot(), Some(ARENA.handle().census())),
        Record::arena("arena", ARENA.snapshot(), None),
        Record::home("arena", home, None),
        Record::kernel("kernel", KERNEL.snapshot()),
        Record::ticket("arena", payload),
        Record::End { records: 7 },
        Record::Outcome(Outcome::Done(3)),
        queueing("frames", [0, 200, 3]),
        spilled("frames", u32::MAX),
    ]
}

/// A record of a histogram whose first three buckets, and no others, have something in them.
fn queueing(channel: &str, first: [u32; 3]) -> Record {
    let mut histogram = Histogram::default();
    histogram.buckets[..3].copy_from_slice(&first);
    histogram.ticks = 206;
    Record::Queueing(QueueingRecord { channel: Name::new(channel), histogram })
}

/// A record of a channel that spills, with figures as large as that.
fn spilled(channel: &str, figure: u32) -> Record {
    let mut spilled = SpillSnapshot::default();
    (spilled.messages, spilled.out, spilled.above) = (figure, figure, true);
    (spilled.bytes, spilled.capacity, spilled.used) =
        (u64::from(figure) << 8, u64::MAX, u64::from(figure) << 10);
    Record::spilled(channel, spilled)
}

/// The frames of these, and where each ends.
fn stream(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for record in records {
        bytes.extend_from_slice(encode(record, &mut [0; MAX_FRAME]).expect("room"));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn read(bytes: &[u8]) -> Vec<Result<Record, FrameError>> {
    Frames::new(bytes.iter().copied()).collect()
}

#[test]
fn what_is_written_is_read() {
    let records = records();
    let (bytes, ends) = stream(&records);
    assert!(read(&bytes).into_iter().eq(records.iter().copied().map(Ok)));
    // Zeros only where frames end.
    let zeros: Vec<usize> =
        bytes.iter().zip(1..).filter(|(byte, _)| **byte == 0).map(|(_, end)| end).collect();
    assert_eq!(zeros, ends);
}

#[test]
fn requests_are_read() {
    for request in [
        Request::Report,
        Request::Stream { interval_ms: u32::MAX },
        Request::Dump,
        Request::Act { target: Name::new("frames"), action: Action::Drain },
    ] {
        let mut buffer = [0; MAX_FRAME];
        let frame = encode(&request, &mut buffer).expect("room");
        assert_eq!(decode(frame), Ok(request));
    }
}

/// Names and numbers as long as they can be.
#[test]
fn every_record_fits_a_frame() {
    let long = "\u{1f9e5}".repeat(9);
    let channel: Channel<Lock, u32, Buffered<4>> = Channel::new();
    let all = u32::MAX;
    let snapshot = ChannelSnapshot {
        capacity: Some(usize::MAX),
        depth: usize::MAX,
        high_water: usize::MAX,
        sent: all,
        received: all,
        dropped: all,
        delivered: all,
        lagged: all,
        bytes_sent: u64::MAX,
        bytes_received: u64::MAX,
        copied: all,
        full: all,
        empty: all,
        refused: all,
        ended: all,
        send_waits: all,
        recv_waits: all,
        send_timeouts: all,
        recv_timeouts: all,
        send_cancelled: all,
        recv_cancelled: all,
        abandoned: all,
        parked_senders: all,
        parked_receivers: all,
        times: Some(Times { first: all, last: all, oldest_age: Some(all) }),
        ..channel.snapshot()
    };
    let most = usize::MAX;
    let arena = ArenaSnapshot {
        page_size: most,
        pages: most,
        free: most,
        high_water: most,
        promised: most,
        descriptors: most,
        live: most,
        retired: most,
        free_run: most,
        failed: all,
        waited: all,
        waiting: all,
        stopped: all,
        damaged: all,
        moves: all,
        pages_moved: all,
        passes: all,
    };
    let census =
        Census { pages_in_hand: most, pages_at_rest: most, runs_in_hand: most, runs_at_rest: most };
    let home = HomeSnapshot { id: u8::MAX, used: most, cap: most, min: most };
    let kernel = KernelSnapshot {
        tasks: all,
        ready: all,
        polls: all,
        wakes: all,
        timers: all,
        idle_ticks: u64::MAX,
    };
    let _held = ARENA.try_alloc(1).expect("memory");
    let payload = ARENA.handle().dump().next().expect("a payload");
    let dump = cloakroom::arena::TicketDump {
        descriptor: most,
        in_hand: most,
        at_rest: most,
        len: most,
        first_page: most,
        pages: most,
        next: Some(most),
        part: true,
        age: Some(all),
        correlation: std::num::NonZeroU32::new(all),
        ..payload
    };
    let begin = Begin {
        source: Name::new(&long),
        sequence: all,
        ticks: u64::MAX,
        ticks_per_second: u64::MAX,
    };
    let histogram = Histogram { buckets: [all; Histogram::BUCKETS], ticks: u64::MAX };
    for record in [
        Record::Begin(begin),
        Record::channel(&long, snapshot),
        Record::arena(&long, arena, Some(census)),
        Record::home(&long, home, Some(census)),
        Record::kernel(&long, kernel),
        Record::ticket(&long, dump),
        Record::Arena(ArenaRecord {
            name: Name::new(&long),
            snapshot: arena,
            census: Some(census),
            orphans: Some(Orphans {
                payloads: all,
                bytes: u64::MAX,
                pages: u64::MAX,
                oldest_age: Some(all),
            }),
        }),
        Record::Ticket(TicketRecord {
            place: Some(Place { channel: Name::new(&long), parked: true, position: all }),
            ..TicketRecord::new(&long, dump)
        }),
        Record::End { records: all },
        Record::Outcome(Outcome::Reaped { payloads: u64::MAX, bytes: u64::MAX }),
        Record::Queueing(QueueingRecord { channel: Name::new(&long), histogram }),
        spilled(&long, all),
    ] {
        let mut buffer = [0; MAX_FRAME];
        let frame = encode(&record, &mut buffer).expect("room");
        println!("{} bytes", frame.len());
        assert_eq!(decode(frame), Ok(record));
    }
}

#[test]
fn a_short_buffer_is_an_error() {
    let record = Record::End { records: 1 };
    let len = encode(&record, &mut [0; MAX_FRAME]).expect("room").len();
    assert!(encode(&record, &mut vec![0; len]).is_ok());
    for short in 0..len {
        assert_eq!(encode(&record, &mut vec![0; short]), Err(FullError), "{short} of {len} bytes");
    }
}

/// Damage of any one byte, and of any one bit, costs the frame in which it is, or two if it is the zero
/// between them; all others are read, and nothing is read that was not written.
#[test]
fn damage_costs_no_more_than_its_frame() {
    let records = records();
    let (intact, ends) = stream(&records);
    let mut kinds = [0u32; 4];
    for at in 0..intact.len() {
        let changes = (0..8).map(|bit| 1 << bit).chain([intact[at], 0xff]);
        for change in changes.filter(|&change| change != 0) {
            let mut bytes = intact.clone();
            bytes[at] ^= change;
            let read = read(&bytes);
            let good: Vec<Record> = read.iter().filter_map(|record| record.ok()).collect();
            let hit = ends.iter().position(|&end| at < end).expect("a frame");
            let spoiled = if at + 1 == ends[hit] { hit..=hit + 1 } else { hit..=hit };
            let rest = records.iter().enumerate();
            let rest: Vec<Record> = rest
                .filter(|(number, _)| !spoiled.contains(number))
                .map(|(_, &record)| record)
                .collect();
            assert_eq!(good, rest, "byte {at} changed by {change:#x}");
            for error in read.iter().filter_map(|record| record.err()) {
                let kind = match error {
                    FrameError::TooLong => 0,
                    FrameError::TooShort => 1,
                    FrameError::Foreign => 2,
                    FrameError::Damaged => 3,
                    other => panic!("byte {at} changed by {change:#x}: {other}"),
                };
                kinds[kind] += 1;
            }
        }
    }
    println!("too long, too short, foreign, damaged: {kinds:?}");
    assert!(kinds[1..].iter().all(|&count| count > 0));
}

/// A reader that comes in the middle, or finds that bytes are missing.
#[test]
fn what_is_missing_is_noticed() {
    let records = records();
    let (bytes, ends) = stream(&records);
    for start in 0..bytes.len() {
        let whole = ends.iter().filter(|&&end| end <= start).count() + 1;
        let begins_with_a_frame = start == 0 || bytes[start - 1] == 0;
        let good: Vec<Record> = read(&bytes[start..]).into_iter().filter_map(Result::ok).collect();
        let expected = if begins_with_a_frame { &records[whole - 1..] } else { &records[whole..] };
        assert_eq!(good, expected, "from byte {start} on");
        let cut = read(&bytes[..start]);
        let complete = ends.iter().filter(|&&end| end <= start).count();
        assert_eq!(cut.iter().flatten().count(), complete);
        assert_eq!(cut.len() - complete, usize::from(!begins_with_a_frame), "up to byte {start}");
    }
}

#[test]
fn rubbish_is_no_record() {
    let mut random = Random(7);
    let mut errors = 0;
    for _ in 0..2_000 {
        let rubbish: Vec<u8> = (0..random.below(900)).map(|_| random.below(256) as u8).collect();
        for frame in read(&rubbish) {
            assert!(frame.is_err(), "{frame:?}");
            errors += 1;
        }
    }
    assert!(errors > 2_000, "{errors} errors");
    // Nothing at all, and a frame that never ends.
    assert_eq!(read(&[0, 0, 0]), []);
    let endless = vec![1; 10 * MAX_FRAME];
    assert_eq!(read(&[&endless[..], &[0]].concat()), [Err(FrameError::TooLong)]);
}

/// As [`encode`], of another version or protocol.
fn frame(head: [u8; 3], content: &[u8]) -> Vec<u8> {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut whole = [&head[..], content].concat();
    whole.extend_from_slice(&crc.checksum(&whole).to_le_bytes());
    let mut coded = vec![0; MAX_FRAME];
    let len = cobs::encode(&whole, &mut coded);
    // A zero is left behind it.
    coded.truncate(len + 1);
    coded
}

#[test]
fn another_version_is_told_from_damage() {
    // What an end of one record is: its number among the records, and one more number.
    let end = [6, 1];
    let mut own = frame([b'c', b'k', VERSION], &end);
    assert_eq!(own, encode(&Record::End { records: 1 }, &mut [0; MAX_FRAME]).expect("room"));
    assert_eq!(decode(&mut own), Ok(Record::End { records: 1 }));
    let mut next = frame([b'c', b'k', VERSION + 1], &end);
    assert_eq!(decode::<Record>(&mut next), Err(FrameError::Version { found: VERSION + 1 }));
    assert_eq!(decode::<Record>(&mut frame(*b"xyz", &end)), Err(FrameError::Foreign));
    // Records that are not known, too short, or too long.
    for content in [&[99, 1][..], &[6], &[6, 1, 1]] {
        let mut other = frame([b'c', b'k', VERSION], content);
        assert_eq!(decode::<Record>(&mut other), Err(FrameError::Content));
    }
}

#[test]
fn a_name_is_cut_between_characters() {
    let name = Name::new(&"\u{e9}".repeat(20));
    assert_eq!(&*name, "\u{e9}".repeat(16));
    assert_eq!(&*Name::new(&format!("x{name}")), format!("x{}", "\u{e9}".repeat(15)));
    assert_eq!(Name::new("").len(), 0);
}

/// Pieces of any length: the decoder keeps what it has.
#[test]
fn bytes_come_in_pieces() {
    let records = records();
    let (bytes, _) = stream(&records);
    let mut decoder = Decoder::new();
    let mut got = Vec::new();
    for piece in bytes.chunks(3) {
        got.extend(piece.iter().filter_map(|&byte| decoder.push(byte)));
    }
    assert!(got.into_iter().eq(records.into_iter().map(Ok)));
    assert!(!decoder.is_within_frame());
}
