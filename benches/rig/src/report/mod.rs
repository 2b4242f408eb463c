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
    let tables = tables(results);
    write_file(&folder.join("tables.md"), tables.as_bytes())?;
    write_pictures(folder, results)?;
    Ok(tables)
}

fn tables(results: &Results) -> String {
    let (rows, all) = (rows::table(results), table::of(results));
    format!("### Rows to reach\n\n{rows}\n### Workload by workload\n\n{all}")
}

fn write_pictures(folder: &Path, results: &Results) -> Result<Vec<String>> {
    let pictures = plot::all(results).into_iter();
    let written = pictures.map(|(name, picture)| {
        write_file(&folder.join(&name), picture.as_bytes())?;
        Ok(name)
    });
    written.collect()
}

/// What stands above the tables in a page.
const MARK: &str = "<!-- What follows is written by `cargo xtask bench host --publish`. -->\n";

/// Puts pictures into a folder, and tables into a page, in place of what was below the mark. The folder is named in
/// the page as it is here.
pub fn publish(page: &Path, folder: &Path, results: &Results) -> Result {
    let text = fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
    let (by_hand, _) =
        text.split_once(MARK).ok_or_else(|| format!("{} has no mark", page.display()))?;
    let pictures = write_pictures(folder, results)?;
    let pictures = pictures.iter().map(|name| format!("[{name}]({}/{name})", folder.display()));
    let pictures = pictures.collect::<Vec<_>>().join(", ");
    let tables = tables(results);
    write_file(page, format!("{by_hand}{MARK}\nPictures: {pictures}.\n\n{tables}").as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_takes_the_place_of_what_was() {
        let there = include_str!("../../../../BENCHMARKS.md");
        let (by_hand, _) = there.split_once(MARK).expect("the page has a mark");
        let folder = std::env::temp_dir().join(format!("cloakroom-rig-{}", std::process::id()));
        let page = folder.join("page.md");
        write_file(&page, there.as_bytes()).expect("a file can be written");
        let results = Results { machine: "a machine".to_owned(), rounds: 1, workloads: Vec::new() };
        for _ in 0..2 {
            publish(&page, &folder, &results).expect("the page is there");
        }
        let text = fs::read_to_string(&page).expect("it was written");
        fs::remove_dir_all(&folder).expect("it is this test's own");
        assert!(text.starts_with(by_hand));
        assert_eq!(text.matches("1 rounds on a machine").count(), 1, "{text}");
    }
}
