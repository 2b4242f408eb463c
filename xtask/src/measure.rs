//! Measures firmware: instructions per operation, and the memory that programs take.

use crate::Result;
use crate::board::Board;
use crate::elf::Elf;
use crate::qemu::Run;

/// The board that is measured on.
const BOARD: &str = "lm3s6965evb";

/// Prints the table of instructions, and one of flash and RAM for `binaries`.
pub fn run(binaries: &[&str]) -> Result {
    let board = Board::named(BOARD)?;
    let program = board.build("measure")?;
    Run::of(board, &program).counted().judged()?;

    let empty = Elf::read(&board.build("empty")?)?.size()?;
    let mut rows = Vec::new();
    for binary in binaries {
        let size = Elf::read(&board.build(binary)?)?.size()?;
        rows.push((binary, size - empty));
    }
    println!();
    println!("An empty program takes {} bytes of flash and {} of RAM.", empty.flash, empty.ram);
    if !rows.is_empty() {
        println!();
        println!("| over the empty program | flash | RAM |");
        println!("|---|---:|---:|");
    }
    for (binary, more) in rows {
        println!("| {binary} | {} | {} |", more.flash, more.ram);
    }
    Ok(())
}
