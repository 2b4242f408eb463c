//! The host's side: adds up what the frames say, and says whether anything is missing.

use core::fmt;

use crate::SAMPLE_RATE_HZ;
use crate::crc::Crc32;
use crate::intake::Input;
use crate::message::{ArenaStatus, BadPayload, ChannelStatus, End, Message};
use crate::reader::{Frame, FrameError};
use crate::samples::BadSample;

/// The most channels that a summary keeps the status of.
pub const MAX_CHANNELS: usize = 16;

/// Everything heard from the board, added up.
///
/// Pass every event of a [`FrameReader`](crate::FrameReader) to [`observe`](Self::observe). On the
/// way, [`live`](Self::live) shows one line; at the end, [`check`](Self::check) says whether all is
/// well, and [`report`](Self::report) shows everything.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    frames: u32,
    samples: u32,
    crc: Crc32,
    beats: u32,
    /// The R peaks of the first beat and of the last so far, and the last interval.
    span: Option<(u32, u32)>,
    last_rr: u32,
    arena: Option<ArenaStatus>,
    channels: [Option<ChannelStatus>; MAX_CHANNELS],
    end: Option<End>,
    faults: u32,
    first_fault: Option<Fault>,
}

/// Something that went wrong on the way from the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The stream was damaged.
    Frame(FrameError),
    /// A frame was intact, but its content has the wrong length.
    Payload(BadPayload),
    /// A frame was intact, but its samples make no sense.
    Sample(BadSample),
    /// Samples are missing, or came twice.
    Order {
        /// The number of the sample that should have come.
        expected: u32,
        /// The number of the one that came.
        found: u32,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Payload(error) => error.fmt(f),
            Self::Sample(error) => error.fmt(f),
            Self::Order { expected, found } => {
                write!(f, "sample {found} where {expected} should have come")
            }
        }
    }
}

impl core::error::Error for Fault {}

/// Why a run of the demo has failed: what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The last frame never came.
    End,
    /// The stream had faults.
    Order {
        /// How many.
        faults: u32,
        /// The first of them.
        first: Fault,
    },
    /// The board has not seen what was sent to it.
    OnTheWayIn {
        /// What was sent.
        sent: Input,
        /// What the board saw.
        seen: Input,
    },
    /// The samples from the board are not the ones that it saw.
    OnTheWayOut {
        /// What the board saw.
        seen: Input,
        /// What came from it.
        received: Input,
    },
    /// Beats got lost.
    Beats {
        /// As many as the board found.
        found: u32,
        /// As many as came.
        received: u32,
    },
    /// The board never said how it is doing.
    Status,
    /// A channel has dropped messages.
    Dropped {
        /// The number of the channel.
        channel: u8,
        /// How many messages.
        messages: u32,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the last frame never came"),
            Self::Order { faults, first } => write!(f, "{faults} faults; the first: {first}"),
            Self::OnTheWayIn { sent, seen } => write!(f, "sent {sent}; the board saw {seen}"),
            Self::OnTheWayOut { seen, received } => {
                write!(f, "the board saw {seen}; received {received}")
            }
            Self::Beats { found, received } => {
                write!(f, "the board found {found} beats; received {received}")
            }
            Self::Status => f.write_str("no status ever came"),
            Self::Dropped { channel, messages } => {
                write!(f, "channel {channel} has dropped {messages} messages")
            }
        }
    }
}

impl core::error::Error for Missing {}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples, CRC-32 {:08x}", self.samples, self.crc)
    }
}

/// A heart rate, in tenths of a beat a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeartRate {
    /// Beats in ten minutes.
    pub tenths: u32,
}

impl HeartRate {
    /// The rate of so many intervals in so many samples, unless that is no time at all.
    #[must_use]
    pub fn of(intervals: u32, samples: u32) -> Option<Self> {
        let beat_samples = u64::from(intervals) * u64::from(SAMPLE_RATE_HZ) * 600;
        let samples = u64::from(samples);
        // Half the divisor more rounds to the nearest tenth.
        let tenths = (beat_samples + samples / 2).checked_div(samples)?;
        Some(Self { tenths: u32::try_from(tenths).unwrap_or(u32::MAX) })
    }
}

impl fmt::Display for HeartRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.tenths / 10, self.tenths % 10)
    }
}

impl Summary {
    /// Nothing heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next event of the stream.
    pub fn observe(&mut self, event: Result<Frame<'_>, FrameError>) {
        if let Err(fault) = self.add(event) {
            self.faults = self.faults.saturating_add(1);
            self.first_fault.get_or_insert(fault);
        }
    }

    fn add(&mut self, event: Result<Frame<'_>, FrameError>) -> Result<(), Fault> {
        let frame = event.map_err(Fault::Frame)?;
        self.frames = self.frames.saturating_add(1);
        match Message::decode(&frame).map_err(Fault::Payload)? {
            Message::Samples(samples) => {
                let (expected, found) = (self.samples, samples.first);
                for sample in samples {
                    let sample = sample.map_err(Fault::Sample)?;
                    self.samples = self.samples.wrapping_add(1);
                    self.crc.update(&sample.to_le_bytes());
                }
                if expected != found {
                    return Err(Fault::Order { expected, found });
                }
            }
            Message::Beat(beat) => {
                self.beats = self.beats.saturating_add(1);
                let first = self.span.map_or(beat.index, |(first, _)| first);
                self.span = Some((first, beat.index));
                self.last_rr = beat.rr;
            }
            Message::Status(status) => {
                self.arena = Some(status.arena);
                self.channels.fill(None);
                for (place, channel) in self.channels.iter_mut().zip(status.channels()) {
                    *place = Some(channel);
                }
            }
            Message::End(end) => self.end = Some(end),
        }
        Ok(())
    }

