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
//! A token that is an arm of a select is settled only after its select has been claimed for it; if that
//! fails the token is `Lost`, and the next one is looked at in the next step.

use core::cell::UnsafeCell;
use core::task::Waker;

use super::snapshot::{Counters, count};
use super::store::{Store, Strategy};
use crate::sync::claim::{PairClaim, Side, claim_own, claim_pair};
use crate::sync::wait::{State as TokenState, Token, TokenList};

/// A sender's token and its value. The token comes first: a pointer to it is one to the whole.
#[repr(C)]
pub(super) struct SendToken<T> {
    pub(super) token: Token,
    /// Touched under the channel's lock while the token is queued, by its owner otherwise.
    pub(super) value: UnsafeCell<Option<T>>,
}

/// Everything of a channel that its lock guards.
pub(super) struct State<T, S: Strategy> {
    pub(super) store: S::Store<T>,
    pub(super) senders: TokenList,
    pub(super) receivers: TokenList,
    promised_slots: usize,
    promised_values: usize,
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

/// Wakers of one step, for outside the lock.
pub(super) type Wakers = [Option<Waker>; 2];

/// What a step of [`State::settle`] did.
pub(super) enum Settled {
    /// Nothing is left to do.
    Done,
    /// One waiter was dealt with; there may be more.
    Step(Wakers),
}

impl<T, S: Strategy> State<T, S> {
    pub(super) const fn new() -> Self {
        Self {
            store: S::Store::<T>::EMPTY,
            senders: TokenList::new(),
            receivers: TokenList::new(),
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
        !S::MEETS && !self.closed && self.is_quiet() && self.has_room()
    }

    /// A newcomer's receive in the common case; `None` in any other.
    #[inline]
    pub(super) fn take_quickly(&mut self) -> Option<(T, Option<S::Growth>)> {
        if !self.is_quiet() || self.store.len() <= self.promised_values {
            return None;
        }
        let taken = self.store.pop(self.promised_slots);
        if taken.is_some() {
            count(&mut self.counters.received);
        }
        taken
    }

    /// A newcomer's send. Takes the value only when it succeeds.
    #[inline]
    pub(super) fn offer(&mut self, side: Side<'_>, value: &mut Option<T>) -> Offer<T> {
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
        if !self.senders.is_empty() || !self.has_room() {
            return Offer::Full;
        }
        if !claim_own(side) {
            return Offer::Lost;
        }
        let replaced = value.take().and_then(|value| self.put(value));
        Offer::Sent(replaced, self.promise_value())
    }

    /// A newcomer's send on a rendezvous: needs a waiting receiver and the meeting point.
    fn offer_to_meet(&mut self, side: Side<'_>, value: &mut Option<T>) -> Offer<T> {
        if !self.store.has_room(0) {
            return Offer::Full;
        }
        if !self.senders.is_empty() {
            // Those who wait come first.
            if let Some(wakers) = self.introduce() {
                return Offer::Again(wakers);
            }
        }
        let mut candidate = self.receivers.first();
        while let Some(receiver) = candidate {
            // SAFETY: in the list, hence alive while the lock is held.
            match claim_pair(side, unsafe { (*receiver).side() }) {
                PairClaim::Both => {
                    // SAFETY: found in this list just now.
                    unsafe { self.receivers.remove(receiver) };
                    let replaced = value.take().and_then(|value| self.put(value));
                    self.promised_values += 1;
                    // SAFETY: alive, as the lock is held and it was queued until now.
                    let waker = unsafe { (*receiver).settle(TokenState::Granted) };
                    return Offer::Sent(replaced, waker);
                }
                PairClaim::FirstLost => return Offer::Lost,
                PairClaim::SecondLost => {
                    // SAFETY: as above.
                    unsafe { lose(&mut self.receivers, receiver) };
                    return Offer::Again([None, None]);
                }
                // The other arm of this very select: as many as it has arms here, then others.
                PairClaim::SameSelect => candidate = self.receivers.after(receiver),
            }
        }
        Offer::Full
    }

    /// A newcomer's receive.
    #[inline]
    pub(super) fn take(&mut self, side: Side<'_>) -> Take<T, S::Growth> {
        if self.store.len() > self.promised_values && self.receivers.is_empty() {
            if !claim_own(side) {
                return Take::Lost;
            }
            return self.pull();
        }
        if S::MEETS && !self.senders.is_empty() && self.store.has_room(0) {
            if !self.receivers.is_empty() {
                // Those who wait come first.
                if let Some(wakers) = self.introduce() {
                    return Take::Again(wakers);
                }
            }
            return self.take_from_sender(side);
        }
        if self.is_drained() {
            return if claim_own(side) { Take::Closed } else { Take::Lost };
        }
        Take::Empty
    }

    /// A newcomer's receive on a rendezvous: takes the value out of a waiting sender.
    fn take_from_sender(&mut self, side: Side<'_>) -> Take<T, S::Growth> {
        let mut candidate = self.senders.first();
        while let Some(sender) = candidate {
            // SAFETY: in the list, hence alive while the lock is held.
            match claim_pair(side, unsafe { (*sender).side() }) {
                PairClaim::Both => {
                    // SAFETY: found in this list just now.
                    let (value, waker) = unsafe { self.collect_from(sender) };
                    return match value {
                        Some(value) => {
                            count(&mut self.counters.sent);
                            count(&mut self.counters.received);
                            Take::Value(value, None, waker)
                        }
                        None => Take::Again([waker, None]),
                    };
                }
                PairClaim::FirstLost => return Take::Lost,
                PairClaim::SecondLost => {
                    // SAFETY: as above.
                    unsafe { lose(&mut self.senders, sender) };
                    return Take::Again([None, None]);
                }
                PairClaim::SameSelect => candidate = self.senders.after(sender),
            }
        }
        Take::Empty
    }

    /// Takes a queued sender's value.
    ///
    /// # Safety
    /// `sender` stands in the list of senders.
    unsafe fn collect_from(&mut self, sender: *const Token) -> (Option<T>, Option<Waker>) {
        // SAFETY: by the caller's word. Every token of this list heads a `SendToken`, whose value its
        // owner does not touch while it is queued.
        unsafe {
            self.senders.remove(sender);
            let value = (*(*sender.cast::<SendToken<T>>()).value.get()).take();
            (value, (*sender).settle(TokenState::Taken))
        }
    }

    /// A sender's promise is kept: its value goes in.
    pub(super) fn keep_slot(&mut self, value: &mut Option<T>) -> (Option<T>, Option<Waker>) {
        self.promised_slots -= 1;
        let replaced = value.take().and_then(|value| self.put(value));
        (replaced, self.promise_value())
    }

    /// A sender goes away without using its promise.
    pub(super) fn return_slot(&mut self) {
        self.promised_slots -= 1;
    }

    /// A receiver's promise is kept.
    pub(super) fn keep_value(&mut self) -> Take<T, S::Growth> {
        self.promised_values -= 1;
        self.pull()
    }

    /// A receiver goes away; its value stays in front, for the next one.
    pub(super) fn return_value(&mut self) {
        self.promised_values -= 1;
    }

    /// Whether there is a slot that nobody was promised.
    pub(super) fn has_room(&self) -> bool {
        self.store.has_room(self.promised_slots)
    }

    /// Whether nothing can be received any more.
    pub(super) fn is_drained(&self) -> bool {
        self.closed && self.store.len() == 0 && self.promised_slots == 0
    }

    #[inline]
    pub(super) fn put(&mut self, value: T) -> Option<T> {
        count(&mut self.counters.sent);
        let replaced = self.store.push(value);
        if replaced.is_some() {
            count(&mut self.counters.dropped);
        }
        let depth = self.store.len();
        if depth > self.counters.high_water {
            self.counters.high_water = depth;
        }
        replaced
    }

    /// The value at the front, and the slot it leaves to the first sender.
    #[inline]
    fn pull(&mut self) -> Take<T, S::Growth> {
        match self.store.pop(self.promised_slots) {
            Some((value, unused)) => {
                count(&mut self.counters.received);
                let waker = if self.senders.is_empty() { None } else { self.promise_slot() };
                Take::Value(value, unused, waker)
            }
            None => Take::Empty,
        }
    }

    /// Promises a free value to the first receiver, if both are there.
    #[inline]
    fn promise_value(&mut self) -> Option<Waker> {
        if self.receivers.is_empty() || self.store.len() <= self.promised_values {
            return None;
        }
        let (granted, waker) = grant(&mut self.receivers);
        self.promised_values += usize::from(granted);
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
        let value_free = receiver_waits && self.store.len() > self.promised_values;
        let slot_free = sender_waits
            && (S::GROWS
                || if S::MEETS {
                    receiver_waits && self.store.has_room(0)
                } else {
                    self.has_room()
                });
        !value_free && !slot_free
    }

    /// Deals with one waiter, in the order of rule 3: a match, then closing.
    pub(super) fn settle(&mut self) -> Settled {
        if !self.receivers.is_empty() && self.store.len() > self.promised_values {
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

    /// A rendezvous whose meeting point has become free while both sides wait: the sender's value goes
    /// there, promised to the receiver.
    fn introduce(&mut self) -> Option<Wakers> {
        if self.senders.is_empty() || self.receivers.is_empty() || !self.store.has_room(0) {
            return None;
        }
        let mut sender_at = self.senders.first();
        while let Some(sender) = sender_at {
            let mut receiver_at = self.receivers.first();
            while let Some(receiver) = receiver_at {
                // SAFETY: both are in their lists, hence alive while the lock is held.
                match claim_pair(unsafe { (*sender).side() }, unsafe { (*receiver).side() }) {
                    PairClaim::Both => {
                        // SAFETY: both were found in their lists just now.
                        let (value, told) = unsafe {
                            self.receivers.remove(receiver);
                            self.collect_from(sender)
                        };
                        if let Some(value) = value {
                            let _ = self.put(value);
                            self.promised_values += 1;
                        }
                        // SAFETY: alive, as it was queued until now.
                        return Some([told, unsafe { (*receiver).settle(TokenState::Granted) }]);
                    }
                    PairClaim::FirstLost => {
                        // SAFETY: as above.
                        unsafe { lose(&mut self.senders, sender) };
                        return Some([None, None]);
                    }
                    PairClaim::SecondLost => {
                        // SAFETY: as above.
                        unsafe { lose(&mut self.receivers, receiver) };
                        return Some([None, None]);
                    }
                    PairClaim::SameSelect => receiver_at = self.receivers.after(receiver),
                }
            }
            // Only arms of the sender's own select wait here: another sender may meet them.
            sender_at = self.senders.after(sender);
        }
        None
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

/// Takes a token whose select was claimed for another arm out of its list. It needs no wake-up: the
/// winning arm's has been sent.
///
/// # Safety
/// `token` stands in `list`.
unsafe fn lose(list: &mut TokenList, token: *const Token) {
    // SAFETY: by the caller's word.
    unsafe {
        list.remove(token);
        (*token).set_state(TokenState::Lost);
    }
}
