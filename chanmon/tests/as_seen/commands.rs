//! The commands that print, and what they end with.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use cloakroom::std_layer::report::Registry;
use portable_pty::{PtySize, native_pty_system};

use crate::CHANMON;
use crate::busy::Busy;

/// Runs chanmon.
pub fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(CHANMON);
    command.args(arguments).stdin(Stdio::null()).output().expect("runs")
}

/// What it printed, and its exit status.
pub fn said(arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(arguments);
    let both = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(both).expect("text"))
}

#[track_caller]
pub fn assert_said(arguments: &[&str], status: i32, wanted: &[&str]) -> String {
    let (found, text) = said(arguments);
    assert_eq!(found, Some(status), "{text}");
    for wanted in wanted {
        assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
    }
    text
}

fn socket(busy: &Busy) -> String {
    busy.socket().to_str().expect("text").to_string()
}

#[test]
fn a_report_in_words_for_programs_and_for_prometheus() {
    let busy = Busy::start(&[]);
    let socket = socket(&busy);
    let dump =
        ["channel orders", "buffered of messages", "arena memory", "kernel tasks", "\n    queued"];
    assert_said(&["dump", &socket], 0, &dump);
    let json = assert_said(&["json", &socket], 0, &[]);
    for line in json.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["source"], "busy");
    }
    for part in [r#""name":"orders""#, r#""type":"queueing""#] {
        assert!(json.lines().any(|line| line.contains(part)), "no {part} in {json}");
    }
    let text = [
        "# TYPE cloakroom_channel_sent_total counter",
        r#"channel="orders""#,
        "cloakroom_channel_queueing_ticks_bucket",
    ];
    assert_said(&["prom", &socket], 0, &text);
    let picture =
        assert_said(&["top", &socket, "--once", "80x24", "--interval", "0.05"], 0, &["orders"]);
    assert_eq!(picture.lines().count(), 24);
}

