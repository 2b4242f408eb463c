//! A lock for what one thread uses most of the time.
//!
//! An uncontended lock costs one read-modify-write, which waits until all that the thread has stored before is seen by everybody:
//! most of what a value through a lane takes. So a lock that the same thread takes over and over again is *biased* to it: from
//! then on that thread enters by a plain store. Whoever else comes takes the bias away first, and that costs a system call
//! which makes every processor that runs a thread of this process go by a full fence: up to 9 µs where the
//! owner runs on another core. So it must be rare, which the lock sees to by what it asks for the next time.
//! (Kawachiya, Koseki, Onodera: "Lock Reservation", OOPSLA 2002; the fence is Linux's `membarrier`.)
//!
//! ```text
//!             one thread has taken it `patience` times in a row
//!   shared ────────────────────────────────────────────────────► biased to t
//!     ▲     `held` by compare-exchange: who has it is inside          │  t: inside := true; is it still mine? then it is inside
//!     │                                                               │
//!     └──────────── another thread: takes `held`; owner := none ; ◄──┘
//!                   fence of all; waits until `inside` is false; it is inside. patience × 4
//! ```
//!
//! Why two are never inside: of the owner, which stores `inside` and then loads `owner`, and of who takes the bias away, which
//! stores `owner` and then loads `inside`, at least one sees what the other has stored, as a fence lies between the two steps of
//! each. The owner's is a fence to the compiler alone; the other one's is one for all processors: whatever the owner had stored by
//! then is seen, and what it loads after that is what was stored before. A model checker is given two full fences in their place.

use std::cell::Cell;

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, compiler_fence};

#[cfg(not(loom))]
use super::lock::{Held, wait_until};
#[cfg(loom)]
use super::modelled::{Held, wait_until};
use crate::sync::thread;

/// Where it has been measured, and there is such a fence: elsewhere it is a lock like others.
const BIASES: bool =
    cfg!(any(loom, all(target_os = "linux", target_arch = "x86_64", not(any(miri, shuttle)))));

/// How often in a row one thread takes it before it is biased: what that saves by then, some 3 ns each time, is what it costs to take
/// the bias away. Four times as often after each time that happens, up to these steps: then a system call once in 10 ms is no
/// matter.
const PATIENCE: u32 = if cfg!(loom) { 1 } else { 2048 };
const MOST_STEPS: u8 = 5;

/// A lock, biased to a thread that takes it over and over again. 16 bytes.
#[repr(C)]
pub struct Biased {
    owner: AtomicU32,
    /// Who took it last by `held`, and how often more in a row until it is biased. Under `held`.
    last: Cell<u32>,
    left: Cell<u32>,
    /// How often the bias was taken away, at the most. Under `held`.
    steps: Cell<u8>,
    /// Whether it may be biased from now on.
    may_bias: AtomicBool,
    /// Of the owner.
    inside: AtomicBool,
    /// Of all others.
    held: AtomicBool,
}

// SAFETY: the cells are touched by whoever has `held` alone.
unsafe impl Sync for Biased {}

impl Biased {
    crate::sync::const_fn! {
        pub const fn new() -> Self {
            Self {
                owner: AtomicU32::new(thread::NONE),
                last: Cell::new(thread::NONE),
                left: Cell::new(0),
                steps: Cell::new(0),
                may_bias: AtomicBool::new(true),
                inside: AtomicBool::new(false),
                held: AtomicBool::new(false),
            }
        }
    }

