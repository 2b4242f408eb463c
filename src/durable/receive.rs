//! Receiving: what was returned, then what was pending, then what was sent.

use super::delivery::Delivery;
use super::error::{AckError, Lost, LostWhy, RecvError, TryRecvError};
use super::queue::{Burial, Queue};
use super::rows::{Claim, Envelope};
use crate::arena::{Lease, LeaseMut};
use crate::error::TryAllocError;
use crate::journal::{Journal, Pending};
use crate::select;
use crate::sync::RawMutex;

/// The number of a free row, of a receiver that looks for a message. Given up, it waits for another one.
struct Spare<'s, 'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> {
    queue: &'s Queue<'q, 'a, M, J, SLOTS, ROWS>,
    row: u16,
}

impl<M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> Drop
    for Spare<'_, '_, '_, M, J, SLOTS, ROWS>
{
    fn drop(&mut self) {
        self.queue.free(self.row);
    }
}

/// The turn to look for what was pending, of one receiver at a time. Given up, the next one looks behind the same number.
struct Turn<'s, 'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> {
    queue: &'s Queue<'q, 'a, M, J, SLOTS, ROWS>,
    after: u64,
}

impl<M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> Drop
    for Turn<'_, '_, '_, M, J, SLOTS, ROWS>
{
    fn drop(&mut self) {
        // There is room: this is the one value that it ever holds. It is closed only by who has it.
        let _ = self.queue.backlog.try_send(self.after);
    }
}

impl<'s, 'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize>
    Turn<'s, 'q, 'a, M, J, SLOTS, ROWS>
{
    /// What is pending next. If there is nothing, nobody looks any more.
    fn next(&self) -> Option<Pending> {
        let Queue { journal, chan, backlog, .. } = self.queue;
        // Nothing is sent before nothing is found here.
        let next = journal.next_pending(*chan, self.after);
        if next.is_none() {
            backlog.close();
            self.queue.end_if_done();
        }
        next
    }

    /// Reads a message that is pending.
    fn read(
        mut self,
        next: Pending,
        memory: Option<LeaseMut<'a, M>>,
    ) -> Result<Envelope<'a, M>, Lost<J::Error>> {
        let Pending { seq, len, attempts } = next;
        // Whatever becomes of it: those behind it are not held up.
        self.after = seq;
        let mut memory = memory.ok_or(Lost { seq, len, why: LostWhy::TooLarge })?;
        let read = self.queue.journal.read(self.queue.chan, seq, &mut memory);
        read.map_err(|error| Lost { seq, len, why: LostWhy::Journal(error) })?;
        let payload = memory.into_parcel();
        Ok(Envelope { seq, payload, attempts, recovered: true })
    }
}

