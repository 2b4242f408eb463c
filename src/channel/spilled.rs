//! What is out of a channel that spills, and what became of what was.

/// What is out of a channel, or of all that share a place, at one moment: made by `SpillBytes::spilled` and `Spill::snapshot`, with
/// the `spill` feature. Counters wrap.
///
/// They reconcile: `out = back + lent + lost + dropped + messages`, in every snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SpillSnapshot {
    /// Messages in the target: in queues, or lent to receivers.
    pub messages: u32,
    /// Bytes of them. Wraps where the device's addresses do.
    pub bytes: u64,
    /// Messages that went out.
    pub out: u32,
    /// Those of them that had waited in the arena before.
    pub moved: u32,
    /// Messages that were copied back into the arena.
    pub back: u32,
    /// Those of them that had not been received yet.
    pub fetched: u32,
    /// Messages that were lent to receivers, who are done with them.
    pub lent: u32,
    /// Messages whose bytes could not be read back, or were others.
    pub lost: u32,
    /// Messages that were dropped unreceived, and copies whose message was received meanwhile.
    pub dropped: u32,
    /// Messages that stayed in the arena as the target was full.
    pub full: u32,
    /// Messages that stayed in the arena as the target failed; and reads ahead that failed.
    pub failed: u32,
    /// Whether the arena is above the mark: the channel's own.
    pub above: bool,
    /// Bytes the target has room for, for all who spill there.
    pub capacity: u64,
    /// Bytes that are taken there, by all, and by whole extents.
    pub used: u64,
}

impl SpillSnapshot {
    /// Whether every message that went out is somewhere.
    pub fn reconciles(&self) -> bool {
        let ended = [self.back, self.lent, self.lost, self.dropped, self.messages];
        self.out == ended.into_iter().fold(0, u32::wrapping_add)
    }
}
