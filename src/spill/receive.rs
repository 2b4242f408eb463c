//! Receiving: from a target that lends all, one takes what is next, as of any channel. From another one it may have to be copied
//! back: then one at a time has the turn, takes what is next, and gets the bytes for it.
//!
//! ```text
//!   turn ──► front, or else the queue ──► in the arena, or lent: received
//!                 ▲                  └──► to be copied back: waits for memory ──► received
//!                 └────── given up: dropped, or no memory ──┘
//! ```
//!
//! A message that was taken, and has to wait for memory, is its receiver's. If that goes away it is put in front, and the next one
//! who has the turn looks there first; so nothing is lost and nothing comes out of order.

use super::channel::SpillBytes;
use super::error::TrySpillRecvError;
use super::landing::Landed;
use super::message::Message;
use super::recv::SpillRecv;
use super::slot::{Content, Slot};
use super::tally::{Tally, Way};
use super::target::SpillError;
use crate::arena::LeaseMut;
use crate::channel::{Buffered, Compete, Permit};
use crate::error::{TryAllocError, TryRecvError};
use crate::sync::RawMutex;

/// The turn to receive: the only place in `turn`.
pub(super) struct Turn<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> {
    channel: &'c SpillBytes<'a, M, S>,
    _place: Permit<'c, M, (), Buffered<1>>,
}

/// A message that was taken. Given up, it is in front.
pub(super) struct Taken<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> {
    /// Until it is received.
    slot: Option<Slot<'a, M>>,
    turn: Turn<'c, 'a, M, S>,
}

/// What a message is copied back to.
pub(super) enum Memory<'c, 'a, M: RawMutex> {
    Arena(LeaseMut<'a, M>),
    /// The channel's own.
    Landing(Landed<'c, 'a, M>),
}

impl<'a, M: RawMutex, S: Compete<Slot<'a, M>>> Drop for Taken<'_, 'a, M, S> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let before = self.turn.channel.front.with(|front| front.replace(slot));
            debug_assert!(before.is_none(), "two receivers had the turn");
        }
    }
}

impl<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> Turn<'c, 'a, M, S> {
    pub(super) fn new(
        channel: &'c SpillBytes<'a, M, S>,
        place: Permit<'c, M, (), Buffered<1>>,
    ) -> Self {
        Self { channel, _place: place }
    }

    /// What somebody took and gave up.
    pub(super) fn given_up(self) -> Result<Taken<'c, 'a, M, S>, Self> {
        match self.channel.front.with(Option::take) {
            Some(slot) => Ok(self.with(slot)),
            None => Err(self),
        }
    }

    pub(super) fn with(self, slot: Slot<'a, M>) -> Taken<'c, 'a, M, S> {
        Taken { slot: Some(slot), turn: self }
    }
}

impl<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> Taken<'c, 'a, M, S> {
    /// The memory that it needs: none, if it is in the arena, or lent.
    pub(super) fn needs(&self) -> Option<usize> {
        match &self.slot {
            Some(Slot(Content::Spilled(spilled))) if spilled.view().is_none() => {
                Some(spilled.far.len as usize)
            }
            _ => None,
        }
    }

    /// Receives it.
    pub(super) fn open(
        mut self,
        memory: Option<Memory<'c, 'a, M>>,
    ) -> Result<Message<'c, 'a, M>, SpillError> {
        let slot = self.slot.take().ok_or(SpillError::Damaged)?;
        open(slot, memory, self.turn.channel.tally())
    }
}

/// A message, with memory if it has to be copied back.
pub(super) fn open<'c, 'a, M: RawMutex>(
    slot: Slot<'a, M>,
    memory: Option<Memory<'c, 'a, M>>,
    tally: &'c Tally,
) -> Result<Message<'c, 'a, M>, SpillError> {
    let spilled = match slot.0 {
        Content::Resting(parcel) => {
            let lease = parcel.redeem().map_err(|_| SpillError::Damaged)?;
            return Ok(Message::leased(lease));
        }
        Content::Spilled(spilled) => spilled,
    };
    match memory {
        Some(Memory::Arena(mut memory)) => {
            spilled.fetch(&mut memory, tally)?;
            Ok(Message::leased(memory.freeze()))
        }
        Some(Memory::Landing(mut landed)) => {
            spilled.fetch(&mut landed, tally)?;
            Ok(Message::landed(landed))
        }
        None => match spilled.view() {
            // SAFETY: just returned for it.
            Some(bytes) => unsafe { Message::lent(spilled, bytes, tally) },
            None => {
                // The target has lost it.
                spilled.end(Way::Lost, tally);
                Err(SpillError::Damaged)
            }
        },
    }
}

impl<'a, M: RawMutex, S: Compete<Slot<'a, M>>> SpillBytes<'a, M, S> {
    /// Receives, waiting for a message, and for memory if it has to be copied back into the arena and there is none.
    ///
    /// It can be limited, be an arm of a select, and be dropped, as any receive.
    ///
    /// * *Cancel safety:* dropping the future loses nothing: a message that was taken, and waits for memory, is received next.
    /// * *Order:* receivers that wait are served in the order of their first polls. One that waits for memory holds up the others.
    /// * *Wake-ups:* one for a message; if the target does not lend, one more for its turn, and one for memory.
    /// * *Interrupts:* as [`try_recv`](Self::try_recv).
    /// * *Cost:* as there; about forty words.
    ///
    /// # Errors
    /// [`SpillRecvError`](super::SpillRecvError). After `Lost` the next call goes on behind that message.
    pub fn recv(&self) -> SpillRecv<'_, 'a, M, S> {
        SpillRecv::new(self)
    }

    /// Receives at once or not at all: a lease on the bytes as they were sent, or what the target lends of them, or a copy of that in the
    /// arena.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* the oldest message. If the target does not lend, there is nothing for this one while another receiver has its turn: to it a
    ///   channel may look empty that is not.
    /// * *Wake-ups:* the sender that has waited longest, if one waits for the slot; and the receiver that has.
    /// * *Interrupts:* as safe there as the lock and the target's calls are.
    /// * *Cost:* that of [`Bytes::try_recv`](crate::channel::Bytes::try_recv). What was spilled is read once, for its checksum. If the target does
    ///   not lend, three critical sections more, and a copy.
    ///
    /// # Errors
    /// [`TrySpillRecvError`]. `Memory` loses nothing: the next call finds the same message.
    pub fn try_recv(&self) -> Result<Message<'_, 'a, M>, TrySpillRecvError> {
        if self.place.target().lends() {
            let slot = self.take()?;
            return open(slot, None, self.tally()).map_err(TrySpillRecvError::Lost);
        }
        let Ok(place) = self.turn.try_reserve() else { return Err(TrySpillRecvError::Empty) };
        let taken = match Turn::new(self, place).given_up() {
            Ok(taken) => taken,
            Err(turn) => turn.with(self.take()?),
        };
        let memory = match taken.needs() {
            None => None,
            Some(len) => Some(match self.place.arena().try_alloc(len) {
                Ok(memory) => Memory::Arena(memory),
                Err(TryAllocError::TooLarge | TryAllocError::Full) => {
                    Memory::Landing(self.landing.try_take().ok_or(TrySpillRecvError::Memory)?)
                }
            }),
        };
        taken.open(memory).map_err(TrySpillRecvError::Lost)
    }

    /// What is next in the queue.
    fn take(&self) -> Result<Slot<'a, M>, TrySpillRecvError> {
        self.queue.try_recv().map_err(|error| match error {
            TryRecvError::Empty => TrySpillRecvError::Empty,
            TryRecvError::Closed => TrySpillRecvError::Closed,
        })
    }
}
