//! A clock of milliseconds, counted by SysTick.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cloakroom::kernel::Clock;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// SysTick's clock at reset.
const CLOCK_HZ: u32 = 12_000_000;

/// Milliseconds since [`start`](Self::start), if SysTick's handler calls [`tick`](Self::tick).
pub struct Uptime(AtomicU32);

impl Uptime {
    /// Not started: the time is 0.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Has SysTick interrupt every millisecond.
    pub fn start(&self, syst: &mut SYST) {
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(CLOCK_HZ / 1_000 - 1);
        syst.clear_current();
        syst.enable_counter();
        syst.enable_interrupt();
    }

    /// Counts a millisecond, in SysTick's handler and nowhere else, and tells how many there are.
    pub fn tick(&self) -> u32 {
        let now = self.0.load(Relaxed).wrapping_add(1);
        self.0.store(now, Relaxed);
        now
    }
}

impl Clock for Uptime {
    const TICKS_PER_SECOND: u64 = 1_000;
    fn now(&self) -> u64 {
        self.0.load(Relaxed).into()
    }
}
