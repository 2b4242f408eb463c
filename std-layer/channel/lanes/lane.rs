//! One side's lane: its end of the ring, the lock that guards it, and how many values have passed.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, Ordering, fence};

#[cfg(loom)]
use loom::sync::atomic::{Ordering, fence};

use crate::channel::aside::{Missed, Passed, Window};
use crate::channel::weigh::Fetch;
use crate::prefetch;
use crate::std_layer::channel::beside::Beside;
#[cfg(loom)]
use crate::std_layer::modelled::{AtomicUsize, Lock as Biased};
#[cfg(not(loom))]
use crate::sync::biased::{Biased, Held};
#[cfg(not(loom))]
use crate::sync::thread;
#[cfg(loom)]
type Held<'a> = loom::sync::MutexGuard<'a, ()>;

/// How many messages ahead a receiver fetches descriptors, and payloads, which take those.
const ROW_AHEAD: usize = 3;
const PAYLOAD_AHEAD: usize = 1;
/// How many lines ahead slots are fetched.
pub(super) const LINES_AHEAD: usize = 2;

/// One side. The alignment keeps the two apart. What only this side touches comes first, and fills a cache line; the count
/// that the other side reads lies in the next one: otherwise each look at it would take the lock away from this side.
#[repr(C, align(64))]
pub(super) struct Lane<T> {
    /// A [`Way`]. Changed under the channel's lock; from open to another, under the lane's, too.
    pub(super) way: AtomicUsize,
    pub(super) lock: Biased,
    pub(super) end: UnsafeCell<End<T>>,
    /// How many values have gone by since they were lent; of senders, with those that were there. Written under the
    /// lane's lock, or, while nothing is lent, the channel's. Renewed loans go on counting.
    pub(super) passed: AtomicUsize,
    /// Of tasks that find nothing here.
    pub(super) beside: Beside,
}

/// What a lane's lock guards while the lane is open, and the channel's lock otherwise. What each value needs comes first.
#[repr(C)]
pub(super) struct End<T> {
    pub(super) slots: *mut MaybeUninit<T>,
    /// The next slot, and the one where the first follows instead.
    pub(super) at: u32,
    pub(super) turn: u32,
    /// When so many values have gone by, that was all.
    pub(super) last: usize,
    /// What the other side has passed, at least.
    pub(super) seen: usize,
    /// How many values there may be; of receivers, how many there must not be less.
    pub(super) bound: usize,
    pub(super) high_water: usize,
    pub(super) bytes: usize,
    pub(super) copied: u32,
    pub(super) failures: u32,
    pub(super) weighs: bool,
    /// So many times more it is taken for granted that there are several senders.
    pub(super) not_asked: u8,
}

/// Whether a lane can be used.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Way {
    /// The way is through the channel's lock.
    Shut,
    /// There are slots, or values, on loan.
    Open,
    /// They have been called back, for a moment.
    Away,
}

impl Way {
    /// Back from a number.
    #[inline]
    pub(super) fn of(number: usize) -> Self {
        match number {
            1 => Self::Open,
            2 => Self::Away,
            _ => Self::Shut,
        }
    }
}

impl<T> End<T> {
    pub(super) const NEW: Self = Self {
        weighs: false,
        not_asked: 0,
        failures: 0,
        slots: ptr::null_mut(),
        at: 0,
        turn: 0,
        last: 0,
        seen: 0,
        bound: 0,
        high_water: 0,
        bytes: 0,
        copied: 0,
    };

    /// The next slot, which is passed.
    #[inline]
    pub(super) fn pass(&mut self) -> *mut MaybeUninit<T> {
        // SAFETY: `at` is below `turn`, and so many slots lie there, by the word of who has lent them.
        let slot = unsafe { self.slots.add(self.at as usize) };
        self.at += 1;
        if self.at == self.turn {
            self.at = 0;
        }
        slot
    }

    /// Whether values are messages whose bytes are counted.
    #[inline]
    pub(super) fn weighs(&self) -> bool {
        Passed::may_weigh::<T>() && self.weighs
    }