    /// Waits until it is free, and holds it for as long as the guard lives. Not to be entered again meanwhile.
    #[inline]
    pub fn hold(&self) -> Held<'_> {
        let me = thread::number();
        if BIASES && self.is_mine(me) {
            // Relaxed: nothing is told by it. What those find who wait for it to be false was stored by `Held::drop`.
            self.inside.store(true, Ordering::Relaxed);
            light_fence();
            if self.is_mine(me) {
                return Held::by(&self.inside);
            }
            // Release, as in `Held::drop`: who waits sees what this thread has done inside before.
            self.inside.store(false, Ordering::Release);
        }
        self.share(me)
    }

    /// Whether it may be biased from now on. A bias that is there stays.
    pub fn let_bias(&self, may_bias: bool) {
        // Relaxed: who sees it late biases it, and that is right, too.
        self.may_bias.store(may_bias, Ordering::Relaxed);
    }

    /// Acquire, so that what is done inside stays behind it. There is nothing to be seen: since this thread's number was
    /// stored, by itself, nobody else has been inside.
    #[inline]
    fn is_mine(&self, me: u32) -> bool {
        self.owner.load(Ordering::Acquire) == me
    }

    #[inline]
    fn share(&self, me: u32) -> Held<'_> {
        if !self.try_share() {
            self.contend();
        }
        if BIASES {
            // Relaxed: changed under `held` alone.
            if self.owner.load(Ordering::Relaxed) != thread::NONE {
                self.take_away();
            }
            let left = if self.last.replace(me) == me { self.left.get() } else { self.patience() };
            self.left.set(left - 1);
            if left == 1 {
                self.bias(me);
            }
        }
        Held::by(&self.held)
    }

    fn patience(&self) -> u32 {
        PATIENCE << (2 * self.steps.get())
    }

    #[inline]
    fn try_share(&self) -> bool {
        // Acquire pairs with the Release in `Held::drop`: what the last holder wrote is seen.
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn contend(&self) {
        // A plain load until it looks free, so that waiters share the cache line.
        wait_until(|| !self.held.load(Ordering::Relaxed) && self.try_share());
    }

    /// To this thread, which has `held`.
    #[cold]
    fn bias(&self, me: u32) {
        self.left.set(self.patience());
        let may_bias = self.may_bias.load(Ordering::Relaxed) && me != thread::SHARED;
        if may_bias && heavy_fence::is_there() {
            // Relaxed: it means something to this thread, which has stored it, and to those who have `held` after it, which is
            // given up by a Release.
            self.owner.store(me, Ordering::Relaxed);
        }
    }

    /// From the owner. With `held`, so nobody else does, and it is not biased to another thread meanwhile.
    #[cold]
    fn take_away(&self) {
        self.steps.set((self.steps.get() + 1).min(MOST_STEPS));
        self.last.set(thread::NONE);
        self.owner.store(thread::NONE, Ordering::Relaxed);
        heavy_fence::for_all();
        // Acquire pairs with the owner's Release: what it has done inside is seen.
        wait_until(|| !self.inside.load(Ordering::Acquire));
    }
}

/// Keeps the compiler from exchanging the owner's store and load. The processor may, until it comes by the fence for all.
#[inline]
fn light_fence() {
    #[cfg(not(loom))]
    compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// A full fence of every processor that runs a thread of this process.
#[cfg(all(target_os = "linux", target_arch = "x86_64", not(any(miri, loom, shuttle))))]
mod heavy_fence {
    use std::sync::OnceLock;
    use std::sync::atomic::{Ordering, fence};
    use std::thread;
    use std::time::Duration;

    use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

    /// The system lets this process have it.
    pub(super) fn is_there() -> bool {
        static IS_THERE: OnceLock<bool> = OnceLock::new();
        *IS_THERE.get_or_init(|| {
            membarrier_query().contains_command(MembarrierCommand::PrivateExpedited)
                && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
        })
    }

    pub(super) fn for_all() {
        // This thread's own, whatever the system call does.
        fence(Ordering::SeqCst);
        if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
            // A process that has registered is not refused, unless it forbids itself the call later on (by a filter of
            // system calls). What is waited for then is that a store leaves the owner's processor, which takes nanoseconds,
            // and that a load that it began before ends.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(loom)]
mod heavy_fence {
    use loom::sync::atomic::{Ordering, fence};

    pub(super) fn is_there() -> bool {
        true
    }

    pub(super) fn for_all() {
        fence(Ordering::SeqCst);
    }
}

/// There is none: nothing is ever biased.
#[cfg(not(any(loom, all(target_os = "linux", target_arch = "x86_64", not(any(miri, shuttle))))))]
mod heavy_fence {
    pub(super) fn is_there() -> bool {
        false
    }

    pub(super) fn for_all() {}
}
