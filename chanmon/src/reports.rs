//! Reports, read from a source one after the other.

use std::fmt;

use cloakroom::report::{Decoder, FrameError, MAX_FRAME, Outcome, Record, Request, VERSION};
use cloakroom::std_layer::report::Assembler;

use crate::picture::Picture;
use crate::source::{Kind, Source};
use crate::trouble::{Result, Trouble};
use crate::words::count;

/// What a source has sent, put together.
pub struct Reports {
    source: Source,
    decoder: Decoder<Record>,
    assembler: Assembler,
    buffer: Box<[u8]>,
    /// What of the buffer has been looked at, and how much is in it.
    read: usize,
    filled: usize,
    unreadable: u64,
    /// Why the last of these was.
    why: Option<FrameError>,
    anything: bool,
}

/// What comes in.
#[derive(Debug)]
pub enum News {
    /// A report.
    Picture(Picture),
    /// What came of an action.
    Outcome(Outcome),
}

/// What did not come in as it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Damage {
    /// Frames that could not be read.
    pub frames: u64,
    /// Reports of which something was missing.
    pub reports: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = count(self.frames, ["frame was", "frames were"]);
        let reports = count(self.reports, ["report", "reports"]);
        write!(f, "{frames} damaged, {reports} incomplete")
    }
}

impl Reports {
    /// From a source.
    pub fn of(source: Source) -> Self {
        Self {
            source,
            decoder: Decoder::new(),
            assembler: Assembler::default(),
            buffer: vec![0; 64 * MAX_FRAME].into(),
            read: 0,
            filled: 0,
            unreadable: 0,
            why: None,
            anything: false,
        }
    }

    /// The source.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// See [`Source::ask`].
    pub fn ask(&mut self, request: &Request) -> Result {
        self.source.ask(request)
    }

    /// What was lost up to now.
    pub fn damage(&self) -> Damage {
        Damage { frames: self.unreadable, reports: self.assembler.dropped() }
    }

    /// Waits for what comes next. `None` at the end of a file or a stream.
    ///
    /// # Errors
    /// A process that is gone, and a source in which there was nothing to be read, or of another version.
    pub fn next(&mut self) -> Result<Option<News>> {
        loop {
            while self.read < self.filled {
                let byte = self.buffer[self.read];
                self.read += 1;
                match self.decoder.push(byte) {
                    None => {}
                    Some(Err(error)) => self.note(error)?,
                    Some(Ok(record)) => {
                        let news = match record {
                            Record::Outcome(outcome) => Some(News::Outcome(outcome)),
                            record => {
                                let report = self.assembler.push(record).map_err(|error| {
                                    Trouble::new(error).advise(
                                        "Whatever sends this is damaged, or reports on more than fits into memory.",
                                    )
                                })?;
                                report.map(Picture::new).map(News::Picture)
                            }
                        };
                        if news.is_some() {
                            self.anything = true;
                            return Ok(news);
                        }
                    }
                }
            }
            self.read = 0;
            self.filled = self.source.read(&mut self.buffer)?;
            if self.filled == 0 {
                if std::mem::take(&mut self.decoder).is_within_frame() {
                    self.note(FrameError::TooShort)?;
                }
                return self.end();
            }
        }
    }

    /// Waits for the next report.
    ///
    /// # Errors
    /// As of [`next`](Self::next).
    pub fn next_picture(&mut self) -> Result<Option<Picture>> {
        loop {
            match self.next()? {
                Some(News::Picture(picture)) => return Ok(Some(picture)),
                Some(News::Outcome(_)) => {}
                None => return Ok(None),
            }
        }
    }

    fn note(&mut self, error: FrameError) -> Result {
        self.unreadable += 1;
        self.why = Some(error);
        match error {
            // It is intact, so there is nothing to be hoped for from the next one.
            FrameError::Version { .. } => Err(self.unreadable(error)),
            _ => Ok(()),
        }
    }

    fn end(&self) -> Result<Option<News>> {
        match (self.source.kind, self.anything, self.why) {
            (Kind::Socket, false, _) => {
                Err(Trouble::new(format!("{} hung up without a report", self.source.name))
                    .advise("The process has ended, has too many clients, or refuses whoever runs as another user."))
            }
            (Kind::Socket, ..) => Err(Trouble::new(format!("{} is gone", self.source.name))
                .advise("The process has ended. Start chanmon again when it is back.")),
            (_, false, Some(error)) => Err(self.unreadable(error)),
            (_, false, None) => Err(Trouble::new(format!("no report in {}", self.source.name))
                .advise("It ended before one was complete. Is it what the process writes?")),
            _ => Ok(None),
        }
    }

    fn unreadable(&self, error: FrameError) -> Trouble {
        let what =
            format!("{}: {error} ({} unreadable up to here)", self.source.name, self.unreadable);
        Trouble::new(what).advise(match error {
            FrameError::Version { found } if found > VERSION => {
                "The process is newer than this chanmon: install the one that belongs to it."
            }
            FrameError::Version { .. } => {
                "The process is older than this chanmon: use the one that belongs to it."
            }
            _ => {
                "Is it the right file, or line? Of a serial line, check speed, parity and raw mode (stty)."
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::NamedTempFile;

    use super::*;
    use crate::samples::everything;

    fn frames(picture: &Picture) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_frames(&mut bytes).expect("space");
        bytes
    }

    fn reports(bytes: &[u8]) -> (NamedTempFile, Reports) {
        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("space");
        let source = Source::open(file.path().to_str().expect("text")).expect("opens");
        (file, Reports::of(source))
    }

    #[test]
    fn a_file_holds_reports_and_ends() {
        let bytes = [frames(&everything(1)), frames(&everything(2))].concat();
        let (_file, mut reports) = reports(&bytes);
        for number in 1..=2 {
            let picture = reports.next_picture().expect("reads").expect("a report");
            assert_eq!(picture.begin.sequence, number);
            assert_eq!(picture.records, everything(number).records);
        }
        assert!(reports.next_picture().expect("no trouble").is_none());
    }

    #[test]
    fn damage_is_counted_and_costs_one_report() {
        let mut bytes = frames(&everything(1));
        bytes[200] = if bytes[200] == 1 { 2 } else { 1 };
        bytes.extend(frames(&everything(2)));
        let (_file, mut reports) = reports(&bytes);
        let picture = reports.next_picture().expect("reads").expect("a report");
        assert_eq!(picture.begin.sequence, 2);
        assert_eq!(reports.damage(), Damage { frames: 1, reports: 1 });
    }

    #[test]
    fn nothing_to_be_read_is_trouble_with_advice() {
        let cases = [
            (&b""[..], "no report in", "Is it what the process writes?"),
            (&b"just some text\0and more\0"[..], "unreadable", "Is it the right file, or line?"),
        ];
        for (bytes, what, advice) in cases {
            let (_file, mut reports) = reports(bytes);
            let trouble = reports.next_picture().expect_err("nothing").to_string();
            assert!(trouble.contains(what) && trouble.contains(advice), "{trouble}");
        }
        // In a frame, and between two.
        let whole = frames(&everything(1));
        let end = whole.iter().position(|byte| *byte == 0).expect("an end") + 1;
        for (len, what) in [(end + 9, "cut off"), (end, "no report in")] {
            let (_file, mut reports) = reports(&whole[..len]);
            let trouble = reports.next_picture().expect_err("no end").to_string();
            assert!(trouble.contains(what), "{trouble}");
        }
    }
}
