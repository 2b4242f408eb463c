//! An arena's time: what payloads are stamped with, and how long messages wait is measured by.
//!
//! An arena has no clock; somebody tells it the time. Stamps are 32 bits and wrap. Where threads tell it, one may come
//! late with what it has read off their clock, so the time is kept in 64 bits, which do not wrap, and the latest
//! counts. Readers need no order beyond that of the time itself: whoever gets a message has been in the channel's
//! critical section after its sender, and so sees no earlier time.

use super::layout::ArenaRef;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{RawMutex, const_fn};

/// Where 64 bits change in one step, and threads may tell the time.
#[cfg(all(feature = "std", target_has_atomic = "64"))]
mod ticks {
    pub(super) use crate::sync::atomic::AtomicU64 as AtomicTicks;
    pub(super) type Ticks = u64;

    #[inline]
    pub(super) fn stamp(ticks: Ticks) -> u32 {
        // The lower half: stamps wrap.
        ticks as u32
    }
}
#[cfg(not(all(feature = "std", target_has_atomic = "64")))]
mod ticks {
    pub(super) use crate::sync::atomic::AtomicU32 as AtomicTicks;
    pub(super) type Ticks = u32;

    #[inline]
    pub(super) fn stamp(ticks: Ticks) -> u32 {
        ticks
    }
}
use ticks::{AtomicTicks, Ticks, stamp};

/// The time that an arena has been told.
pub(super) struct Time(AtomicTicks);

impl Time {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self(AtomicTicks::new(0))
        }
    }

    #[inline]
    pub(super) fn now(&self) -> u32 {
        stamp(self.0.load(Relaxed))
    }
}

impl<M: RawMutex> ArenaRef<'_, M> {
    /// Tells the arena the time, in ticks of the caller's choice: payloads are stamped with the latest,
    /// and [`dump`](Self::dump) shows their ages. Call it from a timer interrupt or a poll loop. What a
    /// `Runtime` of the std layer works in is told by that.
    ///
    /// ```
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    /// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// let arena = ARENA.handle();
    /// arena.set_now(100);
    /// let lease = arena.try_alloc(10)?;
    /// arena.set_now(130);
    /// assert_eq!(arena.dump().next().and_then(|payload| payload.age), Some(30));
    /// # Ok::<(), cloakroom::TryAllocError>(())
    /// ```
    pub fn set_now(self, ticks: u32) {
        self.core().now.0.store(Ticks::from(ticks), Relaxed);
    }

    /// As [`set_now`](Self::set_now), for several threads with one clock: the latest time counts, whoever comes last.
    #[cfg(all(feature = "std", target_has_atomic = "64"))]
    pub(crate) fn advance_now(self, ticks: u64) {
        let now = &self.core().now.0;
        // A look first, as most have nothing to say: a change takes the line away from all other cores.
        if now.load(Relaxed) < ticks {
            now.fetch_max(ticks, Relaxed);
        }
    }

    /// As [`set_now`](Self::set_now). Where 64 bits do not change in one step, threads that are less than half the range
    /// late are told from those whose ticks have wrapped.
    #[cfg(all(feature = "std", not(target_has_atomic = "64")))]
    pub(crate) fn advance_now(self, ticks: u64) {
        let (now, ticks) = (&self.core().now.0, ticks as u32);
        let before = now.load(Relaxed);
        if (ticks.wrapping_sub(before) as i32) > 0 {
            // If it fails, another thread has said about the same.
            let _ = now.compare_exchange(before, ticks, Relaxed, Relaxed);
        }
    }
}

#[cfg(all(test, feature = "std", target_has_atomic = "64", not(any(loom, shuttle))))]
mod tests {
    use crate::Arena;
    use crate::sync::CriticalSectionRawMutex as Lock;

    #[test]
    fn who_comes_late_does_not_turn_the_time_back() {
        let arena: Arena<Lock, 1, 64, 1> = Arena::new();
        let arena = arena.handle();
        let now = || arena.core().now.now();
        let wrapped = (1_u64 << 32) + 3;
        for (told, kept) in [(5, 5), (4, 5), (u32::MAX.into(), u32::MAX), (wrapped, 3), (9, 3)] {
            arena.advance_now(told);
            assert_eq!(now(), kept, "after {told}");
        }
        // Whoever sets it may.
        arena.set_now(1);
        assert_eq!(now(), 1);
    }
}
