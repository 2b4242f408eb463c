//! Typed values in the arena, shared by a reference count.

use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use super::layout::ArenaRef;
use super::owned::{Owned, clear};
use crate::sync::RawMutex;

/// A typed value in an arena, read-only, dropped and freed by its last holder: what `Arc` is on a heap.
///
/// Made by [`Owned::share`]. It is how a channel lives in an arena, created and destroyed at run time, and
/// reached from several tasks. Three words; cloning and dropping take constant time, besides the value's
/// own `Drop`. More than 16,383 of one value at one time make it stay for ever.
///
/// ```
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
///
/// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
/// let mine = ARENA.try_alloc_value(Channel::<Lock, u8, Buffered<4>>::new())?.share();
/// let yours = mine.clone();
/// yours.try_send(1)?;
/// assert_eq!(mine.try_recv(), Ok(1));
/// drop((mine, yours));
/// assert_eq!(ARENA.snapshot().live, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Shared<'a, T, M: RawMutex> {
    value: NonNull<T>,
    arena: ArenaRef<'a, M>,
    index: usize,
}

// SAFETY: as for `Arc`: every holder reads the value, and the last one drops it.
unsafe impl<T: Send + Sync, M: RawMutex + Sync> Send for Shared<'_, T, M> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, M: RawMutex + Sync> Sync for Shared<'_, T, M> {}

impl<'a, T, M: RawMutex> Owned<'a, T, M> {
    /// Makes it shareable and read-only.
    pub fn share(self) -> Shared<'a, T, M> {
        let (value, lease) = self.into_parts();
        let arena = lease.arena();
        Shared { value, arena, index: lease.into_index() }
    }
}

impl<T, M: RawMutex> Shared<'_, T, M> {
    /// Whether both are the same value.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.value == other.value && self.index == other.index
    }
}

impl<T, M: RawMutex> Deref for Shared<'_, T, M> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the payload is in hand, so it stays in place, and the value in it is dropped by its last
        // holder only. Nobody can write it.
        unsafe { self.value.as_ref() }
    }
}

impl<T, M: RawMutex> Clone for Shared<'_, T, M> {
    fn clone(&self) -> Self {
        self.arena.retain_raw(self.index);
        Self { value: self.value, arena: self.arena, index: self.index }
    }
}

impl<T, M: RawMutex> Drop for Shared<'_, T, M> {
    fn drop(&mut self) {
        /// Frees the memory even if the value's `Drop` panics.
        struct Vacate<'s, 'a, T, M: RawMutex>(&'s Shared<'a, T, M>);
        impl<T, M: RawMutex> Drop for Vacate<'_, '_, T, M> {
            fn drop(&mut self) {
                // SAFETY: this is the last holder, and the value is gone.
                unsafe { clear(self.0.value) };
                self.0.arena.release_raw(self.0.index);
            }
        }
        if !self.arena.release_unless_last(self.index) {
            let last = Vacate(self);
            // SAFETY: no other holder is left, and none can appear, as each is made from one; what they did
            // with the value happened before, see `release_unless_last`.
            unsafe { last.0.value.drop_in_place() };
        }
    }
}

impl<T: fmt::Debug, M: RawMutex> fmt::Debug for Shared<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
