//! Rows to reach: what this crate means to be, in figures, beside what it is.

use crate::allocator::Allocator::{self, Mimalloc, System};
use crate::figure::Figure;
use crate::results::{Measured, Results};
use crate::statistics::Summary;

/// What is compared with.
#[derive(Clone, Copy)]
enum To {
    /// The best of the others, except for those that are [aside](crate::workload::Subject::aside).
    Best,
    /// This one.
    Named(&'static str),
    /// Nobody: the median of a figure itself counts.
    Limit(Figure),
}

/// Something to reach, in each of several workloads.
struct Row {
    workloads: &'static [&'static str],
    allocator: Allocator,
    to: To,
    reach: Option<f64>,
    stretch: Option<f64>,
}

const fn row(workloads: &'static [&'static str], to: To, reach: f64, stretch: f64) -> Row {
    Row { workloads, allocator: System, to, reach: Some(reach), stretch: Some(stretch) }
}

const fn gate(workloads: &'static [&'static str], to: To, reach: f64) -> Row {
    Row { workloads, allocator: System, to, reach: Some(reach), stretch: None }
}

const fn dream(workloads: &'static [&'static str], to: To, stretch: f64) -> Row {
    Row { workloads, allocator: System, to, reach: None, stretch: Some(stretch) }
}

const fn mimalloc(row: Row) -> Row {
    Row { allocator: Mimalloc, ..row }
}

const SMALL: &[&str] = &["threads/1to1/64B/128", "threads/4to1/64B/128", "threads/4to4/64B/128"];
const SMALL_IN_PLACE: &[&str] = &["threads/1to1/64B/128", "threads/4to1/64B/128"];
const MIDDLE: &[&str] =
    &["threads/1to1/1KiB/128", "threads/4to1/1KiB/128", "threads/4to4/1KiB/128"];
const MIDDLE_IN_PLACE: &[&str] = &["threads/1to1/1KiB/128", "threads/4to1/1KiB/128"];
const ONE_THREAD: &[&str] =
    &["tokio-current/1to1/u64/128", "tokio-current/1to1/u64/1", "tokio-current/1to1/u64/0"];
const THINGBUF: To = To::Named("thingbuf, in place");
const KANAL: To = To::Named("kanal");

/// A queue of so many numbers may take as many bytes more.
const SLOT: f64 = 8.0;

/// All of them.
const ROWS: &[Row] = &[
    row(&["pair/u64/128"], To::Best, 1.0, 0.75),
    row(&["threads/1to1/u64/128"], To::Best, 0.9, 0.5),
    row(&["threads/4to1/u64/128", "threads/4to4/u64/128"], To::Best, 1.0, 0.7),
    row(&["threads/1to1/u64/1", "threads/4to1/u64/1", "threads/4to4/u64/1"], To::Best, 1.1, 0.9),
    row(
        &["threads/1to1/u64/unbounded", "threads/4to1/u64/unbounded", "threads/4to4/u64/unbounded"],
        To::Best,
        1.1,
        0.9,
    ),
    row(&["threads/1to1/u64/0", "ping-pong/threads/0"], KANAL, 1.2, 1.0),
    row(SMALL, To::Best, 0.5, 0.35),
    mimalloc(row(SMALL, To::Best, 0.7, 0.5)),
    row(SMALL_IN_PLACE, THINGBUF, 0.7, 0.5),
    row(MIDDLE, To::Best, 0.5, 0.3),
    mimalloc(row(MIDDLE, To::Best, 0.75, 0.6)),
    row(MIDDLE_IN_PLACE, THINGBUF, 0.9, 0.7),
    row(&["threads/1to1/64KiB/128"], To::Best, 0.85, 0.75),
    row(&["fan-out/1to4/1KiB/128"], To::Best, 0.65, 0.5),
    dream(&["fan-out/1to4/1KiB/128"], To::Named("disruptor, in place"), 1.0),
    gate(ONE_THREAD, To::Best, 1.0),
    dream(ONE_THREAD, KANAL, 1.0),
    row(&["tokio-2/1to1/u64/128"], To::Best, 1.0, 0.8),
    row(&["ping-pong/tokio-current/1"], To::Best, 1.0, 0.8),
    row(&["idle/u64/0"], To::Limit(Figure::Bytes), 160.0, 96.0),
    row(&["idle/u64/1"], To::Limit(Figure::Bytes), 160.0 + SLOT, 96.0 + SLOT),
    row(&["idle/u64/16"], To::Limit(Figure::Bytes), 160.0 + 16.0 * SLOT, 96.0 + 16.0 * SLOT),
    gate(&["idle/u64/1"], To::Limit(Figure::Bytes), 128.0),
    row(&["memory/alloc-release/64B/1"], To::Limit(Figure::Cpu), 20.0, 12.0),
    row(&["memory/alloc-release/64B/2"], To::Limit(Figure::Wall), 25.0, 15.0),
    // What is allocated for threads that start, and for nothing else, is spread over all messages.
    gate(
        &["threads/1to1/u64/128", "threads/1to1/1KiB/128", "tokio-2/1to1/u64/128"],
        To::Limit(Figure::Allocations),
        0.01,
    ),
    gate(&["select/blocking/32"], To::Limit(Figure::Wall), 20.0),
    gate(&["select/async/32"], To::Limit(Figure::Wall), 80.0),
    gate(&["gaps/100us/receiver"], To::Named("crossbeam"), 1.2),
];

