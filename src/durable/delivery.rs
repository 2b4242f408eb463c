//! A message that was received, and is not done with.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;

use super::error::AckError;
use super::queue::Queue;
use super::rows::Claim;
use crate::arena::{Lease, Parcel};
use crate::journal::Journal;
use crate::sync::RawMutex;

/// Where messages go that were delivered too often.
pub trait DeadLetters<'a, M: RawMutex> {
    /// Takes a message; if not, it is delivered again. It is forgotten where it came from once this has returned true. It is called
    /// by whoever would have received it.
    fn bury(&self, seq: u64, payload: Parcel<'a, M>) -> bool;
}

/// A message in hand that is kept until it is [acknowledged](Self::ack): to be read, and dropped or [`nack`](Self::nack)ed to be
/// delivered again.
#[must_use = "it is delivered again unless it is acknowledged"]
pub struct Delivery<'s, 'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> {
    queue: &'s Queue<'q, 'a, M, J, SLOTS, ROWS>,
    payload: ManuallyDrop<Lease<'a, M>>,
    claim: Claim,
    recovered: bool,
}

impl<'s, 'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize>
    Delivery<'s, 'q, 'a, M, J, SLOTS, ROWS>
{
    pub(super) fn new(
        queue: &'s Queue<'q, 'a, M, J, SLOTS, ROWS>,
        payload: Lease<'a, M>,
        claim: Claim,
        recovered: bool,
    ) -> Self {
        Self { queue, payload: ManuallyDrop::new(payload), claim, recovered }
    }

    /// The message's number. Who must not do a thing twice keeps the numbers of what was done.
    pub fn seq(&self) -> u64 {
        self.claim.seq
    }

    /// How often it was delivered, this time included, as far as that was counted: a first delivery that a crash has ended is not, of
    /// those after it each is, up to 255, before the message is in anybody's hand. What a power cut can undo is said at
    /// [`Journal::attempt`].
    pub fn attempts(&self) -> u32 {
        self.claim.attempt
    }

    /// Whether it may have been delivered before: in this process, or before a crash.
    pub fn may_be_again(&self) -> bool {
        self.recovered || self.claim.attempt > 1
    }

    /// The payload, which can be shared, and outlive the delivery.
    pub fn payload(&self) -> &Lease<'a, M> {
        &self.payload
    }

    /// Says that the message is done with: it is forgotten, and its payload is the caller's.
    ///
    /// # Errors
    /// The delivery had [expired](Queue::expire), or the journal's error: it will be delivered again then.
    pub fn ack(self) -> Result<Lease<'a, M>, AckError<Lease<'a, M>, J::Error>> {
        let mut delivery = ManuallyDrop::new(self);
        let (queue, claim) = (delivery.queue, delivery.claim);
        // SAFETY: the delivery is not dropped, nor is this used again.
        let payload = unsafe { ManuallyDrop::take(&mut delivery.payload) };
        let Some(message) = queue.rows.with(|rows| rows.take_out(claim)) else {
            return Err(AckError::Expired(payload));
        };
        drop(message);
        let forgotten = queue.journal.forget(queue.chan, claim.seq);
        queue.free(claim.row);
        match forgotten {
            Ok(()) => Ok(payload),
            Err(error) => Err(AckError::Journal(payload, error)),
        }
    }

    /// Gives it back: the next receiver gets it. Dropping it does the same.
    pub fn nack(self) {}
}

impl<M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> Deref
    for Delivery<'_, '_, '_, M, J, SLOTS, ROWS>
{
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.payload
    }
}

impl<M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> Drop
    for Delivery<'_, '_, '_, M, J, SLOTS, ROWS>
{
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        unsafe { ManuallyDrop::drop(&mut self.payload) };
        if self.queue.rows.with(|rows| rows.give_back(self.claim)) {
            self.queue.come_back(self.claim.row);
        }
    }
}

impl<M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> fmt::Debug
    for Delivery<'_, '_, '_, M, J, SLOTS, ROWS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("seq", &self.seq())
            .field("attempts", &self.attempts())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
