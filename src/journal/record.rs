//! Records: a header of 32 bytes, a body, and zeros up to the next multiple of 8.
//!
//! | at | bytes | what |
//! |---:|---:|---|
//! | 0 | 4 | CRC-32 of log id, segment, offset (16 + 8 + 4 bytes that are not written) and of bytes 4 to 31 |
//! | 4 | 4 | CRC-32 of the body |
//! | 8 | 4 | the body's length, without the zeros behind it |
//! | 12 | 1 | [`Kind`], never 0 |
//! | 13 | 1 | [`Flags`] |
//! | 14 | 2 | channel |
//! | 16 | 8 | sequence number |
//! | 24 | 4 | arena slot |
//! | 28 | 4 | its generation; of a message with [`Flags::KEYED`] all 8 bytes are its key |
//! | 24 | 4 | with [`Flags::COUNTED`] how often the message was delivered, 255 for that and more |
//!
//! The first sum binds a record to where it is: bytes of another log, of a segment before in the same file, or moved ones
//! never verify. A length is believed after that only. CRC-32 finds any three flipped bits in bodies up to 11 KiB, and
//! all but one in four thousand million changes of longer ones.
//!
//! Kinds and flags that a reader does not know are passed over: they say nothing that changes what others mean, so who does not
//! know keys reads messages all the same.
//!
//! In flash ([`Shape::Short`]) a header has 20 bytes, and 28 with a key, which is not copied forward: no copy is longer than what it is
//! of. An arena's slot and generation are not noted down:
//!
//! | at | bytes | what |
//! |---:|---:|---|
//! | 0 | 8 | the sums, as above |
//! | 8 | 2 | the body's length |
//! | 10 | 1 | kind |
//! | 11 | 1 | flags |
//! | 12 | 2 | channel |
//! | 14 | 1 | how often the message was delivered |
//! | 15 | 5 | sequence number; all ones for [`CLOSED`] |
//! | 20 | 8 | the key |
//!
//! Bodies of the kinds that are the log's own:
//!
//! | kind | body |
//! |---|---|
//! | `Ack` | pairs of `u64`: first and last sequence number of a range, 1 to [`MAX_RANGES`] of them |
//! | `Checkpoint` | `u64` first segment of the log, `u64` highest sequence number, `u32` highest generation, `u32` 0 |
//! | `Batch` | `u64` segment, `u32` offset, `u32` 0: all before that was durable when this was written |
//! | `Keys` | pairs of `u64`: a key, and the number of the message of this channel that was sent with it |
//! | `Scar` | `u64` segment, `u32` from, `u32` to: bytes that a recovery has passed over |

use super::keys::PAIR;
use super::segment::field;
use crate::sum::sum;

/// Bytes of a record's header.
pub const RECORD_HEADER: usize = 32;
/// What a record's place is a multiple of.
pub const ALIGN: usize = 8;
/// Ranges of one acknowledgement at the most.
pub const MAX_RANGES: usize = 64;
/// The sequence number under which a closed channel is remembered: the last there is.
pub const CLOSED: u64 = u64::MAX;

/// What a record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// A message was sent.
    Send = 1,
    /// Messages need not be kept any longer.
    Ack = 2,
    /// A channel was closed. Its sequence number is [`CLOSED`].
    Close = 3,
    /// Where the log begins.
    Checkpoint = 4,
    /// A message or a closing that was copied forward.
    Reloc = 5,
    /// What was durable.
    Batch = 6,
    /// Bytes that a recovery has passed over.
    Scar = 7,
    /// Keys of messages that were sent before this segment was begun.
    Keys = 8,
    /// A message is about to be delivered again. It has no body.
    Attempt = 9,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Send,
            2 => Self::Ack,
            3 => Self::Close,
            4 => Self::Checkpoint,
            5 => Self::Reloc,
            6 => Self::Batch,
            7 => Self::Scar,
            8 => Self::Keys,
            9 => Self::Attempt,
            _ => return None,
        })
    }
}

/// Marks of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// Of an acknowledgement: the message was cancelled, not received.
    pub const CANCELLED: Self = Self(1);
    /// Of a batch: the log was closed after it.
    pub const CLEAN: Self = Self(2);
    /// Of a checkpoint with which a segment begins: all of the segment before was durable then.
    pub const SEALED: Self = Self(4);
    /// Of a sent message: it has a key, in place of an arena's slot and generation.
    pub const KEYED: Self = Self(8);
    /// Of an attempt, and of a message that was copied forward: it says how often the message was delivered, in place of an
    /// arena's slot.
    pub const COUNTED: Self = Self(16);

    /// Whether all marks of `other` are there.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where a record is. Positions are ordered as records were written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u32,
}

