//! What is out: a table of fixed size, under the queue's lock.

use crate::arena::Parcel;
use crate::sync::RawMutex;

/// A message on its way.
pub(super) struct Envelope<'a, M: RawMutex> {
    pub(super) seq: u64,
    pub(super) payload: Parcel<'a, M>,
    /// How often it was delivered, as far as that was counted.
    pub(super) attempts: u32,
    /// Whether it may have been delivered before a crash.
    pub(super) recovered: bool,
}

/// A row of the table.
pub(super) enum Row<'a, M: RawMutex> {
    Free,
    Out {
        /// A share of the payload, for another attempt.
        message: Envelope<'a, M>,
        /// When it was first seen to be out.
        since: Option<u64>,
    },
    Returned(Envelope<'a, M>),
}

/// Which attempt of which message: what a delivery shows, so that a late one does not end another attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) row: u16,
    pub(super) seq: u64,
    pub(super) attempt: u32,
}

pub(super) struct Rows<'a, M: RawMutex, const ROWS: usize> {
    rows: [Row<'a, M>; ROWS],
    /// Rows that are not free.
    pub(super) taken: usize,
    /// The number of the next message.
    pub(super) next: u64,
    pub(super) redelivered: u64,
    pub(super) expired: u64,
    pub(super) buried: u64,
}

impl<'a, M: RawMutex, const ROWS: usize> Rows<'a, M, ROWS> {
    pub(super) const fn new(next: u64) -> Self {
        Self {
            rows: [const { Row::Free }; ROWS],
            taken: 0,
            next,
            redelivered: 0,
            expired: 0,
            buried: 0,
        }
    }

    /// Puts a message in a row that was free.
    pub(super) fn put_out(&mut self, row: u16, message: Envelope<'a, M>) {
        if let Some(place) = self.rows.get_mut(usize::from(row)) {
            debug_assert!(matches!(place, Row::Free), "its number was spare");
            *place = Row::Out { message, since: None };
            self.taken += 1;
        }
    }

    /// Takes the message of a row that was returned; the row is free.
    pub(super) fn take_returned(&mut self, row: u16) -> Option<Envelope<'a, M>> {
        let place = self.rows.get_mut(usize::from(row))?;
        match core::mem::replace(place, Row::Free) {
            Row::Returned(message) => {
                self.taken -= 1;
                Some(message)
            }
            other => {
                *place = other;
                None
            }
        }
    }

    /// Takes the message of a delivery, if that has not expired; the row is free.
    pub(super) fn take_out(&mut self, claim: Claim) -> Option<Envelope<'a, M>> {
        let place = self.rows.get_mut(usize::from(claim.row))?;
        match core::mem::replace(place, Row::Free) {
            Row::Out { message, .. }
                if (message.seq, message.attempts) == (claim.seq, claim.attempt) =>
            {
                self.taken -= 1;
                Some(message)
            }
            other => {
                *place = other;
                None
            }
        }
    }

    /// Puts the message of a delivery back, if that has not expired.
    pub(super) fn give_back(&mut self, claim: Claim) -> bool {
        let Some(message) = self.take_out(claim) else { return false };
        self.rows[usize::from(claim.row)] = Row::Returned(message);
        self.taken += 1;
        true
    }

    /// The claim of the delivery that has a row, if that is out since `now - patience` or longer. One that is looked at for
    /// the first time is out since `now`.
    pub(super) fn overdue(&mut self, row: u16, now: u64, patience: u64) -> Option<Claim> {
        match self.rows.get_mut(usize::from(row))? {
            Row::Out { message, since } => {
                let since = *since.get_or_insert(now);
                let claim = Claim { row, seq: message.seq, attempt: message.attempts };
                (now.saturating_sub(since) >= patience).then_some(claim)
            }
            _ => None,
        }
    }
}
