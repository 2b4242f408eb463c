//! `cargo xtask test`: the steps, and what runs them.

use std::env;
use std::time::Instant;

use crate::Result;
use crate::board::Board;
use crate::demo::Watched;
use crate::elf::Elf;
use crate::process::{host_cargo, root, run};
use crate::{as_seen, demo, echo, kill, mcu, model, qemu, reports, sweep, toolchain};

/// A step: what it shows, and what it does.
type Step = (&'static str, fn() -> Result);

/// Every step. Cheap ones come first, so that a slip shows early.
const STEPS: &[Step] = &[
    ("formatting", || cargo("fmt --all --check")),
    ("formatting of firmware", || {
        // What others are compared with, and the journal, are workspaces of their own.
        let fmt =
            |folder| run(host_cargo().args(["fmt", "--check"]).current_dir(root().join(folder)));
        ["boards", "boards/peers", "benches/journal"].into_iter().try_for_each(fmt)
    }),
    ("lints", || cargo("clippy --workspace --all-targets --all-features -- -D warnings")),
    ("lints of every combination of features", lint_feature_combinations),
    ("documentation", || {
        cargo_with("RUSTDOCFLAGS", "-D warnings", "doc --workspace --all-features --no-deps")
    }),
    ("tests on the host", test_on_the_host),
    ("the log, killed", || kill::run(&kill::Amount::LITTLE)),
    ("tests on the host without features", || {
        cargo("test --package cloakroom --no-default-features")
    }),
    ("pairs of operations and memory orderings, under loom", model::loom),
    ("larger mixes, under shuttle", model::shuttle),
    ("firmware toolchain", crate::set_up),
    ("suite on a Cortex-M3", || suite("lm3s6965evb")),
    ("suite on a Cortex-M0", || suite("microbit")),
    ("the README's firmware", || Board::named("lm3s6965evb")?.build("blocks").map(drop)),
    ("no allocator in firmware", no_allocator),
    ("figures of the library on a Cortex-M3 and a Cortex-M0", mcu::compare_own),
    ("an interrupt at every instruction", sweep::run),
    ("a storm of interrupts", || storm("lm3s6965evb")),
    ("serial ports", echo::run),
    ("firmware reports", reports::run),
    ("demonstration", demo::run),
    ("demonstration, watched", || {
        demo::build(Watched::Yes)?;
        as_seen::build()?;
        let this = env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
        as_seen::run("demo::", &[("CLOAKROOM_XTASK", &this)])
    }),
];

/// The features of the library, for trying every combination.
const FEATURES: &[&str] =
    &["std", "defmt", "checksum", "stamps", "correlation", "embedded-io-async"];

/// Features of the journal, and what else changes what is built of it.
const JOURNAL: &[&[&str]] = &[
    &["journal"],
    &["journal", "defmt"],
    &["journal", "std"],
    &["flash"],
    &["flash", "defmt"],
    &["flash", "std"],
    &["wal"],
    &["wal", "defmt"],
    &["wal", "flash"],
];

/// Features of spilling, and what else changes what is built of it.
const SPILL: &[&[&str]] = &[
    &["spill"],
    &["spill", "defmt", "histograms"],
    &["spill", "std", "checksum"],
    &["spill", "flash"],
    &["spill-std"],
    &["spill-std", "wal"],
    &["spill-std", "monitor"],
];

/// Features that have others in them: tried with none of the others, and with all of them, since only what is reported
/// on depends on others.
const REPORTING: &[&str] = &["histograms", "serde", "report", "monitor"];

/// Runs every step whose name contains `word`, whatever became of the ones before it, sums up, and says
/// whether all passed.
pub fn run_all(word: &str) -> bool {
    let chosen: Vec<&Step> = STEPS.iter().filter(|(name, _)| name.contains(word)).collect();
    let mut failures = Vec::new();
    for (number, (name, step)) in chosen.iter().enumerate() {
        println!("== {} of {}: {name}", number + 1, chosen.len());
        let start = Instant::now();
        let outcome = step();
        let time = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("== ok in {time:.1} s: {name}\n"),
            Err(reason) => {
                println!("== FAILED in {time:.1} s: {name}: {reason}\n");
                failures.push((name, reason));
            }
        }
    }

    for (name, reason) in &failures {
        println!("failed: {name}: {reason}");
    }
    let passed = chosen.len() - failures.len();
    println!("{passed} passed, {} failed", failures.len());
    // A word that chooses nothing proves nothing.
    passed > 0 && failures.is_empty()
}

