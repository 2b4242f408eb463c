//! What the frames say: their payloads as types.

use core::fmt;

use crate::beat::Beat;
use crate::frame::{FrameWriter, Kind, NoRoom};
use crate::intake::Input;
use crate::reader::Frame;
use crate::samples::Samples;

/// The content of a frame.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// A stretch of the recording.
    Samples(Samples<'a>),
    /// One heart beat.
    Beat(Beat),
    /// How the board is doing.
    Status(Status<'a>),
    /// The recording is over.
    End(End),
}

/// The payload of a frame has a length that no writer gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPayload {
    /// What the payload should have been.
    pub kind: Kind,
    /// Its length.
    pub len: usize,
}

impl fmt::Display for BadPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, len } = self;
        write!(f, "no payload of a {kind:?} frame has {len} bytes")
    }
}

impl core::error::Error for BadPayload {}

impl<'a> Message<'a> {
    /// What `frame` says.
    ///
    /// # Errors
    ///
    /// [`BadPayload`] if it is too short or too long for its kind. The samples of a frame are
    /// checked later, as they are read.
    pub fn decode(frame: &Frame<'a>) -> Result<Self, BadPayload> {
        let mut fields = Fields(frame.payload);
        match frame.kind {
            Kind::Samples => fields.u32().map(|first| Self::Samples(Samples::new(first, fields.0))),
            Kind::Beat => Beat::read(&mut fields).filter(|_| fields.0.is_empty()).map(Self::Beat),
            Kind::Status => Status::read(&mut fields).map(Self::Status),
            Kind::End => End::read(&mut fields).filter(|_| fields.0.is_empty()).map(Self::End),
        }
        .ok_or(BadPayload { kind: frame.kind, len: frame.payload.len() })
    }
}

/// The bytes of a payload that are still to be read.
#[derive(Clone, Debug)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }
}

// ---------------------------------------------------------------------------------------------
// Beat and end
// ---------------------------------------------------------------------------------------------

impl Beat {
    /// Builds the frame for this beat in place and returns its length.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if `buffer` is too short.
    pub fn write(&self, buffer: &mut [u8], sequence: u16) -> Result<usize, NoRoom> {
        let mut frame = FrameWriter::new(buffer, Kind::Beat, sequence)?;
        frame.push_u32(self.index)?;
        frame.push_u32(self.rr)?;
        Ok(frame.finish())
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { index: fields.u32()?, rr: fields.u32()? })
    }
}

/// The board's account of the whole recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What came in, as the board saw it.
    pub input: Input,
    /// The beats found in it.
    pub beats: u32,
}

impl End {
    /// Builds the frame for this account in place and returns its length.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if `buffer` is too short.
    pub fn write(&self, buffer: &mut [u8], sequence: u16) -> Result<usize, NoRoom> {
        let mut frame = FrameWriter::new(buffer, Kind::End, sequence)?;
        frame.push_u32(self.input.samples)?;
        frame.push_u32(self.input.crc)?;
        frame.push_u32(self.beats)?;
        Ok(frame.finish())
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            input: Input { samples: fields.u32()?, crc: fields.u32()? },
            beats: fields.u32()?,
        })
    }
}

// ---------------------------------------------------------------------------------------------
// Status
// ---------------------------------------------------------------------------------------------

/// How the arena is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaStatus {
    /// All its pages.
    pub pages: u32,
    /// The pages that are free now.
    pub free: u32,
    /// The most pages that were ever in use at once.
    pub high_water: u32,
    /// How often a task has waited for memory.
    pub waits: u32,
    /// How many allocations have failed.
    pub failed: u32,
}

/// How one channel is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Which channel: its place in the list of names that board and host share.
    pub channel: u8,
    /// How many messages fit.
    pub capacity: u16,
    /// How many messages were sent.
    pub sent: u32,
    /// How many of them were received.
    pub received: u32,
    /// How many of them were dropped.
    pub dropped: u32,
    /// The most messages that were ever in the channel at once.
    pub high_water: u16,
}

/// What one [`ChannelStatus`] takes on the wire.
const CHANNEL_LEN: usize = 18;

/// Builds a status frame in place.
#[derive(Debug)]
pub struct StatusWriter<'a> {
    frame: FrameWriter<'a>,
}

impl<'a> StatusWriter<'a> {
    /// How long a status frame with this many channels is.
    #[must_use]
    pub const fn frame_len(channels: usize) -> usize {
        crate::frame::OVERHEAD + 20 + channels * CHANNEL_LEN
    }

    /// Starts a status frame, with the arena's part.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if `buffer` is too short.
    pub fn new(buffer: &'a mut [u8], sequence: u16, arena: &ArenaStatus) -> Result<Self, NoRoom> {
        let mut frame = FrameWriter::new(buffer, Kind::Status, sequence)?;
        frame.push_u32(arena.pages)?;
        frame.push_u32(arena.free)?;
        frame.push_u32(arena.high_water)?;
        frame.push_u32(arena.waits)?;
        frame.push_u32(arena.failed)?;
        Ok(Self { frame })
    }

