//! The log, as its users see it.

use core::cell::RefCell;
use core::fmt;

use super::acks::Acks;
use super::error::FlashError;
use super::memory::FlashOptions;
use super::tail::{SPAN, Tail};
use crate::journal::reserve::For;
use crate::journal::{
    CLOSED, Checkpoint, Entry, Flags, Index, Journal, Kept, Keys, Kind, Live, LogDevice, Pending,
    Position, Record, Remembered, Shape, SlotState,
};
use crate::sum::sum;

/// A write-ahead log over a [`LogDevice`], mostly [`NorSlots`](super::NorSlots). Open it with [`open`](Self::open).
///
/// It is a [`Journal`] for queues of one executor: it can be shared by reference, but not among threads or with interrupt
/// handlers, and a call returns when the device has done what it takes. No critical section is held meanwhile.
pub struct FlashLog<'m, D: LogDevice> {
    pub(super) state: RefCell<State<'m, D>>,
}

/// What is in the cell.
pub(super) struct State<'m, D> {
    pub(super) device: D,
    pub(super) options: FlashOptions,
    /// What lives.
    pub(super) index: Index<&'m mut [Live]>,
    pub(super) keys: Keys<&'m mut [Remembered]>,
    /// In order of slots. Those that are neither spare nor hold a segment could not be erased.
    pub(super) slots: &'m mut [SlotState],
    pub(super) acks: Acks<'m>,
    pub(super) buffer: &'m mut [u8],
    pub(super) tail: Tail,
    pub(super) checkpoint: Checkpoint,
    /// Bytes of the records of what lives.
    pub(super) live_bytes: u64,
    /// Bytes of the longest record of a message, of those that were found or are to come.
    pub(super) longest: u32,
    /// Whether segments are sealed: not before it is noted down what the opening has passed over, which was not durable.
    pub(super) sealing: bool,
    /// A write failed: nobody knows what was written.
    pub(super) failed: bool,
    /// Nothing is taken any more.
    pub(super) closed: bool,
    /// Nothing is written.
    pub(super) draining: bool,
}

