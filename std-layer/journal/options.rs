//! How a log is opened.

use std::time::Duration;

use super::error::OpenError;
use super::stage::RESERVE;
use crate::journal::{
    ALIGN, MAX_RANGES, OpenPolicy, RECORD_HEADER, SEGMENT_HEADER, keys_bytes, record_len,
};

/// One that is written, two that sends leave to others, and one that those fill.
pub(super) const LEAST_SLOTS: u32 = 4;

/// When a send is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Level {
    /// The system has it: it survives the process, however that ends, but not the system.
    Buffered,
    /// As `Buffered`, and it is durable [`Options::interval`] later, and the time a sync takes.
    Interval,
    /// It is durable.
    #[default]
    Sync,
}

/// What a log is opened with. All memory is allocated then: two stages, the index, and one payload.
///
/// ```
/// use cloakroom::std_layer::journal::Options;
/// let options = Options { slots: 16, ..Options::default() };
/// assert_eq!(options.most_live_bytes(), 13 * (16 << 20) / 2);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of a segment, a multiple of 8. 16 MiB.
    pub segment_bytes: u32,
    /// Segments at the most, from 4 on. 8.
    pub slots: u32,
    /// Bytes of a payload at the most. 64 KiB.
    pub max_payload: u32,
    /// Messages that live, and closed channels, at the most. 65,536.
    pub max_messages: usize,
    /// Bytes of one of the two stages, in which records lie until they are written. 1 MiB.
    pub stage_bytes: usize,
    /// Of [`Level::Interval`]. 100 ms.
    pub interval: Duration,
    /// Keys that are remembered of each queue that sends with keys, 40 bytes each; all are written at the beginning of each
    /// segment, 16 bytes each. 0: none.
    pub keys: usize,
    /// Queues that can send with keys, if keys are remembered. 1.
    pub keyed_queues: usize,
    /// Whether somebody [maintains](super::Log::maintain) the log all the time, as a [`Journal`](super::Journal), which sets this, has threads
    /// for. Then a future waits for that; if not, it syncs and makes room itself, in its call. No.
    pub maintained: bool,
    /// What to do about damage.
    pub policy: OpenPolicy,
    /// A number by which the log is known to be of this set-up.
    pub geometry: u32,
    /// Whether new segments are written out with zeros. That makes a sync shorter, and takes the disk's time in between.
    pub zeros: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            slots: 8,
            max_payload: 64 << 10,
            max_messages: 1 << 16,
            stage_bytes: 1 << 20,
            interval: Duration::from_millis(100),
            keys: 0,
            keyed_queues: 1,
            maintained: false,
            policy: OpenPolicy::Strict,
            geometry: 0,
            zeros: true,
        }
    }
}

impl Options {
    /// Bytes that records of living messages may take in all. Twice that, and three segments, is what the log takes.
    pub fn most_live_bytes(&self) -> u64 {
        let segment = u64::from(self.segment_bytes).saturating_sub(self.keys_bytes());
        u64::from(self.slots.saturating_sub(3)) * segment / 2
    }

    /// Bytes of keys with which a segment begins, at the most.
    pub(super) fn keys_bytes(&self) -> u64 {
        keys_bytes(self.keyed_queues, self.keys, ALIGN as u32)
    }

    /// With as many slots as it takes, if that lives: there may be fewer than the log was written with.
    pub(super) fn with_room_for(mut self, live_bytes: u64) -> Self {
        while self.most_live_bytes() < live_bytes {
            self.slots += 1;
        }
        self
    }

    /// Whether there can be such a log.
    ///
    /// # Errors
    ///
    /// [`OpenError::Options`], which opening returns, too.
    pub fn check(&self) -> Result<(), OpenError> {
        let longest = record_len(self.max_payload as usize).ok_or(OpenError::Options("payload"))?;
        let longest = longest as usize + RESERVE;
        let least = 2 * SEGMENT_HEADER + (RECORD_HEADER + MAX_RANGES * 16) + longest;
        let keys = self.keys_bytes();
        let fits = |holds, what| if holds { Ok(()) } else { Err(OpenError::Options(what)) };
        fits(self.slots >= LEAST_SLOTS, "fewer than 4 slots")?;
        fits(self.segment_bytes % 8 == 0, "segments that are no multiple of 8")?;
        fits(self.segment_bytes <= i32::MAX as u32, "segments of 2 GiB")?;
        fits(self.segment_bytes as usize >= 2 * least, "segments too short for two payloads")?;
        let room = u64::from(self.segment_bytes) - 2 * least as u64;
        fits(keys <= room, "segments too short for as many keys")?;
        fits(self.stage_bytes >= longest, "a stage too short for a payload")?;
        fits(self.stage_bytes <= i32::MAX as usize, "a stage of 2 GiB")?;
        fits(self.max_messages > 0, "no messages")?;
        fits(self.max_messages <= i32::MAX as usize, "2^31 messages")
    }
}
