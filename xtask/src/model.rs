//! `cargo xtask model`: what the model checkers look at, at length.
//!
//! Loom tries every interleaving of a few operations with a bounded number of preemptions; shuttle draws
//! schedules of larger mixes. `cargo xtask test` runs both within smaller bounds.

use std::env;
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{Guarded, host_cargo, run};

/// A model checker, and the tests that run under it. It takes another build of the library, so it has a
/// target directory of its own.
struct Checker {
    name: &'static str,
    rustflags: &'static str,
    target_dir: &'static str,
    features: &'static str,
    tests: &'static [&'static str],
    /// The variable that sets the bound, and its value for a run at length.
    bound: (&'static str, &'static str),
    /// What its tests count and print.
    unit: &'static str,
}

const LOOM: Checker = Checker {
    name: "loom",
    rustflags: "--cfg loom",
    target_dir: "target/loom",
    // Lanes are beside channels on the heap only.
    features: "std",
    tests: &[
        "loom",
        "loom_biased",
        "loom_broadcast",
        "loom_channels",
        "loom_endpoints",
        "loom_fan_out",
        "loom_lanes",
        "loom_pairs",
    ],
    bound: ("CLOAKROOM_PREEMPTIONS", "3"),
    unit: "interleavings",
};

const SHUTTLE: Checker = Checker {
    name: "shuttle",
    rustflags: "--cfg shuttle",
    target_dir: "target/shuttle",
    // The journal's roles are between threads only.
    features: "wal,spill-std",
    tests: &["shuttle", "shuttle_journal", "shuttle_spill"],
    bound: ("CLOAKROOM_SCHEDULES", "100000"),
    unit: "schedules",
};

/// No run takes nearly as long.
const LIMIT: Duration = Duration::from_secs(3 * 3600);

/// Loom's models, within the bounds of every day.
pub fn loom() -> Result {
    run(&mut LOOM.command())
}

/// Shuttle's, likewise.
pub fn shuttle() -> Result {
    run(&mut SHUTTLE.command())
}

/// Runs all models at length, sums up, and says whether all passed.
pub fn run_all() -> Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    let mut summary = String::new();
    for checker in [LOOM, SHUTTLE] {
        let start = Instant::now();
        let outcome = checker.at_length()?;
        summary += &outcome.models;
        summary += &format!(
            "{}: {} {} in {:.0} s\n",
            checker.name,
            grouped(outcome.count),
            checker.unit,
            start.elapsed().as_secs_f64()
        );
        passed += outcome.passed;
        failed += outcome.failed;
    }
    println!("\n{summary}{passed} passed, {failed} failed");
    Ok(passed > 0 && failed == 0)
}

/// What came of one checker's tests.
struct Outcome {
    /// A line for each model.
    models: String,
    /// What was counted, in all.
    count: u64,
    passed: usize,
    failed: usize,
}

impl Checker {
    fn command(&self) -> std::process::Command {
        let mut command = host_cargo();
        command.env("RUSTFLAGS", self.rustflags).env("CARGO_TARGET_DIR", self.target_dir);
        command.args(["test", "--release", "--package", "cloakroom", "--no-fail-fast"]);
        command.args(["--features", self.features]);
        for test in self.tests {
            command.args(["--test", test]);
        }
        command
    }

    fn at_length(&self) -> Result<Outcome> {
        let (variable, usual) = self.bound;
        // Whoever sets it wants something else.
        let bound = env::var(variable).unwrap_or(usual.to_owned());
        println!("{}, {variable}={bound}", self.name);
        let mut command = self.command();
        command.env(variable, bound).args(["--", "--show-output"]);
        let mut tests = Guarded::start(&mut command)?;
        let status = tests.wait(LIMIT)?;
        let outcome = self.read(&tests.into_output())?;
        // A test that was ended by a signal has no line of its own.
        if !status.success() && outcome.failed == 0 {
            return Err(format!("the tests under {} ended with {status}", self.name));
        }
        Ok(outcome)
    }

    /// Reads what the tests have printed, and what the test harness says of them:
    ///
    /// ```text
    /// ---- module::name stdout ----
    /// 123 interleavings
    ///
    /// test result: ok. 7 passed; 0 failed; …
    /// ```
    fn read(&self, output: &str) -> Result<Outcome> {
        let mut outcome = Outcome { models: String::new(), count: 0, passed: 0, failed: 0 };
        let mut model = "";
        for line in output.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["----", name, "stdout", "----"] => model = name,
                [number, unit, ..] if unit.trim_end_matches(',') == self.unit => {
                    let number: u64 = number.parse().map_err(|_| format!("not a count: {line}"))?;
                    outcome.count += number;
                    outcome.models += &format!(
                        "{:>15} {}  {} {model}\n",
                        grouped(number),
                        words[1..].join(" "),
                        self.name
                    );
                }
                ["test", "result:", _, passed, "passed;", failed, "failed;", ..] => {
                    outcome.passed += passed.parse::<usize>().unwrap_or(0);
                    outcome.failed += failed.parse::<usize>().unwrap_or(0);
                }
                _ => {}
            }
        }
        Ok(outcome)
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