impl<D: LogDevice> State<'_, D> {
    /// Whether something can be written at all.
    pub(super) fn usable(&self) -> Result<(), FlashError<D::Error>> {
        if self.failed {
            Err(FlashError::Failed)
        } else if self.closed || self.draining {
            Err(FlashError::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// What bytes of a record take.
    pub(super) fn whole(&self, bytes: u32) -> u32 {
        bytes.next_multiple_of(self.device.word())
    }

    /// From now on nothing is written.
    pub(super) fn fail(&mut self) -> FlashError<D::Error> {
        self.failed = true;
        FlashError::Failed
    }

    /// Writes a record of a message, unless its key is remembered.
    fn keep(
        &mut self,
        kind: Kind,
        entry: &Entry<'_>,
        key: Option<u64>,
    ) -> Result<Kept, FlashError<D::Error>> {
        let Entry { chan, seq, payload } = *entry;
        let most = self.options.max_payload;
        let record = Record::new(kind, chan, seq, payload);
        let fits = record.filter(|_| payload.len() <= most as usize);
        let record = fits.ok_or(FlashError::TooLong { most })?;
        let record = key.map_or(record, |key| record.keyed(key));
        self.usable()?;
        if let Some(key) = key {
            if !self.keys.has_room(chan) {
                return Err(FlashError::NoKeys);
            }
            if let Some(first) = self.keys.find(chan, key) {
                return Ok(Kept::Duplicate(first));
            }
        }
        let len = bytes_of(record.header().body_len, self.device.word());
        let bytes = self.live_bytes + u64::from(len);
        if self.index.len() >= self.index.capacity() || bytes > self.most_live_bytes() {
            return Err(FlashError::Full);
        }
        // A recovery has all those in its index that live before it comes to their acknowledgements. And those that came before
        // must not be behind the message: they would be its own.
        let remembered = self.index.len() + self.acks.messages;
        if remembered >= self.index.capacity() || self.acks.has(chan, seq) {
            self.put_acks()?;
        }
        let header = record.header();
        self.make_room(self.whole(header.header_len(Shape::Short) + header.body_len), For::Sends)?;
        let at = self.put(header, payload)?;
        let live = Live::new(chan, seq, at, header.body_len);
        // Room was looked for.
        let before = self.index.insert(live).unwrap_or_default();
        self.live_bytes =
            bytes - before.map_or(0, |before| bytes_of(before.body_len, self.device.word()).into());
        if seq != CLOSED {
            self.checkpoint.max_seq = self.checkpoint.max_seq.max(seq);
        }
        if let Some(key) = key {
            // Room was looked for.
            let _ = self.keys.remember(chan, key, seq);
        }
        Ok(Kept::New)
    }

    fn ack(&mut self, chan: u16, first: u64, last: u64) -> Result<(), FlashError<D::Error>> {
        if last < first {
            return Ok(());
        }
        if !self.draining {
            self.usable()?;
            if !self.acks.note(chan, first, last) {
                self.put_acks()?;
                self.acks.note(chan, first, last);
            }
        }
        let (mut messages, mut bytes, word) = (0, 0, self.device.word());
        self.index.remove_range(chan, first, last, |live| {
            messages += 1;
            bytes += u64::from(bytes_of(live.body_len, word));
        });
        self.live_bytes -= bytes;
        self.acks.messages += messages;
        if self.options.ack_at_once && !self.draining {
            self.put_acks()?;
        }
        Ok(())
    }

    fn attempt(&mut self, chan: u16, seq: u64, attempts: u32) -> Result<(), FlashError<D::Error>> {
        let attempts = u8::try_from(attempts).unwrap_or(u8::MAX);
        let most = self.options.max_payload;
        let record = Record::new(Kind::Attempt, chan, seq, &[]);
        let record = record.ok_or(FlashError::TooLong { most })?.counted(attempts);
        if !self.draining {
            self.usable()?;
            if self.index.get(chan, seq).is_none_or(|live| live.attempts >= attempts) {
                return Ok(());
            }
            self.make_room(self.whole(record.header().header_len(Shape::Short)), For::Acks)?;
            self.put(record.header(), &[])?;
        }
        self.index.count(chan, seq, attempts);
        Ok(())
    }

    fn read(&mut self, chan: u16, seq: u64, buffer: &mut [u8]) -> Result<(), FlashError<D::Error>> {
        let live = *self.index.get(chan, seq).ok_or(FlashError::Unknown)?;
        if buffer.len() != live.body_len as usize {
            return Err(FlashError::Length { need: live.body_len });
        }
        let slot = self.slot_of(live.at.segment).ok_or(FlashError::Corrupt)?;
        let found = self.header_at(slot, live.at).map_err(FlashError::Device)?;
        let header = found.ok_or(FlashError::Corrupt)?;
        let body = live.at.offset + header.header_len(Shape::Short);
        self.device.read(slot, body, buffer).map_err(FlashError::Device)?;
        let same = (header.chan, header.seq, header.body_len) == (chan, seq, live.body_len);
        if same && sum(buffer) == header.body_crc { Ok(()) } else { Err(FlashError::Corrupt) }
    }
}

impl<'m, D: LogDevice> FlashLog<'m, D> {
    /// Forgets messages `first` to `last` of a channel, as [`forget`](Journal::forget) does with one.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn ack(&self, chan: u16, first: u64, last: u64) -> Result<(), FlashError<D::Error>> {
        self.state.borrow_mut().ack(chan, first, last)
    }

    /// Returns when all acknowledgements are durable; messages are, anyway.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn sync(&self) -> Result<(), FlashError<D::Error>> {
        let mut state = self.state.borrow_mut();
        state.usable()?;
        state.put_acks()
    }

    /// Does one thing that others would have to do otherwise: erases a slot, or frees one. False if nothing is due. To be called
    /// when there is time, until then.
    ///
    /// *Cost:* the erase of a slot, or a copy of what lives in one.
    ///
    /// # Errors
    ///
    /// [`FlashError`]. That there is no room is no error here.
    pub fn maintain(&self) -> Result<bool, FlashError<D::Error>> {
        match self.state.borrow_mut().maintain() {
            Err(FlashError::Full) => Ok(false),
            done => done,
        }
    }

    /// Writes acknowledgements, and notes down that the log was closed in order: after that a recovery can tell damage even at its
    /// very end. Nothing is taken any more.
    ///
    /// # Errors
    ///
    /// [`FlashError`].
    pub fn close(&self) -> Result<(), FlashError<D::Error>> {
        let mut state = self.state.borrow_mut();
        state.usable()?;
        state.put_acks()?;
        let len = state.whole(SPAN);
        state.make_room(len, For::Acks)?;
        state.put_end()?;
        state.closed = true;
        Ok(())
    }

    /// Messages that live, and closed channels.
    pub fn live(&self) -> usize {
        self.state.borrow().index.len()
    }

    /// Bytes that records of living messages may take in all: each has 28, and its payload, up to whole words, of 8
    /// at least. Those without a key take 8 less.
    pub fn most_live_bytes(&self) -> u64 {
        self.state.borrow().most_live_bytes()
    }

    /// Up to where the log is durable.
    pub fn durable(&self) -> Position {
        self.state.borrow().tail.durable
    }

    /// Gives the device back. Acknowledgements that were not written are forgotten: [`sync`](Self::sync) first.
    pub fn into_device(self) -> D {
        self.state.into_inner().device
    }
}

