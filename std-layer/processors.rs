//! Whether anybody can be at work while another one looks.

#[cfg(all(target_os = "linux", not(any(test, loom, shuttle))))]
use std::sync::OnceLock;

/// Whether the program was put on a single processor, as by `taskset` or a container's set of them: all of it, as its first thread was when this was asked
/// first. (A share of the time of several, such as a quota, is no matter: its threads run at once.)
///
/// Then nobody does anything while somebody pauses, so who waits lets others run at once. To others that see to the same, 64 bytes between two threads
/// take 1.15 times as long then instead of 1.25, and `u64` from four threads to one 1.3 times instead of 1.55.
pub(super) fn are_one() -> bool {
    // Tests tell what is done where there are several, wherever they run.
    #[cfg(all(target_os = "linux", not(any(test, loom, shuttle))))]
    {
        static ARE_ONE: OnceLock<bool> = OnceLock::new();
        // One system call, which allocates nothing: somebody waits. (What the standard library asks opens files.)
        *ARE_ONE.get_or_init(|| {
            let first = rustix::process::getpid();
            rustix::thread::sched_getaffinity(Some(first)).is_ok_and(|set| set.count() == 1)
        })
    }
    #[cfg(not(all(target_os = "linux", not(any(test, loom, shuttle)))))]
    false
}
