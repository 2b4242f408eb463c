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

/// No count is more than this, so that none ever wraps: then a loan is over.
pub(super) const MOST: usize = usize::MAX / 2;

/// One side. The alignment keeps the two apart. What only this side touches comes first, and fills a cache line; the count
/// that the other side reads lies in the next one: otherwise each look at it would take the lock away from this side.
#[repr(C, align(64))]
pub(super) struct Lane<T> {
    /// A [`Way`]. Changed under the channel's lock; from open to another, under the lane's, too.
    pub(super) way: AtomicUsize,
    pub(super) lock: Biased,
    /// Until `passed` has come so far, this side needs not look at anything else: the lane is open, as otherwise this is zero; no more
    /// than what is lent has gone by; and the other side was seen to have left a slot, or a value. Written under the lane's lock while it is open, and
    /// otherwise the channel's.
    limit: AtomicUsize,
    pub(super) end: UnsafeCell<End<T>>,
    /// How many values have gone by since they were lent; of senders, with those that were there. More than zero. Written under
    /// the lane's lock, or, while nothing is lent, the channel's. Renewed loans go on counting.
    pub(super) passed: AtomicUsize,
    /// Of tasks that find nothing here.
    pub(super) beside: Beside,
}

/// What a lane's lock guards while the lane is open, and the channel's lock otherwise. What each value needs comes first.
#[repr(C)]
pub(super) struct End<T> {
    /// The next slot; and the place behind the last one, where the first follows instead.
    next: *mut MaybeUninit<T>,
    turn: *mut MaybeUninit<T>,
    slots: *mut MaybeUninit<T>,
    /// When so many values have gone by, that was all.
    pub(super) last: usize,
    /// How far this side may get ahead of the other one: of senders, how many values there may be; of receivers it is negative, by how
    /// many values there must not be less.
    reach: usize,
    /// Of senders: the highest depth so far, at least one; and until they have passed so many, it is no deeper.
    pub(super) high_water: usize,
    pub(super) deep: usize,
    pub(super) bytes: usize,
    pub(super) copied: u32,
    pub(super) failures: u32,
    /// How many slots there are.
    pub(super) count: u32,
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
    const NEW: Self = Self {
        weighs: false,
        not_asked: 0,
        failures: 0,
        count: 0,
        next: ptr::null_mut(),
        turn: ptr::null_mut(),
        slots: ptr::null_mut(),
        last: 0,
        reach: 0,
        high_water: 0,
        deep: 0,
        bytes: 0,
        copied: 0,
    };

    /// With so many slots.
    pub(super) fn new(count: usize, weighs: bool) -> Self {
        // Lossless: no ring, and no segment, has more slots than that.
        Self { count: count as u32, weighs, ..Self::NEW }
    }

    /// Of senders.
    pub(super) fn of_senders(self, room: usize, high_water: usize) -> Self {
        Self { reach: room.min(MOST), high_water: high_water.max(1), ..self }
    }

    /// Of receivers.
    pub(super) fn of_receivers(self, promised: usize) -> Self {
        Self { reach: promised.wrapping_neg(), ..self }
    }

    /// Which slots, from now on. So many have gone by.
    pub(super) fn set(&mut self, window: Window<T>, passed: usize) {
        let Window { slots, at, left } = window;
        self.slots = slots;
        self.next = slots.wrapping_add(at);
        self.turn = slots.wrapping_add(self.count as usize);
        self.last = passed.saturating_add(left).min(MOST);
    }

    /// How far this side may go when the other one has passed so many.
    #[inline(always)]
    fn limit(&self, seen: usize) -> usize {
        self.last.min(seen.wrapping_add(self.reach))
    }

    /// How many values senders, and receivers, may pass before the other side does, which has passed so many; not how many are lent.
    #[inline]
    pub(super) fn between(&self, passed: usize, seen: usize) -> usize {
        // Not less than none: see `Lanes::lend`.
        seen.wrapping_add(self.reach).saturating_sub(passed)
    }

    /// It is deeper than ever, when so many have gone by. Of senders.
    #[cold]
    pub(super) fn rise(&mut self, depth: usize, passed: usize) {
        (self.high_water, self.deep) = (depth, passed);
    }

    /// The next slot, which is passed.
    #[inline]
    pub(super) fn pass(&mut self) -> *mut MaybeUninit<T> {
        let slot = self.next;
        let next = slot.wrapping_add(1);
        self.next = if next == self.turn { self.slots } else { next };
        slot
    }

