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

use core::mem::ManuallyDrop;

use super::channel::SpillBytes;
use super::error::{SpillRecvError, TrySpillRecvError};
use super::landing::Landed;
use super::message::Message;
use super::place::Way;
use super::slot::{Content, Slot, Spilled};
use super::target::SpillError;
use crate::arena::LeaseMut;
use crate::channel::Compete;
use crate::error::{AllocError, RecvError, TryAllocError, TryRecvError};
use crate::select;
use crate::sync::RawMutex;

/// The turn to receive, of whoever has put the value into `turn`.
struct Turn<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>>(&'c SpillBytes<'a, M, S>);

impl<'a, M: RawMutex, S: Compete<Slot<'a, M>>> Drop for Turn<'_, 'a, M, S> {
    fn drop(&mut self) {
        // It is there: this turn's.
        let _ = self.0.turn.try_recv();
    }
}

/// A message that was taken, and needs memory. Given up, it is in front.
struct Taken<'t, 'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> {
    turn: &'t Turn<'c, 'a, M, S>,
    spilled: ManuallyDrop<Spilled<'a, M>>,
}

impl<'a, M: RawMutex, S: Compete<Slot<'a, M>>> Drop for Taken<'_, '_, 'a, M, S> {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        let spilled = unsafe { ManuallyDrop::take(&mut self.spilled) };
        let before = self.turn.0.front.with(|front| front.replace(spilled));
        debug_assert!(before.is_none(), "two receivers had the turn");
    }
}

impl<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> Taken<'_, 'c, 'a, M, S> {
    /// Copies it into the arena.
    fn into_arena(self, mut memory: LeaseMut<'a, M>) -> Result<Message<'c, 'a, M>, SpillError> {
        self.spilled().fetch(&mut memory)?;
        Ok(Message::leased(memory.freeze()))
    }

    /// Copies it into the channel's own memory.
    fn into_landing(self, mut landed: Landed<'c, 'a, M>) -> Result<Message<'c, 'a, M>, SpillError> {
        self.spilled().fetch(&mut landed)?;
        Ok(Message::landed(landed))
    }

    fn len(&self) -> usize {
        self.spilled.far.len as usize
    }

    /// It is about to be received.
    fn spilled(self) -> Spilled<'a, M> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: it is neither dropped nor used again.
        unsafe { ManuallyDrop::take(&mut this.spilled) }
    }
}

impl<'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> Turn<'c, 'a, M, S> {
    /// What somebody took and gave up.
    fn given_up(&self) -> Option<Taken<'_, 'c, 'a, M, S>> {
        let spilled = self.0.front.with(Option::take)?;
        Some(Taken { turn: self, spilled: ManuallyDrop::new(spilled) })
    }

    /// What is next, which may need memory.
    fn open(&self, slot: Slot<'a, M>) -> Result<Opened<'_, 'c, 'a, M, S>, SpillError> {
        Ok(match open(slot)? {
            Ok(message) => Opened::Message(message),
            Err(far) => Opened::Taken(Taken { turn: self, spilled: ManuallyDrop::new(far) }),
        })
    }
}

/// A message, or one that needs memory.
enum Opened<'t, 'c, 'a, M: RawMutex, S: Compete<Slot<'a, M>>> {
    Message(Message<'c, 'a, M>),
    Taken(Taken<'t, 'c, 'a, M, S>),
}

/// A message, or what has to be copied back for it.
fn open<'c, 'a, M: RawMutex>(
    slot: Slot<'a, M>,
) -> Result<Result<Message<'c, 'a, M>, Spilled<'a, M>>, SpillError> {
    let spilled = match slot.0 {
        Content::Resting(parcel) => {
            let lease = parcel.redeem().map_err(|_| SpillError::Damaged)?;
            return Ok(Ok(Message::leased(lease)));
        }
        Content::Spilled(spilled) => spilled,
    };
    match spilled.view() {
        // SAFETY: just returned for it.
        Some(bytes) => unsafe { Message::lent(spilled, bytes) }.map(Ok),
        None => Ok(Err(spilled)),
    }
}

