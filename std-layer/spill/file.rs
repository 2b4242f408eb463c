//! Spilling to a file.

use std::boxed::Box;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::io::Errno;

use super::{extents, failed};
use crate::spill::{Class, Extents, SpillError, SpillTarget, Word};

/// A file without a name, its owner's alone, that has all its room from the start. It is gone with the process, however that ends.
///
/// Payloads are written and read by positioned calls: the file is not mapped, so a disk that is full, or somebody who truncates it (by
/// `/proc`), is an error or a damaged payload, and no signal. Nothing is synced, as nothing is to be found later. Reading copies the
/// bytes into the arena.
///
/// *Memory:* a bit a slot; what the system keeps in its cache it can give up. *Interrupts:* none on a host. *Errors:*
/// [`SpillError::Device`] with `errno`.
///
/// An example is at the [module](super).
pub struct FileTarget<const CLASSES: usize> {
    file: File,
    extents: Extents<CLASSES, Box<[Word]>>,
}

impl<const CLASSES: usize> FileTarget<CLASSES> {
    /// Makes it in a directory: on a disk, to relieve memory.
    ///
    /// # Errors
    /// Those of the system; without room for all slots, that. `InvalidInput` for no slots at all, or 2³¹.
    pub fn new(directory: &Path, classes: [Class; CLASSES]) -> io::Result<Self> {
        let (extents, bytes) = extents(classes)?;
        let file = nameless(directory)?;
        allocate(&file, bytes)?;
        Ok(Self { file, extents })
    }
}

/// A file without a name.
fn nameless(directory: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Mode, OFlags, open};
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match open(directory, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => return Ok(file.into()),
            // This file system, or this kernel, has none without a name.
            Err(Errno::OPNOTSUPP | Errno::ISDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    named_for_a_moment(directory)
}

/// The same, with a name until it is open.
fn named_for_a_moment(directory: &Path) -> io::Result<File> {
    let mut number = 0_u32;
    loop {
        let path = directory.join(std::format!(".spill-{}-{number}", std::process::id()));
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        match file {
            Ok(file) => return std::fs::remove_file(&path).map(|()| file),
            // Somebody else's, or one that was left behind in the moment between.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Takes all the room now.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    loop {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP) => break,
            Err(error) => return Err(error.into()),
        }
    }
    // No such call here, but zeros take room, too.
    let zeros = [0; 1 << 16];
    let mut at = 0;
    while at < bytes {
        // Lossless: no more than there are zeros.
        let len = (bytes - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..len as usize], at)?;
        at += len;
    }
    Ok(())
}

impl<const CLASSES: usize> SpillTarget for FileTarget<CLASSES> {
    fn store(&self, bytes: &[u8]) -> Result<u32, SpillError> {
        let extent = self.extents.take(bytes.len()).ok_or(SpillError::Full)?;
        self.file.write_all_at(bytes, self.extents.offset(extent)).map_err(|error| {
            self.extents.give_back(extent);
            failed(&error)
        })?;
        Ok(extent)
    }

    unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError> {
        let read = self.file.read_exact_at(into, self.extents.offset(extent));
        read.map_err(|error| failed(&error))
    }

    unsafe fn free(&self, extent: u32) {
        let was_taken = self.extents.give_back(extent);
        debug_assert!(was_taken, "an extent was freed twice");
    }

    unsafe fn read_ahead(&self, extent: u32, len: usize) {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Advice, fadvise};
            let (at, len) = (self.extents.offset(extent), core::num::NonZeroU64::new(len as u64));
            // A hint.
            let _ = fadvise(&self.file, at, len, Advice::WillNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (extent, len);
    }

    fn capacity(&self) -> u64 {
        self.extents.capacity()
    }

    fn used(&self) -> u64 {
        self.extents.used()
    }
}

impl<const CLASSES: usize> fmt::Debug for FileTarget<CLASSES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTarget").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
