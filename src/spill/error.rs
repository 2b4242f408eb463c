//! Why a message was not sent, or not received.

use core::{error, fmt};

use super::target::SpillError;

/// Why bytes were not sent at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TrySpillSendError {
    /// The queue is full.
    Full,
    /// The channel is closed.
    Closed,
    /// Neither the arena nor the target has room now.
    Memory,
    /// More than the arena can ever hold.
    TooLarge,
}

/// Why bytes were not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SpillSendError {
    /// The channel is closed.
    Closed,
    /// More than the arena can ever hold.
    TooLarge,
    /// The deadline has passed.
    Timeout,
}

/// Why no message was received at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TrySpillRecvError {
    /// Nothing is there, or somebody else is receiving.
    Empty,
    /// The next one is in a target that does not lend it, and the arena has no room for it now. It stays the next one.
    Memory,
    /// The channel is closed and empty.
    Closed,
    /// The next one cannot be had back. It has been freed; those behind it can be received.
    Lost(SpillError),
}

/// Why no message was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SpillRecvError {
    /// The channel is closed and empty.
    Closed,
    /// The next one cannot be had back. It has been freed; those behind it can be received.
    Lost(SpillError),
    /// The receive was cancelled.
    Cancelled,
    /// Its deadline has passed.
    Timeout,
}

const CLOSED: &str = "the channel is closed";
const TOO_LARGE: &str = "the message is longer than the arena";

impl fmt::Display for TrySpillSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the channel is full",
            Self::Closed => CLOSED,
            Self::Memory => "neither the arena nor the spill target has room",
            Self::TooLarge => TOO_LARGE,
        })
    }
}

impl fmt::Display for SpillSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => CLOSED,
            Self::TooLarge => TOO_LARGE,
            Self::Timeout => "timed out while sending",
        })
    }
}

impl fmt::Display for TrySpillRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the channel is empty"),
            Self::Memory => f.write_str("the arena has no room for the next message"),
            Self::Closed => f.write_str("the channel is closed and empty"),
            Self::Lost(why) => write!(f, "a message was lost: {why}"),
        }
    }
}

impl fmt::Display for SpillRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the channel is closed and empty"),
            Self::Lost(why) => write!(f, "a message was lost: {why}"),
            Self::Cancelled => f.write_str("cancelled while receiving"),
            Self::Timeout => f.write_str("timed out while receiving"),
        }
    }
}

impl error::Error for TrySpillSendError {}
impl error::Error for SpillSendError {}
impl error::Error for TrySpillRecvError {}
impl error::Error for SpillRecvError {}
