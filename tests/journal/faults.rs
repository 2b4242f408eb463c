//! No room, errors of writes, syncs and reads, calls that are cut short and interrupted.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use cloakroom::std_layer::journal::{
    Level, Log, LogError, Message, OpenError, OpenPolicy, Options, ReadError,
};

use crate::disk::{Disk, EIO, ENOSPC, EROFS, Fault};
use crate::random::Random;
use crate::script::{
    Ledger, SEGMENT, check, check_messages, handed_out, open, options, payload, run, send, sync,
};

#[test]
fn short_and_interrupted_calls_change_nothing() {
    let (plain, short) = (Disk::default(), Disk::default().with(Fault::Short));
    for disk in [&plain, &short] {
        let (log, _) = open(disk);
        assert!(run(&log, &mut Ledger::new(), 1, 60, 5));
    }
    assert!(short.calls() > plain.calls() * 2, "they were cut short");
    let image = short.image();
    let (log, _) = open(&Disk::of(&image).with(Fault::Short));
    let (other, _) = open(&Disk::of(&plain.image()));
    assert_eq!(handed_out(&log), handed_out(&other));
    assert!(!handed_out(&log).is_empty());
}

/// A full disk is no reason to fail: sends are refused, and taken again when there is room.
#[test]
fn no_room_for_another_slot() {
    let disk = Disk::default();
    let (log, _) = open(&disk);
    disk.clone().with(Fault::FullFrom(0));
    let mut ledger = Ledger::new();
    let mut seq = 0;
    let full = loop {
        seq += 1;
        if let Err(error) = send(&log, &mut ledger, 1, seq, Level::Sync) {
            break error;
        }
    };
    assert_eq!(full, LogError::Full);
    assert!(seq > 10, "the first segment has room");
    // Nothing was written of it, and everything else is there, and can be forgotten.
    assert_eq!(handed_out(&log).len() as u64, seq - 1);
    assert_eq!(send(&log, &mut ledger, 1, seq, Level::Buffered), Err(LogError::Full));
    log.ack(1, 1, 5).unwrap();
    disk.repair();
    send(&log, &mut ledger, 1, seq, Level::Sync).unwrap();
    (1..=5).for_each(|seq| ledger.get_mut(&(1, seq)).unwrap().acked = true);
    sync(&log, &mut ledger).unwrap();
    check(&open(&Disk::of(&disk.image())).0, &ledger, true);
}

/// The slots that there are do for what lives: once that has been acknowledged, in whatever order, a disk that the log itself has filled takes
/// as much again, time after time, and the log can be opened.
#[test]
fn what_is_acknowledged_makes_room_on_a_disk_that_the_log_has_filled() {
    // With as many slots as it takes, and never room for all of them.
    let options = Options { slots: 64, ..options() };
    for files in 4..10 {
        for every in [1, 2, 3] {
            let disk = Disk::default().with(Fault::RoomFor(u64::from(files * SEGMENT)));
            let (log, _) = Log::open(disk.clone(), options.clone()).unwrap();
            let mut ledger = Ledger::new();
            let (mut seq, mut bytes) = (0, vec![]);
            for _ in 0..6 {
                let first = seq + 1;
                while send(&log, &mut ledger, 1, seq + 1, Level::Sync) != Err(LogError::Full) {
                    seq += 1;
                }
                bytes.push((first..=seq).map(|seq| payload(1, seq).len()).sum::<usize>());
                for begin in 0..every {
                    for acked in (first + begin..=seq).step_by(every as usize) {
                        log.ack(1, acked, acked).unwrap();
                        ledger.get_mut(&(1, acked)).unwrap().acked = true;
                    }
                }
                sync(&log, &mut ledger).unwrap();
                assert_eq!(log.pending().len(), 0);
            }
            drop(log);
            // It is as full as it was, also for who dies when it has just opened it, again and again.
            let mut image = disk.image();
            for _ in 0..5 {
                let full = Disk::of(&image).with(Fault::RoomFor(u64::from(files * SEGMENT)));
                let (log, _) = Log::open(full.clone(), options.clone()).unwrap();
                check_messages(&log, &ledger, false);
                image = full.image();
            }
            let full = Disk::of(&image).with(Fault::RoomFor(u64::from(files * SEGMENT)));
            let (log, _) = Log::open(full, options.clone()).unwrap();
            let mut more = 0;
            while send(&log, &mut ledger, 1, seq + 1, Level::Sync).is_ok() {
                seq += 1;
                more += payload(1, seq).len();
            }
            assert!(more >= (files - 3) as usize * SEGMENT as usize / 3, "{files}: {more}");
            // What lives in a log of so many slots, but for what records have besides.
            let least = (files - 3) * SEGMENT / 3;
            assert!(
                bytes.iter().all(|&bytes| bytes >= least as usize),
                "{files} {every} {bytes:?}"
            );
        }
    }
}

