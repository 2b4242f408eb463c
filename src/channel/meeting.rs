//! The meetings of a rendezvous: the part of the [state machine](super::state) in which both sides of a
//! match may be arms of selects.
//!
//! ```text
//!   arriving receiver ── takes the value out of the first sender's token
//!   arriving sender ──── puts its value into the meeting point, promised to the first receiver
//!   arriving permit ──── holds the meeting point, while a receiver waits for what it will send
//!   both wait, and the meeting point becomes free ── they are introduced
//! ```
//!
//! Who only looks (a select that asks what is ready) meets nobody: a sender that looks waits as one who wants a
//! permit, and gives it back; a receiver that looks is told when a sender waits, and promised nothing.
//!
//! A permit matches nobody: its receiver stays in the list, and is promised the value when it is sent. Should
//! the receiver go away before, the value waits in the meeting point for the next one.

use core::task::Waker;

use super::snapshot::count;
use super::state::{Hold, Offer, SendToken, State, Take, Wakers};
use super::store::{Store, Strategy};
use crate::sync::claim::{PairClaim, Side, claim_own, claim_pair, is_same_select};
use crate::sync::wait::{State as TokenState, Token, TokenList};

/// Who waits on the other side for somebody that brings no value.
enum Partner {
    Waits,
    /// This one's select has been decided otherwise.
    Gone(*const Token),
    Nobody,
}

