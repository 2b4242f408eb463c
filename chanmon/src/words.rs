//! What the figures of a queue mean, in words: its condition, and the reason.

use std::fmt;

use cloakroom::channel::{ChannelSnapshot, ChannelState, PayloadMode, Shortage};
use cloakroom::report::{ArenaRecord, HomeRecord, TicketState};
use cloakroom::std_layer::report::Stall;

use crate::picture::Picture;
use crate::rates::ChannelRates;

/// What a queue is doing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Condition {
    /// Work waits, and nothing has moved for a while.
    Stalled,
    /// Senders wait.
    Throttled,
    /// Closed.
    Closed,
    /// Values go through it.
    Active,
    /// Messages lie in it, at rest, and nobody waits for them.
    Dehydrated,
    /// Values lie in it, and nobody waits for them.
    Ready,
    /// It is empty, and receivers wait.
    Suspended,
    /// It is empty, and nobody waits.
    Idle,
}

impl Condition {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Throttled => "throttled",
            Self::Closed => "closed",
            Self::Active => "active",
            Self::Dehydrated => "dehydrated",
            Self::Ready => "ready",
            Self::Suspended => "suspended",
            Self::Idle => "idle",
        }
    }
}

/// A queue's condition, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// What it is doing.
    pub condition: Condition,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.condition.word(), self.reason)
    }
}

/// Looks at a channel. `rates` and `stall` come from the reports before this one, if there are any.
pub fn diagnose(
    channel: &ChannelSnapshot,
    rates: Option<&ChannelRates>,
    stall: Option<&Stall>,
    picture: &Picture,
) -> Diagnosis {
    let depth = channel.depth;
    let things = match channel.mode {
        PayloadMode::Messages => ["message", "messages"],
        _ => ["value", "values"],
    };
    let held = count(depth as u64, things);
    let waits = |number: u32, who| format!("{} {}", count(number.into(), who), wait(number));
    let receivers = waits(channel.parked_receivers, ["receiver", "receivers"]);
    let shortage = |shortage| {
        let senders = count(channel.parked_senders.into(), ["sender", "senders"]);
        match shortage {
            Shortage::Room => format!("full, {senders} {}", wait(channel.parked_senders)),
            Shortage::Receiver => {
                format!("nobody receives, {senders} {}", wait(channel.parked_senders))
            }
            Shortage::Memory => format!("waiting for memory, {senders}{}", short_arenas(picture)),
            _ => senders,
        }
    };
    let (condition, reason) = match (channel.state(), stall) {
        (ChannelState::Closed, _) if depth == 0 => {
            (Condition::Closed, "nothing is left in it".into())
        }
        (ChannelState::Closed, _) => (Condition::Closed, format!("{held} still to be received")),
        (state, Some(stall)) => {
            let waiting = match state {
                ChannelState::Throttled(short) => shortage(short),
                _ => format!("{held} in it"),
            };
            let since = stall.since.as_secs();
            (Condition::Stalled, format!("nothing moved for {since} s; {waiting}"))
        }
        (ChannelState::Throttled(short), None) => (Condition::Throttled, shortage(short)),
        (_, None) => match (rates.is_some_and(ChannelRates::moves), depth) {
            (true, 0) => (Condition::Active, "values go through, none waits".into()),
            (true, _) => (Condition::Active, format!("{held} in it")),
            (false, 0) if channel.parked_receivers > 0 => {
                (Condition::Suspended, format!("empty, {receivers}"))
            }
            (false, 0) => (Condition::Idle, "empty, nobody waits".into()),
            (false, _) if channel.mode == PayloadMode::Messages => {
                (Condition::Dehydrated, format!("{held} at rest, nobody receives"))
            }
            (false, _) => (Condition::Ready, format!("{held} to be received")),
        },
    };
    Diagnosis { condition, reason }
}

/// Why an arena makes allocations wait, or that it does not.
pub fn diagnose_arena(arena: &ArenaRecord, picture: &Picture) -> Diagnosis {
    let now = &arena.snapshot;
    let waiting = || count(now.waiting.into(), ["allocation", "allocations"]);
    let (condition, reason) = match (now.waiting, now.free, now.used()) {
        (0, _, 0) => (Condition::Idle, "all of it is free".into()),
        (0, 0, _) => (Condition::Ready, "all of it is in use, nobody waits".into()),
        (0, free, _) => (Condition::Active, format!("{} free", count(free as u64, PAGES))),
        (number, ..) => {
            let verb = wait(number);
            (Condition::Throttled, format!("{} {verb}{}", waiting(), short(arena, picture)))
        }
    };
    Diagnosis { condition, reason }
}

/// What a payload is, in the terms of tickets.
pub fn ticket_word(state: TicketState) -> &'static str {
    match state {
        TicketState::Ready => "ready",
        TicketState::Active => "active",
        TicketState::Dehydrated => "dehydrated",
        TicketState::Suspended => "suspended",
        TicketState::Orphan => "orphan",
        _ => "unknown",
    }
}

const PAGES: [&str; 2] = ["page", "pages"];
/// From how much of its quota on a home is worth a word, in percent.
const MUCH: u128 = 80;

/// The arenas in which memory is short.
fn short_arenas(picture: &Picture) -> String {
    let scarce = |arena: &&ArenaRecord| arena.snapshot.waiting > 0 || arena.snapshot.free == 0;
    picture.arenas().filter(scarce).map(|arena| short(arena, picture)).collect()
}

