//! When to spill: marks, and what a channel makes of them.

use crate::arena::{ArenaRef, FULL};
use crate::sync::RawMutex;
use crate::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};

/// How full an arena may get, in percent of its pages, and of its descriptors: whichever are scarcer count.
///
/// From `high` on payloads go out, until it is below `low`. In between it stays as it was, so that a level near to a mark does not
/// send every other payload out. With `std`, up to fifteen more may go out when it is below, as threads keep memory aside that is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Watermarks {
    high: u8,
    low: u8,
}

impl Watermarks {
    /// Marks in percent: `high` up to 100, `low` up to `high`; what is more counts as that.
    pub const fn new(high: u8, low: u8) -> Self {
        let high = if high > 100 { 100 } else { high };
        Self { high, low: if low > high { high } else { low } }
    }

    /// As a part of [`FULL`].
    pub(super) fn low(self) -> u32 {
        u32::from(self.low) * (FULL / 100)
    }

    /// The mark of a channel of that importance.
    fn high(self, importance: u8) -> u32 {
        let high = u32::from(self.high) * (FULL / 100);
        high + (FULL - high) / 256 * u32::from(importance)
    }
}

impl Default for Watermarks {
    /// From 85 percent on, until it is below 60.
    fn default() -> Self {
        Self::new(85, 60)
    }
}

/// Which payloads of a channel may leave the arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Policy {
    /// None.
    Never,
    /// Those that will be received last: what is sent while the arena is above its mark, then, by
    /// [`step`](super::SpillBytes::step), what waits, from the tail on.
    #[default]
    ColdFirst,
    /// The same, but from a higher mark on: so many 256ths of the way from the high mark to a full arena. So channels that matter
    /// less go out first. `Priority(0)` is `ColdFirst`.
    Priority(u8),
}

/// Whether the arena is above a mark, with what it was before.
pub(super) struct Level {
    above: AtomicBool,
    /// Looks since an exact one.
    looks: AtomicU8,
}

/// How a look is made. The two differ with `std`, where threads put memory aside that is free, but counts as in use until it is brought
/// back; that costs as much as a message does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// For each message: an arena that seems to be above a mark still is looked at exactly one time in sixteen only.
    Cheap,
    Exact,
}

const INEXACT: u8 = 15;

impl Level {
    pub(super) const fn new() -> Self {
        Self { above: AtomicBool::new(false), looks: AtomicU8::new(0) }
    }

    /// As it is now.
    pub(super) fn is_above<M: RawMutex>(
        &self,
        arena: ArenaRef<'_, M>,
        marks: Watermarks,
        importance: u8,
        look: Look,
    ) -> bool {
        // Relaxed, all: they go with no other data. Two who look at once may find what each of them saw.
        let was = self.above.load(Relaxed);
        let mark = if was { marks.low() } else { marks.high(importance) };
        let seems = arena.load().is_from(mark);
        let looks = self.looks.load(Relaxed);
        if seems && was && look == Look::Cheap && looks < INEXACT {
            self.looks.store(looks + 1, Relaxed);
            return true;
        }
        let is = seems && arena.load_exactly().is_from(mark);
        self.looks.store(0, Relaxed);
        if is != was {
            self.above.store(is, Relaxed);
        }
        is
    }
}