impl<T, S: Strategy<T>> State<T, S> {
    /// A newcomer's send: needs a waiting receiver and the meeting point.
    pub(super) fn offer_to_meet(&mut self, side: Side<'_>, value: &mut Option<T>) -> Offer<T> {
        if !self.has_room() {
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
            let (looks, other) = unsafe { ((*receiver).is_bare(), (*receiver).side()) };
            if looks {
                candidate = self.receivers.after(receiver);
                continue;
            }
            match claim_pair(side, other) {
                PairClaim::Both => {
                    // SAFETY: found in this list just now.
                    unsafe { self.receivers.remove(receiver) };
                    let replaced =
                        value.take().and_then(|value| self.put(value, S::Rank::default()));
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

    /// A newcomer's request for the meeting point.
    pub(super) fn hold_meeting_point(&mut self, side: Side<'_>) -> Hold {
        if !self.has_room() {
            return Hold::Full;
        }
        if !self.senders.is_empty() {
            if let Some(wakers) = self.introduce() {
                return Hold::Again(wakers);
            }
        }
        match self.receiver_for(side) {
            Partner::Nobody => Hold::Full,
            Partner::Gone(receiver) => {
                // SAFETY: found in this list just now.
                unsafe { lose(&mut self.receivers, receiver) };
                Hold::Again([None, None])
            }
            Partner::Waits if claim_own(side) => {
                self.promised_slots += 1;
                Hold::Held
            }
            Partner::Waits => Hold::Lost,
        }
    }

    /// The first receiver that does not only look, and is not an arm of the same select.
    fn receiver_for(&self, side: Side<'_>) -> Partner {
        let mut candidate = self.receivers.first();
        while let Some(receiver) = candidate {
            // SAFETY: in the list, hence alive while the lock is held.
            let (looks, other) = unsafe { ((*receiver).is_bare(), (*receiver).side()) };
            if looks {
                candidate = self.receivers.after(receiver);
                continue;
            }
            if is_decided(other) {
                return Partner::Gone(receiver);
            }
            if !is_same_select(side, other) {
                return Partner::Waits;
            }
            candidate = self.receivers.after(receiver);
        }
        Partner::Nobody
    }

    /// Whether a send would meet somebody.
    pub(super) fn would_meet_receiver(&self, side: Side<'_>) -> bool {
        would_meet(&self.receivers, side)
    }

    /// Whether a receive would meet somebody.
    pub(super) fn would_meet_sender(&self, side: Side<'_>) -> bool {
        would_meet(&self.senders, side)
    }

    /// A newcomer's receive: takes the value out of a waiting sender.
    pub(super) fn take_from_sender(&mut self, side: Side<'_>) -> Take<S::Received, S::Growth> {
        let mut candidate = self.senders.first();
        while let Some(sender) = candidate {
            // SAFETY: in the list, hence alive while the lock is held.
            if unsafe { (*sender).is_bare() } {
                // It waits for a receiver that waits, too, and has no value yet.
                candidate = self.senders.after(sender);
                continue;
            }
            // SAFETY: as above.
            match claim_pair(side, unsafe { (*sender).side() }) {
                PairClaim::Both => {
                    // SAFETY: found in this list just now, and not bare.
                    let (value, waker) = unsafe { self.collect_from(sender) };
                    return match value {
                        Some(value) => {
                            count(&mut self.counters.sent);
                            count(&mut self.counters.received);
                            Take::Value(S::Store::received(value), None, waker)
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
    /// `sender` stands in the list of senders, and is not bare.
    unsafe fn collect_from(&mut self, sender: *const Token) -> (Option<T>, Option<Waker>) {
        // SAFETY: by the caller's word. Every token of this list that is not bare heads a `SendToken`,
        // whose value its owner does not touch while it is queued.
        unsafe {
            self.senders.remove(sender);
            let value = (*(*sender.cast::<SendToken<T>>()).value.get()).take();
            (value, (*sender).settle(TokenState::Taken))
        }
    }

    /// Both sides wait and the meeting point has become free: the sender's value goes there, promised to
    /// the receiver; or the sender is to have a permit, and is promised the meeting point.
    pub(super) fn introduce(&mut self) -> Option<Wakers> {
        if self.senders.is_empty() || self.receivers.is_empty() || !self.has_room() {
            return None;
        }
        let mut sender_at = self.senders.first();
        while let Some(sender) = sender_at {
            // SAFETY: in the list, hence alive while the lock is held.
            let (bare, side) = unsafe { ((*sender).is_bare(), (*sender).side()) };
            let met = if bare {
                self.introduce_bare(sender, side)
            } else {
                // SAFETY: in the list, and not bare.
                unsafe { self.introduce_valued(sender, side) }
            };
            if met.is_some() {
                return met;
            }
            // Only arms of the sender's own select wait here: another sender may meet them.
            sender_at = self.senders.after(sender);
        }
        None
    }

    /// # Safety
    /// `sender` stands in the list of senders, with this side, and is not bare.
    unsafe fn introduce_valued(&mut self, sender: *const Token, side: Side<'_>) -> Option<Wakers> {
        if is_decided(side) {
            // Who only looks must not take it for somebody.
            // SAFETY: by the caller's word.
            unsafe { lose(&mut self.senders, sender) };
            return Some([None, None]);
        }
        let mut candidate = self.receivers.first();
        while let Some(receiver) = candidate {
            // SAFETY: in the list, hence alive while the lock is held.
            let (looks, other) = unsafe { ((*receiver).is_bare(), (*receiver).side()) };
            if looks {
                if is_decided(other) {
                    // Its select has been told by another arm.
                    // SAFETY: found in this list just now.
                    unsafe { lose(&mut self.receivers, receiver) };
                    return Some([None, None]);
                }
                // It is told that there is something to see, and goes.
                // SAFETY: as above.
                unsafe {
                    self.receivers.remove(receiver);
                    return Some([(*receiver).settle(TokenState::Closed), None]);
                }
            }
            match claim_pair(side, other) {
                PairClaim::Both => {
                    // SAFETY: both are in their lists.
                    let (value, told) = unsafe {
                        self.receivers.remove(receiver);
                        self.collect_from(sender)
                    };
                    if let Some(value) = value {
                        let _ = self.put(value, S::Rank::default());
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
                PairClaim::SameSelect => candidate = self.receivers.after(receiver),
            }
        }
        None
    }

    /// As `introduce_valued`, for a token that stands for a permit.
    fn introduce_bare(&mut self, sender: *const Token, side: Side<'_>) -> Option<Wakers> {
        match self.receiver_for(side) {
            Partner::Nobody => None,
            Partner::Gone(receiver) => {
                // SAFETY: found in this list just now.
                unsafe { lose(&mut self.receivers, receiver) };
                Some([None, None])
            }
            Partner::Waits if claim_own(side) => {
                self.promised_slots += 1;
                // SAFETY: in the list of senders, hence alive while the lock is held.
                unsafe {
                    self.senders.remove(sender);
                    Some([(*sender).settle(TokenState::Granted), None])
                }
            }
            Partner::Waits => {
                // SAFETY: as above.
                unsafe { lose(&mut self.senders, sender) };
                Some([None, None])
            }
        }
    }
}

/// Whether this side's select has been claimed.
fn is_decided(side: Side<'_>) -> bool {
    side.is_some_and(|(claim, _)| claim.winner().is_some())
}

/// Whether somebody in `list` brings or takes a value, is no arm of the same select, and has not been decided
/// otherwise.
fn would_meet(list: &TokenList, side: Side<'_>) -> bool {
    let mut candidate = list.first();
    while let Some(token) = candidate {
        // SAFETY: in the list, hence alive while the lock is held.
        let (bare, other) = unsafe { ((*token).is_bare(), (*token).side()) };
        if !bare && !is_decided(other) && !is_same_select(side, other) {
            return true;
        }
        candidate = list.after(token);
    }
    false
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
