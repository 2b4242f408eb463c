//! Bounded space: what lives in the oldest segment is copied forward, then its slot is spare.

use std::io;

use super::commit::Guard;
use super::error::LogError;
use super::files::{LogFiles, read_record};
use super::log::Log;
use super::slots::stage_checkpoint;
use super::state::Holds;
use crate::journal::reserve::For;
use crate::journal::{Kind, Live, Record};

/// Places of the index that are looked at while the lock is held; models have small ones.
const AT_ONCE: usize = if cfg!(shuttle) { 4 } else { 1024 };

impl<F: LogFiles> Log<F> {
    /// Makes room for sends.
    pub(super) fn collect_some<'s>(
        &'s self,
        mut state: Guard<'s, F>,
    ) -> Result<Guard<'s, F>, LogError> {
        if state.collecting {
            state = self.wait(state);
            state.usable()?;
            return Ok(state);
        }
        if state.oldest() == state.segment() {
            return Err(LogError::Full);
        }
        self.collect_oldest(state)
    }

    /// Frees the slot of the oldest segment, which is not the current one. Nobody has the collector's role.
    pub(super) fn collect_oldest<'s>(
        &'s self,
        mut state: Guard<'s, F>,
    ) -> Result<Guard<'s, F>, LogError> {
        state.collecting = true;
        let mut payload = core::mem::take(&mut state.payload);
        let outcome = self.copy_and_free(state, &mut payload);
        let (mut state, outcome) = match outcome {
            Ok(state) => (state, Ok(())),
            Err(error) => (self.lock(), Err(error)),
        };
        state.payload = payload;
        state.collecting = false;
        self.tell(&state);
        outcome.map(|()| state)
    }

    fn copy_and_free<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        payload: &mut [u8],
    ) -> Result<Guard<'s, F>, LogError> {
        let oldest = state.oldest();
        // Entries that are taken out move others backward, past the cursor, too: that a pass finds none says nothing, so it is
        // gone through until the count, which is kept under the lock, says that there is none left.
        let mut cursor = 0;
        let lives = |state: &Guard<'s, F>| {
            state.place_of(oldest).is_some_and(|place| state.slots[place].live > 0)
        };
        while lives(&state) {
            let (next, found) =
                state.index.next_in(cursor, AT_ONCE, |live| live.at.segment == oldest);
            cursor = next.unwrap_or(0);
            state = match found {
                Some(live) => self.copy(state, &live, payload)?,
                None => {
                    drop(state);
                    self.lock()
                }
            };
        }
        // Durable first, then not needed any more, and that durable, too, before it is gone.
        if let Some(first) = state.copied_in {
            let end = state.stage.end();
            state = self.sync_from(state, first, end)?;
            state.copied_in = None;
        }
        // Not the number behind it: there may be a gap that was passed over, which goes with it.
        state.checkpoint.first = state.oldest_from(oldest + 1);
        state = self.make_room(state, 0, For::Collector)?;
        stage_checkpoint(&mut state);
        let end = state.stage.end();
        // With keys all of the log has to be durable: a segment that is left says that one is remembered, and what says that its message
        // was cancelled may be in a later one.
        let first = if self.options.keys > 0 { 0 } else { state.segment() };
        state = self.sync_from(state, first, end)?;
        if let Some(place) = state.place_of(oldest) {
            // Nothing is put in a segment but the current one.
            debug_assert!(state.index.iter().all(|live| live.at.segment != oldest), "one lives");
            state.slots[place].holds = Holds::Spare { blank: false };
        }
        // Before the next one is freed: recovery relies on segments being gone in order.
        while state.slots.iter().any(|slot| slot.holds == Holds::Spare { blank: false }) {
            state = self.prepare(state)?;
        }
        Ok(state)
    }

    /// Copies a message forward, if it still lives where it did.
    fn copy<'s>(
        &'s self,
        state: Guard<'s, F>,
        live: &Live,
        payload: &mut [u8],
    ) -> Result<Guard<'s, F>, LogError> {
        let (log_id, at) = (state.stage.binding.log_id, live.at);
        let body = &mut payload[..live.body_len as usize];
        let file = state.file_of(at.segment);
        drop(state);
        // Its checksum goes with it: what was damaged stays so, and is reported by whoever reads it.
        let read = file.map(|file| self.outside(|| read_record(&*file, log_id, at, body)));
        let sum = match read {
            Some(Ok(header)) => header.map(|header| header.body_crc),
            // The file was cut off: those bytes are gone.
            Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            // It may be read another time: until then it stays where it is, and there is no room to be gained.
            Some(Err(_)) => return Err(LogError::Full),
            None => None,
        };
        let kind = if live.is_closing() { Kind::Close } else { Kind::Reloc };
        let Some(record) = Record::new(kind, live.chan, live.seq, body) else {
            return Ok(self.lock());
        };
        let sum = sum.unwrap_or(!record.header().body_crc);
        let record = record.at_slot(live.slot, live.generation).summed(sum);
        let mut state = self.make_room(self.lock(), record.len(), For::Collector)?;
        let still = state.index.get(live.chan, live.seq).filter(|live| live.at == at).copied();
        if let Some(mut moved) = still {
            // It may have been delivered again meanwhile.
            moved.at = state.stage.put(&record.counted(moved.attempts));
            state.copied_in.get_or_insert(moved.at.segment);
            state.insert(moved);
        }
        Ok(state)
    }
}
