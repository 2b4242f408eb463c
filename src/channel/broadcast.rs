//! Broadcast channels: a ring, and a cursor for each subscriber.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::overflow::{ConstOverflow, Overflow, Victim, Wait};
use super::room::{Blank, Inline, Room, Slots, round};
use super::share::Share;
use super::snapshot::{Kind, count};
use super::store::{
    ConstStrategy, Leaving, NoGrowth, Store, Strategy, never_grows, sealed::Sealed,
};

/// A ring of `N` values that every [`Subscriber`](super::Subscriber) reads from the moment it subscribes.
///
/// A value stays until the last subscriber has read it; nobody's copy costs more than a [`Share`]. When
/// the slowest subscriber is `N` values behind, the policy decides: senders [`Wait`] for it, or it misses
/// values and is told how many ([`DropOldest`](super::DropOldest)), or everybody misses the newest
/// ([`DropNewest`](super::DropNewest)). A value that nobody is there to read is dropped at once, and counted.
///
/// Memory: a slot is a value and two words; a subscriber is two words of its own and none in the channel.
///
/// ```
/// use cloakroom::channel::{Broadcast, Channel, Delivery, DropOldest};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static BEATS: Channel<Lock, u16, Broadcast<2, DropOldest>> = Channel::new();
/// let mut display = BEATS.subscribe();
/// for beat in 1..=3 {
///     BEATS.try_send(beat)?;
/// }
/// assert_eq!(display.try_recv(), Ok(Delivery::Lagged(1)));
/// assert_eq!(display.try_recv(), Ok(Delivery::Value(2)));
/// # Ok::<(), cloakroom::TrySendError<u16>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Broadcast<const N: usize, P = Wait, R = Inline<N>>(P, PhantomData<fn() -> R>);

impl<const N: usize, P> Broadcast<N, P> {
    /// With a policy that has a hook; see [`Hook`](super::Hook).
    pub const fn with(policy: P) -> Self {
        Self::within(policy)
    }
}

impl<const N: usize, P, R> Broadcast<N, P, R> {
    /// With room of any sort.
    pub(crate) const fn within(policy: P) -> Self {
        Self(policy, PhantomData)
    }
}

/// What a subscriber receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Delivery<T> {
    /// A value.
    Value(T),
    /// It has missed so many, which were dropped before it came to read them. The next receive returns the
    /// oldest value that there is.
    Lagged(u64),
}

impl<T> Delivery<T> {
    /// The value, if it is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Lagged(_) => None,
        }
    }

    /// The same about another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Delivery<U> {
        match self {
            Self::Value(value) => Delivery::Value(f(value)),
            Self::Lagged(missed) => Delivery::Lagged(missed),
        }
    }
}

impl<const N: usize, P, R> Sealed for Broadcast<N, P, R> {}

impl<T: Share, const N: usize, P: Overflow<T>, R: Room> Strategy<T> for Broadcast<N, P, R> {
    type Receipt = ();
    type Received = Delivery<T>;
    type Rank = ();
    type Reader = CursorRef;
    type Mark = u32;
    type Store = SharedRing<T, R, P>;
    type Aside = ();
    type Weighs = R::Weighs;
    type Highest = u32;
    const KIND: Kind = Kind::Broadcast;
    const LOSES: bool = !matches!(P::VICTIM, Victim::None);
    const SHARES: bool = true;
    never_grows!();

    fn receipt(&self, dropped: Option<T>) {
        if let Some(value) = dropped {
            self.0.dropped(value);
        }
    }
}

impl<T: Share, const N: usize, P: Overflow<T> + ConstOverflow> ConstStrategy<T>
    for Broadcast<N, P>
{
    const STRATEGY: Self = Self::within(P::POLICY);
}

/// The number of the value that a subscriber reads next; under the channel's lock.
pub(super) type Cursor = Cell<u64>;

/// A subscriber's cursor. Whoever holds this has borrowed it, see `RecvFuture`.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct CursorRef(NonNull<Cursor>);

impl CursorRef {
    pub(super) fn to(cursor: &Cursor) -> Self {
        Self(NonNull::from(cursor))
    }

    fn get(&self) -> &Cursor {
        // SAFETY: only `Subscriber` makes one, for the time of a call, or for a future that borrows it.
        unsafe { self.0.as_ref() }
    }
}

