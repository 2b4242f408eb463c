//! What a log in flash is opened with: memory of the caller's, and options.

use super::acks::Range;
use crate::journal::{
    Damage, Live, MAX_RANGES, MIN_WINDOW, OpenPolicy, RecoveryReport, Remembered, SlotState,
};

/// The memory of a [`FlashLog`](super::FlashLog): for `SLOTS` slots, 7/8 of `MESSAGES` messages that live, records that pass through
/// `BUFFER` bytes, acknowledgements of `RANGES` ranges, and `KEYS` keys that are remembered.
///
/// It can be a static, and be used again for another opening.
///
/// *Memory:* 160 bytes a slot, 48 a message, 24 a range, 40 a key. A record that fits the buffer is one write; longer ones are several.
///
/// ```
/// use cloakroom::journal::flash::FlashMemory;
/// assert!(size_of::<FlashMemory<8, 32, 256, 16>>() < 4 << 10);
/// ```
#[derive(Debug)]
pub struct FlashMemory<
    const SLOTS: usize,
    const MESSAGES: usize,
    const BUFFER: usize = 256,
    const RANGES: usize = MAX_RANGES,
    const KEYS: usize = 0,
> {
    pub(super) slots: [SlotState; SLOTS],
    /// Of each slot: a torn end, and that it cannot be read.
    pub(super) damage: [[Damage; 2]; SLOTS],
    pub(super) live: [Live; MESSAGES],
    pub(super) buffer: [u8; BUFFER],
    pub(super) ranges: [Range; RANGES],
    pub(super) keys: [Remembered; KEYS],
    pub(super) report: RecoveryReport,
}

impl<
    const SLOTS: usize,
    const MESSAGES: usize,
    const BUFFER: usize,
    const RANGES: usize,
    const KEYS: usize,
> FlashMemory<SLOTS, MESSAGES, BUFFER, RANGES, KEYS>
{
    /// Unused.
    pub const fn new() -> Self {
        const {
            assert!(SLOTS >= 4, "a log has 4 slots at least");
            assert!(MESSAGES >= 2, "an index has 2 entries at least");
            assert!(BUFFER >= MIN_WINDOW && BUFFER % 8 == 0, "a buffer of words, for a header");
            assert!(RANGES > 0 && RANGES <= MAX_RANGES, "ranges that fit a record");
        }
        Self {
            slots: [SlotState::NONE; SLOTS],
            damage: [[Damage::NONE; 2]; SLOTS],
            live: [Live::NONE; MESSAGES],
            buffer: [0; BUFFER],
            ranges: [Range::NONE; RANGES],
            keys: [Remembered::NONE; KEYS],
            report: RecoveryReport::NONE,
        }
    }

    /// What the last opening has found, also if the log was refused.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }
}

impl<
    const SLOTS: usize,
    const MESSAGES: usize,
    const BUFFER: usize,
    const RANGES: usize,
    const KEYS: usize,
> Default for FlashMemory<SLOTS, MESSAGES, BUFFER, RANGES, KEYS>
{
    fn default() -> Self {
        Self::new()
    }
}

/// What a log is opened with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlashOptions {
    /// The id of a log that is begun, by which its records are told from those of another log: best a number of the chip's, or
    /// one at random. It has to be the same until the first opening has succeeded. 0.
    pub log_id: u128,
    /// Bytes of a payload at the most, less than 64 KiB. 256.
    pub max_payload: u32,
    /// What to do about damage. What [`Salvage`](OpenPolicy::Salvage) cannot read is erased some day.
    pub policy: OpenPolicy,
    /// A number by which the log is known to be of this set-up. 0.
    pub geometry: u32,
    /// Keys that are remembered of each queue: there are as many queues that can send with keys as that goes into the memory's `KEYS`.
    /// All keys are written at the beginning of each segment, 16 bytes each, and 24 for each 64 of a queue. 0: all of it is
    /// for one queue.
    pub key_window: u32,
    /// Whether acknowledgements are written at once, for 40 bytes each. No.
    pub ack_at_once: bool,
}

impl Default for FlashOptions {
    fn default() -> Self {
        Self {
            log_id: 0,
            max_payload: 256,
            policy: OpenPolicy::Strict,
            geometry: 0,
            key_window: 0,
            ack_at_once: false,
        }
    }
}
