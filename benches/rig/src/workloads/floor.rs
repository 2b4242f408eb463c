//! How far down it goes: what the same threads take if nothing is promised but that each message arrives.
//!
//! A ring of blocks that are written, and read, where they are, over and over again: nothing is allocated, numbered, checked, counted or
//! freed, nobody can be selected, cancelled or woken, and nothing waits but by pauses and yields. Who has an end to itself takes no lock.
//! A channel whose messages live longer than their place in a ring has all of this to do, and more.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::threads::Plan;
use crate::crew;
use crate::message::{Source, read};
use crate::workload::{Subject, why};

/// Slots of the ring.
const CAPACITY: usize = 128;
/// Who is this close behind the other side gives it time, or each message would cost a line there and back.
const CLOSE: usize = CAPACITY / 4;
/// In so many pauses at the most, each twice as long as the one before.
const STEPS: u32 = 4;
const FIRST: usize = 32;

/// How many blocks ahead the next lines are fetched.
const AHEAD: usize = 1;

/// The participant.
pub fn floor<const SIZE: usize>(plan: Plan) -> Subject {
    let subject = Subject::new("floor", move |messages| {
        let ring = Arc::new(Ring::<SIZE>::new(plan));
        let senders = (0..plan.shape.senders).map(|_| {
            let (sender, mut source) = (Sender(ring.clone()), Source::new(SIZE));
            crew::sending(move |number| sender.0.send(source.numbered(number)))
        });
        let receivers = (0..plan.shape.receivers).map(|_| {
            let ring = ring.clone();
            crew::receiving(move || ring.receive())
        });
        let (senders, receivers) = (senders.collect(), receivers.collect());
        drop(ring);
        crew::run(senders, receivers, messages, 1)
    });
    subject.aside(why::FLOOR)
}

#[repr(align(64))]
struct Block<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

/// The ring, with the number of those who may still send.
struct Ring<const SIZE: usize> {
    blocks: Box<[Block<SIZE>]>,
    tail: End,
    head: End,
    senders: AtomicUsize,
    /// Threads are more than processors.
    crowded: bool,
}

// SAFETY: a block is written between the two ends, under the tail's lock, and read under the head's.
unsafe impl<const SIZE: usize> Sync for Ring<SIZE> {}

/// One side: lines of its own.
#[repr(align(128))]
struct End {
    /// Several threads take turns at it.
    shared: bool,
    lock: AtomicBool,
    /// What the other side has passed, at least.
    seen: UnsafeCell<usize>,
    passed: Passed,
}

/// How many messages have gone by, in a line that the other side reads.
#[repr(align(64))]
struct Passed(AtomicUsize);

struct Sender<const SIZE: usize>(Arc<Ring<SIZE>>);

impl<const SIZE: usize> Drop for Sender<SIZE> {
    fn drop(&mut self) {
        // Release: what was sent is seen by who sees that nobody is left.
        self.0.senders.fetch_sub(1, Ordering::Release);
    }
}

impl End {
    fn new(threads: usize) -> Self {
        Self {
            shared: threads > 1,
            lock: AtomicBool::new(false),
            seen: UnsafeCell::new(0),
            passed: Passed(AtomicUsize::new(0)),
        }
    }

    fn lock(&self) {
        let mut tries = 0;
        while self.shared && self.lock.swap(true, Ordering::Acquire) {
            wait(&mut tries);
        }
    }

    fn unlock(&self) {
        if self.shared {
            self.lock.store(false, Ordering::Release);
        }
    }
}

/// For the other side, or for who is at this one.
fn wait(tries: &mut u32) {
    if *tries < 8 {
        (0..16).for_each(|_| spin_loop());
    } else {
        thread::yield_now();
    }
    *tries += 1;
}

