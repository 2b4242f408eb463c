//! What is under the log's lock.

use std::boxed::Box;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use std::vec::Vec;

use super::error::LogError;
use super::files::LogFile;
use super::options::{LEAST_SLOTS, Options};
use super::rounds::Rounds;
use super::stage::{RESERVE, Stage};
use super::waiters::Waiters;
use crate::journal::{
    CLOSED, Checkpoint, Index, Keys, Live, Position, Record, RecordHeader, Remembered,
    SEGMENT_HEADER, record_len,
};

/// A slot: its file stays open.
pub(super) struct Slot<F> {
    pub(super) file: Arc<F>,
    pub(super) number: u32,
    pub(super) holds: Holds,
    /// Messages in the index whose newest record is in it.
    pub(super) live: usize,
}

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holds {
    /// Nothing that is needed; if `blank`, zeros, durably.
    Spare { blank: bool },
    /// A segment.
    Segment(u64),
    /// Something that is not understood, and is left as it is.
    Unknown,
}

/// The log's state. Who waits for something to change in it counts as waiting.
pub(super) struct State<F> {
    pub(super) stage: Stage,
    pub(super) slots: Vec<Slot<F>>,
    /// The place, among `slots`, of the current segment.
    pub(super) current: usize,
    /// Everything before is written.
    pub(super) written: Position,
    /// Everything before is durable.
    pub(super) durable: Position,
    /// What a frame has last said of that.
    pub(super) framed: Position,
    /// The roles: whether somebody has them.
    pub(super) writing: bool,
    pub(super) syncing: bool,
    pub(super) collecting: bool,
    pub(super) preparing: bool,
    /// The last slot that was to be made found no room: those that are there are all there are.
    pub(super) no_room: bool,
    /// Futures that wait, up to where they want it to be durable, and for how long a record they want room.
    pub(super) waiters: Waiters,
    pub(super) sync_wanted: Position,
    /// The segment that was the current one when somebody last asked for a sync.
    pub(super) sync_asked_in: u64,
    pub(super) room_wanted: u32,
    /// Whether the journal's thread that syncs has nothing to do, and waits.
    pub(super) syncer_rests: bool,
    /// How many wait for something to change; for a sync, and for the syncer's role, they do so in rounds.
    pub(super) waiting: usize,
    pub(super) rounds: Rounds,
    /// The error after which nothing is trusted.
    pub(super) failed: Option<i32>,
    pub(super) draining: bool,
    pub(super) closed: bool,
    pub(super) index: Index<Box<[Live]>>,
    pub(super) keys: Keys<Box<[Remembered]>>,
    pub(super) live_bytes: u64,
    pub(super) checkpoint: Checkpoint,
    /// Since when something waits for the interval's sync.
    pub(super) dirty: Option<Instant>,
    /// The first segment with copies of the collector's that may not be durable. A collection that was given up leaves some, too.
    pub(super) copied_in: Option<u64>,
    /// The collector's, for one payload.
    pub(super) payload: Box<[u8]>,
}

impl<F: LogFile> State<F> {
    /// Whether something can be staged at all.
    pub(super) fn usable(&self) -> Result<(), LogError> {
        match self.failed {
            Some(errno) => Err(LogError::Failed { errno, durable_upto: self.durable }),
            None if self.draining || self.closed => Err(LogError::ReadOnly),
            None => Ok(()),
        }
    }

    /// From now on nothing is trusted. The first error is the one that is told.
    pub(super) fn fail(&mut self, error: &io::Error) {
        self.failed.get_or_insert(error.raw_os_error().unwrap_or(0));
    }

    /// Whether a segment that is full is to be synced before that is asked for. In a log that is only written nobody waits for that, and
    /// what was acknowledged by the time its segment is collected never has to reach the disk.
    pub(super) fn syncs_ahead(&self, options: &Options) -> bool {
        let segment = self.segment();
        self.durable.segment < segment
            && (options.keys > 0 || self.sync_asked_in.saturating_add(1) >= segment)
    }

    /// Where the current segment's records have to end, acknowledgements and frames apart.
    pub(super) fn limit(&self, options: &Options) -> u32 {
        options.segment_bytes - (SEGMENT_HEADER + RESERVE) as u32
    }

    /// The number of the current segment.
    pub(super) fn segment(&self) -> u64 {
        self.stage.binding.segment
    }

