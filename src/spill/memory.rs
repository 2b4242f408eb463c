//! A target in memory: PSRAM, a second bank, whatever has an address.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::slice;

use super::extents::{Extents, Word};
use super::target::{SpillError, SpillTarget};

/// A target over memory that is handed in. It lends the bytes where they are, so nothing is copied back.
///
/// *Memory:* what is handed in, and the [`Extents`]. *Interrupts:* all calls are safe there; storing copies the payload, outside
/// of any critical section.
///
/// ```
/// use cloakroom::spill::{Class, Extents, MemoryTarget, SpillTarget, Word};
///
/// let mut psram = [0; 1024];
/// let extents = Extents::new([Class { bytes: 128, count: 8 }], Word::free::<1>());
/// let target = MemoryTarget::new(&mut psram, extents);
/// let extent = target.store(b"far away")?;
/// // SAFETY: stored just now, and freed last.
/// assert_eq!(unsafe { target.view(extent, 8) }, Some(&b"far away"[..]));
/// // SAFETY: as above.
/// unsafe { target.free(extent) };
/// assert_eq!(target.used(), 0);
/// # Ok::<(), cloakroom::spill::SpillError>(())
/// ```
pub struct MemoryTarget<'m, const CLASSES: usize, B> {
    memory: NonNull<u8>,
    len: usize,
    extents: Extents<CLASSES, B>,
    _memory: PhantomData<&'m mut [u8]>,
}

// SAFETY: the memory is borrowed uniquely, or handed over by an unsafe function, and a slot of it is touched by whoever holds
// it: whom the bitmap, which is `Sync`, gave it to. Bytes may go to any thread.
unsafe impl<const CLASSES: usize, B: Sync> Sync for MemoryTarget<'_, CLASSES, B> {}
// SAFETY: as above.
unsafe impl<const CLASSES: usize, B: Send> Send for MemoryTarget<'_, CLASSES, B> {}

impl<'m, const CLASSES: usize, B> MemoryTarget<'m, CLASSES, B> {
    /// Over these bytes; slots that lie beyond them are not used.
    pub fn new(memory: &'m mut [u8], extents: Extents<CLASSES, B>) -> Self {
        let len = memory.len();
        // SAFETY: borrowed uniquely for so long.
        unsafe { Self::at(NonNull::from(memory).cast(), len, extents) }
    }

    /// Over the memory at an address, which is a constant of the board: for a `static`.
    ///
    /// # Safety
    /// So many bytes there can be read and written for `'m`, hold bytes (any), and are used by nobody else.
    pub const unsafe fn at(
        memory: NonNull<u8>,
        len: usize,
        mut extents: Extents<CLASSES, B>,
    ) -> Self {
        extents.within(len);
        Self { memory, len, extents, _memory: PhantomData }
    }
}

impl<const CLASSES: usize, B: AsRef<[Word]>> MemoryTarget<'_, CLASSES, B> {
    /// Where `len` bytes of a slot lie; `None` if that is not within the memory.
    fn place(&self, extent: u32, len: usize) -> Option<NonNull<u8>> {
        let offset = usize::try_from(self.extents.offset(extent)).ok()?;
        let end = offset.checked_add(len)?;
        // SAFETY: within the memory.
        (end <= self.len).then(|| unsafe { self.memory.add(offset) })
    }
}

impl<const CLASSES: usize, B: AsRef<[Word]> + Sync> SpillTarget for MemoryTarget<'_, CLASSES, B> {
    fn store(&self, bytes: &[u8]) -> Result<u32, SpillError> {
        let extent = self.extents.take(bytes.len()).ok_or(SpillError::Full)?;
        let Some(place) = self.place(extent, bytes.len()) else {
            self.extents.give_back(extent);
            return Err(SpillError::Full);
        };
        // SAFETY: a slot that was free: nobody else has it, so nobody reads or writes it, nor do `bytes` lie there. They fit
        // into it, and it lies within the memory.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(extent)
    }

    unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError> {
        // SAFETY: passed on.
        let bytes = unsafe { self.view(extent, into.len()) }.ok_or(SpillError::Damaged)?;
        into.copy_from_slice(bytes);
        Ok(())
    }

    unsafe fn view(&self, extent: u32, len: usize) -> Option<&[u8]> {
        let place = self.place(extent, len)?;
        // SAFETY: within the memory, which holds bytes. The slot is held, so it is given to nobody, and nobody writes there until
        // it is freed.
        Some(unsafe { slice::from_raw_parts(place.as_ptr(), len) })
    }

    fn lends(&self) -> bool {
        true
    }

    unsafe fn free(&self, extent: u32) {
        let was_taken = self.extents.give_back(extent);
        debug_assert!(was_taken, "an extent was freed twice");
    }

    fn capacity(&self) -> u64 {
        self.extents.capacity()
    }

    fn used(&self) -> u64 {
        self.extents.used()
    }
}

impl<const CLASSES: usize, B> fmt::Debug for MemoryTarget<'_, CLASSES, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTarget").field("len", &self.len).finish_non_exhaustive()
    }
}
