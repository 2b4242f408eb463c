//! How far down it goes: what the same threads take if nothing is promised but that each message arrives.
//!
//! A ring of blocks that are written, and read, where they are, over and over again: nothing is allocated, numbered, checked, counted or
//! freed, nobody can be selected, cancelled or woken, and nothing waits but by pauses and yields. Who has an end to itself takes no lock.
//! A channel whose messages live longer than their place in a ring has all of this to do, and more.

use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use super::threads::Plan;
use crate::crew::{self, Shape};
use crate::message::{Source, read};
use crate::workload::{FLOOR, Subject, why};

/// Slots of the ring.
pub const CAPACITY: usize = 128;
/// Who is this close behind the other side gives it time, or each message would cost a line there and back.
const CLOSE: usize = CAPACITY / 4;
/// In so many pauses at the most, each twice as long as the one before.
const STEPS: u32 = 4;
const FIRST: usize = 32;

/// How many blocks ahead the next lines are fetched.
const AHEAD: usize = 1;

/// The participant where each message is for one receiver.
pub fn floor<const SIZE: usize>(Plan { shape, .. }: Plan) -> Subject {
    ring::<SIZE>(shape, vec![0; shape.receivers], 1)
}

/// The participant where each message is for each receiver.
pub fn floor_for_each<const SIZE: usize>(receivers: usize) -> Subject {
    ring::<SIZE>(Shape { senders: 1, receivers }, (0..receivers).collect(), receivers as u64)
}

/// Receivers, each at one of the ring's heads.
fn ring<const SIZE: usize>(shape: Shape, heads: Vec<usize>, copies: u64) -> Subject {
    let subject = Subject::new(FLOOR, move |messages| {
        let ring = Arc::new(Ring::<SIZE>::new(shape, &heads));
        let senders = (0..shape.senders).map(|_| {
            let (sender, mut source) = (Sender(ring.clone()), Source::new(SIZE));
            crew::sending(move |number| sender.0.send(source.numbered(number)))
        });
        let receivers = heads.iter().map(|&head| {
            let ring = ring.clone();
            crew::receiving(move || ring.receive(&ring.heads[head]))
        });
        let (senders, receivers) = (senders.collect(), receivers.collect());
        drop(ring);
        crew::run(senders, receivers, messages, copies)
    });
    subject.aside(why::FLOOR)
}

/// The participant where there is a single slot, between two threads: a word, which both look at, and nothing else.
pub fn floor_of_one() -> Subject {
    struct Sender(Arc<Word>);
    impl Drop for Sender {
        fn drop(&mut self) {
            self.0.put(Word::CLOSED);
        }
    }
    let subject = Subject::new(FLOOR, move |messages| {
        let word = Arc::new(Word(AtomicU64::new(Word::EMPTY)));
        let (sender, receiver) = (Sender(word.clone()), word);
        let send = crew::sending(move |number| sender.0.put(number));
        let receive = crew::receiving(move || receiver.take());
        crew::run(vec![send], vec![receive], messages, 1)
    });
    subject.aside(why::FLOOR)
}

/// A number, or why there is none. A line of its own, and the one beside it, as processors fetch lines in pairs.
#[repr(align(128))]
struct Word(AtomicU64);

impl Word {
    const EMPTY: u64 = u64::MAX;
    const CLOSED: u64 = u64::MAX - 1;
    /// Who waits looks so often before it lets others run.
    const LOOKS: u32 = 1000;

    fn put(&self, number: u64) {
        self.wait(|word| word == Self::EMPTY);
        self.0.store(number, Ordering::Relaxed);
    }

    fn take(&self) -> Option<u64> {
        let number = self.wait(|word| word != Self::EMPTY);
        (number != Self::CLOSED).then(|| {
            self.0.store(Self::EMPTY, Ordering::Relaxed);
            number
        })
    }

    fn wait(&self, is_there: impl Fn(u64) -> bool) -> u64 {
        let mut looks = 0;
        loop {
            let word = self.0.load(Ordering::Relaxed);
            if is_there(word) {
                return word;
            }
            looks += 1;
            if looks < Self::LOOKS { spin_loop() } else { thread::yield_now() }
        }
    }
}

#[repr(align(64))]
struct Block<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

/// The ring, with the number of those who may still send.
struct Ring<const SIZE: usize> {
    blocks: Box<[Block<SIZE>]>,
    tail: End,
    /// One, or one for each receiver, if each receives all.
    heads: Box<[End]>,
    senders: AtomicUsize,
    /// Threads are more than processors.
    crowded: bool,
}

// SAFETY: a block is written between the two ends, under the tail's lock, and read under a head's, which all have passed before it is written again.
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
    fn new(shape: Shape, heads: &[usize]) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            blocks: (0..CAPACITY).map(|_| Block(UnsafeCell::new([0; SIZE]))).collect(),
            tail: End::new(shape.senders),
            heads: (0..=heads.iter().copied().max().unwrap_or(0))
                .map(|head| End::new(heads.iter().filter(|&&at| at == head).count()))
                .collect(),
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
                *seen = self.received(Ordering::Acquire);
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
                    self.give_time(true, || CAPACITY + self.received(Ordering::Relaxed) - passed);
                }
                return;
            }
            self.tail.unlock();
            wait(&mut tries);
        }
    }

    /// How many messages all have received.
    fn received(&self, ordering: Ordering) -> usize {
        let passed = self.heads.iter().map(|head| head.passed.0.load(ordering));
        passed.fold(usize::MAX, usize::min)
    }

    fn receive(&self, head: &End) -> Option<u64> {
        let mut tries = 0;
        loop {
            head.lock();
            let passed = head.passed.0.load(Ordering::Relaxed);
            // SAFETY: as in `send`.
            let seen = unsafe { &mut *head.seen.get() };
            let mut is_close = false;
            if passed == *seen {
                let is_open = self.senders.load(Ordering::Acquire) > 0;
                *seen = self.tail.passed.0.load(Ordering::Acquire);
                if passed == *seen && !is_open {
                    head.unlock();
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
                head.passed.0.store(passed + 1, Ordering::Release);
                head.unlock();
                if is_close {
                    self.give_time(false, || self.tail.passed.0.load(Ordering::Relaxed) - passed);
                }
                return Some(number);
            }
            head.unlock();
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
