//! Looking at what waits in a channel: one value in a critical section, and nothing that a send or a receive would pay
//! for.
//!
//! ```text
//!   senders that wait ──► values in the store ──► over
//!   first to last         from the back to the front (unlimited: from the front to the back)
//! ```
//!
//! Traffic goes on meanwhile. What makes it come out right all the same: a value goes from a sender into the store and
//! never back, so senders come first; values leave the store at the front, so whoever goes from the back to the front
//! passes none over, at worst sees one twice; what comes in at the back was not there when the walk began. Segments
//! are linked one way only, and the store of an unlimited channel remembers the one that the walk stands in; the list
//! of senders remembers the next one to be looked at. A heap moves its entries when a value comes in: then the walk
//! begins again, a number of times. How all of that is remembered: [`looking`](crate::sync::looking).
//!
//! What a walk cannot see it says ([`is_whole`](Walk::is_whole)): a sender that has been promised a slot stands in no
//! list until it is polled, and who stands in line without a value may be a select that only looks and has one.

use core::any::Any;

use super::Channel;
use super::parking::SendToken;
use super::state::State;
use super::store::{Store, Strategy};
use crate::arena::{ArenaRef, Parcel, Ticket, TicketDump};
use crate::sync::looking::Look;
use crate::sync::wait::Token;
use crate::sync::{CriticalSectionRawMutex, NoopRawMutex, RawMutex};

/// A payload, or a [`Ticket`] as a value, that waits in a channel; found by [`Channel::waiting`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Waiting {
    /// Its ticket.
    pub ticket: Ticket,
    /// It is the value of a send that waits, and not in the channel yet.
    pub parked: bool,
    /// How many were before it when it was looked at: values, or senders. Of a priority channel: its place in the
    /// heap, of which only the first is next.
    pub position: usize,
    /// Where its arena is. A ticket that was sent as a value does not say.
    pub(crate) arena: Option<usize>,
}

impl Waiting {
    /// Whether it is this payload of this arena. A ticket that was sent as a value is taken to be of any arena in
    /// which it is good.
    pub fn is<M: RawMutex>(&self, arena: ArenaRef<'_, M>, payload: &TicketDump) -> bool {
        self.ticket == payload.ticket && self.arena.is_none_or(|own| own == arena.address())
    }
}

/// A walk through a channel, made by [`Channel::waiting`]. The latest walk of a channel is the one that goes on.
pub struct Walk<'c, M: RawMutex, T, S: Strategy<T>> {
    channel: &'c Channel<M, T, S>,
    cursor: Cursor,
}

/// How far a walk has come.
struct Cursor {
    look: Look,
    stage: Stage,
    /// Senders that were looked at.
    senders: usize,
    place: Place,
    whole: bool,
    forlorn: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Senders,
    Values,
    Over,
}

/// A walk's place in a store, which each store uses as it needs.
#[doc(hidden)]
pub struct Place {
    /// Values that are yet to be looked at, at the most.
    pub(super) left: usize,
    /// What the place depends on: the number of the next value, or of those that have come in.
    pub(super) number: u32,
    /// The next value's slot.
    pub(super) slot: usize,
    /// How often a walk may begin again.
    pub(super) patience: u8,
}

/// What a step in a store came to.
#[doc(hidden)]
pub enum Step<'s, T> {
    /// A value, and how many are before it.
    Seen(&'s T, usize),
    /// Nothing here, but there is more.
    Nothing,
    End,
    /// The place is lost, and there may be more.
    Lost,
}

/// What a step of a walk came to.
enum Glance {
    Found(Waiting),
    Nothing,
    Over,
}

impl<M: RawMutex + 'static, T: 'static, S: Strategy<T>> Channel<M, T, S> {
    /// Looks for payloads in it, and in the sends that wait for it: parcels, and tickets that are sent as values.
    /// What lies inside a value of another type is not seen.
    ///
    /// Each step is one critical section of constant length; sends and receives pay nothing for it. So it is no
    /// picture of one moment. Whatever was in the channel (or was the value of a send that waited) from the beginning
    /// of the walk to its end is seen, unless [`is_whole`](Walk::is_whole) says otherwise. What comes or goes meanwhile
    /// may be seen or not, and something may be seen twice. One walk of a channel at a time: a second one ends the
    /// first, which says that it is not whole. On a host there are no more than 16 at a time, of all channels together, each
    /// until it is dropped: another one sees nothing, and says so, too.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Bytes};
    /// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
    ///
    /// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    /// static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
    /// FRAMES.try_send_bytes(ARENA.handle(), b"ecg")?;
    /// let lost = ARENA.try_alloc(8)?.deposit();
    ///
    /// let arena = ARENA.handle();
    /// for payload in arena.dump() {
    ///     let waits = FRAMES.channel().waiting().any(|waiting| waiting.is(arena, &payload));
    ///     assert_eq!(waits, payload.ticket != lost);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn waiting(&self) -> Walk<'_, M, T, S> {
        let look = self.locked(|state| state.walks.begin(&mut state.waiting.senders));
        let place = Place { left: 0, number: 0, slot: 0, patience: u8::MAX };
        let cursor =
            Cursor { look, stage: Stage::Senders, senders: 0, place, whole: true, forlorn: false };
        Walk { channel: self, cursor }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Walk<'_, M, T, S> {
    /// After its end: whether it has seen all that was there from its beginning on. It may not have, if a slot was
    /// promised (a permit is held, or a sender that may go on has not been polled since), if somebody stood in line for
    /// a permit, if another walk came between, or if values kept coming into a priority channel.
    pub fn is_whole(&self) -> bool {
        self.cursor.stage == Stage::Over && self.cursor.whole
    }

