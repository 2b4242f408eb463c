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
//! Those who wait stand in four lists, so that nobody searches for a partner among those who are none:
//!
//! | | brings or takes a value | a [bystander](Bystanders) |
//! |---|---|---|
//! | senders | sends | permits that are wanted, and sends that only look |
//! | receivers | receives | receives that only look |
//!
//! Senders of both sorts are served in the order in which they came. Who only looks (a select that asks what is
//! ready) meets nobody: a sender that looks waits as one who wants a permit, and gives it back; a receiver that
//! looks is told when there is a sender, or a value that was promised to nobody.
//!
//! A permit matches nobody: its receiver stays in the list, and is promised the value when it is sent. Should
//! the receiver go away before, the value waits in the meeting point for the next one.
//!
//! A search passes only arms of the searcher's own select, which are no more than a select can have; it stops
//! at the first token whose select has been decided otherwise. That one is taken out, and the caller
//! begins again, in a critical section of its own.

use core::task::Waker;

use super::parking::{RecvTokenOf, SendToken};
use super::state::{Hold, Offer, State, Take, Wakers};
use super::store::{Store, Strategy};
use crate::sync::claim::{PairClaim, Side, claim_beside, claim_pair, is_same_select};
use crate::sync::looking::Looking;
use crate::sync::wait::{Counted, Parked, State as TokenState, Token, TokenList, Unlooked};

/// Those who wait at a rendezvous without a value, or without taking one.
#[doc(hidden)]
pub struct Bystanders {
    /// They want the meeting point.
    pub(super) senders: Parked,
    /// They only look.
    pub(super) receivers: Unlooked,
}

impl Bystanders {
    pub(super) const NONE: Self = Self { senders: Parked::new(), receivers: Unlooked::new() };

    pub(super) fn are_gone(&self) -> bool {
        self.senders.is_empty() && self.receivers.is_empty()
    }
}

/// The first in `list` that is no arm of the same select. Its select may have been decided otherwise: whoever claims it
/// finds that out (13 instructions on a Cortex-M3, in the longest of critical sections).
#[inline(always)]
fn partner<const RANK: usize>(list: &TokenList<RANK>, side: Side<'_>) -> Option<*const Token> {
    let mut candidate = list.first();
    while let Some(token) = candidate {
        // SAFETY: in the list, hence alive while the lock is held.
        if !is_same_select(side, unsafe { (*token).side() }) {
            return Some(token);
        }
        candidate = list.after(token);
    }
    None
}

/// The first in `list` that has a partner among `others`, who may have been decided otherwise, and that one.
#[inline(always)]
fn pair<const RANK: usize, const OTHER: usize>(
    list: &TokenList<RANK>,
    others: &TokenList<OTHER>,
) -> Option<(*const Token, *const Token)> {
    if others.is_empty() {
        return None;
    }
    let mut candidate = list.first();
    while let Some(token) = candidate {
        // SAFETY: in the list, hence alive while the lock is held.
        match partner(others, unsafe { (*token).side() }) {
            // All the others are arms of its own select: those of `list` that are none have a partner.
            None => candidate = list.after(token),
            Some(other) => return Some((token, other)),
        }
    }
    None
}

/// What somebody who only looks has found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It would be done at once.
    Ready,
    NotYet,
    /// Somebody who was in the way has gone: look again.
    Again,
}

impl From<bool> for Look {
    fn from(ready: bool) -> Self {
        if ready { Self::Ready } else { Self::NotYet }
    }
}

