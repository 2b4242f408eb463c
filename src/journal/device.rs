//! What a log lies on.

use super::record::{ALIGN, Shape};

/// Slots of equal size that hold segments: files, or sectors of a flash.
///
/// Recovery reads only. What writes, writes whole records, in order.
pub trait LogDevice {
    /// What the device says when it fails.
    type Error;

    /// How many slots there are.
    fn slots(&self) -> u32;

    /// Bytes of a slot, a multiple of 8 from 256 on. Files are as long as they are made at run time, so this is no constant.
    fn segment_bytes(&self) -> u32;

    /// Bytes that `slot` really has. Fewer than [`segment_bytes`](Self::segment_bytes) mean that something has cut it off,
    /// or that it was never made whole.
    ///
    /// # Errors
    ///
    /// Those of the device.
    fn available(&mut self, slot: u32) -> Result<u32, Self::Error> {
        let _ = slot;
        Ok(self.segment_bytes())
    }

    /// What is written at a time, and what a record's place is a multiple of: a power of two, from [`ALIGN`] to 64. Segments consist of
    /// whole ones.
    fn word(&self) -> u32 {
        ALIGN as u32
    }

    /// Whether this is flash: what is written is durable, in order, and [`renew`](Self::renew) is an erase that leaves anything at
    /// all when it is interrupted, a slot without a header that can be read included.
    ///
    /// Recovery then takes such a slot for one that was being erased or begun, as far as nothing of the log is missing, and does
    /// not look into segments that the log no longer needs; and a record that verifies shows that those before it in its segment
    /// were durable. Whoever writes must write each record by itself.
    fn erases(&self) -> bool {
        false
    }

    /// How records are written to it: with short headers if it is flash.
    fn shape(&self) -> Shape {
        if self.erases() { Shape::Short } else { Shape::Long }
    }

    /// Fills `buffer` with what is at `offset`; the range is within [`available`](Self::available).
    ///
    /// # Errors
    ///
    /// Those of the device. A sector that cannot be read is an error here, never a trap: recovery goes on behind it.
    fn read(&mut self, slot: u32, offset: u32, buffer: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// Those of the device; then nobody knows what was written.
    fn write(&mut self, slot: u32, offset: u32, bytes: &[u8]) -> Result<(), Self::Error>;

    /// As [`write`](Self::write), of bytes that the caller does not need any longer: the device may change them on the way.
    ///
    /// # Errors
    ///
    /// Those of the device; then nobody knows what was written.
    fn write_out(&mut self, slot: u32, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.write(slot, offset, bytes)
    }

    /// Returns when all that was written to `slot` survives a power cut.
    ///
    /// # Errors
    ///
    /// Those of the device. A caller must not try again: what could not be written may be forgotten by then.
    fn sync(&mut self, slot: u32) -> Result<(), Self::Error>;

    /// Makes `slot` read as zeros, and durably so.
    ///
    /// # Errors
    ///
    /// Those of the device.
    fn renew(&mut self, slot: u32) -> Result<(), Self::Error>;
}
