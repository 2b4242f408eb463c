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
//!                  │  └── rendezvous: receiver takes the value ──► Taken ─poll─► sent
//!                  └── settle: closed ──► Closed ─poll─► error, value given back
//!  recv:  Idle ─ value, nobody waiting ─────────────────────────► received
//!           └──► Queued ─ settle: value promised ─► Granted ─poll─► received
//!                  └── settle: closed, empty, no slot promised ──► Closed ─poll─► error
//! ```
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

use core::cell::{Cell, UnsafeCell};
use core::task::Waker;

use super::snapshot::{Counters, count};
use super::store::{Store, Strategy};
use crate::sync::claim::{Side, claim_own};
use crate::sync::wait::{State as TokenState, Token, TokenList};

/// A sender's token and its value. The token comes first: a pointer to it is one to the whole.
#[repr(C)]
pub(super) struct SendToken<T> {
    pub(super) token: Token,
    /// Touched under the channel's lock while the token is queued, by its owner otherwise.
    pub(super) value: UnsafeCell<Option<T>>,
}

/// A receiver's token and what it noted down when it was queued. The token comes first.
#[repr(C)]
pub(super) struct RecvToken<K> {
    pub(super) token: Token,
    /// Under the channel's lock.
    pub(super) mark: Cell<K>,
}

