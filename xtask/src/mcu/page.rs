//! The table of figures as a page to read.

use std::fs;

use super::figures::{AIM, Figures, Key, Section};
use super::{CLOAKROOM, PEERS, Peer};
use crate::Result;
use crate::board::{Board, Level};
use crate::process::root;

/// The page, from the repository's root.
pub const PATH: &str = "boards/BENCHMARKS.md";

/// What stands before the tables.
const HEAD: &str = include_str!("page.md");

/// Units, and the heading of their table.
const UNITS: &[(&str, &str)] = &[
    ("instructions", "Instructions"),
    ("masked", "The longest critical section, in instructions"),
    ("flash", "Flash of whole programs, in bytes over an empty one"),
    ("RAM", "RAM of whole programs, in bytes over an empty one, without the stack"),
    ("bytes", "RAM, in bytes"),
];

/// The whole page.
pub fn text(figures: &Figures) -> Result<String> {
    let mut page = HEAD.replace("COMPILER", &figures.compiler).replace("PEERS", &peers()?);
    for board in Board::MEASURED {
        page += &format!("\n## {} ({})\n", board.instruction_set(), board.name);
        for peer in Peer::ALL.iter().filter(|peer| !peer.builds_for(board)) {
            let why = peer.not_for.map_or("", |(_, why)| why);
            page += &format!("\n{} does not build for it: {why}.\n", peer.name);
        }
        for (unit, heading) in UNITS {
            let table = Table { figures, board, unit };
            let rows = table.rows();
            if !rows.is_empty() {
                page += &format!(
                    "\n### {heading}\n\n| what | aim | cloakroom | others |\n|---|---:|---:|---|\n"
                );
                rows.iter().for_each(|row| page += row);
            }
        }
    }
    Ok(page)
}

/// The crates that are compared with, and their versions.
fn peers() -> Result<String> {
    let path = root().join("boards").join(PEERS).join("Cargo.lock");
    let lock = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    let names = Peer::ALL.iter().map(|peer| peer.name).chain(["embassy-executor"]);
    let versions = names.map(|name| version(name).ok_or_else(|| format!("{name} is not locked")));
    Ok(versions.collect::<Result<Vec<_>>>()?.join(", "))
}

/// One table of the page.
struct Table<'a> {
    figures: &'a Figures,
    board: &'a Board,
    unit: &'a str,
}

impl Table<'_> {
    fn section(&self, whose: &str, level: Level) -> Option<&Section> {
        self.figures.section(&Key::of(self.board, level, whose, self.unit))
    }

    /// The rows: first what others do, too, then the rest.
    fn rows(&self) -> Vec<String> {
        let sections = self.figures.sections.iter().map(|section| &section.key);
        let sections = sections.filter(|key| {
            key.instruction_set == self.board.instruction_set()
                && key.unit == self.unit
                && key.level == Level::Size.name()
        });
        let whose: Vec<&str> = sections.map(|key| key.whose.as_str()).collect();
        let others: Vec<&str> =
            whose.iter().copied().filter(|whose| ![CLOAKROOM, AIM].contains(whose)).collect();

        let mut names: Vec<&str> = Vec::new();
        for whose in std::iter::once(CLOAKROOM).chain(others.iter().copied()) {
            let section = self.section(whose, Level::Size);
            for (what, _) in section.iter().flat_map(|section| &section.rows) {
                if !names.contains(&what.as_str()) {
                    names.push(what);
                }
            }
        }
        let rows = names.iter().map(|what| {
            let aim = self.section(AIM, Level::Size).and_then(|section| section.figure(what));
            let aim = aim.map_or_else(String::new, |figure| figure.to_string());
            let own = self.figure(CLOAKROOM, what).unwrap_or_default();
            let others: Vec<String> = others
                .iter()
                .filter_map(|whose| Some(format!("{whose} {}", self.figure(whose, what)?)))
                .collect();
            (others.is_empty(), format!("| {what} | {aim} | {own} | {} |\n", others.join(", ")))
        });
        let (alone, compared): (Vec<_>, Vec<_>) = rows.partition(|(alone, _)| *alone);
        compared.into_iter().chain(alone).map(|(_, row)| row).collect()
    }

    /// The figure at both levels, or once if it is the same.
    fn figure(&self, whose: &str, what: &str) -> Option<String> {
        let at = |level| self.section(whose, level).and_then(|section| section.figure(what));
        match (at(Level::Size), at(Level::Speed)) {
            (Some(size), Some(speed)) if size != speed => Some(format!("{size} / {speed}")),
            (size, speed) => size.or(speed).map(|figure| figure.to_string()),
        }
    }
}
