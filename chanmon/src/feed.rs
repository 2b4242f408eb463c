//! A thread that reads reports, so that whoever shows them never waits for a source that says nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cloakroom::RecvTimeoutError;
use cloakroom::channel::{Buffered, Channel};
use cloakroom::report::Request;
use cloakroom::std_layer::StdRawMutex;

use crate::picture::Picture;
use crate::reports::{Damage, News, Reports};
use crate::source::{Kind, Source};
use crate::trouble::{Result, Trouble};

/// What the feed says.
pub enum Word {
    /// A report, and what has been lost up to it.
    Picture(Box<Picture>, Damage),
    /// There will be no more: the end of a recording, or trouble.
    Ended(Option<Trouble>),
}

/// How many words may be ahead of whoever listens.
const AHEAD: usize = 4;

type Line = Channel<StdRawMutex, Word, Buffered<AHEAD>>;

/// A feed that runs. Dropping it ends the thread after its next report.
pub struct Feed {
    line: Arc<Line>,
    payloads: Arc<AtomicBool>,
}

impl Feed {
    /// Starts reading. A source that answers requests is asked whenever `interval` has passed.
    ///
    /// # Errors
    /// If the source cannot be opened.
    pub fn start(path: &str, interval: Duration) -> Result<Self> {
        let source = Source::open(path)?;
        let line = Arc::new(Line::new());
        let payloads = Arc::new(AtomicBool::new(false));
        let feed = Self { line: line.clone(), payloads: payloads.clone() };
        let read = move || {
            let end = run(Reports::of(source), &line, &payloads, interval);
            // Who does not listen any more does not want to know.
            let _ = line.blocking_send(Word::Ended(end.err()));
            line.close();
        };
        let named = thread::Builder::new().name("feed".into());
        named.spawn(read).map_err(|error| Trouble::new(format!("no thread: {error}")))?;
        Ok(feed)
    }

    /// Whether reports shall contain the payloads of the arenas.
    pub fn want_payloads(&self, wanted: bool) {
        self.payloads.store(wanted, Ordering::Relaxed);
    }

    /// What has been said, or will be within `limit`.
    pub fn next(&self, limit: Duration) -> Option<Word> {
        match self.line.blocking_recv_timeout(limit) {
            Ok(word) => Some(word),
            Err(RecvTimeoutError::Timeout) => None,
            // It has ended, and has said so.
            Err(_) => None,
        }
    }

    /// What has been said.
    pub fn try_next(&self) -> Option<Word> {
        self.line.try_recv().ok()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.line.close();
    }
}

fn run(mut reports: Reports, line: &Line, payloads: &AtomicBool, interval: Duration) -> Result {
    loop {
        reports.ask(match payloads.load(Ordering::Relaxed) {
            true => &Request::Dump,
            false => &Request::Report,
        })?;
        let Some(news) = reports.next()? else { return Ok(()) };
        if let News::Picture(picture) = news {
            if line.blocking_send(Word::Picture(picture.into(), reports.damage())).is_err() {
                return Ok(());
            }
        }
        if reports.source().kind == Kind::Socket {
            thread::sleep(interval);
        }
    }
}
