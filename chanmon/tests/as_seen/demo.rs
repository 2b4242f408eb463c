//! The ECG demonstration, watched from inside: `cargo xtask test "demonstration, watched"` builds it and runs these.

use std::process::{Command, Stdio};

use portable_pty::CommandBuilder;

use crate::screen::Screen;
use crate::{cells, told};

#[test]
#[ignore = "waits for the demonstration"]
fn the_demonstration_is_seen_from_inside_and_reports_when_it_is_over() {
    let mut command = CommandBuilder::new(told("CLOAKROOM_XTASK"));
    command.args(["demo", "--watch"]);
    let mut screen = Screen::run(command);
    screen.wait("pieces that flow", |text| {
        let row = cells(text, "pieces");
        let flows = |rate: &&str| rate.parse::<f64>().is_ok_and(|rate| rate > 0.0);
        row.get(1) == Some(&"buffered") && row.get(6).is_some_and(flows)
    });
    let text =
        screen.shows(&["chanmon ecg monitor", "memory: ", " of 64 pages of 256 B", "KERNEL"]);
    assert_eq!(cells(&text, "tasks").get(1), Some(&"1"), "the task that watches:\n{text}");
    screen.shows(&["GONE since "]);
    screen.press("q");
    let (status, text) = screen.end();
    assert_eq!(status, 0, "{text}");
    assert!(text.trim_end().ends_with("everything arrived"), "{text}");
}

#[test]
#[ignore = "waits for the demonstration"]
fn watching_needs_a_terminal() {
    let mut command = Command::new(told("CLOAKROOM_XTASK"));
    let output = command.args(["demo", "--watch"]).stdin(Stdio::null()).output().expect("runs");
    let complaint = String::from_utf8(output.stderr).expect("text");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{complaint}");
    assert!(complaint.contains("needs a terminal"), "{complaint}");
}