impl<T, S: Strategy<T>> State<T, S> {
    /// A newcomer's send: needs a waiting receiver and the meeting point.
    pub(super) fn offer_to_meet(&mut self, side: Side<'_>, value: &mut Option<T>) -> Offer<T> {
        if !self.has_room() {
            return Offer::Full;
        }
        // Those who wait come first.
        if let Some(wakers) = self.introduce() {
            return Offer::Again(wakers);
        }
        let Some(receiver) = partner(self.waiting.receivers(), side) else { return Offer::Full };
        // SAFETY: in the list, hence alive while the lock is held.
        match claim_pair(side, unsafe { (*receiver).side() }) {
            PairClaim::Both => {
                // SAFETY: found in this list just now; alive, as the lock is held.
                let waker = unsafe {
                    self.waiting.receivers_mut().remove(receiver);
                    self.hand_to(receiver, value.take())
                };
                Offer::Sent(None, waker)
            }
            PairClaim::FirstLost => Offer::Lost,
            PairClaim::SecondLost => {
                // SAFETY: as above.
                unsafe { lose(self.waiting.receivers_mut(), receiver) };
                Offer::Again([None, None])
            }
            // It is no partner, then.
            PairClaim::SameSelect => Offer::Full,
        }
    }

    /// A newcomer's request for the meeting point.
    pub(super) fn hold_meeting_point(&mut self, side: Side<'_>) -> Hold {
        if !self.has_room() {
            return Hold::Full;
        }
        if let Some(wakers) = self.introduce() {
            return Hold::Again(wakers);
        }
        let Some(receiver) = partner(self.waiting.receivers(), side) else { return Hold::Full };
        // SAFETY: in the list, hence alive while the lock is held.
        match claim_beside(side, unsafe { (*receiver).side() }) {
            PairClaim::Both => {
                self.promised_slots += 1;
                Hold::Held
            }
            PairClaim::FirstLost => Hold::Lost,
            PairClaim::SecondLost => {
                // SAFETY: found in this list just now.
                unsafe { lose(self.waiting.receivers_mut(), receiver) };
                Hold::Again([None, None])
            }
            // It is no partner, then.
            PairClaim::SameSelect => Hold::Full,
        }
    }

    /// Whether a send would meet somebody.
    pub(super) fn look_for_receiver(&mut self, side: Side<'_>) -> Look {
        if self.has_room() { look(self.waiting.receivers_mut(), side) } else { Look::NotYet }
    }

    /// Whether a receive would meet somebody.
    pub(super) fn look_for_sender(&mut self, side: Side<'_>) -> Look {
        if self.has_room() { look(&mut self.waiting.senders, side) } else { Look::NotYet }
    }

    /// A newcomer's receive: takes the value out of a waiting sender.
    pub(super) fn take_from_sender(&mut self, side: Side<'_>) -> Take<S::Received, S::Growth> {
        let sender = match partner(&self.waiting.senders, side) {
            Some(sender) => sender,
            // Who wants a permit has no value yet. If it has been decided otherwise, it is not in the way.
            None if self.forget_decided_bystander() => return Take::Again([None, None]),
            None => return Take::Empty,
        };
        // SAFETY: in the list, hence alive while the lock is held.
        match claim_pair(side, unsafe { (*sender).side() }) {
            PairClaim::Both => {
                // SAFETY: found in this list just now.
                let (value, waker) = unsafe { self.collect_from(sender) };
                match value {
                    Some(value) => Take::Value(self.pass_by(value), None, waker),
                    None => Take::Again([waker, None]),
                }
            }
            PairClaim::FirstLost => Take::Lost,
            PairClaim::SecondLost => {
                // SAFETY: as above.
                unsafe { lose(&mut self.waiting.senders, sender) };
                Take::Again([None, None])
            }
            // It is no partner, then.
            PairClaim::SameSelect => Take::Empty,
        }
    }

    /// Takes the first who wants a permit out of the list, if its select has been decided otherwise.
    fn forget_decided_bystander(&mut self) -> bool {
        let Some(bystanders) = self.store.bystanders() else { return false };
        let Some(first) = bystanders.senders.first() else { return false };
        // SAFETY: found in this list just now, hence alive while the lock is held.
        unsafe {
            let decided = is_decided((*first).side());
            if decided {
                lose(&mut bystanders.senders, first);
            }
            decided
        }
    }

