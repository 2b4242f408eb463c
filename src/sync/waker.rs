//! Wakers of this crate's own: counted pointers to something that can be woken.
//!
//! Cloning a [`Waker`] is foreign code, which must not run under a lock. One that wakes a task of a kernel is not
//! foreign: it is known by its vtable, of which there is only one, and cloning it counts and does nothing else. So a
//! future that must wait needs no second critical section for the waker that it leaves.

use core::ptr::{self, NonNull};
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::atomic::{AtomicUsize, Ordering};

/// What a waker points to: the head of something larger, that is freed when nobody refers to it any more.
#[repr(C)]
pub(crate) struct WakeTarget {
    /// References; half of the range and more: forgotten so often that it is never freed.
    references: AtomicUsize,
    acts: &'static Acts,
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

impl WakeTarget {
    /// One that has so many references.
    pub(crate) fn new(acts: &'static Acts, references: usize) -> Self {
        Self { references: AtomicUsize::new(references), acts }
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

    /// Wakes it.
    ///
    /// # Safety
    /// The caller has a reference, and `target` reaches the whole.
    #[inline]
    pub(crate) unsafe fn wake_by_ref(target: NonNull<Self>) {
        // SAFETY: by the caller's word.
        unsafe { (target.as_ref().acts.wake_by_ref)(target) }
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
        unsafe { WakeTarget::wake_by_ref(WakeTarget::of(data)) }
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
