//! A board that reports on itself: `boards/lm3s6965evb/src/bin/monitor.rs`, which says what it does.
//!
//! These tests wait for one: `cargo xtask test "firmware reports"` starts it, records it, and runs them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use cloakroom::arena::{PayloadState, TicketDump};
use cloakroom::channel::{ChannelSnapshot, ChannelState, Kind, PayloadMode, Shortage};
use cloakroom::report::{Frames, Record};
use cloakroom::std_layer::report::{Assembler, Report};

use crate::screen::Screen;
use crate::{CHANMON, cells, told};

const CHANNELS: [&str; 4] = ["readings", "latest", "blocks", "orders"];
/// Bytes of one of its messages.
const BLOCK: u64 = 64;
/// A report that is followed by another one so soon, in its own milliseconds, would have come too early.
const REPORT_EVERY: u64 = 250;

/// All reports of the recording, after every frame of it was read.
fn recorded() -> Vec<Report> {
    let bytes = fs::read(told("CLOAKROOM_RECORDING")).expect("a recording");
    let mut assembler = Assembler::new();
    let mut reports = Vec::new();
    for (number, record) in Frames::new(bytes).enumerate() {
        let record = record.unwrap_or_else(|error| panic!("frame {number}: {error}"));
        reports.extend(assembler.push(record).expect("no report of this length"));
    }
    assert_eq!(assembler.dropped(), 0, "reports that were not complete");
    assert!(reports.len() >= 10, "{} reports", reports.len());
    reports
}

fn channel<'r>(report: &'r Report, name: &str) -> &'r ChannelSnapshot {
    report.channel(name).unwrap_or_else(|| panic!("no channel {name}"))
}

/// The only record of a sort.
fn only<T>(report: &Report, of: impl Fn(&Record) -> Option<T>) -> T {
    let mut found = report.records.iter().filter_map(of);
    let first = found.next().expect("one of the sort");
    assert!(found.next().is_none(), "more than one of the sort");
    first
}

#[test]
#[ignore = "waits for a board"]
fn each_report_is_whole_and_reconciles() {
    for (number, report) in (0..).zip(recorded()) {
        assert_eq!((&*report.begin.source, report.begin.sequence), ("lm3s6965evb", number));
        assert_eq!(report.begin.ticks_per_second, 1_000);

        let names = report.records.iter().filter_map(|record| match record {
            Record::Channel(channel) => Some(channel.name.to_string()),
            _ => None,
        });
        assert!(names.eq(CHANNELS));
        for name in CHANNELS {
            let now = channel(&report, name);
            assert!(now.reconciles(), "{name}: {now:?}");
            assert!(now.depth <= now.high_water, "{name}: {now:?}");
            assert!(now.high_water <= now.capacity.expect("a number"), "{name}: {now:?}");
        }
        let kinds = CHANNELS.map(|name| {
            let now = channel(&report, name);
            (now.kind, now.mode, now.capacity)
        });
        let values = PayloadMode::Values;
        assert_eq!(kinds[0], (Kind::Buffered, values, Some(16)));
        assert_eq!(kinds[1], (Kind::Conflated, values, Some(1)));
        assert_eq!(kinds[2], (Kind::Buffered, PayloadMode::Messages, Some(4)));
        assert_eq!(kinds[3], (Kind::Buffered, values, Some(2)));
        // Every message is a whole block, filled where it lies.
        let blocks = channel(&report, "blocks");
        assert_eq!(blocks.bytes_sent, BLOCK * u64::from(blocks.sent));
        assert_eq!(blocks.bytes_received, BLOCK * u64::from(blocks.received));
        assert_eq!((blocks.copied, blocks.zero_copy_sent()), (0, blocks.sent));

        // Only tasks use the arena, so nothing changed between its totals and the walk over its payloads.
        let (arena, census) = only(&report, |record| match record {
            Record::Arena(arena) => Some((arena.snapshot, arena.census.expect("a census"))),
            _ => None,
        });
        assert_eq!((arena.pages, arena.page_size, arena.descriptors), (64, 64, 16));
        assert_eq!(arena.used(), census.pages_in_hand + census.pages_at_rest);
        assert_eq!(arena.live, census.runs_in_hand + census.runs_at_rest);
        assert!(arena.used() <= arena.high_water, "{arena:?}");
        assert_eq!((arena.failed, arena.damaged), (0, 0));

        let kernel = only(&report, |record| match record {
            Record::Kernel(kernel) => Some(kernel.snapshot),
            _ => None,
        });
        assert_eq!(kernel.tasks, 3);
        assert!(kernel.idle_ticks <= report.begin.ticks + REPORT_EVERY, "{kernel:?}");
    }
}

