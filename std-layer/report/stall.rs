//! What is stuck: work waits, and nothing has moved for a while.

use std::collections::HashMap;
use std::mem;
use std::time::Duration;
use std::vec::Vec;

use super::collected::Report;
use crate::channel::Kind;
use crate::report::{Begin, Name, Record};

/// Compares reports of one source, and says what is stalled.
///
/// A channel is stalled if there are values in it, or senders wait, and nothing has been sent, received or dropped
/// for as long as its patience; a kernel, if tasks are ready and none has been polled; an arena, if allocations
/// wait and its figures have not changed. A conflated channel's value is there to be looked at, and does not count as
/// waiting. It sees only what reports show: what moved between two of them has moved.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::std_layer::{StdRawMutex, report::{Registry, StallDetector}};
///
/// static JOBS: Channel<StdRawMutex, u32, Buffered<8>> = Channel::new();
/// let registry = Registry::new("server");
/// let _registered = registry.channel("jobs", &JOBS);
/// let mut detector = StallDetector::new(Duration::ZERO);
/// JOBS.try_send(1)?;
/// assert!(detector.observe(&registry.collect()).is_empty()); // it has moved
/// let stalls = detector.observe(&registry.collect());
/// assert_eq!((&*stalls[0].name, stalls[0].waiting), ("jobs", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StallDetector {
    patience: Duration,
    last: Option<Begin>,
    seen: HashMap<Subject, Seen>,
}

/// What it is, its name, and how many of the same name came before it in its report.
type Subject = (Stalled, Name, u32);

/// What can be stalled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stalled {
    /// A channel.
    Channel,
    /// A kernel.
    Kernel,
    /// An arena.
    Arena,
}

/// Something that does not get on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stall {
    /// What it is. Things of different sorts may have the same name.
    pub sort: Stalled,
    /// Its name.
    pub name: Name,
    /// Values, senders, tasks or allocations that wait.
    pub waiting: u64,
    /// How long nothing has moved, as far as reports show.
    pub since: Duration,
}

/// What was seen of one thing.
#[derive(Clone, Debug)]
struct Seen {
    /// Whatever changes when it gets on.
    moved: [u64; 4],
    /// Whether something waited.
    waited: bool,
    /// The report since which something has waited and that has not changed.
    ticks: u64,
}

impl StallDetector {
    /// One that says so when nothing has moved for `patience`.
    pub fn new(patience: Duration) -> Self {
        Self { patience, last: None, seen: HashMap::new() }
    }

    /// Looks at the next report. One of another source, or of one that has started again, is the first of a new
    /// series.
    pub fn observe(&mut self, report: &Report) -> Vec<Stall> {
        let begin = report.begin;
        let continues = self.last.is_some_and(|last| {
            last.source == begin.source
                && last.ticks <= begin.ticks
                && last.ticks_per_second == begin.ticks_per_second
        });
        if !continues {
            self.seen.clear();
        }
        self.last = Some(begin);
        // What is not in this report is forgotten.
        let mut before = mem::take(&mut self.seen);
        let mut namesakes = HashMap::new();
        let mut stalls = Vec::new();
        for (sort, name, moved, waiting) in report.records.iter().filter_map(figures) {
            let place: &mut u32 = namesakes.entry((sort, name)).or_default();
            let subject = (sort, name, *place);
            *place += 1;
            let waited = waiting > 0;
            let still = |seen: &Seen| waited && seen.waited && seen.moved == moved;
            let still = before.remove(&subject).filter(still);
            let ticks = still.as_ref().map_or(begin.ticks, |seen| seen.ticks);
            let since = duration(begin.ticks - ticks, begin.ticks_per_second);
            if still.is_some() && since >= self.patience {
                stalls.push(Stall { sort, name, waiting, since });
            }
            self.seen.insert(subject, Seen { moved, waited, ticks });
        }
        stalls
    }
}

/// What changes when it gets on, and what waits.
fn figures(record: &Record) -> Option<(Stalled, Name, [u64; 4], u64)> {
    Some(match record {
        Record::Channel(channel) => {
            let now = &channel.snapshot;
            let moved = [now.sent, now.received, now.delivered, now.dropped].map(u64::from);
            // The latest value lies there for whoever wants to know it, if anybody does.
            let depth = if now.kind == Kind::Conflated { 0 } else { now.depth as u64 };
            // A received report may say anything.
            let waiting = depth.saturating_add(now.parked_senders.into());
            (Stalled::Channel, channel.name, moved, waiting)
        }
        Record::Kernel(kernel) => {
            let now = &kernel.snapshot;
            (Stalled::Kernel, kernel.name, [now.polls.into(), 0, 0, 0], now.ready.into())
        }
        Record::Arena(arena) => {
            let now = &arena.snapshot;
            let moved = [now.free as u64, now.live as u64, now.moves.into(), now.stopped.into()];
            (Stalled::Arena, arena.name, moved, now.waiting.into())
        }
        _ => return None,
    })
}

fn duration(ticks: u64, ticks_per_second: u64) -> Duration {
    let nanos = u128::from(ticks) * 1_000_000_000;
    let nanos = nanos.checked_div(u128::from(ticks_per_second)).unwrap_or(0);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