    /// Takes a queued sender's value.
    ///
    /// # Safety
    /// `sender` stands in the list of senders, and is not bare.
    pub(super) unsafe fn collect_from(
        &mut self,
        sender: *const Token,
    ) -> (Option<T>, Option<Waker>) {
        // SAFETY: by the caller's word. A token of this list that is not bare heads a `SendToken`, whose value its owner
        // does not touch while it is queued.
        unsafe {
            self.waiting.senders.remove(sender);
            let value = (*(*sender.cast::<SendToken<T>>()).value.get()).take();
            (value, (*sender).settle(TokenState::Taken))
        }
    }

    /// A receiver that has been taken out of the list has met a sender with this value: it is put where the receiver finds
    /// it, or else into the meeting point, promised to it.
    ///
    /// # Safety
    /// The receiver's token heads a [`RecvToken`](super::parking::RecvToken), and is alive.
    #[inline]
    pub(super) unsafe fn hand_to(
        &mut self,
        receiver: *const Token,
        value: Option<T>,
    ) -> Option<Waker> {
        // SAFETY: by the caller's word.
        unsafe {
            let place = (*receiver.cast::<RecvTokenOf<T, S>>()).place();
            if let Some(place) = place.as_mut() {
                *place = value.map(|value| self.pass_by(value));
                return (*receiver).settle(TokenState::Taken);
            }
            if let Some(value) = value {
                let _ = self.put(value, S::Rank::default());
                self.promised_values += 1;
            }
            (*receiver).settle(TokenState::Granted)
        }
    }

    /// Whether anybody waits to send, or to have a permit.
    #[inline]
    pub(super) fn sender_waits(&mut self) -> bool {
        let wants = |bystanders: &mut Bystanders| !bystanders.senders.is_empty();
        !self.waiting.senders.is_empty() || self.store.bystanders().is_some_and(wants)
    }

    /// The list of senders whose first has waited longest.
    pub(super) fn first_senders(&mut self) -> &mut Parked {
        match self.store.bystanders() {
            Some(Bystanders { senders, .. }) => {
                match (senders.front(), self.waiting.senders.front()) {
                    // SAFETY: whoever is queued to send has been given a number.
                    (Some(bare), Some(sender)) if unsafe { sender.is_before(bare) } => {
                        &mut self.waiting.senders
                    }
                    (None, _) => &mut self.waiting.senders,
                    _ => senders,
                }
            }
            None => &mut self.waiting.senders,
        }
    }

    /// Whether two who wait could be introduced, or somebody who looks be told, unless all of them are
    /// arms of one select.
    pub(super) fn may_introduce(&mut self) -> bool {
        let (room, unpromised) = (self.has_room(), self.store.len() > self.promised_values());
        let (sends, receives) =
            (!self.waiting.senders.is_empty(), !self.waiting.receivers().is_empty());
        if room && receives && self.sender_waits() {
            return true;
        }
        let looks = |bystanders: &mut Bystanders| !bystanders.receivers.is_empty();
        (unpromised || (room && sends)) && self.store.bystanders().is_some_and(looks)
    }

    /// Both sides wait and the meeting point has become free: the sender's value goes there, promised to
    /// the receiver; or the sender is to have a permit, and is promised the meeting point.
    #[inline]
    pub(super) fn introduce(&mut self) -> Option<Wakers> {
        if self.waiting.receivers().is_empty() || !self.sender_waits() || !self.has_room() {
            return None;
        }
        self.introduce_first()
    }

    /// The rest of [`introduce`](Self::introduce).
    #[inline(never)]
    fn introduce_first(&mut self) -> Option<Wakers> {
        let wanted = match self.store.bystanders() {
            Some(bystanders) => pair(&bystanders.senders, self.waiting.receivers()),
            None => None,
        };
        let sends = pair(&self.waiting.senders, self.waiting.receivers());
        if let Some((bare, receiver)) = wanted {
            // SAFETY: both are in their lists, hence alive while the lock is held.
            let first = |&(sender, _): &(*const Token, *const Token)| unsafe {
                (*bare).is_before(&*sender)
            };
            if sends.as_ref().is_none_or(first) {
                // SAFETY: found in these lists just now.
                return Some(unsafe { self.introduce_bare(bare, receiver) });
            }
        }
        // SAFETY: found in these lists just now.
        sends.map(|(sender, receiver)| unsafe { self.introduce_pair(sender, receiver) })
    }

