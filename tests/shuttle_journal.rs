//! Group commit under shuttle: roles taken and given up by several threads, rotation and collection in between, a failure at
//! any call.
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test --release --features wal --test shuttle_journal
//! ```
//!
//! Shuttle finds threads that wait for ever; what was acknowledged is looked for on the simulated disk, as a power cut at that
//! moment would leave it.
#![cfg(all(shuttle, unix))]

#[path = "journal/disk.rs"]
#[allow(dead_code, reason = "tests on the real scheduler use all of it")]
mod disk;
#[path = "common/random.rs"]
mod random;
#[path = "common/shuttle_lock.rs"]
#[allow(dead_code, reason = "channels' models use all of it")]
mod shuttle_lock;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cloakroom::journal::{Entry, Journal, Keeping, Kept};
use cloakroom::std_layer::journal::{Level, Log, LogError, Message, Options};
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;

use disk::{Disk, EIO, Fault};
use random::Random;
use shuttle_lock::{below, explore};

fn options() -> Options {
    Options {
        segment_bytes: 10_200,
        slots: 4,
        max_payload: 600,
        max_messages: 64,
        stage_bytes: 4 << 10,
        keys: 8,
        maintained: true,
        ..Options::default()
    }
}

fn open(disk: &Disk) -> Log<Disk> {
    Log::open(disk.clone(), options()).map(|(log, _)| log).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether the power may fail now, and the message is there all the same.
fn is_durable(disk: &Disk, chan: u16, seq: u64) -> bool {
    let log = open(&Disk::of(&disk.durable()));
    let mut buffer = [0; 600];
    log.read(chan, seq, &mut buffer).is_ok_and(|len| buffer[..len].iter().all(|&byte| byte == 7))
}

#[test]
fn what_is_acknowledged_is_durable() {
    explore(|| {
        let disk = Disk::default();
        let log = Arc::new(open(&disk));
        let threads: Vec<_> = (0..3)
            .map(|chan| {
                let (log, disk) = (log.clone(), disk.clone());
                thread::spawn(move || {
                    for seq in 0..2 {
                        let level = [Level::Sync, Level::Buffered][usize::from(chan == 2)];
                        log.send(&Message::new(chan, seq, &[7; 40]), level).unwrap();
                        if level == Level::Sync {
                            assert!(is_durable(&disk, chan, seq));
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        log.sync().unwrap();
        assert!((0..3).all(|chan| is_durable(&disk, chan, 1)));
    });
}

/// Rounds one after the other, led by who has waited or by who comes, some of whom need what others do not: all are woken.
#[test]
fn rounds_follow_each_other() {
    explore(|| {
        let disk = Disk::default();
        let log = Arc::new(open(&disk));
        let threads: Vec<_> = (0..4)
            .map(|chan| {
                let (log, disk) = (log.clone(), disk.clone());
                thread::spawn(move || {
                    for seq in 0..3 {
                        log.send(&Message::new(chan, seq, &[7; 40]), Level::Sync).unwrap();
                        assert!(is_durable(&disk, chan, seq));
                        if chan == 3 {
                            log.ack(chan, seq, seq).unwrap();
                            log.sync().unwrap();
                            assert!(!is_durable(&disk, chan, seq));
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(log.pending().len(), 9);
    });
}

#[test]
fn of_two_with_one_key_one_is_kept() {
    explore(|| {
        let disk = Disk::default();
        let log = Arc::new(open(&disk));
        let threads: Vec<_> = (0..3)
            .map(|sender: u64| {
                let (log, disk) = (log.clone(), disk.clone());
                thread::spawn(move || {
                    let mut new = 0;
                    for key in 0..2 {
                        let message = Message::new(1, sender * 2 + key, &[7; 40]);
                        let seq = match log.send_once(&message, key, Level::Sync).unwrap() {
                            Kept::New => message.seq,
                            Kept::Duplicate(first) => first,
                        };
                        new += usize::from(seq == message.seq);
                        // Whoever has sent it: it is kept.
                        assert!(is_durable(&disk, 1, seq));
                    }
                    new
                })
            })
            .collect();
        let new = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!((new.sum::<usize>(), log.pending().len()), (2, 2));
    });
}

#[test]
fn segments_change_under_way() {
    explore(|| {
        let disk = Disk::default();
        let log = Arc::new(open(&disk));
        let kept = Message::new(9, 0, &[7; 600]);
        log.send(&kept, Level::Sync).unwrap();
        let threads: Vec<_> = (0..2)
            .map(|chan| {
                let log = log.clone();
                thread::spawn(move || {
                    for seq in 0..24 {
                        let level = [Level::Sync, Level::Buffered][usize::from(seq % 4 > 0)];
                        log.send(&Message::new(chan, seq, &[7; 600]), level).unwrap();
                        log.ack(chan, seq, seq).unwrap();
                    }
                })
            })
            .collect();
        let helper = {
            let log = log.clone();
            thread::spawn(move || {
                for _ in 0..4 {
                    log.maintain().unwrap();
                    thread::yield_now();
                }
            })
        };
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        helper.join().unwrap();
        // The only one that lives was copied forward, and each copy was durable before the one before was gone.
        assert!(log.pending()[0].at.segment > 1 && log.pending().len() == 1);
        assert!(is_durable(&disk, 9, 0));
    });
}

/// The last of a run in the index moves backward, past the collector, when the first is taken out.
#[test]
fn acknowledgements_while_the_index_is_gone_through() {
    /// What the index multiplies numbers of runs by, and its inverse: runs' places come from the upper half of the product.
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    const INVERSE: u64 = 0xF1DE_83E1_9937_733D;
    const RUN: u64 = 24;
    /// Numbers that lie together.
    const TOGETHER: u64 = 8;
    assert_eq!(FACTOR.wrapping_mul(INVERSE), 1);
    fn number(place: u64, which: usize) -> u64 {
        let size = options().max_messages as u64;
        let runs = (size + size / 7 + 2) / TOGETHER;
        let first = (place / TOGETHER << 32).div_ceil(runs) << 32;
        let all = (0..).map(|low| (first | low).wrapping_mul(INVERSE));
        let mut fitting = all.filter(|run| *run < u64::MAX / TOGETHER);
        fitting.nth(which).unwrap() * TOGETHER + place % TOGETHER
    }
    explore(|| {
        let (first, last) = (number(0, 0), number(0, 1));
        let options = Options { slots: 5, ..options() };
        let log = Arc::new(Log::open(Disk::default(), options).unwrap().0);
        let mut next = 0;
        let mut fill = |segment| loop {
            next += 1;
            let end = log.send(&Message::new(9, next, &[1; 600]), Level::Buffered).unwrap();
            log.ack(9, next, next).unwrap();
            if end.segment >= segment {
                break;
            }
        };
        for place in 0..RUN {
            log.send(&Message::new(0, number(place, 0), b""), Level::Buffered).unwrap();
        }
        fill(2);
        log.send(&Message::new(0, last, &[7; 40]), Level::Sync).unwrap();
        // The run is copied to behind the last one, which is alone in the oldest segment then.
        fill(3);
        log.maintain().unwrap();
        let segment = |seq| log.pending().iter().find(|live| live.seq == seq).unwrap().at.segment;
        assert_eq!((segment(last), segment(first)), (2, 3));
        let acknowledging = {
            let log = log.clone();
            thread::spawn(move || log.ack(0, first, first).unwrap())
        };
        fill(4);
        log.maintain().unwrap();
        acknowledging.join().unwrap();
        let mut buffer = [0; 40];
        assert_eq!(log.read(0, last, &mut buffer).unwrap(), 40);
        assert_eq!((buffer, segment(last) > 2), ([7; 40], true));
    });
}

#[test]
fn a_failure_is_told_to_all() {
    explore(|| {
        let disk = Disk::default();
        let log = Arc::new(open(&disk));
        let call = disk.calls() + u64::from(below(8));
        disk.clone().with(Fault::FailAt(call, EIO));
        let threads: Vec<_> = (0..3)
            .map(|chan| {
                let (log, disk) = (log.clone(), disk.clone());
                thread::spawn(move || {
                    let mut acknowledged = Vec::new();
                    for seq in 0..4 {
                        match log.send(&Message::new(chan, seq, &[7; 40]), Level::Sync) {
                            Ok(_) => acknowledged.push(seq),
                            Err(error) => {
                                assert!(matches!(error, LogError::Failed { errno: EIO, .. }));
                                break;
                            }
                        }
                    }
                    assert!(acknowledged.iter().all(|&seq| is_durable(&disk, chan, seq)));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // The failing call was the last one, or all was done before it came.
        assert!(log.sync().is_err() || disk.calls() <= call);
        let image = disk.after_power_cut(&mut Random(call));
        drop(open(&Disk::of(&image)));
    });
}

/// Futures that wait for a sync, one that is given up at some moment, and one that comes with its key: what is ready is durable, nobody
/// is a duplicate of what was given up, and nobody waits for ever. A thread does what the journal's does.
#[test]
fn futures_that_wait_and_one_that_is_given_up() {
    explore(|| {
        let disk = Disk::default();
        let log = Arc::new(open(&disk));
        let send =
            |log: &Log<Disk>, seq: u64, key: u64, keeping: &mut Keeping, cx: &mut Context<'_>| {
                let entry = Entry { chan: 1, seq, payload: &[7; 40] };
                log.poll_keep(keeping, &entry, Some(key), Level::Sync, cx).map(|kept| kept.unwrap())
            };
        let done = Arc::new(AtomicUsize::new(0));
        let syncer = {
            let (log, done) = (log.clone(), done.clone());
            thread::spawn(move || {
                while done.load(Ordering::SeqCst) < 3 {
                    log.maintain().unwrap();
                    thread::yield_now();
                }
            })
        };
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let (log, disk, done) = (log.clone(), disk.clone(), done.clone());
                thread::spawn(move || {
                    let mut keeping = Keeping::default();
                    let kept = block_on(poll_fn(|cx| send(&log, sender, sender, &mut keeping, cx)));
                    let seq = match kept {
                        Kept::New => sender,
                        Kept::Duplicate(first) => first,
                    };
                    assert!(is_durable(&disk, 1, seq), "{kept:?}");
                    done.fetch_add(1, Ordering::SeqCst);
                    (seq, kept)
                })
            })
            .collect();
        // With the key of the second.
        let (mut keeping, mut cx) = (Keeping::default(), Context::from_waker(Waker::noop()));
        let mut ready = None;
        for _ in 0..=below(2) {
            match send(&log, 9, 1, &mut keeping, &mut cx) {
                Poll::Ready(kept) => {
                    ready = Some(kept);
                    break;
                }
                Poll::Pending => thread::yield_now(),
            }
        }
        let stays = match ready {
            Some(kept) => kept == Kept::New,
            None => log.give_up(&mut keeping),
        };
        done.fetch_add(1, Ordering::SeqCst);
        let kept: Vec<_> = senders.into_iter().map(|thread| thread.join().unwrap()).collect();
        syncer.join().unwrap();
        assert_eq!(kept[0], (0, Kept::New));
        assert_eq!(kept[1].0 == 9, stays, "{kept:?}");
        let mut pending: Vec<_> = log.pending().iter().map(|live| live.seq).collect();
        pending.sort_unstable();
        assert_eq!(pending, [0, kept[1].0]);
    });
}

/// The log fails at any call while futures wait: all are told.
#[test]
fn futures_are_told_of_a_failure() {
    explore(|| {
        let disk = Disk::default();
        let log = Arc::new(open(&disk));
        let call = disk.calls() + u64::from(below(6));
        disk.clone().with(Fault::FailAt(call, EIO));
        let over = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..2)
            .map(|chan| {
                let (log, disk, over) = (log.clone(), disk.clone(), over.clone());
                thread::spawn(move || {
                    for seq in 0..2 {
                        let mut keeping = Keeping::default();
                        let entry = Entry { chan, seq, payload: &[7; 40] };
                        let kept = block_on(poll_fn(|cx| {
                            log.poll_keep(&mut keeping, &entry, None, Level::Sync, cx)
                        }));
                        match kept {
                            Ok(_) => assert!(is_durable(&disk, chan, seq)),
                            Err(_) => break,
                        }
                    }
                    over.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        while over.load(Ordering::SeqCst) < 2 {
            // It wakes them, too, if it is not the one that has failed.
            let _ = log.maintain();
            thread::yield_now();
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}