    /// Whether the channel was closed, and no receiver waited, when its values began to be looked at.
    pub fn is_forlorn(&self) -> bool {
        self.cursor.forlorn
    }
}

impl<M: RawMutex + 'static, T: 'static, S: Strategy<T>> Iterator for Walk<'_, M, T, S> {
    type Item = Waiting;

    fn next(&mut self) -> Option<Waiting> {
        loop {
            match self.channel.locked(|state| state.glance::<M>(&mut self.cursor)) {
                Glance::Found(waiting) => return Some(waiting),
                Glance::Nothing => {}
                Glance::Over => return None,
            }
        }
    }
}

impl<T: 'static, S: Strategy<T>> State<T, S> {
    /// One step.
    fn glance<M: RawMutex + 'static>(&mut self, cursor: &mut Cursor) -> Glance {
        if cursor.stage != Stage::Over && !self.walks.is_latest(&cursor.look) {
            cursor.stage = Stage::Over;
            cursor.whole = false;
        }
        match cursor.stage {
            Stage::Senders => match self.waiting.senders.look(&cursor.look) {
                Some(sender) => self.glance_at_sender::<M>(sender, cursor),
                None => {
                    self.begin_with_values(cursor);
                    Glance::Nothing
                }
            },
            Stage::Values => self.glance_at_value::<M>(cursor),
            Stage::Over => Glance::Over,
        }
    }

    fn glance_at_sender<M: RawMutex + 'static>(
        &mut self,
        sender: *const Token,
        cursor: &mut Cursor,
    ) -> Glance {
        let position = cursor.senders;
        cursor.senders += 1;
        // SAFETY: in the list, hence alive while the lock is held.
        if unsafe { (*sender).is_bare() } {
            cursor.whole = false;
            return Glance::Nothing;
        }
        // SAFETY: a token of this list that is not bare heads a `SendToken`, whose value its owner does not touch while
        // it is queued. The reference ends here, under the lock.
        let value = unsafe { &*(*sender.cast::<SendToken<T>>()).value.get() };
        match value.as_ref().and_then(identify::<M, T>) {
            Some((ticket, arena)) => {
                Glance::Found(Waiting { ticket, parked: true, position, arena })
            }
            None => Glance::Nothing,
        }
    }

    fn begin_with_values(&mut self, cursor: &mut Cursor) {
        let stands_by =
            |bystanders: &mut super::meeting::Bystanders| !bystanders.senders.is_empty();
        let hidden = self.promised_slots() > 0 || self.store.bystanders().is_some_and(stands_by);
        cursor.whole &= !hidden;
        cursor.forlorn = self.is_closed() && self.waiting.receivers().is_empty();
        cursor.stage = Stage::Values;
        self.store.begin(&mut cursor.place);
    }

    fn glance_at_value<M: RawMutex + 'static>(&mut self, cursor: &mut Cursor) -> Glance {
        // As many as have left the store since it was made, and some that never came in.
        let gone = self.counters.received.wrapping_add(self.counters.dropped);
        match self.store.step(&mut cursor.place, gone) {
            Step::Seen(value, position) => match identify::<M, T>(value) {
                Some((ticket, arena)) => {
                    Glance::Found(Waiting { ticket, parked: false, position, arena })
                }
                None => Glance::Nothing,
            },
            Step::Nothing => Glance::Nothing,
            Step::End => {
                cursor.stage = Stage::Over;
                Glance::Over
            }
            Step::Lost => {
                cursor.stage = Stage::Over;
                cursor.whole = false;
                Glance::Over
            }
        }
    }
}

/// The payload that a value is: a parcel, or a spilling channel's, under the channel's lock or one of this crate's, or a ticket. Constant time,
/// and takes no lock.
fn identify<M: RawMutex + 'static, T: 'static>(value: &T) -> Option<(Ticket, Option<usize>)> {
    let value: &dyn Any = value;
    if let Some(ticket) = value.downcast_ref::<Ticket>() {
        return Some((*ticket, None));
    }
    let found = parcel::<M>(value)
        .or_else(|| parcel::<CriticalSectionRawMutex>(value))
        .or_else(|| parcel::<NoopRawMutex>(value));
    // Under that model checker it is no `RawMutex`.
    #[cfg(not(loom))]
    let found = found.or_else(|| parcel::<crate::sync::SpinRawMutex>(value));
    #[cfg(feature = "std")]
    let found = found.or_else(|| parcel::<crate::std_layer::StdRawMutex>(value));
    found.map(|(ticket, arena)| (ticket, Some(arena)))
}

fn parcel<M: RawMutex + 'static>(value: &dyn Any) -> Option<(Ticket, usize)> {
    let parcel = value.downcast_ref::<Parcel<'static, M>>();
    // What is in the target is no payload of the arena.
    #[cfg(all(feature = "spill", not(loom)))]
    let parcel = parcel.or_else(|| {
        let slot = value.downcast_ref::<crate::spill::Slot<'static, M>>();
        slot.and_then(crate::spill::Slot::resting)
    });
    parcel.map(Parcel::identity)
}
