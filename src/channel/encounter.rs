//! The common cases of a rendezvous between threads: as [quick](super::quick) as those of other kinds, in one critical section that
//! leaves nobody to be helped.
//!
//! Arms of selects, which must be claimed, closed channels, those who [stand by](super::meeting), and pairs that might be introduced
//! are left to the long way.

use core::task::Waker;

use super::parking::SendToken;
use super::state::State;
use super::store::{Store, Strategy};
use crate::sync::wait::{State as TokenState, Token};

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether it is open, and nobody stands by: then there is no more to be thought of than the two lists and the meeting point.
    #[inline]
    pub(super) fn meets_plainly(&mut self) -> bool {
        !self.is_closed() && self.store.bystanders().is_none_or(|bystanders| bystanders.are_gone())
    }

    /// Whether a newcomer's send is for the receiver that has waited longest: nobody else waits to send, the meeting point is free, and
    /// that receiver is no arm. Where somebody waits to receive.
    #[inline]
    pub(super) fn meets_receiver(&self) -> bool {
        let is_arm = self.waiting.receivers().front().is_some_and(Token::is_arm);
        !is_arm && self.waiting.senders.is_empty() && self.has_room()
    }

    /// That is done: the receiver is to be woken.
    #[inline]
    pub(super) fn meet_receiver(&mut self, value: &mut Option<T>) -> Option<Waker> {
        let receiver = self.waiting.receivers_mut().pop_front()?;
        // SAFETY: it was in this list, so it heads a `RecvToken`, and its owner needs the lock to go away.
        unsafe { self.hand_to(receiver, value.take()) }
    }

    /// Whether a newcomer's receive is from the sender that has waited longest, in the same sense. Where somebody waits to send.
    #[inline]
    pub(super) fn meets_sender(&self) -> bool {
        let is_arm = self.waiting.senders.front().is_some_and(Token::is_arm);
        !is_arm && self.waiting.receivers().is_empty() && self.has_room()
    }

    /// That is done: its value, and the sender to be woken.
    #[inline]
    pub(super) fn meet_sender(&mut self) -> Option<(S::Received, Option<Waker>)> {
        let sender = self.waiting.senders.first()?;
        // SAFETY: in this list, hence alive while the lock is held. Who stands there and not among the bystanders heads a `SendToken`,
        // whose value its owner does not touch while it is queued.
        let value = unsafe { (*(*sender.cast::<SendToken<T>>()).value.get()).take() }?;
        let waker = self.waiting.senders.settle_front(TokenState::Taken);
        Some((self.pass_by(value), waker))
    }

    /// Whether a receiver that fetches what it was promised leaves nobody to be helped, as one side, at the most, waits for the meeting
    /// point that becomes free.
    #[inline]
    pub(super) fn leaves_nobody_to_introduce(&self) -> bool {
        self.waiting.senders.is_empty() || self.waiting.receivers().is_empty()
    }
}
