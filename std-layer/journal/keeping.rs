//! Keeping a message from a future, which must not hold its thread up until a disk has synced.
//!
//! ```text
//!             no room at the moment                          the helper has looked for some
//!   begun ──────────────────────────────► waits for room ──────────────────────────► begun, or `Full`
//!     │
//!     │ staged: it lives                          a sync that covers it
//!     └───────────────────────► waits for a sync ─────────────────────────► kept
//!                                    │    │
//!                                    │    └─ the log has failed ─► `Failed`: nobody knows
//!                                    └─ the future is dropped ───► given up
//! ```
//!
//! A thread of the journal's syncs, or somebody who waits for a sync of their own: whoever leads wakes the futures, too. A log that nobody
//! maintains does what it takes in the call.
//!
//! | a future is dropped | the message |
//! |---|---|
//! | before it is staged | was never kept |
//! | before it is durable | is forgotten, with its key, as if it was cancelled; that is written with what is written next. A crash before that is durable may bring it, as one that was not acknowledged |
//! | when it is durable | is kept: it is too late |
//!
//! So that nobody is told that a message is a duplicate of one that is given up then, who comes with the key of one that waits for its
//! sync waits until it is durable, too, and looks again.

use std::task::{Context, Poll, Waker};

use super::commit::Guard;
use super::error::LogError;
use super::files::LogFiles;
use super::log::{Log, Message};
use super::options::Level;
use super::state::State;
use super::waiters::For;
use crate::journal::reserve;
use crate::journal::{Flags, Keeping, Kept, Position, Record};

