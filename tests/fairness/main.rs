//! Waits are fair: whoever waits is served in its turn, and nobody who comes later is faster.
//!
//! | file | what is shown |
//! |---|---|
//! | `order` | 64 waiters are served in the order in which they came: receivers, senders, permits, selects among plain waiters; polled by one executor, as tasks of the kernel, and as threads |
//! | `barging` | threads that try again and again take nothing away from one who waits |
//!
//! What is counted is who gets what, never how long it takes.
#![cfg(all(feature = "std", not(loom)))]

#[macro_use]
#[path = "../common/kinds.rs"]
mod kinds;
#[path = "../common/wake_log.rs"]
mod wake_log;
#[path = "../common/watch.rs"]
mod watch;

mod barging;
mod order;

mod runners {
    /// Runs a test, and fails if it hangs.
    pub fn alone(test: fn()) {
        crate::watch::watched(test);
    }
}
