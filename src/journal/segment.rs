//! The header of a segment, 64 bytes, which stands at its beginning and again at its end.
//!
//! | at | bytes | what |
//! |---:|---:|---|
//! | 0 | 4 | `ckwl` |
//! | 4 | 1 | major version: 1 |
//! | 5 | 1 | minor version: 0. It never changes what older bytes mean |
//! | 6 | 2 | incompatible extensions, a bit each: who does not know one refuses the log. 1: headers of records are short |
//! | 8 | 4 | compatible extensions, a bit each: who does not know one reads on |
//! | 12 | 16 | the log's id, random |
//! | 28 | 8 | the segment's number, from 1 |
//! | 36 | 8 | the segment's bytes, both headers included |
//! | 44 | 4 | the geometry: a number of the user's, by which a log is known to be of another set-up |
//! | 48 | 4 | where the segment before ends, 0 for the first |
//! | 52 | 8 | when it was made, in seconds since 1970, for people only |
//! | 60 | 4 | CRC-32 of the 60 bytes before |

use super::record::{Binding, Shape};
use crate::sum::sum;

/// Bytes of a segment's header; it is there twice.
pub const SEGMENT_HEADER: usize = 64;
/// The major version of the format.
pub const VERSION: u8 = 1;

const MAGIC: [u8; 4] = *b"ckwl";
/// Incompatible extensions that are known here.
const KNOWN: u16 = SHORT;
/// Headers of records are short.
const SHORT: u16 = 1;

/// What a segment says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// Of the log it belongs to.
    pub log_id: u128,
    /// Its number: they follow one another, from 1.
    pub segment: u64,
    /// Its length in bytes, both headers included.
    pub segment_bytes: u64,
    /// A number of the user's.
    pub geometry: u32,
    /// Where the records of the segment before end.
    pub previous_end: u32,
    /// Seconds since 1970, or 0.
    pub created: u64,
    /// How its records are written.
    pub shape: Shape,
}

/// Why bytes are no segment's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HeaderError {
    /// All are zero: nothing was written there.
    Blank,
    /// They are something else, or damaged.
    Damaged,
    /// It is intact, and of a format of later on.
    Newer {
        /// Its major version.
        major: u8,
        /// Its incompatible extensions.
        incompatible: u16,
    },
}

impl SegmentHeader {
    /// As it is written.
    ///
    /// ```
    /// use cloakroom::journal::{SegmentHeader, Shape};
    ///
    /// let header = SegmentHeader {
    ///     log_id: 7, segment: 1, segment_bytes: 4096, geometry: 0, previous_end: 0, created: 0, shape: Shape::Long,
    /// };
    /// assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    /// ```
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        let extensions = if self.shape == Shape::Short { SHORT } else { 0 };
        bytes[6..8].copy_from_slice(&extensions.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.log_id.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.segment.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.segment_bytes.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.geometry.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.previous_end.to_le_bytes());
        bytes[52..60].copy_from_slice(&self.created.to_le_bytes());
        let sum = sum(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What was written.
    ///
    /// # Errors
    ///
    /// [`HeaderError`]: nothing was, it was damaged, or it is of a later format.
    pub fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Result<Self, HeaderError> {
        if bytes.iter().all(|&byte| byte == 0) {
            return Err(HeaderError::Blank);
        }
        if bytes[0..4] != MAGIC || field::<4>(bytes, 60) != sum(&bytes[..60]).to_le_bytes() {
            return Err(HeaderError::Damaged);
        }
        let (major, incompatible) = (bytes[4], u16::from_le_bytes(field(bytes, 6)));
        if major != VERSION || incompatible & !KNOWN != 0 {
            return Err(HeaderError::Newer { major, incompatible });
        }
        Ok(Self {
            log_id: u128::from_le_bytes(field(bytes, 12)),
            segment: u64::from_le_bytes(field(bytes, 28)),
            segment_bytes: u64::from_le_bytes(field(bytes, 36)),
            geometry: u32::from_le_bytes(field(bytes, 44)),
            previous_end: u32::from_le_bytes(field(bytes, 48)),
            created: u64::from_le_bytes(field(bytes, 52)),
            shape: if incompatible & SHORT != 0 { Shape::Short } else { Shape::Long },
        })
    }

    /// What its records' checksums are bound to.
    pub fn binding(&self) -> Binding {
        Binding { log_id: self.log_id, segment: self.segment, shape: self.shape }
    }
}

/// `N` bytes from `at` on, which the caller knows to be there.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        log_id: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        segment: 9,
        segment_bytes: 1 << 16,
        geometry: 0xfeed,
        previous_end: 4096,
        created: 1_700_000_000,
        shape: Shape::Long,
    };

    #[test]
    fn no_flipped_bit_passes() {
        for bit in 0..SEGMENT_HEADER * 8 {
            let mut bytes = HEADER.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Damaged), "bit {bit}");
        }
        assert_eq!(SegmentHeader::decode(&[0; SEGMENT_HEADER]), Err(HeaderError::Blank));
    }

    #[test]
    fn what_is_newer_is_told_from_what_is_damaged() {
        let with = |change: fn(&mut [u8; SEGMENT_HEADER])| {
            let mut bytes = HEADER.encode();
            change(&mut bytes);
            let sum = sum(&bytes[..60]);
            bytes[60..].copy_from_slice(&sum.to_le_bytes());
            SegmentHeader::decode(&bytes)
        };
        assert_eq!(with(|bytes| bytes[5] = 3), Ok(HEADER), "a minor version");
        assert_eq!(with(|bytes| bytes[8] = 1), Ok(HEADER), "a compatible extension");
        let newer = |major, incompatible| Err(HeaderError::Newer { major, incompatible });
        assert_eq!(with(|bytes| bytes[4] = 2), newer(2, 0));
        assert_eq!(with(|bytes| bytes[6] = 4), newer(1, 4));
    }
}
