//! The queue: its parts, and what is to be done for it now and then.

use core::fmt;

use super::delivery::DeadLetters;
use super::rows::{Envelope, Rows};
use crate::arena::ArenaRef;
use crate::channel::{Buffered, Channel};
use crate::journal::Journal;
use crate::sync::{Locked, RawMutex};

/// How often a message is delivered before it is a dead letter.
pub(super) struct Burial<'q, 'a, M: RawMutex> {
    pub(super) attempts: u32,
    pub(super) grave: &'q (dyn DeadLetters<'a, M> + Sync + 'q),
}

/// A queue of messages that are kept in a journal until they are acknowledged: at most `SLOTS` wait, at most `ROWS` are out.
///
/// Everybody uses it by reference. One queue has a channel's number in a journal at a time: two would send messages of
/// the same numbers.
///
/// *Order:* as sent; what was pending at the opening comes first, and what is returned before everything else.
///
/// *Memory:* three words a slot, nine words a row. Nothing is allocated but, in the arena, what is read back from the journal,
/// message after message as they are received.
///
/// *Interrupts:* as the journal's calls; a log in files is none for a handler.
///
/// An example is at `std_layer::journal`, whose log is a journal.
pub struct Queue<'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> {
    pub(super) arena: ArenaRef<'a, M>,
    pub(super) journal: &'q J,
    pub(super) chan: u16,
    pub(super) level: J::Level,
    pub(super) burial: Option<Burial<'q, 'a, M>>,
    pub(super) sent: Channel<M, Envelope<'a, M>, Buffered<SLOTS>>,
    /// Behind which number to look for what was pending: whoever has that, looks. Closed when there is nothing left.
    pub(super) backlog: Channel<M, u64, Buffered<1>>,
    pub(super) spare: Channel<M, u16, Buffered<ROWS>>,
    pub(super) returned: Channel<M, u16, Buffered<ROWS>>,
    pub(super) rows: Locked<M, Rows<'a, M, ROWS>>,
}

/// A queue in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct QueueSnapshot {
    /// Messages that were sent and not received yet; what is still to be read back from the journal is not counted.
    pub waiting: usize,
    /// Messages that are out, or were returned.
    pub out: usize,
    /// Messages of those that were returned.
    pub returned: usize,
    /// Deliveries that were not the first of their message.
    pub redelivered: u64,
    /// Deliveries that were taken back because they took too long.
    pub expired: u64,
    /// Messages that became dead letters.
    pub buried: u64,
    /// Whether it is closed.
    pub closed: bool,
}

impl<'q, 'a, M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize>
    Queue<'q, 'a, M, J, SLOTS, ROWS>
{
    /// The queue of a channel's number in a journal, that keeps messages at `level`. What is pending there comes first. If the
    /// channel was closed for good, it is closed.
    pub fn new(arena: ArenaRef<'a, M>, journal: &'q J, chan: u16, level: J::Level) -> Self {
        const { assert!(ROWS > 0 && ROWS <= u16::MAX as usize, "rows are numbered by 16 bits") };
        let queue = Self {
            arena,
            journal,
            chan,
            level,
            burial: None,
            sent: Channel::new(),
            backlog: Channel::new(),
            spare: Channel::new(),
            returned: Channel::new(),
            rows: Locked::new(Rows::new(journal.last_seq().saturating_add(1))),
        };
        (0..ROWS as u16).for_each(|row| queue.free(row));
        // There is room for one, and it is the first.
        let _ = queue.backlog.try_send(0);
        if journal.is_closed(chan) {
            queue.sent.close();
        }
        queue
    }

    /// With a place for messages that were delivered `attempts` times, and were returned, or a crash has come, each time. A crash in
    /// its first delivery is not counted, so a message that ends the process whenever it is received is received once more; and
    /// the count goes no further than 255 through a crash.
    ///
    /// If that place does not take one, it is delivered again.
    pub fn dead_letters(
        mut self,
        attempts: u32,
        grave: &'q (dyn DeadLetters<'a, M> + Sync + 'q),
    ) -> Self {
        self.burial = Some(Burial { attempts, grave });
        self
    }

    /// Takes deliveries back that have been out for `patience` ticks, so that others get them; returns how many. To be called
    /// now and then, with the time in ticks of any clock: a delivery counts from the first call that sees it, so it has `patience`
    /// at least, and the time between two calls more at most.
    ///
    /// Whoever holds such a delivery can still read it; their `ack` fails.
    pub fn expire(&self, now: u64, patience: u64) -> usize {
        let overdue = |&row: &u16| {
            let returned = self.rows.with(|rows| {
                let claim = rows.overdue(row, now, patience)?;
                rows.expired += u64::from(rows.give_back(claim));
                Some(claim)
            });
            returned.is_some()
        };
        let returned = (0..ROWS as u16).filter(overdue).inspect(|&row| self.come_back(row));
        returned.count()
    }

    /// Forgets a message that is pending, whatever it is: one that was [`Lost`](super::Lost).
    ///
    /// # Errors
    /// The journal's.
    pub fn discard(&self, seq: u64) -> Result<(), J::Error> {
        self.journal.forget(self.chan, seq)
    }

    /// Takes no more messages; those that wait, are out or pending are delivered. Returns whether it was open.
    pub fn close(&self) -> bool {
        // Receivers that wait look again, and find out whether that was all.
        self.sent.close()
    }

    /// Closes it for good: it is closed when the journal is opened anew, too.
    ///
    /// # Errors
    /// The journal's; the queue is closed all the same.
    pub fn close_for_good(&self) -> Result<(), J::Error> {
        self.close();
        self.journal.close(self.chan, self.level)
    }

    /// Its numbers at this moment.
    pub fn snapshot(&self) -> QueueSnapshot {
        let (waiting, returned) = (self.sent.len(), self.returned.len());
        let closed = self.sent.is_closed();
        self.rows.with(|rows| QueueSnapshot {
            waiting,
            out: rows.taken,
            returned,
            redelivered: rows.redelivered,
            expired: rows.expired,
            buried: rows.buried,
            closed,
        })
    }

    /// A row's number waits for the next message.
    pub(super) fn free(&self, row: u16) {
        // There is room for all rows, each is in it once, and it is never closed.
        let sent = self.spare.try_send(row);
        debug_assert!(sent.is_ok(), "a row was freed twice");
        self.end_if_done();
    }

    /// A row's message waits for the next receiver.
    pub(super) fn come_back(&self, row: u16) {
        let sent = self.returned.try_send(row);
        debug_assert!(sent.is_ok(), "a row came back twice, or after the end");
    }

    /// Tells receivers that wait that nothing will come any more, if that is so.
    pub(super) fn end_if_done(&self) {
        if self.sent.is_closed()
            && self.sent.is_empty()
            && self.backlog.is_closed()
            // Looked at last: whoever took the last message out before has put it in its row, and acknowledged it.
            && self.spare.len() == ROWS
        {
            self.returned.close();
        }
    }
}

impl<M: RawMutex, J: Journal, const SLOTS: usize, const ROWS: usize> fmt::Debug
    for Queue<'_, '_, M, J, SLOTS, ROWS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("chan", &self.chan).finish_non_exhaustive()
    }
}