#[doc(hidden)]
pub struct Slot<T> {
    value: Option<T>,
    /// How many subscribers have yet to read it.
    unread: u32,
    /// Whether one has.
    read: bool,
}

impl<T> Blank for Slot<T> {
    const BLANK: Self = Self { value: None, unread: 0, read: false };
}

/// Values `first` to `end`, not included, by numbers that count all values ever sent.
///
/// Subscribers read in order and each was there for all values behind its cursor, so values are done with in
/// order, too. The exception is a subscriber that goes away: it passes what was there when it went, one value a
/// step, and what is sent meanwhile may be done with before that. Then a *hole* is left, which takes up its place
/// until those before it are gone; whoever goes away passes over the holes it has caused before it is gone.
#[doc(hidden)]
pub struct SharedRing<T, R: Room, P> {
    slots: R::Of<Slot<T>>,
    /// The slot of value `first`.
    head: usize,
    first: u64,
    end: u64,
    /// Values: places that are taken, and no holes.
    len: usize,
    subscribers: u32,
    delivered: u32,
    lagged: u32,
    _policy: PhantomData<fn() -> P>,
}

impl<T, R: Room, P> SharedRing<T, R, P> {
    /// A ring without values in these slots.
    pub(crate) const fn over(slots: R::Of<Slot<T>>) -> Self {
        Self {
            slots,
            head: 0,
            first: 0,
            end: 0,
            len: 0,
            subscribers: 0,
            delivered: 0,
            lagged: 0,
            _policy: PhantomData,
        }
    }

    #[inline(always)]
    fn room(&self) -> usize {
        self.slots.all().len()
    }

    fn slot(&mut self, offset: u64) -> Option<&mut Slot<T>> {
        // Lossless: offsets are below the length.
        let at = round::<R>(self.head + offset as usize, self.room());
        self.slots.all_mut().get_mut(at)
    }

    /// Moves a cursor to the oldest value; how many it has missed: none where a value is kept until all have read it.
    fn skip_lost(&self, cursor: &Cursor) -> u64
    where
        P: Overflow<T>,
    {
        if matches!(P::VICTIM, Victim::None) {
            return 0;
        }
        let missed = self.first.saturating_sub(cursor.get());
        cursor.set(cursor.get() + missed);
        missed
    }

    /// Drops the oldest value, for which others have been waiting.
    fn drop_first(&mut self) -> Option<T> {
        if self.first == self.end {
            return None;
        }
        let slot = self.slot(0)?;
        let (value, unread) = (slot.value.take(), slot.unread);
        self.lagged = self.lagged.wrapping_add(unread);
        self.len -= 1;
        self.advance();
        value
    }

    /// Passes over the oldest place if it is a hole.
    fn pass_hole(&mut self) -> bool {
        let hole = self.first != self.end && self.slot(0).is_some_and(|slot| slot.unread == 0);
        if hole {
            self.advance();
        }
        hole
    }

    /// Places that are taken, by values and by holes.
    fn taken(&self) -> usize {
        // Lossless: the room at the most.
        (self.end - self.first) as usize
    }

    fn advance(&mut self) {
        self.first += 1;
        self.head = round::<R>(self.head + 1, self.room());
    }

    /// A subscriber passes the value at its cursor, and visits it if others will come after it.
    fn pass<V>(
        &mut self,
        cursor: &Cursor,
        visit: impl FnOnce(&mut Slot<T>) -> V,
    ) -> Option<Passed<T, V>> {
        let at = cursor.get();
        if at >= self.end {
            return None;
        }
        let offset = at - self.first;
        let slot = self.slot(offset)?;
        cursor.set(at + 1);
        slot.unread = slot.unread.saturating_sub(1);
        if slot.unread > 0 {
            return Some(Passed::One(visit(slot)));
        }
        let (value, read) = (slot.value.take(), slot.read);
        self.len -= 1;
        if offset == 0 {
            self.advance();
        }
        Some(Passed::Last(value, read))
    }
}

/// A value that a subscriber has passed.
enum Passed<T, V> {
    /// Others will read it.
    One(V),
    /// It is done with; whether anybody had read it before.
    Last(Option<T>, bool),
}

impl<T, R: Room, P> Sealed for SharedRing<T, R, P> {}

