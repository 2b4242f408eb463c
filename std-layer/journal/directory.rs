//! A directory that is one log's: locked, its owner's alone.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::vec::Vec;
use std::{format, process};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::OpenError;
use super::files::{LogFile, LogFiles, write_all};

/// The file that says who has the lock.
const OWNER: &str = "owner";
/// How long the second waits for the first to say who it is.
const PATIENCE: Duration = Duration::from_millis(100);

/// A directory with a log's files. It is locked as long as this lives, and not a moment longer, however the process ends.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Locked, and what names are synced by.
    handle: File,
}

impl Directory {
    /// Makes it unless it is there, for its owner alone, and locks it.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] if another has locked it, in this process or in another; those of the system.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        let made = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error.into()),
        };
        // Also if it is there: who made it may have been killed before its name was durable.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        match File::open(parent.unwrap_or(Path::new("."))) {
            Ok(parent) => parent.sync_all()?,
            // Who may not read the parent has it from somebody who sees to that.
            Err(error) if !made && error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error.into()),
        }
        Self::lock_existing(path, true)
    }

    /// Locks one that is there. Unless `writable`, nothing in it is changed.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub fn lock_existing(path: &Path, writable: bool) -> Result<Self, OpenError> {
        // A descriptor of a directory: there is no file that could be left behind locked, or be removed under a lock.
        let handle = File::open(path)?;
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(OpenError::Locked { pid: owner(path) }),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let directory = Self { path: path.to_path_buf(), handle };
        if writable {
            let file = directory.options().create(true).truncate(true).open(path.join(OWNER))?;
            write_all(&file, format!("{}\n", process::id()).as_bytes(), 0)?;
        }
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn slot(&self, number: u32) -> PathBuf {
        self.path.join(format!("slot-{number:04}.log"))
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }
}

/// Who has the lock, as far as that can be found out: a process that has gone may have left its number behind.
fn owner(path: &Path) -> Option<u32> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(path.join(OWNER)).unwrap_or_default();
        let pid = text.trim().parse::<u32>().ok();
        let raw = pid.and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        // One that may not be signalled is there, too.
        let gone = |pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH);
        match raw {
            Some(raw) if !gone(raw) => return pid,
            _ if start.elapsed() > PATIENCE => return None,
            _ => std::thread::sleep(PATIENCE / 20),
        }
    }
}

impl LogFiles for Directory {
    type File = File;

    fn list(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = OsStr::to_str(&name).and_then(|name| name.strip_prefix("slot-"));
            let number = number.and_then(|name| name.strip_suffix(".log")?.parse::<u32>().ok());
            numbers.extend(number);
        }
        Ok(numbers)
    }

    fn open(&self, number: u32, writable: bool) -> io::Result<File> {
        self.options().write(writable).open(self.slot(number))
    }

    fn create(&self, number: u32) -> io::Result<File> {
        self.options().create_new(true).open(self.slot(number))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

impl LogFile for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|data| data.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        match rustix::fs::fallocate(self, rustix::fs::FallocateFlags::empty(), 0, size) {
            Err(Errno::OPNOTSUPP) => {}
            outcome => return outcome.map_err(io::Error::from),
        }
        self.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