/// A message of a target that lends all.
fn open_lent<'c, 'a, M: RawMutex>(slot: Slot<'a, M>) -> Result<Message<'c, 'a, M>, SpillError> {
    open(slot)?.map_err(|spilled| {
        // It has lost it.
        spilled.end(Way::Lost);
        SpillError::Damaged
    })
}

impl<'a, M: RawMutex, S: Compete<Slot<'a, M>>> SpillBytes<'a, M, S> {
    /// Receives, waiting for a message, and for memory if it has to be copied back into the arena and there is none.
    ///
    /// To limit the wait, or as an arm of a select, make it [`plain`](crate::select::plain): it can be dropped.
    ///
    /// * *Cancel safety:* dropping the future loses nothing: a message that was taken, and waits for memory, is received next.
    /// * *Order:* receivers that wait are served in the order of their first polls. One that waits for memory holds up the others.
    /// * *Wake-ups:* one for a message; if the target does not lend, one more for its turn, and one for memory.
    /// * *Interrupts:* as [`try_recv`](Self::try_recv).
    /// * *Cost:* as there; about forty words.
    ///
    /// # Errors
    /// [`SpillRecvError`]. After `Lost` the next call goes on behind that message.
    pub async fn recv(&self) -> Result<Message<'_, 'a, M>, SpillRecvError> {
        if self.place.target().lends() {
            let slot = self.queue.recv().await.map_err(|RecvError| SpillRecvError::Closed)?;
            return open_lent(slot).map_err(SpillRecvError::Lost);
        }
        // It is never closed.
        let _ = self.turn.send(()).await;
        let turn = Turn(self);
        let taken = match turn.given_up() {
            Some(taken) => taken,
            None => {
                let slot = self.queue.recv().await.map_err(|RecvError| SpillRecvError::Closed)?;
                match turn.open(slot).map_err(SpillRecvError::Lost)? {
                    Opened::Message(message) => return Ok(message),
                    Opened::Taken(taken) => taken,
                }
            }
        };
        let back = select! {
            biased;
            memory = self.place.arena().alloc(taken.len()) => match memory {
                Ok(memory) => taken.into_arena(memory),
                // What goes out is measured before.
                Err(AllocError) => Err(SpillError::Full),
            },
            landed = self.landing.take() => match landed {
                Ok(memory) => taken.into_landing(self.landing.landed(memory)),
                // It is never closed.
                Err(RecvError) => Err(SpillError::Full),
            },
        };
        back.map_err(SpillRecvError::Lost)
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
            return open_lent(self.take()?).map_err(TrySpillRecvError::Lost);
        }
        if self.turn.try_send(()).is_err() {
            return Err(TrySpillRecvError::Empty);
        }
        let turn = Turn(self);
        let taken = match turn.given_up() {
            Some(taken) => taken,
            None => match turn.open(self.take()?).map_err(TrySpillRecvError::Lost)? {
                Opened::Message(message) => return Ok(message),
                Opened::Taken(taken) => taken,
            },
        };
        let back = match self.place.arena().try_alloc(taken.len()) {
            Ok(memory) => taken.into_arena(memory),
            Err(TryAllocError::TooLarge) => Err(SpillError::Full),
            Err(TryAllocError::Full) => match self.landing.try_take() {
                Some(landed) => taken.into_landing(landed),
                None => return Err(TrySpillRecvError::Memory),
            },
        };
        back.map_err(TrySpillRecvError::Lost)
    }

    /// What is next in the queue.
    fn take(&self) -> Result<Slot<'a, M>, TrySpillRecvError> {
        self.queue.try_recv().map_err(|error| match error {
            TryRecvError::Empty => TrySpillRecvError::Empty,
            TryRecvError::Closed => TrySpillRecvError::Closed,
        })
    }
}
