//! Reports: snapshots with names, as framed bytes for any serial line, file or socket.
//!
//! A report is a run of [`Record`]s. Each is one frame, which stands for itself: it says which version of the
//! schema it is of, carries a checksum, and ends with a zero byte that occurs nowhere else in it. So a reader
//! that comes late, or finds the stream damaged, goes on with the next frame.
//!
//! ```text
//!   COBS( 'c' 'k'  version  │ record, as postcard │ CRC-32 ) 0
//! ```
//!
//! Neither side needs a heap: [`encode`] writes into a buffer of the caller's, which firmware sends on;
//! a [`Decoder`] takes bytes as they come, in pieces of any length.
//!
//! ```
//! use cloakroom::channel::{Buffered, Channel};
//! use cloakroom::report::{Decoder, MAX_FRAME, Record, encode};
//! use cloakroom::sync::CriticalSectionRawMutex as Lock;
//!
//! static BEATS: Channel<Lock, u32, Buffered<8>> = Channel::new();
//! BEATS.try_send(72)?;
//!
//! // On the board: one frame after the other, out of the serial line.
//! let mut buffer = [0; MAX_FRAME];
//! let frame = encode(&Record::channel("beats", BEATS.snapshot()), &mut buffer)?;
//!
//! // On the host: whatever comes in.
//! let mut decoder = Decoder::new();
//! let records: Vec<Record> = frame.iter().filter_map(|&byte| decoder.push(byte)).collect::<Result<_, _>>()?;
//! assert_eq!(records, [Record::channel("beats", BEATS.snapshot())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decode;
mod frame;
mod name;
mod record;
mod request;
mod ticket;

pub use decode::{Decoder, Frames};
pub use frame::{FrameError, FullError, MAX_FRAME, VERSION, decode, encode};
pub use name::Name;
pub use record::{
    ArenaRecord, Begin, ChannelRecord, HomeRecord, KernelRecord, QueueingRecord, Record,
    SpillRecord,
};
pub use request::{Action, Outcome, Request};
pub use ticket::{Orphans, Place, TicketRecord, TicketState};
