//! JSON lines.

use std::io::{self, Write};

use serde::Serialize;

use super::collected::Report;
use crate::arena::Census;
use crate::channel::{ChannelState, Histogram, Shortage};
use crate::report::{Name, Orphans, Outcome, Place, Record, TicketState};

/// One line: what is common to all, then the figures, side by side.
#[derive(Serialize)]
struct Line<T: Serialize> {
    r#type: &'static str,
    source: Name,
    sequence: u32,
    #[serde(flatten)]
    figures: T,
}

/// Figures that have a name.
#[derive(Serialize)]
struct Named<T: Serialize, U: Serialize> {
    name: Name,
    #[serde(flatten)]
    derived: T,
    #[serde(flatten)]
    figures: U,
}

/// What a channel's figures say, in words.
#[derive(Serialize)]
struct State {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shortage: Option<Shortage>,
    zero_copy_sent: u32,
    zero_copy_received: u32,
}

/// What an arena's figures come to.
#[derive(Serialize)]
struct Use {
    used: usize,
    fragmentation: u32,
    #[serde(flatten)]
    census: Option<Census>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orphans: Option<Orphans>,
}

/// How a home's pages are held.
#[derive(Serialize)]
struct Held {
    #[serde(flatten)]
    census: Option<Census>,
}

/// What is to be expected of a payload. How it is held is its `state`.
#[derive(Serialize)]
struct Expected {
    ticket_state: TicketState,
    place: Option<Place>,
}

/// What a histogram comes to. Upper bounds, as whoever reads it may not know those of its buckets.
#[derive(Serialize)]
struct Quantiles {
    count: u64,
    p50: Option<u32>,
    p90: Option<u32>,
    p99: Option<u32>,
    longest: Option<u32>,
    /// Of each bucket; of the last there is none.
    bounds: [Option<u32>; Histogram::BUCKETS],
}

impl Quantiles {
    fn of(histogram: &Histogram) -> Self {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|part| histogram.quantile(part));
        Self {
            count: histogram.count(),
            p50,
            p90,
            p99,
            longest: histogram.longest(),
            bounds: core::array::from_fn(Histogram::bound),
        }
    }
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Clocked {
    ticks: u64,
    ticks_per_second: u64,
}

#[derive(Serialize)]
struct Complete {
    records: u32,
}

#[derive(Serialize)]
struct Answer {
    outcome: Outcome,
}

pub(super) fn write(report: &Report, mut out: impl Write) -> io::Result<()> {
    for record in report.to_records() {
        match record {
            Record::Begin(begin) => {
                let clocked =
                    Clocked { ticks: begin.ticks, ticks_per_second: begin.ticks_per_second };
                line(report, "begin", clocked, &mut out)?;
            }
            Record::Channel(channel) => {
                let now = channel.snapshot;
                let (state, shortage) = match now.state() {
                    ChannelState::Open => ("open", None),
                    ChannelState::Throttled(shortage) => ("throttled", Some(shortage)),
                    ChannelState::Closed => ("closed", None),
                };
                let derived = State {
                    state,
                    shortage,
                    zero_copy_sent: now.zero_copy_sent(),
                    zero_copy_received: now.zero_copy_received(),
                };
                let named = Named { name: channel.name, derived, figures: now };
                line(report, "channel", named, &mut out)?;
            }
            Record::Arena(arena) => {
                let now = arena.snapshot;
                let derived = Use {
                    used: now.used(),
                    fragmentation: now.fragmentation(),
                    census: arena.census,
                    orphans: arena.orphans,
                };
                line(report, "arena", Named { name: arena.name, derived, figures: now }, &mut out)?;
            }
            Record::Home(home) => {
                let derived = Held { census: home.census };
                let named = Named { name: home.arena, derived, figures: home.snapshot };
                line(report, "home", named, &mut out)?;
            }
            Record::Kernel(kernel) => {
                let named =
                    Named { name: kernel.name, derived: Nothing {}, figures: kernel.snapshot };
                line(report, "kernel", named, &mut out)?;
            }
            Record::Ticket(ticket) => {
                let derived = Expected { ticket_state: ticket.state, place: ticket.place };
                let named = Named { name: ticket.arena, derived, figures: ticket.dump };
                line(report, "ticket", named, &mut out)?;
            }
            Record::Queueing(queueing) => {
                let derived = Quantiles::of(&queueing.histogram);
                let named = Named { name: queueing.channel, derived, figures: queueing.histogram };
                line(report, "queueing", named, &mut out)?;
            }
            Record::Spilled(spilled) => {
                let (figures, derived) = (spilled.snapshot, Nothing {});
                let named = Named { name: spilled.channel, derived, figures };
                line(report, "spilled", named, &mut out)?;
            }
            Record::End { records } => line(report, "end", Complete { records }, &mut out)?,
            Record::Outcome(outcome) => line(report, "outcome", Answer { outcome }, &mut out)?,
        }
    }
    Ok(())
}

fn line<T: Serialize>(
    report: &Report,
    r#type: &'static str,
    figures: T,
    mut out: impl Write,
) -> io::Result<()> {
    let line =
        Line { r#type, source: report.begin.source, sequence: report.begin.sequence, figures };
    serde_json::to_writer(&mut out, &line)?;
    out.write_all(b"\n")
}
