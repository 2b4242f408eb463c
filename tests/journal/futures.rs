//! Messages that are kept from futures: nothing is ready before it is durable, and what is given up is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use cloakroom::journal::{Entry, Journal, Keeping, Kept};
use cloakroom::std_layer::journal::{KeepError, Level, Log, LogError, Message, Options};

use crate::disk::{Disk, EIO, Fault};
use crate::random::Random;
use crate::script::{self, Ledger, WINDOW, check, key, payload, sync};
use crate::watch::watched;

/// One that the test maintains.
fn options() -> Options {
    Options { maintained: true, ..script::options() }
}

fn open(disk: &Disk) -> Log<Disk> {
    Log::open(disk.clone(), options()).unwrap().0
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A message of channel 2, which has keys, or of another one.
struct Sender {
    chan: u16,
    seq: u64,
    key: Option<u64>,
    keeping: Keeping,
    bell: Arc<Bell>,
}

impl Sender {
    fn new(chan: u16, seq: u64, key: Option<u64>) -> Self {
        Self { chan, seq, key, keeping: Keeping::default(), bell: Arc::default() }
    }

    fn poll(&mut self, log: &Log<Disk>) -> Poll<Result<Kept, LogError>> {
        let waker = Waker::from(self.bell.clone());
        let payload = payload(self.chan, self.seq);
        let entry = Entry { chan: self.chan, seq: self.seq, payload: &payload };
        let mut cx = Context::from_waker(&waker);
        log.poll_keep(&mut self.keeping, &entry, self.key, Level::Sync, &mut cx).map_err(|error| {
            let KeepError::Log(error) = error else { panic!("{error}") };
            error
        })
    }

    fn give_up(&mut self, log: &Log<Disk>) -> bool {
        log.give_up(&mut self.keeping)
    }
}

/// More than are woken at a time: nobody's thread syncs but the one that maintains the log, once for all.
#[test]
fn they_wait_for_one_sync() {
    let disk = Disk::default();
    let wide = Options { stage_bytes: 24 << 10, ..options() };
    let log = Log::open(disk.clone(), wide).unwrap().0;
    let mut senders: Vec<Sender> = (1..=40).map(|seq| Sender::new(1, seq, None)).collect();
    let calls = disk.calls();
    for sender in &mut senders {
        assert!(sender.poll(&log).is_pending());
    }
    let written = disk.kinds()[calls as usize..].iter().filter(|&&kind| kind == "sync").count();
    assert!(written == 0, "nobody has synced");
    let lived = log.pending().len();
    assert!(lived > 20, "{lived}");
    // Room is made, and what is staged synced, until all are there.
    let mut ready = 0;
    for _ in 0..20 {
        log.maintain().unwrap();
        senders.retain_mut(|sender| {
            if sender.bell.rung() == 0 {
                return true;
            }
            sender.bell.0.store(0, Ordering::Relaxed);
            match sender.poll(&log) {
                Poll::Ready(kept) => {
                    assert_eq!(kept, Ok(Kept::New));
                    ready += 1;
                    false
                }
                Poll::Pending => true,
            }
        });
    }
    assert_eq!((ready, senders.len(), log.pending().len()), (40, 0, 40));
    let syncs = disk.kinds()[calls as usize..].iter().filter(|&&kind| kind == "sync").count();
    assert!(syncs < 20, "{syncs}");
}

/// Somebody who waits in a call brings it about, too.
#[test]
fn a_call_that_syncs_wakes_them() {
    let log = open(&Disk::default());
    let mut sender = Sender::new(1, 1, None);
    assert!(sender.poll(&log).is_pending());
    log.send(&Message::new(0, 2, b""), Level::Sync).unwrap();
    assert_eq!(sender.bell.rung(), 1);
    assert_eq!(sender.poll(&log), Poll::Ready(Ok(Kept::New)));
    // It has left nothing behind.
    assert!(!sender.give_up(&log));
    log.send(&Message::new(0, 3, b""), Level::Sync).unwrap();
    assert_eq!((sender.bell.rung(), log.pending().len()), (1, 3));
}

#[test]
fn what_is_given_up() {
    let disk = Disk::default();
    let log = open(&disk);
    // Before anything: nothing.
    assert!(!Sender::new(1, 1, None).give_up(&log));
    let mut sender = Sender::new(1, 2, None);
    assert!(sender.poll(&log).is_pending());
    assert_eq!(log.pending().len(), 1);
    assert!(!sender.give_up(&log));
    assert!(log.pending().is_empty());
    // That was staged only, so a kill leaves nothing of it. One that was written may come again until something else is.
    assert!(open(&Disk::of(&disk.image())).pending().is_empty());
    let mut sender = Sender::new(1, 3, None);
    assert!(sender.poll(&log).is_pending());
    log.send(&Message::new(0, 4, b""), Level::Buffered).unwrap();
    log.ack(0, 4, 4).unwrap();
    assert!(!sender.give_up(&log));
    let found = open(&Disk::of(&disk.image())).pending();
    assert!(found.iter().any(|live| live.seq == 3), "{found:?}");
    log.sync().unwrap();
    assert!(open(&Disk::of(&disk.durable())).pending().is_empty());
    // Too late: it is durable.
    let mut sender = Sender::new(1, 5, None);
    assert!(sender.poll(&log).is_pending());
    log.sync().unwrap();
    assert!(sender.give_up(&log));
    assert_eq!(log.pending().len(), 1);
    assert_eq!(open(&Disk::of(&disk.durable())).pending().len(), 1);
}

/// Nobody is told that theirs is a duplicate of one that is given up.
#[test]
fn duplicates_of_what_may_be_given_up() {
    let disk = Disk::default();
    let log = open(&disk);
    let [mut first, mut second, mut third] = [1, 2, 3].map(|seq| Sender::new(2, seq, Some(7)));
    assert!(first.poll(&log).is_pending());
    assert!(second.poll(&log).is_pending() && third.poll(&log).is_pending());
    assert_eq!(log.pending().len(), 1);
    assert!(!first.give_up(&log));
    assert_eq!((second.bell.rung(), third.bell.rung()), (1, 1));
    // That it was given up is written before its key is another one's.
    assert!(second.poll(&log).is_pending() && third.poll(&log).is_pending());
    assert!(log.pending().is_empty());
    log.maintain().unwrap();
    assert!(second.poll(&log).is_pending() && third.poll(&log).is_pending());
    assert_eq!(log.pending()[0].seq, 2);
    log.maintain().unwrap();
    assert_eq!(third.poll(&log), Poll::Ready(Ok(Kept::Duplicate(2))));
    assert_eq!(second.poll(&log), Poll::Ready(Ok(Kept::New)));
    // In a call, that waits until it is certain, at a lower level, too.
    let mut first = Sender::new(2, 4, Some(8));
    assert!(first.poll(&log).is_pending());
    let second = log.send_once(&Message::new(2, 5, b""), 8, Level::Buffered);
    assert_eq!(second, Ok(Kept::Duplicate(4)));
    assert!(first.give_up(&log), "it is durable");
    let mut again = Sender::new(2, 6, Some(8));
    assert_eq!(again.poll(&log), Poll::Ready(Ok(Kept::Duplicate(4))));
}

#[test]
fn full_failed_and_without_memory() {
    let disk = Disk::default();
    let log = Log::open(disk.clone(), Options { keys: 0, ..options() }).unwrap().0;
    assert_eq!(Sender::new(2, 1, Some(1)).poll(&log), Poll::Ready(Err(LogError::NoKeys)));
    let mut sent = 1;
    while log.send(&Message::new(0, sent, &[1; 600]), Level::Buffered).is_ok() {
        sent += 1;
    }
    let mut refused = 0;
    for seq in sent..sent + 40 {
        let mut sender = Sender::new(1, seq, None);
        loop {
            match sender.poll(&log) {
                Poll::Ready(Ok(kept)) => assert_eq!(kept, Kept::New),
                Poll::Ready(Err(error)) => {
                    assert_eq!(error, LogError::Full);
                    refused += 1;
                }
                Poll::Pending => {
                    log.maintain().unwrap();
                    continue;
                }
            }
            break;
        }
    }
    assert!(refused > 20, "{refused}");
    log.ack(0, 0, u64::MAX - 1).unwrap();
    let [mut one, mut two, mut late] = [9000, 9001, 9002].map(|seq| Sender::new(1, seq, None));
    let is_staged = || log.pending().iter().any(|live| live.seq == 9000);
    while one.poll(&log).is_pending() && !is_staged() {
        log.maintain().unwrap();
    }
    assert!(two.poll(&log).is_pending());
    disk.clone().with(Fault::FailAt(disk.calls(), EIO));
    assert!(log.maintain().is_err());
    assert_eq!((one.bell.rung() > 0, two.bell.rung()), (true, 1));
    for sender in [&mut one, &mut two, &mut late] {
        let Poll::Ready(Err(LogError::Failed { errno: EIO, .. })) = sender.poll(&log) else {
            panic!("it has failed");
        };
        assert!(!sender.give_up(&log));
    }
}

/// Sends that are in flight, some of them given up, while the power fails at any call.
#[test]
fn power_fails_at_every_call() {
    // In the order in which they are staged those are the last that are not in order of their numbers.
    let options = || Options { keys: 2 * WINDOW, ..options() };
    let open = |image| Log::open(Disk::of(&image), options()).unwrap().0;
    let run = |disk: &Disk, ledger: &mut Ledger| {
        let mut given_up = 0;
        let Ok((log, _)) = Log::open(disk.clone(), options()) else { return 0 };
        let (mut random, mut flying): (_, Vec<Sender>) = (Random(12), Vec::new());
        let mut next = 1;
        for _ in 0..300 {
            let alive = match random.below(10) {
                0 => log.maintain().is_ok(),
                1 => sync(&log, ledger).is_ok(),
                2 if !flying.is_empty() => {
                    let at = random.below(flying.len() as u64) as usize;
                    let mut sender = flying.swap_remove(at);
                    let kept = sender.give_up(&log);
                    let fate = ledger.get_mut(&(sender.chan, sender.seq)).unwrap();
                    (fate.taken, fate.durable, fate.acked) = (kept, kept, !kept);
                    given_up += u32::from(!kept);
                    true
                }
                3..=5 if !flying.is_empty() => {
                    let at = random.below(flying.len() as u64) as usize;
                    match flying[at].poll(&log) {
                        Poll::Pending => true,
                        Poll::Ready(outcome) => {
                            let sender = flying.swap_remove(at);
                            let place = (sender.chan, sender.seq);
                            match outcome {
                                Ok(kept) => {
                                    assert_eq!(kept, Kept::New);
                                    let fate = ledger.get_mut(&place).unwrap();
                                    (fate.taken, fate.durable) = (true, true);
                                    true
                                }
                                Err(LogError::Full) => {
                                    ledger.remove(&place);
                                    true
                                }
                                Err(_) => false,
                            }
                        }
                    }
                }
                6 => {
                    let live = ledger.iter().find(|(_, fate)| fate.taken && !fate.acked);
                    let Some((&(chan, seq), _)) = live else { continue };
                    ledger.get_mut(&(chan, seq)).unwrap().acked = true;
                    log.ack(chan, seq, seq).is_ok()
                }
                _ => {
                    let chan = 1 + random.below(2) as u16;
                    ledger.entry((chan, next)).or_default();
                    let key = (chan == 2).then(|| key(next));
                    flying.push(Sender::new(chan, next, key));
                    next += 1;
                    true
                }
            };
            if !alive {
                break;
            }
        }
        given_up
    };
    let disk = Disk::default();
    let mut ledger = Ledger::new();
    assert!(run(&disk, &mut ledger) > 10);
    assert!(ledger.values().filter(|fate| fate.durable).count() > 30);
    let mut random = Random(13);
    for call in 0..disk.calls() {
        let disk = Disk::default().with(Fault::PowerAt(call));
        let mut ledger = Ledger::new();
        run(&disk, &mut ledger);
        check(&open(disk.image()), &ledger, false);
        for _ in 0..3 {
            check(&open(disk.after_power_cut(&mut random)), &ledger, true);
        }
    }
}

/// Wakers are foreign code: the log's lock is free when one is cloned, woken, or dropped.
#[test]
fn wakers_may_come_back_to_the_log() {
    static COMES_BACK: RawWakerVTable = RawWakerVTable::new(
        |log| {
            look(log);
            RawWaker::new(log, &COMES_BACK)
        },
        look,
        look,
        look,
    );
    fn look(log: *const ()) {
        // SAFETY: it outlives all that is polled below.
        let _ = unsafe { &*log.cast::<Log<Disk>>() }.durable();
    }
    watched(|| {
        let log = open(&Disk::default());
        log.maintain().unwrap();
        // SAFETY: the functions keep nothing, and `look` says why it may look.
        let waker = unsafe { Waker::from_raw(RawWaker::new((&raw const log).cast(), &COMES_BACK)) };
        let mut cx = Context::from_waker(&waker);
        let mut keepings = [(); 4].map(|()| Keeping::default());
        for (seq, keeping) in (1..).zip(&mut keepings) {
            let payload = payload(1, seq);
            let entry = Entry { chan: 1, seq, payload: &payload };
            // One waker is replaced by another one.
            for _ in 0..2 {
                assert!(log.poll_keep(keeping, &entry, None, Level::Sync, &mut cx).is_pending());
            }
        }
        let [first, second, rest @ ..] = &mut keepings;
        assert!(!log.give_up(first), "it is not durable yet");
        log.sync().unwrap();
        log.maintain().unwrap();
        let second_payload = payload(1, 2);
        let entry = Entry { chan: 1, seq: 2, payload: &second_payload };
        assert!(log.poll_keep(second, &entry, None, Level::Sync, &mut cx).is_ready());
        rest.iter_mut().for_each(|keeping| _ = log.give_up(keeping));
    });
}
