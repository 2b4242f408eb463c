//! A lane for senders and one for receivers, past the lock of a channel on the heap.
//!
//! Each side has its end of the ring, and a count of what it has passed, in a cache line of its own; of the other
//! side's it needs the count alone, and keeps what it saw of that until it is no longer enough. So a sender and a
//! receiver on two cores share the lines with the values, and hardly anything else.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::room::HeapSlots;
use crate::channel::aside::{Aside, Lent, Missed, Passed};
use crate::channel::store::sealed::Sealed;
use crate::std_layer::StdRawMutex;
use crate::sync::RawMutex;
use crate::unwind::to_the_end;

/// The lanes of a channel whose ring has these slots. See [`aside`](crate::channel::aside) for when it is lent.
#[doc(hidden)]
pub struct Lanes<T> {
    tail: Lane,
    head: Lane,
    /// The channel's: its store owns them, is dropped after this, and leaves them alone while they are lent.
    slots: NonNull<MaybeUninit<T>>,
    room: usize,
    /// How many values the ring had when it was lent, if it is. Under the channel's lock.
    lent: Cell<Option<usize>>,
    /// Of senders, and of receivers: whether they are to stay behind others. Under the channel's lock.
    queues: Cell<[bool; 2]>,
}

/// Whether a lane can be used.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// The ring is lent.
    Open,
    /// Others of this side wait in the channel. Who comes now need not go there, too: it can stay behind them here.
    Queue,
    /// The way is through the channel's lock.
    Shut,
}

/// One side. The alignment keeps the two apart.
#[repr(align(64))]
struct Lane {
    lock: StdRawMutex,
    end: UnsafeCell<End>,
    /// How many values have gone by; counted from a lending on. Written under the lane's lock.
    passed: AtomicUsize,
}

/// What a lane's lock guards; while nothing is lent, all but `way` is the channel's lock's.
struct End {
    way: Way,
    weighs: bool,
    /// The next slot.
    at: usize,
    /// What the other side has passed, at least.
    seen: usize,
    /// Slots, or values, that are promised to those who have waited.
    promised: usize,
    high_water: usize,
    bytes: usize,
    copied: u32,
    failures: u32,
}

impl End {
    const NEW: Self = Self {
        way: Way::Shut,
        weighs: false,
        at: 0,
        seen: 0,
        promised: 0,
        high_water: 0,
        bytes: 0,
        copied: 0,
        failures: 0,
    };
}

impl Lane {
    #[allow(clippy::declare_interior_mutable_const)] // made anew at each use
    const NEW: Self = Self {
        lock: StdRawMutex::new(),
        end: UnsafeCell::new(End::NEW),
        passed: AtomicUsize::new(0),
    };

    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut End) -> R) -> R {
        self.lock.lock(|| {
            // SAFETY: the lock is held, which every access to it is under, and no closure enters again.
            f(unsafe { &mut *self.end.get() })
        })
    }

    /// One value more has gone by.
    #[inline]
    fn publish(&self, passed: usize) {
        // Release pairs with the Acquire in `passed`: the other side sees the slot as this one left it.
        self.passed.store(passed, Ordering::Release);
    }

    /// How many have, to the other side.
    #[inline]
    fn passed(&self) -> usize {
        self.passed.load(Ordering::Acquire)
    }

    /// The same to this side, which holds the lock that it is written under.
    #[inline]
    fn own_passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    /// Opens it with the ring's end at `at`.
    fn open(&self, at: usize, promised: usize, lent: &Lent) {
        self.with(|end| {
            let Lent { high_water, weighs, .. } = *lent;
            *end = End { way: Way::Open, weighs, at, promised, high_water, ..End::NEW };
        });
    }

    /// Closes it: its end, its highest depth, and what went by since there were `since`.
    fn close(&self, since: usize) -> (usize, usize, Passed) {
        self.with(|end| {
            end.way = Way::Shut;
            let passed = Passed {
                // Wraps as the counters do.
                values: self.own_passed().wrapping_sub(since) as u32,
                bytes: end.bytes,
                copied: end.copied,
                failures: end.failures,
            };
            (end.at, end.high_water, passed)
        })
    }
}

impl<T> Lanes<T> {
    pub(super) fn over(slots: &HeapSlots<MaybeUninit<T>>) -> Self {
        let (slots, room) = slots.as_parts();
        Self {
            tail: Lane::NEW,
            head: Lane::NEW,
            slots,
            room,
            lent: Cell::new(None),
            queues: Cell::new([false; 2]),
        }
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.room { 0 } else { at + 1 }
    }

    /// Slot `at`, which is below `room`.
    #[inline]
    fn slot(&self, at: usize) -> *mut MaybeUninit<T> {
        // SAFETY: `room` slots lie there, until this is dropped.
        unsafe { self.slots.as_ptr().add(at) }
    }
}

