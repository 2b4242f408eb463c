//! A report, made here or received from elsewhere.

use std::fmt;
use std::io::{self, Write};
use std::vec::Vec;

use super::json;
use super::prometheus;
use crate::channel::{ChannelSnapshot, Histogram, SpillSnapshot};
use crate::report::{Begin, FullError, MAX_FRAME, Record, TicketRecord, encode};

/// Snapshots with names, and when they were taken.
///
/// Made by [`Registry::collect`](super::Registry::collect), or put together by an [`Assembler`] from what a board
/// or another process has sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Who reports, and when.
    pub begin: Begin,
    /// What there is to say, in the order in which it was registered.
    pub records: Vec<Record>,
}

impl Report {
    /// The figures of the first channel of this name.
    pub fn channel(&self, name: &str) -> Option<&ChannelSnapshot> {
        self.records.iter().find_map(|record| match record {
            Record::Channel(channel) if &*channel.name == name => Some(&channel.snapshot),
            _ => None,
        })
    }

    /// How long the messages of the first channel of this name were queued: of a process, or a board, that is built with
    /// the `histograms` feature.
    pub fn queueing(&self, channel: &str) -> Option<&Histogram> {
        self.records.iter().find_map(|record| match record {
            Record::Queueing(queueing) if &*queueing.channel == channel => {
                Some(&queueing.histogram)
            }
            _ => None,
        })
    }

    /// What is out of the first channel of this name, if it [spills](super::Registry::spilling).
    pub fn spilled(&self, channel: &str) -> Option<&SpillSnapshot> {
        self.records.iter().find_map(|record| match record {
            Record::Spilled(spilled) if &*spilled.channel == channel => Some(&spilled.snapshot),
            _ => None,
        })
    }

    /// Payloads that are at rest and were found in no registered channel, and that were allocated `age` ticks of their
    /// arena ago or before: tickets that may have been lost. Only in a [dump](super::Registry::dump), and with the `stamps`
    /// feature. See there for what may be missed. Of what the dump itself calls an
    /// [orphan](crate::report::TicketState::Orphan), what lies in a closed channel is left out.
    pub fn orphans(&self, age: u32) -> impl Iterator<Item = &TicketRecord> {
        self.records.iter().filter_map(move |record| match record {
            Record::Ticket(ticket) if ticket.is_at_large(age) && !ticket.dump.part => Some(ticket),
            _ => None,
        })
    }

    /// All of it as records: a beginning, what there is to say, and an end.
    pub fn to_records(&self) -> impl Iterator<Item = Record> {
        // Lossless up to what nobody registers.
        let end = Record::End { records: self.records.len() as u32 };
        let records = self.records.iter().copied();
        core::iter::once(Record::Begin(self.begin)).chain(records).chain([end])
    }

    /// Writes it as [frames](crate::report).
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_frames(&self, mut out: impl Write) -> io::Result<()> {
        let mut buffer = [0; MAX_FRAME];
        for record in self.to_records() {
            let full = |FullError| io::Error::other("a record is longer than a frame");
            out.write_all(encode(&record, &mut buffer).map_err(full)?)?;
        }
        Ok(())
    }

    /// Writes it as lines, each one JSON object with a `type`, the report's `source` and `sequence`, and the
    /// figures.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Channel};
    /// use cloakroom::std_layer::{StdRawMutex, report::Registry};
    ///
    /// static JOBS: Channel<StdRawMutex, u32, Buffered<8>> = Channel::new();
    /// let registry = Registry::new("server");
    /// let _registered = registry.channel("jobs", &JOBS);
    /// let mut lines = Vec::new();
    /// registry.collect().write_json(&mut lines)?;
    /// let lines = String::from_utf8(lines)?;
    /// assert!(lines.contains(r#"{"type":"channel","source":"server","sequence":0,"name":"jobs","state":"open","#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_json(&self, out: impl Write) -> io::Result<()> {
        json::write(self, out)
    }

    /// The figures as text for Prometheus (its exposition format 0.0.4). Of a dump's payloads only the orphans are in it,
    /// counted: without a dump they are not known.
    ///
    /// Counters wrap where the snapshots' do, at 2³²: Prometheus takes that for a restart.
    pub fn prometheus(&self) -> std::string::String {
        prometheus::text(self)
    }
}

/// Puts reports together from records as they come.
///
/// What belongs to no complete report (its beginning or its end was lost, or a record in between) is dropped,
/// counted. So is a report that is too long: a damaged stream, or a foreign one, need not come to an end, and memory does.
///
/// ```
/// use cloakroom::std_layer::report::{Assembler, Registry};
///
/// let report = Registry::new("server").collect();
/// let mut assembler = Assembler::new();
/// let mut reports = report.to_records().filter_map(|record| assembler.push(record).transpose());
/// assert_eq!(reports.next(), Some(Ok(report.clone())));
/// ```
#[derive(Clone, Debug)]
pub struct Assembler {
    current: Option<Report>,
    /// The current one has become too long, and is empty.
    is_too_long: bool,
    most: usize,
    dropped: u64,
}

/// A report that has more records than an [`Assembler`] takes, and no end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLongError {
    /// As many as it takes.
    pub most: usize,
}

impl fmt::Display for TooLongError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a report has more than {} records, and no end", self.most)
    }
}

impl std::error::Error for TooLongError {}

impl Default for Assembler {
    fn default() -> Self {
        Self::new()
    }
}

impl Assembler {
    /// Before the first record. A report may have 2²⁰ records, some hundred bytes each.
    pub const fn new() -> Self {
        Self::with_most(1 << 20)
    }

    /// One for reports of up to `most` records, their beginning and end not counted. They take memory as they come.
    pub const fn with_most(most: usize) -> Self {
        Self { current: None, is_too_long: false, most, dropped: 0 }
    }

    /// Takes a record. If it completes a report, returns that.
    ///
    /// # Errors
    /// When a report has become too long: once a report, which is dropped, and counted when its end comes, or the next
    /// beginning.
    pub fn push(&mut self, record: Record) -> Result<Option<Report>, TooLongError> {
        match (record, self.current.take()) {
            (Record::Begin(begin), unfinished) => {
                self.dropped += u64::from(unfinished.is_some());
                self.current = Some(Report { begin, records: Vec::new() });
                self.is_too_long = false;
                Ok(None)
            }
            (Record::End { records }, Some(report)) => {
                let complete =
                    !self.is_too_long && report.records.len() as u64 == u64::from(records);
                self.dropped += u64::from(!complete);
                Ok(complete.then_some(report))
            }
            (record, Some(mut report)) => {
                let becomes_too_long = !self.is_too_long && report.records.len() >= self.most;
                if becomes_too_long {
                    self.is_too_long = true;
                    report.records = Vec::new();
                } else if !self.is_too_long {
                    report.records.push(record);
                }
                self.current = Some(report);
                if becomes_too_long { Err(TooLongError { most: self.most }) } else { Ok(None) }
            }
            // Of a report whose beginning was not seen. Its end stands for it.
            (Record::End { .. }, None) => {
                self.dropped += 1;
                Ok(None)
            }
            (_, None) => Ok(None),
        }
    }

    /// Reports that were not complete.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
