//! Blocking calls of channels that spill, from any thread.

use std::time::{Duration, Instant};

use crate::arena::{LeaseMut, Parcel};
use crate::channel::{Compete, Strategy};
use crate::error::{SendError, SendTimeoutError};
use crate::select::{plain, select};
use crate::spill::{Message, Slot, SpillBytes, SpillError, SpillRecvError, SpillSendError};
use crate::std_layer::{block_on, block_on_by};
use crate::sync::RawMutex;

/// When a wait of so long ends; `None`, never, beyond what the clock can tell.
fn after(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> SpillBytes<'a, M, S> {
    /// As [`send`](Self::send), blocking this thread.
    ///
    /// # Errors
    /// The channel is closed. The payload comes back, at rest.
    pub fn blocking_send(&self, payload: LeaseMut<'a, M>) -> Result<(), SendError<Parcel<'a, M>>> {
        self.blocking_send_parcel(payload.into_parcel())
    }

    /// As [`send`](Self::send), blocking this thread for `limit` at the most.
    ///
    /// # Errors
    /// The payload comes back, at rest, when the channel is closed, or time is over.
    pub fn blocking_send_timeout(
        &self,
        payload: LeaseMut<'a, M>,
        limit: Duration,
    ) -> Result<(), SendTimeoutError<Parcel<'a, M>>> {
        self.send_parcel_by(payload.into_parcel(), after(limit))
    }

    /// As [`send`](Self::send), blocking this thread until `deadline` at the latest.
    ///
    /// # Errors
    /// As for [`blocking_send_timeout`](Self::blocking_send_timeout).
    pub fn blocking_send_deadline(
        &self,
        payload: LeaseMut<'a, M>,
        deadline: Instant,
    ) -> Result<(), SendTimeoutError<Parcel<'a, M>>> {
        self.send_parcel_by(payload.into_parcel(), Some(deadline))
    }

    /// As [`send_parcel`](Self::send_parcel), blocking this thread.
    ///
    /// # Errors
    /// The channel is closed. The parcel comes back.
    pub fn blocking_send_parcel(
        &self,
        parcel: Parcel<'a, M>,
    ) -> Result<(), SendError<Parcel<'a, M>>> {
        block_on(self.send_parcel(parcel))
    }

    /// As [`send_parcel`](Self::send_parcel), blocking this thread for `limit` at the most.
    ///
    /// # Errors
    /// The parcel comes back when the channel is closed, or time is over.
    pub fn blocking_send_parcel_timeout(
        &self,
        parcel: Parcel<'a, M>,
        limit: Duration,
    ) -> Result<(), SendTimeoutError<Parcel<'a, M>>> {
        self.send_parcel_by(parcel, after(limit))
    }

    /// As [`send_parcel`](Self::send_parcel), blocking this thread until `deadline` at the latest.
    ///
    /// # Errors
    /// The parcel comes back when the channel is closed, or time is over.
    pub fn blocking_send_parcel_deadline(
        &self,
        parcel: Parcel<'a, M>,
        deadline: Instant,
    ) -> Result<(), SendTimeoutError<Parcel<'a, M>>> {
        self.send_parcel_by(parcel, Some(deadline))
    }

    fn send_parcel_by(
        &self,
        parcel: Parcel<'a, M>,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<Parcel<'a, M>>> {
        let send = self.send_parcel(parcel);
        match deadline {
            Some(deadline) => block_on_by(send, deadline),
            None => block_on(send).map_err(|SendError(parcel)| SendTimeoutError::Closed(parcel)),
        }
    }

    /// As [`send_bytes`](Self::send_bytes), blocking this thread.
    ///
    /// # Errors
    /// [`SpillSendError`], but no `Timeout`.
    pub fn blocking_send_bytes(&self, bytes: &[u8]) -> Result<(), SpillSendError> {
        block_on(self.send_bytes(bytes))
    }

    /// As [`send_bytes`](Self::send_bytes), blocking this thread for `limit` at the most, be it for a slot or for memory.
    ///
    /// # Errors
    /// [`SpillSendError`]. Nothing was sent then.
    pub fn blocking_send_bytes_timeout(
        &self,
        bytes: &[u8],
        limit: Duration,
    ) -> Result<(), SpillSendError> {
        match after(limit) {
            Some(deadline) => self.blocking_send_bytes_deadline(bytes, deadline),
            None => self.blocking_send_bytes(bytes),
        }
    }

    /// As [`send_bytes`](Self::send_bytes), blocking this thread until `deadline` at the latest.
    ///
    /// # Errors
    /// As for [`blocking_send_bytes_timeout`](Self::blocking_send_bytes_timeout).
    pub fn blocking_send_bytes_deadline(
        &self,
        bytes: &[u8],
        deadline: Instant,
    ) -> Result<(), SpillSendError> {
        // An only arm is never given up once it has ended.
        let send = select([plain(self.send_bytes(bytes))]);
        let sent = block_on_by(send, deadline);
        sent.map_err(|_| SpillSendError::Timeout)?.1
    }
}

