//! The sending side.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::handoff::Handoff;
use super::{SendError, SendTimeoutError, TrySendError};
use crate::channel::Meeting;
use crate::error;
use crate::std_layer::channel::{self, Bounded};

/// The sending side of a channel, for threads. Clone it for more; when the last one has gone receivers are
/// *disconnected*: they get what is still there, then errors.
///
/// Made by [`bounded`](super::bounded) and [`unbounded`](super::unbounded).
///
/// ```
/// use cloakroom::blocking::unbounded;
///
/// let (sender, receiver) = unbounded();
/// for number in 0..3 {
///     let sender = sender.clone();
///     std::thread::spawn(move || sender.send(number));
/// }
/// drop(sender);
/// assert_eq!(receiver.iter().sum::<i32>(), 3);
/// ```
pub struct Sender<T>(pub(super) Target<T>);

/// The channel of a sender.
pub(super) enum Target<T> {
    Bounded(channel::Sender<T, Bounded>),
    Unbounded(channel::ArenaSender<T>),
    Rendezvous(channel::Sender<Handoff<T>, Meeting>),
}

/// Calls the same method of whatever channel it is.
macro_rules! of_any_channel {
    ($sender:expr, $channel:ident => $call:expr, $meet:expr) => {
        match &$sender.0 {
            Target::Bounded($channel) => $call,
            Target::Unbounded($channel) => $call,
            Target::Rendezvous($channel) => $meet,
        }
    };
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    /// Sends at once or not at all. At a rendezvous: if a receiver waits.
    ///
    /// # Errors
    /// The value comes back: [`TrySendError::Full`], or [`TrySendError::Disconnected`] when all receivers have gone.
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        let sent = of_any_channel!(
            self,
            channel => channel.try_send(msg),
            channel.try_send(Handoff::Value(msg)).map_err(|error| error.map(value_of))
        );
        sent.map_err(|error| match error {
            error::TrySendError::Full(msg) => TrySendError::Full(msg),
            error::TrySendError::Closed(msg) => TrySendError::Disconnected(msg),
        })
    }

    /// Sends, waiting for room; at a rendezvous, until a receiver has taken the value.
    ///
    /// # Errors
    /// The value comes back when all receivers have gone.
    pub fn send(&self, msg: T) -> Result<(), SendError<T>> {
        of_any_channel!(
            self,
            channel => channel.blocking_send(msg).map_err(|error| SendError(error.into_inner())),
            channel
                .blocking_send(Handoff::Value(msg))
                .map_err(|error| SendError(value_of(error.into_inner())))
        )
    }

    /// As [`send`](Self::send), waiting for `timeout` at the most.
    ///
    /// # Errors
    /// The value comes back: [`SendTimeoutError::Timeout`], or [`SendTimeoutError::Disconnected`] when all receivers
    /// have gone.
    pub fn send_timeout(&self, msg: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.send_deadline(msg, deadline),
            // A limit beyond what the clock can tell is none.
            None => self.send(msg).map_err(SendTimeoutError::from),
        }
    }

    /// As [`send`](Self::send), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As for [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, msg: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        let sent = of_any_channel!(
            self,
            channel => channel.blocking_send_deadline(msg, deadline),
            channel
                .blocking_send_deadline(Handoff::Value(msg), deadline)
                .map_err(|error| error.map(value_of))
        );
        sent.map_err(|error| match error {
            error::SendTimeoutError::Closed(msg) => SendTimeoutError::Disconnected(msg),
            error::SendTimeoutError::Timeout(msg) | error::SendTimeoutError::Cancelled(msg) => {
                SendTimeoutError::Timeout(msg)
            }
        })
    }

    /// Whether nothing is in the channel. A rendezvous is always empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. A rendezvous is always full; an unbounded channel is while senders wait for memory.
    pub fn is_full(&self) -> bool {
        of_any_channel!(self, channel => channel.is_full(), { let _ = channel; true })
    }

    /// How many values are in the channel.
    pub fn len(&self) -> usize {
        of_any_channel!(self, channel => channel.len(), { let _ = channel; 0 })
    }

    /// How many values it can hold: 0 for a rendezvous, `None` for an unbounded channel.
    pub fn capacity(&self) -> Option<usize> {
        of_any_channel!(self, channel => channel.capacity(), channel.capacity())
    }

    /// Whether `other` sends into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        match (&self.0, &other.0) {
            (Target::Bounded(one), Target::Bounded(other)) => one.same_channel(other),
            (Target::Unbounded(one), Target::Unbounded(other)) => one.same_channel(other),
            (Target::Rendezvous(one), Target::Rendezvous(other)) => one.same_channel(other),
            _ => false,
        }
    }
}

/// The value that a thread wanted to hand over.
fn value_of<T>(handoff: Handoff<T>) -> T {
    match handoff.value() {
        Some(value) => value,
        None => unreachable!("only a select sends a packet"),
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Target::Bounded(channel) => Target::Bounded(channel.clone()),
            Target::Unbounded(channel) => Target::Unbounded(channel.clone()),
            Target::Rendezvous(channel) => Target::Rendezvous(channel.clone()),
        })
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}
