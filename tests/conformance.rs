//! The conformance matrix of the suite, and the README's table, which is made from it.
//!
//! The suite runs the matrix under each lock, here and on the boards. This file writes it anew from what the
//! channels do, for a change that is meant (`CLOAKROOM_BLESS=1 cargo test --all-features --test conformance`;
//! read the difference well), and otherwise compares.
#![cfg(all(feature = "std", not(loom)))]

use std::fmt::Write;
use std::path::Path;

use cloakroom::sync::SpinRawMutex;
use cloakroom_suite::conformance::{
    MATRIX, Observe, Operation, State, Way, kinds, lines, unlimited,
};

fn all_kinds() -> impl Iterator<Item = (&'static str, Observe)> {
    kinds::<SpinRawMutex>().iter().copied().chain([unlimited::<SpinRawMutex>()])
}

/// What the file begins with, up to the first kind.
fn legend() -> &'static str {
    MATRIX.split("\nkind ").next().unwrap_or_default()
}

/// The matrix as the channels are.
fn observed() -> String {
    let mut text = legend().trim_end().to_owned();
    text.push('\n');
    for (kind, observe) in all_kinds() {
        writeln!(text, "\nkind {kind}").expect("a string");
        for operation in Operation::ALL {
            for &way in operation.ways() {
                let mut line = format!("{:<10}{:<11}", operation.name(), way.name());
                for state in State::ALL {
                    let word = observe(operation, way, state);
                    let word = word.unwrap_or_else(|failure| {
                        panic!(
                            "{kind} {} {} {}: {failure}",
                            operation.name(),
                            way.name(),
                            state.name()
                        )
                    });
                    write!(line, "{:<18}", &*word).expect("a string");
                }
                writeln!(text, "{}", line.trim_end()).expect("a string");
            }
        }
    }
    text
}

fn is_blessing() -> bool {
    std::env::var_os("CLOAKROOM_BLESS").is_some()
}

#[test]
fn the_matrix_is_what_channels_do() {
    let observed = observed();
    if is_blessing() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/src/conformance/matrix.txt");
        std::fs::write(file, observed).expect("the matrix");
        return;
    }
    for (observed, expected) in observed.lines().zip(MATRIX.lines()) {
        assert_eq!(observed, expected);
    }
    assert_eq!(observed, MATRIX);
}

/// A kind as the README calls it.
fn title(kind: &str) -> &str {
    match kind {
        "rendezvous" => "`Rendezvous`",
        "buffered" => "`Buffered<N>`",
        "drop_newest" => "`Buffered<N, DropNewest>`",
        "drop_oldest" => "`Buffered<N, DropOldest>`",
        "conflated" => "`Conflated`",
        "priority" => "`Priority<N>`",
        "broadcast" => "`Broadcast<N>`",
        "lagging_broadcast" => "`Broadcast<N, DropOldest>`",
        "unlimited" => "`Unlimited`",
        _ => panic!("the README has no name for {kind}"),
    }
}

/// A word of the matrix as the README puts it.
fn phrase(word: &str) -> &str {
    let mut parts = word.split('/');
    match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
        ("ok", "h") => "its value goes to the hook",
        ("ok", "ch") => "the oldest value goes to the hook",
        ("ok", "rc") => "replaces the value and returns it",
        ("ok", _) => "succeeds",
        ("later", _) => "waits",
        ("full", _) => "`Full`",
        ("empty", _) => "`Empty`",
        ("closed", _) => "`Closed`",
        ("-", _) => "",
        _ => panic!("the README has no words for {word}"),
    }
}

/// The README's table, from the matrix.
fn table() -> String {
    let mut text = String::from(
        "| kind | `try_send`, no room | `send`, no room | `try_reserve`, no room | `try_recv`, nothing there | \
         `recv`, nothing there | `recv`, closed, values left |\n|---|---|---|---|---|---|---|\n",
    );
    for (kind, _) in all_kinds() {
        let word = |operation, way, state: State| {
            let line = lines(kind).find(|line| line.operation == operation && line.way == way);
            let cells = line.expect("a line of the matrix").cells;
            cells[State::ALL.iter().position(|&other| other == state).expect("a state")]
        };
        // A rendezvous has no room when nobody waits.
        let no_room = |operation, way| match word(operation, way, State::Full) {
            "-" => word(operation, way, State::Empty),
            word => word,
        };
        let cells = [
            no_room(Operation::Send, Way::Try),
            no_room(Operation::Send, Way::Async),
            no_room(Operation::Reserve, Way::Try),
            word(Operation::Recv, Way::Try, State::Empty),
            word(Operation::Recv, Way::Async, State::Empty),
            word(Operation::Recv, Way::Async, State::Closing),
        ];
        let cells = cells.map(phrase).join(" | ");
        writeln!(text, "| {} | {cells} |", title(kind)).expect("a string");
    }
    text
}

#[test]
fn the_readme_says_what_the_matrix_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&file).expect("the README");
    let table = table();
    if is_blessing() {
        let start = readme.find("| kind | `try_send`, no room").expect("the place of the table");
        let end = start + readme[start..].find("\n\n").expect("the end of the table") + 1;
        let blessed = format!("{}{table}{}", &readme[..start], &readme[end..]);
        std::fs::write(file, blessed).expect("the README");
        return;
    }
    assert!(readme.contains(&table), "the README's table is not the matrix's:\n{table}");
}