    /// What has gone by since it was told last.
    pub(super) fn since(&self, values: usize) -> Passed {
        let Self { bytes, copied, failures, .. } = *self;
        Passed { values, bytes, copied, failures }
    }

    /// Fetches what of the next messages will be needed, when so many have gone by.
    #[inline]
    pub(super) fn fetch(&self, passed: usize) {
        if cfg!(loom) || !self.weighs() {
            return;
        }
        let more = self.seen.wrapping_sub(passed).min(self.last.wrapping_sub(passed));
        for (ahead, what) in [(ROW_AHEAD, Fetch::Row), (PAYLOAD_AHEAD, Fetch::Payload)] {
            if ahead < more {
                let at = self.at as usize + ahead;
                let turn = self.turn as usize;
                let at = if at < turn { at } else { at - turn };
                // SAFETY: the slot is on loan, as are all that may still be passed, and it holds a value: senders have passed
                // it, and of receivers, who have not, only the caller is here. `T` is a parcel by the word of who has lent.
                unsafe { Passed::fetch((*self.slots.add(at)).assume_init_ref(), what) };
            }
        }
    }

    /// If `slot` is the first of a line, has another one fetched that will be needed soon, if there are so many `more` for this side.
    #[inline]
    pub(super) fn fetch_slots(
        &self,
        slot: *const MaybeUninit<T>,
        passed: usize,
        more: usize,
        fetch: impl Fn(*const MaybeUninit<T>),
    ) {
        if cfg!(loom) || slot.addr() % prefetch::LINE >= size_of::<T>() {
            return;
        }
        let ahead = LINES_AHEAD * prefetch::LINE / size_of::<T>();
        // Then the other side has left that line to this one, and is not close behind it.
        if more.min(self.last.wrapping_sub(passed)) > 2 * ahead {
            let (at, turn) = (self.at as usize + ahead, self.turn as usize);
            fetch(self.slots.wrapping_add(if at < turn { at } else { at - turn }));
        }
    }

    #[inline]
    pub(super) fn weigh(&mut self, value: &mut T) {
        if self.weighs() {
            // SAFETY: by the word of who has lent.
            let weight = unsafe { Passed::weigh(value) };
            self.bytes = self.bytes.wrapping_add(weight.bytes);
            self.copied = self.copied.wrapping_add(weight.copied);
        }
    }

    /// There is no slot, or no value.
    #[inline]
    pub(super) fn miss<V>(&mut self, value: V, counts: bool) -> Missed<V> {
        self.failures = self.failures.wrapping_add(u32::from(counts));
        Missed::NotNow(value)
    }
}

/// An end, and the lock that guards it while its lane is open.
pub(super) struct Within<'a, T> {
    end: &'a UnsafeCell<End<T>>,
    _held: Held<'a>,
}

impl<T> Deref for Within<'_, T> {
    type Target = End<T>;

    #[inline]
    fn deref(&self) -> &End<T> {
        // SAFETY: the lane was open when its lock was taken, and stays so until that is given up: who closes it takes that.
        // While it is, the end is touched under the lane's lock alone, which is this one's.
        unsafe { &*self.end.get() }
    }
}

impl<T> DerefMut for Within<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut End<T> {
        // SAFETY: as above.
        unsafe { &mut *self.end.get() }
    }
}

impl<T> Lane<T> {
    #[allow(clippy::declare_interior_mutable_const)] // made anew at each use
    pub(super) const NEW: Self = Self {
        lock: Biased::new(),
        way: AtomicUsize::new(Way::Shut as usize),
        end: UnsafeCell::new(End::NEW),
        passed: AtomicUsize::new(0),
        beside: Beside::NEW,
    };

