//! `chanmon top`, key by key.

use std::fs;
use std::process::Command;

use cloakroom::channel::{Buffered, Channel};
use cloakroom::std_layer::StdRawMutex;
use cloakroom::std_layer::report::Registry;
use portable_pty::CommandBuilder;

use crate::CHANMON;
use crate::busy::Busy;
use crate::screen::Screen;

/// Looks at it, often.
fn top(busy: &Busy) -> Screen {
    let socket = busy.socket();
    let socket = socket.to_str().expect("text");
    Screen::of(["top", socket, "--interval", "0.1", "--stall", "0.5"])
}

/// The line in which this is.
fn line<'t>(text: &'t str, wanted: &str) -> &'t str {
    text.lines().find(|line| line.starts_with(wanted)).unwrap_or("")
}

#[test]
fn a_busy_process_is_seen_and_keys_do_what_help_says() {
    let busy = Busy::start(&[]);
    let mut screen = top(&busy);
    screen.wait("orders that flow", |text| {
        let orders: Vec<&str> = line(text, "orders").split_whitespace().collect();
        let flows = |rate: &&str| rate.parse::<f64>().is_ok_and(|rate| rate > 0.0);
        orders.get(1..3) == Some(&["buffered", "active"]) && orders.get(5).is_some_and(flows)
    });
    let text = screen.shows(&["chanmon busy", "up ", "6 channels", "memory: ", "by place"]);
    assert!(line(&text, "CHANNEL").contains("DEPTH"), "{text}");
    assert!(line(&text, "tasks").contains(" 1 "), "a task of the kernel:\n{text}");

    // Sorted by name; then the other way round.
    let before = |text: &str, one: &str, other: &str| {
        let place = |name: &str| text.lines().position(|line| line.starts_with(name));
        place(one) < place(other) && place(one).is_some()
    };
    screen.wait("rows by name", |text| before(text, "latest", "receipts"));
    screen.press("r");
    screen.wait("rows the other way round", |text| before(text, "receipts", "latest"));
    screen.press("s");
    screen.wait("rows by kind", |text| text.contains("KIND▼") && before(text, "news", "latest"));

    screen.press("/");
    screen.shows(&["filter: _"]);
    screen.press("ord");
    screen.hides("\nnews");
    screen.press("\r");
    screen.shows(&["only `ord`", "\norders"]);

    screen.press("\r");
    screen.shows(&["channel orders", "failed sends: full", "sent without a copy", "esc back"]);
    screen.press("\x1b");
    screen.hides("channel orders");

    screen.press("?");
    screen.shows(&["freeze the picture"]);
    screen.press("?");
    screen.hides("freeze the picture");

    screen.press("f");
    let frozen = screen.shows(&["FROZEN"]);
    screen.glance();
    assert_eq!(line(&screen.text(), "orders"), line(&frozen, "orders"));
    screen.press("f");
    screen.hides("FROZEN");
    screen.wait("it to go on", |text| line(text, "chanmon") != line(&frozen, "chanmon"));

    screen.press("q");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn a_consumer_that_stops_is_told_with_the_reason() {
    let mut busy = Busy::start(&[]);
    let mut screen = top(&busy);
    screen.shows(&["\norders"]);
    screen.press("/orders\r");
    screen.shows(&["only `orders`", "active"]);
    busy.say("stall");
    screen.shows(&["orders: stalled: nothing moved for ", "full, 3 senders wait", "32/32"]);
    // Messages wait in the arena, at rest.
    screen.shows(&["▓"]);
    screen.press("\r");
    screen.shows(&[
        "Payloads that wait here",
        "ready",
        "waiting: senders 3",
        "in hand, by home: memory 0",
    ]);
    screen.press("b");
    busy.say("go");
    screen.wait("orders that flow again", |text| line(text, "orders ").contains("active"));
    screen.press("q");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn a_process_that_dies_leaves_its_last_picture() {
    let mut busy = Busy::start(&[]);
    let mut screen = top(&busy);
    screen.shows(&["\norders", "memory: "]);
    busy.kill();
    screen.shows(&["GONE since ", "UTC", "\norders", "memory: "]);
    // It can still be looked into.
    screen.press("/orders\r\r");
    screen.shows(&["channel orders"]);
    screen.press("q");
    let (status, text) = screen.end();
    assert_eq!(status, 2);
    assert!(text.contains("is gone"), "{text}");
}

#[test]
fn terminals_of_any_size_do() {
    let busy = Busy::start(&[]);
    let mut screen = top(&busy);
    screen.shows(&["\norders"]);
    for (width, height) in [(1, 1), (2, 40), (200, 2), (10, 5), (40, 10), (132, 50)] {
        screen.resize(width, height);
        screen.glance();
    }
    screen.shows(&["\norders", "WHY"]);
    screen.resize(80, 24);
    screen.hides("WHY");
    screen.press("q");
    assert_eq!(screen.end().0, 0);
}

/// A key that comes together with a change of size is a key all the same.
#[test]
fn no_key_is_lost_while_the_size_changes() {
    let busy = Busy::start(&[]);
    let mut screen = top(&busy);
    screen.shows(&["\norders"]);
    for round in 0..20 {
        screen.resize(80 + round, 24);
        screen.press("?");
        screen.shows(&["freeze the picture"]);
        screen.resize(120 - round, 24);
        screen.press("?");
        screen.hides("freeze the picture");
    }
    screen.press("q");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn being_told_to_end_gives_the_terminal_back() {
    let busy = Busy::start(&[]);
    let mut screen = top(&busy);
    screen.shows(&["\norders"]);
    let process = screen.process_id().to_string();
    let told = Command::new("kill").args(["-TERM", &process]).status().expect("runs");
    assert!(told.success());
    assert_eq!(screen.end().0, 0);
}

#[test]
fn a_recording_comes_through_standard_input_and_keys_from_the_terminal() {
    static LINE: Channel<StdRawMutex, u32, Buffered<4>> = Channel::new();
    let registry = Registry::new("recorder");
    let _line = registry.channel("line", &LINE);
    let mut recording = Vec::new();
    for number in 0..3 {
        LINE.try_send(number).expect("room");
        registry.collect().write_frames(&mut recording).expect("space");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("reports");
    fs::write(&file, recording).expect("space");
    let mut command = CommandBuilder::new("sh");
    command.args(["-c", "cat \"$1\" | \"$0\" top -", CHANMON]);
    command.arg(&file);
    let mut screen = Screen::run(command);
    screen.shows(&["recorder", "the recording ended", "\nline", "3/4", "active"]);
    screen.press("q");
    assert_eq!(screen.end().0, 0);
}
