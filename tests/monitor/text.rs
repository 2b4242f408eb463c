//! JSON lines and text for Prometheus, read by parsers of others.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

use cloakroom::channel::{Buffered, Bytes, Channel, Histogram};
use cloakroom::kernel::Kernel;
use cloakroom::report::{Name, QueueingRecord, Record};
use cloakroom::std_layer::report::{Registry, Report};
use openmetrics_parser::prometheus::parse_prometheus;
use openmetrics_parser::{PrometheusType, PrometheusValue};
use serde_json::Value;

use crate::{Hall, Lock, without_histograms};

/// A name with everything that has to be escaped somewhere.
const NASTY: &str = "a \"b\" \\c\nd\u{e9}{}=,";

/// A report of things that have been used, and that is always the same.
fn report() -> Report {
    static KERNEL: Kernel<Lock> = Kernel::new();
    let (line, frames) = (Channel::<Lock, u32, Buffered<1>>::new(), Bytes::new());
    let (line, frames): (&'static _, &'static Bytes<'static, Lock, Buffered<4>>) =
        (Box::leak(Box::new(line)), Box::leak(Box::new(frames)));
    let hall: &'static Hall = Box::leak(Box::new(Hall::new()));
    let registry = Registry::new("test");
    registry.channel(NASTY, line).keep();
    registry.channel("frames", frames).keep();
    registry.arena("hall", hall).keep();
    registry.kernel("kernel", &KERNEL).keep();
    let home = hall.handle().open_home(8, 2).expect("a home");
    line.try_send(1).expect("room");
    let _ = line.try_send(2);
    let mut waits = std::pin::pin!(line.send(3));
    assert!(
        std::future::Future::poll(waits.as_mut(), &mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    frames.try_send_bytes(hall.handle(), &[0; 100]).expect("room");
    frames.try_send(home.try_alloc(10).expect("memory")).expect("room");
    drop(frames.try_recv().expect("a message"));
    without_histograms(registry.dump())
}

#[test]
fn lines_are_json() {
    let report = report();
    let mut text = Vec::new();
    report.write_json(&mut text).expect("a vector takes everything");
    let text = String::from_utf8(text).expect("text");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), report.records.len() + 2);
    let sorts: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(
        sorts,
        ["begin", "channel", "channel", "arena", "home", "home", "ticket", "kernel", "end"]
    );
    assert!(lines.iter().all(|line| line["source"] == "test" && line["sequence"] == 0));

    let line = &lines[1];
    assert_eq!(line["name"], NASTY);
    assert_eq!((&line["state"], &line["shortage"]), (&"throttled".into(), &"room".into()));
    assert_eq!((&line["kind"], &line["mode"]), (&"buffered".into(), &"values".into()));
    let figures = ["sent", "depth", "capacity", "full", "send_waits", "parked_senders", "received"];
    assert_eq!(figures.map(|name| line[name].as_u64()), [1, 1, 1, 1, 1, 1, 0].map(Some));
    let frames = &lines[2];
    assert_eq!((&frames["state"], frames.get("shortage")), (&"open".into(), None));
    let figures =
        ["bytes_sent", "bytes_received", "copied", "zero_copy_sent", "zero_copy_received"];
    assert_eq!(figures.map(|name| frames[name].as_u64()), [110, 100, 1, 1, 1].map(Some));
    let hall = &lines[3];
    let figures = ["pages", "used", "free", "pages_at_rest", "pages_in_hand"];
    assert_eq!(figures.map(|name| hall[name].as_u64()), [64, 1, 63, 1, 0].map(Some));
    assert_eq!((&lines[4]["used"], &lines[5]["used"]), (&0.into(), &1.into()));
    assert_eq!((&lines[6]["state"], &lines[6]["len"]), (&"at_rest".into(), &10.into()));
    assert_eq!(lines[8]["records"], 7);
}

/// A sample's labels and value.
type Samples = Vec<(BTreeMap<String, String>, u64)>;

#[test]
fn prometheus_reads_it() {
    let report = report();
    let text = report.prometheus();
    let parsed = parse_prometheus(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut families: BTreeMap<&str, (PrometheusType, Samples)> = BTreeMap::new();
    for (name, family) in &parsed.families {
        assert!(!family.help.is_empty() && family.help.ends_with('.'), "{name}: {}", family.help);
        let is_counter = matches!(family.family_type, PrometheusType::Counter);
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        let samples = family.iter_samples().map(|sample| {
            let value = match &sample.value {
                PrometheusValue::Counter(counter) => counter.value.as_f64(),
                PrometheusValue::Gauge(number) => number.as_f64(),
                other => panic!("{name}: {other:?}"),
            };
            let labels = sample.get_labelset().expect("labels");
            let labels = labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            (labels, value as u64)
        });
        families.insert(name, (family.family_type.clone(), samples.collect()));
    }
    let value = |family: &str, labels: &[(&str, &str)]| {
        let (_, samples) = families.get(family).unwrap_or_else(|| panic!("no {family} in {text}"));
        let all = [("source", "test")].into_iter().chain(labels.iter().copied());
        let all: BTreeMap<String, String> =
            all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let found = samples.iter().find(|(labels, _)| *labels == all);
        found.map(|(_, value)| *value)
    };

    // The name has come through as it was.
    let line = ("channel", NASTY);
    assert_eq!(value("cloakroom_channel_sent_total", &[line]), Some(1));
    assert_eq!(value("cloakroom_channel_depth", &[line]), Some(1));
    assert_eq!(value("cloakroom_channel_capacity", &[line]), Some(1));
    let failures = |side, cause| {
        value("cloakroom_channel_failures_total", &[line, ("side", side), ("cause", cause)])
    };
    assert_eq!((failures("send", "full"), failures("receive", "empty")), (Some(1), Some(0)));
    assert_eq!(value("cloakroom_channel_parked", &[line, ("side", "send")]), Some(1));
    let state = |state| value("cloakroom_channel_state", &[line, ("state", state)]);
    assert_eq!((state("throttled"), state("open"), state("closed")), (Some(1), Some(0), Some(0)));
    assert_eq!(value("cloakroom_channel_kind", &[line, ("kind", "buffered")]), Some(1));
    assert_eq!(value("cloakroom_channel_kind", &[line, ("kind", "priority")]), None);
    assert_eq!(value("cloakroom_channel_bytes_total", &[line, ("side", "send")]), None);

    let frames = ("channel", "frames");
    assert_eq!(value("cloakroom_channel_bytes_total", &[frames, ("side", "send")]), Some(110));
    assert_eq!(value("cloakroom_channel_copied_total", &[frames]), Some(1));
    let hall = ("arena", "hall");
    assert_eq!(value("cloakroom_arena_free_pages", &[hall]), Some(63));
    assert_eq!(value("cloakroom_arena_held_pages", &[hall, ("held", "at_rest")]), Some(1));
    assert_eq!(value("cloakroom_arena_descriptors", &[hall, ("state", "free")]), Some(63));
    assert_eq!(value("cloakroom_home_used_pages", &[hall, ("home", "1")]), Some(1));
    assert_eq!(value("cloakroom_kernel_polls_total", &[("kernel", "kernel")]), Some(0));
}

/// A report of two channels' histograms, one of nothing, one that has more than 32 bits can count.
fn histograms() -> Report {
    let mut report = Registry::new("test").collect();
    let mut full = Histogram { ticks: u64::MAX, ..Histogram::default() };
    (full.buckets[0], full.buckets[4], full.buckets[23]) = (u32::MAX, 7, u32::MAX);
    report.records = [("empty", Histogram::default()), (NASTY, full)]
        .map(|(name, histogram)| QueueingRecord { channel: Name::new(name), histogram })
        .map(Record::Queueing)
        .to_vec();
    report
}

#[test]
fn prometheus_reads_histograms() {
    let text = histograms().prometheus();
    let parsed = parse_prometheus(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let names: Vec<&String> = parsed.families.keys().collect();
    assert_eq!(names, ["cloakroom_channel_queueing_ticks"]);
    let family = &parsed.families[names[0]];
    assert_eq!(family.family_type, PrometheusType::Histogram);
    let all = 2 * u64::from(u32::MAX) + 7;
    let mut expected = BTreeMap::from([
        ("empty".to_owned(), (0, 0.0, [0; Histogram::BUCKETS])),
        (NASTY.to_owned(), {
            let mut cumulative = [u64::from(u32::MAX) + 7; Histogram::BUCKETS];
            cumulative[..4].fill(u32::MAX.into());
            cumulative[23] = all;
            (all, u64::MAX as f64, cumulative)
        }),
    ]);
    for sample in family.iter_samples() {
        let labels = sample.get_labelset().expect("labels");
        let channel = labels.get_label_value("channel").expect("of a channel");
        let PrometheusValue::Histogram(found) = &sample.value else { panic!("{sample:?}") };
        let (count, sum, cumulative) = expected.remove(channel).expect("once");
        assert_eq!(found.count, Some(count));
        assert_eq!(found.sum.map(|sum| sum.as_f64()), Some(sum));
        let buckets: Vec<u64> =
            found.buckets.iter().map(|bucket| bucket.count.as_f64() as u64).collect();
        assert_eq!(buckets, cumulative);
        for (number, bucket) in found.buckets.iter().enumerate() {
            let bound = Histogram::bound(number).map_or(f64::INFINITY, f64::from);
            assert_eq!(bucket.upper_bound, bound);
        }
    }
    assert!(expected.is_empty(), "{expected:?}");
}

#[test]
fn lines_of_histograms_are_json() {
    let mut text = Vec::new();
    histograms().write_json(&mut text).expect("a vector takes everything");
    let text = String::from_utf8(text).expect("text");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [_, empty, full, _] = &lines[..] else { panic!("{text}") };
    assert_eq!((&empty["type"], &empty["name"]), (&"queueing".into(), &"empty".into()));
    assert_eq!((&empty["count"], &empty["p99"]), (&0.into(), &Value::Null));
    assert_eq!((&full["type"], &full["name"]), (&"queueing".into(), &NASTY.into()));
    let figures = ["count", "ticks", "p50", "p99", "longest"].map(|name| full[name].as_u64());
    let (all, none) = (2 * u64::from(u32::MAX) + 7, u64::from(u32::MAX));
    assert_eq!(figures, [all, u64::MAX, 15, none, none].map(Some));
    for (list, ends) in [("buckets", [none, none]), ("bounds", [0, 0])] {
        let list = full[list].as_array().expect("a list");
        assert_eq!(list.len(), Histogram::BUCKETS);
        assert_eq!([&list[0], &list[23]].map(|end| end.as_u64().unwrap_or(0)), ends);
    }
    assert_eq!((&full["bounds"][4], &full["bounds"][23]), (&15.into(), &Value::Null));
}

#[test]
fn a_report_of_nothing_has_no_families() {
    let report = Registry::new("test").collect();
    assert_eq!(report.prometheus(), "");
}

#[test]
fn figures_that_cannot_be_do_not_overflow() {
    let mut report = report();
    for record in &mut report.records {
        if let Record::Arena(arena) = record {
            (arena.snapshot.live, arena.snapshot.retired) = (usize::MAX, usize::MAX);
        }
    }
    assert!(report.prometheus().contains(",state=\"free\"} 0\n"));
}
