//! Errors: types, with what was handed in given back.

use core::{error, fmt};

use crate::limit::Stopped;

/// Declares an error's message.
macro_rules! message {
    ($name:ident $(<$p:ident>)?, |$self:ident| $text:expr) => {
        impl$(<$p>)? fmt::Display for $name$(<$p>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $self = self;
                f.write_str($text)
            }
        }
    };
}

/// Declares `Debug` and `Error` for an error that carries a value of any type.
macro_rules! carries {
    ($name:ident) => {
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), format_args!("{self}"))
            }
        }
        impl<T> error::Error for $name<T> {}
    };
}

/// Why an allocation was refused at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TryAllocError {
    /// Not now: no pages, no run that is long enough, no descriptor, a quota, or earlier waiters.
    Full,
    /// Never: longer than the arena, or than its home's cap.
    TooLarge,
}

message!(TryAllocError, |this| match this {
    TryAllocError::Full => "the arena is full",
    TryAllocError::TooLarge => "the request is larger than the arena or the home's cap",
});
impl error::Error for TryAllocError {}

/// An awaited allocation can never be met: it is larger than the arena, or than its home's cap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AllocError;

message!(AllocError, |_this| "the request is larger than the arena or the home's cap");
impl error::Error for AllocError {}

/// Why an awaited allocation with a deadline or a cancellation ended without memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AllocTimeoutError {
    /// It can never be met.
    TooLarge,
    /// It was cancelled.
    Cancelled,
    /// The deadline has passed.
    Timeout,
}

message!(AllocTimeoutError, |this| match this {
    AllocTimeoutError::TooLarge => "the request is larger than the arena or the home's cap",
    AllocTimeoutError::Cancelled => "cancelled while waiting for memory",
    AllocTimeoutError::Timeout => "timed out while waiting for memory",
});
impl error::Error for AllocTimeoutError {}

/// A typed value that found no place in the arena, and why.
pub struct AllocValueError<T> {
    /// Why.
    pub why: TryAllocError,
    /// The value.
    pub value: T,
}

impl<T> fmt::Display for AllocValueError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}
carries!(AllocValueError);

/// Why a ticket was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RedeemError {
    /// This arena has never given out such a number in this epoch.
    Forged,
    /// It has been redeemed, or discarded, as often as it was deposited.
    Stale,
    /// The payload is scattered and was asked for in one run, or the reverse. It is still at rest.
    Layout,
    /// The payload has changed while it was at rest. It has been freed.
    Damaged,
}

message!(RedeemError, |this| match this {
    RedeemError::Forged => "not a ticket of this arena",
    RedeemError::Stale => "the ticket has been redeemed already",
    RedeemError::Layout => "the payload is scattered, or is not",
    RedeemError::Damaged => "the payload has changed while it was at rest",
});
impl error::Error for RedeemError {}

/// A lease that could not be put to rest, because too many tickets of its payload are out.
pub struct DepositError<L>(pub L);

message!(DepositError<L>, |_this| "too many tickets for one payload");
carries!(DepositError);

/// Why a home could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HomeError {
    /// All of the arena's homes are open.
    TooMany,
    /// The minimum is more than the cap, or than can be promised now.
    Minimum,
}

message!(HomeError, |this| match this {
    HomeError::TooMany => "all homes of the arena are open",
    HomeError::Minimum => "the reserved minimum cannot be promised",
});
impl error::Error for HomeError {}

/// A send that failed because the channel is closed. The value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

message!(SendError<T>, |_this| "the channel is closed");
carries!(SendError);

/// Why a value was not sent at once. It comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// No room now, or nobody there to meet, or others are waiting.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

/// Why an awaited send with a deadline or a cancellation ended without sending. The value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The channel is closed.
    Closed(T),
    /// It was cancelled.
    Cancelled(T),
    /// The deadline has passed.
    Timeout(T),
}

