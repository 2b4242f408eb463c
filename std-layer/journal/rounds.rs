//! Who shares which sync.
//!
//! ```text
//!   begins ──── gather: those who shared the last one ────► take: what is staged ──── sync ────► ends, the next one may begin
//!               who comes is covered by this one            who comes is covered by the next one
//! ```
//!
//! Syncs are counted: each is a *round*. Whoever waits is woken at the end of the round that covers them, and not at that of
//! the one before: even and odd rounds have a condition variable each. One of those who wait for the next round is woken, too, to
//! lead it, unless somebody comes first.

use std::time::Duration;

use crate::journal::Position;

/// Rounds without gathering, at the most, before it is tried again: where it brings nothing it costs a sixteenth of a sync.
const MAX_PAUSE: u32 = 16;

/// Rounds, under the log's lock.
#[derive(Default)]
pub(super) struct Rounds {
    /// The one that is under way, or is the next to begin.
    number: u64,
    /// Everything before that is covered by it, once its leader has taken what is staged.
    covers: Option<Position>,
    /// How many wait for the end of even and of odd rounds, leaders apart.
    waiting: [usize; 2],
    /// How many have shared the last one.
    shared: usize,
    /// Whether the leader waits until as many are there again.
    gathers: bool,
    /// How long the last one has taken.
    took: Duration,
    /// In how many rounds to come it does not; in how many it will not when they have not come the next time.
    pause: u32,
    pauses: u32,
}

/// Who is to be woken when a round is over.
pub(super) struct Over {
    /// The parity of that round, if anybody waits for its end.
    pub(super) covered: Option<usize>,
    /// The parity of the next round, if anybody can lead it.
    pub(super) leads: Option<usize>,
}

impl Rounds {
    /// Somebody begins to wait until everything before `upto` is covered, while somebody else leads: by which round, and whether
    /// that is what the leader waits for.
    pub(super) fn join(&mut self, upto: Position) -> (u64, bool) {
        let next = self.covers.is_some_and(|covers| covers < upto);
        let round = self.number + u64::from(next);
        self.waiting[parity(round)] += 1;
        let full = self.gathers && self.here() >= self.shared;
        if full {
            self.gathers = false;
            self.pauses /= 2;
        }
        (round, full)
    }

    /// Somebody who has joined a round does not wait any more. Whether it is not over: then they may be the one who was woken to lead.
    pub(super) fn leave(&mut self, round: u64) -> bool {
        let early = self.number <= round;
        self.waiting[parity(round)] -= usize::from(early);
        early
    }

    /// How many there are, with who leads.
    fn here(&self) -> usize {
        1 + self.waiting[parity(self.number)]
    }

    /// How long a leader waits for those who shared the last round, and are on their way back, one after the other. Without that there
    /// would be two groups that take turns, each half as large; so it pays as long as it is shorter than a sync. Where they mostly do
    /// not come back in time it is tried rarely.
    pub(super) fn gather(&mut self) -> Option<Duration> {
        if self.here() >= self.shared {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        self.gathers = true;
        Some(self.took)
    }

    /// The leader takes what is staged.
    pub(super) fn take(&mut self, upto: Position) {
        if core::mem::take(&mut self.gathers) {
            // They did not come.
            self.pause = self.pauses.max(1);
            self.pauses = (2 * self.pause).min(MAX_PAUSE);
        }
        self.shared = self.here();
        self.covers = Some(upto);
    }

    /// The files have been synced, in that time.
    pub(super) fn synced(&mut self, took: Duration) {
        self.took = took;
    }

    /// The round is over.
    pub(super) fn end(&mut self) -> Over {
        let covered = parity(self.number);
        self.number += 1;
        self.covers = None;
        // All of them are woken.
        let waited = core::mem::take(&mut self.waiting[covered]) > 0;
        Over { covered: waited.then_some(covered), leads: self.next_leader() }
    }

    /// The parity of the round to come, if anybody waits who can lead it.
    pub(super) fn next_leader(&self) -> Option<usize> {
        let next = parity(self.number);
        (self.waiting[next] > 0).then_some(next)
    }
}

/// Of the condition variable at which the end of a round is waited for.
pub(super) fn parity(round: u64) -> usize {
    usize::from(round % 2 == 1)
}
