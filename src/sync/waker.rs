//! Wakers of this crate's own: counted pointers to something that can be woken.
//!
//! Cloning a [`Waker`] is foreign code, which must not run under a lock. One that wakes a task of a kernel is not
//! foreign: it is known by its vtable, of which there is only one, and cloning it counts and does nothing else. So a
//! future that must wait needs no second critical section for the waker that it leaves.

use core::ptr::{self, NonNull};
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::atomic::{AtomicUsize, Ordering};
use super::plain::{AtomicBool, fence};

/// What a waker points to: the head of something larger, that is freed when nobody refers to it any more.
#[repr(C)]
pub(crate) struct WakeTarget {
    /// References; half of the range and more: forgotten so often that it is never freed.
    references: AtomicUsize,
    acts: &'static Acts,
    /// Somebody polls it, and will look whether it was woken meanwhile. Set and cleared under the lock of its kernel.
    polled: AtomicBool,
    /// It was woken while it was polled.
    woken: AtomicBool,
}

/// What depends on the kind of target. Each takes a pointer that reaches the whole of it.
pub(crate) struct Acts {
    /// Wakes it, and gives one reference up.
    pub(crate) wake: unsafe fn(NonNull<WakeTarget>),
    /// Wakes it.
    pub(crate) wake_by_ref: unsafe fn(NonNull<WakeTarget>),
    /// Frees it: the last reference has been given up.
    pub(crate) free: unsafe fn(NonNull<WakeTarget>),
}

/// Where a count stays that has left the range in which it is exact.
const STUCK: usize = usize::MAX / 4 * 3;

/// Whether a target that is polled is woken without its kernel's lock: by a flag, which whoever polls it looks at when the
/// poll is over. A critical section of a microcontroller and all that is done there for a task that is not polled takes
/// longer (12 instructions on a Cortex-M3). Between threads it would be two fences for a lock that is free as a rule.
/// (A model checker looks at it, whatever it is for.)
pub(crate) const BY_FLAG: bool = cfg!(any(loom, not(feature = "std")));

/// Between a store and a load, where targets are woken by a flag; under the kernel's lock otherwise, which orders.
#[inline(always)]
fn flag_fence() {
    if BY_FLAG {
        fence(Ordering::SeqCst);
    }
}

impl WakeTarget {
    /// One that has so many references.
    pub(crate) fn new(acts: &'static Acts, references: usize) -> Self {
        Self {
            references: AtomicUsize::new(references),
            acts,
            polled: AtomicBool::new(false),
            woken: AtomicBool::new(false),
        }
    }

    /// One more reference, for somebody who has one.
    #[inline]
    pub(crate) fn retain(&self) {
        // Relaxed: whoever passes a reference on to another thread orders that itself.
        if (self.references.fetch_add(1, Ordering::Relaxed) as isize) < 0 {
            self.stick();
        }
    }

    #[cold]
    fn stick(&self) {
        self.references.store(STUCK, Ordering::Relaxed);
    }

    /// Gives a reference up.
    ///
    /// # Safety
    /// The reference is the caller's, and `target` reaches the whole.
    #[inline]
    pub(crate) unsafe fn release(target: NonNull<Self>) {
        // SAFETY: the caller's reference keeps it until here. If others are left it may be gone afterwards.
        let this = unsafe { target.as_ref() };
        // Release: what was done with this reference is seen by whoever frees the target.
        let before = this.references.fetch_sub(1, Ordering::Release) as isize;
        if before <= 1 {
            // SAFETY: the last reference, or one that does not count: it is there still.
            unsafe { Self::end(target, before) };
        }
    }

    /// Wakes it, under its kernel's lock.
    ///
    /// # Safety
    /// The caller has a reference, and `target` reaches the whole.
    #[inline]
    pub(crate) unsafe fn wake_by_ref(target: NonNull<Self>) {
        // SAFETY: by the caller's word.
        unsafe { (target.as_ref().acts.wake_by_ref)(target) }
    }

    /// Tells whoever polls it, if that can be done without the kernel's lock.
    ///
    /// Orderings: the waker stores `woken`, and loads `polled`; who stops polling stores `polled`, and loads `woken`. With
    /// a fence in between on both sides one of them sees the other's store. The fence before `woken` is for whoever clears
    /// it, has a fence after that, and polls again: either that fence comes first, and this mark comes after the
    /// clearing, or this one does, and the poll sees what it was woken for.
    #[inline(always)]
    fn is_told(&self) -> bool {
        if !BY_FLAG || !self.polled.load(Ordering::Relaxed) {
            return false;
        }
        fence(Ordering::SeqCst);
        self.woken.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.polled.load(Ordering::Relaxed)
    }

