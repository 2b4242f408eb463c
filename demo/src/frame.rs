//! The wire format, and the writer that builds a frame where it is to be sent from.
//!
//! # Frames
//!
//! Everything that leaves the board is a frame. Numbers are little-endian.
//!
//! | offset | bytes | what |
//! |-------:|------:|------|
//! | 0 | 2 | [`MAGIC`]: `EC 67` |
//! | 2 | 1 | [`VERSION`]: `01` |
//! | 3 | 1 | [`Kind`]: `01` samples, `02` beat, `03` status, `04` end |
//! | 4 | 2 | sequence number: 0, 1, 2 … 65,535, 0 … |
//! | 6 | 2 | length of the payload, *n* |
//! | 8 | *n* | payload |
//! | 8 + *n* | 4 | CRC-32 of all the bytes before |
//!
//! The magic lets a receiver that joins late, or has lost bytes, find the next frame; the sequence
//! number tells it whether a frame is missing; the CRC-32 finds every error that touches up to 32
//! neighbouring bits, so certainly any single wrong byte. No byte is escaped: a payload may well
//! contain the magic, and the checksum is what tells the difference.
//!
//! # Payloads
//!
//! **Samples**: a stretch of the recording, without loss.
//!
//! | offset | bytes | what |
//! |-------:|------:|------|
//! | 0 | 4 | number of the first sample in this frame, counted from 0 |
//! | 4 | 1–3 each | samples: the difference from the one before (for the first one, from 0) |
//!
//! A difference *d* is first folded, so that small ones are small whatever their sign: 0, −1, 1, −2, 2 …
//! become 0, 1, 2, 3, 4 … Then it is written 7 bits a byte, lowest first, with the top bit set on
//! all bytes but the last. An ECG changes slowly: about 99 samples in 100 take one byte.
//!
//! **Beat**: one heart beat.
//!
//! | offset | bytes | what |
//! |-------:|------:|------|
//! | 0 | 4 | sample number of the R peak |
//! | 4 | 4 | samples since the beat before; 0 for the first beat |
//!
//! **Status**: how the board is doing.
//!
//! | offset | bytes | what |
//! |-------:|------:|------|
//! | 0 | 4 | pages of the arena |
//! | 4 | 4 | free pages |
//! | 8 | 4 | most pages ever in use at once |
//! | 12 | 4 | how often a task has waited for memory |
//! | 16 | 4 | allocations that failed |
//! | 20 | 18 each | channels, any number of them: |
//! | +0 | 1 | number of the channel |
//! | +1 | 1 | 0, reserved |
//! | +2 | 2 | capacity |
//! | +4 | 4 | messages sent |
//! | +8 | 4 | messages received |
//! | +12 | 4 | messages dropped |
//! | +16 | 2 | most messages ever in the channel at once |
//!
//! **End**: the recording is over; the last frame of all.
//!
//! | offset | bytes | what |
//! |-------:|------:|------|
//! | 0 | 4 | number of samples that came in |
//! | 4 | 4 | CRC-32 of the bytes that came in |
//! | 8 | 4 | number of beats |

use crate::Crc32;

/// The first two bytes of every frame.
pub const MAGIC: [u8; 2] = [0xEC, 0x67];
/// The version of the format that this is.
pub const VERSION: u8 = 1;
/// The bytes before the payload.
pub const HEADER_LEN: usize = 8;
/// The bytes after the payload.
pub const TRAILER_LEN: usize = 4;
/// What a frame takes on top of its payload.
pub const OVERHEAD: usize = HEADER_LEN + TRAILER_LEN;
/// The longest frame that is ever sent. Receivers take a header that claims more for noise.
pub const MAX_FRAME_LEN: usize = 512;

/// Where the header has the payload's length.
pub(crate) const LENGTH_AT: usize = 6;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A stretch of the recording.
    Samples = 1,
    /// One heart beat.
    Beat = 2,
    /// How the board is doing.
    Status = 3,
    /// The recording is over.
    End = 4,
}

