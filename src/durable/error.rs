//! Why a message was not sent, received or acknowledged.

use core::{error, fmt};

/// Why a message was not sent at once. The payload comes back.
pub enum TrySendError<V, E> {
    /// As many wait as may.
    Full(V),
    /// The queue is closed.
    Closed(V),
    /// The journal did not keep it. Whether a recovery finds it is for that error to say.
    Journal(V, E),
}

/// Why a message was not sent. The payload comes back.
pub enum SendError<V, E> {
    /// The queue is closed.
    Closed(V),
    /// The journal did not keep it. Whether a recovery finds it is for that error to say.
    Journal(V, E),
}

/// A message of before a crash that cannot be delivered. It stays in the journal, and is passed over until that is
/// opened anew, or [discarded](super::Queue::discard).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lost<E> {
    /// Its number.
    pub seq: u64,
    /// Bytes of its payload.
    pub len: usize,
    /// Why.
    pub why: LostWhy<E>,
}

/// Why a message of before a crash cannot be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LostWhy<E> {
    /// It is longer than the arena can hold.
    TooLarge,
    /// It cannot be read from the journal.
    Journal(E),
}

/// Why nothing was received at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TryRecvError<E> {
    /// Nothing is there, or as many are out as may, or somebody else is getting the next one.
    Empty,
    /// The next one is in the journal, and the arena has no room for it.
    Memory,
    /// The queue is closed, and all is acknowledged.
    Closed,
    /// The next one cannot be delivered. Those behind it can.
    Lost(Lost<E>),
    /// The next one has changed while it was at rest: it was freed, and stays in the journal.
    Damaged(u64),
}

/// Why nothing was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RecvError<E> {
    /// The queue is closed, and all is acknowledged.
    Closed,
    /// The next one cannot be delivered. Those behind it can.
    Lost(Lost<E>),
    /// The next one has changed while it was at rest: it was freed, and stays in the journal.
    Damaged(u64),
}

/// Why a message was not acknowledged. The payload comes back.
pub enum AckError<V, E> {
    /// Too late: it was returned meanwhile, and somebody else may have it.
    Expired(V),
    /// The journal does not forget it: it will be delivered again when that is opened anew.
    Journal(V, E),
}

impl<V, E> From<SendError<V, E>> for TrySendError<V, E> {
    fn from(error: SendError<V, E>) -> Self {
        match error {
            SendError::Closed(value) => Self::Closed(value),
            SendError::Journal(value, error) => Self::Journal(value, error),
        }
    }
}

impl<E> From<RecvError<E>> for TryRecvError<E> {
    fn from(error: RecvError<E>) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Lost(lost) => Self::Lost(lost),
            RecvError::Damaged(seq) => Self::Damaged(seq),
        }
    }
}

impl<V, E> SendError<V, E> {
    /// What was to be sent.
    pub fn into_inner(self) -> V {
        match self {
            Self::Closed(value) | Self::Journal(value, _) => value,
        }
    }
}

impl<V, E> TrySendError<V, E> {
    /// What was to be sent.
    pub fn into_inner(self) -> V {
        match self {
            Self::Full(value) | Self::Closed(value) | Self::Journal(value, _) => value,
        }
    }
}

impl<V, E> AckError<V, E> {
    /// The payload.
    pub fn into_inner(self) -> V {
        match self {
            Self::Expired(value) | Self::Journal(value, _) => value,
        }
    }
}

impl<V, E: fmt::Display> fmt::Display for SendError<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("the queue is closed"),
            Self::Journal(_, error) => write!(f, "the message was not kept: {error}"),
        }
    }
}

impl<V, E: fmt::Display> fmt::Display for TrySendError<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the queue is full"),
            Self::Closed(_) => f.write_str("the queue is closed"),
            Self::Journal(_, error) => write!(f, "the message was not kept: {error}"),
        }
    }
}

impl<V, E: fmt::Display> fmt::Display for AckError<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(_) => f.write_str("the message was returned meanwhile"),
            Self::Journal(_, error) => write!(f, "the message is not forgotten: {error}"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Lost<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, len, why } = self;
        match why {
            LostWhy::TooLarge => {
                write!(f, "message {seq} of {len} bytes is too long for the arena")
            }
            LostWhy::Journal(error) => write!(f, "message {seq} cannot be read: {error}"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for RecvError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the queue is closed, and all is acknowledged"),
            Self::Lost(lost) => lost.fmt(f),
            Self::Damaged(seq) => write!(f, "message {seq} has changed while it was at rest"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TryRecvError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the queue is empty"),
            Self::Memory => f.write_str("the arena has no room for the next message"),
            Self::Closed => f.write_str("the queue is closed, and all is acknowledged"),
            Self::Lost(lost) => lost.fmt(f),
            Self::Damaged(seq) => write!(f, "message {seq} has changed while it was at rest"),
        }
    }
}

/// Errors that carry a value of any type.
macro_rules! carries {
    ($($name:ident)*) => {$(
        impl<V, E: fmt::Display> fmt::Debug for $name<V, E> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), format_args!("{self}"))
            }
        }
        impl<V, E: fmt::Display> error::Error for $name<V, E> {}
    )*};
}

carries!(SendError TrySendError AckError);
impl<E: fmt::Debug + fmt::Display> error::Error for Lost<E> {}
impl<E: fmt::Debug + fmt::Display> error::Error for RecvError<E> {}
impl<E: fmt::Debug + fmt::Display> error::Error for TryRecvError<E> {}
