//! The tests of `chanmon` in a terminal that wait for something only this program can start.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::process::{Guarded, host_cargo, run as run_to_success};

/// Longer than the tests take: whatever they wait for has a limit of its own.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Builds them, as all tests are built: nothing is built twice.
pub fn build() -> Result {
    run_to_success(cargo().arg("--no-run"))
}

/// Runs those of a module, and tells them where to find things.
pub fn run(module: &str, told: &[(&str, &Path)]) -> Result {
    let mut tests = cargo();
    tests.args(["--", module, "--ignored"]).envs(told.iter().copied());
    let mut tests = Guarded::start(&mut tests)?;
    let status = tests.wait(TIME_LIMIT)?;
    let output = tests.into_output();
    if !status.success() {
        return Err(format!("what is seen is not as it should be: {status}"));
    }
    // A name that has changed would choose no test at all.
    match output.contains("test result: ok. ") && !output.contains("test result: ok. 0 passed") {
        true => Ok(()),
        false => Err(format!("there is no test in {module}")),
    }
}

fn cargo() -> Command {
    let mut cargo = host_cargo();
    cargo.args(["test", "--workspace", "--all-features", "--test", "as_seen"]);
    cargo
}
