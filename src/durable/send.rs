//! Sending: a slot first, then the journal, then the channel; so nothing is kept that cannot be sent.

use core::future::poll_fn;

use super::delivery::DeadLetters;
use super::error::{SendError, TrySendError};
use super::queue::Queue;
use super::rows::Envelope;
use super::sending::{Parts, Sending};
use crate::arena::{LeaseMut, Parcel};
use crate::channel::{self, Buffered};
use crate::error::{ClosedError, TryReserveError};
use crate::journal::{Entry, Journal, Keeping, Kept};
use crate::sync::RawMutex;

/// A slot of a [`Queue`] that is held: sending cannot find it full. Dropping it gives the slot back.
#[must_use = "it gives its slot back when it is dropped"]
pub struct Permit<'s, 'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> {
    queue: &'s Queue<'q, 'a, M, J, SLOTS, ROWS>,
    slot: channel::Permit<'s, M, Envelope<'a, M>, Buffered<SLOTS>>,
}

impl<'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize>
    Permit<'_, '_, 'a, M, J, SLOTS, ROWS>
{
    /// Keeps the payload in the journal, then sends it. Returns its number. Does not wait for anybody but the journal, which at its
    /// highest level waits for its medium: in a future of an executor that others share, [`send_kept`](Self::send_kept) does not.
    ///
    /// # Errors
    /// The journal's; the payload comes back, and nobody receives it.
    pub fn send(
        self,
        payload: LeaseMut<'a, M>,
    ) -> Result<u64, SendError<LeaseMut<'a, M>, J::Error>> {
        let Self { queue, slot } = self;
        let seq = queue.number();
        let entry = Entry { chan: queue.chan, seq, payload: &payload };
        if let Err(error) = queue.journal.keep(&entry, queue.level) {
            return Err(SendError::Journal(payload, error));
        }
        let payload = payload.into_parcel();
        slot.send(Envelope { seq, payload, attempts: 0, recovered: false });
        Ok(seq)
    }

    /// As [`send`](Self::send), unless a message with the same key was sent and is remembered: then the payload is freed, and nobody
    /// receives it. What is sent again after an answer that never came, or after a crash, is sent once that way.
    ///
    /// The journal says how many keys it remembers, and writes them down.
    ///
    /// # Errors
    /// The journal's; the payload comes back, and nobody receives it.
    pub fn send_once(
        self,
        payload: LeaseMut<'a, M>,
        key: u64,
    ) -> Result<Sent, SendError<LeaseMut<'a, M>, J::Error>> {
        let Self { queue, slot } = self;
        let seq = queue.number();
        let entry = Entry { chan: queue.chan, seq, payload: &payload };
        match queue.journal.keep_once(&entry, key, queue.level) {
            Ok(Kept::New) => {
                let payload = payload.into_parcel();
                slot.send(Envelope { seq, payload, attempts: 0, recovered: false });
                Ok(Sent::New(seq))
            }
            Ok(Kept::Duplicate(first)) => Ok(Sent::Duplicate(first)),
            Err(error) => Err(SendError::Journal(payload, error)),
        }
    }

    /// As [`send`](Self::send), but waits for the journal without holding its thread up: a log in files wakes the task when somebody
    /// has synced, for all who wait.
    ///
    /// *Cancel safety:* dropping the future before it is ready frees the payload, and nobody receives it, unless it is durable by
    /// then: then it is sent. Which of the two, nobody is told: who must know sends with a key, and sends again. A message that
    /// was given up may come after a crash that follows soon, as one whose acknowledgement was forgotten.
    ///
    /// # Errors
    /// The journal's; the payload comes back, and nobody receives it.
    pub async fn send_kept(
        self,
        payload: LeaseMut<'a, M>,
    ) -> Result<u64, SendError<LeaseMut<'a, M>, J::Error>> {
        match self.keep(payload, None).await? {
            Sent::New(seq) | Sent::Duplicate(seq) => Ok(seq),
        }
    }

    /// As [`send_kept`](Self::send_kept), with a key: see [`send_once`](Self::send_once).
    ///
    /// *Cancel safety:* as for [`send_kept`](Self::send_kept); the key of a message that is given up is forgotten.
    ///
    /// # Errors
    /// The journal's; the payload comes back, and nobody receives it.
    pub async fn send_kept_once(
        self,
        payload: LeaseMut<'a, M>,
        key: u64,
    ) -> Result<Sent, SendError<LeaseMut<'a, M>, J::Error>> {
        self.keep(payload, Some(key)).await
    }

    async fn keep(
        self,
        payload: LeaseMut<'a, M>,
        key: Option<u64>,
    ) -> Result<Sent, SendError<LeaseMut<'a, M>, J::Error>> {
        let Self { queue, slot } = self;
        let (seq, keeping) = (queue.number(), Keeping::default());
        let parts = Some(Parts { slot, payload });
        let mut sending = Sending { queue, parts, seq, key, keeping };
        poll_fn(|cx| sending.poll(cx)).await
    }
}