    /// The slot after so many more, which are fewer than there are.
    #[inline]
    pub(super) fn ahead(&self, slots: usize) -> *mut MaybeUninit<T> {
        let slot = self.next.wrapping_add(slots);
        if slot < self.turn { slot } else { slot.wrapping_sub(self.count as usize) }
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

    /// Fetches what of the next messages will be needed, if so many more are there.
    #[inline]
    pub(super) fn fetch(&self, more: impl FnOnce() -> usize) {
        if cfg!(loom) || !self.weighs() {
            return;
        }
        let more = more();
        for (ahead, what) in [(ROW_AHEAD, Fetch::Row), (PAYLOAD_AHEAD, Fetch::Payload)] {
            if ahead < more {
                // SAFETY: the slot is on loan, as are all that may still be passed, and it holds a value: senders have passed
                // it, and of receivers, who have not, only the caller is here. `T` is a parcel by the word of who has lent.
                unsafe { Passed::fetch((*self.ahead(ahead)).assume_init_ref(), what) };
            }
        }
    }

    /// If `slot` is the first of a line, has another one fetched that will be needed soon, if there are so many `more` for this side.
    #[inline]
    pub(super) fn fetch_slots(
        &self,
        slot: *const MaybeUninit<T>,
        more: impl Fn() -> usize,
        fetch: impl Fn(*const MaybeUninit<T>),
    ) {
        if cfg!(loom) || slot.addr() % prefetch::LINE >= size_of::<T>() {
            return;
        }
        let ahead = LINES_AHEAD * prefetch::LINE / size_of::<T>();
        // Then the other side has left that line to this one, and is not close behind it.
        if more() > 2 * ahead {
            fetch(self.ahead(ahead));
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
        limit: AtomicUsize::new(0),
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

    /// The same, and how many values have gone by, if the lock is biased to this thread and there is a slot, or a value. It calls nothing.
    #[inline(always)]
    pub(super) fn enter_at_once(&self, other: &Self) -> Option<(Within<'_, T>, usize)> {
        #[cfg(not(loom))]
        let held = self.lock.enter(thread::number_so_far())?;
        #[cfg(loom)]
        let held = self.lock.try_hold()?;
        // Acquire pairs with the Release in `open`: if it is not zero the lane is open, and the rest is seen as it was lent.
        let limit = self.limit.load(Ordering::Acquire);
        // Relaxed: with the lane open, as in `own_passed`. Otherwise any number does.
        let passed = self.passed.load(Ordering::Relaxed);
        // SAFETY: its lock is held, and more than zero says that it is open.
        if passed >= limit && (limit == 0 || !unsafe { self.has_more(other, passed) }) {
            return None;
        }
        Some((Within { end: &self.end, _held: held }, passed))
    }

    /// Whether the other side has gone on meanwhile.
    ///
    /// # Safety
    /// The lane is open, and its lock held.
    #[inline(always)]
    unsafe fn has_more(&self, other: &Self, passed: usize) -> bool {
        // SAFETY: by the caller's word.
        let end = unsafe { &*self.end.get() };
        // Of messages there is more to be seen to then.
        if end.weighs() {
            return false;
        }
        passed < self.see(end, other.passed())
    }

    /// The other side has passed so many: how far this one may go.
    #[inline(always)]
    pub(super) fn see(&self, end: &End<T>, seen: usize) -> usize {
        let limit = end.limit(seen);
        // Relaxed: read under the lane's lock, like what it is made of.
        self.limit.store(limit, Ordering::Relaxed);
        limit
    }

    /// How far this side may go, as was last seen. To others than who has entered, a hint.
    #[inline]
    pub(super) fn limit(&self) -> usize {
        // Relaxed: as above.
        self.limit.load(Ordering::Relaxed)
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

    /// Opens it, or leaves it [shut](Way::Shut), for `end`, which has this window. The other side has passed so many. Under the channel's
    /// lock, with nothing lent.
    pub(super) fn open(&self, way: Way, window: Window<T>, mut end: End<T>, seen: usize) {
        end.set(window, self.own_passed());
        // SAFETY: it is not open, so the end is the channel's lock's.
        let place = unsafe { &mut *self.end.get() };
        *place = end;
        place.deep = seen.wrapping_add(place.high_water);
        if way == Way::Open {
            let limit = place.limit(seen);
            // Release, both, pairs with the Acquire in `enter_at_once` and in `enter`.
            self.limit.store(limit, Ordering::Release);
        }
        self.way.store(way as usize, Ordering::Release);
    }

    /// Closes it, for a moment: the highest depth, and what went by since there were `told`. Under the channel's lock.
    pub(super) fn close(&self, told: usize) -> (usize, Passed) {
        // Under the lane's lock: what its last holder did is seen, and the next one sees this. So relaxed.
        let held = self.lock.hold();
        self.way.store(Way::Away as usize, Ordering::Relaxed);
        self.limit.store(0, Ordering::Relaxed);
        drop(held);
        // SAFETY: it is not open any more, so the end is the channel's lock's.
        let end = unsafe { &*self.end.get() };
        let values = self.own_passed().wrapping_sub(told);
        (if values > 0 { end.high_water } else { 0 }, end.since(values))
    }

    /// What was called back is not lent again for now. Under the channel's lock.
    pub(super) fn shut(&self) {
        // Relaxed: nothing else is told by it. Who sees it late has come a moment earlier.
        self.way.store(Way::Shut as usize, Ordering::Relaxed);
    }
}
