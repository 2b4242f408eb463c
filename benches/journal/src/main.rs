//! The journal beside others, in one run: group commit by 1, 8 and 32 threads, and appends by one that are only written.
//!
//! ```text
//! cargo run --release [ROUNDS] [FOLDER] [ROW]
//! ```
//!
//! Each round runs all subjects, one after the other, beginning with another one each time; the table has medians, and the
//! median of the ratios to ours within a round. `FOLDER` must be on the disk that is meant: the temporary one may be memory. With `ROW`
//! only rows whose title, as it is printed, begins like that: `Sync`, `"Buffered, 64"`.
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

/// Bytes of the longest message.
const LONGEST: usize = 1024;
/// Before it counts: until then each has made what it makes in advance.
const WARM: Duration = Duration::from_millis(300);
const TIME: Duration = Duration::from_millis(700);

/// What is compared: keeps one message of thread `chan`.
trait Subject: Sync {
    fn keep(&self, chan: u16, number: u64, payload: &[u8]);
}

struct Ours(Journal, Level);

impl Subject for Ours {
    fn keep(&self, chan: u16, number: u64, payload: &[u8]) {
        self.0.send(&Message::new(chan, number, payload), self.1).expect("there is room");
        // A consumer takes 64 at a time, so that space is bounded: the others only grow.
        if number % 64 == 63 {
            self.0.ack(chan, number - 63, number).expect("there is room");
        }
    }
}

struct ByHand(Mutex<File>, bool);

impl Subject for ByHand {
    fn keep(&self, _: u16, _: u64, payload: &[u8]) {
        let mut record = [0; 8 + LONGEST];
        let record = &mut record[..8 + payload.len()];
        record[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        record[4..8].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
        record[8..].copy_from_slice(payload);
        let mut file = self.0.lock().expect("nobody panics");
        file.write_all(record).expect("there is room");
        if self.1 {
            file.sync_data().expect("it is durable");
        }
    }
}

struct Okay(okaywal::WriteAheadLog);

impl Subject for Okay {
    fn keep(&self, _: u16, _: u64, payload: &[u8]) {
        let mut entry = self.0.begin_entry().expect("it takes entries");
        entry.write_chunk(payload).expect("there is room");
        entry.commit().expect("it is durable");
    }
}

struct Raft(raft_engine::Engine, bool);

impl Subject for Raft {
    fn keep(&self, chan: u16, number: u64, payload: &[u8]) {
        let mut batch = raft_engine::LogBatch::default();
        let key = number.to_be_bytes().to_vec();
        batch.put(u64::from(chan) + 1, key, payload.to_vec()).expect("it takes it");
        self.0.write(&mut batch, self.1).expect("there is room");
    }
}

fn raft(folder: &Path, sync: bool) -> Raft {
    let dir = folder.join("raft").to_str().expect("text").to_owned();
    let config = raft_engine::Config { dir, ..raft_engine::Config::default() };
    Raft(raft_engine::Engine::open(config).expect("it opens"), sync)
}

struct Yaque(Mutex<yaque::Sender>);

impl Subject for Yaque {
    fn keep(&self, _: u16, _: u64, payload: &[u8]) {
        self.0.lock().expect("nobody panics").try_send(payload).expect("there is room");
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
fn measure(subject: &dyn Subject, threads: u16, payload: &[u8]) -> f64 {
    let done = AtomicU64::new(0);
    let start = Instant::now() + WARM;
    let end = start + TIME;
    thread::scope(|scope| {
        for chan in 0..threads {
            let done = &done;
            scope.spawn(move || {
                let (mut number, mut before) = (0, 0);
                loop {
                    // A clock costs as much as a tenth of the fastest.
                    if number % 16 == 0 {
                        let now = Instant::now();
                        if now < start {
                            before = number;
                        } else if now >= end {
                            break;
                        }
                    }
                    subject.keep(chan, number, payload);
                    number += 1;
                }
                done.fetch_add(number - before, Ordering::Relaxed);
            });
        }
    });
    done.into_inner() as f64 / start.elapsed().as_secs_f64()
}

type Make = fn(&Path) -> Box<dyn Subject>;

/// A subject's name, and how it is made.
type Subjects = &'static [(&'static str, Make)];

const SYNC: Subjects = &[
    ("cloakroom", |folder| Box::new(ours(folder, Level::Sync))),
    ("okaywal", |folder| {
        Box::new(Okay(okaywal::WriteAheadLog::recover(folder, Forget).expect("it opens")))
    }),
    ("raft-engine", |folder| Box::new(raft(folder, true))),
    ("by hand", |folder| Box::new(by_hand(folder, true))),
];

const BUFFERED: Subjects = &[
    ("cloakroom", |folder| Box::new(ours(folder, Level::Buffered))),
    ("yaque", |folder| {
        Box::new(Yaque(Mutex::new(yaque::Sender::open(folder.join("yaque")).expect("it opens"))))
    }),
    ("raft-engine", |folder| Box::new(raft(folder, false))),
    ("by hand", |folder| Box::new(by_hand(folder, false))),
];

/// A row: its name, bytes of a message, how many threads, and the subjects, ours first.
type Row = (&'static str, usize, u16, Subjects);

const ROWS: &[Row] = &[
    ("Sync", 64, 1, SYNC),
    ("Sync", 64, 8, SYNC),
    ("Sync", 64, 32, SYNC),
    ("Sync", 256, 8, SYNC),
    ("Sync", 1024, 8, SYNC),
    ("Sync", 1024, 32, SYNC),
    ("Buffered", 64, 1, BUFFERED),
    ("Buffered", 256, 1, BUFFERED),
    ("Buffered", 1024, 1, BUFFERED),
];

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(7, |text| text.parse().expect("a number"));
    let folder = arguments.next().unwrap_or(String::from("target"));
    let only = arguments.next().unwrap_or_default();
    for (name, bytes, threads, subjects) in ROWS {
        let title = format!("{name}, {bytes} bytes, {threads} threads");
        if !title.starts_with(&only) {
            continue;
        }
        let payload = &[0x5a; LONGEST][..*bytes];
        let mut figures = vec![Vec::new(); subjects.len()];
        for round in 0..rounds.max(1) {
            for turn in 0..subjects.len() {
                let which = (round + turn) % subjects.len();
                let place = tempfile::tempdir_in(&folder).expect("a folder");
                let subject = subjects[which].1(place.path());
                figures[which].push(measure(&*subject, *threads, payload));
            }
        }
        println!("{title}");
        for (which, (subject, _)) in subjects.iter().enumerate() {
            let ratios = figures[0].iter().zip(&figures[which]).map(|(ours, other)| ours / other);
            let (speed, ratio) = (median(figures[which].clone()), median(ratios.collect()));
            println!("  {subject:12} {speed:>12.0} a second, ours is {ratio:.2} of it");
        }
    }
}
