//! What readers are shown, all of it made from the results.

mod compare;
mod plot;
mod table;

use std::fs;
use std::path::Path;
use std::thread;

use crate::Result;
use crate::results::Results;
use crate::rows;

pub use compare::changes;

/// Writes tables and pictures into a folder, and returns the tables.
pub fn write(folder: &Path, results: &Results) -> Result<String> {
    let tables = format!("{}\n### Rows to reach\n\n{}", table::of(results), rows::table(results));
    write_file(&folder.join("tables.md"), tables.as_bytes())?;
    for (name, picture) in plot::all(results) {
        write_file(&folder.join(name), picture.as_bytes())?;
    }
    Ok(tables)
}

/// What stands above the tables in a page.
const MARK: &str = "<!-- What follows is written by `cargo xtask bench host --publish`. -->\n";

/// Puts the tables into a page, in place of those that were there.
pub fn publish(page: &Path, tables: &str) -> Result {
    let text = fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
    let (by_hand, _) =
        text.split_once(MARK).ok_or_else(|| format!("{} has no mark", page.display()))?;
    write_file(page, format!("{by_hand}{MARK}\n{tables}").as_bytes())
}

/// Writes a file, and the folders that it lies in.
pub fn write_file(path: &Path, contents: &[u8]) -> Result {
    let write = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, contents)
    };
    write().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The kind of machine this is: its processor, and how many.
pub fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    let described = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        described.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    let is_virtual = described.lines().any(|line| {
        line.starts_with("flags") && line.split_whitespace().any(|flag| flag == "hypervisor")
    });
    let kind = if is_virtual { "virtual machine" } else { "machine" };
    format!("{model}, {cores} cores, {} {kind}", std::env::consts::OS)
}