/// How long headers of records are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shape {
    /// [`RECORD_HEADER`] bytes.
    #[default]
    Long,
    /// 20 bytes, and 28 of those with a key: for flash, which is written, and worn, by each of them. Bodies are shorter than 64 KiB, and
    /// numbers than 40 bits.
    Short,
}

/// The last number in a short header, which stands for [`CLOSED`].
const LAST_SHORT: u64 = (1 << 40) - 1;

impl Shape {
    /// Bytes of a header.
    pub(super) const fn header(self, flags: Flags) -> usize {
        match self {
            Self::Long => RECORD_HEADER,
            Self::Short if flags.has(Flags::KEYED) => 28,
            Self::Short => 20,
        }
    }

    /// A header from what `read` returns of its first bytes. No more is asked for than was written: what is behind it may be what cannot
    /// be read.
    pub(super) fn read<E>(
        self,
        mut read: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<[u8; RECORD_HEADER], E> {
        let mut bytes = [0; RECORD_HEADER];
        let least = self.header(Flags::NONE);
        read(&mut bytes[..least])?;
        let all = self.header(Flags(bytes[11]));
        if all > least {
            read(&mut bytes[..all])?;
        }
        Ok(bytes)
    }

    /// Whether a number can be a message's.
    #[cfg(feature = "flash")]
    pub(super) fn has_number(self, seq: u64) -> bool {
        seq < CLOSED && (self == Self::Long || seq < LAST_SHORT)
    }
}

/// What records' checksums are bound to, beside their offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The log's id.
    pub log_id: u128,
    /// The segment's number.
    pub segment: u64,
    /// How its records are written.
    pub shape: Shape,
}

/// A record's header, its checksum apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// Of the body.
    pub body_crc: u32,
    /// Bytes of the body.
    pub body_len: u32,
    /// What it says, as a byte: later versions may have more kinds.
    pub kind: u8,
    /// Marks.
    pub flags: Flags,
    /// The channel.
    pub chan: u16,
    /// The message's number in its channel.
    pub seq: u64,
    /// Where the payload was in an arena.
    pub slot: u32,
    /// That slot's generation.
    pub generation: u32,
}

