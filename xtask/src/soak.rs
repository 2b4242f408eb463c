//! `cargo xtask soak`: tests whose length can be set, at length.

use crate::Result;
use crate::process::{host_cargo, run};

/// A test program, what to run of it, and the variable that makes it long.
const LONG: &[(&str, &str, &str, &str)] = &[
    ("totals", "", "CLOAKROOM_MESSAGES", "10000000"),
    ("memory_budget", "", "CLOAKROOM_BUDGET_BYTES", "1000000000"),
    ("runtime", "idle", "CLOAKROOM_IDLE_SECONDS", "10"),
    ("runtime", "storm", "CLOAKROOM_STORMS", "1000"),
];

/// Runs them one after the other, as some look at the whole process.
pub fn run_all() -> Result {
    for (test, filter, variable, value) in LONG {
        let mut cargo = host_cargo();
        cargo.env(variable, value);
        cargo.args(["test", "--release", "--package", "cloakroom", "--all-features"]);
        run(cargo.args(["--test", test, filter, "--", "--show-output"]))?;
    }
    Ok(())
}
