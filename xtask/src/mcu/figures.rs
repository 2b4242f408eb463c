//! The table of figures: its file, which is TOML of the simplest kind, and its comparison with another.

use crate::Result;
use crate::board::{Board, Level};

/// Whose the figures are that are to be reached: written by hand, measured by nobody.
pub const AIM: &str = "aim";

/// By how much a figure may grow, in percent.
const ALLOWED: u64 = 2;

/// The same where the table was made by another compiler, which alone makes a difference: still less than what a
/// mistake costs.
const ALLOWED_TO_ANOTHER_COMPILER: u64 = 20;

const HEAD: &str = "\
# Figures of `cargo xtask bench mcu`, which explains itself in BENCHMARKS.md beside this file.
# Written by `--bless`, all but the sections of aims.
";

/// What a section of the table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub instruction_set: String,
    /// The level of optimisation.
    pub level: String,
    /// The crate, and which of its things.
    pub whose: String,
    /// Instructions, instructions with interrupts masked, bytes of RAM, of flash.
    pub unit: String,
}

impl Key {
    /// What was measured on `board`.
    pub fn of(board: &Board, level: Level, whose: &str, unit: &str) -> Self {
        Self {
            instruction_set: board.instruction_set().to_owned(),
            level: level.name().to_owned(),
            whose: whose.to_owned(),
            unit: unit.to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (instruction_set, rest) = text.split_once('.')?;
        let (level, rest) = rest.split_once('.')?;
        let (whose, unit) = rest.rsplit_once('.')?;
        let [instruction_set, level, unit] = [instruction_set, level, unit].map(str::to_owned);
        Some(Self { instruction_set, level, whose: quoted(whose)?.to_owned(), unit })
    }

    /// As in a section's head.
    fn text(&self) -> String {
        let Self { instruction_set, level, whose, unit } = self;
        format!("{instruction_set}.{level}.\"{whose}\".{unit}")
    }
}

/// Figures that belong together, in the order in which they were measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub key: Key,
    pub rows: Vec<(String, u32)>,
}

impl Section {
    /// The figure for `what`.
    pub fn figure(&self, what: &str) -> Option<u32> {
        self.rows.iter().find(|(name, _)| name == what).map(|(_, figure)| *figure)
    }
}

/// A whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// What built the programs.
    pub compiler: String,
    pub sections: Vec<Section>,
}

/// What came of a comparison, in words.
#[derive(Default)]
pub struct Comparison {
    /// Every figure that is another.
    pub changes: Vec<String>,
    /// What must not be.
    pub failures: Vec<String>,
}

impl Figures {
    /// None yet.
    pub fn new(compiler: String) -> Self {
        Self { compiler, sections: Vec::new() }
    }

    /// Reads a file that [`text`](Self::text) has written. Aims may have been added, in the same form.
    pub fn parse(file: &str) -> Result<Self> {
        let mut figures = Self::new(String::new());
        for (number, line) in file.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                figures.take(line).map_err(|error| format!("line {}: {error}", number + 1))?;
            }
        }
        Ok(figures)
    }

    fn take(&mut self, line: &str) -> Result {
        let strange = || format!("not a line of a table of figures: {line}");
        if let Some(head) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let key = Key::parse(head).ok_or_else(strange)?;
            if self.section(&key).is_some() {
                return Err(format!("a second section {}", key.text()));
            }
            self.sections.push(Section { key, rows: Vec::new() });
            return Ok(());
        }
        let (name, value) = line.rsplit_once(" = ").ok_or_else(strange)?;
        match self.sections.last() {
            None if name == "compiler" => {
                self.compiler = quoted(value).ok_or_else(strange)?.to_owned();
                Ok(())
            }
            None => Err(strange()),
            Some(section) => {
                let figure = value.parse().map_err(|_| strange())?;
                self.add(section.key.clone(), quoted(name).ok_or_else(strange)?, figure)
            }
        }
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = format!("{HEAD}compiler = \"{}\"\n", self.compiler);
        for section in &self.sections {
            text += &format!("\n[{}]\n", section.key.text());
            for (what, figure) in &section.rows {
                text += &format!("\"{what}\" = {figure}\n");
            }
        }
        text
    }

    /// Adds a figure behind the others of its section.
    pub fn add(&mut self, key: Key, what: &str, figure: u32) -> Result {
        if [what, &key.whose].iter().any(|name| name.contains(['"', '\\'])) {
            return Err(format!("a name with quotes: {what}"));
        }
        let index = self.sections.iter().position(|section| section.key == key);
        let index = index.unwrap_or_else(|| {
            self.sections.push(Section { key, rows: Vec::new() });
            self.sections.len() - 1
        });
        let section = &mut self.sections[index];
        if section.figure(what).is_some() {
            return Err(format!("a second figure for {what} in {}", section.key.text()));
        }
        section.rows.push((what.to_owned(), figure));
        Ok(())
    }

    /// The section of that key.
    pub fn section(&self, key: &Key) -> Option<&Section> {
        self.sections.iter().find(|section| section.key == *key)
    }

    /// Puts what was measured in the place of what `measured_again` says.
    pub fn replace(&mut self, measured: Self, measured_again: impl Fn(&Key) -> bool) {
        self.compiler.clone_from(&measured.compiler);
        self.sections.retain(|section| {
            !measured_again(&section.key) || measured.section(&section.key).is_some()
        });
        for section in measured.sections {
            match self.sections.iter_mut().find(|old| old.key == section.key) {
                Some(old) => *old = section,
                None => self.sections.push(section),
            }
        }
    }

    /// What differs in figures measured now, of those sections that `measured_again` says.
    pub fn compared_with(&self, now: &Self, measured_again: impl Fn(&Key) -> bool) -> Comparison {
        let mut comparison = Comparison::default();
        let mut allowed = ALLOWED;
        if now.compiler != self.compiler {
            allowed = ALLOWED_TO_ANOTHER_COMPILER;
            let Self { compiler, .. } = self;
            let change = format!(
                "the table is by {compiler}, this by {}: {allowed} % are allowed",
                now.compiler
            );
            comparison.changes.push(change);
        }
        for section in &now.sections {
            let key = section.key.text();
            for (what, figure) in &section.rows {
                let Some(before) = self.section(&section.key).and_then(|old| old.figure(what))
                else {
                    comparison.failures.push(format!("not in the table: {key}: {what}"));
                    continue;
                };
                if before == *figure {
                    continue;
                }
                let change = format!("{key}: {what}: {before} -> {figure}");
                if u64::from(*figure) * 100 > u64::from(before) * (100 + allowed) {
                    comparison.failures.push(format!("grown by more than {allowed} %: {change}"));
                }
                comparison.changes.push(change);
            }
        }
        for section in self.sections.iter().filter(|section| measured_again(&section.key)) {
            for (what, _) in &section.rows {
                if now.section(&section.key).and_then(|new| new.figure(what)).is_none() {
                    let key = section.key.text();
                    comparison.failures.push(format!("not measured any more: {key}: {what}"));
                }
            }
        }
        comparison
    }
}

