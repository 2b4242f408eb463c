//! The channel, and sending.

use core::fmt;
use core::pin::pin;

use super::counting::Counting;
use super::error::{SpillSendError, TrySpillSendError};
use super::landing::Landing;
use super::marks::{Level, Look, Policy};
use super::place::Spill;
use super::send::SpillSend;
use super::slot::{Content, Slot, Spilled};
use super::step::Stepper;
use super::tally::{Tally, Way};
use crate::arena::{LeaseMut, Parcel};
use crate::channel::{
    Buffered, Channel, ChannelSnapshot, ConstStrategy, Permit, SpillSnapshot, Strategy,
};
use crate::error::{ClosedError, TryAllocError, TryReserveError, TrySendError};
use crate::select;
use crate::sync::{Locked, RawMutex};

/// A channel of messages that leave the arena when that fills up: as [`Bytes`](crate::channel::Bytes), with a [`Spill`] behind it.
///
/// While the arena is below its mark a message stays where it is, and is received without a copy. From there on what is sent goes out: it is
/// copied to the target, outside of any lock, its memory is freed at once, and its place in the queue holds an extent instead. So
/// order is that of the one queue, whatever is where. If the target is full or fails, the message stays in the arena; if that is full, too,
/// senders wait, as ever.
///
/// *Memory:* a slot of the queue is three words on a 64-bit target (four on a 32-bit one); besides that a channel, two small ones, eight
/// words, and eleven of counters. With a target that does not lend, the arena keeps memory for one message, the longest that has gone out, from the first
/// one on: of all things the arena may be full with messages that stand behind the one that is to be copied back.
/// *Interrupts:* all calls are as safe there as the lock and the target's calls are.
///
/// ```
/// use cloakroom::channel::Buffered;
/// use cloakroom::spill::{Class, Extents, MemoryTarget, Policy, Spill, SpillBytes, Watermarks, Word};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
///
/// static ARENA: Arena<Lock, 8, 64, 8> = Arena::new(); // 512 bytes
///
/// let mut psram = [0; 64 * 64];
/// let extents = Extents::new([Class { bytes: 64, count: 64 }], Word::free::<2>());
/// let target = MemoryTarget::new(&mut psram, extents);
/// let spill = Spill::over(&ARENA, &target, Watermarks::new(75, 50));
/// let frames: SpillBytes<'_, Lock, Buffered<64>> = SpillBytes::new(&spill, Policy::ColdFirst);
///
/// for number in 0..64 {
///     frames.try_send_bytes(&[number; 64])?; // eight times what the arena holds
/// }
/// assert_eq!(spill.snapshot().messages, 58);
/// for number in 0..64 {
///     assert_eq!(*frames.try_recv()?, [number; 64]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SpillBytes<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> {
    pub(super) place: &'a Spill<'a, M>,
    policy: Policy,
    /// Of a policy with a mark of its own.
    level: Level,
    pub(super) queue: Channel<M, Slot<'a, M>, Counting<S>>,
    /// What was taken from the queue and given up: it comes before everything there. Of whoever has the turn.
    pub(super) front: Locked<M, Option<Slot<'a, M>>>,
    /// Its only place is held by the receiver that has the turn.
    pub(super) turn: Channel<M, (), Buffered<1>>,
    pub(super) stepper: Locked<M, Stepper>,
    /// For messages that the target does not lend.
    pub(super) landing: Landing<'a, M>,
}

