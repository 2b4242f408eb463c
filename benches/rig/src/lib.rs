//! The rig: this crate's channels and those of others, side by side in one process, in rounds that take turns.
//!
//! A workload has participants, each of which handles so many messages and says what one took. Rounds run them in
//! turns; the results keep every round, and all tables are made of that. `BENCHMARKS.md` has the rules.

pub mod allocator;
mod crew;
mod executor;
mod figure;
mod message;
mod meter;
mod ours;
mod report;
mod results;
mod rounds;
mod rows;
mod statistics;
mod tally;
pub mod workload;
pub mod workloads;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

use allocator::Allocator;
use results::Results;
use rounds::Effort;

/// The page with the tables, and the folder with what belongs to them.
const PAGE: &str = "BENCHMARKS.md";
const PUBLISHED_FOLDER: &str = "benches/published";
const PUBLISHED: &str = "benches/published/results.json";

/// Channels side by side.
#[derive(Parser)]
#[command(name = "cargo xtask bench host")]
struct Arguments {
    /// Only workloads with one of these in their name
    filters: Vec<String>,
    /// Short rounds: seconds
    #[arg(long)]
    quick: bool,
    /// As few messages as there can be: whether it runs at all
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// Names of workloads, and nothing more
    #[arg(long)]
    list: bool,
    /// Only participants whose names begin so; ratios need two
    #[arg(long, value_name = "PARTICIPANT")]
    only: Vec<String>,
    /// Shows how ratios have changed since these results, or since those that were published
    #[arg(long, value_name = "RESULTS.json", num_args = 0..=1, require_equals = true, default_missing_value = PUBLISHED)]
    compare: Option<PathBuf>,
    /// Puts tables, pictures and results where readers of the repository find them
    #[arg(long, conflicts_with_all = ["quick", "smoke", "only", "filters"])]
    publish: bool,
    /// The folder for results
    #[arg(long, default_value = "target/bench/host")]
    out: PathBuf,
    /// Only under the allocator of this program, and nothing but results
    #[arg(long, hide = true)]
    part: bool,
}

impl Arguments {
    fn effort(&self) -> Effort {
        match (self.smoke, self.quick) {
            (true, _) => Effort::SMOKE,
            (false, true) => Effort::QUICK,
            (false, false) => Effort::FULL,
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
    }

    fn admits(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|beginning| name.starts_with(beginning))
    }
}

/// The program, under `allocator`.
pub fn main(allocator: Allocator) -> ExitCode {
    match obey(&Arguments::parse(), allocator) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What went wrong, in words.
type Result<T = ()> = std::result::Result<T, String>;

fn obey(arguments: &Arguments, allocator: Allocator) -> Result {
    let mut chosen = workloads::all();
    chosen.retain(|workload| arguments.wants(&workload.name));
    if chosen.is_empty() {
        return Err("no workload has such a name".to_owned());
    }
    if arguments.list {
        chosen.iter().for_each(|workload| println!("{}", workload.name));
        return Ok(());
    }
    for workload in &mut chosen {
        workload.subjects.retain(|subject| arguments.admits(&subject.name));
    }
    chosen.retain(|workload| !workload.subjects.is_empty());
    if chosen.is_empty() {
        return Err("nobody who takes part has such a name".to_owned());
    }
    // As its documentation asks of programs on few processors.
    crossfire::detect_backoff_cfg();
    let some_allocate = chosen.iter().any(|workload| workload.allocates);
    let mut results = measure(chosen, allocator, arguments.effort());
    if arguments.part {
        return write(&arguments.out.join("mimalloc.json"), &results);
    }
    if some_allocate {
        results.workloads.extend(measured_under_mimalloc(arguments)?.workloads);
    }
    // Before anything is written where they may lie.
    let before = arguments.compare.as_ref().map(|path| read(path)).transpose()?;
    write(&arguments.out.join("results.json"), &results)?;
    let tables = report::write(&arguments.out, &results)?;
    println!("{tables}");
    if let Some(before) = before {
        print!("{}", report::changes(&before, &results));
    }
    if arguments.publish {
        write(Path::new(PUBLISHED), &results)?;
        report::publish(Path::new(PAGE), Path::new(PUBLISHED_FOLDER), &results)?;
    }
    Ok(())
}

fn measure(chosen: Vec<workload::Workload>, allocator: Allocator, effort: Effort) -> Results {
    let measured = chosen
        .into_iter()
        .filter(|workload| allocator == Allocator::System || workload.allocates)
        .map(|workload| {
            eprintln!("{} ({})", workload.name, allocator.name());
            rounds::measure(workload, allocator, effort)
        })
        .collect();
    Results { machine: report::machine(), rounds: effort.rounds, workloads: measured }
}

/// Runs the other program, for what allocates.
fn measured_under_mimalloc(arguments: &Arguments) -> Result<Results> {
    let this = std::env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?;
    let mut other = Command::new(this.with_file_name("rig-mimalloc"));
    other.args(&arguments.filters).arg("--part").arg("--out").arg(&arguments.out);
    other.args(arguments.only.iter().map(|beginning| format!("--only={beginning}")));
    if arguments.quick {
        other.arg("--quick");
    }
    if arguments.smoke {
        other.arg("--smoke");
    }
    let status = other.status().map_err(|error| format!("cannot start rig-mimalloc: {error}"))?;
    if !status.success() {
        return Err(format!("rig-mimalloc failed: {status}"));
    }
    read(&arguments.out.join("mimalloc.json"))
}

fn read(path: &Path) -> Result<Results> {
    let text =
        fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, results: &Results) -> Result {
    let text = serde_json::to_vec(results).map_err(|error| error.to_string())?;
    report::write_file(path, &text)
}
