//! Segments: making slots, and going on in the next one.

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::commit::Guard;
use super::error::{LogError, no_room};
use super::files::{LogFile, LogFiles, blank, uninterrupted, write_all};
use super::log::Log;
use super::options::Options;
use super::state::{Holds, Slot, State};
use crate::journal::reserve::For;
use crate::journal::{
    Checkpoint, Kind, MAX_KEYS, PAIR, Position, Record, SEGMENT_HEADER, SegmentHeader, Shape, Span,
};

impl<F: LogFiles> Log<F> {
    /// Returns with room on the stage, and in the segment, for a record of that length.
    pub(super) fn make_room<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        len: u32,
        whom: For,
    ) -> Result<Guard<'s, F>, LogError> {
        loop {
            state.usable()?;
            if whom == For::Sends
                && state.no_room
                && state.live_bytes > state.most_live_bytes(&self.options)
            {
                return Err(LogError::Full);
            }
            let end = u64::from(state.stage.end().offset) + u64::from(len);
            if state.free(&self.options) < whom.leaves() {
                state = self.collect_some(state)?;
            } else if end > u64::from(state.limit(&self.options)) {
                state = self.rotate(state, whom)?;
            } else if !state.stage.has_room(len) {
                state = self.write_out(state, false)?;
            } else {
                return Ok(state);
            }
        }
    }

    /// Goes on in the next segment, unless somebody else has done so meanwhile: the caller looks again.
    fn rotate<'s>(&'s self, state: Guard<'s, F>, whom: For) -> Result<Guard<'s, F>, LogError> {
        let segment = state.segment();
        let mut state = self.write_out(state, false)?;
        // Small records may have been staged meanwhile, so all three are looked at under the lock, at once.
        if state.segment() != segment || state.writing || state.stage.len > 0 {
            return Ok(state);
        }
        let (spare, usable) = state.count_slots();
        if whom != For::Collector && spare <= whom.leaves() {
            // What is left for the others is there, and not only to be made.
            if usable < self.options.slots as usize {
                return match self.prepare(state) {
                    Err(LogError::Full) => self.collect_some(self.lock()),
                    made => made,
                };
            }
            return self.collect_some(state);
        }
        let Some(place) = state.blank_place() else { return self.prepare(state) };
        let header = self.begin(&mut state, place);
        let file = state.slots[place].file.clone();
        state.writing = true;
        drop(state);
        // Records are staged for it from now on, but nobody writes them before its headers are durable.
        let outcome = self.outside(|| write_headers(&*file, &header));
        let mut state = self.lock();
        state.writing = false;
        match outcome {
            Ok(()) => state.written = state.written.max(first_of(header.segment)),
            Err(error) => state.fail(&error),
        }
        self.tell(&state);
        self.work.notify_one();
        self.due.notify_one();
        state.usable()?;
        Ok(state)
    }

    /// Makes the slot at `place` the current segment, in which a checkpoint and all keys are staged.
    fn begin(&self, state: &mut State<F::File>, place: usize) -> SegmentHeader {
        let previous_end = state.stage.end().offset;
        let segment = state.segment() + 1;
        state.slots[place].holds = Holds::Segment(segment);
        state.current = place;
        state.stage.binding.segment = segment;
        state.stage.start = SEGMENT_HEADER as u32;
        stage_checkpoint(state);
        stage_keys(state);
        // What is not understood stays where it is, so that it was passed over must not go with an older segment.
        let unknown = |slot: &Slot<F::File>| slot.holds == Holds::Unknown;
        for (place, _) in (0..).zip(&state.slots).filter(|(_, slot)| unknown(slot)) {
            let from = Position { segment: 0, offset: place };
            let body = Span { from, to: place + 1 }.encode();
            let scar = Record::new(Kind::Scar, 0, 0, &body);
            if let Some(scar) = scar.filter(|scar| state.stage.has_room(scar.len())) {
                state.stage.put(&scar);
            }
        }
        header(&self.options, state.stage.binding.log_id, segment, previous_end)
    }

    /// Blanks a slot, or makes another one, so that a segment can begin there.
    pub(super) fn prepare<'s>(&'s self, mut state: Guard<'s, F>) -> Result<Guard<'s, F>, LogError> {
        if state.preparing {
            state = self.wait(state);
            state.usable()?;
            return Ok(state);
        }
        let stale = Holds::Spare { blank: false };
        let place = state.slots.iter().position(|slot| slot.holds == stale);
        if place.is_none() && state.usable_slots() >= self.options.slots as usize {
            return Err(LogError::Full);
        }
        let number = match place {
            Some(_) => 0,
            None => next_number(&state.slots).ok_or(LogError::Full)?,
        };
        state.preparing = true;
        let known = place.map(|place| state.slots[place].file.clone());
        drop(state);
        let Options { segment_bytes, zeros, .. } = self.options;
        let made = self.outside(|| match known {
            Some(file) => blank(&*file, segment_bytes, zeros).map(|()| None),
            None => make_slot(&self.files, number, &self.options).map(Some),
        });
        let mut state = self.lock();
        state.preparing = false;
        let outcome = match made {
            Ok(made) => {
                // Only who prepares adds slots or makes stale ones blank, so the place is still that slot's.
                let at = place.unwrap_or(state.slots.len());
                state.no_room &= made.is_none();
                state.slots.extend(made);
                state.slots[at].holds = Holds::Spare { blank: true };
                Ok(())
            }
            // Nothing that counts was written: it can be tried again.
            Err(error) if no_room(&error) => {
                state.no_room |= place.is_none();
                Err(LogError::Full)
            }
            Err(error) => {
                state.fail(&error);
                state.usable()
            }
        };
        self.tell(&state);
        outcome.map(|()| state)
    }
}

