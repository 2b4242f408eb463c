//! Channels that spill: what is out of them, in every form.

use cloakroom::Arena;
use cloakroom::channel::Buffered;
use cloakroom::report::{Action, MAX_FRAME, Name, Outcome, Record, TicketState, encode};
use cloakroom::spill::{Class, Extents, MemoryTarget, Policy, Spill, SpillBytes, Watermarks, Word};
use cloakroom::std_layer::report::{Assembler, Registry, Report};
use serde_json::Value;

use crate::Lock;

type Log = SpillBytes<'static, Lock, Buffered<16>>;
type Hall = Arena<Lock, 8, 64, 8>;

/// A process with a channel that spills from the fifth page on, and an arena.
struct Process {
    hall: &'static Hall,
    log: &'static Log,
    registry: Registry,
}

impl Process {
    fn new() -> Self {
        let hall: &'static Hall = Box::leak(Box::default());
        let extents = Extents::new([Class { bytes: 64, count: 16 }], Word::free::<1>());
        let memory = Box::leak(Box::new([0; 1024]));
        let target = Box::leak(Box::new(MemoryTarget::new(memory, extents)));
        let spill = Box::leak(Box::new(Spill::over(hall, target, Watermarks::new(50, 25))));
        let log: &'static Log = Box::leak(Box::new(Log::new(spill, Policy::ColdFirst)));
        let registry = Registry::new("process");
        registry.arena("hall", hall).keep();
        registry.spilling("log", log).keep();
        Self { hall, log, registry }
    }

    /// Ten messages, of which four stay in the arena.
    fn fill(&self) -> Report {
        for number in 0..10 {
            self.log.try_send_bytes(&[number; 50]).expect("room");
        }
        self.registry.collect()
    }
}

#[test]
fn what_is_out_follows_its_channel() {
    let process = Process::new();
    let report = process.fill();
    let spilled = *report.spilled("log").expect("it is registered");
    assert_eq!((spilled.messages, spilled.bytes, spilled.out, spilled.above), (6, 300, 6, true));
    assert_eq!((spilled.capacity, spilled.used), (1024, 384));
    assert_eq!(report.channel("log").map(|log| (log.depth, log.sent)), Some((10, 10)));
    let last = report.records.len() - 1;
    assert_eq!(report.records[last], Record::spilled("log", process.log.spilled()));
    assert!(matches!(&report.records[last - 1], Record::Channel(log) if &*log.name == "log"));
    assert_eq!(report.spilled("hall"), None);

    // Over any line.
    let mut assembler = Assembler::new();
    let mut reports = report.to_records().filter_map(|record| {
        let frame = encode(&record, &mut [0; MAX_FRAME]).expect("room").to_vec();
        let record = cloakroom::report::decode(&mut frame.clone()).expect("it is whole");
        assembler.push(record).transpose()
    });
    assert_eq!(reports.next(), Some(Ok(report.clone())));
}

#[test]
fn json_and_prometheus_say_it() {
    let process = Process::new();
    let first = process.fill();
    assert!(first.spilled("log").is_some());
    drop((0..5).map(|_| process.log.try_recv().expect("a message")).collect::<Vec<_>>());
    let report = process.registry.collect();
    let mut text = Vec::new();
    report.write_json(&mut text).expect("a vector takes everything");
    let text = String::from_utf8(text).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let spilled: Vec<Value> = lines.filter(|line| line["type"] == "spilled").collect();
    let [spilled] = &spilled[..] else { panic!("{text}") };
    assert_eq!((&spilled["name"], &spilled["source"]), (&"log".into(), &"process".into()));
    for (name, figure) in [
        ("messages", 5),
        ("bytes", 250),
        ("out", 6),
        ("moved", 0),
        ("back", 0),
        ("fetched", 0),
        ("lent", 1),
        ("lost", 0),
        ("dropped", 0),
        ("full", 0),
        ("failed", 0),
        ("capacity", 1024),
        ("used", 320),
    ] {
        assert_eq!(spilled[name], figure, "{name}");
    }
    assert_eq!(spilled["above"], false);

    let text = report.prometheus();
    openmetrics_parser::prometheus::parse_prometheus(&text).expect("it is well formed");
    for line in [
        "cloakroom_spilled_messages{source=\"process\",channel=\"log\"} 5",
        "cloakroom_spilled_bytes{source=\"process\",channel=\"log\"} 250",
        "cloakroom_spilled_above{source=\"process\",channel=\"log\"} 0",
        "cloakroom_spilled_out_total{source=\"process\",channel=\"log\",when=\"sent\"} 6",
        "cloakroom_spilled_ended_total{source=\"process\",channel=\"log\",way=\"lent\"} 1",
        "cloakroom_spilled_target_bytes{source=\"process\",channel=\"log\",state=\"free\"} 704",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line:?} in\n{text}");
    }
}

/// What is in the arena is seen to wait in the channel; what is out is no payload of the arena.
#[test]
fn a_dump_shows_what_waits_in_the_arena() {
    let process = Process::new();
    process.fill();
    let dump = process.registry.dump();
    let waits: Vec<_> = dump
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Ticket(ticket) => Some((ticket.state, ticket.place?.channel)),
            _ => None,
        })
        .collect();
    assert_eq!(waits, [(TicketState::Ready, Name::new("log")); 4]);
    assert_eq!(dump.orphans(0).count(), 0);
}

#[test]
fn it_is_closed_and_drained_from_outside() {
    let process = Process::new();
    process.fill();
    let act = |action| process.registry.act("log", action);
    assert_eq!(act(Action::Compact), Outcome::Unsuited);
    assert_eq!(act(Action::Drain), Outcome::Done(10));
    let spilled = process.log.spilled();
    assert_eq!((spilled.messages, spilled.lent, process.hall.snapshot().live), (0, 6, 0));
    assert_eq!(act(Action::Close), Outcome::Done(1));
    assert!(process.log.is_closed());
}