impl<D: LogDevice> Journal for FlashLog<'_, D>
where
    D::Error: fmt::Debug + fmt::Display,
{
    type Error = FlashError<D::Error>;
    /// Everything is durable when it is kept.
    type Level = ();

    fn keep(&self, entry: &Entry<'_>, (): ()) -> Result<(), Self::Error> {
        if !Shape::Short.has_number(entry.seq) {
            return Err(FlashError::Reserved);
        }
        self.state.borrow_mut().keep(Kind::Send, entry, None).map(drop)
    }

    fn keep_once(&self, entry: &Entry<'_>, key: u64, (): ()) -> Result<Kept, Self::Error> {
        if !Shape::Short.has_number(entry.seq) {
            return Err(FlashError::Reserved);
        }
        self.state.borrow_mut().keep(Kind::Send, entry, Some(key))
    }

    fn forget(&self, chan: u16, seq: u64) -> Result<(), Self::Error> {
        self.ack(chan, seq, seq)
    }

    fn attempt(&self, chan: u16, seq: u64, attempts: u32) -> Result<(), Self::Error> {
        self.state.borrow_mut().attempt(chan, seq, attempts)
    }

    fn close(&self, chan: u16, (): ()) -> Result<(), Self::Error> {
        let entry = Entry { chan, seq: CLOSED, payload: &[] };
        self.state.borrow_mut().keep(Kind::Close, &entry, None).map(drop)
    }

    fn is_closed(&self, chan: u16) -> bool {
        self.state.borrow().index.get(chan, CLOSED).is_some()
    }

    fn next_pending(&self, chan: u16, after: u64) -> Option<Pending> {
        self.state.borrow().index.next_behind(chan, after).map(Pending::of)
    }

    fn read(&self, chan: u16, seq: u64, buffer: &mut [u8]) -> Result<(), Self::Error> {
        self.state.borrow_mut().read(chan, seq, buffer)
    }

    fn last_seq(&self) -> u64 {
        self.state.borrow().checkpoint.max_seq
    }
}

impl<D: LogDevice> fmt::Debug for FlashLog<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("FlashLog")
            .field("durable", &state.tail.durable)
            .field("live", &state.index.len())
            .field("failed", &state.failed)
            .finish_non_exhaustive()
    }
}

/// What a message's record takes at the most: with a key.
pub(super) fn bytes_of(body_len: u32, word: u32) -> u32 {
    // It can be counted: lengths have 16 bits.
    (body_len + Shape::Short.header(Flags::KEYED) as u32).next_multiple_of(word)
}
