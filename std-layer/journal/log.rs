//! The log, as its users see it.

use std::fmt;
use std::io;
use std::time::Instant;
use std::vec::Vec;

use super::commit::Guard;
use super::error::{LogError, ReadError};
use super::files::{LogFiles, read_record};
use super::options::{Level, Options};
use super::state::State;
use super::sync::{Condvar, Mutex};
use crate::journal::reserve::For;
use crate::journal::{CLOSED, Flags, Kept, Kind, Live, Position, Record};

/// A message that is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its channel.
    pub chan: u16,
    /// Its number there. No number comes twice, also not after the message was acknowledged, and the last, [`CLOSED`], is
    /// no message's.
    pub seq: u64,
    /// Where its payload is in an arena, for who wants to know.
    pub slot: u32,
    /// That slot's generation.
    pub generation: u32,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message whose payload is in no arena.
    pub fn new(chan: u16, seq: u64, payload: &'a [u8]) -> Self {
        Self { chan, seq, slot: 0, generation: 0, payload }
    }
}

/// A write-ahead log over any [`LogFiles`]. [`Journal`](super::Journal) is one in a directory, with a thread that helps it.
///
/// All methods may be called by any number of threads at once.
pub struct Log<F: LogFiles> {
    pub(super) files: F,
    pub(super) options: Options,
    pub(super) state: Mutex<State<F::File>>,
    /// For who waits for a role, or for what somebody else brings about, but for the syncer's: while it syncs others write, which
    /// is nothing to wake all those for who wait for a sync.
    pub(super) changed: Condvar,
    /// For who waits for the syncer: for the end of an even round, and of an odd one.
    pub(super) synced: [Condvar; 2],
    /// For the syncer, who waits for those who shared the last round.
    pub(super) gathered: Condvar,
    /// For the helper.
    pub(super) work: Condvar,
    /// For the thread that syncs for those who do not wait, and for futures.
    pub(super) due: Condvar,
}

