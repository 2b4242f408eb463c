//! Text for Prometheus: families of samples, each under a `HELP` and a `TYPE` line.

use std::fmt::Write;
use std::string::String;

use super::collected::Report;
use super::prometheus_histogram;
use crate::channel::{ChannelSnapshot, ChannelState, Kind, PayloadMode, SpillSnapshot};
use crate::report::{ArenaRecord, ChannelRecord, HomeRecord, KernelRecord, Record, SpillRecord};

/// What a family's samples are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Counter,
    Gauge,
}

/// A family, and how its samples are read off one record: labels besides the record's name, and a value.
struct Family<R: 'static> {
    name: &'static str,
    help: &'static str,
    r#type: Type,
    samples: &'static [Sample<R>],
}

/// One sample of a record. Without a value there is none.
struct Sample<R: 'static> {
    /// As they stand in the text: constants, that need no escapes.
    labels: &'static str,
    value: fn(&R) -> Option<u64>,
}

/// What a sample's value is made of: any number, or none.
trait Figure {
    fn figure(self) -> Option<u64>;
}

macro_rules! figures {
    ($($number:ty),+) => {
        $(impl Figure for $number {
            fn figure(self) -> Option<u64> {
                // Lossless: none is wider.
                Some(self as u64)
            }
        })+
    };
}
figures!(u8, u32, u64, usize);

impl<T: Figure> Figure for Option<T> {
    fn figure(self) -> Option<u64> {
        self.and_then(T::figure)
    }
}

/// Declares families.
macro_rules! families {
    ($record:ident: $($type:ident $name:literal $help:literal { $($labels:literal: $value:expr),+ $(,)? })+) => {
        &[$(Family {
            name: $name,
            help: $help,
            r#type: Type::$type,
            samples: &[$(Sample {
                labels: $labels,
                value: |$record| Figure::figure($value),
            }),+],
        }),+]
    };
}

const CHANNELS: &[Family<ChannelSnapshot>] = families! { now:
    Gauge "cloakroom_channel_depth" "Values in the channel." { "": now.depth }
    Gauge "cloakroom_channel_capacity" "Values that the channel can hold; none if memory decides." {
        "": now.capacity
    }
    Gauge "cloakroom_channel_high_water" "The most values that ever were in the channel." {
        "": now.high_water
    }
    Gauge "cloakroom_channel_state" "1 for the state that the channel is in." {
        ",state=\"open\"": u8::from(now.state() == ChannelState::Open),
        ",state=\"throttled\"": u8::from(matches!(now.state(), ChannelState::Throttled(_))),
        ",state=\"closed\"": u8::from(now.state() == ChannelState::Closed),
    }
    Gauge "cloakroom_channel_kind" "1 for the channel's kind." {
        ",kind=\"rendezvous\"": is(now.kind, Kind::Rendezvous),
        ",kind=\"buffered\"": is(now.kind, Kind::Buffered),
        ",kind=\"unlimited\"": is(now.kind, Kind::Unlimited),
        ",kind=\"conflated\"": is(now.kind, Kind::Conflated),
        ",kind=\"priority\"": is(now.kind, Kind::Priority),
        ",kind=\"broadcast\"": is(now.kind, Kind::Broadcast),
    }
    Gauge "cloakroom_channel_parked" "Operations that wait." {
        ",side=\"send\"": now.parked_senders,
        ",side=\"receive\"": now.parked_receivers,
    }
    Gauge "cloakroom_channel_oldest_age_ticks" "Age of the message that is next, in ticks of its arena." {
        "": now.times.and_then(|times| times.oldest_age)
    }
    Counter "cloakroom_channel_sent_total" "Values sent." { "": now.sent }
    Counter "cloakroom_channel_received_total" "Values received, by the last who reads each." {
        "": now.received
    }
    Counter "cloakroom_channel_delivered_total" "Receives that returned a value." { "": now.delivered }
    Counter "cloakroom_channel_dropped_total" "Values dropped by policy, or with their receivers." {
        "": now.dropped
    }
    Counter "cloakroom_channel_lagged_total" "Values that subscribers missed." { "": now.lagged }
    Counter "cloakroom_channel_bytes_total" "Bytes of messages." {
        ",side=\"send\"": messages(now, now.bytes_sent),
        ",side=\"receive\"": messages(now, now.bytes_received),
    }
    Counter "cloakroom_channel_copied_total" "Messages that were copied to be sent." {
        "": messages(now, now.copied.into())
    }
    Counter "cloakroom_channel_failures_total" "Operations that failed, by side and cause." {
        ",side=\"send\",cause=\"full\"": now.full,
        ",side=\"send\",cause=\"closed\"": now.refused,
        ",side=\"send\",cause=\"timeout\"": now.send_timeouts,
        ",side=\"send\",cause=\"cancelled\"": now.send_cancelled,
        ",side=\"receive\",cause=\"empty\"": now.empty,
        ",side=\"receive\",cause=\"closed\"": now.ended,
        ",side=\"receive\",cause=\"timeout\"": now.recv_timeouts,
        ",side=\"receive\",cause=\"cancelled\"": now.recv_cancelled,
    }
    Counter "cloakroom_channel_waits_total" "Operations that had to wait." {
        ",side=\"send\"": now.send_waits,
        ",side=\"receive\"": now.recv_waits,
    }
    Counter "cloakroom_channel_abandoned_total" "Operations that were dropped while they waited." {
        "": now.abandoned
    }
};

