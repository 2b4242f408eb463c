//! Whether anybody can be at work while another one looks.

use std::sync::OnceLock;
use std::thread;

/// Whether there is a single processor for this program, or a share of one, as in many a container: as it was when that was asked first.
///
/// Then nobody does anything while somebody pauses, so who waits lets others run at once. To others that see to the same, 64 bytes between two threads
/// take 1.15 times as long then instead of 1.25, and `u64` from four threads to one 1.3 times instead of 1.55.
pub(super) fn are_one() -> bool {
    static ARE_ONE: OnceLock<bool> = OnceLock::new();
    // Tests tell what is done where there are several, wherever they run.
    !cfg!(any(test, loom, shuttle))
        && *ARE_ONE
            .get_or_init(|| thread::available_parallelism().is_ok_and(|count| count.get() == 1))
}