impl<F: LogFiles> Log<F> {
    /// Keeps a message, and wakes a waker when that is done: [`Journal::poll_keep`](crate::journal::Journal::poll_keep).
    pub(super) fn poll_send(
        &self,
        keeping: &mut Keeping,
        message: &Message<'_>,
        key: Option<u64>,
        level: Level,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Kept, LogError>> {
        if !self.options.maintained {
            return Poll::Ready(match key {
                Some(key) => self.send_once(message, key, level),
                None => self.send(message, level).map(|_| Kept::New),
            });
        }
        // Cloned before the lock is taken, and dropped when it has been given up, as are those that were left before: it is foreign code.
        let waker = cx.waker().clone();
        if let Some(waits) = keeping.ticket {
            let mut state = self.lock();
            if let Some(For::Sync { upto, kept, .. }) = state.waiters.of(Some(waits)) {
                let outcome = match state.usable() {
                    _ if state.durable >= upto => Ok(kept),
                    Ok(()) => {
                        let awaits = |upto| {
                            let Message { chan, seq, .. } = *message;
                            For::Sync { upto, kept, chan, seq }
                        };
                        return self.wait_for_sync(state, keeping, waker, upto, awaits);
                    }
                    Err(error) => Err(error),
                };
                let left = state.waiters.leave(&mut keeping.ticket);
                drop(state);
                drop(left);
                return Poll::Ready(outcome);
            }
        }
        let begun = self.start(keeping, message, key, level, waker);
        if begun.is_ready() && keeping.ticket.is_some() {
            let left = self.lock().waiters.leave(&mut keeping.ticket);
            drop(left);
        }
        begun
    }

    /// Stages the message, if there is room and no other one has its key.
    fn start(
        &self,
        keeping: &mut Keeping,
        message: &Message<'_>,
        key: Option<u64>,
        level: Level,
        waker: Waker,
    ) -> Poll<Result<Kept, LogError>> {
        // Before the lock is taken: this reads all of the payload.
        let record = self.record_of(message)?;
        let record = key.map_or(record, |key| record.keyed(key));
        let mut state = self.lock();
        state.usable()?;
        let kept = match state.known(record.header())? {
            Some(first) => {
                if let Some(upto) = state.waiters.undecided(message.chan, first, state.durable) {
                    return self.wait_for_sync(state, keeping, waker, upto, For::Decision);
                }
                Kept::Duplicate(first)
            }
            None => {
                if self.is_full(&state, &record) {
                    return Poll::Ready(Err(LogError::Full));
                }
                if !self.has_room_now(&state, &record) {
                    if state.waiters.of(keeping.ticket) == Some(For::Room { refused: true }) {
                        return Poll::Ready(Err(LogError::Full));
                    }
                    state.room_wanted = state.room_wanted.max(record.len());
                    let awaits = For::Room { refused: false };
                    let before = state.waiters.wait(&mut keeping.ticket, awaits, waker);
                    self.work.notify_one();
                    drop(state);
                    drop(before);
                    return Poll::Pending;
                }
                state.keep(&record);
                Kept::New
            }
        };
        let end = state.stage.end();
        if level != Level::Sync || state.durable >= end {
            return Poll::Ready(self.reach(state, end, level).map(|_| kept));
        }
        self.wait_for_sync(state, keeping, waker, end, |upto| For::Sync {
            upto,
            kept,
            chan: message.chan,
            seq: message.seq,
        })
    }

    /// Ends the poll of one that waits until everything before `upto` is durable.
    fn wait_for_sync(
        &self,
        mut state: Guard<'_, F>,
        keeping: &mut Keeping,
        waker: Waker,
        upto: Position,
        awaits: impl FnOnce(Position) -> For,
    ) -> Poll<Result<Kept, LogError>> {
        let before = state.waiters.wait(&mut keeping.ticket, awaits(upto), waker);
        state.sync_wanted = state.sync_wanted.max(upto);
        // Whoever syncs looks again when it is done.
        if state.syncer_rests {
            state.syncer_rests = false;
            self.due.notify_one();
        }
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// Whether a record can be staged now. Acknowledgements that came before must not be behind it, where they would be its own; nor what
    /// was cancelled, whose key it may have: after a crash between the two there would be two messages of one key.
    pub(super) fn has_room_now(&self, state: &State<F::File>, record: &Record<'_>) -> bool {
        let header = record.header();
        let end = u64::from(state.stage.end().offset) + u64::from(record.len());
        state.free(&self.options) >= reserve::For::Sends.leaves()
            && end <= u64::from(state.limit(&self.options))
            && state.stage.has_room(record.len())
            && !state.stage.acknowledges(header.chan, header.seq)
            && !(header.key().is_some() && state.stage.has_cancelled())
    }

    /// Gives a message up, unless it is too late: then it is kept, and this says so.
    pub(super) fn give_up_send(&self, keeping: &mut Keeping) -> bool {
        if keeping.ticket.is_none() {
            return false;
        }
        // Declared before the lock is taken, so dropped after that.
        let _waker;
        let mut state = self.lock();
        let (awaits, waker) = state.waiters.leave(&mut keeping.ticket).unzip();
        _waker = waker;
        let Some(For::Sync { upto, kept: Kept::New, chan, seq }) = awaits else { return false };
        if state.durable >= upto {
            return true;
        }
        // Under the lock under which it has left: nobody is to be a duplicate of it.
        state.forget(chan, seq, seq);
        state.keys.forget(chan, seq, seq);
        state.waiters.decided();
        // If that is not noted down, as the log has failed or has no room, a crash may bring it.
        let _ = self.forget(state, chan, Flags::CANCELLED, seq, seq);
        drop(self.wake_due(self.lock()));
        false
    }

    /// Wakes the futures that can go on. The lock is given up meanwhile.
    pub(super) fn wake_due<'s>(&'s self, mut state: Guard<'s, F>) -> Guard<'s, F> {
        loop {
            let (durable, failed) = (state.durable, state.failed.is_some());
            let due = state.waiters.due(durable, failed);
            if due[0].is_none() {
                return state;
            }
            drop(state);
            due.into_iter().flatten().for_each(Waker::wake);
            state = self.lock();
        }
    }
}