/// With room for fewer files than it takes to go on for ever: what is acknowledged becomes durable all the same, as there is room for that.
#[test]
fn what_is_acknowledged_is_durable_however_little_room_there_is() {
    for files in 1..5 {
        let disk = Disk::default().with(Fault::RoomFor(u64::from(files * SEGMENT)));
        let (log, _) = open(&disk);
        let mut ledger = Ledger::new();
        let mut seq = 0;
        while send(&log, &mut ledger, 1, seq + 1, Level::Sync) != Err(LogError::Full) {
            seq += 1;
        }
        assert!(seq > 10, "{files} files: {seq}");
        for acked in 1..=seq {
            log.ack(1, acked, acked).unwrap();
            ledger.get_mut(&(1, acked)).unwrap().acked = true;
        }
        sync(&log, &mut ledger).unwrap();
        drop(log);
        check(&open(&Disk::of(&disk.durable())).0, &ledger, true);
    }
}

/// Nobody comes for what a full disk is full of: nothing is copied to and fro meanwhile.
#[test]
fn a_full_disk_is_left_alone() {
    let options = Options { slots: 64, maintained: true, ..options() };
    let disk = Disk::default().with(Fault::RoomFor(u64::from(8 * SEGMENT)));
    let (log, _) = Log::open(disk.clone(), options).unwrap();
    let mut ledger = Ledger::new();
    let mut seq = 0;
    while send(&log, &mut ledger, 1, seq + 1, Level::Sync) != Err(LogError::Full) {
        seq += 1;
        log.maintain().unwrap();
    }
    let writes = || disk.kinds().iter().filter(|kind| **kind == "write").count();
    for _ in 0..20 {
        log.maintain().unwrap();
    }
    let before = writes();
    for _ in 0..20 {
        log.maintain().unwrap();
    }
    assert_eq!(writes(), before);
}

/// At every point of a run: it goes on as far as there is room, and nothing is lost.
#[test]
fn no_room_from_any_call_on() {
    let disk = Disk::default();
    run(&open(&disk).0, &mut Ledger::new(), 1, 300, 9);
    let mut random = Random(6);
    for call in 0..disk.calls() {
        let disk = Disk::default().with(Fault::FullFrom(call));
        let mut ledger = Ledger::new();
        match Log::open(disk.clone(), options()) {
            Ok((log, _)) => assert!(run(&log, &mut ledger, 1, 300, 9), "it has not failed"),
            Err(error) => assert!(matches!(error, OpenError::Full), "{error}"),
        }
        // On a disk that is still full it can be read, at least; and after a power cut, too.
        for image in [disk.image(), disk.after_power_cut(&mut random)] {
            let full = Disk::of(&image).with(Fault::FullFrom(0));
            let drain = Options { policy: OpenPolicy::Drain, ..options() };
            let (log, _) = Log::open(full.clone(), drain).unwrap();
            assert_eq!(full.calls(), 0, "nothing is changed");
            check_messages(&log, &ledger, true);
            let refused = log.send(&Message::new(1, 1 << 40, b"no"), Level::Sync);
            assert_eq!(refused, Err(LogError::ReadOnly));
            let first = handed_out(&log).first().copied();
            if let Some((chan, seq)) = first {
                log.ack(chan, seq, seq).unwrap();
                assert!(!handed_out(&log).contains(&(chan, seq)));
            }
        }
    }
}

