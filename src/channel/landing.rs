//! Where a receiver that waits has its value put, if it *stays* until it is told what has come of it: a call that blocks
//! its thread.
//!
//! A value that is promised to a receiver stays in the channel until that one comes for it, as it may go away instead. One
//! that stays need not come: whoever sends puts the value where it will find it, and goes on. So a thread can serve
//! several that wait before any of them runs, and the channel's room is left for what follows. A sender that stays has its
//! value taken in the same way: see [`admit_first`](super::state::State::admit_first). (If a foreign waker panics in such a
//! call, which may have others to wake, what has landed is dropped with it, and counted as received.)
//!
//! Only threads stay; elsewhere this is nothing.

#[cfg(feature = "std")]
use core::cell::Cell;
use core::marker::PhantomData;

/// A place for what is received, or none. Under the channel's lock while its receiver is queued.
pub(super) struct Landing<R> {
    /// Null if there is none.
    #[cfg(feature = "std")]
    place: Cell<*mut Option<R>>,
    _received: PhantomData<R>,
}

impl<R> Landing<R> {
    /// None.
    pub(super) const fn none() -> Self {
        Self {
            #[cfg(feature = "std")]
            place: Cell::new(core::ptr::null_mut()),
            _received: PhantomData,
        }
    }

    /// It is `place`, which is empty.
    ///
    /// # Safety
    /// The place stays where it is, and is nobody else's, for as long as this is used.
    #[cfg(feature = "std")]
    pub(super) unsafe fn set(&self, place: *mut Option<R>) {
        self.place.set(place);
    }

    /// Where it is, or null.
    #[inline]
    pub(super) fn place(&self) -> *mut Option<R> {
        #[cfg(feature = "std")]
        return self.place.get();
        #[cfg(not(feature = "std"))]
        core::ptr::null_mut()
    }

    /// What has been put there. Its receiver asks.
    #[inline]
    pub(super) fn take(&self) -> Option<R> {
        // SAFETY: it is the receiver's own, and nobody else's any more since something was put there.
        unsafe { self.place().as_mut() }.and_then(Option::take)
    }
}
