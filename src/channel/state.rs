//! The one state machine of all channels, under the channel's lock.
//!
//! Values wait in the store; operations wait in two lists of tokens. What connects them are *promises*:
//! a slot promised to a sender that was taken from its list, a value promised to a receiver. A promise
//! is kept by the operation itself when it is polled (or passed on when it is dropped), so a value is
//! never moved on behalf of a send that may yet be cancelled, and no newcomer can take what was
//! promised. Between critical sections these hold:
//!
//! * promised values ≤ values in the store; promised slots ≤ free slots
//! * a receiver waits only if every value is promised; a sender only if every slot is
//!   (a rendezvous: only if there is nobody to meet, or the meeting point is taken)
//!
//! An operation that changes the store may break the second for a moment. [`State::settle`] restores it
//! one waiter at a time, each in a critical section of its own, and whoever comes in between (an
//! interrupt handler, another core) respects the order all the same: newcomers never pass a waiter.
//!
//! ```text
//!  send:  Idle ─ room, nobody waiting ──────────────────────────► sent
//!           └──► Queued ─ settle: slot promised ─► Granted ─poll─► sent
//!                  │  ├── rendezvous: receiver takes the value ──► Taken ─poll─► sent
//!                  │  └── it stays: its value is put in ─────────► Taken ─poll─► sent
//!                  └── settle: closed ──► Closed ─poll─► error, value given back
//!  recv:  Idle ─ value, nobody waiting ─────────────────────────► received
//!           └──► Queued ─ settle: value promised ─► Granted ─poll─► received
//!                  ├── it stays: a value is put into its place ──► Taken ─poll─► received
//!                  └── settle: closed, empty, no slot promised ──► Closed ─poll─► error
//! ```
//!
//! An operation *stays* if its owner does nothing else until it is told what has come of it: a call that blocks its thread.
//! It need not come to keep a promise, so none is made to it: its value is moved for it, in its turn, and its thread is woken
//! when that has been done. See [`landing`](super::landing).
//!
//! A *permit* is a promised slot whose sender has yet to say what it sends: it waits as a sender does, with a
//! bare token. While one holds the meeting point of a rendezvous, its receiver stays in the list.
//!
//! Where every receiver gets every value (a broadcast), values are promised to nobody: a receiver that waits
//! is granted when there is something behind the mark that it left. Marks grow along the list, so those who
//! can be granted stand in front.
//!
//! A token that is an arm of a select is settled only after its select has been claimed for it; if that
//! fails the token is `Lost`, and the next one is looked at in the next step.

use core::task::Waker;

use super::meeting::Look;
use super::snapshot::{Counters, Kind, count};
use super::store::{Store, Strategy};
use super::waiting::{Flags, Waiting};
use super::weigh::Weighing;
use crate::sync::claim::{Side, claim_own};
use crate::sync::looking::Looks;
use crate::sync::wait::Token;

/// Everything of a channel that its lock guards.
///
/// On a microcontroller in this order, with what each operation looks at in front: a Cortex-M0 reaches 31 bytes and 31 words of
/// a structure by one instruction, and what lies beyond by two and one register more; a Cortex-M3 loads two words at once that
/// lie side by side.
#[cfg_attr(not(feature = "std"), repr(C))]
pub(super) struct State<T, S: Strategy<T>> {
    pub(super) flags: Flags,
    /// Its values are [`Parcel`](crate::Parcel)s, and are weighed. Set when it is made, and only if they are.
    pub(super) weighs: S::Weighs,
    pub(super) waiting: Waiting,
    pub(super) counters: Counters<S::Weighs, S::Highest>,
    /// Each is promised to an operation that is in memory.
    pub(super) promised_values: u32,
    /// And [`CLOSED`], so that a closed channel has no room, and who finds room need not ask whether it is open. (A
    /// rendezvous has none of its own, and need not note that here.) No more than can be counted: see
    /// [`has_room`](Self::has_room).
    pub(super) promised_slots: u32,
    pub(super) store: S::Store,
    /// The walks through it.
    pub(super) walks: Looks,
}

/// More slots than there can be.
pub(super) const CLOSED: u32 = 1 << 31;
/// Where it is noted down beside that.
pub(super) const DESERTED: u32 = 1 << 30;

/// What came of offering a value.
pub(super) enum Offer<T> {
    /// It is in. The value it replaced, and the receiver it was promised to.
    Sent(Option<T>, Option<Waker>),
    Closed,
    Full,
    /// The sender's select has been claimed for another arm.
    Lost,
    /// Waiters were dealt with first: wake these, and offer again.
    Again(Wakers),
}

