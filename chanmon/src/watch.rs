//! `chanmon watch`: waiting for alerts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cloakroom::report::Name;

use crate::alert::Subject;
use crate::cli::Watch;
use crate::export::print;
use crate::feed::{Feed, Word};
use crate::series::{Latest, Series};
use crate::trouble::{Result, Trouble};

/// How long to wait for a word before the time is looked at again.
const GLANCE: Duration = Duration::from_millis(100);

/// Watches. `false` if there was an alert.
pub fn run(options: &Watch) -> Result<bool> {
    let feed = Feed::start(&options.source, options.interval)?;
    let began = Instant::now();
    let mut series = Series::new(options.stall);
    let mut vigil = Vigil::new(options);
    loop {
        match feed.next(GLANCE) {
            Some(Word::Picture(picture, _)) => {
                let alerts = vigil.look(series.push(*picture));
                if !alerts.is_empty() {
                    print(alerts.concat().as_bytes())?;
                    return Ok(false);
                }
            }
            Some(Word::Ended(Some(trouble))) => return Err(trouble),
            Some(Word::Ended(None)) => return vigil.end(),
            None => {}
        }
        // By the time of the reports, too: a recording is read faster than it was made.
        let passed = began.elapsed().max(vigil.passed);
        if options.limit.is_some_and(|limit| passed >= limit) {
            return vigil.end();
        }
    }
}

/// What has been seen up to now.
struct Vigil<'o> {
    options: &'o Watch,
    /// For how long conditions have held: by alert and channel.
    held: HashMap<(usize, Name), Duration>,
    /// How much time lies between the first report and the last.
    passed: Duration,
    seen: bool,
    /// One of the channels that were asked for has been seen.
    matched: bool,
}

impl<'o> Vigil<'o> {
    fn new(options: &'o Watch) -> Self {
        let held = HashMap::new();
        Self { options, held, passed: Duration::ZERO, seen: false, matched: false }
    }

    /// Looks at a report, and returns a line for each alert.
    fn look(&mut self, latest: &Latest) -> Vec<String> {
        self.seen = true;
        let step = latest.step();
        self.passed += step;
        let names = &self.options.channels;
        let mut lines = Vec::new();
        for channel in latest.picture.channels() {
            if !names.is_empty() && !names.iter().any(|name| **name == *channel.name) {
                continue;
            }
            self.matched = true;
            let (rates, diagnosis) = (latest.rates(channel), latest.diagnosis(channel));
            let subject = Subject {
                channel: &channel.snapshot,
                rates: rates.as_ref(),
                condition: diagnosis.condition,
            };
            for (number, alert) in self.options.alerts.iter().enumerate() {
                let key = (number, channel.name);
                if !alert.holds(&subject) {
                    self.held.remove(&key);
                    continue;
                }
                // The first time it has held for no time yet.
                let held = self.held.entry(key).and_modify(|held| *held += step);
                if *held.or_default() >= self.options.hold {
                    let figures = alert.figures(&subject);
                    lines.push(format!("{}: {alert} ({figures}); {diagnosis}\n", channel.name));
                }
            }
        }
        lines
    }

    /// Nothing happened; if there was anything to look at.
    fn end(&self) -> Result<bool> {
        if !self.seen {
            return Err(Trouble::new("no report came in that time")
                .advise("Does the process run, or the firmware report on this line?"));
        }
        if !self.matched && !self.options.channels.is_empty() {
            let what = format!("no channel is called {}", self.options.channels.join(" or "));
            return Err(Trouble::new(what).advise("chanmon top shows the names that there are."));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::everything;

    fn options(alerts: &[&str], channels: &[&str], hold: u64) -> Watch {
        Watch {
            source: String::new(),
            alerts: alerts.iter().map(|alert| alert.parse().expect("an alert")).collect(),
            channels: channels.iter().map(|name| name.to_string()).collect(),
            limit: None,
            hold: Duration::from_secs(hold),
            interval: Duration::ZERO,
            stall: Duration::from_secs(9),
        }
    }

    /// The alerts of each of the first reports.
    fn seen(options: &Watch, reports: std::ops::RangeInclusive<u32>) -> Vec<Vec<String>> {
        let (mut series, mut vigil) = (Series::new(options.stall), Vigil::new(options));
        let seen = reports.map(|number| vigil.look(series.push(everything(number)))).collect();
        assert!(matches!(vigil.end(), Ok(true)));
        seen
    }

    #[test]
    fn an_alert_says_where_and_why() {
        let seen = seen(&options(&["depth > 10", "closed"], &[], 0), 1..=1);
        assert_eq!(
            seen.concat(),
            [
                "frames: depth > 10 (depth = 16); throttled: full, 14 senders wait\n",
                "log: closed (closed = yes); closed: nothing is left in it\n"
            ]
        );
    }

    #[test]
    fn only_the_channels_that_were_asked_for() {
        let seen = seen(&options(&["depth > 0"], &["beats", "log"], 0), 1..=1);
        assert_eq!(seen.concat().len(), 1);
        assert!(seen[0][0].starts_with("beats: "));
    }

    #[test]
    fn a_condition_must_hold_for_long_enough() {
        let seen = seen(&options(&["throttled"], &[], 2), 1..=3);
        let counts: Vec<usize> = seen.iter().map(Vec::len).collect();
        assert_eq!(counts, [0, 0, 1]);
    }

    #[test]
    fn a_condition_that_ceased_begins_again() {
        let options = options(&["send_rate > 100"], &["beats"], 2);
        let (mut series, mut vigil) = (Series::new(options.stall), Vigil::new(&options));
        let mut look = |number| vigil.look(series.push(everything(number))).len();
        assert_eq!([1, 2, 3].map(&mut look), [0, 0, 0]);
        // It has started again: no rates, so the condition does not hold.
        assert_eq!([1, 2, 3, 4].map(&mut look), [0, 0, 0, 1]);
    }

    #[test]
    fn nothing_to_look_at_is_trouble() {
        let options = options(&["closed"], &["missing"], 0);
        let mut vigil = Vigil::new(&options);
        assert!(vigil.end().expect_err("no report").what().contains("no report came"));
        vigil.look(Series::new(options.stall).push(everything(1)));
        assert!(vigil.end().expect_err("no channel").what().contains("called missing"));
    }
}
