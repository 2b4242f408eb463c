//! `cargo xtask bench`: this crate's channels and those of others, side by side on the host.

use crate::Result;
use crate::process::{host_cargo, run};

/// The package that measures: its own, so that those it compares with never reach the library's users.
const RIG: &str = "cloakroom-rig";

/// Builds the rig, and runs it with `arguments`.
pub fn host(arguments: &[&str]) -> Result {
    rig("release", arguments)
}

/// Builds both programs of the rig, which finds the other one beside itself, and runs the first.
fn rig(profile: &str, arguments: &[&str]) -> Result {
    // The package alone: so the library has the features that the rig asks for, and no others.
    let mut build = host_cargo();
    run(build.args(["build", "--profile", profile, "--package", RIG]))?;
    let mut start = host_cargo();
    start.args(["run", "--quiet", "--profile", profile, "--package", RIG, "--bin", "rig", "--"]);
    run(start.args(arguments))
}
