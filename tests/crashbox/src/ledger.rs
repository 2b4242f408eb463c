//! The ledger: what the log has promised, in lines of text.
//!
//! | line | written | meaning |
//! |---|---|---|
//! | `level WORD` | first | the level of all sends |
//! | `base CHAN SEQ` | by a check | messages up to there are settled: those that are listed live, no other ever comes again |
//! | `live CHAN SEQ` | by a check | one that lives |
//! | `try CHAN SEQ` | before sends | messages up to there may be found |
//! | `sent CHAN SEQ` | after a send | the log has taken it, at the level |
//! | `ack CHAN FIRST LAST` | before | these may be gone |
//! | `acked CHAN FIRST LAST` | after | the log has taken that |
//! | `synced OFFSET` | after a sync | all that the lines before that offset of the ledger say was taken is durable |
//!
//! What makes a promise larger is written after the log has made it, what makes it smaller before the log is asked. A line is
//! one write, so after a kill it is there, but the last may be torn; after a power cut it counts if the ledger was
//! synced when it announced something, as whatever comes later only makes promises larger.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clap::ValueEnum;

use crate::cli::{End, Promise};

/// What became of a message, and at which offset of the ledger that is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fate {
    /// The log has taken it.
    pub sent: Option<u64>,
    /// An acknowledgement was announced.
    pub ack: bool,
    /// The log has taken that.
    pub acked: Option<u64>,
}

/// The messages of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Series {
    /// Up to there they are settled.
    pub base: u64,
    /// Up to there they may be found.
    pub tried: u64,
    /// All of whom something is known.
    pub fates: BTreeMap<u64, Fate>,
}

/// How a ledger goes on.
#[derive(Clone, Copy, Debug)]
pub struct Next {
    /// The level of sends from now on.
    pub level: Promise,
    /// Whether it is synced when it announces something.
    pub sync_ledger: bool,
}

/// A ledger, as it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Book {
    pub level: Promise,
    pub series: BTreeMap<u16, Series>,
    /// What lines before that offset say was taken is durable.
    pub synced: u64,
}

impl Book {
    /// Nothing is promised.
    pub fn new(level: Promise) -> Self {
        Self { level, series: BTreeMap::new(), synced: 0 }
    }

    /// Reads a ledger; `None` if there is none. After a power cut what follows upon a line that is none counts as torn.
    pub fn read(path: &Path, power_cut: bool) -> Result<Option<Self>, End> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(End::trouble("cannot read the ledger", error)),
        };
        Self::parse(&bytes, power_cut).map(Some).map_err(|offset| {
            End::Trouble(format!("the ledger says nothing that is known at byte {offset}"))
        })
    }

    /// The offset of the first line that is none, if that is not the last.
    fn parse(bytes: &[u8], power_cut: bool) -> Result<Self, usize> {
        let mut book = None;
        let mut offset = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let Some(whole) = line.strip_suffix(b"\n") else { break };
            let known = std::str::from_utf8(whole).ok().and_then(|line| match &mut book {
                None => {
                    let word = line.strip_prefix("level ")?;
                    book = Some(Self::new(Promise::from_str(word, false).ok()?));
                    Some(())
                }
                Some(book) => book.learn(line, offset as u64),
            });
            match known {
                Some(()) => offset += line.len(),
                None if power_cut => break,
                None => return Err(offset),
            }
        }
        book.ok_or(0)
    }

    /// One line, which is at `offset`.
    fn learn(&mut self, line: &str, offset: u64) -> Option<()> {
        let mut words = line.split(' ');
        let word = words.next()?;
        let numbers = words.map(|number| number.parse::<u64>().ok());
        let numbers = numbers.collect::<Option<Vec<u64>>>()?;
        if let ("synced", &[upto]) = (word, &numbers[..]) {
            self.synced = self.synced.max(upto);
            return Some(());
        }
        let (&chan, rest) = numbers.split_first()?;
        let series = self.series.entry(u16::try_from(chan).ok()?).or_default();
        match (word, rest) {
            ("base", &[seq]) => (series.base, series.tried) = (seq, seq),
            ("try", &[seq]) => series.tried = seq,
            // A check has found it, so it is durable.
            ("live", &[seq]) => series.fates.entry(seq).or_default().sent = Some(0),
            ("sent", &[seq]) => series.fates.entry(seq).or_default().sent = Some(offset),
            ("ack", &[first, last]) => {
                (first..=last).for_each(|seq| series.fates.entry(seq).or_default().ack = true);
            }
            ("acked", &[first, last]) => {
                let acked = |seq| series.fates.entry(seq).or_default().acked = Some(offset);
                (first..=last).for_each(acked);
            }
            _ => return None,
        }
        if word == "live" {
            self.synced = self.synced.max(1);
        }
        Some(())
    }

    /// Writes a ledger that says nothing but what lives, in place of the one that is there, and opens it.
    pub fn settle(
        &self,
        path: &Path,
        live: impl Iterator<Item = (u16, u64)>,
        next: Next,
    ) -> Result<Ledger, End> {
        let mut text = format!("level {}\n", next.level.word());
        for (chan, series) in &self.series {
            let _ = writeln!(text, "base {chan} {}", series.tried);
        }
        for (chan, seq) in live {
            let _ = writeln!(text, "live {chan} {seq}");
        }
        let begun = path.with_extension("next");
        let written = || {
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).open(&begun)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&begun, path)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(file)
        };
        let file = written().map_err(|error: std::io::Error| {
            End::trouble(&format!("cannot write {}", path.display()), error)
        })?;
        Ok(Ledger { inner: Mutex::new((file, text.len() as u64)), sync: next.sync_ledger })
    }
}