#[test]
#[ignore = "waits for a board"]
fn its_homes_and_payloads_are_where_they_should_be() {
    let mut seen_at_rest = false;
    for report in recorded() {
        let homes: Vec<_> = report
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Home(home) => Some((home.snapshot.id, home.snapshot)),
                _ => None,
            })
            .collect();
        let [(0, tasks), (1, blocks)] = homes[..] else { panic!("homes {homes:?}") };
        assert_eq!((tasks.cap, tasks.min), (64, 0));
        assert_eq!((blocks.cap, blocks.min), (8, 8));
        assert!((1..=6).contains(&blocks.used), "{blocks:?}");

        let payloads: Vec<_> = report
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Ticket(ticket) => Some(ticket.dump),
                _ => None,
            })
            .collect();
        let tickets: BTreeSet<_> =
            payloads.iter().map(|payload| payload.ticket.to_bits()).collect();
        assert_eq!(tickets.len(), payloads.len(), "two payloads with one ticket");
        for payload in &payloads {
            assert!(payload.first_page + payload.pages <= 64, "{payload:?}");
            assert!(payload.len.div_ceil(64) == payload.pages, "{payload:?}");
            let age = u64::from(payload.age.expect("time stamps"));
            assert!(age <= report.begin.ticks + REPORT_EVERY, "{payload:?}");
        }
        // The tasks are always in hand, and were there first.
        let of_tasks = payloads.iter().filter(|payload| payload.home == 0);
        assert_eq!(of_tasks.clone().count(), 3);
        assert!(of_tasks.clone().all(|task| task.in_hand > 0), "{payloads:?}");
        assert_eq!(of_tasks.map(|task| task.pages).sum::<usize>(), tasks.used);
        // Blocks that wait are at rest, and as old as the slow consumer makes them.
        let waits = |block: &TicketDump| block.home == 1 && block.state == PayloadState::AtRest;
        seen_at_rest |= payloads.iter().any(|block| waits(block) && block.age > Some(48));
    }
    assert!(seen_at_rest, "no block ever waited");
}

