//! The same steps each time, in one thread.

use cloakroom::std_layer::journal::{Directory, Log, LogError, Message};

use crate::check::settled;
use crate::cli::{Duty, End, Script};
use crate::deadly::{Calls, Deadly};
use crate::ledger::{Book, Ledger};
use crate::messages::payload;
use crate::random::Random;

const CHANNELS: u16 = 3;

/// `crashbox script`.
pub fn run(options: &Script) -> Result<(), End> {
    let place = &options.duty.place;
    let calls = Calls::until(options.kill_at_call);
    let book = Book::read(&place.ledger, place.power_cut)?.unwrap_or(Book::new(options.duty.level));
    let files = Deadly::new(Directory::lock(&place.log)?, calls.clone());
    let (log, report) = Log::open(files, place.options())?;
    let ledger = settled(place, &book, &log, &report, options.duty.next())?;
    let mut next = [0; CHANNELS as usize];
    for (chan, next) in (0..).zip(&mut next) {
        *next = book.series.get(&chan).map_or(0, |series| series.tried) + 1;
    }
    steps(&log, &ledger, &options.duty, next, options.steps)?;
    log.close()?;
    println!("calls={}", calls.count());
    Ok(())
}

fn steps(
    log: &Log<Deadly<Directory>>,
    ledger: &Ledger,
    duty: &Duty,
    mut next: [u64; CHANNELS as usize],
    steps: u32,
) -> Result<(), End> {
    let mut random = Random(duty.seed);
    let mut live: Vec<(u16, u64)> =
        log.pending().iter().map(|live| (live.chan, live.seq)).collect();
    for _ in 0..steps {
        let outcome = match random.below(20) {
            0 => log.maintain(),
            1 => {
                let claimed = ledger.len();
                let synced = log.sync();
                if synced.is_ok() {
                    ledger.claim(format_args!("synced {claimed}"))?;
                }
                synced.map(drop)
            }
            2..=10 if !live.is_empty() => {
                // Of the oldest ones, mostly, as receivers do; some stay, and are copied forward.
                let skip = random.below(live.len().min(6) as u64) as usize;
                let (chan, seq) = live.remove(skip);
                ledger.announce(format_args!("ack {chan} {seq} {seq}"))?;
                let acked = log.ack(chan, seq, seq);
                if acked.is_ok() {
                    ledger.claim(format_args!("acked {chan} {seq} {seq}"))?;
                }
                acked
            }
            _ => {
                let chan = random.below(u64::from(CHANNELS)) as u16;
                let seq = next[usize::from(chan)];
                next[usize::from(chan)] += 1;
                ledger.announce(format_args!("try {chan} {seq}"))?;
                let payload = payload(chan, seq);
                let sent = log.send(&Message::new(chan, seq, &payload), duty.level.level());
                if sent.is_ok() {
                    ledger.claim(format_args!("sent {chan} {seq}"))?;
                    live.push((chan, seq));
                }
                sent.map(drop)
            }
        };
        match outcome {
            Ok(()) | Err(LogError::Full) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