impl<'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize>
    Queue<'q, 'a, M, J, SLOTS, ROWS>
{
    /// Receives, waiting for a message, and while as many are out as may, for one of those to be done with.
    ///
    /// *Cancel safety:* dropping the future loses nothing, and leaves nothing out.
    ///
    /// *Cost:* two selects of two channels each. What was pending before a crash is read from the journal, in this call.
    ///
    /// # Errors
    /// [`RecvError`]. After `Lost` and `Damaged` the next call goes on behind that message.
    pub async fn recv(
        &self,
    ) -> Result<Delivery<'_, 'q, 'a, M, J, SLOTS, ROWS>, RecvError<J::Error>> {
        loop {
            let drained = self.is_drained();
            let found = if drained {
                self.end_if_done();
                Found::Returned(self.returned.recv().await.map_err(|_| RecvError::Closed)?)
            } else {
                select! {
                    biased;
                    row = self.returned.recv() => Found::Returned(row.map_err(|_| RecvError::Closed)?),
                    row = self.spare.recv() => match row {
                        Ok(row) => self.look(Spare { queue: self, row }).await?,
                        Err(_) => Found::Nothing,
                    },
                }
            };
            match found {
                Found::Nothing => {}
                Found::Returned(row) => {
                    if let Some(delivery) = self.again(row)? {
                        return Ok(delivery);
                    }
                }
                Found::New(spare, message) => {
                    if let Some(delivery) = self.deliver(spare, message)? {
                        return Ok(delivery);
                    }
                }
            }
        }
    }

    /// Receives at once or not at all.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(
        &self,
    ) -> Result<Delivery<'_, 'q, 'a, M, J, SLOTS, ROWS>, TryRecvError<J::Error>> {
        loop {
            if let Some(delivery) = self.try_next()? {
                return Ok(delivery);
            }
        }
    }

    /// The next message, unless it becomes a dead letter.
    fn try_next(
        &self,
    ) -> Result<Option<Delivery<'_, 'q, 'a, M, J, SLOTS, ROWS>>, TryRecvError<J::Error>> {
        if let Ok(row) = self.returned.try_recv() {
            return Ok(self.again(row)?);
        }
        if self.is_drained() {
            self.end_if_done();
        }
        if self.returned.is_closed() {
            return Err(TryRecvError::Closed);
        }
        let row = self.spare.try_recv().map_err(|_| TryRecvError::Empty)?;
        let spare = Spare { queue: self, row };
        if !self.backlog.is_closed() {
            let after = self.backlog.try_recv().map_err(|_| TryRecvError::Empty)?;
            let turn = Turn { queue: self, after };
            if let Some(next) = turn.next() {
                let memory = match self.arena.try_alloc(next.len) {
                    Ok(memory) => Some(memory),
                    Err(TryAllocError::TooLarge) => None,
                    Err(TryAllocError::Full) => return Err(TryRecvError::Memory),
                };
                let message = turn.read(next, memory).map_err(TryRecvError::Lost)?;
                return Ok(self.deliver(spare, message)?);
            }
        }
        match self.sent.try_recv() {
            Ok(message) => Ok(self.deliver(spare, message)?),
            Err(_) => {
                drop(spare);
                self.end_if_done();
                Err(match self.returned.is_closed() {
                    true => TryRecvError::Closed,
                    false => TryRecvError::Empty,
                })
            }
        }
    }

    /// Receives, and acknowledges at once: *at most once*, for who would rather lose a message than have it twice.
    ///
    /// *Cancel safety:* dropping the future loses nothing.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv). If the journal does not forget the message, it is returned, and it will be delivered again
    /// when that is opened anew.
    pub async fn recv_acked(&self) -> Result<Lease<'a, M>, RecvError<J::Error>> {
        loop {
            match self.recv().await?.ack() {
                Ok(payload) | Err(AckError::Journal(payload, _)) => {
                    return Ok(payload);
                }
                // It is another one's by now.
                Err(AckError::Expired(_)) => {}
            }
        }
    }

    /// Looks for what was pending, then for what is sent; or something is returned.
    async fn look<'s>(
        &'s self,
        spare: Spare<'s, 'q, 'a, M, J, SLOTS, ROWS>,
    ) -> Result<Found<'s, 'q, 'a, M, J, SLOTS, ROWS>, RecvError<J::Error>> {
        let message = if self.backlog.is_closed() {
            select! {
                biased;
                row = self.returned.recv() => {
                    return Ok(Found::Returned(row.map_err(|_| RecvError::Closed)?));
                }
                message = self.sent.recv() => match message {
                    Ok(message) => message,
                    Err(_) => return Ok(Found::Nothing),
                },
            }
        } else {
            let after = select! {
                biased;
                row = self.returned.recv() => {
                    return Ok(Found::Returned(row.map_err(|_| RecvError::Closed)?));
                }
                after = self.backlog.recv() => after,
            };
            let Ok(after) = after else { return Ok(Found::Nothing) };
            let turn = Turn { queue: self, after };
            let Some(next) = turn.next() else { return Ok(Found::Nothing) };
            let memory = select! {
                biased;
                row = self.returned.recv() => {
                    return Ok(Found::Returned(row.map_err(|_| RecvError::Closed)?));
                }
                memory = self.arena.alloc(next.len) => memory.ok(),
            };
            turn.read(next, memory).map_err(RecvError::Lost)?
        };
        Ok(Found::New(spare, message))
    }

    /// Whether nothing new can come.
    fn is_drained(&self) -> bool {
        self.sent.is_closed() && self.sent.is_empty() && self.backlog.is_closed()
    }

    /// Notes that nothing is pending any more, if that is so, for senders who wait for that.
    pub(super) fn look_for_the_end(&self) {
        if let Ok(after) = self.backlog.try_recv() {
            Turn { queue: self, after }.next();
        }
    }

    /// Delivers what was returned, unless it becomes a dead letter.
    fn again<'s>(
        &'s self,
        row: u16,
    ) -> Result<Option<Delivery<'s, 'q, 'a, M, J, SLOTS, ROWS>>, RecvError<J::Error>> {
        let Some(message) = self.rows.with(|rows| rows.take_returned(row)) else {
            return Ok(None);
        };
        self.deliver(Spare { queue: self, row }, message)
    }

    /// Whether a message that was delivered too often is a dead letter now.
    fn bury(&self, message: &Envelope<'a, M>) -> bool {
        let too_often = |burial: &&Burial<'q, 'a, M>| message.attempts >= burial.attempts.max(1);
        let burial = self.burial.as_ref().filter(too_often);
        let buried = burial.zip(message.payload.share());
        let buried = buried.is_some_and(|(burial, it)| burial.grave.bury(message.seq, it));
        if buried {
            self.rows.with(|rows| rows.buried += 1);
            // If it is not forgotten it is buried again after a crash.
            let _ = self.journal.forget(self.chan, message.seq);
        }
        buried
    }

    /// Puts a message in its row, and a lease in the receiver's hand, unless it becomes a dead letter.
    fn deliver<'s>(
        &'s self,
        spare: Spare<'s, 'q, 'a, M, J, SLOTS, ROWS>,
        message: Envelope<'a, M>,
    ) -> Result<Option<Delivery<'s, 'q, 'a, M, J, SLOTS, ROWS>>, RecvError<J::Error>> {
        if self.bury(&message) {
            return Ok(None);
        }
        let Envelope { seq, payload, attempts, recovered } = message;
        // Made before the payload is taken in hand, which uses the first one up.
        let share = payload.share();
        let in_hand = payload.redeem();
        let (Some(payload), Ok(lease)) = (share, in_hand) else {
            return Err(RecvError::Damaged(seq));
        };
        let attempt = attempts.saturating_add(1);
        let claim = Claim { row: spare.row, seq, attempt };
        if attempt > 1 || recovered {
            // Before it is in anybody's hand: it may be what ends the process. If it is not counted it is delivered all the same, as
            // else a full journal could not be drained.
            let _ = self.journal.attempt(self.chan, seq, attempt);
        }
        self.rows.with(|rows| {
            rows.redelivered += u64::from(attempt > 1 || recovered);
            rows.put_out(claim.row, Envelope { seq, payload, attempts: attempt, recovered });
        });
        core::mem::forget(spare);
        Ok(Some(Delivery::new(self, lease, claim, recovered)))
    }
}

/// What a receiver has found.
enum Found<'s, 'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> {
    /// That it has to look again.
    Nothing,
    /// A row with what was returned.
    Returned(u16),
    /// A message, and a row for it.
    New(Spare<'s, 'q, 'a, M, J, SLOTS, ROWS>, Envelope<'a, M>),
}