/// A ledger that is written to.
pub struct Ledger {
    /// The file, and how long it is.
    inner: Mutex<(File, u64)>,
    sync: bool,
}

impl Ledger {
    /// Before the log is asked for something.
    pub fn announce(&self, line: std::fmt::Arguments<'_>) -> Result<(), End> {
        self.write(line, self.sync)
    }

    /// After the log has promised something.
    pub fn claim(&self, line: std::fmt::Arguments<'_>) -> Result<(), End> {
        self.write(line, false)
    }

    /// How long it is: what is before was claimed before now.
    pub fn len(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn write(&self, line: std::fmt::Arguments<'_>, sync: bool) -> Result<(), End> {
        let line = format!("{line}\n");
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, len) = &mut *inner;
        let written = file.write_all(line.as_bytes());
        *len += line.len() as u64;
        let written = written.and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        written.map_err(|error| End::trouble("cannot write the ledger", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "level sync\nbase 1 10\nlive 1 7\ntry 1 42\nsent 1 11\nack 1 7 11\nacked 1 7 11\nsynced 90\n";

    #[test]
    fn what_is_written_is_read() {
        let book = Book::parse(TEXT.as_bytes(), false).unwrap();
        let series = &book.series[&1];
        assert_eq!((book.level, book.synced), (Promise::Sync, 90));
        assert_eq!((series.base, series.tried), (10, 42));
        let sent = TEXT.find("sent").map(|at| at as u64);
        let acked = TEXT.find("acked").map(|at| at as u64);
        assert_eq!(series.fates[&11], Fate { sent, ack: true, acked });
        assert_eq!(series.fates[&7], Fate { sent: Some(0), ack: true, acked });
        assert_eq!(series.fates[&9], Fate { sent: None, ack: true, acked });
    }

    #[test]
    fn only_the_last_line_may_be_torn() {
        for end in 11..TEXT.len() {
            let book = Book::parse(&TEXT.as_bytes()[..end], false).unwrap();
            assert!(book.series.values().all(|series| [0, 10, 42].contains(&series.tried)));
        }
        let torn = TEXT.replace("sent", "\0\0nt");
        assert_eq!(Book::parse(torn.as_bytes(), false), Err(TEXT.find("sent").unwrap()));
        let book = Book::parse(torn.as_bytes(), true).unwrap();
        assert_eq!((book.series[&1].tried, book.series[&1].fates.len()), (42, 1));
        assert_eq!(Book::parse(b"", false), Err(0));
        assert_eq!(Book::parse(b"level none\n", true), Err(0));
    }

    #[test]
    fn what_is_settled_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        assert_eq!(Book::read(&path, false).unwrap(), None);
        let mut book = Book::new(Promise::Buffered);
        book.series.insert(3, Series { tried: 20, ..Series::default() });
        let next = Next { level: Promise::Buffered, sync_ledger: true };
        let ledger = book.settle(&path, [(3, 5), (3, 6)].into_iter(), next).unwrap();
        let before = ledger.len();
        ledger.announce(format_args!("try 3 40")).unwrap();
        ledger.claim(format_args!("sent 3 21")).unwrap();
        ledger.claim(format_args!("synced {}", ledger.len())).unwrap();
        let found = Book::read(&path, false).unwrap().unwrap();
        let series = &found.series[&3];
        assert_eq!((series.base, series.tried, series.fates.len()), (20, 40, 3));
        assert!(series.fates[&21].sent.is_some_and(|at| at > before && at < found.synced));
        assert!(series.fates[&5].sent.is_some_and(|at| at < found.synced));
    }
}
