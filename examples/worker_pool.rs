//! A pool of worker threads behind two bounded channels, in the style of crossbeam-channel: checksums of files. The
//! only line that tells it from a program for that crate is the first `use`.
//!
//! ```text
//! cargo run --features std --example worker_pool -- src/*.rs
//! ```

use cloakroom::blocking as crossbeam_channel;

use std::io;
use std::path::PathBuf;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

type Checked = (PathBuf, io::Result<u32>);

/// Jobs until there are no more, or nobody wants results.
fn work(jobs: Receiver<PathBuf>, results: Sender<Checked>) {
    for path in jobs {
        let sum = std::fs::read(&path).map(|bytes| crc32(&bytes));
        if results.send((path, sum)).is_err() {
            return;
        }
    }
}

/// CRC-32 as in Ethernet and zip, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, step)
}

/// Every file's checksum, as the workers come to them.
fn check(paths: Vec<PathBuf>, workers: usize) -> Vec<Checked> {
    let (jobs, waiting) = bounded(workers);
    let (done, results) = bounded(workers);
    thread::scope(|scope| {
        for _ in 0..workers {
            let (waiting, done) = (waiting.clone(), done.clone());
            scope.spawn(move || work(waiting, done));
        }
        // The workers have the last ends: when they are gone, the results come to their end.
        drop((waiting, done));
        scope.spawn(move || paths.into_iter().try_for_each(|path| jobs.send(path)).is_ok());
        results.iter().collect()
    })
}

fn main() {
    let paths = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let workers = thread::available_parallelism().map_or(2, |count| count.get());
    for (path, sum) in check(paths, workers) {
        match sum {
            Ok(sum) => println!("{sum:08x}  {}", path.display()),
            Err(error) => eprintln!("{}: {error}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn every_file_is_checked_once() {
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/channel");
        let entries = std::fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = entries.filter(|path| path.is_file()).collect();
        paths.push("there is no such file".into());
        for workers in [1, 3, 50] {
            let mut checked = check(paths.clone(), workers);
            checked.sort_by(|a, b| a.0.cmp(&b.0));
            paths.sort();
            assert!(checked.iter().map(|(path, _)| path).eq(&paths));
            for (path, sum) in checked {
                match sum {
                    Ok(sum) => assert_eq!(sum, crc32(&std::fs::read(&path).unwrap())),
                    Err(_) => assert_eq!(path.to_str(), Some("there is no such file")),
                }
            }
        }
    }
}
