//! Firmware that reports on itself: a recording of what leaves its serial line, and the line itself, are given to
//! the tests of `chanmon` that wait for a board.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::board::Board;
use crate::process::{Guarded, poll};
use crate::qemu::{Serial, machine};
use crate::socket::Directory;
use crate::{Result, as_seen};

/// Frames that are recorded: a dozen reports and more.
const FRAMES: usize = 300;
/// Much longer than the firmware needs for these.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Builds and starts the firmware, records it, and looks into it.
pub fn run() -> Result {
    let board = Board::named("lm3s6965evb")?;
    let program = board.build("monitor")?;
    // Before the board starts, which has to wait when nobody reads for long.
    as_seen::build()?;

    let directory = Directory::new("reports")?;
    let (_, line) = directory.pipes("line")?;
    let serial = Serial::Pipes(&line.with_extension(""));
    let mut qemu = Guarded::start(&mut machine(board, &program, &serial)?)?;
    let recording = directory.socket("recording");
    recorded(&mut qemu, &line, &recording)?;

    // It reports on, to whoever reads.
    as_seen::run("board::", &[("CLOAKROOM_RECORDING", &recording), ("CLOAKROOM_LINE", &line)])?;
    match qemu.ended()? {
        None => Ok(()),
        Some(status) => Err(format!("the firmware ended: {status}")),
    }
}

/// Records, as long as there is a board to be recorded.
fn recorded(qemu: &mut Guarded, line: &Path, recording: &Path) -> Result {
    let (line, recording) = (line.to_owned(), recording.to_owned());
    let recorder = thread::spawn(move || record(&line, &recording));
    let over = poll(TIME_LIMIT, || match qemu.ended() {
        _ if recorder.is_finished() => Some(Ok(())),
        Ok(None) => None,
        Ok(Some(status)) => Some(Err(format!("the firmware ended: {status}"))),
        Err(error) => Some(Err(error)),
    });
    // One that is not over is left behind: it waits for a line on which nothing comes any more.
    over.unwrap_or_else(|| Err("the firmware says too little".to_owned()))?;
    recorder.join().map_err(|_| "the recorder panicked".to_owned())?
}

/// Writes what comes out of the line into a file, from its first byte to the end of a frame, which is a zero.
fn record(line: &Path, recording: &Path) -> Result {
    let unread = |error| format!("cannot read the serial line: {error}");
    let mut line = File::open(line).map_err(unread)?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 512]);
    let ends = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == 0).count();
    while ends(&bytes) < FRAMES {
        match line.read(&mut piece).map_err(unread)? {
            0 => return Err("the firmware hung up".to_owned()),
            len => bytes.extend_from_slice(&piece[..len]),
        }
    }
    let end = bytes.iter().rposition(|&byte| byte == 0).map_or(0, |last| last + 1);
    fs::write(recording, &bytes[..end])
        .map_err(|error| format!("cannot write {}: {error}", recording.display()))
}
