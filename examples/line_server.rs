//! A line server that never uses more than 16 MiB for messages, however fast its clients are.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::thread::spawn;

use cloakroom::channel::{Buffered, Bytes};
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock, block_on};

static LINES: Bytes<'static, Lock, Buffered<1024>> = Bytes::new();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arena = MappedArena::<Lock>::new(16 << 20, 256, 1 << 16)?.leak();
    spawn(|| {
        while let Ok(line) = block_on(LINES.recv()) {
            println!("{}", String::from_utf8_lossy(&line)); // read where it was written
        }
    });
    for client in TcpListener::bind("127.0.0.1:7070")?.incoming() {
        let lines = BufReader::new(client?).lines();
        spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Waits while the arena or the queue is full: TCP then slows the client down.
                let _ = block_on(LINES.send_bytes(arena, line.as_bytes()));
            }
        });
    }
    Ok(())
}
