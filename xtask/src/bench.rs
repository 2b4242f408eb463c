//! `cargo xtask bench`: this crate's channels and those of others, side by side on the host; and instructions of
//! single paths, which are the same on a loaded machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::{host_cargo, output_of, root, run};
use crate::toolchain;

/// The package that measures: its own, so that those it compares with never reach the library's users.
const RIG: &str = "cloakroom-rig";

/// Builds both programs of the rig, which finds the other one beside itself, and runs the first with `arguments`.
pub fn host(arguments: &[&str]) -> Result {
    // The package alone: so the library has the features that the rig asks for, and no others.
    let mut build = host_cargo();
    run(build.args(["build", "--release", "--package", RIG]))?;
    let mut start = host_cargo();
    start.args(["run", "--quiet", "--release", "--package", RIG, "--bin", "rig", "--"]);
    run(start.args(arguments))
}

/// Rounds of a path, and how many more to see what one takes. Numbers of as many digits: the program's start is to
/// take the same both times.
const ROUNDS: [u32; 2] = [1_000, 3_000];

/// Prints the instructions that a round of each path takes.
pub fn instructions() -> Result {
    toolchain::install_valgrind()?;
    let program = build_instructions(&[])?;
    println!("| path | instructions |\n|---|---:|");
    for (path, name) in paths(&program)?.lines().enumerate() {
        println!("| {name} | {:.1} |", of_a_round(&program, path, name)?);
    }
    Ok(())
}

/// By how much a round may differ that does not use what a feature brings: the compiler places things anew.
const ALIKE: f64 = 0.01;

/// Compares a round of each path, none of which spills or is journalled, as built without these features and with them.
pub fn instructions_beside_features() -> Result {
    toolchain::install_valgrind()?;
    let with = build_instructions(&["--features", "beside"])?;
    let kept = with.with_file_name("instructions-beside");
    fs::copy(&with, &kept).map_err(|error| format!("cannot keep the first program: {error}"))?;
    let without = build_instructions(&[])?;
    println!("| path | without | with `spill-std` and `wal` | ratio |\n|---|---:|---:|---:|");
    let mut differ = Vec::new();
    for (path, name) in paths(&without)?.lines().enumerate() {
        let [less, more] = [of_a_round(&without, path, name)?, of_a_round(&kept, path, name)?];
        println!("| {name} | {less:.1} | {more:.1} | {:.3} |", more / less);
        if more > less * (1.0 + ALIKE) {
            differ.push(name.to_owned());
        }
    }
    if differ.is_empty() { Ok(()) } else { Err(format!("more with the features: {differ:?}")) }
}

/// The paths of a program, a line each.
fn paths(program: &Path) -> Result<String> {
    let names = output_of(&mut Command::new(program));
    names.ok_or("the program does not list its paths".into())
}

/// Instructions of a round of a path.
fn of_a_round(program: &Path, path: usize, name: &str) -> Result<f64> {
    let [few, many] = ROUNDS;
    let more = counted(program, path, many)?.checked_sub(counted(program, path, few)?);
    let more = more.ok_or_else(|| format!("{name}: more rounds took less"))?;
    Ok(more as f64 / f64::from(many - few))
}

fn build_instructions(more: &[&str]) -> Result<PathBuf> {
    let mut build = host_cargo();
    build.args(["build", "--release", "--package", "cloakroom-instructions"]).args(more);
    // In a folder whose place is known, wherever the reader's builds go.
    let folder = root().join("target");
    run(build.arg("--target-dir").arg(&folder))?;
    Ok(folder.join("release/instructions"))
}

/// Instructions of the program's whole run.
fn counted(program: &Path, path: usize, rounds: u32) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    valgrind.args([path.to_string(), rounds.to_string()]);
    let output = valgrind.output().map_err(|error| format!("cannot start valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let total =
        said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match total {
        Some(total) if output.status.success() => Ok(total),
        _ => Err(format!("callgrind did not count path {path}:\n{said}")),
    }
}
