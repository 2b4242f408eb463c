//! What the threads of a round share besides the channels: a lock that lets others in between, a place to
//! sleep that notices when everybody sleeps, and a common start.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread;

use cloakroom::sync::RawMutex;

thread_local! {
    /// The state of a generator, and how often of 16 times the thread gives up its time slice.
    static STIR: Cell<(u64, u8)> = const { Cell::new((0, 0)) };
}

/// From now on this thread pauses so often of 16 times before, in and after a critical section.
pub fn stir_by(seed: u64, times: u8) {
    STIR.set((seed | 1, times));
}

fn stir() {
    let (state, times) = STIR.get();
    if times > 0 {
        // Xorshift: a few instructions, so that the threads are not driven apart.
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        let state = state ^ (state << 17);
        STIR.set((state, times));
        if ((state >> 32) & 15) < u64::from(times) {
            thread::yield_now();
        }
    }
}

/// The lock `M`, with pauses: the critical sections of a short round then meet in many orders, on few
/// cores, too.
pub struct Stirred<M>(M);

// SAFETY: `M` excludes.
unsafe impl<M: RawMutex> RawMutex for Stirred<M> {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self(M::INIT);

    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        stir();
        let result = self.0.lock(|| {
            // With the lock held: whoever needs another lock, for another arm of a select, comes first.
            stir();
            f()
        });
        stir();
        result
    }
}

/// How a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    Woken,
    /// Nobody is awake any more who could wake this thread.
    Stuck,
    /// The round has been given up.
    Over,
}

struct Sleepers {
    /// Threads that are awake, or have been woken.
    running: usize,
    woken: Vec<bool>,
    asleep: Vec<bool>,
    over: bool,
}

/// Where the threads of a round sleep. As all wake-ups come from these threads, a wake-up that was
/// forgotten shows as soon as all sleep, without a time limit.
pub struct Bedroom {
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
}

impl Bedroom {
    pub fn new(threads: usize) -> Self {
        let sleepers = Sleepers {
            running: threads,
            woken: vec![false; threads],
            asleep: vec![false; threads],
            over: false,
        };
        Self { sleepers: Mutex::new(sleepers), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until thread `number` is woken.
    pub fn sleep(&self, number: usize) -> Rest {
        let mut sleepers = self.lock();
        if !sleepers.woken[number] {
            sleepers.running -= 1;
            if sleepers.running == 0 {
                sleepers.running += 1;
                return Rest::Stuck;
            }
            sleepers.asleep[number] = true;
            while !sleepers.woken[number] && !sleepers.over {
                sleepers = self.changed.wait(sleepers).unwrap_or_else(PoisonError::into_inner);
            }
        }
        sleepers.woken[number] = false;
        if sleepers.over { Rest::Over } else { Rest::Woken }
    }

    fn wake(&self, number: usize) {
        let mut sleepers = self.lock();
        sleepers.woken[number] = true;
        if std::mem::take(&mut sleepers.asleep[number]) {
            sleepers.running += 1;
            self.changed.notify_all();
        }
    }

    /// A thread has done its part. `Stuck`: all others sleep, and it should wake somebody and try again.
    pub fn leave(&self) -> Rest {
        let mut sleepers = self.lock();
        if sleepers.running == 1 && sleepers.asleep.contains(&true) {
            return Rest::Stuck;
        }
        sleepers.running -= 1;
        Rest::Woken
    }

    /// Sends everybody home.
    pub fn give_up(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Whether it was given up.
    pub fn is_over(&self) -> bool {
        self.lock().over
    }
}

/// One thread's bed, for its waker.
pub struct Bed {
    pub room: Arc<Bedroom>,
    pub number: usize,
}

impl Wake for Bed {
    fn wake(self: Arc<Self>) {
        self.room.wake(self.number);
    }
}

/// Where threads wait for each other, awake, so that they start at once.
#[derive(Default)]
pub struct Gate {
    arrived: AtomicUsize,
    broken: AtomicBool,
}

impl Gate {
    /// Waits for all `threads`; `false` when one of them will never come.
    pub fn pass(&self, threads: usize) -> bool {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        while self.arrived.load(Ordering::Acquire) < threads {
            if self.broken.load(Ordering::Acquire) {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    pub fn break_down(&self) {
        self.broken.store(true, Ordering::Release);
    }
}