/// What became of a message that has a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Sent {
    /// It was sent, with that number.
    New(u64),
    /// The message of that number has its key, and was sent before; this one was not.
    Duplicate(u64),
}

impl<'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize>
    Queue<'q, 'a, M, J, SLOTS, ROWS>
{
    /// The number of the next message.
    fn number(&self) -> u64 {
        self.rows.with(|rows| {
            let next = rows.next;
            rows.next += 1;
            next
        })
    }

    /// Waits until all that was pending is received, then for a slot, first come, first served.
    ///
    /// *Cancel safety:* dropping the future gives up a slot that was handed to it.
    ///
    /// # Errors
    /// The queue is closed.
    pub async fn reserve(&self) -> Result<Permit<'_, 'q, 'a, M, J, SLOTS, ROWS>, ClosedError> {
        if !self.is_recovered() {
            self.backlog.closed().await;
        }
        let slot = self.sent.reserve().await?;
        Ok(Permit { queue: self, slot })
    }

    /// Holds a slot, if there is one and all that was pending is received.
    ///
    /// # Errors
    /// There is none now, or the queue is closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, 'q, 'a, M, J, SLOTS, ROWS>, TryReserveError> {
        if !self.is_recovered() && !self.sent.is_closed() {
            return Err(TryReserveError::Full);
        }
        let slot = self.sent.try_reserve()?;
        Ok(Permit { queue: self, slot })
    }

    /// Whether all that was pending at the opening was received; until then there is no slot for other messages, which
    /// would come before.
    pub fn is_recovered(&self) -> bool {
        if !self.backlog.is_closed() {
            self.look_for_the_end();
        }
        self.backlog.is_closed()
    }

    /// Waits for a slot, keeps the payload in the journal, then sends it; returns its number. Neither holds its thread up.
    ///
    /// *Order:* as the sends become ready.
    ///
    /// *Cancel safety:* dropping the future frees the payload. While it waits for the slot, nothing was kept; after that as for
    /// [`Permit::send_kept`]. To have the payload back while there is no slot, [`reserve`](Self::reserve) first.
    ///
    /// # Errors
    /// The payload comes back, with why.
    pub async fn send(
        &self,
        payload: LeaseMut<'a, M>,
    ) -> Result<u64, SendError<LeaseMut<'a, M>, J::Error>> {
        match self.reserve().await {
            Ok(permit) => permit.send_kept(payload).await,
            Err(ClosedError) => Err(SendError::Closed(payload)),
        }
    }

    /// As [`send`](Self::send), unless a message with the same key was sent and is remembered: see [`Permit::send_once`].
    ///
    /// *Cancel safety:* as for [`send`](Self::send).
    ///
    /// # Errors
    /// The payload comes back, with why.
    pub async fn send_once(
        &self,
        payload: LeaseMut<'a, M>,
        key: u64,
    ) -> Result<Sent, SendError<LeaseMut<'a, M>, J::Error>> {
        match self.reserve().await {
            Ok(permit) => permit.send_kept_once(payload, key).await,
            Err(ClosedError) => Err(SendError::Closed(payload)),
        }
    }

    /// As [`try_send`](Self::try_send), unless a message with the same key was sent and is remembered: see
    /// [`Permit::send_once`].
    ///
    /// # Errors
    /// The payload comes back, with why.
    pub fn try_send_once(
        &self,
        payload: LeaseMut<'a, M>,
        key: u64,
    ) -> Result<Sent, TrySendError<LeaseMut<'a, M>, J::Error>> {
        match self.try_reserve() {
            Ok(permit) => Ok(permit.send_once(payload, key)?),
            Err(TryReserveError::Full) => Err(TrySendError::Full(payload)),
            Err(TryReserveError::Closed) => Err(TrySendError::Closed(payload)),
        }
    }

    /// Keeps the payload in the journal and sends it, if there is a slot; returns its number.
    ///
    /// # Errors
    /// The payload comes back, with why.
    pub fn try_send(
        &self,
        payload: LeaseMut<'a, M>,
    ) -> Result<u64, TrySendError<LeaseMut<'a, M>, J::Error>> {
        match self.try_reserve() {
            Ok(permit) => Ok(permit.send(payload)?),
            Err(TryReserveError::Full) => Err(TrySendError::Full(payload)),
            Err(TryReserveError::Closed) => Err(TrySendError::Closed(payload)),
        }
    }
}

/// A queue takes others' dead letters, of the same arena: each is kept in its journal before the other one forgets it.
impl<'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> DeadLetters<'a, M>
    for Queue<'_, 'a, M, J, SLOTS, ROWS>
{
    fn bury(&self, _seq: u64, payload: Parcel<'a, M>) -> bool {
        let Ok(Permit { queue, slot }) = self.try_reserve() else { return false };
        let Some(share) = payload.share() else { return false };
        let Ok(payload) = payload.redeem() else { return false };
        let seq = queue.number();
        let entry = Entry { chan: queue.chan, seq, payload: &payload };
        if queue.journal.keep(&entry, queue.level).is_err() {
            return false;
        }
        slot.send(Envelope { seq, payload: share, attempts: 0, recovered: false });
        true
    }
}
