//! Values that can be had several times.

use crate::arena::{Lease, Parcel, Shared};
use crate::sync::RawMutex;

/// A value of which a broadcast can hand a second one out: a plain value (`Copy`), or one that shares its
/// payload by a reference count ([`Parcel`], [`Lease`], [`Shared`](crate::Shared), and with `std`
/// `ArcShare`).
///
/// It is not `Clone`, because it is called with the channel's lock held: `Clone` may do anything.
///
/// # Safety
/// [`share`](Self::share) takes constant time, does not panic, and does not use any channel, kernel or
/// timer.
pub unsafe trait Share: Sized {
    /// A second one. `None` when there are too many to be counted.
    fn share(&self) -> Option<Self>;
}

// SAFETY: a copy of plain bytes.
unsafe impl<T: Copy> Share for T {
    #[inline]
    fn share(&self) -> Option<Self> {
        Some(*self)
    }
}

// SAFETY: raises a count in the arena, under its lock or by compare-exchange. The arena's lock is inside
// the channel's, never the other way round.
unsafe impl<M: RawMutex> Share for Parcel<'_, M> {
    fn share(&self) -> Option<Self> {
        Parcel::share(self)
    }
}

// SAFETY: as above.
unsafe impl<M: RawMutex> Share for Lease<'_, M> {
    fn share(&self) -> Option<Self> {
        Some(self.clone())
    }
}

// SAFETY: as above.
unsafe impl<T, M: RawMutex> Share for Shared<'_, T, M> {
    fn share(&self) -> Option<Self> {
        Some(self.clone())
    }
}
