//! The log as a journal behind queues.

use std::task::{Context, Poll};

use super::error::{LogError, ReadError};
use super::files::LogFiles;
use super::log::{Log, Message};
use super::options::Level;
use crate::journal::{CLOSED, Entry, Keeping, Kept, Pending};

/// Why a log does not do what a queue asks for.
#[derive(Debug)]
pub enum KeepError {
    /// It does not take, or forget, something.
    Log(LogError),
    /// A message is not read back.
    Read(ReadError),
}

impl std::fmt::Display for KeepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeepError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Log(error) => Some(error),
            Self::Read(error) => Some(error),
        }
    }
}

impl<F: LogFiles> crate::journal::Journal for Log<F> {
    type Error = KeepError;
    type Level = Level;

    fn keep(&self, entry: &Entry<'_>, level: Level) -> Result<(), KeepError> {
        let message = Message::new(entry.chan, entry.seq, entry.payload);
        self.send(&message, level).map(drop).map_err(KeepError::Log)
    }

    fn keep_once(&self, entry: &Entry<'_>, key: u64, level: Level) -> Result<Kept, KeepError> {
        let message = Message::new(entry.chan, entry.seq, entry.payload);
        self.send_once(&message, key, level).map_err(KeepError::Log)
    }

    fn poll_keep(
        &self,
        keeping: &mut Keeping,
        entry: &Entry<'_>,
        key: Option<u64>,
        level: Level,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Kept, KeepError>> {
        let message = Message::new(entry.chan, entry.seq, entry.payload);
        self.poll_send(keeping, &message, key, level, cx).map_err(KeepError::Log)
    }

    fn give_up(&self, keeping: &mut Keeping) -> bool {
        self.give_up_send(keeping)
    }

    fn forget(&self, chan: u16, seq: u64) -> Result<(), KeepError> {
        self.ack(chan, seq, seq).map_err(KeepError::Log)
    }

    fn attempt(&self, chan: u16, seq: u64, attempts: u32) -> Result<(), KeepError> {
        Log::attempt(self, chan, seq, attempts).map_err(KeepError::Log)
    }

    fn close(&self, chan: u16, level: Level) -> Result<(), KeepError> {
        self.close_channel(chan, level).map(drop).map_err(KeepError::Log)
    }

    fn is_closed(&self, chan: u16) -> bool {
        self.lock().index.get(chan, CLOSED).is_some()
    }

    fn next_pending(&self, chan: u16, after: u64) -> Option<Pending> {
        self.lock().index.next_behind(chan, after).map(Pending::of)
    }

    fn read(&self, chan: u16, seq: u64, buffer: &mut [u8]) -> Result<(), KeepError> {
        Log::read(self, chan, seq, buffer).map(drop).map_err(KeepError::Read)
    }

    fn last_seq(&self) -> u64 {
        self.lock().checkpoint.max_seq
    }
}
