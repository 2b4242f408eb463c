//! What the model checker loom is given in place of a lock, atomics and slots of which it would know nothing.
//!
//! A channel begins as a `const`, but what loom watches can only be made inside a model: so it is made at its first use.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::sync::{Mutex, OnceLock};

use loom::cell::UnsafeCell;

use crate::sync::RawMutex;

/// A lock for threads.
#[derive(Debug)]
pub struct StdRawMutex(OnceLock<loom::sync::Mutex<()>>);

impl StdRawMutex {
    /// A lock nobody holds.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    fn hold(&self) -> loom::sync::MutexGuard<'_, ()> {
        self.0.get_or_init(Default::default).lock().expect("no model panics in here")
    }
}

impl Default for StdRawMutex {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: loom's mutex excludes, and each object has one.
unsafe impl RawMutex for StdRawMutex {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self::new();

    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let _held = self.hold();
        f()
    }
}

/// The lock of a lane, which is not biased here: [`Biased`](crate::sync::biased::Biased) has a model of its own.
pub(super) struct Lock(StdRawMutex);

impl Lock {
    pub(super) const fn new() -> Self {
        Self(StdRawMutex::new())
    }

    pub(super) fn hold(&self) -> loom::sync::MutexGuard<'_, ()> {
        self.0.hold()
    }

    pub(super) fn try_hold(&self) -> Option<loom::sync::MutexGuard<'_, ()>> {
        self.0.0.get_or_init(Default::default).try_lock().ok()
    }

    pub(super) fn let_bias(&self, _may_bias: bool) {}

    /// No: a second attempt is like the first, and others may go on before either.
    pub(super) fn is_of_another(&self, _me: u16) -> bool {
        false
    }

    pub(super) fn is_biased(&self) -> bool {
        false
    }

    /// Not so that anybody should be given time.
    pub(super) fn is_held(&self) -> bool {
        false
    }

    pub(super) fn enter(&self, _me: u16) -> Option<loom::sync::MutexGuard<'_, ()>> {
        None
    }

    pub(super) fn settle(&self, _me: u16) {}
}

/// A number that begins with what a `const` says.
pub(super) struct AtomicUsize(OnceLock<loom::sync::atomic::AtomicUsize>, usize);

impl AtomicUsize {
    pub(super) const fn new(value: usize) -> Self {
        Self(OnceLock::new(), value)
    }
}

impl Deref for AtomicUsize {
    type Target = loom::sync::atomic::AtomicUsize;
    fn deref(&self) -> &Self::Target {
        self.0.get_or_init(|| loom::sync::atomic::AtomicUsize::new(self.1))
    }
}

/// A pointer that begins as null.
pub(super) struct AtomicPtr<T>(OnceLock<loom::sync::atomic::AtomicPtr<T>>);

impl<T> AtomicPtr<T> {
    pub(super) const fn null() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Deref for AtomicPtr<T> {
    type Target = loom::sync::atomic::AtomicPtr<T>;
    fn deref(&self) -> &Self::Target {
        self.0.get_or_init(Default::default)
    }
}

/// Who uses which slot when. Two who do it at once, or one who does not see what the other has done, fail the model.
pub(super) struct Watch(OnceLock<Mutex<HashMap<usize, UnsafeCell<()>>>>);

impl Watch {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Uses `slot`.
    pub(super) fn uses<T, R>(
        &self,
        slot: *mut MaybeUninit<T>,
        f: impl FnOnce(*mut MaybeUninit<T>) -> R,
    ) -> R {
        let slots = self.0.get_or_init(Mutex::default);
        let mut slots = slots.lock().expect("no model panics in here");
        slots.entry(slot.addr()).or_insert_with(|| UnsafeCell::new(())).with_mut(|_| f(slot))
    }
}
