//! Why a log is not opened, and why it does not take, or give back, a message.

use std::boxed::Box;
use std::{fmt, io};

use crate::journal::{Damage, Position, RecoverError, RecoveryReport};

/// Why a log is not opened. Nothing in it has been changed, unless it was found to be in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Another has it open.
    Locked {
        /// The number of its process, if that could be found out.
        pid: Option<u32>,
    },
    /// What had been durable is damaged, and the policy is strict.
    Refused {
        /// The first of it.
        damage: Damage,
        /// All of it, in numbers.
        report: Box<RecoveryReport>,
    },
    /// It is of a later format.
    NewerFormat {
        /// Its major version.
        major: u8,
        /// Its incompatible extensions.
        incompatible: u16,
    },
    /// It is of another geometry, or of segments of another length.
    Geometry {
        /// Which.
        geometry: u32,
        /// How long its segments are.
        segment_bytes: u64,
    },
    /// A file is of another log, or is there twice.
    Foreign {
        /// The slot's number.
        slot: u32,
    },
    /// The options contradict each other: this one cannot be.
    Options(&'static str),
    /// There is no room to begin a segment. [`Drain`](crate::journal::OpenPolicy::Drain) needs none.
    Full,
    /// The file system, or the file, must not be written to. [`Drain`](crate::journal::OpenPolicy::Drain) does not.
    ReadOnly,
    /// The system says so.
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            _ if no_room(&error) => Self::Full,
            _ => Self::Io(error),
        }
    }
}

impl From<RecoverError<io::Error>> for OpenError {
    fn from(error: RecoverError<io::Error>) -> Self {
        match error {
            RecoverError::NewerFormat { major, incompatible } => {
                Self::NewerFormat { major, incompatible }
            }
            RecoverError::Geometry { geometry, segment_bytes } => {
                Self::Geometry { geometry, segment_bytes }
            }
            RecoverError::Foreign { slot } => Self::Foreign { slot },
            RecoverError::Device(error) => error.into(),
            error => Self::Io(io::Error::other(error)),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { pid: Some(pid) } => write!(f, "the log is open in process {pid}"),
            Self::Locked { pid: None } => f.write_str("the log is open elsewhere"),
            Self::Refused { damage, .. } => write!(f, "acknowledged data is damaged: {damage}"),
            Self::NewerFormat { major, incompatible } => {
                write!(f, "the log is of format {major}, with extensions {incompatible:#x}")
            }
            Self::Geometry { geometry, segment_bytes } => write!(
                f,
                "the log is of another geometry: {geometry:#x}, segments of {segment_bytes} bytes"
            ),
            Self::Foreign { slot } => write!(f, "slot {slot} holds a segment that does not belong"),
            Self::Options(what) => write!(f, "these options cannot be: {what}"),
            Self::Full => f.write_str("there is no room to begin a segment"),
            Self::ReadOnly => f.write_str("the log must not be written to"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a log does not take something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LogError {
    /// There is no room: as many messages live as can, or the file system is full. Nothing was written; it can be tried
    /// again when messages have been acknowledged, or room was made.
    Full,
    /// The payload is longer than the log was opened for.
    TooLong {
        /// What it was opened for.
        most: u32,
    },
    /// That number is no message's: it stands for a closed channel.
    Reserved,
    /// A write or a sync failed, now or before. Nothing is written any more; whether what was not durable will be found
    /// again is not known. The log can be opened anew.
    Failed {
        /// The system's number of the error; 0 if there is none.
        errno: i32,
        /// Everything before that is durable.
        durable_upto: Position,
    },
    /// The log was opened to be drained.
    ReadOnly,
    /// The message has a key, and the log was opened with memory for the keys of fewer queues, or of none.
    NoKeys,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the log is full"),
            Self::TooLong { most } => write!(f, "the payload is longer than {most} bytes"),
            Self::Reserved => f.write_str("the number stands for a closed channel"),
            Self::Failed { errno, durable_upto: Position { segment, offset } } => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "the log has failed ({error}); durable up to {segment}:{offset}")
            }
            Self::ReadOnly => f.write_str("the log was opened to be drained"),
            Self::NoKeys => f.write_str("the log has no memory for the queue's keys"),
        }
    }
}

impl std::error::Error for LogError {}

/// Why a message is not read back.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// No such message lives.
    Unknown,
    /// The buffer is too short.
    TooShort {
        /// Bytes of the payload.
        need: u32,
    },
    /// What is there is not what was written.
    Corrupt,
    /// What is there cannot be read, or the log has failed before it was written.
    Io(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such message lives"),
            Self::TooShort { need } => write!(f, "the payload has {need} bytes"),
            Self::Corrupt => f.write_str("the record is damaged"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// Whether that is a matter of room.
pub(super) fn no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
