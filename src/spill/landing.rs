//! Memory for one message, so that what is next can always be had back.
//!
//! What a target does not lend has to be copied into the arena. That may be full, of all things with messages that stand behind this
//! one, and would be freed after it only. So before a channel's first payload goes to such a target, memory for one message is put
//! aside, and is never shorter than the longest that went. A message in it is lent: its memory comes back here.

use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

use crate::arena::{ArenaRef, LeaseMut};
use crate::channel::{Buffered, Channel, RecvFuture};
use crate::sync::{Locked, RawMutex};

/// The memory, unless it is out.
pub(super) struct Landing<'a, M: RawMutex> {
    memory: Channel<M, LeaseMut<'a, M>, Buffered<1>>,
    size: Locked<M, Size>,
}

struct Size {
    /// Bytes it is long, out or not.
    bytes: usize,
    /// Somebody makes it longer.
    grows: bool,
}

impl<'a, M: RawMutex> Landing<'a, M> {
    pub(super) const fn new() -> Self {
        Self { memory: Channel::new(), size: Locked::new(Size { bytes: 0, grows: false }) }
    }

    /// Sees to it that a message so long can be had back; whether it can.
    pub(super) fn prepare(&self, arena: ArenaRef<'a, M>, len: usize) -> bool {
        // One without bytes takes a descriptor all the same.
        let len = len.max(1);
        let (enough, mine, some) = self.size.with(|size| {
            let enough = size.bytes >= len;
            let mine = !enough && !core::mem::replace(&mut size.grows, true);
            (enough, mine, size.bytes > 0)
        });
        if !mine {
            return enough;
        }
        let longer = arena.try_alloc(len).ok();
        let bytes = longer.and_then(|longer| {
            let bytes = longer.capacity();
            // One that is out may be wanted by who waits for it: it stays.
            let shorter = if some { Some(self.memory.try_recv().ok()?) } else { None };
            // There is room: there is one, and it was taken.
            let _ = self.memory.try_send(longer);
            drop(shorter);
            Some(bytes)
        });
        self.size.with(|size| {
            size.grows = false;
            size.bytes = bytes.unwrap_or(size.bytes);
        });
        bytes.is_some()
    }

    /// The memory, if it is there.
    pub(super) fn try_take(&self) -> Option<Landed<'_, 'a, M>> {
        self.memory.try_recv().ok().map(|memory| self.landed(memory))
    }

    /// The memory, waiting for whoever has it.
    pub(super) fn take(&self) -> RecvFuture<'_, M, LeaseMut<'a, M>, Buffered<1>> {
        self.memory.recv()
    }

    /// What was taken.
    pub(super) fn landed(&self, memory: LeaseMut<'a, M>) -> Landed<'_, 'a, M> {
        Landed { landing: self, memory: ManuallyDrop::new(memory) }
    }
}

/// The memory, out. It comes back when this is dropped.
pub(super) struct Landed<'c, 'a, M: RawMutex> {
    landing: &'c Landing<'a, M>,
    memory: ManuallyDrop<LeaseMut<'a, M>>,
}

impl<'a, M: RawMutex> Deref for Landed<'_, 'a, M> {
    type Target = LeaseMut<'a, M>;
    fn deref(&self) -> &LeaseMut<'a, M> {
        &self.memory
    }
}

impl<M: RawMutex> DerefMut for Landed<'_, '_, M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.memory
    }
}

impl<M: RawMutex> Drop for Landed<'_, '_, M> {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        // There is room: it was taken, and while it is out none is put in its place.
        let _ = self.landing.memory.try_send(memory);
    }
}
