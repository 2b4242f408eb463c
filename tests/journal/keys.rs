//! Messages with keys: none is sent twice, for as long as its key is remembered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cloakroom::journal::Kept;
use cloakroom::std_layer::journal::{Level, Log, LogError, LogFiles, Message, OpenPolicy, Options};

use crate::disk::{Disk, Fault};
use crate::random::Random;
use crate::script::{self, WINDOW, key};

fn open(disk: &Disk, options: Options) -> Log<Disk> {
    Log::open(disk.clone(), options).unwrap().0
}

fn once(log: &Log<Disk>, chan: u16, seq: u64, key: u64) -> Result<Kept, LogError> {
    log.send_once(&Message::new(chan, seq, &[1; 100]), key, Level::Buffered)
}

/// Each queue's window is its own, and its oldest key goes first.
#[test]
fn as_many_as_there_may_be_of_each_queue() {
    let disk = Disk::default();
    let options = Options { keys: 3, keyed_queues: 2, ..script::options() };
    let log = open(&disk, options.clone());
    for seq in 1..=3 {
        assert_eq!(once(&log, 1, seq, key(seq)), Ok(Kept::New));
        assert_eq!(once(&log, 7, seq, key(seq)), Ok(Kept::New));
    }
    assert_eq!(once(&log, 3, 1, 1), Err(LogError::NoKeys));
    for round in 0..2 {
        assert_eq!(once(&log, 1, 10 + round, key(1)), Ok(Kept::Duplicate(1)));
    }
    assert_eq!(once(&log, 1, 20, key(4)), Ok(Kept::New));
    let judge = |log: &Log<Disk>| {
        for seq in 2..=3 {
            assert_eq!(once(log, 1, 30, key(seq)), Ok(Kept::Duplicate(seq)));
        }
        for seq in 1..=3 {
            assert_eq!(once(log, 7, 30, key(seq)), Ok(Kept::Duplicate(seq)));
        }
        assert_eq!(once(log, 1, 30, key(4)), Ok(Kept::Duplicate(20)));
        assert_eq!(log.pending().len(), 7);
    };
    judge(&log);
    drop(log);
    judge(&open(&disk, options.clone()));
    // Forgotten, so it is a new one: the oldest is the second now.
    let log = open(&disk, options);
    assert_eq!(once(&log, 1, 40, key(1)), Ok(Kept::New));
    assert_eq!(once(&log, 1, 41, key(3)), Ok(Kept::Duplicate(3)));
    assert_eq!(once(&log, 1, 41, key(2)), Ok(Kept::New));
}

/// The message is acknowledged, and its segment used again and again by others; the key is remembered all the same, by logs that
/// are opened now and then.
#[test]
fn keys_outlive_their_messages() {
    let disk = Disk::default();
    let mut random = Random(5);
    let mut log = open(&disk, script::options());
    let mut sent: Vec<u64> = Vec::new();
    for seq in 1..3000 {
        if random.below(300) == 0 {
            log.sync().unwrap();
            drop(log);
            log = open(&disk, script::options());
        }
        // Few with keys, among many without.
        if random.below(20) == 0 {
            assert_eq!(once(&log, 2, seq, key(seq)), Ok(Kept::New));
            sent.push(seq);
        } else {
            log.send(&Message::new(2, seq, &[0; 300]), Level::Buffered).unwrap();
        }
        log.ack(2, seq, seq).unwrap();
        for &known in sent.iter().rev().take(WINDOW) {
            assert_eq!(once(&log, 2, seq, key(known)), Ok(Kept::Duplicate(known)));
        }
    }
    let (last, before) = sent.split_at(sent.len() - WINDOW);
    assert!(log.pending().is_empty() && !before.is_empty());
    assert!(disk.list().unwrap().len() <= script::options().slots as usize + 1);
    // Nothing else: this one takes the place of the oldest.
    let forgotten = last[last.len() - 1];
    assert_eq!(once(&log, 2, 5000, key(forgotten)), Ok(Kept::New));
}

/// One that was cancelled can be sent again, before a crash and after.
#[test]
fn what_is_cancelled_can_be_sent_again() {
    let disk = Disk::default();
    let log = open(&disk, script::options());
    for seq in 1..=3 {
        once(&log, 2, seq, key(seq)).unwrap();
    }
    log.cancel(2, 2).unwrap();
    log.sync().unwrap();
    drop(log);
    let log = open(&disk, script::options());
    assert_eq!(once(&log, 2, 4, key(1)), Ok(Kept::Duplicate(1)));
    assert_eq!(once(&log, 2, 4, key(2)), Ok(Kept::New));
    log.cancel(2, 4).unwrap();
    assert_eq!(once(&log, 2, 5, key(2)), Ok(Kept::New));
    assert_eq!(once(&log, 2, 6, key(2)), Ok(Kept::Duplicate(5)));
    // It was cancelled before in the log, too.
    let pending = |log: &Log<Disk>| log.pending().iter().map(|live| live.seq).collect::<Vec<_>>();
    for log in [open(&Disk::of(&disk.image()), script::options()), log] {
        assert_eq!(pending(&log), [1, 3, 5]);
        assert_eq!(once(&log, 2, 6, key(2)), Ok(Kept::Duplicate(5)));
    }
}

