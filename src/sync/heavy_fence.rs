//! A full fence of every processor that runs a thread of this process: what one thread pays so that others need none.
//!
//! It is Linux's `membarrier`, where what it saves has been measured. A process registers for it once, and if it has threads by then, that takes
//! some 10 ms; so it is done when a channel or an arena is made, and not when a lock is first biased.

#[cfg(feature = "std")]
pub(crate) use imp::prepare;
pub(super) use imp::{MAY_BE_THERE, for_all, is_there};

#[cfg(all(target_os = "linux", target_arch = "x86_64", not(any(miri, loom, shuttle))))]
mod imp {
    use std::sync::OnceLock;
    use std::sync::atomic::{Ordering, fence};
    use std::thread;
    use std::time::Duration;

    use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

    pub(in crate::sync) const MAY_BE_THERE: bool = true;

    static IS_THERE: OnceLock<bool> = OnceLock::new();

    /// Registers, if the system lets this process do so.
    pub(crate) fn prepare() {
        IS_THERE.get_or_init(|| {
            membarrier_query().contains_command(MembarrierCommand::PrivateExpedited)
                && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
        });
    }

    /// It has been registered for.
    pub(in crate::sync) fn is_there() -> bool {
        IS_THERE.get() == Some(&true)
    }

    pub(in crate::sync) fn for_all() {
        // This thread's own, whatever the system call does.
        fence(Ordering::SeqCst);
        if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
            // A process that has registered is not refused, unless it forbids itself the call later on, by a filter of
            // system calls. What is waited for then is that a store leaves another processor, which takes nanoseconds, and that a load
            // that was begun before it ends.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A model checker is given full fences on both sides.
#[cfg(loom)]
mod imp {
    use loom::sync::atomic::{Ordering, fence};

    pub(in crate::sync) const MAY_BE_THERE: bool = true;

    #[cfg(feature = "std")]
    pub(crate) fn prepare() {}

    pub(in crate::sync) fn is_there() -> bool {
        true
    }

    pub(in crate::sync) fn for_all() {
        fence(Ordering::SeqCst);
    }
}

/// There is none.
#[cfg(not(any(loom, all(target_os = "linux", target_arch = "x86_64", not(any(miri, shuttle))))))]
mod imp {
    pub(in crate::sync) const MAY_BE_THERE: bool = false;

    pub(crate) fn prepare() {}

    pub(in crate::sync) fn is_there() -> bool {
        false
    }

    pub(in crate::sync) fn for_all() {}
}
