//! Errors, with the names and the words that programs written for crossbeam-channel expect.

use std::{error, fmt};

/// Declares an error that brings nothing back: its message, and `Error`.
macro_rules! plain_error {
    ($name:ident, |$this:ident| $text:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $this = self;
                f.pad($text)
            }
        }
        impl error::Error for $name {}
    };
}

/// Declares an error that brings a value back: its message, `Debug` without the value, and `Error`.
macro_rules! carrying_error {
    ($name:ident, |$this:ident| $text:expr, |$same:ident| $debug:expr) => {
        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $this = self;
                f.pad($text)
            }
        }
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $same = self;
                f.pad($debug)
            }
        }
        impl<T: Send> error::Error for $name<T> {}
    };
}

const NOBODY_RECEIVES: &str = "sending on a disconnected channel";
const NOBODY_SENDS: &str = "receiving on an empty and disconnected channel";

/// A send that failed because all receivers have gone. The value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a value was not sent at once. It comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room, or at a rendezvous, no receiver waits.
    Full(T),
    /// All receivers have gone.
    Disconnected(T),
}

/// Why a value was not sent in time. It comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// Time was over.
    Timeout(T),
    /// All receivers have gone.
    Disconnected(T),
}

/// A receive that failed because the channel is empty and all senders have gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecvError;

/// Why nothing was received at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryRecvError {
    /// Nothing is there, or at a rendezvous, no sender waits.
    Empty,
    /// Nothing is there, and all senders have gone.
    Disconnected,
}

/// Why nothing was received in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecvTimeoutError {
    /// Time was over.
    Timeout,
    /// Nothing is there, and all senders have gone.
    Disconnected,
}

/// No operation of a select could be done at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrySelectError;

/// No operation of a select could be done in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SelectTimeoutError;

/// No operation of a select is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TryReadyError;

/// No operation of a select became ready in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadyTimeoutError;

carrying_error!(SendError, |_this| NOBODY_RECEIVES, |_this| "SendError(..)");
carrying_error!(
    TrySendError,
    |this| match this {
        Self::Full(_) => "sending on a full channel",
        Self::Disconnected(_) => NOBODY_RECEIVES,
    },
    |this| match this {
        Self::Full(_) => "Full(..)",
        Self::Disconnected(_) => "Disconnected(..)",
    }
);
carrying_error!(
    SendTimeoutError,
    |this| match this {
        Self::Timeout(_) => "timed out waiting on send operation",
        Self::Disconnected(_) => NOBODY_RECEIVES,
    },
    |_this| "SendTimeoutError(..)"
);
plain_error!(RecvError, |_this| NOBODY_SENDS);
plain_error!(TryRecvError, |this| match this {
    Self::Empty => "receiving on an empty channel",
    Self::Disconnected => NOBODY_SENDS,
});
plain_error!(RecvTimeoutError, |this| match this {
    Self::Timeout => "timed out waiting on receive operation",
    Self::Disconnected => "channel is empty and disconnected",
});
plain_error!(TrySelectError, |_this| "all operations in select would block");
plain_error!(SelectTimeoutError, |_this| "timed out waiting on select");
plain_error!(TryReadyError, |_this| "no operation in select is ready");
plain_error!(ReadyTimeoutError, |_this| "timed out waiting for an operation to be ready");

impl<T> SendError<T> {
    /// The value that was not sent.
    ///
    /// ```
    /// use cloakroom::blocking::bounded;
    ///
    /// let (sender, receiver) = bounded(1);
    /// drop(receiver);
    /// assert_eq!(sender.send("late").unwrap_err().into_inner(), "late");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Disconnected(value) => value,
        }
    }

    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether all receivers have gone.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

impl<T> SendTimeoutError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(value) | Self::Disconnected(value) => value,
        }
    }

    /// Whether time was over.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether all receivers have gone.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

impl TryRecvError {
    /// Whether nothing was there.
    pub fn is_empty(&self) -> bool {
        *self == Self::Empty
    }

    /// Whether all senders have gone, too.
    pub fn is_disconnected(&self) -> bool {
        *self == Self::Disconnected
    }
}

impl RecvTimeoutError {
    /// Whether time was over.
    pub fn is_timeout(&self) -> bool {
        *self == Self::Timeout
    }

    /// Whether nothing was there, and all senders have gone.
    pub fn is_disconnected(&self) -> bool {
        *self == Self::Disconnected
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(value): SendError<T>) -> Self {
        Self::Disconnected(value)
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(SendError(value): SendError<T>) -> Self {
        Self::Disconnected(value)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(RecvError: RecvError) -> Self {
        Self::Disconnected
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(RecvError: RecvError) -> Self {
        Self::Disconnected
    }
}