/// A segment that is left says that a key is remembered, a later one that its message was cancelled. That is durable before the message is
/// gone from the disk: otherwise it could neither be received nor sent again. Nobody has synced ahead here.
#[test]
fn what_is_cancelled_is_not_remembered_without_its_message() {
    let disk = Disk::default();
    // So many slots that others are between the two, and where the first one's is freed.
    let log = open(&disk, Options { slots: 9, ..script::options() });
    let mut seq = 0;
    let mut go_on = |level| {
        seq += 1;
        let at = log.send(&Message::new(0, seq, &[1; 500]), level).unwrap();
        log.ack(0, seq, seq).unwrap();
        at.segment
    };
    log.send_once(&Message::new(2, 1, b"once"), key(1), Level::Sync).unwrap();
    while go_on(Level::Buffered) < 2 {}
    go_on(Level::Sync);
    while go_on(Level::Buffered) < 3 {}
    log.cancel(2, 1).unwrap();
    while go_on(Level::Buffered) < 12 {
        let after = open(&Disk::of(&disk.durable()), script::options());
        let lives = after.pending().iter().any(|live| (live.chan, live.seq) == (2, 1));
        let again = if lives { Kept::Duplicate(1) } else { Kept::New };
        assert_eq!(once(&after, 2, 9, key(1)), Ok(again));
    }
}

/// With a larger window than it was written with it remembers longer, and nothing is lost by that.
#[test]
fn a_window_of_another_size() {
    let disk = Disk::default();
    let of = |keys| Options { keys, ..script::options() };
    let log = open(&disk, of(2));
    for (seq, which) in [(1, 1), (2, 2), (3, 3), (4, 1)] {
        assert_eq!(once(&log, 2, seq, key(which)), Ok(Kept::New));
    }
    drop(log);
    let log = open(&disk, of(20));
    assert_eq!(log.pending().len(), 4);
    for (which, first) in [(1, 4), (2, 2), (3, 3)] {
        assert_eq!(once(&log, 2, 9, key(which)), Ok(Kept::Duplicate(first)));
    }
    drop(log);
    let log = open(&disk, of(1));
    assert_eq!(once(&log, 2, 9, key(1)), Ok(Kept::Duplicate(4)));
    assert_eq!(once(&log, 2, 9, key(3)), Ok(Kept::New));
}

/// A full log still says that it knows a message; one without memory for keys says so; a log with keys opens without.
#[test]
fn full_and_without_memory() {
    let disk = Disk::default();
    let log = open(&disk, script::options());
    assert_eq!(once(&log, 2, 1, key(1)), Ok(Kept::New));
    while log.send(&Message::new(1, log.pending().len() as u64, &[1; 100]), Level::Buffered).is_ok()
    {
    }
    assert_eq!(once(&log, 2, 2, key(1)), Ok(Kept::Duplicate(1)));
    assert_eq!(once(&log, 2, 2, key(2)), Err(LogError::Full));
    let pending = log.pending();
    drop(log);
    let log = open(&disk, Options { keys: 0, ..script::options() });
    assert_eq!(log.pending().len(), pending.len());
    assert_eq!(once(&log, 2, 2, key(1)), Err(LogError::NoKeys));
    drop(log);
    let log = open(&disk, Options { policy: OpenPolicy::Drain, ..script::options() });
    assert_eq!(once(&log, 2, 2, key(1)), Err(LogError::ReadOnly));
    let too_many = Options { keys: 1 << 20, ..script::options() };
    assert!(Log::open(Disk::default(), too_many).is_err());
}

/// A duplicate is acknowledged when the message that is kept is durable, not before.
#[test]
fn a_duplicate_is_as_durable_as_its_level_says() {
    let disk = Disk::default();
    let log = open(&disk, script::options());
    assert_eq!(once(&log, 2, 1, key(1)), Ok(Kept::New));
    let image = disk.after_power_cut(&mut Random(1));
    drop(open(&Disk::of(&image), script::options()));
    let again = log.send_once(&Message::new(2, 2, b""), key(1), Level::Sync);
    assert_eq!(again, Ok(Kept::Duplicate(1)));
    for seed in 1..20 {
        let log = open(&Disk::of(&disk.after_power_cut(&mut Random(seed))), script::options());
        assert_eq!(log.pending().len(), 1);
        assert_eq!(once(&log, 2, 3, key(1)), Ok(Kept::Duplicate(1)));
    }
}

/// Threads that send the same messages: each is kept once.
#[test]
fn of_those_who_come_at_the_same_time_one_is_kept() {
    let disk = Disk::default().with(Fault::Slow);
    let log = open(&disk, Options { keys: 200, ..script::options() });
    let (kept, numbers) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for order in 0..50 {
                    let seq = numbers.fetch_add(1, Ordering::Relaxed);
                    let level = [Level::Sync, Level::Buffered][usize::from(order % 4 > 0)];
                    let message = Message::new(2, seq, b"order");
                    if log.send_once(&message, key(order), level) == Ok(Kept::New) {
                        kept.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!((kept.into_inner(), log.pending().len()), (50, 50));
}