/// Any write or sync that fails, with any error: the log has failed for good, says up to where it is durable, and keeps that.
#[test]
fn any_call_fails() {
    let disk = Disk::default();
    run(&open(&disk).0, &mut Ledger::new(), 1, 200, 11);
    let kinds = disk.kinds();
    let mut random = Random(8);
    let mut failures = 0;
    for (call, errno) in (0..disk.calls()).flat_map(|call| [(call, EIO), (call, ENOSPC)]) {
        let disk = Disk::default().with(Fault::FailAt(call, errno));
        let mut ledger = Ledger::new();
        let Ok((log, _)) = Log::open(disk.clone(), options()) else { continue };
        let finished = run(&log, &mut ledger, 1, 200, 11);
        // While a slot is made, no room is a reason to wait.
        let making = errno == ENOSPC && finished;
        if !making {
            failures += 1;
            let calls = disk.calls();
            assert_eq!(calls, call + 1, "nothing is tried again: {}", kinds[call as usize]);
            let failed = LogError::Failed { errno, durable_upto: log.durable() };
            let again = log.send(&Message::new(0, 1 << 40, b"no"), Level::Buffered);
            assert_eq!(again, Err(failed));
            assert_eq!(log.ack(0, 1, 1), Err(failed));
            assert_eq!(log.sync(), Err(failed));
            assert_eq!(log.close(), Err(failed));
            assert_eq!(log.maintain(), Err(failed));
            assert_eq!(disk.calls(), calls);
        }
        check(&open(&Disk::of(&disk.after_power_cut(&mut random))).0, &ledger, true);
    }
    assert!(failures > 100, "{failures}");
}

/// A file system that is read-only, or becomes so after any call, as some do after an error of the disk: the log says so, takes nothing
/// any more, and can be drained as it is.
#[test]
fn a_file_system_becomes_read_only() {
    let disk = Disk::default();
    run(&open(&disk).0, &mut Ledger::new(), 1, 200, 11);
    for call in 0..disk.calls() {
        let disk = Disk::default().with(Fault::ReadOnlyFrom(call));
        let mut ledger = Ledger::new();
        match Log::open(disk.clone(), options()) {
            Ok((log, _)) => {
                assert!(!run(&log, &mut ledger, 1, 200, 11));
                let failed = LogError::Failed { errno: EROFS, durable_upto: log.durable() };
                assert_eq!(log.sync(), Err(failed));
                assert_eq!(disk.calls(), call + 1, "nothing is tried again");
            }
            Err(error) => assert!(matches!(error, OpenError::ReadOnly), "{error}"),
        }
        let disk = Disk::of(&disk.image()).with(Fault::ReadOnlyFrom(0));
        let refused = Log::open(disk.clone(), options());
        assert!(matches!(refused, Err(OpenError::ReadOnly)), "{refused:?}");
        let calls = disk.calls();
        let drain = Options { policy: OpenPolicy::Drain, ..options() };
        check_messages(&Log::open(disk.clone(), drain).unwrap().0, &ledger, false);
        assert_eq!(disk.calls(), calls, "nothing is changed");
    }
}

#[test]
fn limits_are_told() {
    let (log, _) = open(&Disk::default());
    let long = log.send(&Message::new(0, 1, &[0; 601]), Level::Sync);
    assert_eq!(long, Err(LogError::TooLong { most: 600 }));
    let closing = log.send(&Message::new(0, u64::MAX, b""), Level::Sync);
    assert_eq!(closing, Err(LogError::Reserved));
    assert_eq!(log.pending(), []);

    // As many messages as the index was made for, and no more.
    let mut taken = 0;
    while log.send(&Message::new(0, taken + 1, b""), Level::Buffered).is_ok() {
        taken += 1;
    }
    assert!((200..=203).contains(&taken), "{taken}");
    assert_eq!(log.send(&Message::new(0, 999, b""), Level::Buffered), Err(LogError::Full));
    log.ack(0, 1, 1).unwrap();
    log.send(&Message::new(0, 999, b""), Level::Buffered).unwrap();

    // As many bytes as leave room to copy them.
    let (log, _) = open(&Disk::default());
    let mut bytes = 0;
    let mut seq = 0;
    while log.send(&Message::new(0, seq, &[1; 600]), Level::Buffered).is_ok() {
        seq += 1;
        bytes += 632;
    }
    let most = options().most_live_bytes();
    assert!(bytes <= most && bytes + 632 > most, "{bytes} of {most}");
    // However often: the space is bounded, and acknowledged messages make room.
    for more in 0..2000 {
        log.ack(0, more, more).unwrap();
        log.send(&Message::new(0, seq + more, &[2; 600]), Level::Buffered).unwrap();
    }
    assert_eq!(log.pending().len() as u64, seq);

    let mut short = [0; 10];
    let read = log.read(0, seq + 1999, &mut short);
    assert!(matches!(read, Err(ReadError::TooShort { need: 600 })), "{read:?}");
    assert!(matches!(log.read(7, 7, &mut short), Err(ReadError::Unknown)));
    let absurd = [
        Options { slots: 3, ..options() },
        Options { segment_bytes: 0, ..options() },
        Options { max_payload: u32::MAX, ..options() },
        Options { max_messages: 0, ..options() },
        Options { max_messages: usize::MAX, ..options() },
        Options { stage_bytes: usize::MAX, ..options() },
        Options { keys: usize::MAX, ..options() },
        Options { keyed_queues: usize::MAX, keys: 1, ..options() },
    ];
    for options in absurd {
        assert!(matches!(Log::open(Disk::default(), options), Err(OpenError::Options(_))));
    }
    assert!(
        Log::open(Disk::default(), Options { slots: u32::MAX, ..options() }).is_ok(),
        "no limit"
    );
}

