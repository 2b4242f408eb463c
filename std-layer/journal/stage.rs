//! What is on its way to the file: records that are staged, and acknowledgements that are not even that.

use std::boxed::Box;
use std::vec;

use crate::journal::{
    Binding, Checkpoint, Flags, Kind, MAX_RANGES, Position, RECORD_HEADER, Record, Span,
};

/// Room of a stage, and at the end of a segment, that is left for acknowledgements, a frame, and what is written when the log is
/// closed, or a segment is not needed any more.
pub(super) const RESERVE: usize = MAX_RANGES * (RECORD_HEADER + 16)
    + (RECORD_HEADER + Span::LEN)
    + (RECORD_HEADER + Checkpoint::LEN);
const _: () = assert!(Span::LEN <= Checkpoint::LEN, "what a closed log ends with");

/// The stage that is being filled, and the other one, unless it is being written.
pub(super) struct Stage {
    pub(super) filling: Box<[u8]>,
    pub(super) other: Option<Box<[u8]>>,
    /// Bytes that are filled.
    pub(super) len: usize,
    /// Where they are to go.
    pub(super) binding: Binding,
    pub(super) start: u32,
    acks: [Range; MAX_RANGES],
    ranges: usize,
    /// The highest number in them, whatever its channel.
    highest: u64,
}

/// Messages of a channel that were acknowledged.
#[derive(Clone, Copy, Default)]
struct Range {
    chan: u16,
    flags: Flags,
    first: u64,
    last: u64,
}

impl Stage {
    pub(super) fn new(bytes: usize, binding: Binding, start: u32) -> Self {
        let stage = || vec![0; bytes].into_boxed_slice();
        let (filling, other) = (stage(), Some(stage()));
        Self {
            filling,
            other,
            len: 0,
            binding,
            start,
            acks: [Range::default(); MAX_RANGES],
            ranges: 0,
            highest: 0,
        }
    }

    /// Where the next record will be.
    pub(super) fn end(&self) -> Position {
        // A stage is no longer than a segment, whose length is 32 bits.
        Position { segment: self.binding.segment, offset: self.start + self.len as u32 }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 && self.ranges == 0
    }

    /// Whether acknowledgements are noted down that are not staged.
    pub(super) fn has_acks(&self) -> bool {
        self.ranges > 0
    }

    /// Whether one of them is of messages that were cancelled.
    pub(super) fn has_cancelled(&self) -> bool {
        self.acks[..self.ranges].iter().any(|range| range.flags.has(Flags::CANCELLED))
    }

    /// Whether one of them is that message's.
    pub(super) fn acknowledges(&self, chan: u16, seq: u64) -> bool {
        // Mostly: what is sent comes behind what is acknowledged.
        if seq > self.highest {
            return false;
        }
        let acks = &self.acks[..self.ranges];
        acks.iter().any(|range| range.chan == chan && (range.first..=range.last).contains(&seq))
    }

    /// Whether a record of that length can be put in, and what is to be put in before it is written.
    pub(super) fn has_room(&self, len: u32) -> bool {
        self.len + len as usize + RESERVE <= self.filling.len()
    }

    /// Puts a record in, and returns where it will be. There is room: whoever calls has looked.
    pub(super) fn put(&mut self, record: &Record<'_>) -> Position {
        let at = self.end();
        let len = record.encode(&self.binding, at.offset, &mut self.filling[self.len..]);
        debug_assert!(len.is_some(), "room was looked for");
        self.len += len.unwrap_or(0);
        at
    }

    /// Notes down an acknowledgement, unless it is of nothing; false if there is no room for it.
    pub(super) fn note(&mut self, chan: u16, flags: Flags, first: u64, last: u64) -> bool {
        if last < first {
            return true;
        }
        let acks = &mut self.acks[..self.ranges];
        let next = |range: &&mut Range| {
            (range.chan, range.flags) == (chan, flags) && range.last.checked_add(1) == Some(first)
        };
        if let Some(range) = acks.iter_mut().find(next) {
            range.last = last;
            self.highest = self.highest.max(last);
            return true;
        }
        if self.ranges == MAX_RANGES {
            return false;
        }
        self.acks[self.ranges] = Range { chan, flags, first, last };
        self.ranges += 1;
        self.highest = self.highest.max(last);
        true
    }

    /// Puts the acknowledgements in, each channel's as one record. There is always room.
    pub(super) fn put_acks(&mut self) {
        // Mostly: what follows copies all that there could be.
        if self.ranges == 0 {
            return;
        }
        let mut acks = self.acks;
        let acks = &mut acks[..core::mem::take(&mut self.ranges)];
        self.highest = 0;
        acks.sort_by_key(|range| (range.chan, range.flags.0));
        for group in acks.chunk_by(|a, b| (a.chan, a.flags) == (b.chan, b.flags)) {
            let mut body = [0; MAX_RANGES * 16];
            for (bytes, range) in body.chunks_exact_mut(16).zip(group) {
                bytes[..8].copy_from_slice(&range.first.to_le_bytes());
                bytes[8..].copy_from_slice(&range.last.to_le_bytes());
            }
            let body = &body[..group.len() * 16];
            if let Some(record) = Record::new(Kind::Ack, group[0].chan, group[0].last, body) {
                self.put(&record.flagged(group[0].flags));
            }
        }
    }

    /// Puts in a frame that says what is durable. There is always room.
    pub(super) fn put_frame(&mut self, durable: Position, flags: Flags) {
        let body = Span { from: durable, to: 0 }.encode();
        if let Some(record) = Record::new(Kind::Batch, 0, 0, &body) {
            self.put(&record.flagged(flags));
        }
    }
}