    /// Under the kernel's lock: whether it is polled, and so told that it was woken.
    #[inline]
    pub(crate) fn tell(&self) -> bool {
        // Relaxed, here and below: the lock orders, and fences do for wakers that do not take it.
        let polled = self.polled.load(Ordering::Relaxed);
        if polled {
            self.woken.store(true, Ordering::Relaxed);
        }
        polled
    }

    /// Under the kernel's lock: it is polled from now on.
    #[inline]
    pub(crate) fn enter(&self) {
        self.polled.store(true, Ordering::Relaxed);
    }

    /// Under the kernel's lock: it is polled no longer; whether it was woken meanwhile.
    #[inline]
    pub(crate) fn leave(&self) -> bool {
        self.polled.store(false, Ordering::Relaxed);
        flag_fence();
        let woken = self.is_woken();
        if woken {
            self.begin_again();
        }
        woken
    }

    /// By whoever polls it: whether it was woken.
    #[inline]
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed)
    }

    /// By whoever polls it: it was woken, and is going to be polled for that.
    #[inline]
    pub(crate) fn begin_again(&self) {
        self.woken.store(false, Ordering::Relaxed);
        flag_fence();
    }

    /// # Safety
    /// No reference is left, or they do not count any more.
    #[inline(never)]
    unsafe fn end(target: NonNull<Self>, before: isize) {
        // SAFETY: by the caller's word it is still there.
        let this = unsafe { target.as_ref() };
        if before != 1 {
            return this.stick();
        }
        // Acquire pairs with all those who gave up theirs: what they did is over.
        this.references.load(Ordering::Acquire);
        // SAFETY: nobody else refers to it.
        unsafe { (this.acts.free)(target) }
    }

    /// A waker for somebody who has a reference, which becomes the waker's.
    ///
    /// # Safety
    /// `target` reaches the whole.
    #[inline]
    pub(crate) unsafe fn waker(target: NonNull<Self>) -> Waker {
        // SAFETY: the vtable keeps the contract of `RawWaker`, as the target is counted and its acts are for any
        // thread.
        unsafe { Waker::new(target.as_ptr().cast(), &VTABLE) }
    }

    /// # Safety
    /// `data` is that of a waker made by [`waker`](Self::waker).
    #[inline]
    unsafe fn of(data: *const ()) -> NonNull<Self> {
        // SAFETY: never null, see there.
        unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
    }
}

/// A static, and the only one: its address tells these wakers from others.
static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: a waker's data, and the waker has a reference.
        unsafe { WakeTarget::of(data).as_ref().retain() };
        RawWaker::new(data, &VTABLE)
    },
    |data| {
        // SAFETY: as above; the reference is the waker's, which is given up.
        unsafe {
            let target = WakeTarget::of(data);
            (target.as_ref().acts.wake)(target)
        }
    },
    |data| {
        // SAFETY: as above.
        unsafe {
            let target = WakeTarget::of(data);
            if !target.as_ref().is_told() {
                WakeTarget::wake_by_ref(target);
            }
        }
    },
    // SAFETY: as above; the reference is the waker's, which is given up.
    |data| unsafe { WakeTarget::release(WakeTarget::of(data)) },
);

/// A clone that may be made under a lock; `None` if that would run foreign code. The waker that does nothing is
/// no foreign one, either: operations that are only tried wait under it for a moment.
#[inline]
pub(crate) fn clone_own(waker: &Waker) -> Option<Waker> {
    if !ptr::eq(waker.vtable(), &VTABLE) {
        return ptr::eq(waker.vtable(), Waker::noop().vtable()).then(|| Waker::noop().clone());
    }
    // SAFETY: known by its vtable; the waker has a reference, and the new one is the clone's.
    unsafe {
        let target = WakeTarget::of(waker.data());
        target.as_ref().retain();
        Some(WakeTarget::waker(target))
    }
}

/// Who may have to wait: under this waker, which has been cloned, if it was foreseen.
///
/// (One thing, as who is called under a lock with two of them is called with registers.)
pub(crate) struct Waits<'a> {
    pub(crate) current: &'a Waker,
    pub(crate) cloned: Option<Waker>,
}

impl Waits<'_> {
    /// A waker to be left, if there is one that need not be cloned outside the lock.
    #[inline(always)]
    pub(crate) fn waker(&mut self) -> Option<Waker> {
        self.cloned.take().or_else(|| clone_own(self.current))
    }
}
