//! What the endpoints of a channel on the heap hold: a pointer to it, which they own together.
//!
//! An `Arc` without weak pointers, and with a count of 32 bits: there may be a million channels that are idle.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

use crate::sync::atomic::{AtomicU32, Ordering};

/// A channel on the heap, owned by all endpoints that have one of these. The last one frees it; if there ever were more than
/// 2,147,483,647 at a time it stays for ever.
pub struct Joint<C>(NonNull<Owned<C>>, PhantomData<Owned<C>>);

struct Owned<C> {
    owners: AtomicU32,
    channel: C,
}

/// A count that has come so far is one of owners that stay for ever. It is put to the middle of that range, from which no number of
/// owners that come and go at that moment leads out.
const TOO_MANY: u32 = 1 << 31;
const FOR_EVER: u32 = TOO_MANY + TOO_MANY / 2;

// SAFETY: as an `Arc`: owners on several threads share the channel, and any of them may be the one to drop it.
unsafe impl<C: Send + Sync> Send for Joint<C> {}
// SAFETY: as above; a shared owner may be cloned.
unsafe impl<C: Send + Sync> Sync for Joint<C> {}
/// The channel does not move with it.
impl<C> Unpin for Joint<C> {}

impl<C> Joint<C> {
    /// The first owner.
    pub(in crate::std_layer) fn new(channel: C) -> Self {
        let layout = Layout::new::<Owned<C>>();
        // SAFETY: its size is not zero: there is a count in it.
        let memory = unsafe { alloc(layout) }.cast::<Owned<C>>();
        let Some(owned) = NonNull::new(memory) else { handle_alloc_error(layout) };
        // SAFETY: allocated for this.
        unsafe { owned.write(Owned { owners: AtomicU32::new(1), channel }) };
        Self(owned, PhantomData)
    }

    fn owned(&self) -> &Owned<C> {
        // SAFETY: this is an owner, so it has not been freed.
        unsafe { self.0.as_ref() }
    }
}

impl<C> Deref for Joint<C> {
    type Target = C;
    #[inline]
    fn deref(&self) -> &C {
        &self.owned().channel
    }
}

impl<C> Clone for Joint<C> {
    fn clone(&self) -> Self {
        let owners = &self.owned().owners;
        // Relaxed, both: this owner keeps it meanwhile, and whoever is given the new one is given it in order.
        if owners.fetch_add(1, Ordering::Relaxed) >= TOO_MANY - 1 {
            owners.store(FOR_EVER, Ordering::Relaxed);
        }
        Self(self.0, PhantomData)
    }
}

impl<C> Drop for Joint<C> {
    fn drop(&mut self) {
        let owners = &self.owned().owners;
        // Relaxed: it is freed by nobody, then.
        if owners.load(Ordering::Relaxed) >= TOO_MANY {
            return;
        }
        // Release: what this owner did with it comes before it is freed. Acquire: and so, for who frees it, does what all others did.
        if owners.fetch_sub(1, Ordering::AcqRel) == 1 {
            let memory = Memory(self.0);
            // SAFETY: this was the last owner. What is in there goes first, and then, even if that panics, the memory.
            unsafe { memory.0.drop_in_place() };
        }
    }
}

/// Memory to be freed.
struct Memory<C>(NonNull<Owned<C>>);

impl<C> Drop for Memory<C> {
    fn drop(&mut self) {
        // SAFETY: made where the last owner goes, for memory with this layout.
        unsafe { dealloc(self.0.as_ptr().cast(), Layout::new::<Owned<C>>()) };
    }
}
