//! A burst that is fifty times the memory: a producer that does not wait, a consumer that is slow, and 1 MiB for what is
//! between them. What does not fit goes to a file, and comes back in order.
//!
//! ```text
//! cargo run --release --features spill-std --example burst -- /var/tmp
//! ```

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::Duration;

use cloakroom::spill::{Class, Policy, Spill, SpillSnapshot, Watermarks};
use cloakroom::std_layer::spill::{FileTarget, bounded};
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock, block_on};

const MESSAGE: usize = 1024;

/// Sends so many messages as fast as it goes, and receives them with a pause now and then.
fn burst(
    directory: &Path,
    messages: u32,
    pause: Duration,
) -> Result<SpillSnapshot, Box<dyn Error>> {
    let arena = MappedArena::<Lock>::new(1 << 20, MESSAGE, 1024)?;
    let file = FileTarget::new(directory, [Class { bytes: MESSAGE as u32, count: messages }])?;
    let spill = Spill::over(&arena, &file, Watermarks::default());
    let queue = bounded(&spill, Policy::ColdFirst, messages as usize);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..messages {
                let sent = block_on(queue.send_bytes(&number.to_le_bytes().repeat(MESSAGE / 4)));
                if sent.is_err() {
                    return;
                }
            }
            queue.close();
        });
        for number in 0.. {
            let Ok(message) = block_on(queue.recv()) else { break };
            if message[..4] != u32::to_le_bytes(number) {
                return Err("out of order");
            }
            if number % 64 == 0 {
                thread::sleep(pause);
                // In a program with a loop of its own: there. It moves what comes next back into memory.
                queue.step(64 << 10);
            }
        }
        Ok(())
    })?;
    Ok(spill.snapshot())
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let snapshot = burst(Path::new(&directory), 50 << 10, Duration::from_millis(1))?;
    println!("{} of {} messages went to {directory}, and came back", snapshot.out, 50 << 10);
    Ok(())
}

#[test]
fn a_burst_comes_through() {
    let snapshot =
        burst(&std::env::temp_dir(), 5_000, Duration::from_micros(200)).expect("it does");
    assert!(snapshot.out > 0 && snapshot.lost == 0);
    assert_eq!((snapshot.messages, snapshot.dropped), (0, 0));
}
