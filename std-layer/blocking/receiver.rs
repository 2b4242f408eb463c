//! The receiving side.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handoff::Handoff;
use super::timer::{Timer, sleep_until};
use super::{RecvError, RecvTimeoutError, TryRecvError};
use crate::channel::Meeting;
use crate::error;
use crate::std_layer::channel::{self, Bounded};

/// The receiving side of a channel, for threads. Clone it for more: each value is received by one of them. When the
/// last one has gone senders are *disconnected*, and what is in the channel is dropped.
///
/// Made by [`bounded`](super::bounded), [`unbounded`](super::unbounded), and without a sender by
/// [`after`](super::after), [`at`](super::at), [`tick`](super::tick) and [`never`](super::never).
///
/// See [`Sender`](super::Sender) for an example.
pub struct Receiver<T>(pub(super) Source<T>);

/// The channel of a receiver.
pub(super) enum Source<T> {
    Bounded(channel::Receiver<T, Bounded>),
    Unbounded(channel::ArenaReceiver<T>),
    Rendezvous(channel::Receiver<Handoff<T>, Meeting>),
    Timer(Arc<Timer<T>>),
    Nobody,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    /// Receives at once or not at all. At a rendezvous: if a sender waits.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`], or [`TryRecvError::Disconnected`] when all senders have gone, too.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let received = match &self.0 {
            Source::Bounded(channel) => channel.try_recv(),
            Source::Unbounded(channel) => channel.try_recv(),
            Source::Rendezvous(channel) => take_over(|| channel.try_recv()),
            Source::Timer(timer) => return timer.try_recv(),
            Source::Nobody => return Err(TryRecvError::Empty),
        };
        received.map_err(|error| match error {
            error::TryRecvError::Empty => TryRecvError::Empty,
            error::TryRecvError::Closed => TryRecvError::Disconnected,
        })
    }

    /// Receives, waiting for a value.
    ///
    /// # Errors
    /// When the channel is empty and all senders have gone.
    pub fn recv(&self) -> Result<T, RecvError> {
        let received = match &self.0 {
            Source::Bounded(channel) => channel.blocking_recv(),
            Source::Unbounded(channel) => channel.blocking_recv(),
            Source::Rendezvous(channel) => take_over(|| channel.blocking_recv()),
            Source::Timer(timer) => return timer.recv(None).map_err(|_| RecvError),
            Source::Nobody => {
                sleep_until(None);
                return Err(RecvError);
            }
        };
        received.map_err(|error::RecvError| RecvError)
    }

    /// As [`recv`](Self::recv), waiting for `timeout` at the most.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`], or [`RecvTimeoutError::Disconnected`] when the channel is empty and all senders
    /// have gone.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.recv_deadline(deadline),
            // A limit beyond what the clock can tell is none.
            None => self.recv().map_err(RecvTimeoutError::from),
        }
    }

    /// As [`recv`](Self::recv), waiting until `deadline` at the latest.
    ///
    /// # Errors
    /// As for [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        let received = match &self.0 {
            Source::Bounded(channel) => channel.blocking_recv_deadline(deadline),
            Source::Unbounded(channel) => channel.blocking_recv_deadline(deadline),
            Source::Rendezvous(channel) => take_over(|| channel.blocking_recv_deadline(deadline)),
            Source::Timer(timer) => return timer.recv(Some(deadline)),
            Source::Nobody => {
                sleep_until(Some(deadline));
                return Err(RecvTimeoutError::Timeout);
            }
        };
        received.map_err(|error| match error {
            error::RecvTimeoutError::Closed => RecvTimeoutError::Disconnected,
            error::RecvTimeoutError::Timeout | error::RecvTimeoutError::Cancelled => {
                RecvTimeoutError::Timeout
            }
        })
    }

    /// Whether nothing is in the channel. A rendezvous is always empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. A rendezvous is always full; an unbounded channel is while senders wait for memory.
    pub fn is_full(&self) -> bool {
        match &self.0 {
            Source::Bounded(channel) => channel.is_full(),
            Source::Unbounded(channel) => channel.is_full(),
            Source::Timer(timer) => timer.is_due(),
            Source::Rendezvous(_) | Source::Nobody => true,
        }
    }

    /// How many values are in the channel.
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::Bounded(channel) => channel.len(),
            Source::Unbounded(channel) => channel.len(),
            Source::Timer(timer) => usize::from(timer.is_due()),
            Source::Rendezvous(_) | Source::Nobody => 0,
        }
    }

    /// How many values it can hold: 0 for a rendezvous, `None` for an unbounded channel.
    pub fn capacity(&self) -> Option<usize> {
        match &self.0 {
            Source::Bounded(channel) => channel.capacity(),
            Source::Unbounded(channel) => channel.capacity(),
            Source::Timer(_) => Some(1),
            Source::Rendezvous(_) | Source::Nobody => Some(0),
        }
    }

    /// The values as they come, waiting for each, until all senders have gone and the channel is empty.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// The values that are there, and that come until it is empty, without waiting.
    ///
    /// ```
    /// use cloakroom::blocking::unbounded;
    ///
    /// let (sender, receiver) = unbounded();
    /// sender.send(1)?;
    /// sender.send(2)?;
    /// assert!(receiver.try_iter().eq([1, 2])); // and there is a sender still
    /// # Ok::<(), cloakroom::blocking::SendError<i32>>(())
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// Whether `other` receives from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.0, &other.0) {
            (Source::Bounded(one), Source::Bounded(other)) => one.same_channel(other),
            (Source::Unbounded(one), Source::Unbounded(other)) => one.same_channel(other),
            (Source::Rendezvous(one), Source::Rendezvous(other)) => one.same_channel(other),
            (Source::Timer(one), Source::Timer(other)) => Arc::ptr_eq(one, other),
            (Source::Nobody, Source::Nobody) => true,
            _ => false,
        }
    }
}

/// Receives until a sender hands a value over that it has not given up.
pub(super) fn take_over<T, E>(mut recv: impl FnMut() -> Result<Handoff<T>, E>) -> Result<T, E> {
    loop {
        if let Some(value) = recv()?.wait() {
            return Ok(value);
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Source::Bounded(channel) => Source::Bounded(channel.clone()),
            Source::Unbounded(channel) => Source::Unbounded(channel.clone()),
            Source::Rendezvous(channel) => Source::Rendezvous(channel.clone()),
            Source::Timer(timer) => Source::Timer(timer.clone()),
            Source::Nobody => Source::Nobody,
        })
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

/// The values of a channel as they come; made by [`Receiver::iter`].
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// The values that are there; made by [`Receiver::try_iter`].
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// The values of a channel as they come, and its receiver; made by `into_iter`.
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

/// Declares an iterator.
macro_rules! iterator {
    ($name:ident $(<$life:lifetime>)?, $this:ident => $next:expr) => {
        impl<T> Iterator for $name<$($life,)? T> {
            type Item = T;
            fn next(&mut self) -> Option<T> {
                let $this = self;
                $next
            }
        }
        impl<T> fmt::Debug for $name<$($life,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(concat!(stringify!($name), " { .. }"))
            }
        }
    };
}

iterator!(Iter<'_>, this => this.receiver.recv().ok());
iterator!(TryIter<'_>, this => this.receiver.try_recv().ok());
iterator!(IntoIter, this => this.receiver.recv().ok());

impl<T> FusedIterator for Iter<'_, T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;
    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}