impl<'a, M: RawMutex, S: Compete<Slot<'a, M>>> SpillBytes<'a, M, S> {
    /// As [`recv`](Self::recv), blocking this thread.
    ///
    /// ```
    /// use cloakroom::spill::{Class, Policy, Spill, SpillRecvError, Watermarks};
    /// use cloakroom::std_layer::spill::{FileTarget, bounded};
    /// use cloakroom::std_layer::{MappedArena, StdRawMutex};
    /// use std::time::Duration;
    ///
    /// let arena = MappedArena::<StdRawMutex>::new(16 << 10, 1024, 64)?;
    /// let target = FileTarget::new(&std::env::temp_dir(), [Class { bytes: 1024, count: 64 }])?;
    /// let spill = Spill::over(&arena, &target, Watermarks::default());
    /// let log = bounded(&spill, Policy::ColdFirst, 64);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         for number in 0..50 {
    ///             log.blocking_send_bytes(&[number; 1000]).expect("it is open");
    ///         }
    ///     });
    ///     for number in 0..50 {
    ///         assert_eq!(*log.blocking_recv().expect("whole"), [number; 1000]);
    ///     }
    /// });
    /// let nothing = log.blocking_recv_timeout(Duration::from_millis(1));
    /// assert_eq!(nothing.err(), Some(SpillRecvError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SpillRecvError`], but neither `Cancelled` nor `Timeout`.
    pub fn blocking_recv(&self) -> Result<Message<'_, 'a, M>, SpillRecvError> {
        block_on(self.recv())
    }

    /// As [`recv`](Self::recv), blocking this thread for `limit` at the most, be it for a message or for memory.
    ///
    /// # Errors
    /// [`SpillRecvError`]. After a `Timeout` nothing was received.
    pub fn blocking_recv_timeout(
        &self,
        limit: Duration,
    ) -> Result<Message<'_, 'a, M>, SpillRecvError> {
        match after(limit) {
            Some(deadline) => self.blocking_recv_deadline(deadline),
            None => self.blocking_recv(),
        }
    }

    /// As [`recv`](Self::recv), blocking this thread until `deadline` at the latest.
    ///
    /// # Errors
    /// As for [`blocking_recv_timeout`](Self::blocking_recv_timeout).
    pub fn blocking_recv_deadline(
        &self,
        deadline: Instant,
    ) -> Result<Message<'_, 'a, M>, SpillRecvError> {
        block_on_by(self.recv(), deadline)
    }

    /// The messages as they come, blocking this thread, until the channel is closed and empty; those that were lost, too.
    pub fn blocking_iter(&self) -> impl Iterator<Item = Result<Message<'_, 'a, M>, SpillError>> {
        std::iter::from_fn(|| match self.blocking_recv() {
            Ok(message) => Some(Ok(message)),
            Err(SpillRecvError::Lost(why)) => Some(Err(why)),
            Err(SpillRecvError::Closed | SpillRecvError::Cancelled | SpillRecvError::Timeout) => {
                None
            }
        })
    }
}
