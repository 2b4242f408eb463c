//! Parcels: payloads at rest, owned, one by one or several of the same.

use core::fmt;
use core::mem::ManuallyDrop;

use super::layout::ArenaRef;
use super::lease::Lease;
use super::rested::Rested;
use super::ticket::Ticket;
use crate::error::RedeemError;
use crate::sync::RawMutex;
use crate::unwind::to_the_end;

/// A payload at rest, owned: a [`Ticket`] that frees its payload when it is dropped unredeemed.
///
/// It is what byte channels queue. Nothing can borrow the bytes, so the arena may move them.
///
/// ```
/// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
/// # static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
/// let parcel = ARENA.try_alloc_from(b"later")?.into_parcel()?;
/// assert_eq!(parcel.len(), 5);
/// assert_eq!(&*parcel.redeem()?, b"later");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Lies in memory alike whatever the lock: a channel weighs it without knowing that.
#[repr(C)]
pub struct Parcel<'a, M: RawMutex> {
    pub(super) arena: ArenaRef<'a, M>,
    /// Its claim can be taken by anyone who has, or guesses, the number (a dump shows it), and then
    /// the descriptor may serve another payload: what a parcel does is checked as for a ticket.
    pub(super) rested: Rested,
    /// When it was sent, if it was: kept here and not with the descriptor, as one payload may be in several channels.
    #[cfg(feature = "histograms")]
    pub(super) sent: u32,
}

impl<'a, M: RawMutex> Parcel<'a, M> {
    #[inline]
    pub(super) fn new(arena: ArenaRef<'a, M>, rested: Rested) -> Self {
        Self {
            arena,
            rested,
            #[cfg(feature = "histograms")]
            sent: 0,
        }
    }

    /// Takes the payload in hand.
    ///
    /// # Errors
    /// [`RedeemError::Damaged`] if the arena keeps checksums and the payload has changed while it was
    /// at rest. It is then freed and counted. [`RedeemError::Stale`] if somebody has redeemed its
    /// number, which [`dump`](ArenaRef::dump) shows, behind its back.
    #[inline]
    pub fn redeem(self) -> Result<Lease<'a, M>, RedeemError> {
        let parcel = ManuallyDrop::new(self);
        parcel.arena.redeem_at(parcel.index(), parcel.rested.generation())
    }

    /// As [`redeem`](Self::redeem), where it does not matter why not. A copy of its own, which takes and returns
    /// registers.
    #[inline(always)]
    pub(crate) fn redeem_if_sound(self) -> Option<Lease<'a, M>> {
        let parcel = ManuallyDrop::new(self);
        parcel.arena.redeem_if_sound(parcel.index(), parcel.rested.generation())
    }

    /// A second parcel with the same payload; `None` when 16,382 tickets for it are out already, or somebody
    /// has redeemed its number behind its back.
    pub(crate) fn share(&self) -> Option<Self> {
        let shared = self.arena.share_at_rest(self.index(), self.rested.generation());
        // Made only if it is counted: dropping one gives a ticket up.
        shared.then(|| Self {
            arena: self.arena,
            rested: self.rested,
            // In the same channel since the same moment.
            #[cfg(feature = "histograms")]
            sent: self.sent,
        })
    }

    /// Its ticket, and where its arena is: what a walk through a channel notes down.
    pub(crate) fn identity(&self) -> (Ticket, usize) {
        (self.arena.ticket_of(self.index(), self.rested.generation()), self.arena.address())
    }

    /// Lets go of ownership: from now on the number alone stands for the payload.
    pub fn into_ticket(self) -> Ticket {
        let parcel = ManuallyDrop::new(self);
        parcel.arena.ticket_of(parcel.index(), parcel.rested.generation())
    }

    /// The payload's length in bytes.
    pub fn len(&self) -> usize {
        self.arena.row(self.index()).len()
    }

    /// Whether the payload has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<M: RawMutex> Drop for Parcel<'_, M> {
    fn drop(&mut self) {
        self.arena.discard_row(self.index(), self.rested.generation());
    }
}

impl<M: RawMutex> fmt::Debug for Parcel<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Parcels of one payload, made by [`Lease::into_parcels`]. Those that are not taken out are given up with it.
pub struct Parcels<'a, M: RawMutex> {
    pub(super) arena: ArenaRef<'a, M>,
    pub(super) rested: Rested,
    /// Tickets that are counted, and yet to be taken out.
    pub(super) left: usize,
}

impl<'a, M: RawMutex> Iterator for Parcels<'a, M> {
    type Item = Parcel<'a, M>;

    #[inline]
    fn next(&mut self) -> Option<Parcel<'a, M>> {
        self.left = self.left.checked_sub(1)?;
        Some(Parcel::new(self.arena, self.rested))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<M: RawMutex> ExactSizeIterator for Parcels<'_, M> {}

impl<M: RawMutex> Drop for Parcels<'_, M> {
    fn drop(&mut self) {
        // Whoever is woken may panic.
        to_the_end(|| self.next().is_some());
    }
}

impl<M: RawMutex> fmt::Debug for Parcels<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcels").field("left", &self.left).finish_non_exhaustive()
    }
}