/// One cargo command on the host.
fn cargo(arguments: &str) -> Result {
    run(host_cargo().args(arguments.split(' ')))
}

fn cargo_with(variable: &str, value: &str, arguments: &str) -> Result {
    run(host_cargo().env(variable, value).args(arguments.split(' ')))
}

/// All tests, those in a terminal multiplexer included: without it they fail, and all others run all the same.
fn test_on_the_host() -> Result {
    let installed = toolchain::install_tmux();
    let tested = cargo_with("CLOAKROOM_TMUX_REQUIRED", "1", "test --workspace --all-features");
    installed.and(tested)
}

/// Lints the library with each set of its features: what one feature uses, another may not provide. And its tests with none, each one, and all.
fn lint_feature_combinations() -> Result {
    let sets = (0..1_u32 << FEATURES.len()).map(|set| {
        let chosen = FEATURES.iter().enumerate().filter(|(index, _)| set & 1 << index != 0);
        chosen.map(|(_, feature)| *feature).collect::<Vec<&str>>()
    });
    for chosen in sets {
        let with_tests = chosen.len() <= 1 || chosen.len() == FEATURES.len();
        lint(&chosen, if with_tests { "--all-targets" } else { "--lib" })?;
    }
    let reporting = REPORTING.iter().flat_map(|&feature| {
        let others = FEATURES.iter().copied().filter(|&other| other != "std");
        [vec![feature], others.chain(["histograms", feature]).collect()]
    });
    let lists = JOURNAL.iter().chain(SPILL).map(|set| set.to_vec());
    reporting.chain(lists).try_for_each(|chosen| lint(&chosen, "--all-targets"))
}

fn lint(features: &[&str], targets: &str) -> Result {
    let mut clippy = host_cargo();
    clippy.args(["clippy", "--quiet", "--package", "cloakroom", targets]);
    clippy.args(["--no-default-features", "--features", &features.join(",")]);
    run(clippy.args(["--", "-D", "warnings"]))
}

/// The suite in programs that fit a board's flash, one of each for a lock; the journal and spilling are under none.
const SUITES: [&str; 8] = [
    "suite_memory",
    "suite_memory_spin",
    "suite_channels",
    "suite_channels_spin",
    "suite_conformance",
    "suite_conformance_spin",
    "suite_journal",
    "suite_spill",
];

fn suite(board: &str) -> Result {
    let board = Board::named(board)?;
    for binary in SUITES {
        qemu::Run::of(board, &board.build(binary)?).judged()?;
    }
    Ok(())
}

fn storm(board: &str) -> Result {
    let board = Board::named(board)?;
    qemu::Run::of(board, &board.build("storm")?).counted().judged()
}

/// Compiles the library alone for the smallest processor, and looks for an allocator in each suite, and in
/// the firmware that reports.
fn no_allocator() -> Result {
    const TARGET: &str = "thumbv6m-none-eabi";
    let mut check = toolchain::for_target(TARGET)?.cargo("check", TARGET);
    // This processor has no compare-and-swap: the program at the end decides what stands in for it.
    let stand_in = "portable-atomic/critical-section";
    check.args(["--release", "--package", "cloakroom", "--lib", "--no-default-features"]);
    run(check.args(["--features", stand_in]))?;

    let suites = Board::ALL.iter().flat_map(|board| SUITES.map(|suite| (board, suite)));
    for (board, binary) in suites.chain([(Board::named("lm3s6965evb")?, "monitor")]) {
        let symbols = Elf::read(&board.build(binary)?)?.symbols()?;
        if symbols.is_empty() {
            return Err(format!("{binary} for {} has no symbols to look through", board.name));
        }
        if let Some(symbol) = symbols.iter().find(|symbol| belongs_to_an_allocator(symbol)) {
            return Err(format!("{binary} for {} links {symbol}", board.name));
        }
    }
    Ok(())
}

/// Whether a symbol is an allocator's entry point or a function of the allocation library, whose mangled
/// name has the crate's name after its length.
fn belongs_to_an_allocator(symbol: &str) -> bool {
    symbol.contains("__rust_alloc")
        || symbol.contains("__rg_alloc")
        || symbol.starts_with("_ZN5alloc")
        || (symbol.starts_with("_R") && symbol.contains("_5alloc"))
}