impl RecordHeader {
    /// As it is written at `offset`: as many bytes as the shape has, and zeros.
    pub fn encode(&self, binding: &Binding, offset: u32) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        bytes[4..8].copy_from_slice(&self.body_crc.to_le_bytes());
        if binding.shape == Shape::Short {
            // Whoever writes short ones has looked whether length and number fit; a count does.
            bytes[8..10].copy_from_slice(&(self.body_len as u16).to_le_bytes());
            (bytes[10], bytes[11]) = (self.kind, self.flags.0);
            bytes[12..14].copy_from_slice(&self.chan.to_le_bytes());
            bytes[15..20].copy_from_slice(&self.seq.to_le_bytes()[..5]);
            if self.flags.has(Flags::COUNTED) {
                bytes[14] = self.slot as u8;
            } else if self.flags.has(Flags::KEYED) {
                bytes[20..24].copy_from_slice(&self.slot.to_le_bytes());
                bytes[24..28].copy_from_slice(&self.generation.to_le_bytes());
            }
            let sum = seal(&bytes, self.flags, binding, offset);
            bytes[0..4].copy_from_slice(&sum.to_le_bytes());
            return bytes;
        }
        bytes[8..12].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[12] = self.kind;
        bytes[13] = self.flags.0;
        bytes[14..16].copy_from_slice(&self.chan.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.seq.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.slot.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.generation.to_le_bytes());
        let sum = seal(&bytes, self.flags, binding, offset);
        bytes[0..4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What was written at `offset`; `None` if that, whatever these bytes are, was not it.
    pub fn decode(bytes: &[u8; RECORD_HEADER], binding: &Binding, offset: u32) -> Option<Self> {
        let kind = if binding.shape == Shape::Short { 10 } else { 12 };
        let flags = Flags(bytes[kind + 1]);
        // Of bytes at random, and of zeros, this leaves few to be summed up.
        if bytes[kind] == 0 || field(bytes, 0) != seal(bytes, flags, binding, offset).to_le_bytes()
        {
            return None;
        }
        if binding.shape == Shape::Short {
            let seq = u64::from_le_bytes(field(bytes, 12)) >> 24;
            let (slot, generation) = if flags.has(Flags::COUNTED) {
                (bytes[14].into(), 0)
            } else if flags.has(Flags::KEYED) {
                (u32::from_le_bytes(field(bytes, 20)), u32::from_le_bytes(field(bytes, 24)))
            } else {
                (0, 0)
            };
            return Some(Self {
                body_crc: u32::from_le_bytes(field(bytes, 4)),
                body_len: u16::from_le_bytes(field(bytes, 8)).into(),
                kind: bytes[10],
                flags,
                chan: u16::from_le_bytes(field(bytes, 12)),
                seq: if seq == LAST_SHORT { CLOSED } else { seq },
                slot,
                generation,
            });
        }
        Some(Self {
            body_crc: u32::from_le_bytes(field(bytes, 4)),
            body_len: u32::from_le_bytes(field(bytes, 8)),
            kind: bytes[12],
            flags,
            chan: u16::from_le_bytes(field(bytes, 14)),
            seq: u64::from_le_bytes(field(bytes, 16)),
            slot: u32::from_le_bytes(field(bytes, 24)),
            generation: u32::from_le_bytes(field(bytes, 28)),
        })
    }

    /// Notes down how often the message was delivered, if it was.
    pub(super) fn count(&mut self, attempts: u8) {
        if attempts > 0 {
            self.flags.0 |= Flags::COUNTED.0;
            (self.slot, self.generation) = (u32::from(attempts), 0);
        }
    }

    /// What it says, if that is known to this version.
    pub fn kind(&self) -> Option<Kind> {
        Kind::of(self.kind)
    }

    /// The key of a message that was sent with one.
    pub fn key(&self) -> Option<u64> {
        let keyed = self.kind() == Some(Kind::Send) && self.flags.has(Flags::KEYED);
        keyed.then_some(u64::from(self.generation) << 32 | u64::from(self.slot))
    }

    /// How many keys it says something of: its own, or those in its body.
    pub fn key_count(&self) -> usize {
        match self.kind() {
            Some(Kind::Keys) => self.body_len as usize / PAIR,
            _ => usize::from(self.key().is_some()),
        }
    }

    /// How often the message had been delivered, as far as that was counted; 255 is that and more.
    pub fn attempts(&self) -> u8 {
        let counted = matches!(self.kind(), Some(Kind::Attempt | Kind::Reloc));
        if !counted || !self.flags.has(Flags::COUNTED) {
            return 0;
        }
        u8::try_from(self.slot).unwrap_or(u8::MAX)
    }

    /// Where the payload was in an arena, and that slot's generation; zeros if the record says something else there.
    pub(super) fn place(&self) -> (u32, u32) {
        if self.key().is_some() || self.attempts() > 0 {
            return (0, 0);
        }
        (self.slot, self.generation)
    }

    /// Bytes of the header: what the body is behind.
    pub(super) fn header_len(&self, shape: Shape) -> u32 {
        shape.header(self.flags) as u32
    }

    /// Bytes that the record takes in all, up to a multiple of 8; `None` if that cannot be counted.
    pub(super) fn len(&self, shape: Shape) -> Option<u32> {
        self.body_len.checked_add(self.header_len(shape))?.checked_next_multiple_of(ALIGN as u32)
    }
}

/// The checksum of a header at a place.
fn seal(header: &[u8; RECORD_HEADER], flags: Flags, binding: &Binding, offset: u32) -> u32 {
    let mut bytes = [0; 28 + RECORD_HEADER - 4];
    bytes[0..16].copy_from_slice(&binding.log_id.to_le_bytes());
    bytes[16..24].copy_from_slice(&binding.segment.to_le_bytes());
    bytes[24..28].copy_from_slice(&offset.to_le_bytes());
    bytes[28..].copy_from_slice(&header[4..]);
    sum(&bytes[..24 + binding.shape.header(flags)])
}

/// Bytes of a record whose body has `body` bytes; `None` if that cannot be counted.
///
/// ```
/// use cloakroom::journal::record_len;
/// assert_eq!([0, 1, 8, 9].map(record_len), [Some(32), Some(40), Some(40), Some(48)]);
/// ```
pub const fn record_len(body: usize) -> Option<u32> {
    const MOST: usize = u32::MAX as usize - RECORD_HEADER - ALIGN;
    // The cast keeps the value: it was just compared.
    if body > MOST { None } else { Some((RECORD_HEADER + body.next_multiple_of(ALIGN)) as u32) }
}

/// A record that is to be written: its body is summed up, its place is not known yet.
///
/// ```
/// use cloakroom::journal::{Binding, Flags, Kind, Record, RecordHeader, Shape};
///
/// let binding = Binding { log_id: 1, segment: 1, shape: Shape::Long };
/// let record = Record::new(Kind::Send, 3, 17, b"a message").unwrap();
/// let mut bytes = [0; 64];
/// let len = record.encode(&binding, 64, &mut bytes).unwrap();
/// assert_eq!(len, 48);
///
/// let header = RecordHeader::decode(bytes[..32].try_into()?, &binding, 64).unwrap();
/// assert_eq!((header.chan, header.seq), (3, 17));
/// // Nowhere else:
/// assert_eq!(RecordHeader::decode(bytes[..32].try_into()?, &binding, 72), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    header: RecordHeader,
    len: u32,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// A record of that kind; `None` if the body is too long to be counted.
    pub fn new(kind: Kind, chan: u16, seq: u64, body: &'a [u8]) -> Option<Self> {
        let len = record_len(body.len())?;
        let header = RecordHeader {
            body_crc: sum(body),
            // The cast keeps the value: the record's length could be counted.
            body_len: body.len() as u32,
            kind: kind as u8,
            flags: Flags::NONE,
            chan,
            seq,
            slot: 0,
            generation: 0,
        };
        Some(Self { header, len, body })
    }

