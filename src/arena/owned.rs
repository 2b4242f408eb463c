//! Typed values in the arena.

use core::mem::{self, ManuallyDrop};
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::{fmt, ptr};

use super::layout::ArenaRef;
use super::lease::LeaseMut;
use crate::error::{AllocValueError, TryAllocError};
use crate::sync::RawMutex;

/// A value that lives in the arena, with the meaning of a `Box`: unique, and dropped in place.
///
/// It is a payload in hand, so it never moves while it exists. It may be sent through any channel as a
/// value of two words.
///
/// ```
/// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
/// # static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
/// let mut table = ARENA.try_alloc_value([0u32; 32])?;
/// table[3] = 7;
/// assert_eq!(table.iter().sum::<u32>(), 7);
/// # Ok::<(), cloakroom::AllocValueError<[u32; 32]>>(())
/// ```
pub struct Owned<'a, T, M: RawMutex> {
    value: ptr::NonNull<T>,
    /// Frees the pages when the value is gone.
    lease: ManuallyDrop<LeaseMut<'a, M>>,
}

// SAFETY: it owns its `T`, as a `Box` does, and a lease, which may be sent where `M` may be shared.
unsafe impl<T: Send, M: RawMutex + Sync> Send for Owned<'_, T, M> {}
// SAFETY: `&Owned` gives `&T` and nothing of the lease.
unsafe impl<T: Sync, M: RawMutex + Sync> Sync for Owned<'_, T, M> {}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Moves `value` into the arena.
    ///
    /// # Errors
    /// The value comes back: `Full` for now, `TooLarge` for ever (its size, or its alignment beyond
    /// that of a page).
    pub fn try_alloc_value<T>(self, value: T) -> Result<Owned<'a, T, M>, AllocValueError<T>> {
        if align_of::<T>() > self.page_align() {
            return Err(AllocValueError { why: TryAllocError::TooLarge, value });
        }
        match self.try_alloc(size_of::<T>()) {
            Ok(lease) => Ok(Owned::place(lease, value)),
            Err(why) => Err(AllocValueError { why, value }),
        }
    }

    /// As [`try_alloc_value`](Self::try_alloc_value), waiting for memory. Dropping the future drops the
    /// value.
    ///
    /// # Errors
    /// The value comes back when it can never fit.
    pub async fn alloc_value<T>(self, value: T) -> Result<Owned<'a, T, M>, AllocValueError<T>> {
        if align_of::<T>() <= self.page_align() {
            if let Ok(lease) = self.alloc(size_of::<T>()).await {
                return Ok(Owned::place(lease, value));
            }
        }
        Err(AllocValueError { why: TryAllocError::TooLarge, value })
    }

    /// What every payload's first byte is aligned to.
    pub(crate) fn page_align(self) -> usize {
        let base = self.page(0).addr();
        1 << base.trailing_zeros().min(u32::from(self.geometry().page_shift))
    }
}

impl<'a, T, M: RawMutex> Owned<'a, T, M> {
    fn place(mut lease: LeaseMut<'a, M>, value: T) -> Self {
        let value_at = if size_of::<T>() == 0 {
            ptr::NonNull::dangling()
        } else {
            // SAFETY: a slice's pointer is never null.
            unsafe { ptr::NonNull::new_unchecked(lease.as_mut_ptr().cast::<T>()) }
        };
        // SAFETY: the lease is unique and as long as a `T`, and its pages are aligned for it (checked
        // by the callers); a zero-sized value needs no memory at all.
        unsafe { value_at.write(value) };
        Self { value: value_at, lease: ManuallyDrop::new(lease) }
    }

    /// The value, by value; its memory is freed.
    pub fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the value is read once and never used again, as `this` is not dropped.
        let value = unsafe { this.value.read() };
        // SAFETY: the value has left, and the lease is not used again.
        unsafe { this.vacate() };
        value
    }

    /// The value's place and its memory, for the caller to look after.
    pub(super) fn into_parts(self) -> (ptr::NonNull<T>, LeaseMut<'a, M>) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, as `this` is not dropped.
        (this.value, unsafe { ManuallyDrop::take(&mut this.lease) })
    }

    /// Clears and frees the memory.
    ///
    /// # Safety
    /// The value is gone, and this is called once, last.
    unsafe fn vacate(&mut self) {
        // SAFETY: the memory is the lease's, and the value in it is gone.
        unsafe { clear(self.value) };
        // SAFETY: once, by the caller's word.
        unsafe { ManuallyDrop::drop(&mut self.lease) };
    }
}

/// Zeroes where a value was: its padding and uninitialised parts must not be read as bytes by the next lease.
///
/// # Safety
/// The memory is the caller's, and the value in it is gone.
pub(super) unsafe fn clear<T>(value: ptr::NonNull<T>) {
    if mem::size_of::<T>() != 0 {
        // SAFETY: by the caller's word.
        unsafe { ptr::write_bytes(value.as_ptr(), 0, 1) };
    }
}

impl<T, M: RawMutex> Owned<'static, T, M> {
    /// The value as pinned: it does not move until it is dropped.
    pub fn into_pin(self) -> Pin<Self> {
        // SAFETY: the payload is in hand and never moves; `Drop` drops it in place, and if it is leaked
        // the memory stays its own for ever, as a static arena is never moved or dropped.
        unsafe { Pin::new_unchecked(self) }
    }
}

impl<T, M: RawMutex> Deref for Owned<'_, T, M> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the value was placed at construction and is gone only when `self` is.
        unsafe { self.value.as_ref() }
    }
}

impl<T, M: RawMutex> DerefMut for Owned<'_, T, M> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the payload has one handle, which is borrowed uniquely.
        unsafe { self.value.as_mut() }
    }
}

impl<T, M: RawMutex> Drop for Owned<'_, T, M> {
    fn drop(&mut self) {
        /// Frees the memory even if the value's `Drop` panics.
        struct Vacate<'o, 'a, T, M: RawMutex>(&'o mut Owned<'a, T, M>);
        impl<T, M: RawMutex> Drop for Vacate<'_, '_, T, M> {
            fn drop(&mut self) {
                // SAFETY: the value has been dropped (or its `Drop` has unwound), and `Owned`'s own
                // drop runs once.
                unsafe { self.0.vacate() }
            }
        }
        let guard = Vacate(self);
        // SAFETY: the value is alive and never used again.
        unsafe { guard.0.value.drop_in_place() };
    }
}

impl<T: fmt::Debug, M: RawMutex> fmt::Debug for Owned<'_, T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