/// What came of asking for a value.
pub(super) enum Take<T, G> {
    /// Here it is, with memory no longer needed, and a sender to be told.
    Value(T, Option<G>, Option<Waker>),
    Closed,
    Empty,
    Lost,
    /// Waiters were dealt with first: wake these, and ask again.
    Again(Wakers),
}

/// What came of asking for a slot.
pub(super) enum Hold {
    /// It is promised.
    Held,
    Closed,
    Full,
    Lost,
    /// Waiters were dealt with first: wake these, and ask again.
    Again(Wakers),
}

/// Wakers of one step, for outside the lock.
pub(super) type Wakers = [Option<Waker>; 2];

/// What a step of [`State::settle`] did.
pub(super) enum Settled {
    /// Nothing is left to do.
    Done,
    /// One waiter was dealt with; there may be more.
    Step(Wakers),
}

impl<T, S: Strategy<T>> State<T, S> {
    /// Open and empty.
    pub(super) const fn new() -> Self {
        Self::over(S::Store::EMPTY)
    }

    /// With a store that has been made at run time.
    pub(super) const fn over(store: S::Store) -> Self {
        Self {
            store,
            waiting: Waiting::NOBODY,
            promised_slots: 0,
            promised_values: 0,
            flags: Flags::NONE,
            counters: Counters::ZERO,
            weighs: S::Weighs::NO,
            walks: Looks::NONE,
        }
    }