/// What was acknowledged before it was sent is not acknowledged: what is on the disk says the same as the log.
#[test]
fn an_acknowledgement_before_a_send_stays_before_it() {
    let disk = Disk::default();
    let mut ledger = Ledger::new();
    let (log, _) = open(&disk);
    log.ack(1, 1, 100).unwrap();
    send(&log, &mut ledger, 1, 50, Level::Sync).unwrap();
    // Also if there is no room on the stage, and in the segment, before there is.
    for seq in 200..400 {
        log.ack(2, 0, u64::MAX - 1).unwrap();
        send(&log, &mut ledger, 2, seq, Level::Buffered).unwrap();
    }
    log.ack(4, u64::MAX, u64::MAX).unwrap();
    log.close_channel(4, Level::Sync).unwrap();
    let there = [(1, 50), (2, 399), (4, u64::MAX)];
    assert_eq!(handed_out(&log), there);
    assert_eq!(handed_out(&open(&Disk::of(&disk.image())).0), there);
}

/// Messages that live may be longer than those that are sent from now on: they are copied forward all the same.
#[test]
fn opened_again_for_shorter_messages() {
    let disk = Disk::default();
    let long =
        Options { max_payload: 5000, stage_bytes: 16 << 10, segment_bytes: 32 << 10, ..options() };
    let (log, _) = Log::open(disk.clone(), long.clone()).unwrap();
    log.send(&Message::new(1, 1, &[7; 5000]), Level::Sync).unwrap();
    log.close().unwrap();
    let short = Options { max_payload: 100, stage_bytes: 4 << 10, ..long };
    let log = Arc::new(Log::open(Disk::of(&disk.image()), short).unwrap().0);
    let (done, is_done) = mpsc::channel();
    let helped = log.clone();
    // What spins for ever does so with the log's lock, so it is another thread that waits.
    thread::spawn(move || {
        for seq in 0..2000 {
            helped.send(&Message::new(2, seq, &[1; 100]), Level::Buffered).unwrap();
            helped.ack(2, seq, seq).unwrap();
        }
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(60)).expect("it goes on");
    let mut buffer = [0; 5000];
    assert_eq!(log.read(1, 1, &mut buffer).unwrap(), 5000);
    assert!(buffer == [7; 5000] && log.pending()[0].at.segment > 2);
}

/// What cannot be read at the moment is not copied, and stays where it is: the log is full, and goes on when it can be read.
#[test]
fn reads_fail_for_a_while() {
    let disk = Disk::default();
    let mut ledger = Ledger::new();
    let (log, _) = open(&disk);
    (1..4).for_each(|seq| send(&log, &mut ledger, 1, seq, Level::Sync).unwrap());
    disk.clone().with(Fault::UnreadableFrom(0));
    let mut seq = 0;
    let full = loop {
        seq += 1;
        if let Err(error) = log.send(&Message::new(2, seq, &[1; 600]), Level::Buffered) {
            break error;
        }
        log.ack(2, seq, seq).unwrap();
        log.maintain().unwrap();
        assert!(seq < 1000, "nothing can be collected");
    };
    assert_eq!(full, LogError::Full);
    disk.repair();
    for seq in seq..seq + 1000 {
        log.send(&Message::new(2, seq, &[1; 600]), Level::Buffered).unwrap();
        log.ack(2, seq, seq).unwrap();
    }
    log.sync().unwrap();
    assert!(log.pending()[0].at.segment > 1);
    check(&log, &ledger, true);
    check(&open(&Disk::of(&disk.image())).0, &ledger, true);
}

/// A collection that is given up half way leaves copies in a segment that is not synced, while others go on in the next ones: they are
/// durable before what they are copies of is gone.
#[test]
fn a_collection_is_given_up_and_goes_on_later() {
    let disk = Disk::default();
    let (log, _) = Log::open(disk.clone(), Options { keys: 0, ..options() }).unwrap();
    let messages: Vec<u32> = (1..=4)
        .map(|seq| log.send(&Message::new(1, seq, &payload(1, seq)), Level::Sync).unwrap().offset)
        .collect();
    let lives = |log: &Log<Disk>| log.pending().iter().filter(|live| live.chan == 1).count();
    let mut seq = 0;
    let mut go_on = |len: usize| {
        seq += 1;
        let sent = log.send(&Message::new(2, seq, &[1; 600][..len]), Level::Buffered);
        log.ack(2, seq, seq).unwrap();
        log.maintain().unwrap();
        assert_eq!(lives(&open(&Disk::of(&disk.durable())).0), 4, "message {seq}");
        sent.map(|at| at.segment)
    };
    // What was returned is where each ends, so the last two cannot be read.
    disk.clone().with(Fault::UnreadableFrom(messages[1].into()));
    // The segment is full then, so that the rest of the copies is in the next one.
    for len in [600, 0] {
        while go_on(len).is_ok() {}
    }
    let moved = log.pending().iter().filter(|live| live.chan == 1 && live.at.segment > 1).count();
    assert_eq!(moved, 2, "half of it was done");
    disk.repair();
    while go_on(600).unwrap() < 12 {}
}

/// A range that ends before it begins has no message, and takes none from the range that was noted down before.
#[test]
fn an_empty_range_is_acknowledged() {
    let disk = Disk::default();
    let mut ledger = Ledger::new();
    let (log, _) = open(&disk);
    (1..8).for_each(|seq| send(&log, &mut ledger, 1, seq, Level::Sync).unwrap());
    log.ack(1, 1, 5).unwrap();
    log.ack(1, 6, 3).unwrap();
    log.sync().unwrap();
    assert_eq!(handed_out(&log), [(1, 6), (1, 7)]);
    assert_eq!(handed_out(&open(&Disk::of(&disk.image())).0), [(1, 6), (1, 7)]);
}

#[test]
fn channels_that_were_closed_and_messages_that_were_cancelled() {
    let disk = Disk::default();
    let mut ledger = Ledger::new();
    let (log, _) = open(&disk);
    send(&log, &mut ledger, 4, 1, Level::Sync).unwrap();
    send(&log, &mut ledger, 4, 2, Level::Sync).unwrap();
    log.cancel(4, 1).unwrap();
    log.close_channel(4, Level::Buffered).unwrap();
    // Copied forward with everything else.
    for seq in 0..1000 {
        log.send(&Message::new(9, seq, &payload(9, seq)), Level::Buffered).unwrap();
        log.ack(9, seq, seq).unwrap();
    }
    log.close().unwrap();
    assert_eq!(log.sync(), Err(LogError::ReadOnly), "it was closed");

    let disk = Disk::of(&disk.image());
    let (log, report) = open(&disk);
    let (pending, closed) = (report.pending, report.closed);
    assert_eq!((pending, closed, report.clean, report.max_seq), (1, 1, true, 999));
    assert!(log.pending().last().unwrap().is_closing());
    assert_eq!(handed_out(&log), [(4, 2), (4, u64::MAX)]);
    // Opened, and closed again: the later counts.
    log.ack(4, u64::MAX, u64::MAX).unwrap();
    log.close_channel(4, Level::Sync).unwrap();
    let (again, report) = open(&Disk::of(&disk.image()));
    assert_eq!((again.pending().len(), report.closed, report.clean), (2, 1, false));
    log.ack(4, 0, u64::MAX).unwrap();
    log.sync().unwrap();
    assert_eq!(open(&Disk::of(&disk.image())).0.pending(), []);
}