/// What stands between quotes.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"').filter(|inner| !inner.contains('"'))
}

#[cfg(test)]
mod tests {
    use super::{Figures, Key};

    const TABLE: &str = "\
compiler = \"rustc 1\"

[thumbv7m.s.\"own\".instructions]
\"send, u32\" = 100
\"receive = 1\" = 50

[thumbv7m.s.\"aim\".instructions]
\"send, u32\" = 10
";

    fn table() -> Figures {
        Figures::parse(TABLE).expect("a table")
    }

    fn own(key: &Key) -> bool {
        key.whose == "own"
    }

    /// A measurement that agrees with the table, but for what `change` does to it.
    fn compared(change: impl FnOnce(&mut Figures)) -> Vec<String> {
        let mut now = table();
        now.sections.retain(|section| own(&section.key));
        change(&mut now);
        table().compared_with(&now, own).failures
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        assert!(table().text().ends_with(TABLE));
        assert_eq!(Figures::parse(&table().text()).as_ref(), Ok(&table()));
        for strange in ["\"a\" = 1", "[a.b.c]", "[a.b.\"c\".d]\na = 1", "[a.b.\"c\".d]\n\"a\" = x"]
        {
            assert!(Figures::parse(strange).is_err(), "{strange}");
        }
        assert!(Figures::parse(&format!("{TABLE}{TABLE}")).is_err());
    }

    #[test]
    fn growth_by_more_than_two_percent_fails() {
        assert!(compared(|_| ()).is_empty());
        assert!(compared(|now| now.sections[0].rows[0].1 = 102).is_empty());
        assert!(compared(|now| now.sections[0].rows[0].1 = 1).is_empty());
        assert_eq!(compared(|now| now.sections[0].rows[0].1 = 103).len(), 1);
        assert_eq!(compared(|now| now.sections[0].rows[1].1 = 52).len(), 1);
    }

    #[test]
    fn another_compiler_may_differ_more() {
        let with = |figure| {
            compared(|now| {
                now.compiler = "rustc 2".to_owned();
                now.sections[0].rows[0].1 = figure;
            })
        };
        assert!(with(120).is_empty());
        assert_eq!(with(121).len(), 1);
    }

    #[test]
    fn what_comes_or_goes_unasked_fails() {
        assert_eq!(compared(|now| now.sections[0].rows[0].0 = "sends".to_owned()).len(), 2);
        assert_eq!(compared(|now| drop(now.sections[0].rows.pop())).len(), 1);
        assert_eq!(compared(|now| now.sections.clear()).len(), 2);
    }

    #[test]
    fn what_was_not_measured_stays() {
        let mut written = table();
        let mut now = Figures::new("rustc 2".to_owned());
        now.sections = table().sections[..1].to_vec();
        now.sections[0].rows = vec![("send, u32".to_owned(), 90)];
        written.replace(now.clone(), own);
        assert_eq!(written.sections[0], now.sections[0]);
        assert_eq!(written.sections[1], table().sections[1]);
        assert_eq!(written.compiler, "rustc 2");
    }
}
