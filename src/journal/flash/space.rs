//! Segments: going on in the next one, and bounded space. What lives in the oldest one is copied forward, then its slot is spare.
//!
//! Power may fail at any moment, and then the opening begins a segment, too. It needs no slot of its own: only the collector takes
//! the last one, and until it has freed another, what is in there is [redundant](crate::journal::SlotState::redundant).

use super::error::FlashError;
use super::log::{State, bytes_of};
use super::tail::CHECKPOINT;
use crate::journal::reserve::For;
use crate::journal::{
    Binding, Flags, Kind, Live, LogDevice, Position, RecordHeader, SEGMENT_HEADER, SegmentHeader,
    Shape,
};
use crate::sum::Sum;

/// What is copied at a time.
const PIECE: u32 = 64;

/// Bytes of messages that a segment can hold: behind a checkpoint, and with room for another one at the end.
pub(super) fn area(segment_bytes: u32, word: u32) -> u32 {
    segment_bytes.saturating_sub(2 * (SEGMENT_HEADER as u32 + CHECKPOINT.next_multiple_of(word)))
}

impl<D: LogDevice> State<'_, D> {
    /// Slots that can be used.
    pub(super) fn free(&self) -> usize {
        self.slots.iter().filter(|slot| slot.spare).count()
    }

    /// Bytes that records of living messages may take in all. What it takes to copy them forward, and what is lost at
    /// segments' ends, is as much again.
    pub(super) fn most_live_bytes(&self) -> u64 {
        let usable = self.slots.iter().filter(|slot| slot.spare || slot.segment != 0).count();
        let (bytes, word) = (self.device.segment_bytes(), self.device.word());
        let area = u64::from(area(bytes, word).saturating_sub(self.longest));
        let area = area.saturating_sub(self.keys.most_bytes(word));
        usable.saturating_sub(3) as u64 * area / 2
    }

    /// The oldest segment from that number on.
    fn oldest_from(&self, number: u64) -> u64 {
        let segments = self.slots.iter().map(|slot| slot.segment);
        segments.filter(|&segment| segment >= number).min().unwrap_or(self.tail.binding.segment)
    }

    /// The oldest segment.
    fn oldest(&self) -> u64 {
        // In a slot of the number 0 is none.
        self.oldest_from(1)
    }

    /// Returns with room in the segment for records of that length.
    pub(super) fn make_room(&mut self, len: u32, whom: For) -> Result<(), FlashError<D::Error>> {
        let limit = self.device.segment_bytes() - SEGMENT_HEADER as u32 - self.whole(CHECKPOINT);
        // With as little that lives as may, it is found after each segment was copied once.
        for _ in 0..2 * self.slots.len() + 2 {
            let (free, room) = (self.free(), self.tail.end + len <= limit);
            if free >= whom.leaves() && room {
                return Ok(());
            }
            if !room && (whom == For::Collector || free > whom.leaves()) {
                self.begin_next()?;
            } else {
                self.collect_oldest()?;
            }
        }
        Err(FlashError::Full)
    }

    /// Begins the next segment, with a checkpoint and the keys that are remembered.
    pub(super) fn begin_next(&mut self) -> Result<(), FlashError<D::Error>> {
        let place = self.blank_place()?;
        let slot = self.slots[place].slot;
        let segment = self.tail.binding.segment + 1;
        let bytes = self.device.segment_bytes();
        let header = SegmentHeader {
            log_id: self.tail.binding.log_id,
            segment,
            segment_bytes: u64::from(bytes),
            geometry: self.options.geometry,
            previous_end: self.tail.end,
            created: 0,
            shape: Shape::Short,
        };
        for at in [0, bytes - SEGMENT_HEADER as u32] {
            let written = self.device.write_out(slot, at, &mut header.encode());
            written.and_then(|()| self.device.sync(slot)).map_err(|_| self.fail())?;
        }
        let state = &mut self.slots[place];
        (state.segment, state.spare, state.blank) = (segment, false, false);
        self.tail.binding.segment = segment;
        self.tail.slot = slot;
        self.tail.end = SEGMENT_HEADER as u32;
        self.tail.durable = Position { segment, offset: self.tail.end };
        self.put_checkpoint(if self.sealing { Flags::SEALED } else { Flags::NONE })?;
        self.put_keys()
    }

    /// The place of a slot in which a segment can begin: the next one around, so that all are erased as often. One that cannot be
    /// erased is passed over until there is no other one.
    fn blank_place(&mut self) -> Result<usize, FlashError<D::Error>> {
        if let Some(place) = self.slots.iter().position(|slot| slot.blank) {
            return Ok(place);
        }
        let mut failed = FlashError::Full;
        loop {
            let behind = |&place: &usize| self.slots[place].slot > self.tail.slot;
            let spare = || (0..self.slots.len()).filter(|&place| self.slots[place].spare);
            let Some(place) = spare().find(behind).or_else(|| spare().next()) else { break };
            let renewed = self.device.renew(self.slots[place].slot);
            self.slots[place].blank = renewed.is_ok();
            self.slots[place].spare = renewed.is_ok();
            match renewed {
                Ok(()) => return Ok(place),
                Err(error) => failed = FlashError::Device(error),
            }
        }
        // It may be so for a while only.
        self.slots.iter_mut().for_each(|slot| slot.spare = slot.segment == 0);
        Err(failed)
    }

    /// Frees the slot of the oldest segment, if that is not the current one.
    pub(super) fn collect_oldest(&mut self) -> Result<(), FlashError<D::Error>> {
        let oldest = self.oldest();
        if oldest == self.tail.binding.segment {
            return Err(FlashError::Full);
        }
        let mut cursor = Some(0);
        while let Some(place) = cursor {
            // An entry that is moved stays in its place.
            let (next, found) =
                self.index.next_in(place, usize::MAX, |live| live.at.segment == oldest);
            cursor = next;
            if let Some(live) = found {
                self.copy(&live)?;
            }
        }
        // All is copied; now it is not needed any more, and that is durable before it is gone.
        // Not the number behind it: there may be a gap that was passed over, which goes with it.
        self.checkpoint.first = self.oldest_from(oldest + 1);
        let end = self.tail.end + self.whole(CHECKPOINT);
        if end > self.device.segment_bytes() - SEGMENT_HEADER as u32 {
            self.begin_next()?;
        } else {
            self.put_checkpoint(Flags::NONE)?;
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.segment == oldest) {
            (slot.segment, slot.spare, slot.blank) = (0, true, false);
        }
        Ok(())
    }

    /// Copies a message forward. Its checksum goes with it: what was damaged stays so, and is reported by whoever reads it.
    fn copy(&mut self, live: &Live) -> Result<(), FlashError<D::Error>> {
        let Some(slot) = self.slot_of(live.at.segment) else { return Ok(()) };
        // All of it is read before anything is written: what cannot be read at the moment stays where it is.
        let found = self.header_at(slot, live.at).map_err(FlashError::Device)?;
        let mut sum = Sum::new();
        let pieces = |body: u32| (0..body).step_by(PIECE as usize);
        // One whose header does not verify is copied to be reported as damaged.
        let skip = found.map_or(0, |header| header.header_len(Shape::Short));
        let body = live.at.offset + skip;
        for from in pieces(live.body_len) {
            let mut bytes = [0; PIECE as usize];
            let bytes = &mut bytes[..PIECE.min(live.body_len - from) as usize];
            self.device.read(slot, body + from, bytes).map_err(FlashError::Device)?;
            sum.add(bytes);
        }
        let kind = if live.is_closing() { Kind::Close } else { Kind::Reloc };
        let mut header = RecordHeader {
            body_crc: found.map_or(!sum.end(), |header| header.body_crc),
            body_len: live.body_len,
            kind: kind as u8,
            flags: Flags::NONE,
            chan: live.chan,
            seq: live.seq,
            slot: live.slot,
            generation: live.generation,
        };
        header.count(live.attempts);
        self.make_room(bytes_of(live.body_len, self.device.word()), For::Collector)?;
        let mut moved = *live;
        moved.at = self.put_header(&header)?;
        for from in pieces(live.body_len) {
            let mut bytes = [0; PIECE as usize];
            let bytes = &mut bytes[..PIECE.min(live.body_len - from) as usize];
            // Part of the record is written: that cannot be taken back.
            self.device.read(slot, body + from, bytes).map_err(|_| self.fail())?;
            self.push(bytes)?;
        }
        self.end_record()?;
        // It is there, so there is room for it.
        let _ = self.index.insert(moved);
        Ok(())
    }

    /// The slot of a segment.
    pub(super) fn slot_of(&self, segment: u64) -> Option<u32> {
        self.slots.iter().find(|slot| slot.segment == segment).map(|slot| slot.slot)
    }

    /// A record's header, if it verifies.
    pub(super) fn header_at(
        &mut self,
        slot: u32,
        at: Position,
    ) -> Result<Option<RecordHeader>, D::Error> {
        let bytes = Shape::Short.read(|bytes| self.device.read(slot, at.offset, bytes))?;
        let binding = Binding { segment: at.segment, ..self.tail.binding };
        Ok(RecordHeader::decode(&bytes, &binding, at.offset))
    }

    /// Does one thing that is due; false if nothing is.
    pub(super) fn maintain(&mut self) -> Result<bool, FlashError<D::Error>> {
        self.usable()?;
        let blank = self.slots.iter().any(|slot| slot.blank);
        if !blank && self.free() > 0 {
            return self.blank_place().map(|_| true);
        }
        let short = self.free() <= For::Sends.leaves();
        let helps = self.live_bytes <= self.most_live_bytes();
        if short && helps && self.oldest() != self.tail.binding.segment {
            self.collect_oldest()?;
            return Ok(true);
        }
        Ok(false)
    }
}
