//! What keeps messages, for whoever sends and receives them.

use core::task::{Context, Poll};

/// A message, as it is handed to a [`Journal`].
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its channel.
    pub chan: u16,
    /// Its number there; no number comes twice.
    pub seq: u64,
    /// The payload.
    pub payload: &'a [u8],
}

/// What became of a message that has a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kept {
    /// It is kept.
    New,
    /// The message of that number of its channel had the same key, and is remembered: this one is not kept.
    Duplicate(u64),
}

/// How far [`Journal::poll_keep`] has come with a message. One that has begun is to come to its end, or to be
/// [given up](Journal::give_up).
#[derive(Debug, Default)]
pub struct Keeping {
    /// By which the journal knows it again; none if it has not begun, or has come to its end.
    pub ticket: Option<usize>,
}

/// A message that lives in a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pending {
    /// Its number in its channel.
    pub seq: u64,
    /// Bytes of its payload.
    pub len: usize,
    /// How often it was delivered, as far as that was [counted](Journal::attempt).
    pub attempts: u32,
}

#[cfg(any(feature = "flash", feature = "wal"))]
impl Pending {
    /// What an entry of an index says of it.
    pub(crate) fn of(live: &super::index::Live) -> Self {
        let attempts = u32::from(live.attempts);
        Self { seq: live.seq, len: live.body_len as usize, attempts }
    }
}

/// What messages are written down in before they are sent, and struck out of when they are done with: files, flash.
///
/// A [`durable::Queue`](crate::durable::Queue) calls it, outside any lock. Calls may come from several threads at once if it is
/// `Sync`, and may take as long as the medium does.
pub trait Journal {
    /// Why it does not do what it was asked for.
    type Error: core::error::Error;
    /// How well messages are kept.
    type Level: Copy;

    /// Keeps a message; returns when that is done at `level`.
    ///
    /// # Errors
    /// The message was not kept, or nobody knows.
    fn keep(&self, entry: &Entry<'_>, level: Self::Level) -> Result<(), Self::Error>;

    /// As [`keep`](Self::keep), unless a message with the same key was kept in that channel, and is remembered. Of two that come at
    /// the same time one is kept. Returns when the one that is kept is so at `level`.
    ///
    /// # Errors
    /// The message was not kept, or nobody knows; or there is no memory for keys.
    fn keep_once(
        &self,
        entry: &Entry<'_>,
        key: u64,
        level: Self::Level,
    ) -> Result<Kept, Self::Error>;

    /// Keeps a message, with a key or without, and does not hold the thread up until the medium has synced: if it has not, the
    /// waker is woken when this is to be called again, with the same message and the same `keeping`. A journal that is done with
    /// at once, as it is unless it says otherwise, is not to be asked again.
    ///
    /// # Errors
    /// As for [`keep_once`](Self::keep_once).
    fn poll_keep(
        &self,
        keeping: &mut Keeping,
        entry: &Entry<'_>,
        key: Option<u64>,
        level: Self::Level,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Kept, Self::Error>> {
        let _ = (keeping, cx);
        Poll::Ready(match key {
            Some(key) => self.keep_once(entry, key, level),
            None => self.keep(entry, level).map(|()| Kept::New),
        })
    }

    /// The message of a `poll_keep` that was not ready will not be asked for again. It is forgotten, with its key, as if it had
    /// not been sent, but that a crash may bring it; if it is too late for that, true: it is kept.
    fn give_up(&self, keeping: &mut Keeping) -> bool {
        let _ = keeping;
        false
    }

    /// Forgets a message that is done with. A crash soon after may bring it back.
    ///
    /// # Errors
    /// The message may come back.
    fn forget(&self, chan: u16, seq: u64) -> Result<(), Self::Error>;

    /// Notes down that a message is about to be delivered for the `attempts`th time; returns when that survives the end of the
    /// process. A power cut may undo it as it may [`forget`](Self::forget).
    ///
    /// It may stop counting at 255.
    ///
    /// # Errors
    /// The count may be lower after a crash.
    fn attempt(&self, chan: u16, seq: u64, attempts: u32) -> Result<(), Self::Error>;

    /// Notes down that a channel was closed for good.
    ///
    /// # Errors
    /// As for [`keep`](Self::keep).
    fn close(&self, chan: u16, level: Self::Level) -> Result<(), Self::Error>;

    /// Whether it was.
    fn is_closed(&self, chan: u16) -> bool;

    /// The message of a channel that lives and has the lowest number behind `after`.
    fn next_pending(&self, chan: u16, after: u64) -> Option<Pending>;

    /// Reads a message that lives into `buffer`, which has its length.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    fn read(&self, chan: u16, seq: u64, buffer: &mut [u8]) -> Result<(), Self::Error>;

    /// The highest number any message has had in any channel.
    fn last_seq(&self) -> u64;
}