    /// # Safety
    /// `sender` stands in the list of senders, and `receiver` in that of receivers.
    unsafe fn introduce_pair(&mut self, sender: *const Token, receiver: *const Token) -> Wakers {
        // SAFETY: by the caller's word; alive while the lock is held.
        unsafe {
            match claim_pair((*sender).side(), (*receiver).side()) {
                PairClaim::Both => {
                    self.waiting.receivers_mut().remove(receiver);
                    let (value, told) = self.collect_from(sender);
                    return [told, self.hand_to(receiver, value)];
                }
                PairClaim::FirstLost => lose(&mut self.waiting.senders, sender),
                PairClaim::SecondLost => lose(self.waiting.receivers_mut(), receiver),
                PairClaim::SameSelect => {}
            }
        }
        [None, None]
    }

    /// # Safety
    /// `sender` stands among the bystanders of the senders, and `receiver` in the list of receivers.
    unsafe fn introduce_bare(&mut self, sender: *const Token, receiver: *const Token) -> Wakers {
        let Some(bystanders) = self.store.bystanders() else { return [None, None] };
        // SAFETY: by the caller's word; alive while the lock is held.
        unsafe {
            match claim_beside((*sender).side(), (*receiver).side()) {
                PairClaim::Both => {
                    bystanders.senders.remove(sender);
                    self.promised_slots += 1;
                    return [(*sender).settle(TokenState::Granted), None];
                }
                PairClaim::FirstLost => lose(&mut bystanders.senders, sender),
                PairClaim::SecondLost => lose(self.waiting.receivers_mut(), receiver),
                PairClaim::SameSelect => {}
            }
        }
        [None, None]
    }

    /// Tells a receiver that only looks that there is something to see: a sender, or a value that was promised
    /// to nobody.
    pub(super) fn tell_onlooker(&mut self) -> Option<Wakers> {
        let unpromised = self.store.len() > self.promised_values();
        let room = self.has_room();
        let bystanders = self.store.bystanders()?;
        let onlooker = if unpromised {
            bystanders.receivers.first()?
        } else if room {
            let (onlooker, sender) = pair(&bystanders.receivers, &self.waiting.senders)?;
            // SAFETY: found in this list just now, hence alive while the lock is held.
            unsafe {
                if is_decided((*sender).side()) {
                    lose(&mut self.waiting.senders, sender);
                    return Some([None, None]);
                }
            }
            onlooker
        } else {
            return None;
        };
        // SAFETY: found in this list just now, hence alive while the lock is held.
        unsafe {
            if is_decided((*onlooker).side()) {
                // Its select has been told by another arm.
                lose(&mut bystanders.receivers, onlooker);
                return Some([None, None]);
            }
            bystanders.receivers.remove(onlooker);
            Some([(*onlooker).settle(TokenState::Closed), None])
        }
    }
}

/// Whether this side's select has been claimed.
fn is_decided(side: Side<'_>) -> bool {
    side.is_some_and(|(claim, _)| claim.winner().is_some())
}

/// Whether somebody waits in `list` for one with this side.
fn look<L: Looking, C: Counted, const RANK: usize>(
    list: &mut Parked<L, C, RANK>,
    side: Side<'_>,
) -> Look {
    let Some(token) = partner(list, side) else { return Look::NotYet };
    // SAFETY: found in this list just now, hence alive while the lock is held.
    unsafe {
        if !is_decided((*token).side()) {
            return Look::Ready;
        }
        lose(list, token);
    }
    Look::Again
}

/// Takes a token whose select was claimed for another arm out of its list. It needs no wake-up: the
/// winning arm's has been sent.
///
/// # Safety
/// `token` stands in `list`.
unsafe fn lose<L: Looking, C: Counted, const RANK: usize>(
    list: &mut Parked<L, C, RANK>,
    token: *const Token,
) {
    // SAFETY: by the caller's word.
    unsafe {
        list.remove(token);
        (*token).set_state(TokenState::Lost);
    }
}