/// How short memory is in an arena.
fn short(arena: &ArenaRecord, picture: &Picture) -> String {
    let now = &arena.snapshot;
    let of = |home: &&HomeRecord| home.arena == arena.name && share(home, now.pages) >= Some(MUCH);
    let fullest = picture.homes().filter(of).max_by_key(|home| share(home, now.pages));
    let quota = fullest.and_then(|home| {
        let share = share(home, now.pages)?;
        Some(format!(", its home {} uses {share} % of its quota", home.snapshot.id))
    });
    let (name, free) = (arena.name, now.free);
    format!(
        "; `{name}` has {free} of {} free{}",
        count(now.pages as u64, PAGES),
        quota.unwrap_or_default()
    )
}

/// How much of its quota a home uses, in percent; `None` if it has none.
pub fn share(home: &HomeRecord, pages: usize) -> Option<u128> {
    let now = &home.snapshot;
    (now.cap < pages).then(|| (now.used as u128 * 100).checked_div(now.cap as u128)).flatten()
}

/// A number of things.
pub fn count(number: u64, [one, many]: [&str; 2]) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn wait(number: u32) -> &'static str {
    if number == 1 { "waits" } else { "wait" }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom::arena::HomeSnapshot;
    use cloakroom::channel::Kind;
    use cloakroom::report::{Name, Record};

    use cloakroom::std_layer::report::Stalled;

    use super::*;
    use crate::samples::{arena, channel, picture};

    fn said(change: impl FnOnce(&mut ChannelSnapshot), moves: Option<f64>) -> String {
        let mut now = channel("a").snapshot;
        change(&mut now);
        let rates = moves.map(|sent| ChannelRates {
            sent,
            received: 0.0,
            bytes_sent: 0.0,
            bytes_received: 0.0,
        });
        diagnose(&now, rates.as_ref(), None, &picture(1, vec![])).to_string()
    }

    #[test]
    fn every_condition_has_words() {
        assert_eq!(said(|_| (), None), "idle: empty, nobody waits");
        assert_eq!(
            said(|now| now.parked_receivers = 1, Some(0.0)),
            "suspended: empty, 1 receiver waits"
        );
        assert_eq!(said(|now| now.depth = 2, Some(0.0)), "ready: 2 values to be received");
        let rest = |now: &mut ChannelSnapshot| (now.depth, now.mode) = (1, PayloadMode::Messages);
        assert_eq!(said(rest, None), "dehydrated: 1 message at rest, nobody receives");
        assert_eq!(said(|now| now.depth = 2, Some(9.0)), "active: 2 values in it");
        assert_eq!(said(|_| (), Some(9.0)), "active: values go through, none waits");
        assert_eq!(said(|now| now.parked_senders = 14, None), "throttled: full, 14 senders wait");
        let alone =
            |now: &mut ChannelSnapshot| (now.kind, now.parked_senders) = (Kind::Rendezvous, 1);
        assert_eq!(said(alone, None), "throttled: nobody receives, 1 sender waits");
        assert_eq!(said(|now| now.closed = true, None), "closed: nothing is left in it");
        let left = |now: &mut ChannelSnapshot| (now.closed, now.depth) = (true, 3);
        assert_eq!(said(left, None), "closed: 3 values still to be received");
    }

    #[test]
    fn a_want_of_memory_says_where_and_who_uses_it() {
        let mut unlimited = channel("jobs").snapshot;
        (unlimited.kind, unlimited.parked_senders) = (Kind::Unlimited, 14);
        let mut heap = arena(64);
        (heap.free, heap.waiting) = (0, 14);
        let home =
            |id, used, cap| Record::home("heap", HomeSnapshot { id, used, cap, min: 0 }, None);
        let records = vec![
            Record::arena("heap", heap, None),
            Record::arena("roomy", arena(64), None),
            home(0, 64, 64),
            home(1, 8, 10),
            home(2, 1, 10),
            Record::home("roomy", HomeSnapshot { id: 3, used: 10, cap: 10, min: 0 }, None),
        ];
        let picture = picture(1, records);
        let short = "`heap` has 0 of 64 pages free, its home 1 uses 80 % of its quota";
        let said = diagnose(&unlimited, None, None, &picture).to_string();
        assert_eq!(said, format!("throttled: waiting for memory, 14 senders; {short}"));
        let arenas: Vec<&ArenaRecord> = picture.arenas().collect();
        let said = diagnose_arena(arenas[0], &picture).to_string();
        assert_eq!(said, format!("throttled: 14 allocations wait; {short}"));
        assert_eq!(diagnose_arena(arenas[1], &picture).to_string(), "idle: all of it is free");
    }

    #[test]
    fn a_stall_says_for_how_long_and_what_waits() {
        let stall = Stall {
            sort: Stalled::Channel,
            name: Name::new("a"),
            waiting: 4,
            since: Duration::from_millis(12_900),
        };
        let mut now = channel("a").snapshot;
        now.depth = 4;
        let said = |now: &_| diagnose(now, None, Some(&stall), &picture(1, vec![])).to_string();
        assert_eq!(said(&now), "stalled: nothing moved for 12 s; 4 values in it");
        now.parked_senders = 2;
        assert_eq!(said(&now), "stalled: nothing moved for 12 s; full, 2 senders wait");
    }
}
