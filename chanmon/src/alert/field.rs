//! The figures that alerts are made of.

use cloakroom::channel::ChannelSnapshot;

use super::Sort;
use crate::rates::ChannelRates;
use crate::words::Condition;

/// What an alert looks at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// The channel's figures.
    pub channel: &'s ChannelSnapshot,
    /// What it did since the report before.
    pub rates: Option<&'s ChannelRates>,
    /// What it is doing.
    pub condition: Condition,
}

/// A figure.
pub struct Field {
    /// How it is called.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    pub(super) sort: Sort,
    pub(super) value: fn(&Subject) -> Option<f64>,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Declares fields. Counts up to 2⁵³ are exact.
macro_rules! fields {
    ($($sort:ident $name:literal $help:literal: $value:expr;)+) => {
        const FIELDS: &[Field] = &[
            $(Field { name: $name, help: $help, sort: Sort::$sort, value: $value },)+
        ];
    };
}

fn truth(truth: bool) -> Option<f64> {
    Some(f64::from(u8::from(truth)))
}

fields! {
    Number "depth" "values in the channel": |s| Some(s.channel.depth as f64);
    Number "capacity" "values it can hold": |s| s.channel.capacity.map(|capacity| capacity as f64);
    Number "fill" "depth in percent of the capacity": |s| {
        let capacity = s.channel.capacity.filter(|capacity| *capacity > 0)?;
        Some(s.channel.depth as f64 * 100.0 / capacity as f64)
    };
    Number "high_water" "the most there ever were": |s| Some(s.channel.high_water as f64);
    Number "send_rate" "values sent a second": |s| Some(s.rates?.sent);
    Number "receive_rate" "values received a second": |s| Some(s.rates?.received);
    Number "byte_rate" "bytes sent a second": |s| Some(s.rates?.bytes_sent);
    Number "oldest_age" "age of the next message, in ticks of its arena": |s| {
        s.channel.times?.oldest_age.map(f64::from)
    };
    Number "parked_senders" "senders that wait": |s| Some(s.channel.parked_senders.into());
    Number "parked_receivers" "receivers that wait": |s| Some(s.channel.parked_receivers.into());
    Number "sent" "values sent": |s| Some(s.channel.sent.into());
    Number "received" "values received": |s| Some(s.channel.received.into());
    Number "dropped" "values dropped by policy": |s| Some(s.channel.dropped.into());
    Number "lagged" "values that subscribers missed": |s| Some(s.channel.lagged.into());
    Number "full" "sends refused for want of room": |s| Some(s.channel.full.into());
    Number "empty" "receives refused for want of a value": |s| Some(s.channel.empty.into());
    Number "refused" "sends refused because it was closed": |s| Some(s.channel.refused.into());
    Number "ended" "receives that failed because it was closed": |s| Some(s.channel.ended.into());
    Number "timeouts" "operations whose deadline passed": |s| Some(s.channel.timeouts().into());
    Number "cancelled" "operations that were cancelled": |s| Some(s.channel.cancelled().into());
    Number "abandoned" "operations that were dropped while they waited": |s| {
        Some(s.channel.abandoned.into())
    };
    Truth "closed" "it is closed": |s| truth(s.channel.closed);
    Truth "throttled" "senders wait": |s| {
        truth(!s.channel.closed && s.channel.parked_senders > 0)
    };
    Truth "stalled" "work waits and nothing has moved for a while": |s| {
        truth(s.condition == Condition::Stalled)
    };
}

/// The field of that name.
pub(super) fn field(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// All of them, a line each.
pub fn field_list() -> String {
    FIELDS.iter().map(|field| format!("  {:17} {}\n", field.name, field.help)).collect()
}