    /// This end, if the lane is open, and nobody else's until that is dropped.
    ///
    /// (A guard, as closures are compiled apart or not depending on what else the crate has: a message of 64 bytes between two threads
    /// took 58 ns instead of 39 when they were.)
    #[inline(always)]
    pub(super) fn enter(&self) -> Result<Within<'_, T>, Way> {
        let held = self.lock.hold();
        // Acquire pairs with the Release in `open`: the end is seen as it was lent, and both counts.
        match Way::of(self.way.load(Ordering::Acquire)) {
            Way::Open => Ok(Within { end: &self.end, _held: held }),
            way => Err(way),
        }
    }

    /// The same, if the lock is biased to this thread. It calls nothing.
    #[inline(always)]
    pub(super) fn enter_at_once(&self) -> Option<Within<'_, T>> {
        #[cfg(not(loom))]
        let held = self.lock.enter(thread::number_so_far())?;
        #[cfg(loom)]
        let held = self.lock.try_hold()?;
        // Acquire: as above.
        let is_open = Way::of(self.way.load(Ordering::Acquire)) == Way::Open;
        is_open.then_some(Within { end: &self.end, _held: held })
    }

    /// Whether it is worth the lock.
    #[inline]
    pub(super) fn look(&self) -> Result<(), Way> {
        // Relaxed: who sees late that it has been opened takes the other way.
        match Way::of(self.way.load(Ordering::Relaxed)) {
            Way::Open => Ok(()),
            way => Err(way),
        }
    }

    /// So many values have gone by.
    #[inline]
    pub(super) fn publish(&self, passed: usize) {
        // Release pairs with the Acquire in `passed`: the other side sees the slot as this one left it.
        self.passed.store(passed, Ordering::Release);
    }

    /// How many have, to the other side.
    #[inline]
    pub(super) fn passed(&self) -> usize {
        self.passed.load(Ordering::Acquire)
    }

    /// The same; if that is not `enough`, it is for certain.
    ///
    /// A sender that finds it full and a receiver that finds it empty must not both have missed what the other had passed
    /// before: there would be no order in which both are right. Of two that have each stored their own count and come by
    /// this fence, the second in its order sees the other's.
    #[inline]
    pub(super) fn passed_for_certain(&self, enough: impl Fn(usize) -> bool) -> usize {
        let passed = self.passed();
        if enough(passed) {
            return passed;
        }
        // SeqCst: with Release and Acquire alone each load may pass the store before it.
        fence(Ordering::SeqCst);
        self.passed()
    }

    /// The same to this side, which holds the lock that it is written under.
    #[inline]
    pub(super) fn own_passed(&self) -> usize {
        // SAFETY: loom makes sure that nobody stores meanwhile. To it a load would be a step that hides the other side's
        // loads, and with them what may come before what.
        #[cfg(loom)]
        return unsafe { self.passed.unsync_load() };
        #[cfg(not(loom))]
        self.passed.load(Ordering::Relaxed)
    }

    /// Opens it, or leaves it [shut](Way::Shut), for `end`, which has this window. Under the channel's lock, with nothing lent.
    pub(super) fn open(&self, way: Way, window: Window<T>, end: End<T>) {
        let Window { slots, at, left } = window;
        let last = self.own_passed().wrapping_add(left);
        // Lossless: no ring, and no segment, has more slots than that.
        let end = End { slots, at: at as u32, last, ..end };
        // SAFETY: it is not open, so the end is the channel's lock's.
        unsafe { *self.end.get() = end };
        // Release pairs with the Acquire in `enter`.
        self.way.store(way as usize, Ordering::Release);
    }

    /// Closes it, for a moment: the highest depth, and what went by since there were `told`. Under the channel's lock.
    pub(super) fn close(&self, told: usize) -> (usize, Passed) {
        // Under the lane's lock: what its last holder did is seen, and the next one sees this. So relaxed.
        let held = self.lock.hold();
        self.way.store(Way::Away as usize, Ordering::Relaxed);
        drop(held);
        // SAFETY: it is not open any more, so the end is the channel's lock's.
        let end = unsafe { &*self.end.get() };
        (end.high_water, end.since(self.own_passed().wrapping_sub(told)))
    }

    /// What was called back is not lent again for now. Under the channel's lock.
    pub(super) fn shut(&self) {
        // Relaxed: nothing else is told by it. Who sees it late has come a moment earlier.
        self.way.store(Way::Shut as usize, Ordering::Relaxed);
    }
}