impl<T> Sealed for Lanes<T> {}

impl<T> Aside<T> for Lanes<T> {
    const NONE: Self = Self {
        tail: Lane::NEW,
        head: Lane::NEW,
        slots: NonNull::dangling(),
        room: 0,
        lent: Cell::new(None),
        queues: Cell::new([false; 2]),
    };
    const LENDS: bool = true;

    #[inline]
    fn send(&self, mut value: T, counts: bool) -> Result<(), Missed<T>> {
        self.tail.with(|end| {
            match end.way {
                Way::Open => {}
                Way::Queue if !counts => return Err(Missed::NotNow(value)),
                _ => return Err(Missed::Recalled(value)),
            }
            let passed = self.tail.own_passed();
            if passed.wrapping_sub(end.seen) + end.promised >= self.room {
                end.seen = self.head.passed();
                if passed.wrapping_sub(end.seen) + end.promised >= self.room {
                    end.failures = end.failures.wrapping_add(u32::from(counts));
                    return Err(Missed::NotNow(value));
                }
            }
            if end.weighs {
                // SAFETY: by the word of who has lent.
                let weight = unsafe { Passed::weigh(&mut value) };
                end.bytes = end.bytes.wrapping_add(weight.bytes);
                end.copied = end.copied.wrapping_add(weight.copied);
            }
            // SAFETY: `at` is below `room`. The slot is free: fewer values than there are slots were between the
            // two ends, which the receiver's Release store told, and nobody else sends while the lane is held.
            unsafe { (*self.slot(end.at)).write(value) };
            end.at = self.after(end.at);
            let passed = passed.wrapping_add(1);
            self.tail.publish(passed);
            if passed.wrapping_sub(end.seen) > end.high_water {
                // Perhaps: what was seen is old. This many there are now, as nobody else sends.
                end.seen = self.head.passed();
                end.high_water = end.high_water.max(passed.wrapping_sub(end.seen));
            }
            Ok(())
        })
    }

    #[inline]
    fn recv(&self, counts: bool) -> Result<T, Missed<()>> {
        self.head.with(|end| {
            match end.way {
                Way::Open => {}
                Way::Queue if !counts => return Err(Missed::NotNow(())),
                _ => return Err(Missed::Recalled(())),
            }
            let passed = self.head.own_passed();
            if end.seen.wrapping_sub(passed) <= end.promised {
                end.seen = self.tail.passed();
                if end.seen.wrapping_sub(passed) <= end.promised {
                    end.failures = end.failures.wrapping_add(u32::from(counts));
                    return Err(Missed::NotNow(()));
                }
            }
            // SAFETY: `at` is below `room`. The slot holds a value: the sender has passed it, told by its Release
            // store, and no receiver has; the value leaves the ring here.
            let mut value = unsafe { (*self.slot(end.at)).assume_init_read() };
            end.at = self.after(end.at);
            self.head.publish(passed.wrapping_add(1));
            if end.weighs {
                // SAFETY: by the word of who has lent.
                end.bytes = end.bytes.wrapping_add(unsafe { Passed::weigh(&mut value) }.bytes);
            }
            Ok(value)
        })
    }

    #[inline]
    fn batch(&self) -> usize {
        self.room
    }

    #[inline]
    fn recall(&self) -> Option<Lent> {
        let len = self.lent.take()?;
        // Each lane's lock is taken once, so what its last holder did is seen, and the next finds it closed.
        let (_, high_water, sends) = self.tail.close(len);
        let (head, _, recvs) = self.head.close(0);
        let len = self.tail.own_passed().wrapping_sub(self.head.own_passed());
        Some(Lent { head, len, high_water, sends, recvs, ..Lent::default() })
    }

    #[inline]
    fn keep(&self, queues: [bool; 2]) {
        if self.queues.replace(queues) != queues {
            for (lane, queue) in [&self.tail, &self.head].into_iter().zip(queues) {
                lane.with(|end| end.way = if queue { Way::Queue } else { Way::Shut });
            }
        }
    }

    #[inline]
    fn lend(&self, lent: Lent) {
        let Lent { head, len, .. } = lent;
        if self.room == 0 {
            return;
        }
        self.lent.set(Some(len));
        self.queues.set([false; 2]);
        // Before either is open, as each reads the other's.
        self.tail.publish(len);
        self.head.publish(0);
        let tail = head + len;
        let tail = if tail < self.room { tail } else { tail - self.room };
        self.tail.open(tail, lent.promised_slots, &lent);
        self.head.open(head, lent.promised_values, &lent);
    }
}

impl<T> Drop for Lanes<T> {
    fn drop(&mut self) {
        if self.lent.get().is_some() {
            // Nobody is left that anything could be promised to.
            self.head.with(|end| end.promised = 0);
            to_the_end(|| self.recv(false).is_ok());
        }
    }
}