const SPILLED: &[Family<SpillSnapshot>] = families! { now:
    Gauge "cloakroom_spilled_messages" "Messages of the channel in the spill target." { "": now.messages }
    Gauge "cloakroom_spilled_bytes" "Bytes of these." { "": now.bytes }
    Gauge "cloakroom_spilled_above" "1 while what the channel is sent goes out." {
        "": u8::from(now.above)
    }
    Gauge "cloakroom_spilled_target_bytes" "Bytes of the spill target, which others may use, too." {
        ",state=\"used\"": now.used,
        ",state=\"free\"": now.capacity.saturating_sub(now.used),
    }
    Counter "cloakroom_spilled_out_total" "Messages that went out, by when." {
        ",when=\"sent\"": now.out.wrapping_sub(now.moved),
        ",when=\"waiting\"": now.moved,
    }
    Counter "cloakroom_spilled_ended_total" "Messages that were out, by what became of them." {
        ",way=\"back\"": now.back,
        ",way=\"lent\"": now.lent,
        ",way=\"lost\"": now.lost,
        ",way=\"dropped\"": now.dropped,
    }
    Counter "cloakroom_spilled_fetched_total" "Messages that were moved back before they were received." {
        "": now.fetched
    }
    Counter "cloakroom_spilled_refused_total" "Messages that the target did not take, or not give ahead, by cause." {
        ",cause=\"full\"": now.full,
        ",cause=\"failed\"": now.failed,
    }
};

const ARENAS: &[Family<ArenaRecord>] = families! { now:
    Gauge "cloakroom_arena_page_bytes" "Bytes of a page." { "": now.snapshot.page_size }
    Gauge "cloakroom_arena_pages" "Pages that there are." { "": now.snapshot.pages }
    Gauge "cloakroom_arena_free_pages" "Pages not in use." { "": now.snapshot.free }
    Gauge "cloakroom_arena_held_pages" "Pages in use, by how they are held." {
        ",held=\"in_hand\"": now.census.map(|census| census.pages_in_hand),
        ",held=\"at_rest\"": now.census.map(|census| census.pages_at_rest),
    }
    Gauge "cloakroom_arena_high_water_pages" "The most pages that ever were in use." {
        "": now.snapshot.high_water
    }
    Gauge "cloakroom_arena_free_run_pages" "A free run of at least so many pages." {
        "": now.snapshot.free_run
    }
    Gauge "cloakroom_arena_descriptors" "Descriptors, by state." {
        ",state=\"live\"": now.snapshot.live,
        ",state=\"retired\"": now.snapshot.retired,
        ",state=\"free\"":
            now.snapshot.descriptors.saturating_sub(now.snapshot.live).saturating_sub(now.snapshot.retired),
    }
    Gauge "cloakroom_arena_waiting" "Allocations that wait." { "": now.snapshot.waiting }
    Gauge "cloakroom_arena_orphans" "Payloads at rest that nobody seems to be going to redeem; of a dump." {
        "": now.orphans.map(|orphans| orphans.payloads)
    }
    Gauge "cloakroom_arena_orphan_bytes" "Bytes of these." {
        "": now.orphans.map(|orphans| orphans.bytes)
    }
    Gauge "cloakroom_arena_oldest_orphan_age_ticks" "Age of the oldest of these, in ticks of the arena." {
        "": now.orphans.and_then(|orphans| orphans.oldest_age)
    }
    Counter "cloakroom_arena_allocations_failed_total" "Allocations refused." { "": now.snapshot.failed }
    Counter "cloakroom_arena_allocations_waited_total" "Allocations that had to wait." {
        "": now.snapshot.waited
    }
    Counter "cloakroom_arena_allocations_stopped_total" "Allocations cancelled or timed out." {
        "": now.snapshot.stopped
    }
    Counter "cloakroom_arena_damaged_total" "Payloads that had changed at rest." {
        "": now.snapshot.damaged
    }
    Counter "cloakroom_arena_moves_total" "Payloads moved by compaction." { "": now.snapshot.moves }
    Counter "cloakroom_arena_moved_pages_total" "Pages moved by compaction." {
        "": now.snapshot.pages_moved
    }
    Counter "cloakroom_arena_compactions_total" "Passes of compaction." { "": now.snapshot.passes }
};