    /// With a payload's place in an arena.
    pub fn at_slot(mut self, slot: u32, generation: u32) -> Self {
        (self.header.slot, self.header.generation) = (slot, generation);
        self
    }

    /// With a key, in place of that.
    pub fn keyed(mut self, key: u64) -> Self {
        self.header.flags.0 |= Flags::KEYED.0;
        // Both casts take a half.
        (self.header.slot, self.header.generation) = (key as u32, (key >> 32) as u32);
        self
    }

    /// With how often its message was delivered, in place of that; as it is if that is never.
    pub fn counted(mut self, attempts: u8) -> Self {
        self.header.count(attempts);
        self
    }

    /// With the checksum that its body had elsewhere.
    #[cfg(feature = "wal")]
    pub(crate) fn summed(mut self, body_crc: u32) -> Self {
        self.header.body_crc = body_crc;
        self
    }

    /// With marks.
    pub fn flagged(mut self, flags: Flags) -> Self {
        self.header.flags = flags;
        self
    }

    /// Its header.
    pub fn header(&self) -> &RecordHeader {
        &self.header
    }

    /// Bytes that it takes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Writes it to the beginning of `buffer`, for `offset`, and returns how many bytes that took; `None` if it does
    /// not fit. Its header is a long one.
    pub fn encode(&self, binding: &Binding, offset: u32, buffer: &mut [u8]) -> Option<usize> {
        let len = self.len as usize;
        let buffer = buffer.get_mut(..len)?;
        let (head, rest) = buffer.split_at_mut(RECORD_HEADER);
        head.copy_from_slice(&self.header.encode(binding, offset));
        let (body, zeros) = rest.split_at_mut(self.body.len());
        body.copy_from_slice(self.body);
        zeros.fill(0);
        Some(len)
    }
}

/// The body of a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checkpoint {
    /// The first segment that is part of the log.
    pub first: u64,
    /// The highest sequence number there was, of a message, in any channel.
    pub max_seq: u64,
    /// The highest generation there was of any slot.
    pub max_generation: u32,
}

impl Checkpoint {
    /// Bytes of the body.
    pub const LEN: usize = 24;

    /// As it is written.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..8].copy_from_slice(&self.first.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.max_seq.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.max_generation.to_le_bytes());
        bytes
    }

    /// What was written.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Self {
        Self {
            first: u64::from_le_bytes(field(bytes, 0)),
            max_seq: u64::from_le_bytes(field(bytes, 8)),
            max_generation: u32::from_le_bytes(field(bytes, 16)),
        }
    }
}

/// Bytes of a segment: the body of a scar, and without `to` that of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The first of them.
    pub from: Position,
    /// The first behind them, in the same segment.
    pub to: u32,
}

impl Span {
    /// Bytes of the body.
    pub const LEN: usize = 16;

    /// As it is written.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0..8].copy_from_slice(&self.from.segment.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.from.offset.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.to.to_le_bytes());
        bytes
    }

    /// What was written.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let segment = u64::from_le_bytes(field(bytes, 0));
        let from = Position { segment, offset: u32::from_le_bytes(field(bytes, 8)) };
        Self { from, to: u32::from_le_bytes(field(bytes, 12)) }
    }
}