impl<'a, M: RawMutex, S: ConstStrategy<Slot<'a, M>>> SpillBytes<'a, M, S> {
    /// An open, empty channel.
    pub const fn new(place: &'a Spill<'a, M>, policy: Policy) -> Self {
        Self::with(place, policy, S::STRATEGY)
    }
}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> SpillBytes<'a, M, S> {
    /// An open, empty channel of a kind that has a parameter, such as [`Unlimited`](crate::channel::Unlimited). What waits is
    /// moved out, and back, in rings only ([`Buffered`]); in other kinds what is sent goes out, and stays there.
    pub const fn with(place: &'a Spill<'a, M>, policy: Policy, kind: S) -> Self {
        Self::around(place, policy, Channel::with(Counting::new(kind)))
    }

    pub(crate) const fn around(
        place: &'a Spill<'a, M>,
        policy: Policy,
        queue: Channel<M, Slot<'a, M>, Counting<S>>,
    ) -> Self {
        Self {
            place,
            policy,
            level: Level::new(),
            queue,
            front: Locked::new(None),
            turn: Channel::new(),
            stepper: Locked::new(Stepper::IDLE),
            landing: Landing::new(),
        }
    }

    /// Whether payloads of this channel go out now.
    pub fn is_above(&self) -> bool {
        self.goes_out(Look::Exact)
    }

    fn goes_out(&self, look: Look) -> bool {
        let Spill { marks, ref level, .. } = *self.place;
        let (level, importance) = match self.policy {
            Policy::Never => return false,
            Policy::ColdFirst => (level, 0),
            Policy::Priority(importance) => (&self.level, importance),
        };
        level.is_above(self.place.arena(), marks, importance, look)
    }

    /// Sends a payload at once or not at all.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as [`Channel::try_send`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* as safe there as the target's calls; below the mark none is made.
    /// * *Cost:* below the mark, a look at the arena and a `try_send`. Above it, a slot is reserved first (unless the kind drops values, and nobody
    ///   waits for one); then a pass over the payload for its checksum, and a copy, outside of any lock.
    ///
    /// # Errors
    /// The payload comes back, at rest.
    pub fn try_send(&self, payload: LeaseMut<'a, M>) -> Result<(), TrySendError<Parcel<'a, M>>> {
        self.try_send_parcel(payload.into_parcel())
    }

    /// The same with a payload that is at rest already. If others share it, its memory is freed when the last share has gone.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as [`try_send`](Self::try_send).
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* as there.
    /// * *Cost:* as there.
    ///
    /// # Errors
    /// The parcel comes back.
    pub fn try_send_parcel(
        &self,
        parcel: Parcel<'a, M>,
    ) -> Result<(), TrySendError<Parcel<'a, M>>> {
        if !self.goes_out(Look::Cheap) {
            return self.try_send_resting(parcel);
        }
        if S::LOSES {
            return self.try_send_losing(parcel);
        }
        match self.queue.try_reserve() {
            Ok(permit) => {
                permit.send(self.put_away(parcel));
                Ok(())
            }
            Err(TryReserveError::Full) => Err(TrySendError::Full(parcel)),
            Err(TryReserveError::Closed) => Err(TrySendError::Closed(parcel)),
        }
    }

    /// Sends a payload that stays in the arena.
    fn try_send_resting(&self, parcel: Parcel<'a, M>) -> Result<(), TrySendError<Parcel<'a, M>>> {
        let sent = self.queue.try_send(Slot(Content::Resting(parcel)));
        sent.map(drop).map_err(|error| error.map(Slot::into_resting))
    }

    /// Sends a payload that is to go out, where nobody waits for a slot: it is moved out before it has one.
    fn try_send_losing(&self, parcel: Parcel<'a, M>) -> Result<(), TrySendError<Parcel<'a, M>>> {
        let Ok(copy) = self.copy_out(&parcel) else {
            return self.try_send_resting(parcel);
        };
        let sent = self.queue.try_send(Slot(Content::Spilled(copy)));
        sent.map(drop).map_err(|error| {
            error.map(|slot| {
                self.take_back(slot);
                parcel
            })
        })
    }

    /// A slot that was refused, with its extent.
    fn take_back(&self, slot: Slot<'a, M>) {
        if let Content::Spilled(copy) = slot.0 {
            copy.end(Way::Dropped, self.tally());
        }
    }

    /// Sends a payload, waiting for a slot. See [`SpillSend`] for selects, deadlines and cancellation.
    ///
    /// * *Cancel safety:* dropping the future frees the payload, and sends nothing. Nothing is written to the target before there is
    ///   a slot.
    /// * *Order:* as [`Channel::send`].
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* as [`try_send`](Self::try_send).
    /// * *Cost:* as there. The target's call is made while the future is polled: in an executor that others share, that is to be
    ///   thought of.
    ///
    /// The future fails, with the payload at rest, when the channel is closed.
    pub fn send(&self, payload: LeaseMut<'a, M>) -> SpillSend<'_, 'a, M, S> {
        self.send_parcel(payload.into_parcel())
    }

    /// The same with a payload that is at rest already.
    ///
    /// * *Cancel safety:* as [`send`](Self::send).
    /// * *Order:* as there.
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* as there.
    /// * *Cost:* as there.
    pub fn send_parcel(&self, parcel: Parcel<'a, M>) -> SpillSend<'_, 'a, M, S> {
        SpillSend::new(self, parcel)
    }

    /// Sends into a slot that was waited for: as the arena is now, and not as it was before the wait.
    pub(super) fn send_into(
        &self,
        slot: Permit<'_, M, Slot<'a, M>, Counting<S>>,
        parcel: Parcel<'a, M>,
    ) {
        let out = self.goes_out(Look::Cheap);
        slot.send(if out { self.put_away(parcel) } else { Slot(Content::Resting(parcel)) });
    }

    /// Sends a copy of these bytes, at once or not at all. Above the mark they go to the target directly, and so they do when
    /// the arena has no room: then no memory of the arena is needed at all.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* as [`try_send`](Self::try_send).
    /// * *Wake-ups:* as there.
    /// * *Interrupts:* as there.
    /// * *Cost:* below the mark, a look at the arena, an allocation, a copy and a `try_send`. Otherwise a slot is reserved; then a pass for the
    ///   checksum, and a copy to the target.
    ///
    /// # Errors
    /// [`TrySpillSendError::Memory`] when neither the arena nor the target has room.
    pub fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), TrySpillSendError> {
        self.check_len(bytes)?;
        if !self.goes_out(Look::Cheap) {
            if let Ok(memory) = self.place.arena().try_alloc(bytes.len()) {
                return match self.queue.try_send(copied(memory, bytes)) {
                    Ok(_) => Ok(()),
                    Err(TrySendError::Full(_)) => Err(TrySpillSendError::Full),
                    Err(TrySendError::Closed(_)) => Err(TrySpillSendError::Closed),
                };
            }
        }
        if S::LOSES {
            let slot = self.place_bytes(bytes).ok_or(TrySpillSendError::Memory)?;
            return self.queue.try_send(slot).map(drop).map_err(|error| {
                let is_full = error.is_full();
                self.take_back(error.into_inner());
                if is_full { TrySpillSendError::Full } else { TrySpillSendError::Closed }
            });
        }
        let permit = self.queue.try_reserve().map_err(|error| match error {
            TryReserveError::Full => TrySpillSendError::Full,
            TryReserveError::Closed => TrySpillSendError::Closed,
        })?;
        permit.send(self.place_bytes(bytes).ok_or(TrySpillSendError::Memory)?);
        Ok(())
    }

    /// Sends a copy of these bytes, waiting for a slot, and for memory if neither the arena nor the target has any.
    ///
    /// * *Cancel safety:* dropping the future sends nothing, and nothing stays allocated.
    /// * *Order:* in the line of the channel, then in the line for memory. Who waits for room in the target may be overtaken there.
    /// * *Wake-ups:* one for a slot, one for memory; one each time an extent was freed.
    /// * *Interrupts:* as [`try_send`](Self::try_send).
    /// * *Cost:* as [`try_send_bytes`](Self::try_send_bytes).
    ///
    /// # Errors
    /// [`SpillSendError`].
    pub async fn send_bytes(&self, bytes: &[u8]) -> Result<(), SpillSendError> {
        self.check_len(bytes).map_err(|_| SpillSendError::TooLarge)?;
        if S::LOSES {
            let slot = self.place_bytes_or_wait(bytes).await?;
            return self.queue.try_send(slot).map(drop).map_err(|error| {
                self.take_back(error.into_inner());
                SpillSendError::Closed
            });
        }
        let permit = self.queue.reserve().await.map_err(|ClosedError| SpillSendError::Closed)?;
        let slot = self.place_bytes_or_wait(bytes).await?;
        permit.send(slot);
        Ok(())
    }

    /// What the arena can never hold could not be read back into it.
    fn check_len(&self, bytes: &[u8]) -> Result<(), TrySpillSendError> {
        let fits = self.place.arena().can_hold(bytes.len());
        if fits { Ok(()) } else { Err(TrySpillSendError::TooLarge) }
    }

    /// Bytes in the arena or in the target, if there is room in either.
    fn place_bytes(&self, bytes: &[u8]) -> Option<Slot<'a, M>> {
        let in_arena = || self.place.arena().try_alloc(bytes.len());
        let memory = if self.goes_out(Look::Cheap) { Err(TryAllocError::Full) } else { in_arena() };
        if let Ok(memory) = memory {
            return Some(copied(memory, bytes));
        }
        if !matches!(self.policy, Policy::Never) {
            if let Some(spilled) = self.store(bytes) {
                return Some(Slot(Content::Spilled(spilled)));
            }
        }
        in_arena().ok().map(|memory| copied(memory, bytes))
    }

    /// The same, waiting for room in either.
    async fn place_bytes_or_wait(&self, bytes: &[u8]) -> Result<Slot<'a, M>, SpillSendError> {
        if let Some(slot) = self.place_bytes(bytes) {
            return Ok(slot);
        }
        // From here on no extent is freed unnoticed.
        let mut room = self.place.wait_for_room();
        let mut memory = pin!(self.place.arena().alloc(bytes.len()));
        loop {
            if let Some(slot) = self.place_bytes(bytes) {
                return Ok(slot);
            }
            select! {
                biased;
                memory = memory.as_mut() => {
                    return Ok(copied(memory.map_err(|_| SpillSendError::TooLarge)?, bytes));
                }
                _ = room.freed.recv() => {}
            }
        }
    }

    /// Moves a payload out, if the target takes it.
    fn put_away(&self, parcel: Parcel<'a, M>) -> Slot<'a, M> {
        match self.copy_out(&parcel) {
            Ok(spilled) => Slot(Content::Spilled(spilled)),
            Err(_) => Slot(Content::Resting(parcel)),
        }
    }

    /// Copies a payload that stays at rest to the target.
    pub(super) fn copy_out(&self, parcel: &Parcel<'a, M>) -> Result<Spilled<'a, M>, Stays> {
        // A payload that is damaged stays, and its receiver is told. One without bytes takes no memory, and one of a larger arena
        // could not be read back.
        let lease = parcel.share().and_then(|share| share.redeem().ok()).ok_or(Stays::AnyHow)?;
        if lease.is_empty() || !self.place.arena().can_hold(lease.len()) {
            return Err(Stays::AnyHow);
        }
        self.store(&lease).ok_or(Stays::Refused)
    }

    /// Stores bytes in the target, if it takes them, and they can be had back.
    fn store(&self, bytes: &[u8]) -> Option<Spilled<'a, M>> {
        let place = self.place;
        if !place.target().lends() && !self.landing.prepare(place.arena(), bytes.len()) {
            return None;
        }
        Spilled::store(place, bytes, self.tally())
    }

    /// See [`Channel::close`].
    pub fn close(&self) -> bool {
        self.queue.close()
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Messages in the channel, wherever their bytes are. (One that a receiver has taken and waits for memory for is the receiver's.)
    pub fn len(&self) -> usize {
        self.queue.len() + self.front.with(|front| usize::from(front.is_some()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See [`Channel::is_full`].
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// See [`Channel::capacity`].
    pub fn capacity(&self) -> Option<usize> {
        self.queue.capacity()
    }

    /// What its queue has counted. Bytes are none of that; those that are out are in [`spilled`](Self::spilled).
    pub fn snapshot(&self) -> ChannelSnapshot {
        self.queue.snapshot()
    }

    /// What this channel has moved out, and what became of it. It reconciles by itself; what all channels of a place have moved out is in
    /// [`Spill::snapshot`].
    ///
    /// ```
    /// # use cloakroom::channel::Buffered;
    /// # use cloakroom::spill::{Class, Extents, MemoryTarget, Policy, Spill, SpillBytes, Watermarks, Word};
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
    /// static ARENA: Arena<Lock, 8, 64, 8> = Arena::new();
    /// # let mut psram = [0; 512];
    /// # let target = MemoryTarget::new(&mut psram, Extents::new([Class { bytes: 64, count: 8 }], Word::free::<1>()));
    /// let spill = Spill::over(&ARENA, &target, Watermarks::new(50, 25));
    /// let log: SpillBytes<'_, Lock, Buffered<8>> = SpillBytes::new(&spill, Policy::ColdFirst);
    /// let frames: SpillBytes<'_, Lock, Buffered<8>> = SpillBytes::new(&spill, Policy::Never);
    /// for number in 0..3 {
    ///     log.try_send_bytes(&[number; 40])?;
    ///     frames.try_send_bytes(&[number; 40])?;
    /// }
    /// let (log, frames) = (log.spilled(), frames.spilled());
    /// assert_eq!((log.messages, log.bytes, frames.messages), (1, 40, 0));
    /// assert!(log.above && log.reconciles());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spilled(&self) -> SpillSnapshot {
        self.place.snapshot_of(self.tally(), self.is_above())
    }

    /// Its queue, to be looked through.
    #[cfg(feature = "monitor")]
    pub(crate) fn queue(&self) -> &Channel<M, Slot<'a, M>, Counting<S>> {
        &self.queue
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.queue.kind().tally
    }
}

/// Why a payload stays in the arena.
pub(super) enum Stays {
    /// It cannot go out, or need not.
    AnyHow,
    /// The target does not take it.
    Refused,
}

impl<'a, M: RawMutex> Slot<'a, M> {
    /// What was refused.
    fn into_resting(self) -> Parcel<'a, M> {
        match self.0 {
            Content::Resting(parcel) => parcel,
            // SAFETY: called for a slot that the queue gave back as it was handed in, by `try_send_parcel`.
            Content::Spilled(_) => unsafe { core::hint::unreachable_unchecked() },
        }
    }
}

/// A message in the arena.
fn copied<'a, M: RawMutex>(mut memory: LeaseMut<'a, M>, bytes: &[u8]) -> Slot<'a, M> {
    memory.copy_from_slice(bytes);
    Slot(Content::Resting(memory.into_parcel()))
}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> fmt::Debug for SpillBytes<'a, M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpillBytes").field("policy", &self.policy).finish_non_exhaustive()
    }
}
