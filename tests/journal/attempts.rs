//! How often messages were delivered is known after a crash, and takes no room that is not given back.

use cloakroom::std_layer::journal::{Level, Log, LogFiles, Message, OpenPolicy, Options};

use crate::disk::Disk;
use crate::script;

fn attempts(log: &Log<Disk>, seq: u64) -> Option<u8> {
    log.pending().iter().find(|live| (live.chan, live.seq) == (1, seq)).map(|live| live.attempts)
}

/// Others come and go, so that it is copied forward again and again, and is opened now and then.
#[test]
fn counts_go_where_their_messages_go() {
    let disk = Disk::default();
    let mut log = script::open(&disk).0;
    log.send(&Message::new(1, 1, &[1; 50]), Level::Buffered).unwrap();
    log.send(&Message { slot: 7, generation: 9, ..Message::new(1, 2, &[2; 50]) }, Level::Buffered)
        .unwrap();
    for round in 0..300 {
        let next = round % 60;
        if next == 0 && round > 0 {
            // A kill: nothing was synced or closed for it.
            log = script::open(&Disk::of(&disk.image())).0;
            drop(log);
            log = script::open(&disk).0;
        }
        log.attempt(1, 1, round + 1).unwrap();
        let expected = u8::try_from(round + 1).unwrap_or(255);
        assert_eq!((attempts(&log, 1), attempts(&log, 2)), (Some(expected), Some(0)));
        // Never less.
        log.attempt(1, 1, 1).unwrap();
        assert_eq!(attempts(&log, 1), Some(expected));
        for seq in 0..10 {
            let seq = 10 + u64::from(round) * 10 + seq;
            log.send(&Message::new(1, seq, &[3; 500]), Level::Buffered).unwrap();
            log.ack(1, seq, seq).unwrap();
        }
    }
    let pending = log.pending();
    assert!(pending.iter().all(|live| live.at.segment > 20), "{pending:?}");
    assert_eq!((pending[1].slot, pending[1].generation), (7, 9));
    // It is done with: no count brings it back.
    log.ack(1, 1, 1).unwrap();
    log.attempt(1, 1, 200).unwrap();
    log.sync().unwrap();
    drop(log);
    let log = script::open(&disk).0;
    assert_eq!((attempts(&log, 1), attempts(&log, 2)), (None, Some(0)));
}

/// One message that is delivered on and on, in a log that is full of others: it does not grow, and can be drained.
#[test]
fn a_full_log_counts_and_is_drained() {
    let (disk, options) = (Disk::default(), Options { max_messages: 1000, ..script::options() });
    let log = Log::open(disk.clone(), options.clone()).unwrap().0;
    let mut sent = 0;
    while log.send(&Message::new(1, sent, &[5; 100]), Level::Buffered).is_ok() {
        sent += 1;
    }
    assert!(sent > 100);
    for round in 1..=40 {
        for seq in 0..sent {
            log.attempt(1, seq, round).unwrap();
        }
    }
    assert!(disk.list().unwrap().len() <= options.slots as usize + 1);
    drop(log);
    let log = Log::open(disk.clone(), options.clone()).unwrap().0;
    assert!(log.pending().iter().all(|live| live.attempts == 40));
    assert_eq!(log.pending().len() as u64, sent);
    // In an order in which no two notes are one.
    for seq in (0..sent).step_by(2).chain((1..sent).step_by(2)) {
        log.attempt(1, seq, 41).unwrap();
        log.ack(1, seq, seq).unwrap();
    }
    assert!(log.pending().is_empty());
    drop(log);
    // One that takes nothing counts for itself.
    let log = Log::open(disk.clone(), options.clone()).unwrap().0;
    log.send(&Message::new(1, 5000, b""), Level::Sync).unwrap();
    drop(log);
    let drain = Options { policy: OpenPolicy::Drain, ..options };
    let log = Log::open(disk.clone(), drain).unwrap().0;
    let calls = disk.calls();
    log.attempt(1, 5000, 3).unwrap();
    assert_eq!((attempts(&log, 5000), disk.calls()), (Some(3), calls));
}