    /// The place of a segment among the slots.
    pub(super) fn place_of(&self, segment: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.holds == Holds::Segment(segment))
    }

    /// The place of a slot in which a segment can begin.
    pub(super) fn blank_place(&self) -> Option<usize> {
        self.slots.iter().position(|slot| slot.holds == Holds::Spare { blank: true })
    }

    /// The file of a segment.
    pub(super) fn file_of(&self, segment: u64) -> Option<Arc<F>> {
        self.place_of(segment).map(|place| self.slots[place].file.clone())
    }

    /// The numbers of all segments, in no order.
    pub(super) fn segments(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().filter_map(|slot| match slot.holds {
            Holds::Segment(segment) => Some(segment),
            _ => None,
        })
    }

    /// The oldest segment from that number on.
    pub(super) fn oldest_from(&self, number: u64) -> u64 {
        let later = self.segments().filter(|&segment| segment >= number);
        later.min().unwrap_or(self.segment())
    }

    /// The oldest segment.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest_from(0)
    }

    /// Spare slots, and all but those that hold what is not understood: in one pass, as each send looks for room.
    pub(super) fn count_slots(&self) -> (usize, usize) {
        self.slots.iter().fold((0, 0), |(spare, usable), slot| match slot.holds {
            Holds::Spare { .. } => (spare + 1, usable + 1),
            Holds::Segment(_) => (spare, usable + 1),
            Holds::Unknown => (spare, usable),
        })
    }

    /// Slots but those that hold what is not understood.
    pub(super) fn usable_slots(&self) -> usize {
        self.count_slots().1
    }

    /// Slots that can be used: those that are spare, and those that may yet be made.
    pub(super) fn free(&self, options: &Options) -> usize {
        let (spare, usable) = self.count_slots();
        // While there is but one segment nothing can be freed for it: acknowledgements go into what is reserved for them there.
        let is_strict = self.no_room && self.oldest() != self.segment();
        let more = (options.slots as usize).saturating_sub(usable);
        if is_strict { spare } else { spare + more }
    }

    /// Bytes that may live, in the slots that there are, or may be.
    pub(super) fn most_live_bytes(&self, options: &Options) -> u64 {
        if self.no_room {
            let slots = (self.usable_slots() as u32).min(options.slots);
            // With fewer nothing is copied forward: they are filled, and that is that.
            if slots >= LEAST_SLOTS {
                return Options { slots, ..options.clone() }.most_live_bytes();
            }
        }
        options.most_live_bytes()
    }

    /// Stages a record of a message, for which there is room. What is known by its key was asked for.
    pub(super) fn keep(&mut self, record: &Record<'_>) {
        let header = record.header();
        let at = self.stage.put(record);
        let live = Live::new(header.chan, header.seq, at, header.body_len);
        if header.seq != CLOSED {
            self.checkpoint.max_seq = self.checkpoint.max_seq.max(header.seq);
        }
        match header.key() {
            Some(key) => {
                let remembered = self.keys.remember(header.chan, key, header.seq);
                debug_assert!(remembered.is_ok(), "room was looked for");
                self.insert(live);
            }
            None => {
                let known = &mut self.checkpoint.max_generation;
                *known = (*known).max(header.generation);
                self.insert(live.at_slot(header.slot, header.generation));
            }
        }
    }

    /// The number of the message that a record would be a duplicate of.
    pub(super) fn known(&self, header: &RecordHeader) -> Result<Option<u64>, LogError> {
        let Some(key) = header.key() else { return Ok(None) };
        if !self.keys.has_room(header.chan) {
            return Err(LogError::NoKeys);
        }
        Ok(self.keys.find(header.chan, key))
    }

    /// Puts a record of a message in the index.
    pub(super) fn insert(&mut self, live: Live) {
        match self.index.insert(live) {
            Ok(before) => {
                self.live_bytes += bytes_of(&live);
                count(&mut self.slots, &live, |live| live + 1);
                if let Some(before) = before {
                    self.live_bytes -= bytes_of(&before);
                    count(&mut self.slots, &before, |live| live - 1);
                }
            }
            Err(_) => debug_assert!(false, "room was looked for"),
        }
    }

    /// Takes messages out of it.
    pub(super) fn forget(&mut self, chan: u16, first: u64, last: u64) {
        let mut bytes = 0;
        let slots = &mut self.slots;
        self.index.remove_range(chan, first, last, |live| {
            bytes += bytes_of(live);
            count(slots, live, |live| live - 1);
        });
        self.live_bytes -= bytes;
    }
}

/// Changes the count of messages of the slot that one is in.
pub(super) fn count<F>(slots: &mut [Slot<F>], live: &Live, change: impl Fn(usize) -> usize) {
    let holds = Holds::Segment(live.at.segment);
    if let Some(slot) = slots.iter_mut().find(|slot| slot.holds == holds) {
        slot.live = change(slot.live);
    }
}

/// What a message's record takes.
pub(super) fn bytes_of(live: &Live) -> u64 {
    record_len(live.body_len as usize).map_or(0, u64::from)
}