message!(TrySendError<T>, |this| match this {
    TrySendError::Full(_) => "the channel is full",
    TrySendError::Closed(_) => "the channel is closed",
});
carries!(TrySendError);
message!(SendTimeoutError<T>, |this| match this {
    SendTimeoutError::Closed(_) => "the channel is closed",
    SendTimeoutError::Cancelled(_) => "cancelled while sending",
    SendTimeoutError::Timeout(_) => "timed out while sending",
});
carries!(SendTimeoutError);

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
    /// The same error about another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> TrySendError<U> {
        match self {
            Self::Full(value) => TrySendError::Full(f(value)),
            Self::Closed(value) => TrySendError::Closed(f(value)),
        }
    }
    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
    /// Whether the channel is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T> SendTimeoutError<T> {
    /// A send that was stopped, with its value.
    #[inline]
    pub(crate) fn stopped(why: Stopped, value: T) -> Self {
        match why {
            Stopped::Cancelled => Self::Cancelled(value),
            Stopped::Timeout => Self::Timeout(value),
        }
    }
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Closed(value) | Self::Cancelled(value) | Self::Timeout(value) => value,
        }
    }
    /// The same error about another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> SendTimeoutError<U> {
        match self {
            Self::Closed(value) => SendTimeoutError::Closed(f(value)),
            Self::Cancelled(value) => SendTimeoutError::Cancelled(f(value)),
            Self::Timeout(value) => SendTimeoutError::Timeout(f(value)),
        }
    }
}

/// A batch that ended early: how many values were sent, and what became of the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PartlySent<E> {
    /// Values sent before.
    pub sent: usize,
    /// Why the next one was not, with that value.
    pub error: E,
}

impl<E: fmt::Display> fmt::Display for PartlySent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E: fmt::Debug> fmt::Debug for PartlySent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartlySent({}, {:?})", self.sent, self.error)
    }
}

impl<E: error::Error> error::Error for PartlySent<E> {}

/// The channel is closed: no slot can be had, and nothing sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClosedError;

message!(ClosedError, |_this| "the channel is closed");
impl error::Error for ClosedError {}

/// Why no slot was held at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TryReserveError {
    /// No slot now, or nobody there to meet, or others are waiting.
    Full,
    /// The channel is closed.
    Closed,
}

message!(TryReserveError, |this| match this {
    TryReserveError::Full => "the channel is full",
    TryReserveError::Closed => "the channel is closed",
});
impl error::Error for TryReserveError {}

/// Why an operation that brought no value, and had a deadline or a cancellation, ended without success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StoppedError {
    /// The channel is closed.
    Closed,
    /// It was cancelled.
    Cancelled,
    /// The deadline has passed.
    Timeout,
}

message!(StoppedError, |this| match this {
    StoppedError::Closed => "the channel is closed",
    StoppedError::Cancelled => "cancelled while waiting",
    StoppedError::Timeout => "timed out while waiting",
});
impl error::Error for StoppedError {}

impl From<Stopped> for StoppedError {
    fn from(why: Stopped) -> Self {
        match why {
            Stopped::Cancelled => Self::Cancelled,
            Stopped::Timeout => Self::Timeout,
        }
    }
}

/// The channel is closed and empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RecvError;

message!(RecvError, |_this| "the channel is closed and empty");
impl error::Error for RecvError {}

/// Why nothing was received at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TryRecvError {
    /// Nothing there now, or what is there has been promised to receivers that waited longer.
    Empty,
    /// Nothing there, and nothing will come.
    Closed,
}

message!(TryRecvError, |this| match this {
    TryRecvError::Empty => "the channel is empty",
    TryRecvError::Closed => "the channel is closed and empty",
});
impl error::Error for TryRecvError {}

/// Why an awaited receive with a deadline or a cancellation ended without a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RecvTimeoutError {
    /// The channel is closed and empty.
    Closed,
    /// It was cancelled.
    Cancelled,
    /// The deadline has passed.
    Timeout,
}

message!(RecvTimeoutError, |this| match this {
    RecvTimeoutError::Closed => "the channel is closed and empty",
    RecvTimeoutError::Cancelled => "cancelled while receiving",
    RecvTimeoutError::Timeout => "timed out while receiving",
});
impl error::Error for RecvTimeoutError {}

/// A future that could not be spawned, for want of memory. It comes back.
pub struct SpawnError<F> {
    /// Why.
    pub why: TryAllocError,
    /// The future.
    pub future: F,
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}
carries!(SpawnError);

/// The task was cancelled before it returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JoinError;

message!(JoinError, |_this| "the task was cancelled");
impl error::Error for JoinError {}
