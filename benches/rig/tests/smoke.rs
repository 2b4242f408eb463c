//! The whole rig, with as few messages as there can be. It checks the messages itself; here it is whether everything
//! takes part, and comes out. Nothing is said about time.

use std::fs;
use std::path::Path;
use std::process::Command;

fn rig(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rig")).args(arguments).output();
    let output = output.expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it speaks UTF-8")
}

#[test]
fn every_workload_runs_and_is_shown() {
    // It is looked for beside the first.
    let other = Path::new(env!("CARGO_BIN_EXE_rig-mimalloc"));
    assert_eq!(other.parent(), Path::new(env!("CARGO_BIN_EXE_rig")).parent());

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("smoke");
    let out = folder.to_str().expect("it is UTF-8");
    let tables = rig(&["--smoke", "--out", out]);
    let names = rig(&["--list"]);
    assert!(names.lines().count() > 50, "{names}");
    for name in names.lines() {
        let (_, table) = tables
            .split_once(&format!("\n| {name} (system) |"))
            .unwrap_or_else(|| panic!("{name} is not shown"));
        let ours = table.lines().find(|line| line.starts_with("| cloakroom | "));
        assert!(ours.is_some_and(|line| line.contains(|c: char| c.is_ascii_digit())), "{name}");
    }
    assert!(tables.contains("(mimalloc)") && tables.contains("### Rows to reach"));
    for file in ["threads.svg", "tables.md"] {
        assert!(fs::metadata(folder.join(file)).is_ok_and(|file| file.len() > 1_000), "{file}");
    }

    // Compared with what was kept.
    let compare = format!("--compare={out}/results.json");
    let again = rig(&["--smoke", "--out", &format!("{out}/again"), "pair/u64/128", &compare]);
    assert!(again.ends_with("1 workloads compared\n"), "{again}");
}

#[test]
fn a_workload_that_does_not_exist_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_rig")).arg("no-such-thing").output();
    let output = output.expect("it can be started");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no workload has such a name"));
}
