//! Unlimited channels that keep their arena.

use std::sync::Arc;

use super::Unbounded;
use crate::channel::counted::{Change, Counts};
use crate::channel::store::sealed::Sealed;
use crate::channel::{AnyArena, Channel, Counted, HasChannel, HasCounts, Unlimited};
use crate::std_layer::{MappedArena, StdRawMutex};
use crate::sync::RawMutex;
use crate::sync::atomic::AtomicU32;

impl<M: RawMutex> Sealed for MappedArena<M> {}

impl<M: RawMutex + Send + Sync> AnyArena<M> for MappedArena<M> {
    fn any(&self) -> crate::ArenaRef<'_, M> {
        self.handle()
    }
}

/// An unlimited channel, and the arena that it takes its memory from, unless that is there for ever. Made by
/// [`unbounded_in`](super::unbounded_in).
pub struct InArena<T> {
    /// First, as it gives memory back to the arena when it is dropped.
    channel: Counted<StdRawMutex, T, Unbounded<'static>>,
    _arena: Option<Arc<MappedArena<StdRawMutex>>>,
}

impl<T> InArena<T> {
    pub(in crate::std_layer) fn new(arena: Arc<MappedArena<StdRawMutex>>) -> Self {
        let forever: *const MappedArena<StdRawMutex> = Arc::as_ptr(&arena);
        // SAFETY: the arena does not move, and is kept until the channel is gone, which is the only place that
        // this reference, and leases made by it, ever lie in: the channel shows them to nobody, and an operation
        // that waits for memory borrows the channel.
        let forever: &'static MappedArena<StdRawMutex> = unsafe { &*forever };
        Self { channel: Counted::with(Unlimited::over(forever)), _arena: Some(arena) }
    }

    /// In an arena that is there for ever.
    pub(in crate::std_layer) fn forever(arena: &'static dyn AnyArena<StdRawMutex>) -> Self {
        Self { channel: Counted::with(Unlimited::over(arena)), _arena: None }
    }
}

impl<T> Sealed for InArena<T> {}

impl<T> HasChannel for InArena<T> {
    type Lock = StdRawMutex;
    type Value = T;
    type Kind = Unbounded<'static>;
    fn channel(&self) -> &Channel<StdRawMutex, T, Unbounded<'static>> {
        self.channel.channel()
    }
}

impl<T> HasCounts for InArena<T> {
    fn count(&self, change: Change) -> Counts {
        self.channel.count(change)
    }

    fn owners(&self) -> &AtomicU32 {
        self.channel.owners()
    }
}
