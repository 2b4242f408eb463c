//! Finds the frames in a stream of bytes, whatever else is in it.

use core::fmt;

use crate::Crc32;
use crate::frame::{
    HEADER_LEN, Kind, LENGTH_AT, MAGIC, MAX_FRAME_LEN, OVERHEAD, TRAILER_LEN, VERSION,
};

/// A frame whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is.
    pub kind: Kind,
    /// The number of the frame.
    pub sequence: u16,
    /// The bytes between header and checksum.
    pub payload: &'a [u8],
}

/// What can be wrong with a stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The magic, but then a version or kind that does not exist.
    BadHeader {
        /// The version it claims.
        version: u8,
        /// The kind it claims.
        kind: u8,
    },
    /// A header that claims a longer frame than there can be.
    TooLong {
        /// The length of the whole frame by that header.
        claimed: usize,
    },
    /// A frame whose bytes do not match its checksum.
    BadCrc {
        /// The checksum of the bytes received.
        computed: u32,
        /// The checksum received.
        received: u32,
    },
    /// The frame that follows is not the one expected. The reader goes on from it.
    Gap {
        /// The sequence number that should have come.
        expected: u16,
        /// The one that came.
        found: u16,
    },
    /// The stream ended within a frame.
    Cut {
        /// The bytes of it that came.
        bytes: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadHeader { version, kind } => {
                write!(f, "no such frame: version {version}, kind {kind}")
            }
            Self::TooLong { claimed } => {
                write!(f, "a frame of {claimed} bytes, where {MAX_FRAME_LEN} is the limit")
            }
            Self::BadCrc { computed, received } => {
                write!(f, "checksum {received:08x} on bytes of checksum {computed:08x}")
            }
            Self::Gap { expected, found } => {
                write!(f, "frame {found} where {expected} should have come")
            }
            Self::Cut { bytes } => write!(f, "the stream ended {bytes} bytes into a frame"),
        }
    }
}

impl core::error::Error for FrameError {}

/// Takes a stream apart into frames.
///
/// After an error, the reader looks for the next frame *within the bytes it already has*: a stray
/// magic followed by a large length must not swallow the good frames behind it.
///
/// ```
/// use cloakroom_demo::{FrameReader, FrameWriter, Kind, NoRoom};
///
/// # fn main() -> Result<(), NoRoom> {
/// let mut memory = [0; 32];
/// let mut writer = FrameWriter::new(&mut memory, Kind::Beat, 0)?;
/// writer.push_bytes(b"lub-dub")?;
/// let len = writer.finish();
///
/// let mut reader = FrameReader::new();
/// let mut frames = 0;
/// reader.feed(b"noise", |_| unreachable!("noise is skipped"));
/// reader.feed(&memory[..len], |event| {
///     assert!(event.is_ok_and(|frame| frame.payload == b"lub-dub"));
///     frames += 1;
/// });
/// assert_eq!(frames, 1);
/// assert_eq!(reader.skipped(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FrameReader {
    /// Bytes not settled yet. Whenever the reader rests, they are the beginning of what may become
    /// a frame, and there is room for at least one more.
    buffer: [u8; MAX_FRAME_LEN],
    len: usize,
    /// The sequence number of the frame that should come next; `None` before the first.
    expected: Option<u16>,
    skipped: u64,
}

/// What the beginning of the buffer turned out to be.
enum Verdict {
    /// It takes more bytes to tell.
    Unsettled,
    /// Not a frame. (Bytes without even a magic are not worth an error.)
    NotAFrame(Option<FrameError>),
    /// A frame of this kind, sequence number and length in total.
    Frame(Kind, u16, usize),
}

