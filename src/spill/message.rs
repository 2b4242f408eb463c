//! A message in hand: in the arena, or where it was spilled to.

use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;
use core::slice;

use super::landing::Landed;
use super::slot::Spilled;
use super::tally::{Tally, Way};
use super::target::SpillError;
use crate::arena::Lease;
use crate::sync::RawMutex;

/// A message that was received. Dropping it frees its memory, or its extent.
pub struct Message<'c, 'a, M: RawMutex>(Held<'c, 'a, M>);

enum Held<'c, 'a, M: RawMutex> {
    Leased(Lease<'a, M>),
    Landed(Landed<'c, 'a, M>),
    Lent(Lent<'c, 'a, M>),
}

/// Bytes of the target.
struct Lent<'c, 'a, M: RawMutex> {
    /// Taken out once, when this is dropped.
    spilled: Option<Spilled<'a, M>>,
    /// As many as it says.
    bytes: NonNull<u8>,
    len: usize,
    /// Of its channel.
    tally: &'c Tally,
}

// SAFETY: the bytes are shared and read-only, as those of a lease; a target can be used by any thread (`SpillTarget: Sync`), and what else is
// in it are references to a `Spill`, whose lock is, and to counters, which are atomics.
unsafe impl<M: RawMutex + Sync> Send for Lent<'_, '_, M> {}
// SAFETY: as above.
unsafe impl<M: RawMutex + Sync> Sync for Lent<'_, '_, M> {}

impl<'c, 'a, M: RawMutex> Message<'c, 'a, M> {
    pub(super) fn leased(lease: Lease<'a, M>) -> Self {
        Self(Held::Leased(lease))
    }

    pub(super) fn landed(landed: Landed<'c, 'a, M>) -> Self {
        Self(Held::Landed(landed))
    }

    /// The bytes of a payload, where they are, if they are those that were stored.
    ///
    /// # Safety
    /// They are what its `view` has returned.
    pub(super) unsafe fn lent(
        spilled: Spilled<'a, M>,
        bytes: NonNull<u8>,
        tally: &'c Tally,
    ) -> Result<Self, SpillError> {
        let len = spilled.far.len as usize;
        // SAFETY: by the caller's word, so many, and until it is freed.
        let checked = spilled.far.verify(unsafe { slice::from_raw_parts(bytes.as_ptr(), len) });
        if let Err(error) = checked {
            spilled.end(Way::Lost, tally);
            return Err(error);
        }
        Ok(Self(Held::Lent(Lent { spilled: Some(spilled), bytes, len, tally })))
    }

    /// Whether its bytes are lent: by the target, which has less room for as long, or by the channel, which keeps memory for one message
    /// for when the arena is full. Who waits for another message should not keep a lent one meanwhile.
    pub fn is_lent(&self) -> bool {
        !matches!(self.0, Held::Leased(_))
    }

    /// The lease, to be kept, shared or sent on without a copy.
    ///
    /// # Errors
    /// It is [lent](Self::is_lent), and comes back.
    pub fn into_lease(self) -> Result<Lease<'a, M>, Self> {
        match self.0 {
            Held::Leased(lease) => Ok(lease),
            lent => Err(Self(lent)),
        }
    }
}

impl<M: RawMutex> Deref for Message<'_, '_, M> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Leased(lease) => lease,
            Held::Landed(landed) => landed,
            // SAFETY: lent until `spilled` is dropped, which is not before this.
            Held::Lent(lent) => unsafe { slice::from_raw_parts(lent.bytes.as_ptr(), lent.len) },
        }
    }
}

impl<M: RawMutex> AsRef<[u8]> for Message<'_, '_, M> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<M: RawMutex> Drop for Lent<'_, '_, M> {
    fn drop(&mut self) {
        if let Some(spilled) = self.spilled.take() {
            spilled.end(Way::Lent, self.tally);
        }
    }
}

impl<M: RawMutex> fmt::Debug for Message<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Message");
        debug.field("len", &self.len()).field("lent", &self.is_lent()).finish_non_exhaustive()
    }
}