const HOMES: &[Family<HomeRecord>] = families! { now:
    Gauge "cloakroom_home_used_pages" "Pages that a home uses." { "": now.snapshot.used }
    Gauge "cloakroom_home_held_pages" "Pages that a home uses, by how they are held." {
        ",held=\"in_hand\"": now.census.map(|census| census.pages_in_hand),
        ",held=\"at_rest\"": now.census.map(|census| census.pages_at_rest),
    }
    Gauge "cloakroom_home_cap_pages" "Pages that a home may use." { "": now.snapshot.cap }
    Gauge "cloakroom_home_minimum_pages" "Pages that are kept for a home." { "": now.snapshot.min }
};

const KERNELS: &[Family<KernelRecord>] = families! { now:
    Gauge "cloakroom_kernel_tasks" "Tasks that have not ended." { "": now.snapshot.tasks }
    Gauge "cloakroom_kernel_ready" "Tasks in the ready queue." { "": now.snapshot.ready }
    Gauge "cloakroom_kernel_timers" "Sleeps that have not ended." { "": now.snapshot.timers }
    Counter "cloakroom_kernel_polls_total" "Polls of tasks." { "": now.snapshot.polls }
    Counter "cloakroom_kernel_wakes_total" "Wake-ups that made a task ready." { "": now.snapshot.wakes }
    Counter "cloakroom_kernel_idle_ticks_total" "Ticks in which the drivers slept." {
        "": now.snapshot.idle_ticks
    }
};

fn is(kind: Kind, this: Kind) -> Option<u64> {
    (kind == this).then_some(1)
}

/// A figure that only channels of messages have.
fn messages(now: &ChannelSnapshot, figure: u64) -> Option<u64> {
    (now.mode == PayloadMode::Messages).then_some(figure)
}

/// All families that have samples.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    let source = &*report.begin.source;
    fn of<T>(report: &Report, pick: fn(&Record) -> Option<T>) -> impl Iterator<Item = T> {
        report.records.iter().filter_map(pick)
    }
    let channels = || {
        of(report, |record| match record {
            Record::Channel(ChannelRecord { name, snapshot }) => {
                Some((label("channel", name), *snapshot))
            }
            _ => None,
        })
    };
    let spilled = || {
        of(report, |record| match record {
            Record::Spilled(SpillRecord { channel, snapshot }) => {
                Some((label("channel", channel), *snapshot))
            }
            _ => None,
        })
    };
    let arenas = || {
        of(report, |record| match record {
            Record::Arena(arena) => Some((label("arena", &arena.name), *arena)),
            _ => None,
        })
    };
    let homes = || {
        of(report, |record| match record {
            Record::Home(home) => {
                let mut labels = label("arena", &home.arena);
                // Infallible, as all writing to a string.
                let _ = write!(labels, ",home=\"{}\"", home.snapshot.id);
                Some((labels, *home))
            }
            _ => None,
        })
    };
    let kernels = || {
        of(report, |record| match record {
            Record::Kernel(kernel) => Some((label("kernel", &kernel.name), *kernel)),
            _ => None,
        })
    };
    CHANNELS.iter().for_each(|family| family.write(source, channels(), &mut text));
    prometheus_histogram::write(report, &mut text);
    SPILLED.iter().for_each(|family| family.write(source, spilled(), &mut text));
    ARENAS.iter().for_each(|family| family.write(source, arenas(), &mut text));
    HOMES.iter().for_each(|family| family.write(source, homes(), &mut text));
    KERNELS.iter().for_each(|family| family.write(source, kernels(), &mut text));
    text
}

impl<R> Family<R> {
    fn write(&self, source: &str, records: impl Iterator<Item = (String, R)>, text: &mut String) {
        let mut samples = String::new();
        for (labels, record) in records {
            for sample in self.samples {
                let Some(value) = (sample.value)(&record) else { continue };
                let source = label("source", source);
                let (name, more) = (self.name, sample.labels);
                let _ = writeln!(samples, "{name}{{{source},{labels}{more}}} {value}");
            }
        }
        if samples.is_empty() {
            return;
        }
        let r#type = match self.r#type {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
        };
        let _ = writeln!(text, "# HELP {} {}", self.name, self.help);
        let _ = writeln!(text, "# TYPE {} {type}", self.name);
        text.push_str(&samples);
    }
}

/// A label, with its value escaped.
pub(super) fn label(name: &str, value: &str) -> String {
    let mut label = String::from(name);
    label.push_str("=\"");
    for character in value.chars() {
        match character {
            '\\' => label.push_str("\\\\"),
            '"' => label.push_str("\\\""),
            '\n' => label.push_str("\\n"),
            other => label.push(other),
        }
    }
    label.push('"');
    label
}
