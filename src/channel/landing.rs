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
#[cfg(feature = "std")]
use core::mem::MaybeUninit;

use crate::sync::wait::Token;

/// A place for what is received, if its receiver's token [stays](Token::stays). Under the channel's lock while that is
/// queued.
///
/// Of others it is not written: a compiler joins it with the fields before it, and the moves of a receive that is an arm of a
/// select then read what was written in other pieces, for which a processor waits.
pub(super) struct Landing<R> {
    #[cfg(feature = "std")]
    place: Cell<MaybeUninit<*mut Option<R>>>,
    _received: PhantomData<R>,
}

impl<R> Landing<R> {
    /// None.
    pub(super) const fn none() -> Self {
        Self {
            #[cfg(feature = "std")]
            place: Cell::new(MaybeUninit::uninit()),
            _received: PhantomData,
        }
    }

    /// It is `place`, which is empty; its receiver's `token`, which nobody else knows of, stays.
    ///
    /// # Safety
    /// The place stays where it is, and is nobody else's, for as long as this is used.
    #[cfg(feature = "std")]
    pub(super) unsafe fn set(&self, token: &Token, place: *mut Option<R>) {
        token.make_stay();
        self.place.set(MaybeUninit::new(place));
    }

    /// Where it is, or null. The token is its receiver's.
    #[inline]
    pub(super) fn place(&self, token: &Token) -> *mut Option<R> {
        #[cfg(feature = "std")]
        if token.stays() {
            // SAFETY: of a receiver only `set` makes it stay, which has written this.
            return unsafe { self.place.get().assume_init() };
        }
        let _ = token;
        core::ptr::null_mut()
    }

    /// What has been put there. Its receiver asks, whose token it is.
    #[inline]
    pub(super) fn take(&self, token: &Token) -> Option<R> {
        // SAFETY: it is the receiver's own, and nobody else's any more since something was put there.
        unsafe { self.place(token).as_mut() }.and_then(Option::take)
    }
}
