//! The journal: what is written ahead of a crash, so that messages at rest survive it.
//!
//! This is its format, version 1, and how it is read again, over any [`LogDevice`], in memory of the caller's. What
//! writes it into files, for threads, is `std_layer::journal` (feature `wal`).
//!
//! A log is a run of *segments* of equal size, each in a *slot* of the device. A segment begins and ends with a header
//! ([`SegmentHeader`]); between them are records ([`RecordHeader`]), and behind the last one zeros. Everything is little
//! endian. A message is known by its channel and its number there; where it lay in an arena is noted down, too, but means
//! nothing after a crash.
//!
//! ```text
//!   slot:  header │ record │ record │ … │ zeros │ header again
//!   record:  32 bytes (20 in flash) │ body │ zeros up to a multiple of 8 (or of a longer word of the flash)
//! ```
//!
//! [`recover`] folds a log into the [`Index`] of what lives, tells damage from a torn end ([`Damage`]), and leaves
//! everything as it is. Delivery is *at least once*: acknowledgements may be lost, messages are not.
//!
//! | to learn about | read |
//! |---|---|
//! | a segment's header, byte by byte | `segment.rs` |
//! | a record, byte by byte | `record.rs` |
//! | keys, by which a message is not sent twice | `keys.rs` |
//! | getting past damage | `scan.rs` |
//! | the rules of recovery | `recover.rs`; of devices that erase, `erasing.rs` |
//! | the journal in flash | `flash` (feature `flash`) |

mod device;
mod erasing;
#[cfg(feature = "flash")]
pub mod flash;
mod index;
mod keep;
mod keys;
mod record;
mod recover;
mod report;
#[cfg(any(feature = "flash", all(feature = "wal", unix)))]
pub(crate) mod reserve;
mod scan;
mod segment;
mod survey;

pub use device::LogDevice;
pub use index::{Index, IndexFullError, Live};
pub use keep::{Entry, Journal, Keeping, Kept, Pending};
#[cfg(any(feature = "flash", all(feature = "wal", unix)))]
pub(crate) use keys::PAIR;
pub use keys::{Keys, NoWindowError, Remembered};
#[cfg(all(feature = "wal", unix))]
pub(crate) use keys::{MAX_KEYS, most_bytes as keys_bytes};
pub use record::{
    ALIGN, Binding, CLOSED, Checkpoint, Flags, Kind, MAX_RANGES, Position, RECORD_HEADER, Record,
    RecordHeader, Shape, Span, record_len,
};
pub use recover::{Lives, Memory, Recovered, Remembers, SlotState, recover};
pub use report::{Damage, DamageKind, OpenPolicy, RecoverError, RecoveryReport};
pub use scan::{Item, MIN_WINDOW, scan};
pub use segment::{HeaderError, SEGMENT_HEADER, SegmentHeader, VERSION};