#[test]
#[ignore = "waits for a board"]
fn counters_grow_and_show_that_the_consumer_is_slow() {
    /// What must never fall, and has grown at the end.
    fn counters(report: &Report) -> Vec<(&'static str, u64)> {
        let [readings, latest, blocks, orders] = CHANNELS.map(|name| channel(report, name));
        let kernel = only(report, |record| match record {
            Record::Kernel(kernel) => Some(kernel.snapshot),
            _ => None,
        });
        vec![
            ("the report's number", report.begin.sequence.into()),
            ("ticks", report.begin.ticks),
            ("readings sent", readings.sent.into()),
            ("readings received", readings.received.into()),
            ("readings refused", readings.full.into()),
            ("the latest reading sent", latest.sent.into()),
            ("the latest reading replaced", latest.dropped.into()),
            ("blocks received", blocks.received.into()),
            ("blocks that had to wait", blocks.send_waits.into()),
            ("bytes received", blocks.bytes_received),
            ("orders that did not come", orders.recv_timeouts.into()),
            ("polls", kernel.polls.into()),
            ("wake-ups", kernel.wakes.into()),
            ("idle ticks", kernel.idle_ticks),
        ]
    }

    let reports = recorded();
    let all: Vec<_> = reports.iter().map(counters).collect();
    for ((before, after), report) in all.iter().zip(&all[1..]).zip(&reports) {
        for ((name, before), (_, after)) in before.iter().zip(after) {
            assert!(before <= after, "{name} fell after report {}", report.begin.sequence);
        }
        let (_, ticks) = after[1];
        assert!(ticks - report.begin.ticks >= REPORT_EVERY, "too early, at {ticks}");
    }
    for ((name, first), (_, last)) in all[0].iter().zip(&all[all.len() - 1]) {
        assert!(first < last, "{name} stayed at {first}");
    }

    let orders = reports.iter().map(|report| channel(report, "orders"));
    assert!(orders.clone().all(|orders| orders.sent == 0 && orders.parked_receivers <= 1));
    let throttled = reports.iter().map(|report| channel(report, "blocks")).filter(|blocks| {
        let throttled = blocks.state() == ChannelState::Throttled(Shortage::Room);
        assert_eq!(throttled, blocks.parked_senders == 1);
        throttled && blocks.depth == 4
    });
    let ages = throttled.map(|blocks| blocks.times.expect("time stamps").oldest_age);
    let oldest = ages.max().expect("a report of a channel that is throttled");
    // Three are ahead of the next one, and each takes its time.
    assert!(oldest > Some(3 * 48), "{oldest:?}");
}

#[test]
#[ignore = "waits for a board"]
fn chanmon_reads_the_recording() {
    let recording = told("CLOAKROOM_RECORDING");
    let run = |command: &str| {
        let output = Command::new(CHANMON).args([command, &recording]).output().expect("runs");
        let (said, complaint) =
            (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
        assert_eq!((output.status.code(), complaint.as_deref()), (Some(0), Ok("")), "{command}");
        said.expect("text")
    };
    let reports = recorded();
    let last = reports.last().expect("a report");
    let blocks = channel(last, "blocks");

    let words = run("dump");
    assert!(words.starts_with(&format!("lm3s6965evb: report {}", last.begin.sequence)), "{words}");
    for wanted in ["channel readings", "channel blocks", "arena memory", "kernel tasks", "3 tasks"]
    {
        assert!(words.contains(wanted), "no {wanted:?} in\n{words}");
    }

    let prometheus = run("prom");
    for (name, value) in [("sent", blocks.sent), ("received", blocks.received)] {
        let name = format!("cloakroom_channel_{name}_total");
        let sample = format!(r#"{name}{{source="lm3s6965evb",channel="blocks"}} {value}"#);
        assert!(prometheus.lines().any(|line| line == sample), "no {sample} in\n{prometheus}");
    }

    let lines: Vec<serde_json::Value> =
        run("json").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let sent: Vec<u64> = lines
        .iter()
        .filter(|line| line["type"] == "channel" && line["name"] == "blocks")
        .map(|line| line["sent"].as_u64().expect("a number"))
        .collect();
    let expected: Vec<u64> =
        reports.iter().map(|report| channel(report, "blocks").sent.into()).collect();
    assert_eq!(sent, expected);
}

/// Comes in the middle of a report: whoever wrote the recording has left the line as it was.
#[test]
#[ignore = "waits for a board"]
fn top_shows_the_board_while_it_works() {
    let mut screen = Screen::of(["top", &told("CLOAKROOM_LINE")]);
    screen.shows(&[
        "chanmon lm3s6965evb",
        "\nreadings",
        "\nlatest",
        "\norders",
        "memory: ",
        "tasks",
    ]);
    screen.wait("blocks that flow, throttled", |text| {
        let row = cells(text, "blocks");
        let received = |rate: &&str| rate.parse::<f64>().is_ok_and(|rate| rate > 0.0);
        row.get(2) == Some(&"throttled")
            && row.get(4) == Some(&"4/4")
            && row.get(6).is_some_and(received)
    });
    screen.press("q");
    assert_eq!(screen.end().0, 0);
}
