//! Why a log in flash is not opened, and why it does not take, or give back, a message.

use core::{error, fmt};

use crate::journal::RecoverError;

/// Why a log does not do what it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FlashError<E> {
    /// There is no room: as many messages live as can. Nothing was written; it can be tried again when messages have been
    /// acknowledged.
    Full,
    /// The payload is longer than the log was opened for.
    TooLong {
        /// What it was opened for.
        most: u32,
    },
    /// That number is no message's: it has more than 40 bits, or stands for a closed channel.
    Reserved,
    /// A write failed, now or before. Nothing is written any more; whether what was written last will be found again is not
    /// known. The log can be opened anew.
    Failed,
    /// The log was opened to be drained, or is closed.
    ReadOnly,
    /// There is no memory for keys, or for those of fewer queues.
    NoKeys,
    /// No such message lives.
    Unknown,
    /// The buffer has not the length of the payload.
    Length {
        /// Bytes of the payload.
        need: u32,
    },
    /// What is there is not what was written.
    Corrupt,
    /// The device cannot read, or erase, something at the moment. It can be tried again.
    Device(E),
}

impl<E: fmt::Display> fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the log is full"),
            Self::TooLong { most } => write!(f, "the payload is longer than {most} bytes"),
            Self::Reserved => f.write_str("the number is too high for a message"),
            Self::Failed => f.write_str("the log has failed"),
            Self::ReadOnly => f.write_str("the log is closed, or was opened to be drained"),
            Self::NoKeys => f.write_str("the log has no memory for the queue's keys"),
            Self::Unknown => f.write_str("no such message lives"),
            Self::Length { need } => write!(f, "the payload has {need} bytes"),
            Self::Corrupt => f.write_str("the record is damaged"),
            Self::Device(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> error::Error for FlashError<E> {}

/// Why a log is not opened.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum FlashOpenError<E> {
    /// It is not recovered, and was left as it is. [`FlashMemory::report`](super::FlashMemory::report) has the numbers.
    Recover(RecoverError<E>),
    /// The memory, the device or the options do not fit each other: this one cannot be.
    Options(&'static str),
    /// Its next segment cannot be begun.
    Log(FlashError<E>),
}

impl<E: fmt::Display> fmt::Display for FlashOpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recover(error) => error.fmt(f),
            Self::Options(what) => write!(f, "this cannot be: {what}"),
            Self::Log(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> error::Error for FlashOpenError<E> {}

impl<E> From<FlashError<E>> for FlashOpenError<E> {
    fn from(error: FlashError<E>) -> Self {
        Self::Log(error)
    }
}
