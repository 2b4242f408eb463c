//! What the channels of an arena share: the target, the marks, and the books.

use core::fmt;
use core::sync::atomic::fence;

use super::marks::{Level, Look, Watermarks};
use super::slot::Far;
use super::tally::{Event, Tally, Way};
use super::target::SpillTarget;
use crate::arena::ArenaRef;
use crate::channel::{AnyArena, Broadcast, Channel, DropOldest, SpillSnapshot, Subscriber};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use crate::sync::{Locked, RawMutex};

/// An arena, the target that its payloads go to, and from when on: shared by all channels that spill there.
///
/// Put it into a `static`, or beside the arena; it is used through shared references.
///
/// *Memory:* a small channel, seven words, and eleven of counters.
///
/// See [`SpillBytes`](super::SpillBytes) for an example.
pub struct Spill<'a, M: RawMutex> {
    arena: &'a dyn AnyArena<M>,
    target: &'a dyn SpillTarget,
    pub(super) marks: Watermarks,
    /// Of channels of no particular importance.
    pub(super) level: Level,
    books: Locked<M, Books>,
    /// Tells senders that wait for it that an extent was freed.
    freed: Freed<M>,
    /// How many there are.
    waiting: AtomicU32,
}

type Freed<M> = Channel<M, (), Broadcast<1, DropOldest>>;

/// Under a lock that is taken inside of a channel's, and holds no other one; so are all tallies.
struct Books {
    /// An extent that is being read to be moved back, and whether its owner has gone meanwhile. Then it is freed by the reader.
    reading: Option<(u32, bool)>,
    /// Of all channels.
    all: Tally,
}

impl<'a, M: RawMutex> Spill<'a, M> {
    /// For an arena of any size, which need not have been used yet.
    pub const fn over(
        arena: &'a dyn AnyArena<M>,
        target: &'a dyn SpillTarget,
        marks: Watermarks,
    ) -> Self {
        let books = Books { reading: None, all: Tally::new() };
        Self {
            arena,
            target,
            marks,
            level: Level::new(),
            books: Locked::new(books),
            freed: Channel::new(),
            waiting: AtomicU32::new(0),
        }
    }

    /// The arena.
    pub fn arena(&self) -> ArenaRef<'a, M> {
        self.arena.any()
    }

    pub(super) fn target(&self) -> &'a dyn SpillTarget {
        self.target
    }

    /// Whether payloads of channels with [`Policy::ColdFirst`](super::Policy::ColdFirst) go out now.
    pub fn is_above(&self) -> bool {
        self.level.is_above(self.arena(), self.marks, 0, Look::Exact)
    }

    /// Its numbers at this moment: of all channels that spill here. Those of one are in
    /// [`SpillBytes::spilled`](super::SpillBytes::spilled).
    pub fn snapshot(&self) -> SpillSnapshot {
        let counted = self.books.with(|books| books.all.snapshot());
        self.completed(counted, self.is_above())
    }

    /// What a channel has counted.
    pub(super) fn snapshot_of(&self, channel: &Tally, above: bool) -> SpillSnapshot {
        let counted = self.books.with(|_| channel.snapshot());
        self.completed(counted, above)
    }

    fn completed(&self, counted: SpillSnapshot, above: bool) -> SpillSnapshot {
        let (capacity, used) = (self.target.capacity(), self.target.used());
        SpillSnapshot { above, capacity, used, ..counted }
    }

    /// Counts something that a channel has done.
    pub(super) fn count(&self, event: Event, channel: &Tally) {
        self.books.with(|books| {
            books.all.count(event);
            channel.count(event);
        });
    }

    /// Counts something for the channel alone.
    pub(super) fn count_apart(&self, event: Event, channel: &Tally) {
        self.books.with(|_| channel.count(event));
    }

    /// Frees an extent, when nobody reads it any more.
    ///
    /// The channel counts it, unless it has gone, or has done so.
    pub(super) fn release(&self, Far { extent, len, .. }: Far, way: Way, channel: Option<&Tally>) {
        let ended = Event::Ended(len, way);
        let is_read = self.books.with(|books| {
            books.all.count(ended);
            if let Some(channel) = channel {
                channel.count(ended);
            }
            match &mut books.reading {
                Some((read, gone)) if *read == extent => {
                    *gone = true;
                    true
                }
                _ => false,
            }
        });
        if !is_read {
            // SAFETY: its only owner gives it up, and nobody else reads it.
            unsafe { self.free(extent) };
        }
    }

    /// # Safety
    /// As for the target's `free`.
    unsafe fn free(&self, extent: u32) {
        // SAFETY: passed on.
        unsafe { self.target().free(extent) };
        // Sequentially consistent with the fence in `wait_for_room`: a sender that is not counted yet finds this extent free.
        fence(SeqCst);
        if self.waiting.load(Relaxed) > 0 {
            // To each of them; nobody else hears it.
            let _ = self.freed.try_send(());
        }
    }

    /// Waits for extents to be freed, from now on.
    pub(super) fn wait_for_room(&self) -> Room<'_, 'a, M> {
        let room = Room { place: self, freed: self.freed.subscribe() };
        self.waiting.fetch_add(1, Relaxed);
        // See `free`: what is looked at after this has all that was freed by who has not seen this.
        fence(SeqCst);
        room
    }

    /// Notes down that an extent is being read whose owner stays where it is, for now, until [`Reading`] is dropped; `false` if another one is
    /// being read. To be called while nobody can take the owner away: under its channel's lock.
    pub(super) fn begin_to_read(&self, extent: u32) -> bool {
        self.books.with(|books| {
            let free = books.reading.is_none();
            if free {
                books.reading = Some((extent, false));
            }
            free
        })
    }
}

/// The wait of a sender for room in the target.
pub(super) struct Room<'s, 'a, M: RawMutex> {
    place: &'s Spill<'a, M>,
    pub(super) freed: Subscriber<&'s Freed<M>>,
}

impl<M: RawMutex> Drop for Room<'_, '_, M> {
    fn drop(&mut self) {
        // Relaxed: a word too much reaches nobody.
        self.place.waiting.fetch_sub(1, Relaxed);
    }
}

/// Ends a read when it is dropped.
pub(super) struct Reading<'s, 'a, M: RawMutex>(pub(super) &'s Spill<'a, M>);

impl<M: RawMutex> Drop for Reading<'_, '_, M> {
    fn drop(&mut self) {
        let left = self.0.books.with(|books| books.reading.take());
        if let Some((extent, true)) = left {
            // SAFETY: its owner has gone, and left it to the reader, who is done with it.
            unsafe { self.0.free(extent) };
        }
    }
}

impl<M: RawMutex> fmt::Debug for Spill<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spill").field("marks", &self.marks).finish_non_exhaustive()
    }
}
