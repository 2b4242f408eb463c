//! Redeeming: a ticket's claim, or a parcel's, becomes a lease, if the descriptor still is in its generation.

use super::descriptor::Row;
use super::layout::ArenaRef;
use super::lease::Lease;
use super::map::Map;
use super::ticket::Ticket;
use super::word::Bits;
#[cfg(target_has_atomic = "64")]
use super::word::CasWords;
use crate::error::RedeemError;
use crate::sync::RawMutex;
use crate::sync::atomic::Ordering::Relaxed;

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Takes a payload in hand, for one of its tickets.
    ///
    /// Constant time, interrupt-safe, except that redeeming a payload which compaction is moving at
    /// this moment finishes that move, and that checksums, where they are on, read the payload.
    ///
    /// # Errors
    /// [`RedeemError::Forged`] for a number that was never a ticket of this arena and epoch,
    /// [`RedeemError::Stale`] for one that has been redeemed as often as it was deposited,
    /// [`RedeemError::Layout`] for a scattered payload, [`RedeemError::Damaged`] for one that has
    /// changed while at rest. None of them harms anything else.
    #[inline]
    pub fn redeem(self, ticket: Ticket) -> Result<Lease<'a, M>, RedeemError> {
        self.redeem_among(ticket, self.geometry().row_count)
    }

    /// As [`redeem`](Self::redeem), in an arena of so many descriptors.
    #[inline]
    pub(super) fn redeem_among(
        self,
        ticket: Ticket,
        rows: usize,
    ) -> Result<Lease<'a, M>, RedeemError> {
        // The check of the number is short and goes into the caller; the rest is one copy.
        let (index, generation) = self.look_up(ticket, rows)?;
        self.redeem_genuine(index, generation)
    }

    #[inline(never)]
    fn redeem_genuine(self, index: usize, generation: u32) -> Result<Lease<'a, M>, RedeemError> {
        self.redeem_at(index, generation)
    }

    #[inline(never)]
    pub(super) fn redeem_if_sound(self, index: usize, generation: u32) -> Option<Lease<'a, M>> {
        self.redeem_at(index, generation).ok()
    }

    #[inline]
    pub(super) fn redeem_at(
        self,
        index: usize,
        generation: u32,
    ) -> Result<Lease<'a, M>, RedeemError> {
        if self.redeem_at_once(index, generation) {
            // A payload with a checksum is not that plain.
            return Ok(Lease { arena: self, index });
        }
        self.redeem_slowly(index, generation)
    }

    #[cold]
    #[inline(never)]
    fn redeem_slowly(self, index: usize, generation: u32) -> Result<Lease<'a, M>, RedeemError> {
        self.take_at_rest(index, generation, false, Bits::redeemed)?;
        self.checked(index)
    }

    /// Gives a ticket up unredeemed, also one of a scattered payload.
    ///
    /// # Errors
    /// As for [`redeem`](Self::redeem), without `Layout`.
    pub fn discard(self, ticket: Ticket) -> Result<(), RedeemError> {
        match self.redeem(ticket) {
            Err(RedeemError::Layout) => self.redeem_scattered(ticket).map(drop),
            other => other.map(drop),
        }
    }

    /// Wraps a payload that has just been taken in hand, unless it is damaged.
    fn checked(self, index: usize) -> Result<Lease<'a, M>, RedeemError> {
        let lease = Lease { arena: self, index };
        #[cfg(feature = "checksum")]
        if !self.seal_holds(index) {
            self.core().map.with(|map| map.stats.damaged = map.stats.damaged.wrapping_add(1));
            return Err(RedeemError::Damaged);
        }
        Ok(lease)
    }

    /// Turns one ticket of a payload in one run, which still is in `generation` and not being moved, into a
    /// lease: the common case. `false`, and nothing changed, for all others.
    #[inline]
    fn redeem_at_once(self, index: usize, generation: u32) -> bool {
        let row = self.row(index);
        #[cfg(target_has_atomic = "64")]
        if CasWords::<M>::YES {
            let parked = Bits::parked_in(generation);
            return row.word.exchange(parked, parked.leased())
                || row.word.update_cas(|bits| bits.redeemed_in(generation)).is_ok();
        }
        self.core().map.with(|map| row.redeem_held(map, generation))
    }

    /// The descriptor of `rows` that a ticket names, if the number can be genuine.
    #[inline]
    fn look_up(self, ticket: Ticket, rows: usize) -> Result<(usize, u32), RedeemError> {
        let (index, generation) =
            ticket.open(self.core().epoch.load(Relaxed)).ok_or(RedeemError::Forged)?;
        if index >= rows {
            return Err(RedeemError::Forged);
        }
        Ok((index, generation))
    }

    /// Takes one ticket's claim: at rest to in hand, or, by `f`, away.
    #[inline]
    pub(super) fn take_ticket(
        self,
        ticket: Ticket,
        scattered: bool,
        f: impl Fn(Bits) -> Bits,
    ) -> Result<usize, RedeemError> {
        let (index, generation) = self.look_up(ticket, self.geometry().row_count)?;
        self.take_at_rest(index, generation, scattered, f).map(|()| index)
    }

    /// As [`take_ticket`](Self::take_ticket), for an index and generation.
    #[inline]
    fn take_at_rest(
        self,
        index: usize,
        generation: u32,
        scattered: bool,
        f: impl Fn(Bits) -> Bits,
    ) -> Result<(), RedeemError> {
        let row = self.row(index);
        loop {
            let result = self.update(row, |bits| {
                let genuine = bits.generation() == generation
                    && bits.at_rest() > 0
                    && !bits.is_link()
                    && bits.is_scattered() == scattered
                    && !bits.is_moving();
                genuine.then(|| f(bits))
            });
            match result {
                Ok(_) => return Ok(()),
                Err(bits) if bits.generation() != generation => return Err(RedeemError::Stale),
                // A later part of a chain never had a ticket in this generation.
                Err(bits) if bits.is_link() => return Err(RedeemError::Forged),
                Err(bits) if bits.at_rest() == 0 => return Err(RedeemError::Stale),
                Err(bits) if bits.is_scattered() != scattered => {
                    return Err(RedeemError::Layout);
                }
                Err(_) => self.settle_move(index),
            }
        }
    }

    /// At rest to in hand for a later part of a chain whose head the caller has in hand. No ticket for
    /// such a part is ever accepted, so nobody else can have taken it.
    #[inline]
    pub(super) fn take_part(self, index: usize) {
        let row = self.row(index);
        while self.update(row, |bits| (!bits.is_moving()).then(|| bits.redeemed())).is_err() {
            self.settle_move(index);
        }
    }
}

impl Row {
    /// See [`redeem_at_once`](ArenaRef::redeem_at_once): the same with the lock held, of an arena whose words change under it.
    #[inline]
    pub(super) fn redeem_held(&self, map: &mut Map, generation: u32) -> bool {
        let redeemed = self.word.read(map).redeemed_quickly(generation);
        redeemed.is_some_and(|bits| {
            self.word.set(map, bits);
            true
        })
    }
}