    /// The samples received, and their checksum.
    #[must_use]
    pub fn received(&self) -> Input {
        Input { samples: self.samples, crc: self.crc.value() }
    }

    /// How many beats were received.
    #[must_use]
    pub fn beats(&self) -> u32 {
        self.beats
    }

    /// The mean heart rate from the first beat to the last, once there are two.
    #[must_use]
    pub fn heart_rate(&self) -> Option<HeartRate> {
        let (first, last) = self.span?;
        HeartRate::of(self.beats.saturating_sub(1), last.checked_sub(first)?)
    }

    /// How the arena was doing, by the latest status.
    #[must_use]
    pub fn arena(&self) -> Option<ArenaStatus> {
        self.arena
    }

    /// How the channels were doing, by the latest status.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelStatus> {
        self.channels.iter().flatten()
    }

    /// How many messages the channels had dropped, by the latest status.
    #[must_use]
    pub fn dropped(&self) -> u32 {
        self.channels().fold(0, |sum, channel| sum.saturating_add(channel.dropped))
    }

    /// The board's own account, once it has come: the stream is complete.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Did everything that was `sent` to the board come back, and nothing go missing?
    ///
    /// # Errors
    ///
    /// [`Missing`]: the first thing that did, looking from the stream to the board.
    pub fn check(&self, sent: &Input) -> Result<(), Missing> {
        if let Some(first) = self.first_fault {
            let faults = self.faults;
            return Err(Missing::Order { faults, first });
        }
        let end = self.end.ok_or(Missing::End)?;
        let (sent, seen, received) = (*sent, end.input, self.received());
        if sent != seen {
            return Err(Missing::OnTheWayIn { sent, seen });
        }
        if seen != received {
            return Err(Missing::OnTheWayOut { seen, received });
        }
        if end.beats != self.beats {
            return Err(Missing::Beats { found: end.beats, received: self.beats });
        }
        self.arena.ok_or(Missing::Status)?;
        match self.channels().find(|channel| channel.dropped > 0) {
            Some(channel) => {
                Err(Missing::Dropped { channel: channel.channel, messages: channel.dropped })
            }
            None => Ok(()),
        }
    }

    /// One line on how it is going.
    #[must_use]
    pub fn live(&self) -> impl fmt::Display + '_ {
        Live(self)
    }

    /// The closing report, as several lines. `names` are the channels' names, by their numbers.
    #[must_use]
    pub fn report<'a>(&'a self, names: &'a [&'a str]) -> impl fmt::Display + 'a {
        Report { summary: self, names }
    }
}

/// What [`Summary::live`] shows.
struct Live<'a>(&'a Summary);

impl fmt::Display for Live<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.0;
        let tenths = u64::from(summary.samples) * 10 / u64::from(SAMPLE_RATE_HZ);
        write!(f, "{:>4}.{} s", tenths / 10, tenths % 10)?;
        write!(f, "  {:>6} samples", summary.samples)?;
        write!(f, "  {:>4} beats", summary.beats)?;
        if let Some(rate) = HeartRate::of(1, summary.last_rr) {
            // The interval just now; a mean would hide every premature beat.
            write!(f, "  {:>3}/min", rate.tenths.saturating_add(5) / 10)?;
        }
        if let Some(arena) = summary.arena {
            let used = arena.pages.saturating_sub(arena.free);
            write!(f, "  arena {:>3}/{} pages", used, arena.pages)?;
        }
        if summary.faults > 0 {
            write!(f, "  {} faults", summary.faults)?;
        }
        Ok(())
    }
}

/// What [`Summary::report`] shows.
struct Report<'a> {
    summary: &'a Summary,
    names: &'a [&'a str],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.summary;
        let received = summary.received();
        writeln!(f, "samples          {}", received.samples)?;
        writeln!(f, "CRC-32           {:08x}", received.crc)?;
        writeln!(f, "beats            {}", summary.beats)?;
        if let Some(rate) = summary.heart_rate() {
            writeln!(f, "mean heart rate  {rate} a minute")?;
        }
        writeln!(f, "frames           {}", summary.frames)?;
        writeln!(f, "faults           {}", summary.faults)?;
        if let Some(arena) = summary.arena {
            let ArenaStatus { pages, high_water, waits, failed, .. } = arena;
            writeln!(f, "arena high-water {high_water} of {pages} pages")?;
            writeln!(f, "memory waits     {waits}")?;
            writeln!(f, "failed allocs    {failed}")?;
        }
        writeln!(f, "dropped          {}", summary.dropped())?;
        if summary.channels().next().is_none() {
            return Ok(());
        }
        writeln!(
            f,
            "\n{:<16} {:>8} {:>10} {:>9} {:>9} {:>8}",
            "channel", "capacity", "high-water", "sent", "received", "dropped"
        )?;
        for channel in summary.channels() {
            let name = self.names.get(usize::from(channel.channel)).unwrap_or(&"(unnamed)");
            writeln!(
                f,
                "{name:<16} {:>8} {:>10} {:>9} {:>9} {:>8}",
                channel.capacity,
                channel.high_water,
                channel.sent,
                channel.received,
                channel.dropped
            )?;
        }
        Ok(())
    }
}