/// The table, of all rows whose workloads were measured.
pub fn table(results: &Results) -> String {
    let mut text = "| row | compared with | ours | floor | reach | stretch | |\n".to_owned();
    text.push_str("| --- | --- | ---: | ---: | ---: | ---: | --- |\n");
    for row in ROWS {
        for workload in row.workloads {
            let measured = results.find(workload, row.allocator);
            text.extend(measured.and_then(|measured| row.line(measured)));
        }
    }
    text
}

impl Row {
    fn line(&self, measured: &Measured) -> Option<String> {
        let (other, ours) = match self.to {
            To::Best => measured.ratio(None)?,
            To::Named(name) => measured.ratio(Some(name))?,
            To::Limit(figure) => {
                let ours = measured.ours()?.summary(figure)?;
                return Some(self.shown(measured, figure.title(), ours, None));
            }
        };
        Some(self.shown(measured, &other.name, ours, measured.floor_to(other)))
    }

    fn shown(
        &self,
        measured: &Measured,
        other: &str,
        ours: Summary,
        floor: Option<Summary>,
    ) -> String {
        let limit = |limit: Option<f64>| limit.map_or_else(String::new, shown);
        let spread = |Summary { median, low, high }: Summary| {
            format!("{} [{}, {}]", shown(median), shown(low), shown(high))
        };
        format!(
            "| {} ({}) | {other} | {} | {} | {} | {} | {} |\n",
            measured.name,
            measured.allocator.name(),
            spread(ours),
            floor.map_or_else(String::new, spread),
            limit(self.reach),
            limit(self.stretch),
            self.verdict(ours.median, floor.map(|floor| floor.median)),
        )
    }

    /// Who has not come that far may have been asked for more than there is; not where it takes less itself than what should be the least.
    fn verdict(&self, ours: f64, floor: Option<f64>) -> &'static str {
        let is_within = |limit: Option<f64>| limit.is_some_and(|limit| ours <= limit);
        let limit = self.reach.zip(floor);
        let is_beyond = limit.is_some_and(|(reach, floor)| reach < floor && floor <= ours);
        match (is_within(self.reach), is_within(self.stretch)) {
            (_, true) => "**stretch**",
            (true, false) => "reached",
            (false, false) if is_beyond => "asked below the floor",
            (false, false) => "not yet",
        }
    }
}

fn shown(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads;

    #[test]
    fn every_row_is_about_workloads_and_participants_that_there_are() {
        let all = workloads::all();
        for row in ROWS {
            for name in row.workloads {
                let workload = all.iter().find(|workload| workload.name == *name);
                let workload = workload.unwrap_or_else(|| panic!("there is no workload {name}"));
                assert!(row.allocator == System || workload.allocates, "{name} under mimalloc");
                if let To::Named(other) = row.to {
                    let mut subjects = workload.subjects.iter();
                    assert!(subjects.any(|subject| subject.name == other), "{other} in {name}");
                }
            }
        }
    }

    #[test]
    fn a_row_is_reached_at_its_limit() {
        let row = row(&[], To::Best, 1.0, 0.5);
        assert_eq!(
            [1.01, 1.0, 0.5].map(|ours| row.verdict(ours, None)),
            ["not yet", "reached", "**stretch**"]
        );
        assert_eq!(dream(&[], To::Best, 1.0).verdict(1.1, None), "not yet");
    }

    #[test]
    fn a_row_is_below_the_floor_if_that_takes_more_and_this_crate_no_less() {
        let row = row(&[], To::Best, 1.0, 0.5);
        assert_eq!(
            [(1.2, 1.1), (1.2, 0.9), (1.2, 1.3), (1.0, 1.1)]
                .map(|(ours, floor)| row.verdict(ours, Some(floor))),
            ["asked below the floor", "not yet", "not yet", "reached"]
        );
    }
}
