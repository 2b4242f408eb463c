//! Getting records from the stage to the file, and from the file to the disk: the writer's role, and the syncer's.
//!
//! ```text
//!   stage ──── writer: swaps the stages, writes one ────► written ──── syncer: syncs what is written ────► durable
//! ```
//!
//! Each role is somebody's, or free; it is taken and given up under the lock, and files are touched between the two. The syncer
//! takes the writer's role for a moment, the writer never waits for the syncer.

use std::sync::PoisonError;
use std::time::Instant;

use super::error::LogError;
use super::files::{LogFile, LogFiles, uninterrupted, write_all};
use super::log::Log;
use super::rounds::parity;
use super::state::State;
use super::sync::{Condvar, MutexGuard, wait_at_most};
use crate::journal::reserve::For;
use crate::journal::{Flags, Position};

pub(super) type Guard<'s, F> = MutexGuard<'s, State<<F as LogFiles>::File>>;

impl<F: LogFiles> Log<F> {
    pub(super) fn lock(&self) -> Guard<'_, F> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // Somebody panicked while they changed the state: it is trusted no more than a file after an error.
            let mut state = PoisonError::into_inner(poisoned);
            state.failed.get_or_insert(0);
            self.due.notify_all();
            state
        })
    }

    /// Waits until something has changed, but for the syncer's role.
    pub(super) fn wait<'s>(&'s self, mut state: Guard<'s, F>) -> Guard<'s, F> {
        state.waiting += 1;
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    /// Tells those who wait that something has changed: a call of the system's, so only if there are any.
    pub(super) fn tell(&self, state: &State<F::File>) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        if state.failed.is_some() {
            self.wake_all_for_sync();
            self.due.notify_all();
        }
    }

    fn wake_all_for_sync(&self) {
        self.gathered.notify_all();
        self.synced.iter().for_each(Condvar::notify_all);
    }

    /// Does something with files, for who has a role, and not the lock. If that panics nobody has a role any more, and the log
    /// has failed: those who wait are told, and what became of the files is not known.
    pub(super) fn outside<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Unwound<'s, F: LogFiles>(&'s Log<F>);
        impl<F: LogFiles> Drop for Unwound<'_, F> {
            fn drop(&mut self) {
                let mut state = self.0.lock();
                state.failed.get_or_insert(0);
                let state = &mut *state;
                for role in [
                    &mut state.writing,
                    &mut state.syncing,
                    &mut state.collecting,
                    &mut state.preparing,
                ] {
                    *role = false;
                }
                self.0.changed.notify_all();
                self.0.wake_all_for_sync();
                self.0.work.notify_all();
                self.0.due.notify_all();
            }
        }
        let unwound = Unwound(self);
        let done = work();
        core::mem::forget(unwound);
        done
    }

    /// Gives the syncer's role up. Those who are woken take the lock one after the other, and the first may do so at once.
    fn end_sync<'s>(&'s self, mut state: Guard<'s, F>) -> Guard<'s, F> {
        state.syncing = false;
        let over = state.rounds.end();
        drop(state);
        if let Some(parity) = over.leads {
            self.synced[parity].notify_one();
        }
        if let Some(parity) = over.covered {
            self.synced[parity].notify_all();
        }
        self.lock()
    }

    /// Writes what is staged; returns when nothing is that was when it was called.
    pub(super) fn write_out<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        frame: bool,
    ) -> Result<Guard<'s, F>, LogError> {
        let upto = state.stage.end();
        while state.writing {
            state = self.wait(state);
            state.usable()?;
            // Somebody has written all of it, and need not do so again for acknowledgements: they are in no hurry.
            if state.written >= upto && !frame {
                return Ok(state);
            }
        }
        state.usable()?;
        // Both may go behind the limit, but only once: what is staged keeps to it. The collector's segment is not theirs.
        let frame = frame && state.durable > state.framed;
        if (frame && !state.stage.is_empty() || state.stage.has_acks())
            && state.stage.end().offset <= state.limit(&self.options)
            && state.free(&self.options) >= For::Acks.leaves()
        {
            state.stage.put_acks();
            if frame {
                let durable = state.durable;
                state.stage.put_frame(durable, Flags::NONE);
                state.framed = durable;
            }
        }
        self.write(state)
    }

    /// Writes the stage as it is. Nobody has the writer's role.
    pub(super) fn write<'s>(&'s self, mut state: Guard<'s, F>) -> Result<Guard<'s, F>, LogError> {
        debug_assert!(!state.writing, "the caller has waited for that");
        if state.stage.len == 0 {
            return Ok(state);
        }
        // There is another stage whenever nobody writes.
        let Some(other) = state.stage.other.take() else { return Ok(state) };
        let full = core::mem::replace(&mut state.stage.filling, other);
        let (len, at) = (core::mem::take(&mut state.stage.len), state.stage.start);
        state.stage.start += len as u32;
        let upto = state.stage.end();
        let file = state.slots[state.current].file.clone();
        state.writing = true;
        drop(state);
        let outcome = self.outside(|| write_all(&*file, &full[..len], u64::from(at)));
        let mut state = self.lock();
        state.stage.other = Some(full);
        state.writing = false;
        match outcome {
            Ok(()) => state.written = upto,
            Err(error) => state.fail(&error),
        }
        self.tell(&state);
        state.usable()?;
        Ok(state)
    }

    /// Returns when everything before `upto` is written.
    pub(super) fn written_to<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        upto: Position,
    ) -> Result<Guard<'s, F>, LogError> {
        while state.written < upto {
            state.usable()?;
            state = self.write_out(state, false)?;
        }
        Ok(state)
    }

    /// Returns when everything before `upto`, which is staged, is durable: by a sync of one's own, for all who have come until
    /// it begins, or by somebody else's.
    pub(super) fn sync_to<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        upto: Position,
    ) -> Result<Guard<'s, F>, LogError> {
        state.sync_asked_in = state.segment();
        while state.durable < upto {
            state.usable()?;
            if state.syncing {
                state = self.wait_for_sync_of_others(state, upto);
                continue;
            }
            state.dirty = None;
            let first = state.durable.segment;
            state = self.lead(state, first)?;
        }
        Ok(state)
    }

    /// Syncs, unless everything before `upto` is durable, what is not, from segment `first` on: what is before is not needed by who
    /// calls.
    pub(super) fn sync_from<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        first: u64,
        upto: Position,
    ) -> Result<Guard<'s, F>, LogError> {
        while state.syncing {
            state = self.wait_for_sync_of_others(state, upto);
        }
        state.usable()?;
        if state.durable < upto {
            state = self.lead(state, first)?;
            state.usable()?;
        }
        Ok(state)
    }

    /// Waits for the end of the round that covers everything before `upto`, or to lead it.
    fn wait_for_sync_of_others<'s>(
        &'s self,
        mut state: Guard<'s, F>,
        upto: Position,
    ) -> Guard<'s, F> {
        let (round, full) = state.rounds.join(upto);
        if full {
            self.gathered.notify_one();
        }
        let synced = &self.synced[parity(round)];
        let mut state = synced.wait(state).unwrap_or_else(PoisonError::into_inner);
        // Whoever is woken to lead, and has no reason to any more, leaves that to another one.
        if state.rounds.leave(round) && state.durable >= upto && !state.syncing {
            if let Some(parity) = state.rounds.next_leader() {
                self.synced[parity].notify_one();
            }
        }
        state
    }

    /// Waits for a moment for those who shared the last round. The role is the caller's.
    fn gather<'s>(&'s self, mut state: Guard<'s, F>) -> Guard<'s, F> {
        let Some(most) = state.rounds.gather() else { return state };
        // Whatever wakes it: what has come by then is enough.
        wait_at_most(&self.state, &self.gathered, state, most)
    }

    /// The syncer's work, from segment `first` on. The role, which nobody has, is given up at the end, whatever that is.
    fn lead<'s>(&'s self, mut state: Guard<'s, F>, first: u64) -> Result<Guard<'s, F>, LogError> {
        state.syncing = true;
        state = self.gather(state);
        while state.writing && state.failed.is_none() {
            state = self.wait(state);
        }
        // What is staged now goes to the file with the next write, which is this one.
        let staged = state.stage.end();
        state.rounds.take(staged);
        let mut state = match self.write_out(state, true) {
            Ok(state) => state,
            Err(error) => {
                let state = self.end_sync(self.lock());
                drop(self.wake_due(state));
                return Err(error);
            }
        };
        // A sync that begins now covers everything that is written now, and nothing else.
        let target = state.written;
        // What was left out before the first of them is not durable, so there is no more that is durable in one piece.
        let whole = first <= state.durable.segment;
        let mut segment = first.max(state.durable.segment);
        let begun = Instant::now();
        while segment <= target.segment && state.failed.is_none() {
            // One that was collected meanwhile was synced by the collector.
            if let Some(file) = state.file_of(segment) {
                drop(state);
                let outcome = self.outside(|| uninterrupted(|| file.sync()));
                state = self.lock();
                match outcome {
                    Ok(()) if !whole => {}
                    Ok(()) if segment < target.segment => {
                        let next = Position { segment: segment + 1, offset: 0 };
                        state.durable = state.durable.max(next);
                    }
                    Ok(()) => state.durable = state.durable.max(target),
                    Err(error) => state.fail(&error),
                }
            }
            segment += 1;
        }
        state.rounds.synced(begun.elapsed());
        self.tell(&state);
        let state = self.end_sync(state);
        // What became durable is, even if the log has failed meanwhile: the caller looks.
        Ok(self.wake_due(state))
    }
}