impl FrameReader {
    /// A reader before its first byte.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: [0; MAX_FRAME_LEN], len: 0, expected: None, skipped: 0 }
    }

    /// Takes the next bytes of the stream, in pieces of any size, and calls `on_event` with every
    /// frame and every error, in order.
    pub fn feed(&mut self, bytes: &[u8], mut on_event: impl FnMut(Result<Frame<'_>, FrameError>)) {
        for &byte in bytes {
            if let Some(place) = self.buffer.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
            self.settle(&mut on_event);
        }
    }

    /// The stream is over: what still looks like the beginning of a frame never became one.
    pub fn end(&mut self, mut on_event: impl FnMut(Result<Frame<'_>, FrameError>)) {
        while self.len > 0 {
            on_event(Err(FrameError::Cut { bytes: self.len }));
            self.resync();
            self.settle(&mut on_event);
        }
    }

    /// How many bytes were part of no frame so far.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Deals with everything in the buffer that can be dealt with now.
    fn settle(&mut self, on_event: &mut impl FnMut(Result<Frame<'_>, FrameError>)) {
        loop {
            match self.examine() {
                Verdict::Unsettled => return,
                Verdict::NotAFrame(error) => {
                    if let Some(error) = error {
                        on_event(Err(error));
                    }
                    self.resync();
                }
                Verdict::Frame(kind, sequence, len) => {
                    let expected = self.expected.unwrap_or(sequence);
                    if expected != sequence {
                        on_event(Err(FrameError::Gap { expected, found: sequence }));
                    }
                    self.expected = Some(sequence.wrapping_add(1));
                    let payload = HEADER_LEN..len.saturating_sub(TRAILER_LEN);
                    on_event(Ok(Frame {
                        kind,
                        sequence,
                        payload: self.buffer.get(payload).unwrap_or_default(),
                    }));
                    self.discard(len);
                }
            }
        }
    }

    /// What does the buffer begin with?
    fn examine(&self) -> Verdict {
        let held = self.buffer.get(..self.len).unwrap_or_default();
        if !may_begin_frame(held) {
            return match held {
                [] => Verdict::Unsettled,
                _ => Verdict::NotAFrame(None),
            };
        }
        let Some((header, _)) = held.split_first_chunk::<HEADER_LEN>() else {
            return Verdict::Unsettled;
        };
        let &[_, _, version, kind, sequence_low, sequence_high, len_low, len_high] = header;
        let Some(kind) = Kind::from_wire(kind).filter(|_| version == VERSION) else {
            return Verdict::NotAFrame(Some(FrameError::BadHeader { version, kind }));
        };
        let sequence = u16::from_le_bytes([sequence_low, sequence_high]);
        let len = usize::from(u16::from_le_bytes([len_low, len_high])) + OVERHEAD;
        if len > MAX_FRAME_LEN {
            return Verdict::NotAFrame(Some(FrameError::TooLong { claimed: len }));
        }
        let Some((content, trailer)) =
            held.get(..len).and_then(|frame| frame.split_last_chunk::<TRAILER_LEN>())
        else {
            return Verdict::Unsettled;
        };
        let computed = Crc32::of(content);
        let received = u32::from_le_bytes(*trailer);
        if computed != received {
            return Verdict::NotAFrame(Some(FrameError::BadCrc { computed, received }));
        }
        Verdict::Frame(kind, sequence, len)
    }

    /// Goes on to the next place in the buffer where a frame may begin.
    fn resync(&mut self) {
        let held = self.buffer.get(..self.len).unwrap_or_default();
        let next = (1..self.len)
            .find(|&at| held.get(at..).is_some_and(may_begin_frame))
            .unwrap_or(self.len);
        self.skipped = self.skipped.saturating_add(next as u64);
        self.discard(next);
    }

    /// Takes `count` bytes off the front of the buffer.
    fn discard(&mut self, count: usize) {
        let held = self.buffer.get_mut(..self.len).unwrap_or_default();
        let count = count.min(held.len());
        held.copy_within(count.., 0);
        self.len -= count;
    }
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

/// Do `bytes` begin with the magic, as far as they go?
fn may_begin_frame(bytes: &[u8]) -> bool {
    let compared = bytes.len().min(MAGIC.len());
    compared > 0 && bytes.get(..compared) == MAGIC.get(..compared)
}

// The reader slices the header by hand; this is where it would notice a change of the format.
const _: () = assert!(LENGTH_AT + 2 == HEADER_LEN && HEADER_LEN == 8);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::FrameWriter;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    /// The frame number `sequence`, with this payload.
    fn frame(sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut memory = [0; MAX_FRAME_LEN];
        let mut writer = FrameWriter::new(&mut memory, Kind::Samples, sequence).unwrap();
        writer.push_bytes(payload).unwrap();
        let len = writer.finish();
        memory[..len].to_vec()
    }

    /// A frame's sequence number and payload.
    type Content = (u16, Vec<u8>);

    /// Everything that a reader makes of `stream`: frames, errors, and how many bytes it skipped.
    fn read(stream: &[u8]) -> (Vec<Content>, Vec<FrameError>, u64) {
        let (mut frames, mut errors) = (vec![], vec![]);
        let mut reader = FrameReader::new();
        let mut collect = |event: Result<Frame<'_>, FrameError>| match event {
            Ok(frame) => frames.push((frame.sequence, frame.payload.to_vec())),
            Err(error) => errors.push(error),
        };
        reader.feed(stream, &mut collect);
        reader.end(&mut collect);
        assert_eq!(reader.len, 0);
        (frames, errors, reader.skipped())
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let good = frame(0, b"forty-two bytes of payload, or thereabouts");
        let next = frame(1, b"the one behind");
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut stream = good.clone();
                stream[at] ^= 1 << bit;
                stream.extend(&next);
                let (frames, errors, skipped) = read(&stream);
                assert_eq!(frames, [(1, b"the one behind".to_vec())], "byte {at}, bit {bit}");
                assert_eq!(skipped, good.len() as u64);
                // Without its magic, a frame is noise, which only the skipped bytes tell of.
                assert_eq!(errors.is_empty(), at < MAGIC.len());
            }
        }
    }

    #[test]
    fn every_lost_byte_is_found() {
        let good = frame(0, b"forty-two bytes of payload, or thereabouts");
        let next = frame(1, b"the one behind");
        for at in 0..good.len() {
            let mut stream = good.clone();
            stream.remove(at);
            stream.extend(&next);
            let (frames, _, skipped) = read(&stream);
            assert_eq!(frames, [(1, b"the one behind".to_vec())]);
            assert_eq!(skipped, good.len() as u64 - 1);
        }
    }

    #[test]
    fn a_gap_is_reported_and_numbers_wrap() {
        let stream = [65_535, 0, 1, 4, 5, 5].map(|number| frame(number, &[])).concat();
        let (frames, errors, skipped) = read(&stream);
        assert_eq!(frames.len(), 6);
        let gaps = [(2, 4), (6, 5)].map(|(expected, found)| FrameError::Gap { expected, found });
        assert_eq!(errors, gaps);
        assert_eq!(skipped, 0);
    }

    #[test]
    fn a_stray_header_swallows_nothing() {
        let mut stream = MAGIC.to_vec();
        stream.extend([VERSION, Kind::Samples as u8, 0, 0, 200, 0]);
        for number in 0..3 {
            stream.extend(frame(number, &[0xAA; 20]));
        }
        // The stream ends before those 200 bytes are there.
        let (frames, errors, _) = read(&stream);
        assert_eq!(frames.len(), 3);
        assert_eq!(errors, [FrameError::Cut { bytes: 8 + 3 * 32 }]);
    }

    #[test]
    fn impossible_headers_are_errors() {
        let mut version = frame(0, &[]);
        version[2] = 9;
        assert_eq!(read(&version).1, [FrameError::BadHeader { version: 9, kind: 1 }]);
        let mut kind = frame(0, &[]);
        kind[3] = 0;
        assert_eq!(read(&kind).1, [FrameError::BadHeader { version: 1, kind: 0 }]);
        let mut len = frame(0, &[]);
        len[7] = 0xFF;
        assert_eq!(read(&len).1, [FrameError::TooLong { claimed: 0xFF00 + OVERHEAD }]);
    }

    proptest! {
        /// In any pieces, with any payloads (magics among them), what goes in comes out.
        #[test]
        fn frames_come_back(
            payloads in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![Just(MAGIC[0]), Just(MAGIC[1]), any::<u8>()], 0..60), 0..12),
            piece in 1usize..50,
        ) {
            let mut stream = vec![];
            for (number, payload) in payloads.iter().enumerate() {
                stream.extend(frame(number as u16, payload));
            }
            let mut reader = FrameReader::new();
            let mut read = vec![];
            for piece in stream.chunks(piece) {
                reader.feed(piece, |event| read.push(event.unwrap().payload.to_vec()));
            }
            reader.end(|_| unreachable!());
            prop_assert_eq!(read, payloads);
            prop_assert_eq!(reader.skipped(), 0);
        }

        /// Noise around a frame does not hide it, and nothing makes the reader panic.
        #[test]
        fn noise_hides_nothing(
            before in proptest::collection::vec(
                prop_oneof![Just(MAGIC[0]), Just(MAGIC[1]), 0u8..5, any::<u8>()], 0..300),
            after in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let good = frame(3, b"here I am");
            let stream = [before.clone(), good, after.clone()].concat();
            let (frames, _, skipped) = read(&stream);
            prop_assert_eq!(frames, [(3, b"here I am".to_vec())]);
            prop_assert_eq!(skipped, (before.len() + after.len()) as u64);
        }
    }
}
