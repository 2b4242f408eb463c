//! A fence between two threads' stores and loads for which one of them alone pays.
//!
//! Two threads that each store one word and then load the other's both miss what the other has stored, unless a full fence lies between the
//! two steps of each. If one of them comes all the time, and the other hardly ever, the fence of the first can be one to
//! its compiler alone, which costs nothing ([`light`]), if that of the other makes every processor that runs a thread of this process go by a
//! full one ([`heavy`]): whatever the first had stored by then is seen, and what it loads after that is what was stored before.
//! (In C++ proposed as `asymmetric_thread_fence_light` and `_heavy`, P1202.)
//!
//! The heavy one is Linux's `membarrier`, on x86-64, where what it saves has been measured. A process registers for it once, and if it has
//! threads by then, that takes some 10 ms; so it is done when a channel or an arena is made, and not when it is first wanted.

// Firmware has no use for most of it.
#[cfg_attr(not(feature = "std"), allow(unused_imports))]
pub(crate) use imp::{MAY_BE_THERE, heavy, is_there, light, prepare};

#[cfg(all(
    feature = "std",
    target_os = "linux",
    target_arch = "x86_64",
    not(any(miri, loom, shuttle))
))]
mod imp {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};
    use std::thread;
    use std::time::Duration;

    use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

    pub(crate) const MAY_BE_THERE: bool = true;

    static REGISTERED: Once = Once::new();
    static IS_THERE: AtomicBool = AtomicBool::new(false);

    /// Registers, if the system lets this process do so.
    pub(crate) fn prepare() {
        REGISTERED.call_once(|| {
            if membarrier_query().contains_command(MembarrierCommand::PrivateExpedited)
                && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
            {
                // SeqCst: see `is_there`.
                IS_THERE.store(true, Ordering::SeqCst);
            }
        });
    }

    /// Whether it may be used; from some moment on it may.
    ///
    /// Whoever uses the light side has found so. Then who comes to the heavy side later finds so, too; and if one that found it not to be there
    /// was before that moment, then what it has stored before it looked is seen by all who look after it: this processor's
    /// loads are not exchanged with each other, nor its SeqCst stores with later loads.
    #[inline]
    pub(crate) fn is_there() -> bool {
        IS_THERE.load(Ordering::SeqCst)
    }

    /// Keeps the compiler from exchanging a store and a load. The processor may, until it comes by the heavy one.
    #[inline]
    pub(crate) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() {
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

    pub(crate) const MAY_BE_THERE: bool = true;

    pub(crate) fn prepare() {}

    pub(crate) fn is_there() -> bool {
        true
    }

    pub(crate) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() {
        fence(Ordering::SeqCst);
    }
}

/// There is none.
#[cfg(not(any(
    loom,
    all(feature = "std", target_os = "linux", target_arch = "x86_64", not(any(miri, shuttle)))
)))]
#[cfg_attr(not(feature = "std"), allow(dead_code))]
mod imp {
    pub(crate) const MAY_BE_THERE: bool = false;

    pub(crate) fn prepare() {}

    pub(crate) fn is_there() -> bool {
        false
    }

    pub(crate) fn light() {}

    pub(crate) fn heavy() {}
}
