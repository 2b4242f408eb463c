//! An interrupt at every instruction: runs the sweep, and checks from outside that it was complete.
//!
//! The firmware tells which instructions it has interrupted, as a count and a hash. Which ones it should
//! have been is found out without it: QEMU traces one undisturbed run of each operation, instruction by
//! instruction, and those that were executed with interrupts masked are taken away.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::board::Board;
use crate::elf::Elf;
use crate::process::{Guarded, root};
use crate::qemu::{self, Run, Serial};

const BOARD: &str = "lm3s6965evb";
const BINARY: &str = "sweep";
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// `cpsid i`, which masks interrupts, and `cpsie i`, which ends all masking.
const CPSID_I: u16 = 0xB672;
const CPSIE_I: u16 = 0xB662;
/// The two halfwords of `msr primask, rN`. A critical section ends with it, and makes things as they were
/// before its own `cpsid`.
const MSR: u16 = 0xF380;
const MSR_PRIMASK: u16 = 0x8810;

/// Runs the sweep and compares.
pub fn run() -> Result {
    let board = Board::named(BOARD)?;
    let program = board.build(BINARY)?;
    let swept = swept(&Run::of(board, &program).counted().judged_output()?);
    let traced = trace(board, &program)?;

    if swept.is_empty() || swept.len() != traced.len() {
        let (swept, traced) = (swept.len(), traced.len());
        return Err(format!("{swept} operations were swept and {traced} traced"));
    }
    let mut instructions = 0;
    for (sweep, addresses) in swept.iter().zip(&traced) {
        let expected = (addresses.len(), hash(addresses));
        if addresses.is_empty() || (sweep.count, sweep.hash) != expected {
            return Err(format!(
                "{}: {} instructions were interrupted, of {} that could be (hashes {:08x}, {:08x})",
                sweep.name, sweep.count, expected.0, sweep.hash, expected.1
            ));
        }
        instructions += sweep.count;
    }
    println!(
        "each of {instructions} instructions of {} operations was interrupted, as a trace of them confirms",
        swept.len()
    );
    Ok(())
}

/// What the firmware says of an operation.
struct Sweep {
    name: String,
    count: usize,
    hash: u32,
}

/// The lines `swept NAME: … runs, … instructions, hash …`.
fn swept(output: &str) -> Vec<Sweep> {
    let parse = |line: &str| {
        let (name, rest) = line.strip_prefix("swept ")?.split_once(": ")?;
        let mut parts = rest.split(", ").skip(1);
        let count = parts.next()?.strip_suffix(" instructions")?.parse().ok()?;
        let hash = parts.next()?.strip_prefix("hash ")?;
        Some(Sweep { name: name.to_owned(), count, hash: u32::from_str_radix(hash, 16).ok()? })
    };
    output.lines().filter_map(parse).collect()
}

/// As the firmware does it: FNV-1a over the addresses in ascending order, a word at a time.
fn hash(addresses: &BTreeSet<u32>) -> u32 {
    addresses.iter().fold(0x811c_9dc5, |hash: u32, &at| (hash ^ at).wrapping_mul(0x0100_0193))
}

/// For each operation, the instructions that are executed with interrupts on.
fn trace(board: &Board, program: &Path) -> Result<Vec<BTreeSet<u32>>> {
    let log = root().join("boards/target").join("sweep-trace.log");
    let mut machine = qemu::machine_told(board, program, &Serial::Unconnected, Some("trace"))?;
    machine.args(["-singlestep", "-d", "exec,nochain", "-D"]).arg(&log);
    let mut machine = Guarded::start(&mut machine)?;
    let status = machine.wait(TIME_LIMIT)?;
    if !status.success() {
        return Err(format!("the traced firmware failed: {status}"));
    }
    let file = File::open(&log).map_err(|error| format!("cannot read the trace: {error}"))?;
    let addresses = BufReader::new(file).lines().map_while(|line| line.ok()).filter_map(|line| {
        // Trace 0: 0x7f0000000000 [flags/address/flags/flags] name
        let (_, rest) = line.strip_prefix("Trace ")?.split_once('[')?;
        u32::from_str_radix(rest.split('/').nth(1)?, 16).ok()
    });
    let operations = interruptible(&Elf::read(program)?, addresses)?;
    // Some megabytes that nobody looks at after this.
    let _ = std::fs::remove_file(&log);
    Ok(operations)
}

/// Takes a trace apart: an operation is what runs between leaving and entering `perform`.
fn interruptible(elf: &Elf, addresses: impl Iterator<Item = u32>) -> Result<Vec<BTreeSet<u32>>> {
    let perform = elf.function("perform")?..elf.function("perform_end")?;
    let mut operations = Vec::new();
    let mut current: Option<BTreeSet<u32>> = None;
    let mut masked = 0u32;
    // Its last instruction, of two bytes, returns.
    let returns = perform.end - 2;
    let mut last = 0;
    for address in addresses {
        let before = std::mem::replace(&mut last, address);
        if perform.contains(&address) {
            operations.extend(current.take());
            continue;
        }
        if perform.contains(&before) && before != returns {
            current = Some(BTreeSet::new());
            masked = 0;
        }
        let Some(operation) = &mut current else { continue };
        if masked == 0 {
            operation.insert(address);
        }
        match elf.code(address)? {
            CPSID_I => masked += 1,
            CPSIE_I => masked = 0,
            code if code & 0xFFF0 == MSR && elf.code(address + 2)? & 0xFFF0 == MSR_PRIMASK => {
                masked = masked.saturating_sub(1);
            }
            _ => {}
        }
    }
    Ok(operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let output = "x\nswept a, b: 7 runs, 5 instructions, hash 000000ff, 0 wrong\n1 passed";
        let found = swept(output);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].count, found[0].hash), ("a, b", 5, 255));
    }

    #[test]
    fn the_hash_depends_on_each_address() {
        let all: BTreeSet<u32> = [2, 4, 6].into();
        let some: BTreeSet<u32> = [2, 6].into();
        assert_ne!(hash(&all), hash(&some));
    }
}
