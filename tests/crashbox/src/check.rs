//! What is in a log, against what the ledger says of it.

use std::fmt;
use std::path::Path;

use cloakroom::std_layer::journal::{Journal, Live, Log, LogFiles, RecoveryReport};

use crate::cli::{Check, End, Place, Promise};
use crate::ledger::{Book, Ledger, Next};
use crate::messages::{LONGEST, payload};

/// Channel and number.
type Key = (u16, u64);

/// What a check has found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Messages that the log has taken since the check before.
    sent: u64,
    /// Those that must be there.
    promised: u64,
    /// Those that are.
    pending: u64,
    /// Those that were acknowledged, but not durably.
    again: u64,
    lost: Vec<Key>,
    returned: Vec<Key>,
    invented: Vec<Key>,
    wrong: Vec<Key>,
}

impl Verdict {
    fn is_good(&self) -> bool {
        [&self.lost, &self.returned, &self.invented, &self.wrong].iter().all(|keys| keys.is_empty())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, promised, pending, again, .. } = self;
        write!(f, "sent={sent} promised={promised} pending={pending} again={again} lost=")?;
        let [lost, returned] = [&self.lost, &self.returned].map(Vec::len);
        let [invented, wrong] = [&self.invented, &self.wrong].map(Vec::len);
        write!(f, "{lost} returned={returned} invented={invented} wrong={wrong}")
    }
}

/// `crashbox check`.
pub fn run(options: &Check) -> Result<(), End> {
    let place = &options.place;
    let book = Book::read(&place.ledger, place.power_cut)?;
    let book = book.unwrap_or(Book::new(Promise::Sync));
    let (log, report) = Journal::open(&place.log, place.options())?;
    settled(place, &book, &log, &report, Next { level: book.level, sync_ledger: false })?;
    log.close()?;
    Ok(())
}

/// Compares, and begins a ledger that says what there is; prints what was found.
pub fn settled<F: LogFiles>(
    place: &Place,
    book: &Book,
    log: &Log<F>,
    report: &RecoveryReport,
    next: Next,
) -> Result<Ledger, End> {
    let pending = log.pending();
    let verdict = judge(book, &pending, place.power_cut, |live| {
        let mut buffer = [0; LONGEST as usize];
        let read = log.read(live.chan, live.seq, &mut buffer);
        read.is_ok_and(|len| buffer[..len] == payload(live.chan, live.seq))
    });
    println!("{verdict} torn={}", report.torn_bytes);
    if !verdict.is_good() {
        return Err(End::Broken(broken(&verdict, &place.log)));
    }
    let keys = pending.iter().map(|live| (live.chan, live.seq));
    book.settle(&place.ledger, keys, next)
}

fn broken(verdict: &Verdict, log: &Path) -> String {
    let of = |word: &str, keys: &[Key]| {
        let named =
            keys.iter().map(|(chan, seq)| format!("\n{word}: message {seq} of channel {chan}"));
        named.collect::<String>()
    };
    let mut text = format!("{} has broken a promise", log.display());
    text += &of("lost", &verdict.lost);
    text += &of("returned", &verdict.returned);
    text += &of("invented", &verdict.invented);
    text + &of("wrong payload", &verdict.wrong)
}

fn judge(
    book: &Book,
    pending: &[Live],
    power_cut: bool,
    is_right: impl Fn(&Live) -> bool,
) -> Verdict {
    let mut verdict = Verdict { pending: pending.len() as u64, ..Verdict::default() };
    let durable = |at: Option<u64>| at.is_some_and(|at| at < book.synced);
    for live in pending {
        let key = (live.chan, live.seq);
        let series = book.series.get(&live.chan).filter(|series| live.seq <= series.tried);
        let Some(series) = series else {
            verdict.invented.push(key);
            continue;
        };
        let fate = series.fates.get(&live.seq).copied().unwrap_or_default();
        let settled = live.seq <= series.base && fate.sent.is_none();
        if settled || durable(fate.acked) {
            verdict.returned.push(key);
        }
        if !is_right(live) {
            verdict.wrong.push(key);
        }
        verdict.again += u64::from(fate.ack);
    }
    for (&chan, series) in &book.series {
        for (&seq, fate) in &series.fates {
            verdict.sent += u64::from(fate.sent.is_some() && seq > series.base);
            let kept = match power_cut && book.level != Promise::Sync {
                true => durable(fate.sent),
                false => fate.sent.is_some(),
            };
            if kept && !fate.ack {
                verdict.promised += 1;
                if pending.binary_search_by_key(&(chan, seq), |live| (live.chan, live.seq)).is_err()
                {
                    verdict.lost.push((chan, seq));
                }
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What a check says of messages that are there, with a ledger of these lines.
    fn found(lines: &str, there: &[Key], power_cut: bool) -> Verdict {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        fs::write(&path, lines).unwrap();
        let book = Book::read(&path, power_cut).unwrap().unwrap();
        let live = |&(chan, seq): &Key| Live::new(chan, seq, Default::default(), 0);
        let pending: Vec<Live> = there.iter().map(live).collect();
        judge(&book, &pending, power_cut, |live| live.seq != 13)
    }

    #[test]
    fn each_broken_promise_is_found() {
        let lines = "level sync\nbase 1 5\nlive 1 2\nlive 1 3\ntry 1 20\nsent 1 6\nsent 1 7\n\
            ack 1 6 6\nacked 1 6 6\nsynced 87\nack 1 2 2\nacked 1 2 2\n";
        let good = found(lines, &[(1, 2), (1, 3), (1, 7), (1, 8)], false);
        assert!(good.is_good(), "{good:?}");
        assert_eq!(
            good.to_string(),
            "sent=2 promised=2 pending=4 again=1 lost=0 returned=0 invented=0 wrong=0"
        );
        let bad = found(lines, &[(1, 4), (1, 6), (1, 13), (1, 21), (2, 1)], false);
        assert_eq!(bad.lost, [(1, 3), (1, 7)]);
        // One was not there before, the other was acknowledged durably.
        assert_eq!(bad.returned, [(1, 4), (1, 6)]);
        assert_eq!(bad.wrong, [(1, 13)]);
        assert_eq!(bad.invented, [(1, 21), (2, 1)]);
        assert!(!bad.is_good());
    }

    /// A power cut may lose what was not synced, but at `sync`.
    #[test]
    fn the_power_fails() {
        let lines = "level buffered\nbase 1 5\nlive 1 2\ntry 1 20\nsent 1 6\nsynced 51\nsent 1 7\n";
        assert_eq!(found(lines, &[(1, 2), (1, 6)], false).lost, [(1, 7)]);
        assert!(found(lines, &[(1, 2), (1, 6)], true).is_good());
        assert_eq!(found(lines, &[], true).lost, [(1, 2), (1, 6)]);
        let sync = lines.replace("buffered", "sync");
        assert_eq!(found(&sync, &[(1, 2), (1, 6)], true).lost, [(1, 7)]);
    }
}
