//! What the endpoints of a channel on the heap hold: a pointer to it, which they own together.
//!
//! An `Arc` without weak pointers, and with a count of 32 bits, which lies in a gap beside the channel's lock: there may be a million
//! channels that are idle.

use std::boxed::Box;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

use crate::channel::HasCounts;
use crate::sync::atomic::{AtomicU32, Ordering};

/// A channel on the heap, owned by all endpoints that have one of these. The last one frees it; if there ever were more than
/// 2,147,483,647 at a time it stays for ever.
pub struct Joint<C: HasCounts>(NonNull<C>, PhantomData<C>);

/// A count that has come so far is one of owners that stay for ever. It is put to the middle of that range, from which no number of
/// owners that come and go at that moment leads out.
const TOO_MANY: u32 = 1 << 31;
const FOR_EVER: u32 = TOO_MANY + TOO_MANY / 2;

// SAFETY: as an `Arc`: owners on several threads share the channel, and any of them may be the one to drop it.
unsafe impl<C: HasCounts + Send + Sync> Send for Joint<C> {}
// SAFETY: as above; a shared owner may be cloned.
unsafe impl<C: HasCounts + Send + Sync> Sync for Joint<C> {}
/// The channel does not move with it.
impl<C: HasCounts> Unpin for Joint<C> {}

impl<C: HasCounts> Joint<C> {
    /// The first owner.
    pub(in crate::std_layer) fn new(channel: C) -> Self {
        // Relaxed: nobody else knows of it.
        channel.owners().store(1, Ordering::Relaxed);
        Self(NonNull::from(Box::leak(Box::new(channel))), PhantomData)
    }

    fn owners(&self) -> &AtomicU32 {
        (**self).owners()
    }
}

impl<C: HasCounts> Deref for Joint<C> {
    type Target = C;
    #[inline]
    fn deref(&self) -> &C {
        // SAFETY: this is an owner, so it has not been freed.
        unsafe { self.0.as_ref() }
    }
}

impl<C: HasCounts> Clone for Joint<C> {
    fn clone(&self) -> Self {
        let owners = self.owners();
        // Relaxed, both: this owner keeps it meanwhile, and whoever is given the new one is given it in order.
        if owners.fetch_add(1, Ordering::Relaxed) >= TOO_MANY - 1 {
            owners.store(FOR_EVER, Ordering::Relaxed);
        }
        Self(self.0, PhantomData)
    }
}

impl<C: HasCounts> Drop for Joint<C> {
    fn drop(&mut self) {
        let owners = self.owners();
        // Relaxed: it is freed by nobody, then.
        if owners.load(Ordering::Relaxed) >= TOO_MANY {
            return;
        }
        // Release: what this owner did with it comes before it is freed. Acquire: and so, for who frees it, does what all others did.
        if owners.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: made in a box, and this was the last owner.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}
