//! Where payloads go: memory that is slower than the arena, and has more room.

use core::fmt;

/// A place for payloads outside the arena: PSRAM, external flash, shared memory, a file.
///
/// A payload lies in an *extent*, which is a number that the target chooses. From [`store`](Self::store), which returns it, to
/// [`free`](Self::free) the extent is *held*, by the one who stored. What has become of the bytes meanwhile is not the target's
/// matter: who reads them has their checksum, in the queue.
///
/// All calls may come from many threads at once, and, if channels are used there, from interrupts. None is made inside a
/// critical section. None may call back into a channel that spills here.
///
/// A target over a device (errors are numbers of its own choice):
///
/// ```
/// use cloakroom::spill::{Extents, SpillError, SpillTarget, Word};
/// # struct Psram;
/// # impl Psram {
/// #     fn write(&self, _at: u64, _bytes: &[u8]) -> Result<(), i32> { Ok(()) }
/// #     fn read(&self, _at: u64, _into: &mut [u8]) -> Result<(), i32> { Ok(()) }
/// # }
///
/// struct External {
///     chip: Psram,
///     extents: Extents<1, [Word; 8]>,
/// }
///
/// impl SpillTarget for External {
///     fn store(&self, bytes: &[u8]) -> Result<u32, SpillError> {
///         let extent = self.extents.take(bytes.len()).ok_or(SpillError::Full)?;
///         self.chip.write(self.extents.offset(extent), bytes).map_err(|code| {
///             self.extents.give_back(extent);
///             SpillError::Device(code)
///         })?;
///         Ok(extent)
///     }
///     unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError> {
///         self.chip.read(self.extents.offset(extent), into).map_err(SpillError::Device)
///     }
///     unsafe fn free(&self, extent: u32) {
///         self.extents.give_back(extent);
///     }
///     fn capacity(&self) -> u64 {
///         self.extents.capacity()
///     }
///     fn used(&self) -> u64 {
///         self.extents.used()
///     }
/// }
/// ```
pub trait SpillTarget: Sync {
    /// Stores a payload, all of it or nothing; returns its extent, which is less than 2³¹.
    ///
    /// # Errors
    /// [`SpillError::Full`], or [`SpillError::Device`]; nothing is held then.
    fn store(&self, bytes: &[u8]) -> Result<u32, SpillError>;

    /// Reads a payload back.
    ///
    /// # Errors
    /// [`SpillError::Device`]; [`SpillError::Damaged`] if there are not so many bytes any more.
    ///
    /// # Safety
    /// The extent is held, and `into` is no longer than what was stored there.
    unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError>;

    /// Lends the bytes where they are, if the target can.
    ///
    /// # Safety
    /// The extent is held until the bytes are not used any more, and `len` is no more than what was stored there.
    unsafe fn view(&self, extent: u32, len: usize) -> Option<&[u8]> {
        let _ = (extent, len);
        None
    }

    /// Whether it lends all that it stores. What it does not lend has to be copied back into the arena: for that, memory for one
    /// message is kept there.
    fn lends(&self) -> bool {
        false
    }

    /// Frees an extent.
    ///
    /// # Safety
    /// It is held, and nobody uses it, or what was lent of it, any more.
    unsafe fn free(&self, extent: u32);

    /// It will be read soon: a hint, of use where reading takes a while and can go on beside other work.
    ///
    /// # Safety
    /// The extent is held.
    unsafe fn read_ahead(&self, extent: u32, len: usize) {
        let _ = (extent, len);
    }

    /// Bytes it has room for.
    fn capacity(&self) -> u64;

    /// Bytes that are taken, by whole extents.
    fn used(&self) -> u64;
}

/// Why a target did not do what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SpillError {
    /// It has no room for a payload so long.
    Full,
    /// The device failed, with a number of its own (of files: `errno`).
    Device(i32),
    /// The bytes are not those that were stored.
    Damaged,
}

impl fmt::Display for SpillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the spill target is full"),
            Self::Device(code) => write!(f, "the spill target failed with {code}"),
            Self::Damaged => f.write_str("the spilled bytes have changed"),
        }
    }
}

impl core::error::Error for SpillError {}
