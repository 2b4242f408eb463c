//! What readers are shown, all of it made from the results.

mod table;

use std::fs;
use std::path::Path;
use std::thread;

use crate::Result;
use crate::results::Results;

/// Writes tables and pictures into a folder, and prints them.
pub fn write(folder: &Path, results: &Results, before: Option<&Results>) -> Result {
    let _ = before;
    let tables = table::of(results);
    print!("{tables}");
    write_file(&folder.join("tables.md"), tables.as_bytes())
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
    format!("{model}, {cores} cores, {}", std::env::consts::OS)
}
