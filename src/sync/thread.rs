//! Threads: a number for each, and waiting for another one.

extern crate std;

#[cfg(not(loom))]
use core::{
    cell::Cell,
    sync::atomic::{
        AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// No thread's number.
pub(crate) const NONE: u16 = u16::MAX;
/// Of all threads that are begun when there are no other numbers left, and of those that are about to end.
pub(crate) const SHARED: u16 = u16::MAX - 1;
/// Of a thread that has not asked yet. It is nobody's, and not [`NONE`] either: no lock is biased to it, and so none seems to be this thread's.
#[cfg(not(loom))]
const NOT_YET: u16 = u16::MAX - 2;

/// A bit for each number, set while a thread has it: the lowest is given first, so those of threads that come and go stay the same few, and
/// what was known of one that has ended goes over to the next.
#[cfg(not(loom))]
static TAKEN: [AtomicUsize; (1 << 16) / usize::BITS as usize] =
    [const { AtomicUsize::new(0) }; (1 << 16) / usize::BITS as usize];

#[cfg(not(loom))]
std::thread_local! {
    static NUMBER: Cell<u16> = const { Cell::new(NOT_YET) };
    static END: End = const { End };
}

/// Gives the number back at the thread's end.
#[cfg(not(loom))]
struct End;

#[cfg(not(loom))]
impl Drop for End {
    fn drop(&mut self) {
        // Others of the thread's variables may be dropped after this one, and use the crate.
        let number = NUMBER.replace(SHARED);
        if number < NOT_YET {
            let (word, bit) = place(number);
            // Release pairs with the Acquire in `take`: what this thread has done, its next bearer has behind it.
            word.fetch_and(!bit, Release);
        }
    }
}

#[cfg(not(loom))]
fn place(number: u16) -> (&'static AtomicUsize, usize) {
    let (word, bit) = (u32::from(number) / usize::BITS, u32::from(number) % usize::BITS);
    (&TAKEN[word as usize], 1 << bit)
}

/// The lowest number that no thread has.
#[cfg(not(loom))]
fn take() -> u16 {
    for number in 0..NOT_YET {
        let (word, bit) = place(number);
        // Relaxed: it is looked at again if it seems to be free.
        if word.load(Relaxed) & bit == 0 && word.fetch_or(bit, Acquire) & bit == 0 {
            return number;
        }
    }
    SHARED
}

/// This thread's, which no other has at the same time.
#[cfg(not(loom))]
#[inline]
pub(crate) fn number() -> u16 {
    match NUMBER.get() {
        NOT_YET => begin(),
        number => number,
    }
}

/// The same, or nobody's, if it has none yet.
#[cfg(not(any(loom, shuttle)))]
#[inline(always)]
pub(crate) fn number_so_far() -> u16 {
    NUMBER.get()
}

#[cfg(not(loom))]
#[cold]
#[inline(never)]
fn begin() -> u16 {
    // One that is about to end cannot give a number back any more.
    let number = if END.try_with(|_| ()).is_ok() { take() } else { SHARED };
    NUMBER.set(number);
    number
}

#[cfg(loom)]
loom::lazy_static! {
    static ref NEXT: AtomicU32 = AtomicU32::new(0);
}

#[cfg(loom)]
loom::thread_local! {
    static NUMBER: u16 = NEXT.fetch_add(1, Relaxed) as u16;
}

/// This thread's. (In a model none is given twice.)
#[cfg(loom)]
pub(crate) fn number() -> u16 {
    NUMBER.with(|number| *number)
}

/// The same, so that a schedule takes the same way each time.
#[cfg(any(loom, shuttle))]
pub(crate) fn number_so_far() -> u16 {
    number()
}

/// How often a waiter looks before it gives its time slice away: about a microsecond, several times what
/// anybody holds a lock of this crate for.
#[cfg(not(loom))]
const LOOKS: u32 = 32;
/// How often it does that before it goes to sleep: by then whom it waits for is not running, and not about to.
#[cfg(not(loom))]
const YIELDS: u32 = 32;
/// How long it sleeps at first, and at most.
#[cfg(not(loom))]
const NAPS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(1)];

/// Until another thread has made it so, which is soon, unless that one is not running.
#[cfg(not(loom))]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    let mut yields = 0;
    let [mut nap, longest_nap] = NAPS;
    loop {
        for _ in 0..LOOKS {
            if is_so() {
                return;
            }
            core::hint::spin_loop();
        }
        if yields < YIELDS {
            yields += 1;
            std::thread::yield_now();
        } else {
            std::thread::sleep(nap);
            nap = (nap * 2).min(longest_nap);
        }
    }
}

/// The same; in a model the others go on meanwhile.
#[cfg(loom)]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        loom::thread::yield_now();
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::sync::Barrier;
    use std::thread::{scope, spawn};
    use std::vec::Vec;

    use super::*;

    #[test]
    fn threads_that_run_have_different_numbers() {
        const THREADS: usize = 8;
        let barrier = Barrier::new(THREADS);
        let mut numbers: Vec<u16> = scope(|scope| {
            let number = || {
                let own = number();
                barrier.wait();
                assert_eq!(number(), own);
                own
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(number)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), THREADS);
        assert!(numbers.iter().all(|&number| number < NOT_YET));
    }

    /// Others that run at the same time take some, too.
    #[test]
    fn numbers_are_given_again() {
        let highest = (0..2000).map(|_| spawn(number).join().unwrap()).max();
        assert!(highest.is_some_and(|number| number < 1000), "{highest:?}");
    }
}
