//! The journal beside others, in one run: group commit by 8 threads, and appends by one that are only written.
//!
//! ```text
//! cargo run --release [ROUNDS] [FOLDER]
//! ```
//!
//! Each round runs all subjects, one after the other, beginning with another one each time; the table has medians, and the
//! median of the ratios to ours within a round. `FOLDER` must be on the disk that is meant: the temporary one may be memory.
//!
//! What is by hand is a file that is appended to: length, CRC-32, bytes; at `Sync` under one lock, a write and a sync each.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::std_layer::journal::{Journal, Level, Message, Options};

const PAYLOAD: [u8; 256] = [0x5a; 256];
const TIME: Duration = Duration::from_millis(700);

/// What is compared: keeps one message of thread `chan`.
trait Subject: Sync {
    fn keep(&self, chan: u16, number: u64);
}

struct Ours(Journal, Level);

impl Subject for Ours {
    fn keep(&self, chan: u16, number: u64) {
        self.0.send(&Message::new(chan, number, &PAYLOAD), self.1).expect("there is room");
        // A consumer takes 64 at a time, so that space is bounded: the others only grow.
        if number % 64 == 63 {
            self.0.ack(chan, number - 63, number).expect("there is room");
        }
    }
}

struct ByHand(Mutex<File>, bool);

impl Subject for ByHand {
    fn keep(&self, _: u16, _: u64) {
        let mut record = [0; 8 + PAYLOAD.len()];
        record[..4].copy_from_slice(&(PAYLOAD.len() as u32).to_le_bytes());
        record[4..8].copy_from_slice(&crc32fast::hash(&PAYLOAD).to_le_bytes());
        record[8..].copy_from_slice(&PAYLOAD);
        let mut file = self.0.lock().expect("nobody panics");
        file.write_all(&record).expect("there is room");
        if self.1 {
            file.sync_data().expect("it is durable");
        }
    }
}

struct Okay(okaywal::WriteAheadLog);

impl Subject for Okay {
    fn keep(&self, _: u16, _: u64) {
        let mut entry = self.0.begin_entry().expect("it takes entries");
        entry.write_chunk(&PAYLOAD).expect("there is room");
        entry.commit().expect("it is durable");
    }
}

/// Takes what is done with as checked, and keeps nothing of it.
#[derive(Debug)]
struct Forget;

impl okaywal::LogManager for Forget {
    fn recover(&mut self, _: &mut okaywal::Entry<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _: okaywal::EntryId,
        _: &mut okaywal::SegmentReader,
        _: &okaywal::WriteAheadLog,
    ) -> std::io::Result<()> {
        Ok(())
    }
}

fn ours(folder: &Path, level: Level) -> Ours {
    // Zeros in advance are for those who sync.
    let zeros = level == Level::Sync;
    let options = Options { segment_bytes: 64 << 20, slots: 6, zeros, ..Options::default() };
    Ours(Journal::open(&folder.join("log"), options).expect("it opens").0, level)
}

fn by_hand(folder: &Path, sync: bool) -> ByHand {
    ByHand(Mutex::new(File::create(folder.join("file")).expect("it can be made")), sync)
}

/// Messages a second.
fn measure(subject: &dyn Subject, threads: u16) -> f64 {
    let done = AtomicU64::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for chan in 0..threads {
            let done = &done;
            scope.spawn(move || {
                let mut number = 0;
                // A clock costs as much as a tenth of the fastest.
                while number % 16 != 0 || start.elapsed() < TIME {
                    subject.keep(chan, number);
                    number += 1;
                }
                done.fetch_add(number, Ordering::Relaxed);
            });
        }
    });
    done.into_inner() as f64 / start.elapsed().as_secs_f64()
}

type Make = fn(&Path) -> Box<dyn Subject>;

/// A row: its name, how many threads, and the subjects, ours first.
type Row = (&'static str, u16, &'static [(&'static str, Make)]);

const ROWS: &[Row] = &[
    (
        "Sync, 256 bytes, 8 threads",
        8,
        &[
            ("cloakroom", |folder| Box::new(ours(folder, Level::Sync))),
            ("okaywal", |folder| {
                Box::new(Okay(okaywal::WriteAheadLog::recover(folder, Forget).expect("it opens")))
            }),
            ("by hand", |folder| Box::new(by_hand(folder, true))),
        ],
    ),
    (
        "Buffered, 256 bytes, 1 thread",
        1,
        &[
            ("cloakroom", |folder| Box::new(ours(folder, Level::Buffered))),
            ("by hand", |folder| Box::new(by_hand(folder, false))),
        ],
    ),
];

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(7, |text| text.parse().expect("a number"));
    let folder = arguments.next().unwrap_or(String::from("target"));
    for (name, threads, subjects) in ROWS {
        let mut figures = vec![Vec::new(); subjects.len()];
        for round in 0..rounds.max(1) {
            for turn in 0..subjects.len() {
                let which = (round + turn) % subjects.len();
                let place = tempfile::tempdir_in(&folder).expect("a folder");
                let subject = subjects[which].1(place.path());
                figures[which].push(measure(&*subject, *threads));
            }
        }
        println!("{name}");
        for (which, (subject, _)) in subjects.iter().enumerate() {
            let ratios = figures[0].iter().zip(&figures[which]).map(|(ours, other)| ours / other);
            let (speed, ratio) = (median(figures[which].clone()), median(ratios.collect()));
            println!("  {subject:10} {speed:>12.0} a second, ours is {ratio:.2} of it");
        }
    }
}
