//! Erase blocks of a NOR flash as slots of a log.

use core::fmt;
use core::ops::Range;

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};

use super::tail::LONGEST_WORD;
use crate::journal::{ALIGN, LogDevice};

/// What is read back at a time after an erase.
const PIECE: usize = 64;

/// Why a flash does not do what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NorError {
    /// The driver says so. Of a read, that it cannot be corrected, for example.
    Device(NorFlashErrorKind),
    /// A block was erased, and is not blank.
    NotBlank,
    /// The area, or the slots, are no multiple of the flash's erase blocks, or do not fit it.
    Area,
}

impl fmt::Display for NorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(kind) => kind.fmt(f),
            Self::NotBlank => f.write_str("a block was erased, and is not blank"),
            Self::Area => f.write_str("the area does not consist of the flash's erase blocks"),
        }
    }
}

impl core::error::Error for NorError {}

/// An area of a NOR flash as slots of a log: each is a run of erase blocks.
///
/// What is stored is the complement of each byte, so that blank flash reads as zeros. Words of up to 64 bytes can be written; a
/// flash with longer ones does not compile here. A record takes whole words, of 8 bytes at least. Reads may be unaligned to the
/// flash's words, too.
#[derive(Debug)]
pub struct NorSlots<F> {
    flash: F,
    start: u32,
    slots: u32,
    slot_bytes: u32,
}

impl<F: NorFlash> NorSlots<F> {
    const WORD: usize = if F::WRITE_SIZE > ALIGN { F::WRITE_SIZE } else { ALIGN };

    /// The slots in `area`, of `slot_bytes` each; what is behind the last whole one stays unused.
    ///
    /// Slots of several blocks waste less for headers; a whole one is erased at a time.
    ///
    /// # Errors
    ///
    /// [`NorError::Area`].
    pub fn new(flash: F, area: Range<u32>, slot_bytes: u32) -> Result<Self, NorError> {
        const {
            assert!(F::WRITE_SIZE.is_power_of_two() && F::WRITE_SIZE <= LONGEST_WORD, "words");
            assert!(F::READ_SIZE.is_power_of_two() && F::READ_SIZE <= LONGEST_WORD, "reads");
            assert!(F::ERASE_SIZE % Self::WORD == 0, "blocks of words");
        }
        let blocks = |bytes: u32| bytes as usize % F::ERASE_SIZE == 0;
        let fits = area.start <= area.end && area.end as usize <= flash.capacity();
        if !fits || slot_bytes == 0 || !blocks(slot_bytes) || !blocks(area.start) {
            return Err(NorError::Area);
        }
        let slots = (area.end - area.start) / slot_bytes;
        Ok(Self { flash, start: area.start, slots, slot_bytes })
    }

    /// Erases all slots, whatever is in them: for an area that was used for something else. If that is interrupted, it is to be
    /// done again.
    ///
    /// # Errors
    ///
    /// The driver's; [`NorError::NotBlank`].
    pub fn erase_all(&mut self) -> Result<(), NorError> {
        (0..self.slots).try_for_each(|slot| self.renew(slot))
    }

    /// Gives the flash back.
    pub fn into_inner(self) -> F {
        self.flash
    }

    fn address(&self, slot: u32, offset: u32) -> u32 {
        self.start + slot * self.slot_bytes + offset
    }

    fn read_raw(&mut self, mut at: u32, mut buffer: &mut [u8]) -> Result<(), NorError> {
        let unit = F::READ_SIZE;
        while !buffer.is_empty() {
            let skip = at as usize % unit;
            let whole = buffer.len() / unit * unit;
            let len = if skip == 0 && whole > 0 {
                self.flash.read(at, &mut buffer[..whole]).map_err(told)?;
                whole
            } else {
                let mut word = [0; LONGEST_WORD];
                self.flash.read(at - skip as u32, &mut word[..unit]).map_err(told)?;
                let len = buffer.len().min(unit - skip);
                buffer[..len].copy_from_slice(&word[skip..skip + len]);
                len
            };
            at += len as u32;
            buffer = &mut buffer[len..];
        }
        Ok(())
    }
}

impl<F: NorFlash> LogDevice for NorSlots<F> {
    type Error = NorError;

    fn slots(&self) -> u32 {
        self.slots
    }

    fn segment_bytes(&self) -> u32 {
        self.slot_bytes
    }

    fn word(&self) -> u32 {
        Self::WORD as u32
    }

    fn erases(&self) -> bool {
        true
    }

    fn read(&mut self, slot: u32, offset: u32, buffer: &mut [u8]) -> Result<(), NorError> {
        self.read_raw(self.address(slot, offset), buffer)?;
        buffer.iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }

    fn write(&mut self, slot: u32, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        let mut at = offset;
        for piece in bytes.chunks(PIECE) {
            let mut copy = [0; PIECE];
            copy[..piece.len()].copy_from_slice(piece);
            self.write_out(slot, at, &mut copy[..piece.len()])?;
            at += piece.len() as u32;
        }
        Ok(())
    }

    fn write_out(&mut self, slot: u32, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        let at = self.address(slot, offset);
        self.flash.write(at, bytes).map_err(told)
    }

    /// Nothing: what was written is there.
    fn sync(&mut self, _slot: u32) -> Result<(), NorError> {
        Ok(())
    }

    fn renew(&mut self, slot: u32) -> Result<(), NorError> {
        let (from, to) = (self.address(slot, 0), self.address(slot, 0) + self.slot_bytes);
        self.flash.erase(from, to).map_err(told)?;
        let mut at = from;
        while at < to {
            let mut bytes = [0; PIECE];
            let piece = &mut bytes[..PIECE.min((to - at) as usize)];
            self.read_raw(at, piece)?;
            if piece.iter().any(|&byte| byte != 0xFF) {
                return Err(NorError::NotBlank);
            }
            at += piece.len() as u32;
        }
        Ok(())
    }
}

fn told(error: impl NorFlashError) -> NorError {
    NorError::Device(error.kind())
}
