//! A load: each sender has a channel, and somebody who receives from it and acknowledges.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use cloakroom::std_layer::journal::{Journal, LogError, Message};

use crate::check::settled;
use crate::cli::{End, Promise, Run};
use crate::ledger::{Book, Ledger};
use crate::messages::{LONGEST, payload};
use crate::random::Random;

/// Messages that are announced at a time.
const ANNOUNCED: u64 = 32;
/// Messages that a receiver keeps: more than are found to be promised after a kill if each were acknowledged at once, and
/// few enough for the log not to be full all the time.
const KEPT: usize = 12;
/// One in so many acknowledgements is made durable: often, for acknowledgements that are, and, as that writes out all there
/// is, seldom, for sends that must be written by themselves.
const SYNCED: [u64; 2] = [8, 128];
/// After the log was full, or nothing came.
const WHILE: Duration = Duration::from_millis(1);

/// What the threads of a channel share.
struct Lane<'s> {
    log: &'s Journal,
    ledger: &'s Ledger,
    level: Promise,
    chan: u16,
    stop: &'s AtomicBool,
}

/// `crashbox run`.
pub fn run(options: &Run) -> Result<(), End> {
    let duty = &options.duty;
    let place = &duty.place;
    let book = Book::read(&place.ledger, place.power_cut)?.unwrap_or(Book::new(duty.level));
    let (log, report) = Journal::open(&place.log, place.options())?;
    let ledger = settled(place, &book, &log, &report, duty.next())?;
    let stop = AtomicBool::new(false);
    let pending = log.pending();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        // Those of channels that nobody sends in now are received all the same.
        let channels = book.series.keys().copied().chain(0..options.threads);
        let channels: std::collections::BTreeSet<u16> = channels.collect();
        for chan in channels {
            let lane = Lane { log: &log, ledger: &ledger, level: duty.level, chan, stop: &stop };
            let seed = duty.seed << 16 | u64::from(chan);
            let of = |live: &&cloakroom::std_layer::journal::Live| live.chan == chan;
            let (sender, receiver) = mpsc::channel();
            for live in pending.iter().filter(of) {
                // The receiver is right here.
                let _ = sender.send(live.seq);
            }
            let next = book.series.get(&chan).map_or(0, |series| series.tried) + 1;
            let sends = chan < options.threads;
            threads.push(scope.spawn({
                let lane = Lane { ..lane };
                move || lane.receive(&receiver, Random(seed))
            }));
            if sends {
                threads.push(scope.spawn(move || lane.send(&sender, next)));
            }
        }
        if let Some(time) = options.stop_after {
            // Whoever fails meanwhile is asked afterwards.
            thread::sleep(Duration::from_millis(time));
            stop.store(true, Ordering::Relaxed);
        }
        for thread in threads {
            let outcome = thread.join().map_err(|_| End::Trouble("a thread panicked".to_owned()));
            if let Err(end) = outcome.and_then(|outcome| outcome) {
                stop.store(true, Ordering::Relaxed);
                return Err(end);
            }
        }
        Ok(())
    })?;
    log.close()?;
    Ok(())
}

impl Lane<'_> {
    fn stops(&self) -> bool {
        // Nothing else is told by it.
        self.stop.load(Ordering::Relaxed)
    }

    fn send(&self, to: &Sender<u64>, first: u64) -> Result<(), End> {
        let chan = self.chan;
        for seq in first.. {
            if (seq - first) % ANNOUNCED == 0 {
                self.ledger.announce(format_args!("try {chan} {}", seq + ANNOUNCED - 1))?;
            }
            let payload = payload(chan, seq);
            let message = Message::new(chan, seq, &payload);
            loop {
                if self.stops() {
                    return Ok(());
                }
                match self.log.send(&message, self.level.level()) {
                    Ok(_) => break,
                    Err(LogError::Full) => thread::sleep(WHILE),
                    Err(error) => return self.fail(error.into()),
                }
            }
            self.ledger.claim(format_args!("sent {chan} {seq}"))?;
            if to.send(seq).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Keeps some messages while it goes on, and acknowledges any of those.
    fn receive(&self, from: &Receiver<u64>, mut random: Random) -> Result<(), End> {
        let mut kept = VecDeque::new();
        let synced = SYNCED[random.below(2) as usize];
        loop {
            match from.recv_timeout(WHILE) {
                Ok(seq) => {
                    if random.below(8) == 0 {
                        self.read(seq)?;
                    }
                    kept.push_back(seq);
                    if kept.len() < KEPT {
                        continue;
                    }
                }
                // Whoever waits for room gets some.
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if kept.is_empty() => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {}
            }
            if self.stops() {
                return Ok(());
            }
            // Half of them in order, the others in any.
            let any = random.below(2 * kept.len().max(1) as u64) as usize;
            if let Some(seq) = kept.remove(if any < kept.len() { any } else { 0 }) {
                self.acknowledge(seq)?;
            }
            if random.below(synced) == 0 {
                self.sync()?;
            }
        }
    }

    fn read(&self, seq: u64) -> Result<(), End> {
        let mut buffer = [0; LONGEST as usize];
        let len = self.log.read(self.chan, seq, &mut buffer);
        let len = len.map_err(|error| End::Broken(format!("message {seq}: {error}")));
        let len = len.or_else(|end| self.fail(end).map(|()| 0))?;
        if buffer[..len] == payload(self.chan, seq) {
            return Ok(());
        }
        let what = format!("message {seq} of channel {} has another payload", self.chan);
        self.fail(End::Broken(what))
    }

    fn acknowledge(&self, seq: u64) -> Result<(), End> {
        let chan = self.chan;
        self.ledger.announce(format_args!("ack {chan} {seq} {seq}"))?;
        loop {
            match self.log.ack(chan, seq, seq) {
                Ok(()) => break,
                Err(LogError::Full) if !self.stops() => thread::sleep(WHILE),
                Err(LogError::Full) => return Ok(()),
                Err(error) => return self.fail(error.into()),
            }
        }
        self.ledger.claim(format_args!("acked {chan} {seq} {seq}"))
    }

    /// From then on what was acknowledged before stays so.
    fn sync(&self) -> Result<(), End> {
        let claimed = self.ledger.len();
        match self.log.sync() {
            Ok(_) => self.ledger.claim(format_args!("synced {claimed}")),
            Err(LogError::Full) => Ok(()),
            Err(error) => self.fail(error.into()),
        }
    }

    /// The others end, too.
    fn fail(&self, end: End) -> Result<(), End> {
        self.stop.store(true, Ordering::Relaxed);
        Err(end)
    }
}