impl Kind {
    /// The kind that has this number on the wire, if there is one.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Samples),
            2 => Some(Self::Beat),
            3 => Some(Self::Status),
            4 => Some(Self::End),
            _ => None,
        }
    }
}

/// The buffer has no room for that. Nothing was written: what the frame held before, it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl core::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no room left in the frame")
    }
}

impl core::error::Error for NoRoom {}

/// Builds one frame in place, in memory lent by the caller.
///
/// The caller lends, say, a lease of the arena, fills it through this writer, and sends off the
/// lease itself: the frame is never copied.
///
/// ```
/// use cloakroom_demo::{FrameWriter, Kind, NoRoom};
///
/// # fn main() -> Result<(), NoRoom> {
/// let mut memory = [0; 64];
/// let mut writer = FrameWriter::new(&mut memory, Kind::Beat, 7)?;
/// writer.push_u32(1000)?;
/// writer.push_u32(0)?;
/// let len = writer.finish();
/// assert_eq!(memory[..8], [0xEC, 0x67, 1, 2, 7, 0, 8, 0]);
/// assert_eq!(len, 8 + 8 + 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FrameWriter<'a> {
    buffer: &'a mut [u8],
    /// The bytes of header and payload so far. At most `buffer.len() - TRAILER_LEN`, always: that
    /// is what lets [`finish`](Self::finish) succeed without ifs and buts.
    len: usize,
}

impl<'a> FrameWriter<'a> {
    /// Starts a frame at the beginning of `buffer`. Of a buffer longer than [`MAX_FRAME_LEN`], the
    /// rest is left alone.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if not even an empty frame ([`OVERHEAD`] bytes) fits.
    pub fn new(buffer: &'a mut [u8], kind: Kind, sequence: u16) -> Result<Self, NoRoom> {
        let usable = buffer.len().min(MAX_FRAME_LEN);
        let buffer = buffer.get_mut(..usable).ok_or(NoRoom)?;
        if buffer.len() < OVERHEAD {
            return Err(NoRoom);
        }
        let mut writer = Self { buffer, len: 0 };
        writer.push_bytes(&MAGIC)?;
        writer.push_bytes(&[VERSION, kind as u8])?;
        writer.push_u16(sequence)?;
        // The length, which `finish` knows.
        writer.push_u16(0)?;
        Ok(writer)
    }

    /// Appends `bytes` to the payload: all of them or none.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if they do not all fit.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        if bytes.len() > self.room() {
            return Err(NoRoom);
        }
        let end = self.len + bytes.len();
        let place = self.buffer.get_mut(self.len..end).ok_or(NoRoom)?;
        place.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Appends a 16-bit number.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if it does not fit.
    pub fn push_u16(&mut self, value: u16) -> Result<(), NoRoom> {
        self.push_bytes(&value.to_le_bytes())
    }

    /// Appends a 32-bit number.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if it does not fit.
    pub fn push_u32(&mut self, value: u32) -> Result<(), NoRoom> {
        self.push_bytes(&value.to_le_bytes())
    }

    /// How many bytes of payload still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.buffer.len().saturating_sub(self.len + TRAILER_LEN)
    }

    /// Completes the frame with its length and its checksum, and returns how many bytes of the
    /// buffer it takes.
    #[must_use = "the length says how much of the buffer to send"]
    pub fn finish(self) -> usize {
        let Self { buffer, len } = self;
        let payload = len.saturating_sub(HEADER_LEN) as u16;
        if let Some(field) = buffer.get_mut(LENGTH_AT..HEADER_LEN) {
            field.copy_from_slice(&payload.to_le_bytes());
        }
        if let Some((frame, rest)) = buffer.split_at_mut_checked(len) {
            let crc = Crc32::of(frame);
            if let Some(trailer) = rest.first_chunk_mut() {
                *trailer = crc.to_le_bytes();
            }
        }
        len + TRAILER_LEN
    }
}