impl<const SIZE: usize> Ring<SIZE> {
    fn new(Plan { shape, .. }: Plan) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            blocks: (0..CAPACITY).map(|_| Block(UnsafeCell::new([0; SIZE]))).collect(),
            tail: End::new(shape.senders),
            head: End::new(shape.receivers),
            senders: AtomicUsize::new(shape.senders),
            crowded: shape.senders + shape.receivers > processors,
        }
    }

    fn send(&self, bytes: &[u8]) {
        let mut tries = 0;
        loop {
            self.tail.lock();
            let passed = self.tail.passed.0.load(Ordering::Relaxed);
            // SAFETY: under the lock, or of the only thread there is.
            let seen = unsafe { &mut *self.tail.seen.get() };
            let mut is_close = false;
            if passed - *seen == CAPACITY {
                *seen = self.head.passed.0.load(Ordering::Acquire);
                is_close = CAPACITY - (passed - *seen) < CLOSE / 2;
            }
            if passed - *seen < CAPACITY {
                // SAFETY: all that was there has been read, and nobody else is at this end.
                unsafe { (*self.blocks[passed % CAPACITY].0.get()).copy_from_slice(bytes) };
                self.tail.passed.0.store(passed + 1, Ordering::Release);
                if passed + AHEAD - *seen < CAPACITY {
                    self.fetch(passed + AHEAD, true);
                }
                self.tail.unlock();
                if is_close {
                    self.give_time(true, || {
                        CAPACITY + self.head.passed.0.load(Ordering::Relaxed) - passed
                    });
                }
                return;
            }
            self.tail.unlock();
            wait(&mut tries);
        }
    }

    fn receive(&self) -> Option<u64> {
        let mut tries = 0;
        loop {
            self.head.lock();
            let passed = self.head.passed.0.load(Ordering::Relaxed);
            // SAFETY: as in `send`.
            let seen = unsafe { &mut *self.head.seen.get() };
            let mut is_close = false;
            if passed == *seen {
                let is_open = self.senders.load(Ordering::Acquire) > 0;
                *seen = self.tail.passed.0.load(Ordering::Acquire);
                if passed == *seen && !is_open {
                    self.head.unlock();
                    return None;
                }
                is_close = !self.tail.shared && *seen - passed < CLOSE;
            }
            if passed < *seen {
                if passed + AHEAD < *seen {
                    self.fetch(passed + AHEAD, false);
                }
                // SAFETY: it has been written, and nobody else is at this end.
                let number = read(unsafe { &*self.blocks[passed % CAPACITY].0.get() });
                self.head.passed.0.store(passed + 1, Ordering::Release);
                self.head.unlock();
                if is_close {
                    self.give_time(false, || self.tail.passed.0.load(Ordering::Relaxed) - passed);
                }
                return Some(number);
            }
            self.head.unlock();
            wait(&mut tries);
        }
    }

    /// The block that will be used next, of which the processor does not know.
    #[inline(always)]
    fn fetch(&self, which: usize, to_write: bool) {
        #[cfg(target_arch = "x86_64")]
        for line in (0..SIZE.min(1024)).step_by(64) {
            let at = self.blocks[which % CAPACITY].0.get().cast::<u8>().wrapping_add(line);
            // SAFETY: hints, which fault at no address and touch no register.
            unsafe {
                use std::arch::{
                    asm,
                    x86_64::{_MM_HINT_T0, _mm_prefetch},
                };
                if to_write {
                    asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
                } else {
                    _mm_prefetch::<_MM_HINT_T0>(at.cast());
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (which, to_write);
    }

    /// Until the other side is half a ring ahead, or does not get on.
    #[cold]
    fn give_time(&self, sends: bool, ahead: impl Fn() -> usize) {
        if self.crowded && !sends {
            return thread::yield_now();
        }
        let mut before = 0;
        for step in 0..if self.crowded { 1 } else { STEPS } {
            (0..FIRST << step).for_each(|_| spin_loop());
            let now = ahead();
            if now >= CAPACITY / 2 || now == before {
                return;
            }
            before = now;
        }
    }
}
