//! A file system that is the process's death at a certain call.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cloakroom::std_layer::journal::{LogFile, LogFiles};
use rustix::process::{Signal, getpid, kill_process};

/// Counts calls, and knows which is the last.
#[derive(Debug, Default)]
pub struct Calls {
    count: AtomicU64,
    last: Option<u64>,
}

impl Calls {
    /// Up to that one, which is not made.
    pub fn until(last: Option<u64>) -> Arc<Self> {
        Arc::new(Self { count: AtomicU64::new(0), last })
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        // One thread makes them all.
        self.count.load(Ordering::Relaxed)
    }

    /// Whether this is the last.
    fn is_last(&self) -> bool {
        Some(self.count.fetch_add(1, Ordering::Relaxed) + 1) == self.last
    }

    fn pass(&self) {
        if self.is_last() {
            die();
        }
    }
}

fn die() -> ! {
    // It is delivered before the call returns.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

/// Files that are counted.
pub struct Deadly<F> {
    files: F,
    calls: Arc<Calls>,
}

impl<F> Deadly<F> {
    pub fn new(files: F, calls: Arc<Calls>) -> Self {
        Self { files, calls }
    }

    fn of<G>(&self, file: G) -> Deadly<G> {
        Deadly { files: file, calls: self.calls.clone() }
    }
}

impl<F: LogFiles> LogFiles for Deadly<F> {
    type File = Deadly<F::File>;

    fn list(&self) -> io::Result<Vec<u32>> {
        self.calls.pass();
        self.files.list()
    }

    fn open(&self, number: u32, writable: bool) -> io::Result<Self::File> {
        self.calls.pass();
        Ok(self.of(self.files.open(number, writable)?))
    }

    fn create(&self, number: u32) -> io::Result<Self::File> {
        self.calls.pass();
        Ok(self.of(self.files.create(number)?))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.calls.pass();
        self.files.sync_names()
    }
}

impl<F: LogFile> LogFile for Deadly<F> {
    fn size(&self) -> io::Result<u64> {
        self.calls.pass();
        self.files.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.calls.pass();
        self.files.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.calls.pass();
        // A kill may come when the system has copied some of it.
        if self.calls.is_last() {
            let _ = self.files.write_at(&bytes[..bytes.len() / 2], offset);
            die();
        }
        self.files.write_at(bytes, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.calls.pass();
        self.files.set_size(size)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        self.calls.pass();
        self.files.allocate(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.calls.pass();
        self.files.sync()
    }
}
