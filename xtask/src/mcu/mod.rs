//! `cargo xtask bench mcu`: what operations and programs cost on microcontrollers.
//!
//! Programs under `boards/` count instructions in themselves, under QEMU. What they print is compared with a
//! table that is committed: a figure that grows fails, unless the table is changed with it.

mod figures;
mod page;

use std::fs;
use std::path::PathBuf;

use crate::Result;
use crate::board::{Board, Level};
use crate::elf::Elf;
use crate::process::root;
use crate::qemu::Run;
use crate::toolchain;
use figures::{Figures, Key};

/// Where this library's operations are counted, and what a program takes over nothing.
const OWN: &str = "costs";
const EMPTY: &str = "empty";

/// This library, in the table.
const CLOAKROOM: &str = "cloakroom";

/// A program whose size is measured.
struct Weighed {
    package: &'static str,
    binary: &'static str,
    whose: &'static str,
    what: &'static str,
}

const WEIGHED: &[Weighed] = &[
    Weighed {
        package: OWN,
        binary: "size_channel",
        whose: CLOAKROOM,
        what: "two tasks, one channel of u32, an executor",
    },
    Weighed {
        package: OWN,
        binary: "size_arena",
        whose: CLOAKROOM,
        what: "two tasks, 64-byte messages in an arena, an executor",
    },
];

/// What is measured in one go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// All.
    Everything,
    /// This library alone, for size, on the two boards that the suite runs on.
    Own,
}

impl Extent {
    fn boards(self) -> &'static [Board] {
        match self {
            Self::Everything => Board::MEASURED,
            Self::Own => Board::ALL,
        }
    }

    fn levels(self) -> &'static [Level] {
        match self {
            Self::Everything => &[Level::Size, Level::Speed],
            Self::Own => &[Level::Size],
        }
    }

    fn weighed(self) -> impl Iterator<Item = &'static Weighed> {
        WEIGHED.iter().filter(move |program| self == Self::Everything || program.whose == CLOAKROOM)
    }

    /// Whether figures of `key` are measured.
    fn has(self, key: &Key) -> bool {
        self.boards().iter().any(|board| board.instruction_set() == key.instruction_set)
            && self.levels().iter().any(|level| level.name() == key.level)
            && (self == Self::Everything || key.whose == CLOAKROOM)
            && key.whose != figures::AIM
    }
}

/// How often a program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    One,
    /// What is not the same twice is not worth a table.
    Two,
}

/// Measures, and compares with the table or writes it.
pub fn run(options: &[&str]) -> Result {
    let (mut extent, mut bless) = (Extent::Everything, false);
    for option in options {
        match *option {
            "--own" => extent = Extent::Own,
            "--bless" => bless = true,
            other => return Err(format!("not an option of `bench mcu`: {other}")),
        }
    }
    let measured = measure(extent, Runs::Two)?;
    if bless {
        return write(extent, measured);
    }
    compare(extent, &measured)
}

/// For the gate: this library's figures against the table, and the table against the page.
pub fn compare_own() -> Result {
    compare(Extent::Own, &measure(Extent::Own, Runs::One)?)?;
    if fs::read_to_string(root().join(page::PATH)).ok() == Some(page::text(&read()?)?) {
        return Ok(());
    }
    Err(format!("{} is not what the table makes of it: run `bench mcu --own --bless`", page::PATH))
}

fn table_path() -> PathBuf {
    root().join("boards/figures.toml")
}

fn read() -> Result<Figures> {
    let text = fs::read_to_string(table_path());
    Figures::parse(&text.map_err(|error| format!("cannot read the table: {error}"))?)
}

fn compare(extent: Extent, measured: &Figures) -> Result {
    let table = read()?;
    let comparison = table.compared_with(measured, |key| extent.has(key));
    for line in &comparison.changes {
        println!("{line}");
    }
    if comparison.failures.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\n(a change that is wanted is written to the table by `cargo xtask bench mcu --bless`)",
        comparison.failures.join("\n")
    ))
}

fn write(extent: Extent, measured: Figures) -> Result {
    let mut table =
        if table_path().exists() { read()? } else { Figures::new(measured.compiler.clone()) };
    if extent == Extent::Own && table.compiler != measured.compiler {
        return Err(format!(
            "the rest of the table is by {}, this by {}: bless all of it",
            table.compiler, measured.compiler
        ));
    }
    table.replace(measured, |key| extent.has(key));
    let write = |path: PathBuf, text: String| {
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    write(table_path(), table.text())?;
    write(root().join(page::PATH), page::text(&table)?)
}

fn measure(extent: Extent, runs: Runs) -> Result<Figures> {
    let mut figures: Option<Figures> = None;
    for board in extent.boards() {
        let compiler = toolchain::for_target(board.target)?.compiler()?;
        let figures = figures.get_or_insert_with(|| Figures::new(compiler));
        for &level in extent.levels() {
            build(board, level, extent)?;
            count(board, level, OWN, runs, figures)?;
            weigh(board, level, extent, figures)?;
        }
    }
    figures.ok_or_else(|| "there is no board to measure on".to_owned())
}

/// Builds everything that is measured, all binaries of a package in one go.
fn build(board: &Board, level: Level, extent: Extent) -> Result {
    let weighed = extent.weighed().filter(|program| program.package == OWN);
    let own: Vec<_> =
        [OWN, EMPTY].into_iter().chain(weighed.map(|program| program.binary)).collect();
    board.build_measured(OWN, &own, level)
}

/// Runs a program that counts, and takes down what it prints.
fn count(board: &Board, level: Level, binary: &str, runs: Runs, to: &mut Figures) -> Result {
    let program = board.program(binary, level)?;
    let output = Run::of(board, &program).counted().judged_output()?;
    if runs == Runs::Two && Run::of(board, &program).counted().unseen().judged_output()? != output {
        return Err(format!("{binary} did not print the same twice"));
    }
    let mut rows = 0;
    for line in output.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [whose, what, figure, unit] = cells[..] else {
            return Err(format!("{binary} printed a row of {} cells: {line}", cells.len()));
        };
        let figure = figure.parse().map_err(|_| format!("{binary} printed no number: {line}"))?;
        to.add(Key::of(board, level, whose, unit), what, figure)?;
        rows += 1;
    }
    if rows == 0 { Err(format!("{binary} printed no figures")) } else { Ok(()) }
}

/// Takes down what programs take of flash and RAM over an empty one.
fn weigh(board: &Board, level: Level, extent: Extent, to: &mut Figures) -> Result {
    let size = |binary| Elf::read(&board.program(binary, level)?)?.size();
    let empty = size(EMPTY)?;
    for program in extent.weighed() {
        let more = size(program.binary)? - empty;
        to.add(Key::of(board, level, program.whose, "flash"), program.what, more.flash)?;
        to.add(Key::of(board, level, program.whose, "RAM"), program.what, more.ram)?;
    }
    Ok(())
}
