//! A disk that is only simulated: every change to it is recorded, power can fail after any of them, and calls fail on demand.
//!
//! What is not synced when power fails survives or not, sector by sector, in any order; names that are not synced may
//! be lost with what they name. A size that was not synced is there with all changes of size before it, or not; what was
//! written after one that is lost, is lost.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use cloakroom::std_layer::journal::{LogFile, LogFiles};

use crate::random::Random;

pub const SECTOR: usize = 512;

/// A file's bytes.
pub type Bytes = Vec<u8>;
/// What is on a disk, by slot.
pub type Image = BTreeMap<u32, Bytes>;

/// A change that was not synced yet.
#[derive(Clone)]
enum Change {
    Write(usize, Bytes),
    Size(usize),
}

#[derive(Clone, Default)]
struct SimFile {
    durable: Bytes,
    now: Bytes,
    changes: Vec<Change>,
    named: bool,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// This call, of those that change something, is the last one: everything fails from it on.
    PowerAt(u64),
    /// This one fails with this error. A failed sync drops what it should have written: the system calls it clean.
    FailAt(u64, i32),
    /// From this one on there is no room for files to grow.
    FullFrom(u64),
    /// There is room for so many bytes in all files together.
    RoomFor(u64),
    /// From this one on the file system is read-only.
    ReadOnlyFrom(u64),
    /// Writes and reads are cut short, and they, syncs and changes of size are interrupted.
    Short,
    /// Reads fail from this offset on.
    UnreadableFrom(u64),
    /// Syncs take a while.
    Slow,
}

#[derive(Default)]
struct Inner {
    files: BTreeMap<u32, SimFile>,
    calls: u64,
    fault: Option<Fault>,
    hiccup: u64,
    /// The kind of each call that changes something.
    kinds: Vec<&'static str>,
}

/// A disk. Clones are the same one.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Inner>>);

/// An open file of it.
pub struct Handle(Disk, u32);

pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;
pub const EROFS: i32 = 30;

impl Inner {
    /// Counts a call, and says whether it fails.
    fn call(&mut self, kind: &'static str) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        self.kinds.push(kind);
        match self.fault {
            Some(Fault::PowerAt(at)) if call >= at => Err(io::Error::from_raw_os_error(EIO)),
            Some(Fault::FailAt(at, errno)) if call == at => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Some(Fault::ReadOnlyFrom(at)) if call >= at => Err(io::Error::from_raw_os_error(EROFS)),
            Some(Fault::FullFrom(at)) if call >= at && matches!(kind, "create" | "allocate") => {
                Err(io::Error::from_raw_os_error(ENOSPC))
            }
            _ => Ok(()),
        }
    }

    /// How much of a transfer is made.
    fn cut(&mut self, len: usize) -> io::Result<usize> {
        if self.fault != Some(Fault::Short) {
            return Ok(len);
        }
        self.hiccup += 1;
        if self.hiccup % 3 == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(len.min(1 + (self.hiccup as usize * 37) % 97))
    }
}

impl Disk {
    /// One with these files on it, durably.
    pub fn of(image: &Image) -> Self {
        let disk = Self::default();
        for (&slot, bytes) in image {
            let file = SimFile {
                durable: bytes.clone(),
                now: bytes.clone(),
                changes: Vec::new(),
                named: true,
            };
            disk.0.lock().unwrap().files.insert(slot, file);
        }
        disk
    }

    pub fn with(self, fault: Fault) -> Self {
        self.0.lock().unwrap().fault = Some(fault);
        self
    }

    /// Calls from now on do not fail.
    pub fn repair(&self) {
        self.0.lock().unwrap().fault = None;
    }

    /// How many calls there were that change something.
    pub fn calls(&self) -> u64 {
        self.0.lock().unwrap().calls
    }

