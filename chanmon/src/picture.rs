//! One report as a whole, and how one is compared with the one before it.

use std::ops::Deref;
use std::ptr;
use std::time::{Duration, Instant};

use cloakroom::channel::{Histogram, SpillSnapshot};
use cloakroom::report::{
    ArenaRecord, ChannelRecord, HomeRecord, KernelRecord, Name, Record, TicketRecord,
};
use cloakroom::std_layer::report::Report;

/// A report that has come in.
#[derive(Clone, Debug)]
pub struct Picture {
    report: Report,
    /// When it was complete, by the clock of this program.
    pub arrived: Instant,
}

impl Deref for Picture {
    type Target = Report;
    fn deref(&self) -> &Report {
        &self.report
    }
}

/// Declares an iterator over the records of one sort.
macro_rules! records_of {
    ($($(#[$doc:meta])* $name:ident, $variant:ident, $record:ty;)+) => {
        $($(#[$doc])*
        pub fn $name(&self) -> impl Iterator<Item = &$record> {
            self.report.records.iter().filter_map(|record| match record {
                Record::$variant(record) => Some(record),
                _ => None,
            })
        })+
    };
}

impl Picture {
    /// Of a report that came this moment.
    pub fn new(mut report: Report) -> Self {
        disarm(&mut report.begin.source);
        for record in &mut report.records {
            match record {
                Record::Channel(channel) => disarm(&mut channel.name),
                Record::Arena(arena) => disarm(&mut arena.name),
                Record::Home(home) => disarm(&mut home.arena),
                Record::Kernel(kernel) => disarm(&mut kernel.name),
                Record::Ticket(ticket) => {
                    disarm(&mut ticket.arena);
                    if let Some(place) = &mut ticket.place {
                        disarm(&mut place.channel);
                    }
                }
                Record::Queueing(queueing) => disarm(&mut queueing.channel),
                Record::Spilled(spilled) => disarm(&mut spilled.channel),
                _ => {}
            }
        }
        Self { report, arrived: Instant::now() }
    }

    records_of! {
        /// The channels.
        channels, Channel, ChannelRecord;
        /// The arenas.
        arenas, Arena, ArenaRecord;
        /// The homes of all arenas.
        homes, Home, HomeRecord;
        /// The kernels.
        kernels, Kernel, KernelRecord;
        /// The payloads, in a dump.
        tickets, Ticket, TicketRecord;
    }

    /// How long the messages of a channel of this picture were queued, if the source says so. There may be several
    /// channels of one name: what belongs to one comes right behind it.
    pub fn queueing_in(&self, channel: &ChannelRecord) -> Option<&Histogram> {
        match self.behind(channel)? {
            Record::Queueing(queueing) if queueing.channel == channel.name => {
                Some(&queueing.histogram)
            }
            _ => None,
        }
    }

    /// What is out of a channel of this picture, if it spills.
    pub fn spilled_of(&self, channel: &ChannelRecord) -> Option<&SpillSnapshot> {
        match self.behind(channel)? {
            Record::Spilled(spilled) if spilled.channel == channel.name => Some(&spilled.snapshot),
            _ => None,
        }
    }

    /// The record behind that of a channel of this picture.
    fn behind(&self, channel: &ChannelRecord) -> Option<&Record> {
        let mut records = self.report.records.iter();
        records.find(|record| matches!(record, Record::Channel(own) if ptr::eq(own, channel)))?;
        records.next()
    }

    /// How long the source has run, if it has a clock.
    pub fn uptime(&self) -> Option<Duration> {
        let seconds = self.seconds(self.begin.ticks)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Seconds since an earlier report of the same run: by the source's clock, or if it has none by when they came.
    /// `None` if the source has started again meanwhile, or is another one.
    pub fn seconds_since(&self, before: &Self) -> Option<f64> {
        let (then, now) = (before.begin, self.begin);
        if then.source != now.source || then.ticks_per_second != now.ticks_per_second {
            return None;
        }
        let ticks = now.ticks.checked_sub(then.ticks)?;
        let arrived = self.arrived.saturating_duration_since(before.arrived);
        let seconds = self.seconds(ticks).unwrap_or(arrived.as_secs_f64());
        (seconds > 0.0).then_some(seconds)
    }

    fn seconds(&self, ticks: u64) -> Option<f64> {
        let rate = self.begin.ticks_per_second;
        (rate > 0).then(|| ticks as f64 / rate as f64)
    }
}

/// Names come from elsewhere, and go to a terminal: they must not command it.
fn disarm(name: &mut Name) {
    if name.contains(char::is_control) {
        *name = Name::new(&name.replace(char::is_control, "?"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{channel, everything, picture, queued, spilled};

    #[test]
    fn ticks_are_seconds_where_there_is_a_clock() {
        let mut later = everything(3);
        assert_eq!(later.uptime(), Some(Duration::from_secs(3)));
        assert_eq!(later.seconds_since(&everything(1)), Some(2.0));
        later.report.begin.ticks_per_second = 0;
        assert_eq!(later.uptime(), None);
    }

    #[test]
    fn names_do_not_command_a_terminal() {
        let records = vec![Record::Channel(channel("a\u{1b}[2J\n\u{9b}"))];
        let picture = picture(1, records);
        assert_eq!(picture.channels().next().map(|channel| &*channel.name), Some("a?[2J??"));
    }

    #[test]
    fn a_histogram_belongs_to_the_channel_before_it() {
        let twin = || Record::Channel(channel("twin"));
        let picture = picture(1, vec![twin(), twin(), queued("twin"), twin(), queued("other")]);
        let found: Vec<bool> =
            picture.channels().map(|channel| picture.queueing_in(channel).is_some()).collect();
        assert_eq!(found, [false, true, false]);
        assert_eq!(picture.queueing_in(&channel("twin")), None, "of no picture");
    }

    #[test]
    fn what_is_spilled_belongs_to_the_channel_before_it() {
        let twin = || Record::Channel(channel("twin"));
        let picture = picture(1, vec![twin(), spilled("twin"), twin(), spilled("other"), twin()]);
        let found: Vec<bool> =
            picture.channels().map(|channel| picture.spilled_of(channel).is_some()).collect();
        assert_eq!(found, [true, false, false]);
    }

    #[test]
    fn without_a_clock_the_time_of_arrival_counts() {
        let [mut before, mut now] = [picture(1, vec![]), picture(2, vec![])];
        for report in [&mut before.report, &mut now.report] {
            (report.begin.ticks, report.begin.ticks_per_second) = (0, 0);
        }
        now.arrived = before.arrived + Duration::from_secs(4);
        assert_eq!(now.seconds_since(&before), Some(4.0));
    }

    #[test]
    fn what_has_started_again_is_not_compared() {
        assert_eq!(everything(1).seconds_since(&everything(2)), None);
        assert_eq!(everything(1).seconds_since(&everything(1)), None, "no time has passed");
        let mut other = everything(1);
        other.report.begin.source = "other".into();
        assert_eq!(everything(2).seconds_since(&other), None);
    }
}
