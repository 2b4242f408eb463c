//! The serial ports, tested from outside: what goes in at the first must come out at the second.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::board::Board;
use crate::process::Guarded;
use crate::qemu::{Serial, machine};
use crate::socket::{Directory, connect};

/// More than every buffer on the way holds, so that back pressure is part of the test.
const BYTES: usize = 256 * 1024;

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends every byte value many times through the firmware `echo` and compares.
pub fn run() -> Result {
    let board = Board::named("lm3s6965evb")?;
    let program = board.build("echo")?;
    let directory = Directory::new("echo")?;
    let (input, output) = (directory.socket("in"), directory.socket("out"));

    let serial = Serial::Sockets(&[&input, &output]);
    let _qemu = Guarded::start(&mut machine(board, &program, &serial)?)?;
    // QEMU makes the second socket only once the first has its client.
    let mut sink = connect(&input)?;
    let mut source = connect(&output)?;
    let unlimited = |error| format!("cannot limit the waiting: {error}");
    sink.set_write_timeout(Some(PATIENCE)).map_err(unlimited)?;
    source.set_read_timeout(Some(PATIENCE)).map_err(unlimited)?;

    let stopped = |error| format!("the echo stopped: {error}");
    // What is sent before the firmware has set its port up is lost, so it says when it has.
    source.read_exact(&mut [0]).map_err(stopped)?;

    // The period of 251 is prime to every buffer's size, so a lost or doubled stretch shows.
    let sent: Vec<u8> = (0..BYTES).map(|index| (index % 251) as u8).collect();
    let mut received = vec![0; BYTES];
    thread::scope(|scope| {
        let writer = scope.spawn(|| sink.write_all(&sent));
        source.read_exact(&mut received).map_err(stopped)?;
        writer
            .join()
            .map_err(|_| "the writing thread panicked".to_owned())?
            .map_err(|error| format!("the firmware stopped reading: {error}"))
    })?;
    match sent.iter().zip(&received).position(|(sent, received)| sent != received) {
        None => Ok(()),
        Some(index) => Err(format!("byte {index} of {BYTES} came back changed")),
    }
}
