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

/// The package of other crates' operations and programs.
const PEERS: &str = "peers";

/// A program that counts operations of another crate.
struct Peer {
    /// The crate.
    name: &'static str,
    binary: &'static str,
    /// An instruction set that the crate does not build for, and why.
    not_for: Option<(&'static str, &'static str)>,
}

impl Peer {
    const ALL: &[Self] = &[
        Self { name: "embassy-sync", binary: "peer_embassy", not_for: None },
        Self { name: "heapless", binary: "peer_heapless", not_for: None },
        Self { name: "bbqueue", binary: "peer_bbqueue", not_for: None },
        Self {
            name: "thingbuf",
            binary: "peer_thingbuf",
            not_for: Some(("thumbv6m", "it takes compare-and-swap from the core library")),
        },
        Self { name: "rtic-sync", binary: "peer_rtic", not_for: None },
        Self { name: "maitake-sync", binary: "peer_maitake", not_for: None },
    ];

    fn builds_for(&self, board: &Board) -> bool {
        self.not_for.is_none_or(|(instruction_set, _)| instruction_set != board.instruction_set())
    }
}

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
    Weighed {
        package: PEERS,
        binary: "size_embassy",
        whose: "embassy",
        what: "two tasks, one channel of u32, an executor",
    },
];

/// What is measured in one go.
#[derive(Clone, Copy)]
struct Extent<'a> {
    /// This library alone, for size, on the two boards that the suite runs on.
    own: bool,
    /// This library with the feature `spill`, which nothing that is counted uses.
    spill: bool,
    /// Only on the board of this instruction set.
    instruction_set: Option<&'a str>,
}

impl Extent<'_> {
    /// What the gate measures.
    const GATE: Self = Self { own: true, spill: false, instruction_set: None };

    fn boards(self) -> impl Iterator<Item = &'static Board> {
        let boards = if self.own { Board::ALL } else { Board::MEASURED };
        boards.iter().filter(move |board| {
            self.instruction_set.is_none_or(|only| only == board.instruction_set())
        })
    }

    fn levels(self) -> &'static [Level] {
        if self.own { &[Level::Size] } else { &[Level::Size, Level::Speed] }
    }

    fn peers(self, board: &Board) -> impl Iterator<Item = &'static Peer> {
        Peer::ALL.iter().filter(move |peer| !self.own && peer.builds_for(board))
    }

    fn weighed(self) -> impl Iterator<Item = &'static Weighed> {
        WEIGHED.iter().filter(move |program| !self.own || program.whose == CLOAKROOM)
    }

    /// Whether figures of `key` are measured.
    fn has(self, key: &Key) -> bool {
        self.boards().any(|board| board.instruction_set() == key.instruction_set)
            && self.levels().iter().any(|level| level.name() == key.level)
            && (!self.own || key.whose == CLOAKROOM)
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
    let mut extent = Extent { own: false, spill: false, instruction_set: None };
    let mut bless = false;
    for &option in options {
        match option {
            "--own" => extent.own = true,
            "--spill" => extent.spill = true,
            "--bless" => bless = true,
            name if Board::MEASURED.iter().any(|board| board.instruction_set() == name) => {
                extent.instruction_set = Some(name);
            }
            other => return Err(format!("not an option of `bench mcu`: {other}")),
        }
    }
    if bless && extent.spill {
        return Err("the table is of what is built without features".into());
    }
    let measured = measure(extent, Runs::Two)?;
    if bless {
        return write(extent, measured);
    }
    compare(extent, &measured)
}

/// For the gate: this library's figures against the table, and the table against the page.
pub fn compare_own() -> Result {
    compare(Extent::GATE, &measure(Extent::GATE, Runs::One)?)?;
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

fn compare(extent: Extent<'_>, measured: &Figures) -> Result {
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

fn write(extent: Extent<'_>, measured: Figures) -> Result {
    let mut table =
        if table_path().exists() { read()? } else { Figures::new(measured.compiler.clone()) };
    let partly = extent.own || extent.instruction_set.is_some();
    if partly && table.compiler != measured.compiler {
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

fn measure(extent: Extent<'_>, runs: Runs) -> Result<Figures> {
    let mut figures: Option<Figures> = None;
    for board in extent.boards() {
        let compiler = toolchain::for_target(board.target)?.compiler()?;
        let figures = figures.get_or_insert_with(|| Figures::new(compiler));
        for &level in extent.levels() {
            build(board, level, extent)?;
            count(board, level, OWN, runs, figures)?;
            for peer in extent.peers(board) {
                count(board, level, peer.binary, runs, figures)?;
            }
            weigh(board, level, extent, figures)?;
        }
    }
    figures.ok_or_else(|| "there is no board to measure on".to_owned())
}

/// Builds everything that is measured, all binaries of a package in one go.
fn build(board: &Board, level: Level, extent: Extent<'_>) -> Result {
    let weighed = |package| {
        let of_package = extent.weighed().filter(move |program| program.package == package);
        of_package.map(|program| program.binary)
    };
    let own: Vec<_> = [OWN, EMPTY].into_iter().chain(weighed(OWN)).collect();
    let features: &[_] = if extent.spill { &["--features", "spill"] } else { &[] };
    board.build_measured(OWN, &own, level, features)?;
    let peers: Vec<_> = extent.peers(board).map(|peer| peer.binary).chain(weighed(PEERS)).collect();
    if peers.is_empty() { Ok(()) } else { board.build_measured(PEERS, &peers, level, &[]) }
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
fn weigh(board: &Board, level: Level, extent: Extent<'_>, to: &mut Figures) -> Result {
    let size = |binary| Elf::read(&board.program(binary, level)?)?.size();
    let empty = size(EMPTY)?;
    for program in extent.weighed() {
        let more = size(program.binary)? - empty;
        to.add(Key::of(board, level, program.whose, "flash"), program.what, more.flash)?;
        to.add(Key::of(board, level, program.whose, "RAM"), program.what, more.ram)?;
    }
    Ok(())
}