/// Everything of a channel that its lock guards.
pub(super) struct State<T, S: Strategy<T>> {
    pub(super) store: S::Store,
    pub(super) senders: TokenList,
    pub(super) receivers: TokenList,
    /// Those who wait for the channel to be closed.
    pub(super) closers: TokenList,
    pub(super) promised_slots: usize,
    pub(super) promised_values: usize,
    pub(super) closed: bool,
    pub(super) counters: Counters,
}

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
    pub(super) const fn new() -> Self {
        Self {
            store: S::Store::EMPTY,
            senders: TokenList::new(),
            receivers: TokenList::new(),
            closers: TokenList::new(),
            promised_slots: 0,
            promised_values: 0,
            closed: false,
            counters: Counters::ZERO,
        }
    }

    /// Whether nobody waits: then a newcomer has nobody to pass or to help.
    #[inline]
    fn is_quiet(&self) -> bool {
        self.senders.is_empty() && self.receivers.is_empty()
    }

    /// Whether a newcomer's send needs no more than to [`put`](Self::put) its value: the common case.
    #[inline]
    pub(super) fn sends_quickly(&self) -> bool {
        !S::MEETS && !self.closed && self.is_quiet() && (S::LOSES || self.has_room())
    }

    /// A newcomer's receive in the common case; `None` in any other.
    #[inline]
    pub(super) fn take_quickly(
        &mut self,
        reader: S::Reader,
    ) -> Option<(S::Received, Option<S::Growth>)> {
        if !self.is_quiet() || self.store.available(reader) <= self.promised_values {
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
        if self.closed {
            if !claim_own(side) {
                return Offer::Lost;
            }
            count(&mut self.counters.refused);
            return Offer::Closed;
        }
        if S::MEETS {
            return self.offer_to_meet(side, value);
        }
        if !S::LOSES && (!self.senders.is_empty() || !self.has_room()) {
            return Offer::Full;
        }
        if !claim_own(side) {
            return Offer::Lost;
        }
        let replaced = value.take().and_then(|value| self.put(value, rank));
        Offer::Sent(replaced, self.promise_value())
    }

    /// A newcomer's request for a slot.
    pub(super) fn hold(&mut self, side: Side<'_>) -> Hold {
        if self.closed {
            if !claim_own(side) {
                return Hold::Lost;
            }
            count(&mut self.counters.refused);
            return Hold::Closed;
        }
        if S::MEETS {
            return self.hold_meeting_point(side);
        }
        if !self.senders.is_empty() || !self.has_room() {
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
        if self.has_value_for_newcomer(reader) {
            if !claim_own(side) {
                return Take::Lost;
            }
            return self.pull(reader);
        }
        if S::MEETS && !self.senders.is_empty() && self.has_room() {
            if !self.receivers.is_empty() {
                // Those who wait come first.
                if let Some(wakers) = self.introduce() {
                    return Take::Again(wakers);
                }
            }
            return self.take_from_sender(side);
        }
        if self.is_drained_for(reader) {
            return if claim_own(side) { Take::Closed } else { Take::Lost };
        }
        Take::Empty
    }

    fn has_value_for_newcomer(&self, reader: S::Reader) -> bool {
        self.store.available(reader) > self.promised_values
            && (S::SHARES || self.receivers.is_empty())
    }

    /// Whether a send would succeed or fail at once.
    pub(super) fn would_send(&self, side: Side<'_>) -> bool {
        S::LOSES || self.would_hold(side)
    }

    /// Whether a request for a slot would succeed or fail at once. It drops nothing.
    pub(super) fn would_hold(&self, side: Side<'_>) -> bool {
        self.closed
            || (self.has_room()
                && if S::MEETS { self.would_meet_receiver(side) } else { self.senders.is_empty() })
    }

    /// Whether a receive would succeed or fail at once.
    pub(super) fn would_take(&self, side: Side<'_>, reader: S::Reader) -> bool {
        self.has_value_for_newcomer(reader)
            || (S::MEETS && self.has_room() && self.would_meet_sender(side))
            || self.is_drained_for(reader)
    }

    /// A sender's promise is kept: its value goes in.
    pub(super) fn keep_slot(
        &mut self,
        value: &mut Option<T>,
        rank: S::Rank,
    ) -> (Option<T>, Option<Waker>) {
        self.promised_slots -= 1;
        let replaced = value.take().and_then(|value| self.put(value, rank));
        (replaced, self.promise_value())
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
        self.promised_values -= usize::from(!S::SHARES);
    }

    /// Puts a sender, or somebody who wants a permit, into the list.
    ///
    /// # Safety
    /// As for [`TokenList::push_back`]. A token that is not bare heads a [`SendToken`].
    pub(super) unsafe fn queue_sender(&mut self, token: *const Token) {
        count(&mut self.counters.send_waits);
        let first = self.senders.is_empty();
        // SAFETY: passed on.
        unsafe {
            self.senders.push_back(token);
            if S::GROWS && first {
                (*token).set_state(TokenState::First);
            }
        }
    }

    /// Whether there is a slot that nobody was promised.
    pub(super) fn has_room(&self) -> bool {
        self.store.has_room(self.promised_slots)
    }

    /// Whether `reader` can receive nothing any more.
    fn is_drained_for(&self, reader: S::Reader) -> bool {
        self.closed && self.promised_slots == 0 && self.store.available(reader) == 0
    }

    /// Whether receivers that wait, and were not granted anything, wait in vain.
    fn is_drained(&self) -> bool {
        self.closed && self.promised_slots == 0 && (S::SHARES || self.store.len() == 0)
    }

    #[inline]
    pub(super) fn put(&mut self, value: T, rank: S::Rank) -> Option<T> {
        count(&mut self.counters.sent);
        // SAFETY: callers have made sure of room besides what is promised, or the strategy loses values; whoever
        // keeps a promise has taken it off first.
        let replaced = unsafe { self.store.push(value, rank, self.promised_slots) };
        if replaced.is_some() {
            count(&mut self.counters.dropped);
        }
        let depth = self.store.len();
        if depth > self.counters.high_water {
            self.counters.high_water = depth;
        }
        replaced
    }

    #[inline]
    fn pop(&mut self, reader: S::Reader) -> Option<(S::Received, Option<S::Growth>)> {
        let depth = self.store.len();
        let popped = self.store.pop(self.promised_slots, reader);
        // Of a value that is shared, the last receiver's counts.
        if popped.is_some() && (!S::SHARES || self.store.len() < depth) {
            count(&mut self.counters.received);
        }
        popped
    }

    /// Takes a value out that nobody is there to receive.
    pub(super) fn discard(&mut self) -> Option<(S::Received, Option<S::Growth>)>
    where
        S: Strategy<T, Reader = ()>,
    {
        if self.store.len() <= self.promised_values {
            return None;
        }
        let popped = self.store.pop(self.promised_slots, ());
        if popped.is_some() {
            count(&mut self.counters.dropped);
        }
        popped
    }

    /// What is next, and the slot that it leaves to the first sender.
    #[inline]
    fn pull(&mut self, reader: S::Reader) -> Take<S::Received, S::Growth> {
        match self.pop(reader) {
            Some((value, unused)) => {
                let waker = if self.senders.is_empty() { None } else { self.promise_slot() };
                Take::Value(value, unused, waker)
            }
            None => Take::Empty,
        }
    }

    /// Whether there is a value for the first receiver that waits.
    #[inline]
    fn has_value_for_first(&self) -> bool {
        if !S::SHARES {
            return self.store.len() > self.promised_values;
        }
        self.receivers.first().is_some_and(|first| {
            // SAFETY: in the list, hence alive while the lock is held. Every token of this list heads a
            // `RecvToken`.
            let mark = unsafe { &(*first.cast::<RecvToken<S::Mark>>()).mark };
            self.store.is_past(mark.get())
        })
    }

    /// Promises a free value to the first receiver, if both are there.
    #[inline]
    pub(super) fn promise_value(&mut self) -> Option<Waker> {
        if self.receivers.is_empty() || !self.has_value_for_first() {
            return None;
        }
        let (granted, waker) = grant(&mut self.receivers);
        self.promised_values += usize::from(granted && !S::SHARES);
        waker
    }

    /// Promises a free slot to the first sender, if both are there.
    fn promise_slot(&mut self) -> Option<Waker> {
        if S::MEETS || self.closed || self.senders.is_empty() || !self.has_room() {
            return None;
        }
        let (granted, waker) = grant(&mut self.senders);
        self.promised_slots += usize::from(granted);
        waker
    }

    /// Whether a waiter could be dealt with: the question before each [`settle`](Self::settle), cheap
    /// enough for every operation.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        let sender_waits = !self.senders.is_empty();
        let receiver_waits = !self.receivers.is_empty();
        if !sender_waits && !receiver_waits {
            return true;
        }
        if self.closed && (sender_waits || self.is_drained()) {
            return false;
        }
        let value_free = receiver_waits && self.has_value_for_first();
        let slot_free =
            sender_waits && (S::GROWS || (self.has_room() && (!S::MEETS || receiver_waits)));
        !value_free && !slot_free
    }

    /// What somebody who would be refused does first, in the critical section that then may refuse it: if a
    /// waiter can be dealt with, that is done. So a refusal is never due to waiters who were being dealt
    /// with by others, and have gone since.
    pub(super) fn help(&mut self, helps: bool) -> Option<Wakers> {
        if !helps {
            return None;
        }
        match self.settle() {
            Settled::Done => None,
            Settled::Step(wakers) => Some(wakers),
        }
    }

    /// Deals with one waiter, in the order of rule 3: a match, then closing.
    pub(super) fn settle(&mut self) -> Settled {
        if !self.receivers.is_empty() && self.has_value_for_first() {
            return Settled::Step([self.promise_value(), None]);
        }
        if S::MEETS {
            if let Some(wakers) = self.introduce() {
                return Settled::Step(wakers);
            }
        } else if !self.closed && !self.senders.is_empty() && self.has_room() {
            return Settled::Step([self.promise_slot(), None]);
        }
        if self.closed {
            if let Some(waker) = dismiss(&mut self.senders) {
                return Settled::Step([waker, None]);
            }
            if self.is_drained() {
                if let Some(waker) = dismiss(&mut self.receivers) {
                    return Settled::Step([waker, None]);
                }
            }
            if let Some(waker) = tell(&mut self.closers) {
                return Settled::Step([waker, None]);
            }
        }
        if S::GROWS {
            // The first sender is the one that asks for memory: tell it that it is the first.
            if let Some(first) = self.senders.front() {
                if first.state() == TokenState::Queued {
                    first.set_state(TokenState::First);
                    return Settled::Step([first.take_waker(), None]);
                }
            }
        }
        Settled::Done
    }
}