    /// Whether nobody waits: then a newcomer has nobody to pass or to help.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_quiet()
    }

    /// Whether anybody may wait to send or to receive: what the common cases look at.
    #[inline(always)]
    pub(super) fn is_crowded(&self) -> bool {
        self.flags.is_crowded(&self.waiting)
    }

    /// Whether a newcomer's send needs no more than to [`put`](Self::put) its value, if nobody waits: the channel is open, and there is room, or a value is dropped for it.
    #[inline]
    pub(super) fn accepts(&self) -> bool {
        if S::LOSES { !self.is_closed() } else { self.has_room() }
    }

    /// A newcomer's receive in the common case, in which it `is_quiet`; `None` in any other.
    #[inline]
    pub(super) fn take_quickly(
        &mut self,
        is_quiet: bool,
        reader: S::Reader,
    ) -> Option<(S::Received, Option<S::Growth>)> {
        if S::MEETS || !is_quiet || !self.has_unpromised(reader) {
            return None;
        }
        self.pop(reader)
    }

    /// A newcomer's send. Takes the value only when it succeeds.
    #[inline]
    pub(super) fn offer(
        &mut self,
        side: Side<'_>,
        value: &mut Option<T>,
        rank: S::Rank,
    ) -> Offer<T> {
        if !self.is_closed() {
            if S::MEETS {
                // Where there are threads, half of those who come find nobody.
                if cfg!(feature = "std") && self.waiting.receivers().is_empty() {
                    return Offer::Full;
                }
                return self.offer_to_meet(side, value);
            }
            if !S::LOSES && (!self.waiting.senders.is_empty() || !self.has_room()) {
                return Offer::Full;
            }
        }
        if !claim_own(side) {
            return Offer::Lost;
        }
        if self.is_closed() {
            count(&mut self.counters.refused);
            return Offer::Closed;
        }
        let (replaced, waker) = self.put_for_first(value, rank);
        Offer::Sent(replaced, waker)
    }

    /// Puts a value in, and promises it to the receiver that has waited longest, unless that is a [step](Self::IN_STEPS) of
    /// its own.
    #[inline]
    fn put_for_first(
        &mut self,
        value: &mut Option<T>,
        rank: S::Rank,
    ) -> (Option<T>, Option<Waker>) {
        let replaced = value.take().and_then(|value| self.put(value, rank));
        (replaced, if Self::IN_STEPS { None } else { self.promise_value() })
    }

    /// A newcomer's request for a slot.
    pub(super) fn hold(&mut self, side: Side<'_>) -> Hold {
        if self.is_closed() {
            if !claim_own(side) {
                return Hold::Lost;
            }
            count(&mut self.counters.refused);
            return Hold::Closed;
        }
        if S::MEETS {
            return self.hold_meeting_point(side);
        }
        if !self.waiting.senders.is_empty() || !self.has_room() {
            return Hold::Full;
        }
        if !claim_own(side) {
            return Hold::Lost;
        }
        self.promised_slots += 1;
        Hold::Held
    }

    /// A newcomer's receive.
    #[inline]
    pub(super) fn take(
        &mut self,
        side: Side<'_>,
        reader: S::Reader,
    ) -> Take<S::Received, S::Growth> {
        let has_value = self.has_value_for_newcomer(reader);
        if S::MEETS && !has_value && self.has_room() && self.sender_waits() {
            // Those who wait come first.
            if let Some(wakers) = self.introduce() {
                return Take::Again(wakers);
            }
            return self.take_from_sender(side);
        }
        if !has_value && !self.is_drained_for(reader) {
            return Take::Empty;
        }
        if !claim_own(side) {
            return Take::Lost;
        }
        if has_value {
            return self.pull(reader);
        }
        count(&mut self.counters.ended);
        Take::Closed
    }

    fn has_value_for_newcomer(&self, reader: S::Reader) -> bool {
        self.has_unpromised(reader) && (S::SHARES || self.waiting.receivers().is_empty())
    }

    /// Whether a send would succeed or fail at once.
    pub(super) fn would_send(&mut self, side: Side<'_>) -> Look {
        if S::LOSES { Look::Ready } else { self.would_hold(side) }
    }

    /// Whether a request for a slot would succeed or fail at once. It drops nothing.
    pub(super) fn would_hold(&mut self, side: Side<'_>) -> Look {
        if S::MEETS && !self.is_closed() {
            return self.look_for_receiver(side);
        }
        Look::from(self.is_closed() || (self.has_room() && self.waiting.senders.is_empty()))
    }

    /// Whether a receive would succeed or fail at once.
    pub(super) fn would_take(&mut self, side: Side<'_>, reader: S::Reader) -> Look {
        let ready = self.has_value_for_newcomer(reader) || self.is_drained_for(reader);
        if S::MEETS && !ready { self.look_for_sender(side) } else { Look::from(ready) }
    }

    /// A sender's promise is kept: its value goes in.
    pub(super) fn keep_slot(
        &mut self,
        value: &mut Option<T>,
        rank: S::Rank,
    ) -> (Option<T>, Option<Waker>) {
        self.promised_slots -= 1;
        if self.is_deserted() {
            count(&mut self.counters.sent);
            count(&mut self.counters.dropped);
            let mut value = value.take();
            if let Some(value) = &mut value {
                self.weigh_in(value);
            }
            return (value, None);
        }
        self.put_for_first(value, rank)
    }

    /// A sender goes away without using its promise.
    pub(super) fn return_slot(&mut self) {
        self.promised_slots -= 1;
    }

    /// A receiver's promise is kept.
    pub(super) fn keep_value(&mut self, reader: S::Reader) -> Take<S::Received, S::Growth> {
        self.return_value();
        self.pull(reader)
    }

    /// A receiver goes away; its value stays in front, for the next one.
    pub(super) fn return_value(&mut self) {
        self.promised_values -= u32::from(!S::SHARES);
    }

    /// What is next, and the slot that it leaves to the first sender, unless that is a [step](Self::IN_STEPS) of its own.
    #[inline(never)]
    fn pull(&mut self, reader: S::Reader) -> Take<S::Received, S::Growth> {
        let Some((value, unused)) = self.pop(reader) else { return Take::Empty };
        let waits = !Self::IN_STEPS && !self.waiting.senders.is_empty();
        let waker = if waits { self.promise_slot() } else { None };
        Take::Value(value, unused, waker)
    }

    /// How many slots are promised.
    #[inline(always)]
    pub(super) fn promised_slots(&self) -> usize {
        // Lossless: addresses have 32 bits at least.
        let flags = if Flags::IN_SLOTS { CLOSED | DESERTED } else { CLOSED };
        (self.promised_slots & !flags) as usize
    }

    /// How many values are.
    #[inline(always)]
    pub(super) fn promised_values(&self) -> usize {
        // As above.
        self.promised_values as usize
    }

    /// Whether what [a program does not use](crate::sync::feature) is left out. The longest critical sections are those of
    /// the other kinds, which are spared the question.
    pub(super) const SPARES: bool = matches!(S::KIND, Kind::Buffered);

    /// How a token takes part in a match.
    #[inline]
    pub(super) fn side_of(token: &Token) -> Side<'_> {
        if Self::SPARES { token.side_if_any() } else { token.side() }
    }

    /// Whether there is a slot that nobody was promised, and, but for a rendezvous, the channel is open.
    pub(super) fn has_room(&self) -> bool {
        if S::MEETS && Flags::IN_SLOTS {
            return self.store.has_room(self.promised_slots());
        }
        // Where addresses have 32 bits, a closed channel has promised more slots than there can be. Elsewhere that is looked
        // at here; and a permit that is forgotten keeps its slot and takes no memory, so more might be promised than counted.
        let can_promise = usize::BITS <= u32::BITS || self.promised_slots < DESERTED - 1;
        can_promise && self.store.has_room(self.promised_slots as usize)
    }
}
