//! Runs firmware under QEMU and says whether it passed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::board::Board;
use crate::process::{Guarded, command};
use crate::toolchain;

/// Longer than any program here takes on a slow machine: whatever runs on is stuck.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Where a board's serial lines go.
pub enum Serial<'a> {
    /// Nowhere.
    Unconnected,
    /// To Unix sockets that QEMU makes, in this order. It waits for a client on each before it starts.
    Sockets(&'a [&'a Path]),
    /// The first of them to a pair of named pipes, `PATH.in` and `PATH.out`. Nobody has to be there: what is
    /// written waits in the pipe.
    Pipes(&'a Path),
}

/// The command line that runs `program` on `board`.
pub fn machine(board: &Board, program: &Path, serial: &Serial<'_>) -> Result<Command> {
    machine_told(board, program, serial, None)
}

/// As [`machine`], with an argument for the program.
pub fn machine_told(
    board: &Board,
    program: &Path,
    serial: &Serial<'_>,
    argument: Option<&str>,
) -> Result<Command> {
    toolchain::install_qemu()?;
    let mut qemu = command("qemu-system-arm");
    qemu.args(["-M", board.name, "-display", "none", "-monitor", "none"]);
    let argument = argument.map_or_else(String::new, |argument| format!(",arg={argument}"));
    qemu.arg("-semihosting-config").arg(format!("enable=on,target=native{argument}"));
    match serial {
        Serial::Unconnected => {
            qemu.args(["-serial", "none"]);
        }
        Serial::Pipes(path) => {
            qemu.arg("-serial").arg(format!("pipe:{}", path.display()));
        }
        Serial::Sockets(sockets) => {
            for socket in *sockets {
                qemu.arg("-serial").arg(format!("unix:{},server=on,wait=on", socket.display()));
            }
        }
    }
    qemu.arg("-kernel").arg(program);
    Ok(qemu)
}

/// One run of a program that tests itself.
pub struct Run<'a> {
    board: &'a Board,
    program: &'a Path,
    counted: bool,
    seen: bool,
}

impl<'a> Run<'a> {
    /// Of `program` on `board`.
    pub fn of(board: &'a Board, program: &'a Path) -> Self {
        Self { board, program, counted: false, seen: true }
    }

    /// Lets virtual time follow the instructions executed, so that timers count them.
    pub fn counted(mut self) -> Self {
        self.counted = true;
        self
    }

    /// Keeps the program's output from the terminal.
    pub fn unseen(mut self) -> Self {
        self.seen = false;
        self
    }

    /// Counted if `binary` is one that measures, or that wants its interrupts at the same instructions
    /// in every run.
    pub fn for_binary(self, binary: &str) -> Self {
        let counts = ["storm", "sweep"].iter().any(|name| binary.starts_with(name));
        if counts { self.counted() } else { self }
    }

    /// Runs the program, shows its output unless told otherwise, and requires both a successful exit and the closing line:
    /// either alone could be an accident of a program gone astray.
    pub fn judged(self) -> Result {
        self.judged_output().map(drop)
    }

    /// As [`judged`](Self::judged); returns what the program printed.
    pub fn judged_output(self) -> Result<String> {
        let mut qemu = machine(self.board, self.program, &Serial::Unconnected)?;
        if self.counted {
            qemu.arg("-icount").arg(format!("shift={}", self.board.instruction_shift));
        }
        let start = if self.seen { Guarded::start } else { Guarded::start_unseen };
        let mut qemu = start(&mut qemu)?;
        let status = qemu.wait(TIME_LIMIT)?;
        let output = qemu.into_output();
        let name = self.board.name;
        if !status.success() {
            return Err(format!("the firmware on {name} failed: {status}"));
        }
        if !output.lines().any(closes_well) {
            return Err(format!("the firmware on {name} ended without `N passed, 0 failed`"));
        }
        Ok(output)
    }
}

/// Whether `line` is the closing line of a run in which at least one test passed and none failed.
fn closes_well(line: &str) -> bool {
    line.trim_end()
        .strip_suffix(" passed, 0 failed")
        .and_then(|count| count.parse::<u32>().ok())
        .is_some_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::closes_well;

    #[test]
    fn only_a_line_of_its_own_with_a_test_and_no_failure_closes_well() {
        assert!(closes_well("12 passed, 0 failed"));
        assert!(closes_well("12 passed, 0 failed\r"));
        for other in [
            "0 passed, 0 failed",
            "12 passed, 1 failed",
            "so 12 passed, 0 failed",
            " passed, 0 failed",
        ] {
            assert!(!closes_well(other), "{other}");
        }
    }
}
