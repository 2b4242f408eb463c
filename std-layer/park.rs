//! How a thread waits to be woken.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::thread_local;
use std::time::{Duration, Instant};

/// About what it costs that a sleeper is woken: the system call of who wakes it, and the time until it runs. Measured
/// on virtual machines: 7 µs for the one, 13 to 38 µs for the other.
const WAKE: Duration = Duration::from_micros(20);
/// How often a thread that expects to be woken soon looks before it begins to let others run in between.
const LOOKS: u32 = 100;
/// One wait in so many is begun awake whatever is expected: otherwise a thread that has once been slow could stay
/// slow, as a sleeper finds it hard to tell how soon it was woken.
const PROBE: u32 = 16;

/// Parks and wakes a thread.
pub(super) struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the Acquire in `park`: the woken thread sees why. `unpark` is skipped
        // when a wake-up is on its way already.
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

impl Unpark {
    /// Of the thread that calls, with a waker.
    pub(super) fn of_this_thread() -> (Arc<Self>, Waker) {
        let unpark = Arc::new(Self { thread: thread::current(), woken: AtomicBool::new(false) });
        (unpark.clone(), Waker::from(unpark))
    }

    /// Wakes the thread that calls: its next wait is none.
    pub(super) fn wake_itself(&self) {
        // Swapped, as a store would hide from `park` what a waker before it has released.
        self.woken.swap(true, Ordering::Release);
    }

    /// Waits until woken, or for `limit`: awake for a moment, if that is how long this thread has waited of late, then
    /// asleep.
    pub(super) fn park(&self, limit: Option<Duration>) {
        if self.is_woken() {
            return;
        }
        let begin = Instant::now();
        // A limit beyond what the clock can tell is none.
        let end = limit.and_then(|limit| begin.checked_add(limit));
        let is_soon = PATIENCE.with(Patience::expects_soon);
        let slept = !(is_soon && self.wait_awake(begin, end)) && self.sleep(end);
        let waited = begin.elapsed();
        PATIENCE.with(|patience| {
            // Most of a short sleep is the waking.
            patience.note(if slept { waited.saturating_sub(WAKE) } else { waited });
        });
    }

    #[inline]
    fn is_woken(&self) -> bool {
        // Looked at first, as a swap takes the line away from who wakes. Acquire pairs with the Release in
        // `wake_by_ref`.
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::Acquire)
    }

    /// Waits for as long as a wake-up would cost. Whether that was enough.
    fn wait_awake(&self, begin: Instant, end: Option<Instant>) -> bool {
        for _ in 0..LOOKS {
            if self.is_woken() {
                return true;
            }
            core::hint::spin_loop();
        }
        loop {
            thread::yield_now();
            if self.is_woken() {
                return true;
            }
            let now = Instant::now();
            if now.duration_since(begin) > WAKE {
                return false;
            }
            if end.is_some_and(|end| end <= now) {
                return true;
            }
        }
    }

    /// Sleeps. Whether it really did.
    fn sleep(&self, end: Option<Instant>) -> bool {
        let mut slept = false;
        // `park` may return early, so the flag decides.
        while !self.is_woken() {
            match end {
                None => thread::park(),
                Some(end) => {
                    let rest = end.saturating_duration_since(Instant::now());
                    if rest.is_zero() {
                        break;
                    }
                    thread::park_timeout(rest);
                }
            }
            slept = true;
        }
        slept
    }
}

thread_local! {
    static PATIENCE: Patience = const { Patience { usual: Cell::new(0), waits: Cell::new(0) } };
}

/// What a thread expects of its next wait.
struct Patience {
    /// How long the last few took, in nanoseconds, the latest one counting for a quarter.
    usual: Cell<u32>,
    waits: Cell<u32>,
}

impl Patience {
    /// Whether staying awake is cheaper than being woken.
    fn expects_soon(&self) -> bool {
        let waits = self.waits.get().wrapping_add(1);
        self.waits.set(waits);
        u128::from(self.usual.get()) < WAKE.as_nanos() || waits % PROBE == 0
    }

    fn note(&self, waited: Duration) {
        // One long wait among short ones is forgotten after two more.
        let waited = waited.min(WAKE * 4).as_nanos() as u32;
        self.usual.set(self.usual.get() / 4 * 3 + waited / 4);
    }
}
