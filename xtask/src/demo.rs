//! The demonstration: an ECG from a microcontroller under QEMU to a server process on the host.

use std::time::Duration;

use crate::Result;
use crate::board::Board;
use crate::process::{Guarded, command, host_cargo, poll, root, run as run_to_success};
use crate::qemu::{Serial, machine};
use crate::socket::Directory;

const DATA: &str = "demo/data/ecg-mitbih-208-360hz.u16le";

/// The recording goes through in well under a minute.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// Builds both sides, connects them, and returns the monitor's verdict.
pub fn run() -> Result {
    let board = Board::named("lm3s6965evb")?;
    let program = board.build("ecg")?;
    run_to_success(
        host_cargo().args(["build", "--release", "--package", "cloakroom-demo"]).args([
            "--bin",
            "monitor",
            "--features",
            "std",
            "--target-dir",
            "target",
        ]),
    )?;

    let directory = Directory::new("demo")?;
    let (feed, frames) = (directory.socket("feed"), directory.socket("frames"));
    let serial = Serial::Sockets(&[&feed, &frames]);
    let mut qemu = Guarded::start(&mut machine(board, &program, &serial)?)?;

    let mut monitor = command("target/release/monitor");
    monitor.arg("--feed").arg(&feed).arg("--frames").arg(&frames);
    monitor.arg("--data").arg(root().join(DATA));
    let mut monitor = Guarded::start(&mut monitor)?;

    // The monitor ends by itself. QEMU does not, unless the firmware failed.
    let verdict = poll(TIME_LIMIT, || match (monitor.ended(), qemu.ended()) {
        (Err(error), _) | (_, Err(error)) => Some(Err(error)),
        (Ok(Some(status)), _) => Some(Ok(status)),
        (_, Ok(Some(status))) => Some(Err(format!("QEMU ended before the monitor: {status}"))),
        (Ok(None), Ok(None)) => None,
    });
    // The last lines they printed come before the verdict.
    drop(qemu);
    monitor.into_output();
    match verdict {
        Some(Ok(status)) if status.success() => Ok(()),
        Some(Ok(status)) => Err(format!("the monitor failed: {status}")),
        Some(Err(error)) => Err(error),
        None => Err(format!("the monitor did not end within {} s", TIME_LIMIT.as_secs())),
    }
}
