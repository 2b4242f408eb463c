//! A watchdog: work that hangs fails its test.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Far more than anything takes, on a busy machine, too. Nothing is said about speed by it.
const LIMIT: Duration = Duration::from_secs(180);

/// Does `work` on a thread of its own; panics if it panics, or does not end.
pub fn watched(work: impl FnOnce() + Send + 'static) {
    let (ended, end) = channel::<()>();
    // Channels of large values are made on the stack, and without optimisation more than once.
    let thread = thread::Builder::new().stack_size(16 << 20).spawn(move || {
        // Dropped at the end, however that comes about.
        let _ended = ended;
        work();
    });
    let thread = thread.expect("a thread");
    assert_ne!(end.recv_timeout(LIMIT), Err(RecvTimeoutError::Timeout), "it hangs");
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}
