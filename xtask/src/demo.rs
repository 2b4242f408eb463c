//! The demonstration: an ECG from a microcontroller under QEMU to a server process on the host.

use std::io::{IsTerminal, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::Result;
use crate::board::Board;
use crate::process::{Guarded, command, host_cargo, poll, root, run as run_to_success};
use crate::qemu::{Serial, machine};
use crate::socket::Directory;

const DATA: &str = "demo/data/ecg-mitbih-208-360hz.u16le";

/// The recording goes through in well under a minute.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// Whether somebody looks into the monitor while it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    Yes,
    No,
}

/// The programs, running.
struct Running {
    qemu: Guarded,
    monitor: Guarded,
}

/// Builds both sides, connects them, and returns the monitor's verdict.
pub fn run() -> Result {
    let program = build(Watched::No)?;
    let directory = Directory::new("demo")?;
    let mut running = Running::start(&program, &directory, None)?;
    let verdict = running.verdict();
    // The last lines they printed come before the verdict.
    running.into_output();
    verdict
}

/// As [`run`], with the terminal for `chanmon top`, which looks into the monitor.
pub fn run_watched() -> Result {
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        return Err("`demo --watch` needs a terminal. Without one: `cargo xtask demo`".to_owned());
    }
    let program = build(Watched::Yes)?;
    let directory = Directory::new("demo")?;
    let socket = directory.socket("inside");
    let mut running = Running::start(&program, &directory, Some(&socket))?;
    // If it ends before, its verdict says why.
    let is_there =
        || (socket.exists() || !matches!(running.monitor.ended(), Ok(None))).then_some(());
    if poll(TIME_LIMIT, is_there).is_some() && socket.exists() {
        // Whatever it says of the monitor's end, the verdict is the monitor's.
        let mut top = command("target/debug/chanmon");
        top.arg("top").arg(&socket).status().map_err(|error| format!("chanmon: {error}"))?;
        println!("the demonstration's own report follows when it has ended");
    }
    let verdict = running.verdict();
    print!("{}", running.into_output());
    verdict
}

/// Builds all that runs, and returns the firmware.
pub fn build(watched: Watched) -> Result<PathBuf> {
    let program = Board::named("lm3s6965evb")?.build("ecg")?;
    let cargo = |arguments: &[&str]| {
        run_to_success(host_cargo().args(["build", "--target-dir", "target"]).args(arguments))
    };
    cargo(&["--release", "--package", "cloakroom-demo", "--bin", "monitor", "--features", "std"])?;
    if watched == Watched::Yes {
        // Not optimised: that takes longer than the demonstration.
        cargo(&["--package", "chanmon"])?;
    }
    Ok(program)
}

impl Running {
    /// Starts and connects them. Who is looked into at a socket leaves the terminal alone.
    fn start(program: &Path, directory: &Directory, inside: Option<&Path>) -> Result<Self> {
        let start = if inside.is_some() { Guarded::start_unseen } else { Guarded::start };
        let (feed, frames) = (directory.socket("feed"), directory.socket("frames"));
        let serial = Serial::Sockets(&[&feed, &frames]);
        let qemu = start(&mut machine(Board::named("lm3s6965evb")?, program, &serial)?)?;

        let mut monitor = command("target/release/monitor");
        monitor.arg("--feed").arg(&feed).arg("--frames").arg(&frames);
        monitor.arg("--data").arg(root().join(DATA));
        monitor.args(inside.iter().flat_map(|path| [Path::new("--serve"), path]));
        Ok(Self { qemu, monitor: start(&mut monitor)? })
    }

    /// Waits for the monitor, which ends by itself. QEMU does not, unless the firmware failed.
    fn verdict(&mut self) -> Result {
        let end = poll(TIME_LIMIT, || match (self.monitor.ended(), self.qemu.ended()) {
            (Err(error), _) | (_, Err(error)) => Some(Err(error)),
            (Ok(Some(status)), _) => Some(judge(status)),
            (_, Ok(Some(status))) => Some(Err(format!("QEMU ended before the monitor: {status}"))),
            (Ok(None), Ok(None)) => None,
        });
        end.unwrap_or_else(|| {
            Err(format!("the monitor did not end within {} s", TIME_LIMIT.as_secs()))
        })
    }

    /// Ends them, and returns what they said: the firmware, then the monitor.
    fn into_output(self) -> String {
        self.qemu.into_output() + &self.monitor.into_output()
    }
}

fn judge(status: ExitStatus) -> Result {
    if status.success() { Ok(()) } else { Err(format!("the monitor failed: {status}")) }
}