/// Stages what the log begins with.
pub(super) fn stage_checkpoint<F>(state: &mut State<F>) {
    let body: [u8; Checkpoint::LEN] = state.checkpoint.encode();
    if let Some(record) = Record::new(Kind::Checkpoint, 0, 0, &body) {
        state.stage.put(&record);
    }
}

/// Stages the keys that are remembered. The stage is longer by what they take, and nothing but a checkpoint is on it.
pub(super) fn stage_keys<F>(state: &mut State<F>) {
    for record in state.keys.records() {
        let mut body = [0; MAX_KEYS * PAIR];
        if let Some(record) = record.fill(&mut body) {
            state.stage.put(&record);
        }
    }
}

/// Where a segment's records begin.
pub(super) fn first_of(segment: u64) -> Position {
    Position { segment, offset: SEGMENT_HEADER as u32 }
}

pub(super) fn header(
    options: &Options,
    log_id: u128,
    segment: u64,
    previous_end: u32,
) -> SegmentHeader {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    SegmentHeader {
        log_id,
        segment,
        segment_bytes: u64::from(options.segment_bytes),
        geometry: options.geometry,
        previous_end,
        created: now.map_or(0, |now| now.as_secs()),
        shape: Shape::Long,
    }
}

/// Writes both of them, and returns when they are durable.
pub(super) fn write_headers(file: &impl LogFile, header: &SegmentHeader) -> io::Result<()> {
    let bytes = header.encode();
    write_all(file, &bytes, 0)?;
    write_all(file, &bytes, header.segment_bytes - SEGMENT_HEADER as u64)?;
    uninterrupted(|| file.sync())
}

/// The number of a file that is to be made. One of the last number, which none follows, is not the log's own.
pub(super) fn next_number<F>(slots: &[Slot<F>]) -> Option<u32> {
    let later = slots.iter().filter_map(|slot| slot.number.checked_add(1));
    let number = later.max().unwrap_or(0);
    slots.iter().all(|slot| slot.number != number).then_some(number)
}

/// Makes a file, blank, with a name that is durable.
pub(super) fn make_slot<F: LogFiles>(
    files: &F,
    number: u32,
    options: &Options,
) -> io::Result<Slot<F::File>> {
    // One of that name may have been left by an attempt for which there was no room.
    let file = match files.create(number) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => files.open(number, true)?,
        made => made?,
    };
    if let Err(error) = blank(&file, options.segment_bytes, options.zeros) {
        if no_room(&error) {
            // The last of the room is others'.
            let _ = file.set_size(0);
        }
        return Err(error);
    }
    uninterrupted(|| files.sync_names())?;
    Ok(Slot { file: Arc::new(file), number, holds: Holds::Spare { blank: true }, live: 0 })
}
