//! A message on its way into the journal, in a future: what is there of it, and what becomes of it if the future is dropped.
//!
//! ```text
//!   in hand ──poll──► the journal keeps it ──► sent
//!      │                    │ dropped
//!      │ dropped            ├── not durable: given up, freed
//!      ▼                    └── durable: sent all the same
//!    freed
//! ```

use core::task::{Context, Poll};

use super::error::SendError;
use super::queue::Queue;
use super::rows::Envelope;
use super::send::Sent;
use crate::arena::LeaseMut;
use crate::channel::{self, Buffered};
use crate::journal::{Entry, Journal, Keeping, Kept};
use crate::sync::RawMutex;

/// What becomes of it.
type Outcome<'a, M, J> = Result<Sent, SendError<LeaseMut<'a, M>, <J as Journal>::Error>>;

/// A slot, and what is to be sent in it.
pub(super) struct Sending<
    's,
    'q,
    'a,
    M: RawMutex,
    J: Journal,
    const SLOTS: usize,
    const ROWS: usize,
> {
    pub(super) queue: &'s Queue<'q, 'a, M, J, SLOTS, ROWS>,
    /// Both until it is decided what becomes of the message.
    pub(super) parts: Option<Parts<'s, 'a, M, SLOTS>>,
    pub(super) seq: u64,
    pub(super) key: Option<u64>,
    pub(super) keeping: Keeping,
}

pub(super) struct Parts<'s, 'a, M: RawMutex, const SLOTS: usize> {
    pub(super) slot: channel::Permit<'s, M, Envelope<'a, M>, Buffered<SLOTS>>,
    pub(super) payload: LeaseMut<'a, M>,
}

impl<'a, M: RawMutex, const SLOTS: usize> Parts<'_, 'a, M, SLOTS> {
    fn send(self, seq: u64) {
        let payload = self.payload.into_parcel();
        self.slot.send(Envelope { seq, payload, attempts: 0, recovered: false });
    }
}

impl<'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize>
    Sending<'_, '_, 'a, M, J, SLOTS, ROWS>
{
    /// Whether the journal has kept it; then it is sent.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome<'a, M, J>> {
        let Some(parts) = self.parts.take() else { return Poll::Pending };
        let Self { queue, seq, key, ref mut keeping, .. } = *self;
        let entry = Entry { chan: queue.chan, seq, payload: &parts.payload };
        match queue.journal.poll_keep(keeping, &entry, key, queue.level, cx) {
            Poll::Pending => {
                self.parts = Some(parts);
                Poll::Pending
            }
            Poll::Ready(Ok(Kept::New)) => {
                parts.send(seq);
                Poll::Ready(Ok(Sent::New(seq)))
            }
            Poll::Ready(Ok(Kept::Duplicate(first))) => Poll::Ready(Ok(Sent::Duplicate(first))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(SendError::Journal(parts.payload, error))),
        }
    }
}

impl<M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> Drop
    for Sending<'_, '_, '_, M, J, SLOTS, ROWS>
{
    fn drop(&mut self) {
        // Nothing, if it has come to its end.
        let kept = self.queue.journal.give_up(&mut self.keeping);
        if let (true, Some(parts)) = (kept, self.parts.take()) {
            parts.send(self.seq);
        }
    }
}