impl<T: Share, R: Room, P: Overflow<T>> Store<T> for SharedRing<T, R, P> {
    type Growth = NoGrowth;
    type Received = Delivery<T>;
    type Rank = ();
    type Reader = CursorRef;
    type Mark = u32;
    const EMPTY: Self = {
        assert!(!matches!(R::LEN, Some(0)), "a broadcast needs room for one value");
        Self::over(R::Of::<Slot<T>>::BLANK)
    };

    fn len(&self) -> usize {
        self.len
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.room())
    }

    fn has_room(&self, promised: usize) -> bool {
        self.taken() + promised < self.room()
    }

    unsafe fn push(&mut self, value: T, _rank: (), promised: usize) -> Option<T> {
        if self.subscribers == 0 {
            return Some(value);
        }
        let victim = match P::VICTIM {
            Victim::Newest | Victim::Oldest if self.has_room(promised) => None,
            Victim::None => None,
            Victim::Newest => return Some(value),
            Victim::Oldest if self.pass_hole() => None,
            Victim::Oldest => match self.drop_first() {
                Some(oldest) => Some(oldest),
                None => return Some(value),
            },
        };
        let unread = self.subscribers;
        if let Some(slot) = self.slot(self.end - self.first) {
            *slot = Slot { value: Some(value), unread, read: false };
            self.end += 1;
            self.len += 1;
        }
        victim
    }

    fn available(&self, reader: CursorRef) -> usize {
        self.end.saturating_sub(reader.get().get()) as usize
    }

    fn pop(
        &mut self,
        _promised: usize,
        reader: CursorRef,
    ) -> Option<(Delivery<T>, Option<NoGrowth>)> {
        let cursor = reader.get();
        let missed = self.skip_lost(cursor);
        if missed > 0 {
            return Some((Delivery::Lagged(missed), None));
        }
        let share = |slot: &mut Slot<T>| {
            let shared = slot.value.as_ref().and_then(T::share);
            slot.read |= shared.is_some();
            shared
        };
        let value = match self.pass(cursor, share)? {
            Passed::Last(value, _) => value,
            Passed::One(shared) => shared,
        };
        let Some(value) = value else {
            // Its payload has too many handles already.
            count(&mut self.lagged);
            return Some((Delivery::Lagged(1), None));
        };
        count(&mut self.delivered);
        Some((Delivery::Value(value), None))
    }

    fn received(value: T) -> Delivery<T> {
        Delivery::Value(value)
    }

    fn value(received: &mut Delivery<T>) -> Option<&mut T> {
        match received {
            Delivery::Value(value) => Some(value),
            Delivery::Lagged(_) => None,
        }
    }

    #[cfg(feature = "stamps")]
    fn front(&mut self) -> Option<&mut T> {
        if self.first == self.end { None } else { self.slot(0)?.value.as_mut() }
    }

    fn at(&self, index: usize) -> Option<&T> {
        if index >= self.taken() {
            return None;
        }
        let (at, room) = (self.head + index, self.room());
        self.slots.all().get(if at < room { at } else { at - room })?.value.as_ref()
    }

    fn extent(&self) -> usize {
        self.taken()
    }

    fn mark(&self) -> u32 {
        // The lower half tells as much: nobody parks for that many values.
        self.end as u32
    }

    fn is_past(&self, mark: u32) -> bool {
        self.end as u32 != mark
    }

    unsafe fn add(&mut self, growth: NoGrowth) {
        match growth {}
    }

    fn shared(&self) -> Option<(u32, u32)> {
        Some((self.delivered, self.lagged))
    }

    fn subscribers(&self) -> u32 {
        self.subscribers
    }

    fn subscribe(&mut self, reader: CursorRef) {
        self.subscribers = self.subscribers.saturating_add(1);
        reader.get().set(self.end);
    }

    fn unsubscribe(&mut self) -> u64 {
        self.subscribers = self.subscribers.saturating_sub(1);
        self.end
    }

    fn leave(&mut self, reader: CursorRef, end: u64) -> Leaving<T> {
        if self.pass_hole() {
            return Leaving::Passed;
        }
        let cursor = reader.get();
        self.skip_lost(cursor);
        if cursor.get() >= end {
            return Leaving::Gone;
        }
        match self.pass(cursor, |_| ()) {
            Some(Passed::Last(Some(value), read)) => Leaving::Done(value, read),
            Some(_) => Leaving::Passed,
            None => Leaving::Gone,
        }
    }
}
