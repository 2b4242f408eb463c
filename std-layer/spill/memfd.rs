//! Spilling to shared memory.

use std::boxed::Box;
use std::fmt;
use std::fs::File;
use std::io;
use std::ptr::NonNull;

use memmap2::{Advice, MmapMut};
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
};
use rustix::io::Errno;

use super::extents;
use crate::spill::{Class, MemoryTarget, SpillError, SpillTarget, Word};

/// Shared memory without a name, that has all its room from the start, and lends payloads where they are.
///
/// It is sealed: nobody can make it shorter, so a payload that is read is there, and where the kernel knows that seal (from 5.1 on) nobody
/// else can write to it. It is RAM, all of it, whether anything is spilled or not: that does not relieve the machine, but lets a
/// small arena overflow at the speed of memory.
///
/// *Memory:* all slots, and a bit a slot. *Interrupts:* none on a host.
///
/// ```
/// use cloakroom::spill::{Class, SpillTarget};
/// use cloakroom::std_layer::spill::MemfdTarget;
///
/// let target = MemfdTarget::new([Class { bytes: 256, count: 64 }, Class { bytes: 4096, count: 16 }])?;
/// let extent = target.store(&[7; 1000])?;
/// assert_eq!((target.used(), target.capacity()), (4096, 81_920));
/// // SAFETY: stored just now, and freed last.
/// assert_eq!(unsafe { target.view(extent, 1000) }, Some(&[7; 1000][..]));
/// // SAFETY: as above.
/// unsafe { target.free(extent) };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemfdTarget<const CLASSES: usize> {
    /// Over the mapping.
    target: MemoryTarget<'static, CLASSES, Box<[Word]>>,
    _map: MmapMut,
    file: File,
}

impl<const CLASSES: usize> MemfdTarget<CLASSES> {
    /// Makes it, and has the system provide all its pages.
    ///
    /// # Errors
    /// Those of the system. (One that hands out more memory than it has may kill a process for it instead.) `InvalidInput` for no slots at all, or 2³¹.
    pub fn new(classes: [Class; CLASSES]) -> io::Result<Self> {
        let (extents, bytes) = extents(classes)?;
        let len = usize::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("cloakroom-spill", flags)?);
        ftruncate(&file, bytes)?;
        while let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            if error != Errno::INTR {
                return Err(error.into());
            }
        }
        // SAFETY: nobody else has this memory, and it keeps its length, by the seals below. (Who can get at it all the same, as
        // this user, by `/proc`, and before it is sealed, could as well write into the process's memory.)
        let mut map = unsafe { MmapMut::map_mut(&file) }?;
        if map.advise(Advice::PopulateWrite).is_err() {
            // A kernel that does not know that: a write to each page does the same.
            map.iter_mut().step_by(4096).for_each(|byte| *byte = 0);
        }
        seal(&file)?;
        let memory = NonNull::from(&mut map[..]).cast();
        // SAFETY: the mapping, which stays where it is, is as long as this, and is used by nobody else: `_map` is only kept.
        let target = unsafe { MemoryTarget::at(memory, len, extents) };
        Ok(Self { target, _map: map, file })
    }

    /// The memory as a file, to be looked at by others.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Its length stays, and, but by the mapping that is there, nobody writes to it.
fn seal(file: &File) -> io::Result<()> {
    match fcntl_add_seals(file, SealFlags::FUTURE_WRITE) {
        // A kernel that does not know this one.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fcntl_add_seals(file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?)
}

impl<const CLASSES: usize> SpillTarget for MemfdTarget<CLASSES> {
    fn store(&self, bytes: &[u8]) -> Result<u32, SpillError> {
        self.target.store(bytes)
    }

    unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError> {
        // SAFETY: passed on.
        unsafe { self.target.read(extent, into) }
    }

    unsafe fn view(&self, extent: u32, len: usize) -> Option<&[u8]> {
        // SAFETY: passed on.
        unsafe { self.target.view(extent, len) }
    }

    fn lends(&self) -> bool {
        true
    }

    unsafe fn free(&self, extent: u32) {
        // SAFETY: passed on.
        unsafe { self.target.free(extent) }
    }

    fn capacity(&self) -> u64 {
        self.target.capacity()
    }

    fn used(&self) -> u64 {
        self.target.used()
    }
}

impl<const CLASSES: usize> fmt::Debug for MemfdTarget<CLASSES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemfdTarget").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