/// Takes the first token and grants it, unless its select was lost.
fn grant(list: &mut TokenList) -> (bool, Option<Waker>) {
    end_first(list, TokenState::Granted).unwrap_or((false, None))
}

/// Takes the first token and tells it that the channel is closed.
fn dismiss(list: &mut TokenList) -> Option<Option<Waker>> {
    end_first(list, TokenState::Closed).map(|(_, waker)| waker)
}

/// Takes the first token and wakes it. An arm of a select claims for itself when it finds the channel closed:
/// until then another arm may happen. If one has, its select has been told.
fn tell(list: &mut TokenList) -> Option<Option<Waker>> {
    let token = list.pop_front()?;
    // SAFETY: it was queued until now, and its owner needs the lock to go away.
    let token = unsafe { &*token };
    if token.side().is_some_and(|(claim, _)| claim.winner().is_some()) {
        token.set_state(TokenState::Lost);
        return Some(None);
    }
    Some(token.settle(TokenState::Closed))
}

/// Takes the first token and ends its wait with `outcome`, or as lost.
fn end_first(list: &mut TokenList, outcome: TokenState) -> Option<(bool, Option<Waker>)> {
    let token = list.pop_front()?;
    // SAFETY: it was queued until now, and its owner needs the lock to go away.
    let token = unsafe { &*token };
    if claim_own(token.side()) {
        Some((true, token.settle(outcome)))
    } else {
        token.set_state(TokenState::Lost);
        Some((false, None))
    }
}