    /// The calls that change something, in words.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().kinds.clone()
    }

    /// What a process that is killed leaves behind: all that was written.
    pub fn image(&self) -> Image {
        let inner = self.0.lock().unwrap();
        inner.files.iter().map(|(&slot, file)| (slot, file.now.clone())).collect()
    }

    /// What a power cut leaves behind at the least.
    pub fn durable(&self) -> Image {
        let inner = self.0.lock().unwrap();
        let named = inner.files.iter().filter(|(_, file)| file.named);
        named.map(|(&slot, file)| (slot, file.durable.clone())).collect()
    }

    /// What a power cut leaves behind, as chance has it.
    pub fn after_power_cut(&self, random: &mut Random) -> Image {
        let inner = self.0.lock().unwrap();
        let mut image = Image::new();
        // Whole runs in which everything, or nothing, survives are as likely as mixtures.
        let odds = [0, 8, 1, 4, 7][random.below(5) as usize];
        for (&slot, file) in &inner.files {
            if !file.named && random.below(8) >= odds {
                continue;
            }
            let mut bytes = file.durable.clone();
            let resized = file.changes.iter().filter(|change| matches!(change, Change::Size(_)));
            let mut kept = match odds {
                0 => 0,
                8 => usize::MAX,
                _ => random.below(resized.count() as u64 + 1) as usize,
            };
            for change in &file.changes {
                match change {
                    Change::Size(size) => {
                        if kept == 0 {
                            break;
                        }
                        kept -= 1;
                        bytes.resize(*size, 0);
                    }
                    Change::Write(at, data) => {
                        let mut from = 0;
                        while from < data.len() {
                            let to = ((at + from) / SECTOR + 1) * SECTOR - at;
                            let to = to.min(data.len());
                            if random.below(8) < odds && at + to <= bytes.len() {
                                bytes[at + from..at + to].copy_from_slice(&data[from..to]);
                            }
                            from = to;
                        }
                    }
                }
            }
            image.insert(slot, bytes);
        }
        image
    }
}

impl LogFiles for Disk {
    type File = Handle;

    fn list(&self) -> io::Result<Vec<u32>> {
        Ok(self.0.lock().unwrap().files.keys().copied().collect())
    }

    fn open(&self, slot: u32, _writable: bool) -> io::Result<Handle> {
        let inner = self.0.lock().unwrap();
        assert!(inner.files.contains_key(&slot));
        Ok(Handle(self.clone(), slot))
    }

    fn create(&self, slot: u32) -> io::Result<Handle> {
        let mut inner = self.0.lock().unwrap();
        inner.call("create")?;
        if inner.files.contains_key(&slot) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        inner.files.insert(slot, SimFile::default());
        Ok(Handle(self.clone(), slot))
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        inner.cut(0)?;
        inner.call("sync names")?;
        inner.files.values_mut().for_each(|file| file.named = true);
        Ok(())
    }
}

impl Handle {
    fn with<R>(&self, f: impl FnOnce(&mut Inner, u32) -> R) -> R {
        f(&mut self.0.0.lock().unwrap(), self.1)
    }

    fn resize(&self, kind: &'static str, size: u64) -> io::Result<()> {
        self.with(|inner, slot| {
            inner.cut(0)?;
            inner.call(kind)?;
            let others = inner.files.iter().filter(|(other, _)| **other != slot);
            let others: u64 = others.map(|(_, file)| file.now.len() as u64).sum();
            if matches!(inner.fault, Some(Fault::RoomFor(room)) if others + size > room) {
                return Err(io::Error::from_raw_os_error(ENOSPC));
            }
            let file = inner.files.get_mut(&slot).unwrap();
            file.now.resize(size as usize, 0);
            file.changes.push(Change::Size(size as usize));
            Ok(())
        })
    }
}

impl LogFile for Handle {
    fn size(&self) -> io::Result<u64> {
        self.with(|inner, slot| Ok(inner.files[&slot].now.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|inner, slot| {
            if matches!(inner.fault, Some(Fault::UnreadableFrom(from)) if offset >= from) {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            let len = inner.cut(buffer.len())?;
            let bytes = &inner.files[&slot].now;
            let from = bytes.len().min(offset as usize);
            let len = len.min(bytes.len() - from);
            buffer[..len].copy_from_slice(&bytes[from..from + len]);
            Ok(len)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.with(|inner, slot| {
            inner.call("write")?;
            let len = inner.cut(bytes.len())?;
            let (at, bytes) = (offset as usize, bytes[..len].to_vec());
            let file = inner.files.get_mut(&slot).unwrap();
            assert!(at + len <= file.now.len(), "the log writes within its files");
            file.now[at..at + len].copy_from_slice(&bytes);
            file.changes.push(Change::Write(at, bytes));
            Ok(len)
        })
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.resize("size", size)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        self.resize("allocate", size)
    }

    fn sync(&self) -> io::Result<()> {
        if self.with(|inner, _| inner.fault == Some(Fault::Slow)) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        self.with(|inner, slot| {
            inner.cut(0)?;
            let outcome = inner.call("sync");
            let power = matches!(inner.fault, Some(Fault::PowerAt(_)));
            let file = inner.files.get_mut(&slot).unwrap();
            if outcome.is_ok() {
                file.durable = file.now.clone();
            }
            // After a sync that failed nothing of it is written any more, and nobody is told again.
            if outcome.is_ok() || !power {
                file.changes.clear();
            }
            outcome
        })
    }
}
