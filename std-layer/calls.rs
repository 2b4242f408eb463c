//! Blocking calls, from any thread.

use std::time::{Duration, Instant};

use super::park::pass_later;
use super::{block_on, block_on_by};
use crate::channel::aside::{Aside, Missed};
use crate::channel::{Channel, Compete, HasChannel, Receiver, Sender, Strategy};
use crate::error::{PartlySent, RecvError, RecvTimeoutError, SendError, SendTimeoutError};
use crate::limit::Operation;
use crate::sync::RawMutex;

/// Runs an operation on this thread, for `limit` at the most. Any [`Operation`]: a send, a receive, a
/// permit, an allocation, a select.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::RecvTimeoutError;
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::std_layer::{StdRawMutex, block_on_for};
///
/// static CHANNEL: Channel<StdRawMutex, u32, Buffered<4>> = Channel::new();
/// let nothing = block_on_for(CHANNEL.recv(), Duration::from_millis(1));
/// assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
/// ```
pub fn block_on_for<F: Operation>(operation: F, limit: Duration) -> F::Limited {
    match Instant::now().checked_add(limit) {
        Some(deadline) => block_on_by(operation, deadline),
        // A limit beyond what the clock can tell is none.
        None => F::finish(block_on(operation)),
    }
}

/// Declares the blocking calls of a sending side.
macro_rules! blocking_sends {
    () => {
        /// As `send`, blocking this thread.
        ///
        /// # Errors
        /// The value comes back when the channel is closed.
        pub fn blocking_send(&self, value: T) -> Result<S::Receipt, SendError<T>> {
            let channel = self.channel();
            channel.send_by_lane(value).or_else(|missed| channel.send_staying(missed))
        }

        /// As `send_many`, blocking this thread while there is no room for the next value.
        ///
        /// # Errors
        /// How many were sent, and the first one that was not, when the channel is closed.
        pub fn blocking_send_many(
            &self,
            values: impl IntoIterator<Item = T>,
        ) -> Result<usize, PartlySent<SendError<T>>> {
            let mut sent = 0;
            for value in values {
                if let Err(error) = self.blocking_send(value) {
                    return Err(PartlySent { sent, error });
                }
                sent += 1;
            }
            Ok(sent)
        }

        /// As `send`, blocking this thread for `limit` at the most.
        ///
        /// # Errors
        /// The value comes back when the channel is closed, or time is over.
        pub fn blocking_send_timeout(
            &self,
            value: T,
            limit: Duration,
        ) -> Result<S::Receipt, SendTimeoutError<T>> {
            match Instant::now().checked_add(limit) {
                Some(deadline) => self.blocking_send_deadline(value, deadline),
                // A limit beyond what the clock can tell is none.
                None => {
                    self.blocking_send(value).map_err(|error| SendTimeoutError::Closed(error.0))
                }
            }
        }

        /// As `send`, blocking this thread until `deadline` at the latest.
        ///
        /// # Errors
        /// The value comes back when the channel is closed, or time is over.
        pub fn blocking_send_deadline(
            &self,
            value: T,
            deadline: Instant,
        ) -> Result<S::Receipt, SendTimeoutError<T>> {
            let channel = self.channel();
            channel.send_by_lane(value).or_else(|missed| channel.send_until(missed, deadline))
        }
    };
}

