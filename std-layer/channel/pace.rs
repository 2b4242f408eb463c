//! How futures on a lane keep a distance from the other side.
//!
//! Two tasks on two threads pass values fastest when each of them, whenever it looks what the other one has passed, finds
//! many. One that stays close behind the other finds one at a time, and each look takes away a line that the other side needs
//! for its next value: 100 ns a value instead of 12. One that then waits leaves its thread, and most executors run it next where
//! the other one runs, once that waits as well: the two take turns. So where the other side has been seen at work, who finds
//! few values pauses before it looks again, and who finds none pauses once before it waits.
//!
//! Tasks that share a thread never see each other at work: what they find at a lane's first look is all there will be. Pauses that
//! bring nothing become rare.

use super::lanes::{CLOSE, LONGEST_PAUSE};

/// How long a pause is, in processor pauses. A value through a ring of 128 takes 15 ns with 8, 12.6 with 32, 20 with 64;
/// several in a row are no better than one.
const PAUSE: u32 = if cfg!(loom) { 1 } else { 32 };

/// Whether who comes has time for a pause.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Time {
    /// None.
    No,
    /// It has.
    Some,
    /// It did not pass, and is to pause and come again.
    Pauses,
}

/// What one side of a lane knows of the other's. Under the lane's lock.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// The other side has gone on during this loan, and between two looks: it runs beside this one.
    beside: bool,
    /// At the last look it had not gone on by much.
    close: bool,
    /// The next look comes after a pause.
    paused: bool,
    /// How many looks that found nothing go by without a pause now, and how many did after the last pause.
    rest: u8,
    vain: u8,
}

impl Pace {
    pub(super) const NEW: Self =
        Self { beside: false, close: false, paused: false, rest: 0, vain: 0 };

    /// At the beginning of another loan.
    pub(super) fn renewed(self) -> Self {
        Self { rest: self.rest, vain: self.vain, ..Self::NEW }
    }

    /// Before a look: whether it is due.
    #[inline]
    pub(super) fn begin_look(&mut self, time: &mut Time) -> bool {
        if *time == Time::No || !core::mem::take(&mut self.close) {
            return true;
        }
        self.paused = true;
        *time = Time::Pauses;
        false
    }

    /// After a look that found so many, in a ring of so many.
    #[inline]
    pub(super) fn end_look(&mut self, found: usize, turn: usize, time: &mut Time) {
        let paused = core::mem::take(&mut self.paused);
        if paused {
            self.vain = if found == 0 { (self.vain * 2 + 1).min(LONGEST_PAUSE) } else { 0 };
            self.rest = self.vain;
        }
        if found > 0 {
            self.beside = true;
            self.close = found < turn / CLOSE && self.rest == 0;
        } else if self.beside && !paused && *time != Time::No {
            if self.rest == 0 {
                self.paused = true;
                *time = Time::Pauses;
            }
            self.rest = self.rest.saturating_sub(1);
        }
    }
}

/// Lets the other side go on, outside the lane's lock; once.
#[cold]
#[inline(never)]
pub(super) fn pause(time: &mut Time) {
    *time = Time::No;
    (0..PAUSE).for_each(|_| core::hint::spin_loop());
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: usize = 128;

    /// A look that finds so many, by who has time; whether a pause comes before it, or after it.
    fn look(pace: &mut Pace, found: usize) -> (bool, bool) {
        let mut time = Time::Some;
        let before = !pace.begin_look(&mut time);
        let mut time = if before { Time::No } else { Time::Some };
        pace.end_look(found, TURN, &mut time);
        (before, time == Time::Pauses)
    }

    /// Then comes again, if it has paused: whether it has.
    fn miss(pace: &mut Pace) -> bool {
        let (before, after) = look(pace, 0);
        if after {
            pace.end_look(0, TURN, &mut Time::No);
        }
        before || after
    }

    #[test]
    fn who_has_not_seen_the_other_at_work_does_not_pause() {
        let mut pace = Pace::NEW;
        assert!(!miss(&mut pace));
        // What was seen in one loan says nothing about the next.
        look(&mut pace, TURN);
        let mut pace = pace.renewed();
        assert!(!miss(&mut pace));
    }

    #[test]
    fn who_is_close_pauses_before_it_looks_and_who_is_not_does_not() {
        let mut pace = Pace::NEW;
        assert_eq!(look(&mut pace, TURN / CLOSE - 1), (false, false));
        assert_eq!(look(&mut pace, TURN / CLOSE), (true, false));
        assert_eq!(look(&mut pace, TURN), (false, false));
    }

    #[test]
    fn who_finds_nothing_pauses_once() {
        let mut pace = Pace::NEW;
        look(&mut pace, TURN);
        assert_eq!(look(&mut pace, 0), (false, true));
        assert_eq!(look(&mut pace, 0), (false, false));
    }

    #[test]
    fn who_has_no_time_never_pauses() {
        let mut pace = Pace::NEW;
        for found in [1, TURN, 0] {
            let mut time = Time::No;
            assert!(pace.begin_look(&mut time));
            pace.end_look(found, TURN, &mut time);
            assert_eq!(time, Time::No);
        }
    }

    #[test]
    fn pauses_in_vain_become_rare_and_one_that_helps_brings_them_back() {
        let mut pace = Pace::NEW;
        let mut loan = |brings| {
            pace = pace.renewed();
            look(&mut pace, TURN);
            let (_, pauses) = look(&mut pace, 0);
            if pauses {
                pace.end_look(brings, TURN, &mut Time::No);
            }
            pauses
        };
        let pauses = (0..1000).filter(|_| loan(0)).count();
        assert!((10..30).contains(&pauses), "{pauses}");
        let first = (0..1000).position(|_| loan(1));
        assert!(first.is_some_and(|first| first <= usize::from(LONGEST_PAUSE)), "{first:?}");
        assert!((0..10).all(|_| loan(1)));
    }

    #[test]
    fn a_short_ring_is_never_close() {
        let mut pace = Pace::NEW;
        pace.end_look(1, CLOSE - 1, &mut Time::Some);
        assert!(pace.begin_look(&mut Time::Some));
    }
}
