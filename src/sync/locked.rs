//! A value behind a lock whose kind is a type parameter.

use core::cell::UnsafeCell;
use core::ptr::NonNull;

#[cfg(feature = "std")]
use super::atomic::AtomicU32;
use super::{RawMutex, const_fn};

/// `T`, reachable only while `M` is held.
///
/// The closures given to [`with`](Self::with) are this crate's own and follow two rules, which is why
/// this type is not public: they never lock the same `Locked` again, and they never run foreign code
/// (a `Waker`, a `Drop`, a `Clone`), so a critical section has a length that can be counted.
///
/// What lies `beside` the value is reached without the lock. It is here, and not beside the whole, as there is a gap behind a lock of
/// a byte: what fits there is no memory.
pub(crate) struct Locked<M, T, B = ()> {
    raw: M,
    /// How many own the whole, if several do together. In the same gap.
    #[cfg(feature = "std")]
    owners: AtomicU32,
    beside: B,
    value: UnsafeCell<T>,
}

// SAFETY: `with` is the only way to `value`, and it holds `raw`. A lock that is `Sync` excludes every
// other holder wherever it runs, so sharing a `Locked` moves `T` between threads one at a time. What is beside is shared as it is.
unsafe impl<M: RawMutex + Sync, T: Send, B: Sync> Sync for Locked<M, T, B> {}
// SAFETY: moving the whole moves `T`, what is beside, and an idle lock.
unsafe impl<M: RawMutex + Send, T: Send, B: Send> Send for Locked<M, T, B> {}

impl<M: RawMutex, T> Locked<M, T> {
    const_fn! {
        pub(crate) const fn new(value: T) -> Self {
            Self::beside((), value)
        }
    }
}

impl<M: RawMutex, T, B> Locked<M, T, B> {
    const_fn! {
        pub(crate) const fn beside(beside: B, value: T) -> Self {
            Self {
                raw: M::INIT,
                #[cfg(feature = "std")]
                owners: AtomicU32::new(0),
                beside,
                value: UnsafeCell::new(value),
            }
        }
    }

    /// What is beside the value.
    #[inline(always)]
    pub(crate) fn aside(&self) -> &B {
        &self.beside
    }

    /// A count that is its owners'.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn owners(&self) -> &AtomicU32 {
        &self.owners
    }

    /// What nobody else can reach.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The value, without taking the lock.
    ///
    /// # Safety
    /// Nobody else reaches it for as long as the reference lives, though the lock be free.
    #[inline]
    #[allow(clippy::mut_from_ref)] // that is what the caller vouches for
    pub(crate) unsafe fn reach(&self) -> &mut T {
        // SAFETY: by the caller's word.
        unsafe { &mut *self.value.get() }
    }

    /// The value, with another lock of this type held.
    ///
    /// # Safety
    /// [`is_one`](Self::is_one), and some `Locked<M, _>` is held. Nobody else up the stack has reached this value, and nobody
    /// reaches it again for as long as the reference lives.
    #[inline]
    #[allow(clippy::mut_from_ref)] // that is what the caller vouches for
    pub(crate) unsafe fn within(&self) -> &mut T {
        debug_assert!(Self::is_one());
        // SAFETY: who holds another lock of this type holds this one (see `raw`), so nobody else reaches the value, be it an
        // interrupt or another thread; that this holder does not either is the caller's word.
        unsafe { &mut *self.value.get() }
    }

    /// Whether all locks of this type are one and the same.
    #[inline(always)]
    pub(crate) const fn is_one() -> bool {
        size_of::<M>() == 0
    }

    #[inline(always)]
    fn raw(&self) -> &M {
        if Self::is_one() {
            // All of them by one address, the only thing that those without any state could be told apart by. So of a
            // type, one is held at a time.
            // SAFETY: a value without bytes lies at any aligned address, and `INIT` says that there may be as many of
            // `M` as one likes.
            unsafe { NonNull::dangling().as_ref() }
        } else {
            &self.raw
        }
    }

    /// Runs `f` with the lock held.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.raw().lock(|| {
            // SAFETY: `RawMutex::lock` excludes every other holder of this lock until the closure
            // returns, and the rule above keeps this holder from entering twice.
            f(unsafe { &mut *self.value.get() })
        })
    }
}
