//! Files whose calls panic: whoever waits is told, nobody waits for ever.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cloakroom::std_layer::journal::{Level, Log, LogError, LogFile, LogFiles, Message};

use crate::disk::{Disk, Handle};
use crate::script::{self, payload};

/// Calls to go until one panics.
#[derive(Clone)]
struct Fuse(Arc<AtomicU64>);

impl Fuse {
    fn burn(&self) {
        if self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            panic!("of the user's files");
        }
    }
}

struct Files(Disk, Fuse);
struct File(Handle, Fuse);

impl LogFiles for Files {
    type File = File;

    fn list(&self) -> io::Result<Vec<u32>> {
        self.0.list()
    }

    fn open(&self, number: u32, writable: bool) -> io::Result<File> {
        Ok(File(self.0.open(number, writable)?, self.1.clone()))
    }

    fn create(&self, number: u32) -> io::Result<File> {
        self.1.burn();
        Ok(File(self.0.create(number)?, self.1.clone()))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.1.burn();
        self.0.sync_names()
    }
}

impl LogFile for File {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.burn();
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.1.burn();
        self.0.write_at(bytes, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.1.burn();
        self.0.set_size(size)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        self.1.burn();
        self.0.allocate(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.1.burn();
        self.0.sync()
    }
}

/// Threads send, acknowledge and maintain until a call panics in one of them: all the others come to an end, with an error.
#[test]
fn a_panic_in_any_call() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut panicked = 0;
    for call in (1..700).step_by(3) {
        let (disk, fuse) = (Disk::default(), Fuse(Arc::new(AtomicU64::new(0))));
        // Opening is one thread's: a panic there leaves nobody waiting.
        let log = Log::open(Files(disk.clone(), fuse.clone()), script::options()).unwrap().0;
        fuse.0.store(call, Ordering::Relaxed);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..3_u16)
                .map(|chan| {
                    let log = &log;
                    scope.spawn(move || catch_unwind(AssertUnwindSafe(|| work(log, chan))))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let burnt = fuse.0.load(Ordering::Relaxed) > call;
        for outcome in &outcomes {
            match outcome {
                // It was done before that.
                Ok(Ok(())) => {}
                Ok(Err(error)) => assert!(matches!(error, LogError::Failed { .. }), "{error}"),
                Err(_) => panicked += 1,
            }
        }
        if burnt {
            let late = log.send(&Message::new(0, 1000, b"late"), Level::Buffered);
            assert!(matches!(late, Err(LogError::Failed { .. })), "call {call}: {late:?}");
        }
        // It opens all the same.
        drop(log);
        script::open(&disk);
    }
    std::panic::set_hook(hook);
    assert!(panicked > 100, "{panicked}");
}

fn work(log: &Log<Files>, chan: u16) -> Result<(), LogError> {
    for seq in 1..120 {
        log.send(&Message::new(chan, seq, &payload(chan, seq)), Level::Sync)?;
        if seq > 5 {
            log.ack(chan, seq - 5, seq - 5)?;
        }
        if seq % 16 == 0 {
            log.maintain()?;
        }
    }
    // A note of an acknowledgement alone touches no file.
    log.sync().map(drop)
}
