//! The operating system's clock.

use std::time::{Duration, Instant};

use crate::kernel::Clock;

/// Microseconds since this clock was made, monotonic.
///
/// ```
/// use cloakroom::kernel::Clock;
/// use cloakroom::std_layer::StdClock;
///
/// let clock = StdClock::new();
/// let before = clock.now();
/// assert!(clock.now() >= before);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StdClock {
    start: Instant,
}

impl StdClock {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// How long it is until `tick`; nothing if it has passed.
    pub fn until(&self, tick: u64) -> Duration {
        match self.start.checked_add(Duration::from_micros(tick)) {
            Some(end) => end.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        }
    }

    /// `duration` in ticks, rounded up.
    pub fn ticks(duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
    }
}

impl Default for StdClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for StdClock {
    const TICKS_PER_SECOND: u64 = 1_000_000;

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