/// Declares the blocking calls of a receiving side.
macro_rules! blocking_receives {
    () => {
        /// As `recv`, blocking this thread.
        ///
        /// # Errors
        /// When the channel is closed and empty.
        pub fn blocking_recv(&self) -> Result<T, RecvError> {
            let channel = self.channel();
            channel.recv_aside_unhurried().or_else(|missed| channel.recv_staying(missed))
        }

        /// As `recv`, blocking this thread for `limit` at the most.
        ///
        /// # Errors
        /// When the channel is closed and empty, or time is over.
        pub fn blocking_recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
            match Instant::now().checked_add(limit) {
                Some(deadline) => self.blocking_recv_deadline(deadline),
                // A limit beyond what the clock can tell is none.
                None => self.blocking_recv().map_err(|RecvError| RecvTimeoutError::Closed),
            }
        }

        /// As `recv`, blocking this thread until `deadline` at the latest.
        ///
        /// # Errors
        /// When the channel is closed and empty, or time is over.
        pub fn blocking_recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
            let channel = self.channel();
            channel.recv_aside_unhurried().or_else(|missed| channel.recv_until(missed, deadline))
        }

        /// As `recv_many`, blocking this thread until there is a value.
        ///
        /// # Errors
        /// When the channel is closed and empty.
        pub fn blocking_recv_many<B: Extend<T>>(
            &self,
            buffer: &mut B,
            limit: usize,
        ) -> Result<usize, RecvError> {
            if limit == 0 {
                return Ok(0);
            }
            let first = self.blocking_recv()?;
            Ok(self.recv_many(buffer, limit).begin_with(first))
        }

        /// The values as they come, blocking this thread, until the channel is closed and empty.
        pub fn blocking_iter(&self) -> impl Iterator<Item = T> {
            std::iter::from_fn(|| self.blocking_recv().ok())
        }
    };
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    blocking_sends!();

    /// Sends by the lane.
    #[inline(always)]
    fn send_by_lane(&self, value: T) -> Result<S::Receipt, Missed<T>> {
        self.send_aside_unhurried(value).map(|()| self.receipt())
    }

    /// Blocks this thread after a first attempt in vain. Apart, so that who needs no more makes no room for a future on the stack: four
    /// threads that send `u64` to one through 128 slots take 13 ns instead of 16.
    #[cold]
    #[inline(never)]
    fn send_staying(&self, missed: Missed<T>) -> Result<S::Receipt, SendError<T>> {
        match self.pass_send(missed, None) {
            Ok(()) => Ok(self.receipt()),
            Err(value) => block_on(self.send(value).staying()),
        }
    }

    /// The same, until `deadline` at the latest.
    #[cold]
    #[inline(never)]
    fn send_until(
        &self,
        missed: Missed<T>,
        deadline: Instant,
    ) -> Result<S::Receipt, SendTimeoutError<T>> {
        match self.pass_send(missed, Some(deadline)) {
            Ok(()) => Ok(self.receipt()),
            Err(value) => block_on_by(self.send(value).staying(), deadline),
        }
    }

    /// Sends by the lane, while this thread would wait awake.
    fn pass_send(&self, missed: Missed<T>, deadline: Option<Instant>) -> Result<(), T> {
        // Under the channel's lock it need not wait: it drops a value.
        let waits = |missed| match missed {
            Missed::NotNow(value) if S::LOSES => Missed::Shut(value),
            missed => missed,
        };
        let attempt = |value| self.send_aside_unhurried(value).map_err(waits);
        self.aside().note_send_looks();
        pass_later(self.aside().batch(), waits(missed), deadline, attempt)
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Sender<M, T, S> {
    blocking_sends!();
}

impl<M: RawMutex, T, S: Compete<T>> Channel<M, T, S> {
    blocking_receives!();

    /// Blocks this thread after a first attempt in vain. Apart, as for a send.
    #[cold]
    #[inline(never)]
    fn recv_staying(&self, missed: Missed<()>) -> Result<T, RecvError> {
        let mut place = None;
        match self.pass_recv(missed, None) {
            Some(value) => Ok(value),
            None => block_on(self.recv().landing(&mut place)),
        }
    }

    /// The same, until `deadline` at the latest.
    #[cold]
    #[inline(never)]
    fn recv_until(&self, missed: Missed<()>, deadline: Instant) -> Result<T, RecvTimeoutError> {
        let mut place = None;
        match self.pass_recv(missed, Some(deadline)) {
            Some(value) => Ok(value),
            None => block_on_by(self.recv().landing(&mut place), deadline),
        }
    }

    /// Receives by the lane, while this thread would wait awake.
    fn pass_recv(&self, missed: Missed<()>, deadline: Option<Instant>) -> Option<T> {
        let attempt = |()| self.recv_aside_unhurried();
        self.aside().note_recv_looks();
        pass_later(self.aside().batch(), missed, deadline, attempt).ok()
    }
}

impl<M: RawMutex, T, S: Compete<T>> Receiver<M, T, S> {
    blocking_receives!();
}
