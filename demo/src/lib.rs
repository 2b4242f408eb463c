//! What the two ends of the cloakroom demo have in common.
//!
//! The demo: five minutes of a real ECG go, byte by byte, into the serial port of a Cortex-M3. The
//! firmware there finds the heart beats, builds frames in the arena, without copying them, and sends
//! them out of a second serial port. A program on the host receives the frames and checks that not
//! one sample is missing.
//!
//! In the order in which the data passes them:
//!
//! | module | on the | what it does |
//! |---|---|---|
//! | `intake` | board | bytes to samples, counted and checksummed: [`Intake`] |
//! | [`beat`] | board | samples to heart beats: [`BeatDetector`] |
//! | [`frame`] | board | the wire format, byte by byte, and its writer: [`FrameWriter`] |
//! | `samples` | both | many samples in few bytes: [`SamplesWriter`], [`Samples`] |
//! | `message` | both | beats, status and end in frames: [`Beat::write`], [`StatusWriter`], [`End`], [`Message`] |
//! | `reader` | host | a stream of bytes to frames: [`FrameReader`] |
//! | `report` | host | adds up, checks and reports: [`Summary`] |
//!
//! Nothing here allocates, panics or uses floating-point numbers, on either side.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod beat;
mod crc;
pub mod frame;
mod intake;
mod message;
mod reader;
mod report;
mod samples;

pub use beat::{Beat, BeatDetector};
pub use crc::Crc32;
pub use frame::{FrameWriter, Kind, MAX_FRAME_LEN, NoRoom};
pub use intake::{Input, Intake};
pub use message::{ArenaStatus, BadPayload, ChannelStatus, End, Message, Status, StatusWriter};
pub use reader::{Frame, FrameError, FrameReader};
pub use report::{Fault, HeartRate, MAX_CHANNELS, Missing, Summary};
pub use samples::{BadSample, Samples, SamplesWriter};

/// The recording's sampling rate.
pub const SAMPLE_RATE_HZ: u32 = 360;
/// The recording, as everybody should see it: its length and its checksum.
pub const RECORDING: Input = Input { samples: 108_000, crc: 0x9164_1025 };
