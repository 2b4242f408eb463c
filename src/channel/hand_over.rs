//! The common cases of messages on one core: out of a sender's hand into a channel, and out of it into a receiver's.
//!
//! Under a lock of size zero one critical section does all of it, as that keeps everybody out of the arena, too; and the
//! message's descriptor, which also tells its length, is looked up once. What comes of it is told in registers.
//!
//! Where a lock has a state, putting a payload to rest and taking it in hand are steps of their own, beside the
//! channel's lock.

use core::mem::{ManuallyDrop, forget};

use super::Channel;
use super::aside::Aside;
use super::snapshot::count;
use super::state::State;
use super::store::{Compete, Strategy};
use crate::arena::{ArenaRef, Lease, LeaseMut, Parcel};
use crate::sync::{Locked, RawMutex};

/// Why a lease was not taken in. It is still good.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum NotTaken {
    /// There is no room, and nobody who might make some. That has been counted.
    Full,
    /// It is not that common a case.
    Unclear,
}

/// Why there is no lease.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum NoLease {
    /// There is no message, and nobody who might bring one. That has been counted.
    Empty,
    /// The message had changed while it was at rest. It has been freed.
    Damaged,
    /// It is not that common a case.
    Unclear,
}

/// A lease, or why there is none, in two words.
pub(super) struct Handed<'a, M: RawMutex>(Option<ArenaRef<'a, M>>, usize);

impl<'a, M: RawMutex> Handed<'a, M> {
    #[inline(always)]
    fn lease(lease: Lease<'a, M>) -> Self {
        let (arena, index) = lease.into_parts();
        Self(Some(arena), index)
    }

    #[inline(always)]
    fn nothing(why: NoLease) -> Self {
        Self(None, why as usize)
    }

    #[inline(always)]
    pub(super) fn into_lease(self) -> Result<Lease<'a, M>, NoLease> {
        const EMPTY: usize = NoLease::Empty as usize;
        const DAMAGED: usize = NoLease::Damaged as usize;
        match self {
            // SAFETY: a lease's parts, which have come here from nowhere else.
            Self(Some(arena), index) => Ok(unsafe { Lease::from_parts(arena, index) }),
            Self(None, EMPTY) => Err(NoLease::Empty),
            Self(None, DAMAGED) => Err(NoLease::Damaged),
            Self(None, _) => Err(NoLease::Unclear),
        }
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> State<Parcel<'a, M>, S> {
    /// Puts a payload to rest, and in, if nobody waits.
    ///
    /// # Safety
    /// The channel [takes in](Channel::TAKES_IN). The lease is not used again if this succeeds.
    #[inline]
    unsafe fn take_in(&mut self, payload: &LeaseMut<'a, M>) -> Result<(), NotTaken> {
        if self.is_crowded() {
            return Err(NotTaken::Unclear);
        }
        if !self.has_room() {
            if S::GROWS || self.is_closed() {
                return Err(NotTaken::Unclear);
            }
            count(&mut self.counters.full);
            return Err(NotTaken::Full);
        }
        // SAFETY: the channel's lock is held, and the arena's of the same type is not.
        let mut parcel = unsafe { payload.rest_within() }.ok_or(NotTaken::Unclear)?;
        if self.weighs() {
            if let Some(sums) = self.sums() {
                sums.weigh_in(parcel.weigh_at_home());
            }
        }
        count(&mut self.counters.sent);
        // It adds one, and replaces none.
        forget(self.put_counted(parcel, S::Rank::default()));
        Ok(())
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> State<Parcel<'a, M>, S> {
    /// Takes a message out, if nobody waits, and in hand, if that is all that there is to it.
    ///
    /// # Safety
    /// The channel [hands out](Channel::HANDS_OUT).
    #[inline]
    unsafe fn hand_out(&mut self) -> Result<Result<Lease<'a, M>, Parcel<'a, M>>, NoLease> {
        if self.is_crowded() {
            return Err(NoLease::Unclear);
        }
        if !self.has_unpromised(()) {
            if self.is_closed() {
                return Err(NoLease::Unclear);
            }
            count(&mut self.counters.empty);
            return Err(NoLease::Empty);
        }
        let (mut parcel, _) = self.pop_weighed(()).ok_or(NoLease::Unclear)?;
        let weight = parcel.weigh_at_home();
        if self.weighs() {
            if let Some(sums) = self.sums() {
                sums.weigh_out(weight);
            }
        }
        // SAFETY: the channel's lock is held, and the arena's of the same type is not.
        Ok(unsafe { parcel.redeem_within() })
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Channel<M, Parcel<'a, M>, S> {
    const IS_ONE_STEP: bool = Locked::<M, ()>::is_one() && !S::Aside::LENDS && !S::MEETS;
    /// Whether a payload is put to rest and in by one section.
    pub(super) const TAKES_IN: bool = Self::IS_ONE_STEP && State::<_, S>::ADDS_ONE;

    /// Does that.
    ///
    /// # Errors
    /// The payload comes back, in hand.
    #[inline(always)]
    pub(super) fn take_in(
        &self,
        payload: LeaseMut<'a, M>,
    ) -> Result<(), (LeaseMut<'a, M>, NotTaken)> {
        let payload = ManuallyDrop::new(payload);
        // SAFETY: it is used only where this has failed.
        unsafe { self.use_up(&payload) }.map_err(|why| (ManuallyDrop::into_inner(payload), why))
    }

    /// # Safety
    /// The lease is not used again if this succeeds.
    #[inline(never)]
    unsafe fn use_up(&self, payload: &LeaseMut<'a, M>) -> Result<(), NotTaken> {
        debug_assert!(Self::TAKES_IN);
        // SAFETY: passed on.
        self.locked(|state| unsafe { state.take_in(payload) })
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Channel<M, Parcel<'a, M>, S> {
    /// Whether a message is taken out and in hand by one section.
    pub(super) const HANDS_OUT: bool = Self::IS_ONE_STEP && !S::GROWS;

    /// Does that.
    #[inline(never)]
    pub(super) fn hand_out(&self) -> Handed<'a, M> {
        debug_assert!(Self::HANDS_OUT);
        // SAFETY: it does.
        match self.locked(|state| unsafe { state.hand_out() }) {
            Ok(Ok(lease)) => Handed::lease(lease),
            Ok(Err(parcel)) => match parcel.redeem_if_sound() {
                Some(lease) => Handed::lease(lease),
                None => Handed::nothing(NoLease::Damaged),
            },
            Err(why) => Handed::nothing(why),
        }
    }
}
