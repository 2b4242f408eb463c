//! A task that finds no slot, or no value, while the other side runs beside it, on another thread, gives that a moment.
//!
//! Otherwise it parks, and who wakes it takes it over to its own thread: an executor runs first what the task before has woken, there.
//! Then two tasks take turns on one thread, and each value costs what parking and waking do, or, if it is less, a system call now and then
//! by which the executor wakes an idle thread in vain. Two that run beside each other, on the other hand, must not be close: each value
//! would cost both of them a cache line. So whoever has closed up pauses for as long as several values take.
//!
//! Where the other side last ran on the same thread it cannot run now. And where it was of no use of late it is hardly tried: who sends
//! now and then is not waited for.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::channel::aside::Missed;

/// How long it pauses before its first look, in processor pauses, and twice as long before each next one: the other side passes dozens of
/// values meanwhile. A value takes 8 to 10 ns where processors share their last cache, and 20 to 30 where they do not; with two looks after 64
/// pauses each, 16, and 20 to 37. (With pauses of 16 alone it took 35 to 45 where no cache was shared at all.)
const PAUSE: u32 = 16;
/// How often it does that.
const LOOKS: u32 = 3;
/// How many waits go by at the most, when it was of no use, before it is tried again.
const LONGEST_REST: u8 = 63;

/// What one side has to expect of looking again.
pub(super) struct Beside {
    /// How many waits go by before the next that is tried, and how many did before the last. Hints.
    rest: AtomicU8,
    rested: AtomicU8,
    /// Whether the last who took the channel's lock had to wait there, as far as others had not foreseen that. A hint.
    waited: AtomicBool,
}

impl Beside {
    #[allow(clippy::declare_interior_mutable_const)] // made anew at each use
    pub(super) const NEW: Self =
        Self { rest: AtomicU8::new(0), rested: AtomicU8::new(0), waited: AtomicBool::new(false) };

    /// Whether who comes now will probably have to wait.
    #[inline]
    pub(super) fn waited(&self) -> bool {
        // Relaxed, as all of them.
        self.waited.load(Ordering::Relaxed)
    }

    /// That this was otherwise.
    pub(super) fn note(&self, waited: bool) {
        self.waited.store(waited, Ordering::Relaxed);
    }

    /// Makes attempts until one does not find that there is none now.
    pub(super) fn look<V, R>(
        &self,
        mut value: V,
        mut attempt: impl FnMut(V) -> Result<R, Missed<V>>,
    ) -> Result<R, Missed<V>> {
        // Relaxed, all of them: who comes at the same time looks once more, or once less.
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            self.rest.store(rest - 1, Ordering::Relaxed);
            return Err(Missed::NotNow(value));
        }
        for look in 0..LOOKS {
            (0..PAUSE << look).for_each(|_| spin_loop());
            value = match attempt(value) {
                Err(Missed::NotNow(value)) => value,
                done => {
                    self.rested.store(0, Ordering::Relaxed);
                    return done;
                }
            };
        }
        let rested = self.rested.load(Ordering::Relaxed);
        let rest = rested.saturating_mul(2).saturating_add(1).min(LONGEST_REST);
        self.rested.store(rest, Ordering::Relaxed);
        self.rest.store(rest, Ordering::Relaxed);
        Err(Missed::NotNow(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks for what comes at attempt number `comes`. How many it made.
    fn look(beside: &Beside, comes: u32) -> u32 {
        let mut attempts = 0;
        let found = beside.look((), |()| {
            attempts += 1;
            if attempts == comes { Ok(()) } else { Err(Missed::NotNow(())) }
        });
        assert_eq!(found.is_ok(), attempts == comes);
        attempts
    }

    #[test]
    fn who_looks_in_vain_hardly_does_so_any_more() {
        let beside = Beside::NEW;
        let attempts: u32 = (0..640).map(|_| look(&beside, u32::MAX)).sum();
        // After 0, 1, 3, 7, 15, 31 that went by, and then each 64th.
        assert!((LOOKS * 10..=LOOKS * 16).contains(&attempts), "{attempts}");
    }

    #[test]
    fn who_has_found_something_looks_each_time() {
        let beside = Beside::NEW;
        (0..1000).for_each(|_| _ = look(&beside, u32::MAX));
        let waits = (1..).find(|_| look(&beside, 2) == 2);
        assert!(waits.is_some_and(|waits| waits <= 1 + u32::from(LONGEST_REST)), "{waits:?}");
        (0..100).for_each(|_| assert_eq!(look(&beside, 2), 2));
    }

    #[test]
    fn who_is_to_go_another_way_does_not_look_again() {
        let beside = Beside::NEW;
        for _ in 0..10 {
            let mut attempts = 0;
            let missed = beside.look('x', |value| -> Result<(), _> {
                attempts += 1;
                Err(Missed::Shut(value))
            });
            assert!(matches!(missed, Err(Missed::Shut('x'))));
            assert_eq!(attempts, 1);
        }
    }
}
