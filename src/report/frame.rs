//! One frame: version and checksum round a value, without zeros in it.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use postcard::ser_flavors::crc::CrcModifier;
use postcard::ser_flavors::{Cobs, Slice};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the schema. It is raised when records of before can no longer be read.
pub const VERSION: u8 = 2;

/// Bytes that a frame of any [`Record`](super::Record) or [`Request`](super::Request) has at the most, the zero
/// at its end included.
pub const MAX_FRAME: usize = 320;

/// What every frame begins with, and its version.
const HEAD: [u8; 3] = [b'c', b'k', VERSION];
/// The checksum's.
const SUM: usize = size_of::<u32>();

/// CRC-32 as in zip, from a table of 1 KiB: the table stays in flash.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// The buffer is too short for the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FullError;

impl fmt::Display for FullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer is too short for the frame")
    }
}

impl core::error::Error for FullError {}

/// Why bytes are no frame that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// More bytes than a frame can have, without an end.
    TooLong,
    /// Too few bytes: the beginning is missing, or the end.
    TooShort,
    /// They are no frame, or one of another protocol.
    Foreign,
    /// The checksum is wrong: they were damaged on the way.
    Damaged,
    /// It is of another version of the schema.
    Version {
        /// Of this one.
        found: u8,
    },
    /// It is intact, and of this version, but holds something else than was expected: a record that a later
    /// build has added.
    Content,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("a frame without an end"),
            Self::TooShort => f.write_str("a frame that is cut off"),
            Self::Foreign => f.write_str("no frame of a report"),
            Self::Damaged => f.write_str("a frame with a wrong checksum"),
            Self::Version { found } => {
                write!(f, "a frame of version {found} of the schema; this is version {VERSION}")
            }
            Self::Content => f.write_str("a frame with an unknown content"),
        }
    }
}

impl core::error::Error for FrameError {}

/// Writes `value`, a [`Record`](super::Record) or a [`Request`](super::Request), into `buffer` as one frame, and
/// returns the frame with the zero at its end. [`MAX_FRAME`] bytes are always enough for these.
///
/// Takes no lock and no heap. The time grows with the frame's length.
///
/// # Errors
/// [`FullError`] if the buffer is too short; it holds rubbish then.
///
/// ```
/// use cloakroom::report::{FullError, MAX_FRAME, Request, decode, encode};
///
/// let mut buffer = [0; MAX_FRAME];
/// let frame = encode(&Request::Report, &mut buffer)?;
/// assert_eq!(frame.iter().position(|&byte| byte == 0), Some(frame.len() - 1));
/// assert_eq!(decode(frame), Ok(Request::Report));
/// # Ok::<(), FullError>(())
/// ```
pub fn encode<'b, T: Serialize>(
    value: &T,
    buffer: &'b mut [u8],
) -> Result<&'b mut [u8], FullError> {
    let frame = Cobs::try_new(Slice::new(buffer)).map_err(|_| FullError)?;
    let frame = CrcModifier::new(frame, CRC.digest());
    // The only way to fail: every value of these types can be written.
    postcard::serialize_with_flavor(&(HEAD, value), frame).map_err(|_| FullError)
}

/// Reads one frame, with or without the zero at its end. The bytes are used up.
///
/// # Errors
/// See [`FrameError`].
pub fn decode<T: DeserializeOwned>(frame: &mut [u8]) -> Result<T, FrameError> {
    let end = frame.iter().position(|&byte| byte == 0).unwrap_or(frame.len());
    let frame = frame.get_mut(..end).unwrap_or(&mut []);
    // A code that points beyond the end: something is missing, or was never there.
    let len = cobs::decode_in_place(frame).map_err(|_| FrameError::TooShort)?;
    let frame = frame.get(..len).unwrap_or(&[]);
    let (head, rest) = frame.split_first_chunk::<{ HEAD.len() }>().ok_or(FrameError::TooShort)?;
    if head[..2] != HEAD[..2] {
        return Err(FrameError::Foreign);
    }
    let (content, sum) = rest.split_last_chunk::<SUM>().ok_or(FrameError::TooShort)?;
    let mut digest = CRC.digest();
    digest.update(head);
    digest.update(content);
    if digest.finalize() != u32::from_le_bytes(*sum) {
        return Err(FrameError::Damaged);
    }
    if head[2] != VERSION {
        return Err(FrameError::Version { found: head[2] });
    }
    match postcard::take_from_bytes(content) {
        Ok((value, [])) => Ok(value),
        _ => Err(FrameError::Content),
    }
}
