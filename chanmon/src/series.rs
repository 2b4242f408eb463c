//! Reports in a row: the latest, what it is compared with, and what is stalled.

use std::time::Duration;

use cloakroom::report::{ChannelRecord, KernelRecord, Name};
use cloakroom::std_layer::report::{Stall, StallDetector, Stalled};

use crate::picture::Picture;
use crate::rates::{ChannelRates, KernelRates};
use crate::words::{Diagnosis, diagnose};

/// The latest of a row of reports, and what came before it.
#[derive(Clone)]
pub struct Series {
    detector: StallDetector,
    latest: Option<Latest>,
}

/// A report, seen against the one before it.
#[derive(Clone)]
pub struct Latest {
    /// The report.
    pub picture: Picture,
    before: Option<Picture>,
    stalls: Vec<Stall>,
}

impl Series {
    /// Of no report yet. What has not moved for `patience` is stalled.
    pub fn new(patience: Duration) -> Self {
        Self { detector: StallDetector::new(patience), latest: None }
    }

    /// Takes the next report.
    pub fn push(&mut self, picture: Picture) -> &Latest {
        let stalls = self.detector.observe(&picture);
        let before = self.latest.take().map(|latest| latest.picture);
        self.latest.insert(Latest { picture, before, stalls })
    }

    /// The latest.
    pub fn latest(&self) -> Option<&Latest> {
        self.latest.as_ref()
    }
}

impl Latest {
    /// The time since the report before; none if that was of another run, or there was none.
    pub fn step(&self) -> Duration {
        let seconds = self.before.as_ref().and_then(|before| self.picture.seconds_since(before));
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default()
    }

    /// What a channel of it did since the report before.
    pub fn rates(&self, channel: &ChannelRecord) -> Option<ChannelRates> {
        ChannelRates::between(self.before.as_ref()?, &self.picture, channel)
    }

    /// What a kernel of it did since the report before.
    pub fn kernel_rates(&self, kernel: &KernelRecord) -> Option<KernelRates> {
        KernelRates::between(self.before.as_ref()?, &self.picture, kernel)
    }

    /// What a channel of it is doing.
    pub fn diagnosis(&self, channel: &ChannelRecord) -> Diagnosis {
        let stall = self.stall_of(Stalled::Channel, channel.name);
        diagnose(&channel.snapshot, self.rates(channel).as_ref(), stall, &self.picture)
    }

    /// Since when a kernel has had ready tasks and polled none.
    pub fn stall(&self, kernel: &KernelRecord) -> Option<&Stall> {
        self.stall_of(Stalled::Kernel, kernel.name)
    }

    fn stall_of(&self, sort: Stalled, name: Name) -> Option<&Stall> {
        self.stalls.iter().find(|stall| (stall.sort, stall.name) == (sort, name))
    }
}

#[cfg(test)]
mod tests {
    use cloakroom::report::Record;

    use super::*;
    use crate::samples::{channel, everything, kernel, picture};
    use crate::words::Condition;

    fn conditions(latest: &Latest) -> Vec<Condition> {
        latest.picture.channels().map(|channel| latest.diagnosis(channel).condition).collect()
    }

    #[test]
    fn what_does_not_move_for_long_enough_is_stalled() {
        let mut series = Series::new(Duration::from_secs(2));
        let first = series.push(everything(1));
        assert_eq!(conditions(first), [Condition::Ready, Condition::Throttled, Condition::Closed]);
        let second = series.push(everything(2));
        assert_eq!(
            conditions(second),
            [Condition::Active, Condition::Throttled, Condition::Closed]
        );
        let third = series.push(everything(3));
        assert_eq!(conditions(third), [Condition::Active, Condition::Stalled, Condition::Closed]);
    }

    #[test]
    fn a_stall_is_of_one_thing_even_if_another_has_its_name() {
        let report = |number: u32| {
            let mut namesake = kernel("one");
            namesake.snapshot.ready = 1;
            let mut moves = channel("one");
            moves.snapshot.sent = number;
            picture(number, vec![Record::Kernel(namesake), Record::Channel(moves)])
        };
        let mut series = Series::new(Duration::ZERO);
        series.push(report(1));
        let latest = series.push(report(2));
        assert_eq!(conditions(latest), [Condition::Active]);
        let stalled = latest.picture.kernels().map(|kernel| latest.stall(kernel).is_some());
        assert!(stalled.eq([true]));
    }
}
