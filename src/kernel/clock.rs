//! What time it is, in ticks.

/// A clock that counts ticks from some moment on and never goes back.
///
/// On a microcontroller it is a hardware counter extended to 64 bits; with `std` there is `StdClock`.
///
/// ```
/// use core::sync::atomic::{AtomicU32, Ordering};
/// use cloakroom::kernel::Clock;
///
/// /// Milliseconds, counted by the SysTick handler.
/// struct Uptime(AtomicU32);
///
/// impl Clock for Uptime {
///     const TICKS_PER_SECOND: u64 = 1_000;
///     fn now(&self) -> u64 {
///         self.0.load(Ordering::Relaxed).into()
///     }
/// }
/// # assert_eq!(Uptime(AtomicU32::new(3)).now(), 3);
/// ```
pub trait Clock {
    /// Ticks a second.
    const TICKS_PER_SECOND: u64;

    /// The ticks so far.
    fn now(&self) -> u64;
}