    /// Appends a channel's part.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if it does not fit; the frame is then as if it had not been asked for.
    pub fn push_channel(&mut self, status: &ChannelStatus) -> Result<(), NoRoom> {
        if self.frame.room() < CHANNEL_LEN {
            return Err(NoRoom);
        }
        self.frame.push_bytes(&[status.channel, 0])?;
        self.frame.push_u16(status.capacity)?;
        self.frame.push_u32(status.sent)?;
        self.frame.push_u32(status.received)?;
        self.frame.push_u32(status.dropped)?;
        self.frame.push_u16(status.high_water)
    }

    /// Completes the frame and returns how many bytes of the buffer it takes.
    #[must_use = "the length says how much of the buffer to send"]
    pub fn finish(self) -> usize {
        self.frame.finish()
    }
}

/// The content of a status frame.
#[derive(Clone, Debug)]
pub struct Status<'a> {
    /// How the arena is doing.
    pub arena: ArenaStatus,
    channels: &'a [u8],
}

impl<'a> Status<'a> {
    fn read(fields: &mut Fields<'a>) -> Option<Self> {
        let arena = ArenaStatus {
            pages: fields.u32()?,
            free: fields.u32()?,
            high_water: fields.u32()?,
            waits: fields.u32()?,
            failed: fields.u32()?,
        };
        let channels = fields.0;
        (channels.len() % CHANNEL_LEN == 0).then_some(Self { arena, channels })
    }

    /// How the channels are doing, one after the other.
    pub fn channels(&self) -> impl Iterator<Item = ChannelStatus> + 'a {
        self.channels.chunks_exact(CHANNEL_LEN).filter_map(|bytes| {
            let mut fields = Fields(bytes);
            let [channel, _reserved] = fields.bytes()?;
            Some(ChannelStatus {
                channel,
                capacity: fields.u16()?,
                sent: fields.u32()?,
                received: fields.u32()?,
                dropped: fields.u32()?,
                high_water: fields.u16()?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::{HEADER_LEN, TRAILER_LEN};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The frame in the first `len` bytes of `memory`.
    fn frame(memory: &[u8], kind: Kind, len: usize) -> Frame<'_> {
        Frame { kind, sequence: 0, payload: &memory[HEADER_LEN..len - TRAILER_LEN] }
    }

    proptest! {
        #[test]
        fn beats_and_ends_come_back(index: u32, rr: u32, crc: u32) {
            let mut memory = [0; 32];
            let beat = Beat { index, rr };
            let len = beat.write(&mut memory, 0)?;
            let Ok(Message::Beat(read)) = Message::decode(&frame(&memory, Kind::Beat, len)) else { panic!() };
            prop_assert_eq!(read, beat);

            let end = End { input: Input { samples: index, crc }, beats: rr };
            let len = end.write(&mut memory, 0)?;
            let Ok(Message::End(read)) = Message::decode(&frame(&memory, Kind::End, len)) else { panic!() };
            prop_assert_eq!(read, end);
        }

        #[test]
        fn any_payload_is_survived(payload in proptest::collection::vec(any::<u8>(), 0..80)) {
            for kind in [Kind::Samples, Kind::Beat, Kind::Status, Kind::End] {
                match Message::decode(&Frame { kind, sequence: 0, payload: &payload }) {
                    Ok(Message::Samples(samples)) => drop(samples.count()),
                    Ok(Message::Status(status)) => {
                        prop_assert_eq!(status.channels().count() * 18 + 20, payload.len());
                    }
                    Ok(Message::Beat(_)) => prop_assert_eq!(payload.len(), 8),
                    Ok(Message::End(_)) => prop_assert_eq!(payload.len(), 12),
                    Err(error) => prop_assert_eq!(error, BadPayload { kind, len: payload.len() }),
                }
            }
        }
    }

    #[test]
    fn a_status_comes_back_with_as_many_channels_as_fit() {
        let arena = ArenaStatus { pages: 64, free: 10, high_water: 60, waits: 5, failed: 1 };
        let channel = |channel| ChannelStatus {
            channel,
            capacity: 8,
            sent: 100_000,
            received: 99_999,
            dropped: 1,
            high_water: 7,
        };
        let mut memory = [0; StatusWriter::frame_len(2) + 17];
        let mut writer = StatusWriter::new(&mut memory, 0, &arena).unwrap();
        assert_eq!(writer.push_channel(&channel(0)), Ok(()));
        assert_eq!(writer.push_channel(&channel(1)), Ok(()));
        assert_eq!(writer.push_channel(&channel(2)), Err(NoRoom));
        let len = writer.finish();
        assert_eq!(len, StatusWriter::frame_len(2));
        let Ok(Message::Status(status)) = Message::decode(&frame(&memory, Kind::Status, len))
        else {
            panic!()
        };
        assert_eq!(status.arena, arena);
        assert_eq!(status.channels().collect::<Vec<_>>(), [channel(0), channel(1)]);
    }
}