impl<F: LogFiles> Log<F> {
    /// Keeps a message, and returns when that is done at `level`: then everything before the position that it returns is.
    ///
    /// *Cost:* no allocation. A copy of the payload and its checksum; at `Buffered` and `Interval` one write, at `Sync` one
    /// write and one sync for all who wait at the same time. Whoever syncs waits for those who shared the last sync, no longer than that
    /// has taken, and rarely if they do not come.
    ///
    /// # Errors
    ///
    /// [`LogError`]. At `Full`, `TooLong` and `Reserved` nothing was written. At `Failed` the message may be found by a recovery, or not:
    /// it was not acknowledged.
    ///
    /// # Example
    ///
    /// ```
    /// use cloakroom::std_layer::journal::{Journal, Level, Message, Options};
    ///
    /// let place = std::env::temp_dir().join(format!("cloakroom-send-{}", std::process::id()));
    /// let (log, report) = Journal::open(&place, Options::default())?;
    /// log.send(&Message::new(1, report.max_seq + 1, b"paid"), Level::Sync)?;
    /// assert_eq!(log.pending().len(), 1);
    /// # drop(log);
    /// # std::fs::remove_dir_all(place)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, message: &Message<'_>, level: Level) -> Result<Position, LogError> {
        let record = self.record_of(message)?;
        let (state, _) = self.stage(self.lock(), &record)?;
        let end = state.stage.end();
        self.reach(state, end, level)
    }

    /// As [`send`](Self::send), unless a message with the same key was sent in that channel and is remembered: then this one is not
    /// kept, but said to be a duplicate. Of two that come at the same time one is kept.
    ///
    /// A key is remembered until [`Options::keys`] others have come behind it in its channel, whatever has become of its message
    /// meanwhile: acknowledged, before a crash or not. It is forgotten with a message that a crash has lost, or that was
    /// [cancelled](Self::cancel). Whoever has longer keys takes a hash of them: of 64 bits, so that two of a million that
    /// are remembered at a time are the same in one of thirty million logs.
    ///
    /// Arena's slot and generation are not noted down for such a message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`LogError::NoKeys`].
    ///
    /// # Example
    ///
    /// ```
    /// use cloakroom::journal::Kept;
    /// use cloakroom::std_layer::journal::{Journal, Level, Message, Options};
    ///
    /// let place = std::env::temp_dir().join(format!("cloakroom-once-{}", std::process::id()));
    /// let options = Options { keys: 100, ..Options::default() };
    /// let (log, _) = Journal::open(&place, options)?;
    /// let order = 0x5eed;
    /// assert_eq!(log.send_once(&Message::new(1, 1, b"paid"), order, Level::Sync)?, Kept::New);
    /// assert_eq!(log.send_once(&Message::new(1, 2, b"paid"), order, Level::Sync)?, Kept::Duplicate(1));
    /// assert_eq!(log.pending().len(), 1);
    /// # drop(log);
    /// # std::fs::remove_dir_all(place)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_once(
        &self,
        message: &Message<'_>,
        key: u64,
        level: Level,
    ) -> Result<Kept, LogError> {
        let record = self.record_of(message)?.keyed(key);
        let (state, kept) = self.stage(self.lock(), &record)?;
        // The message that is kept is before, whichever it is.
        let end = state.stage.end();
        self.reach(state, end, level).map(|_| kept)
    }

    /// The record of a message.
    pub(super) fn record_of<'m>(&self, message: &Message<'m>) -> Result<Record<'m>, LogError> {
        let too_long = LogError::TooLong { most: self.options.max_payload };
        if message.payload.len() > self.options.max_payload as usize {
            return Err(too_long);
        }
        if message.seq == CLOSED {
            return Err(LogError::Reserved);
        }
        // Before the lock is taken: this reads all of the payload.
        let record = Record::new(Kind::Send, message.chan, message.seq, message.payload);
        Ok(record.ok_or(too_long)?.at_slot(message.slot, message.generation))
    }

    /// Keeps in mind that a channel was closed, until `ack(chan, CLOSED, CLOSED)`.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn close_channel(&self, chan: u16, level: Level) -> Result<Position, LogError> {
        let record = Record::new(Kind::Close, chan, CLOSED, &[]);
        let record = record.ok_or(LogError::TooLong { most: self.options.max_payload })?;
        let (state, _) = self.stage(self.lock(), &record)?;
        let end = state.stage.end();
        self.reach(state, end, level)
    }

    /// Forgets messages `first` to `last` of a channel: their payloads are not needed any longer. That is written with what is
    /// written next, so a crash may bring them back; after [`sync`](Self::sync) it does not.
    ///
    /// # Errors
    ///
    /// [`LogError::Failed`]; `Full`, if not even acknowledgements have room. A log that is drained forgets at once, and takes
    /// no note of it.
    pub fn ack(&self, chan: u16, first: u64, last: u64) -> Result<(), LogError> {
        self.forget(self.lock(), chan, Flags::NONE, first, last)
    }

    /// As [`ack`](Self::ack), for one message that was cancelled: its key is forgotten, too.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    pub fn cancel(&self, chan: u16, seq: u64) -> Result<(), LogError> {
        self.forget(self.lock(), chan, Flags::CANCELLED, seq, seq)
    }

    pub(super) fn forget<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        chan: u16,
        flags: Flags,
        first: u64,
        last: u64,
    ) -> Result<(), LogError> {
        if !state.draining {
            state.usable()?;
            while !state.stage.note(chan, flags, first, last) {
                state = self.put_acks(state)?;
            }
        }
        state.forget(chan, first, last);
        if flags.has(Flags::CANCELLED) {
            state.keys.forget(chan, first, last);
        }
        Ok(())
    }

    /// Notes down that a message is about to be delivered for the `attempts`th time, which [`Live::attempts`] says after a crash. Returns
    /// when that is written: it survives the process, and, after [`sync`](Self::sync), a power cut. Of a message that does not
    /// live nothing is noted down, nor that there were less attempts than before, or more than 255.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    pub fn attempt(&self, chan: u16, seq: u64, attempts: u32) -> Result<(), LogError> {
        let attempts = u8::try_from(attempts).unwrap_or(u8::MAX);
        let record = Record::new(Kind::Attempt, chan, seq, &[]);
        let too_long = LogError::TooLong { most: self.options.max_payload };
        let record = record.ok_or(too_long)?.counted(attempts);
        let mut state = self.lock();
        if !state.draining {
            state.usable()?;
            // Nothing that lives is in its record: when the message is copied forward, the count goes with that.
            state = self.make_room(state, record.len(), For::Acks)?;
        }
        if state.index.count(chan, seq, attempts) && !state.draining {
            state.stage.put(&record);
            let end = state.stage.end();
            drop(self.written_to(state, end)?);
        }
        Ok(())
    }

    /// Returns when everything that was sent, closed and acknowledged before is durable, and up to where that is.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn sync(&self) -> Result<Position, LogError> {
        let state = self.lock();
        state.usable()?;
        let state = self.put_acks(state)?;
        let end = state.stage.end();
        Ok(self.sync_to(state, end)?.durable)
    }

    /// Up to where the log is durable.
    pub fn durable(&self) -> Position {
        self.lock().durable
    }

    /// Syncs, and notes down that the log was closed in order: after that a recovery can tell damage even at its very end.
    /// Nothing is taken any more.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn close(&self) -> Result<(), LogError> {
        self.sync()?;
        let mut state = self.make_room(self.lock(), 0, For::Acks)?;
        let durable = state.durable;
        state.stage.put_frame(durable, Flags::CLEAN);
        // No other frame comes behind it.
        state.framed = durable;
        let end = state.stage.end();
        self.sync_to(state, end)?.closed = true;
        self.work.notify_all();
        self.due.notify_all();
        Ok(())
    }

    /// What lives, in order of channels and numbers: right after opening what a crash has left. Each may have been delivered
    /// before.
    pub fn pending(&self) -> Vec<Live> {
        let mut pending: Vec<Live> = self.lock().index.iter().copied().collect();
        pending.sort_unstable_by_key(|live| (live.chan, live.seq));
        pending
    }

    /// Reads a message that lives into `buffer`, and returns its length.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; other messages can be read all the same.
    ///
    /// # Example
    ///
    /// ```
    /// # use cloakroom::std_layer::journal::{Journal, Level, Message, Options};
    /// let place = std::env::temp_dir().join(format!("cloakroom-read-{}", std::process::id()));
    /// let (log, _) = Journal::open(&place, Options::default())?;
    /// log.send(&Message::new(1, 1, b"paid"), Level::Sync)?;
    /// drop(log);
    ///
    /// let (log, report) = Journal::open(&place, Options::default())?;
    /// assert_eq!(report.pending, 1);
    /// let mut buffer = [0; 64];
    /// for live in log.pending() {
    ///     let len = log.read(live.chan, live.seq, &mut buffer)?;
    ///     assert_eq!(&buffer[..len], b"paid");
    ///     log.ack(live.chan, live.seq, live.seq)?;
    /// }
    /// # drop(log);
    /// # std::fs::remove_dir_all(place)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, chan: u16, seq: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut state = self.lock();
        loop {
            let live = *state.index.get(chan, seq).ok_or(ReadError::Unknown)?;
            let body = buffer.get_mut(..live.body_len as usize);
            let body = body.ok_or(ReadError::TooShort { need: live.body_len })?;
            if live.at >= state.written {
                state = self
                    .written_to(state, live.at)
                    .and_then(|state| self.write_out(state, false))
                    .map_err(|error| ReadError::Io(io::Error::other(error)))?;
                continue;
            }
            let log_id = state.stage.binding.log_id;
            let file = state.file_of(live.at.segment).ok_or(ReadError::Corrupt)?;
            drop(state);
            let outcome = read_checked(&*file, log_id, &live, body);
            state = self.lock();
            // It may have been copied forward meanwhile, and its slot made blank.
            let now = state.index.get(chan, seq).map(|live| live.at);
            if now.is_none_or(|at| at == live.at) {
                return outcome.map(|()| body.len());
            }
        }
    }

    /// Does what is due, so that others need not: syncs for [`Level::Interval`] and what was left behind in earlier
    /// segments, makes the next slot, frees old ones. The helper of a [`Journal`](super::Journal) calls it; who has a
    /// [`Log`] may, now and then.
    ///
    /// # Errors
    ///
    /// [`LogError::Failed`]. That there is no room is no error here.
    pub fn maintain(&self) -> Result<(), LogError> {
        self.sync_if_due()?;
        self.make_slots()
    }

    /// Syncs, if somebody wants that who does not do so.
    pub(super) fn sync_if_due(&self) -> Result<(), LogError> {
        let state = self.lock();
        if let Err(error) = state.usable() {
            drop(self.wake_due(state));
            return Err(error);
        }
        let due = state.dirty.is_some_and(|since| since.elapsed() >= self.options.interval);
        let end = state.stage.end();
        if due || state.durable < state.sync_wanted {
            drop(self.sync_to(state, end)?);
        } else if state.syncs_ahead(&self.options) {
            drop(self.sync_from(state, 0, end)?);
        }
        Ok(())
    }

    /// Looks for room for futures, makes the next slot, and frees old ones.
    pub(super) fn make_slots(&self) -> Result<(), LogError> {
        let mut state = self.lock();
        state.usable()?;
        if state.room_wanted > 0 {
            let len = core::mem::take(&mut state.room_wanted);
            let made =
                self.put_acks(state).and_then(|state| self.make_room(state, len, For::Sends));
            let (made, found) = match made {
                Ok(state) => (state, true),
                Err(LogError::Full) => (self.lock(), false),
                Err(error) => return Err(error),
            };
            state = made;
            state.waiters.looked_for_room(found);
            state = self.wake_due(state);
        }
        let room = |outcome: Result<Guard<'_, F>, LogError>| match outcome {
            Ok(_) | Err(LogError::Full) => Ok(()),
            Err(error) => Err(error),
        };
        if self.lacks_slots(&state) && !state.preparing {
            room(self.prepare(state))?;
            state = self.lock();
        }
        if self.is_short(&state) {
            room(self.collect_oldest(state))?;
        }
        Ok(())
    }

    /// Whether slots are to be made, or freed, for which there was no room before.
    pub(super) fn has_work(&self, state: &State<F::File>) -> bool {
        self.lacks_slots(state) || self.is_short(state)
    }

    /// Whether slots may yet be made, and the next segment, or whoever it is left for, has none.
    fn lacks_slots(&self, state: &State<F::File>) -> bool {
        let (spare, usable) = state.count_slots();
        let is_low = spare <= For::Sends.leaves() && usable < self.options.slots as usize;
        is_low || state.blank_place().is_none()
    }

    /// Whether as many messages live as can, beside that of the record.
    pub(super) fn is_full(&self, state: &State<F::File>, record: &Record<'_>) -> bool {
        state.index.len() >= state.index.capacity()
            || state.live_bytes + u64::from(record.len()) > state.most_live_bytes(&self.options)
    }

    /// Whether a segment is to be freed before sends can go on in the next one.
    pub(super) fn is_short(&self, state: &State<F::File>) -> bool {
        state.free(&self.options) <= For::Sends.leaves()
            && !state.collecting
            && state.oldest() != state.segment()
            // Otherwise what is copied takes as much as is freed, time after time.
            && state.live_bytes <= state.most_live_bytes(&self.options)
    }

    /// Stages a record of a message, unless its key is remembered.
    fn stage<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        record: &Record<'_>,
    ) -> Result<(Guard<'s, F>, Kept), LogError> {
        let header = record.header();
        // Whatever takes the lock away, all is looked at again.
        loop {
            state.usable()?;
            if let Some(first) = state.known(header)? {
                match state.waiters.undecided(header.chan, first, state.durable) {
                    // It may yet be given up.
                    Some(upto) => state = self.sync_to(state, upto)?,
                    None => return Ok((state, Kept::Duplicate(first))),
                }
            } else if self.is_full(&state, record) {
                if !state.no_room || self.options.maintained {
                    return Err(LogError::Full);
                }
                // There may be room for another slot by now, and nobody else looks.
                state = self.prepare(state)?;
            } else if self.has_room_now(&state, record) {
                state.keep(record);
                return Ok((state, Kept::New));
            } else {
                let cancelled = header.key().is_some() && state.stage.has_cancelled();
                if cancelled || state.stage.acknowledges(header.chan, header.seq) {
                    state = self.put_acks(state)?;
                }
                state = self.make_room(state, record.len(), For::Sends)?;
            }
        }
    }

    /// Returns when everything before `end` is done at `level`.
    pub(super) fn reach(
        &self,
        mut state: Guard<'_, F>,
        end: Position,
        level: Level,
    ) -> Result<Position, LogError> {
        if level == Level::Sync {
            return self.sync_to(state, end).map(|_| end);
        }
        if level == Level::Interval && state.dirty.is_none() {
            state.dirty = Some(Instant::now());
            self.due.notify_one();
        }
        self.written_to(state, end).map(|_| end)
    }

    /// Writes out the acknowledgements that are only noted down.
    fn put_acks<'s>(&'s self, mut state: Guard<'s, F>) -> Result<Guard<'s, F>, LogError> {
        while state.stage.has_acks() {
            state = self.make_room(state, 0, For::Acks)?;
            state = self.write_out(state, true)?;
        }
        Ok(state)
    }
}

/// Reads the payload of a record, and compares all that can be compared.
fn read_checked(
    file: &impl super::files::LogFile,
    log_id: u128,
    live: &Live,
    body: &mut [u8],
) -> Result<(), ReadError> {
    let header = read_record(file, log_id, live.at, body).map_err(ReadError::Io)?;
    let header = header.ok_or(ReadError::Corrupt)?;
    let same = (header.chan, header.seq, header.body_len) == (live.chan, live.seq, live.body_len);
    let found = Record::new(Kind::Send, live.chan, live.seq, body);
    if same && found.is_some_and(|found| found.header().body_crc == header.body_crc) {
        Ok(())
    } else {
        Err(ReadError::Corrupt)
    }
}

impl<F: LogFiles> fmt::Debug for Log<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Log")
            .field("written", &state.written)
            .field("durable", &state.durable)
            .field("live", &state.index.len())
            .field("failed", &state.failed)
            .finish_non_exhaustive()
    }
}