#[test]
fn a_watch_ends_with_what_it_saw() {
    let mut busy = Busy::start(&[]);
    let socket = socket(&busy);
    let watch = |more: &[&str]| {
        let arguments =
            [&["watch", &socket, "--interval", "0.05", "--stall", "0.2"], more].concat();
        said(&arguments)
    };
    let quiet = watch(&["--alert", "depth > 1000", "--alert", "closed", "--for", "0.5"]);
    assert_eq!(quiet, (Some(0), String::new()));
    busy.say("stall");
    let (status, text) =
        watch(&["--alert", "depth > 1000", "--alert", "stalled", "--channel", "orders"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.starts_with("orders: stalled (stalled = yes); stalled: nothing moved for"),
        "{text}"
    );
    let (status, text) = watch(&["--alert", "closed", "--channel", "odrers", "--for", "0.3"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("no channel is called odrers"), "{text}");
    let (status, text) = watch(&["--alert", "dept > 1"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("a channel has no `dept`") && text.contains("oldest_age"), "{text}");
}

#[test]
fn a_want_of_memory_is_told_with_who_uses_it() {
    let mut busy = Busy::start(&[]);
    let socket = socket(&busy);
    busy.say("hoard");
    let short = "waiting for memory, 1 sender; `memory` has ";
    let quota = "of 256 pages free, its home 1 uses 100 % of its quota";
    assert_said(
        &["watch", &socket, "--alert", "throttled", "--channel", "log", "--interval", "0.05"],
        1,
        &["log: throttled (throttled = yes); throttled: ", short, quota],
    );
    assert_said(&["dump", &socket], 0, &[short, "home 1: 64 pages, 100 % of its 64"]);
    busy.say("go");
    assert_said(
        &[
            "watch",
            &socket,
            "--alert",
            "receive_rate > 0",
            "--channel",
            "log",
            "--interval",
            "0.05",
        ],
        1,
        &["log: receive_rate > 0"],
    );
}

#[test]
fn a_watch_ends_with_trouble_when_the_process_does() {
    let mut busy = Busy::start(&[]);
    let socket = socket(&busy);
    let mut command = Command::new(CHANMON);
    command.args(["watch", &socket, "--alert", "closed", "--interval", "0.05"]);
    let watch = command.stderr(Stdio::piped()).spawn().expect("runs");
    busy.kill();
    let output = watch.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(2));
    // Before it came to attach, before the first report, or afterwards.
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("gone") || text.contains("hung up"), "{text}");
}

#[test]
fn what_may_have_been_lost_is_found() {
    let mut busy = Busy::start(&[]);
    busy.say("lose");
    let socket = socket(&busy);
    // It flows, so whatever has been at rest for so long has been lost.
    let lost = loop {
        let (status, text) = said(&["dump", &socket, "--orphans", "500"]);
        assert_eq!(status, Some(0), "{text}");
        if !text.contains("nothing has been at rest") {
            break text;
        }
    };
    assert!(lost.contains("orphan") && lost.contains(" 400 "), "{lost}");
    // The process calls it one, too, from its own limit on.
    loop {
        let (_, json) = said(&["json", &socket, "--payloads"]);
        if json.contains(r#""orphans":{"payloads":1,"bytes":400,"#) {
            assert!(json.contains(r#""ticket_state":"orphan""#), "{json}");
            break;
        }
    }
    let orphans = [r#"cloakroom_arena_orphans{source="busy",arena="memory"} 1"#];
    assert_said(&["prom", &socket], 0, &orphans);
    assert_said(&["dump", &socket], 0, &["orphans: 1 payload of 400 B in 7 pages, the oldest "]);
}

#[test]
fn what_is_lost_is_freed_when_that_is_allowed() {
    let mut busy = Busy::start(&["actions"]);
    let socket = socket(&busy);
    busy.say("lose");
    busy.say("stall");
    // Younger than that is nothing that has been lost; orders wait meanwhile, as old as they get.
    let reap = ["actions", "reap", &socket, "memory", "--age", "1000"];
    let freed = loop {
        let (status, text) = said(&reap);
        if status == Some(0) && !text.contains("0 payloads") {
            break text;
        }
        assert!(status == Some(0) || text.contains("try again"), "{text}");
    };
    assert_eq!(freed, "memory: 1 payload of 400 B freed\n");
    let (_, text) = said(&["dump", &socket, "--orphans", "1000"]);
    assert!(text.contains("nothing has been at rest"), "{text}");
    assert_said(
        &["dump", &socket],
        0,
        &["ready      orders at 31 ", "suspended  sender 0 of orders "],
    );
    busy.say("go");
    let flows = ["--alert", "receive_rate > 0", "--channel", "orders", "--interval", "0.05"];
    assert_said(&[&["watch", &socket], &flows[..]].concat(), 1, &["orders: receive_rate > 0"]);
    assert_said(&["actions", "reap", &socket, "memory"], 2, &["--age"]);
    assert_said(
        &["actions", "reap", &socket, "orders", "--age", "9"],
        2,
        &["arenas compact, and reap"],
    );
}

#[test]
fn a_process_does_what_it_allows() {
    let mut busy = Busy::start(&["actions"]);
    let socket = socket(&busy);
    busy.say("stall");
    assert_said(
        &["watch", &socket, "--alert", "fill >= 100", "--channel", "orders", "--interval", "0.05"],
        1,
        &["orders: fill >= 100 (fill = 100)"],
    );
    assert_said(&["actions", "drain", &socket, "orders"], 0, &["orders: ", "dropped"]);
    assert_said(&["actions", "compact", &socket, "memory"], 0, &["memory: ", "moved"]);
    assert_said(&["actions", "close", &socket, "orders"], 0, &["orders is closed"]);
    assert_said(&["actions", "close", &socket, "orders"], 0, &["orders was closed already"]);
    assert_said(&["dump", &socket], 0, &["closed: "]);
    assert_said(&["actions", "drain", &socket, "news"], 2, &["nothing that can do this"]);
    assert_said(&["actions", "close", &socket, "odrers"], 2, &["nothing of that name"]);
}

#[test]
fn a_process_refuses_what_it_does_not_allow() {
    let busy = Busy::start(&[]);
    let socket = socket(&busy);
    let refused = ["does not allow actions", "Serving { actions: true }"];
    assert_said(&["actions", "close", &socket, "orders"], 2, &refused);
    let dump = assert_said(&["dump", &socket], 0, &[]);
    assert!(!dump.contains("closed: "), "it was closed all the same:\n{dump}");
}

#[test]
fn a_pipe_is_read_when_somebody_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("runs");
    assert!(made.success());
    let mut command = Command::new(CHANMON);
    command.arg("json").arg(&pipe).stdout(Stdio::piped()).stderr(Stdio::piped());
    let looks = command.spawn().expect("runs");
    let writer = std::fs::OpenOptions::new().write(true).open(&pipe).expect("it reads");
    Registry::new("writer").collect().write_frames(writer).expect("it reads");
    let output = looks.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    let lines = String::from_utf8(output.stdout).expect("text");
    assert!(lines.contains(r#""source":"writer""#), "{lines}");
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(told.contains("waiting for somebody to write"), "{told}");
}

/// Firmware that has been reporting for a while when somebody comes to look.
#[test]
fn reports_come_over_a_serial_line() {
    let line = native_pty_system().openpty(PtySize::default()).expect("a line");
    let name = line.master.tty_name().expect("a name");
    let raw = Command::new("stty").arg("-F").arg(&name).args(["raw", "-echo"]).status();
    assert!(raw.expect("runs").success());
    let mut command = Command::new(CHANMON);
    command.arg("json").arg(&name).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut looks = command.spawn().expect("runs");
    let mut lines = BufReader::new(looks.stdout.take().expect("piped")).lines();

    let registry = Registry::new("board");
    let mut firmware = line.master.take_writer().expect("a writer");
    let mut report = Vec::new();
    registry.collect().write_frames(&mut report).expect("space");
    // It comes in the middle of a report; then there are two, and noise in between.
    firmware.write_all(&report[7..]).expect("it reads");
    let mut expected = Vec::new();
    for _ in 0..2 {
        let next = registry.collect();
        next.write_frames(&mut firmware).expect("it reads");
        firmware.write_all(b"noise\0").expect("it reads");
        next.write_json(&mut expected).expect("space");
    }
    firmware.flush().expect("it reads");
    for expected in String::from_utf8(expected).expect("text").lines() {
        assert_eq!(lines.next().expect("a line").expect("text"), expected);
    }
    // The line is cut.
    drop((firmware, line));
    let output = looks.wait_with_output().expect("ends");
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(told.contains("frames were damaged") || told.contains("is gone"), "{told}");
}

/// What never changes in the picture: headings, the legend, the keys, and what is in a row.
#[test]
fn the_readme_shows_what_the_program_does() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.expect("a file");
    let busy = Busy::start(&[]);
    let picture = assert_said(
        &["top", &socket(&busy), "--sort", "state", "--once", "100x19", "--interval", "0.05"],
        0,
        &["\nARENAS "],
    );
    let constant = ["CHANNEL", "ARENAS", "KERNEL", "enter "];
    let lines = picture.lines().filter(|line| constant.iter().any(|word| line.starts_with(word)));
    assert_eq!(lines.clone().count(), constant.len(), "{picture}");
    for line in lines {
        assert!(readme.lines().any(|shown| shown == line), "not in the README: {line}");
    }
}
