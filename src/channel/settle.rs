//! Dealing with those who wait, one at a time: the part of the [state machine](super::state) that any operation
//! may go on with, whoever began it.

use core::task::Waker;

use super::state::{RecvTokenOf, Settled, State, Wakers};
use super::store::{Store, Strategy};
use crate::sync::claim::claim_own;
use crate::sync::wait::{Counted, Parked, State as TokenState, TokenList};

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether there is a value for the first receiver that waits.
    #[inline]
    fn has_value_for_first(&self) -> bool {
        if !S::SHARES {
            return self.store.len() > self.promised_values();
        }
        self.receivers.first().is_some_and(|first| {
            // SAFETY: in the list, hence alive while the lock is held. Every token of this list heads a
            // `RecvToken`.
            let mark = unsafe { &(*first.cast::<RecvTokenOf<T, S>>()).mark };
            self.store.is_past(mark.get())
        })
    }

    /// Promises a free value to the first receiver, if both are there.
    #[inline]
    pub(super) fn promise_value(&mut self) -> Option<Waker> {
        if self.receivers.is_empty() || !self.has_value_for_first() {
            return None;
        }
        let granted = if S::SHARES { &mut 0 } else { &mut self.promised_values };
        end_first(&mut self.receivers, TokenState::Granted, granted)
    }

    /// Promises a free slot to the first sender, or puts its value there if it stays, if both are there.
    pub(super) fn promise_slot(&mut self) -> Option<Waker> {
        if S::MEETS || self.closed || self.senders.is_empty() || !self.has_room() {
            return None;
        }
        if self.admits_first() {
            return self.admit_first();
        }
        end_first(&mut self.senders, TokenState::Granted, &mut self.promised_slots)
    }

    /// Whether a waiter could be dealt with: the question before each [`settle`](Self::settle), cheap
    /// enough for every operation.
    #[inline]
    pub(super) fn is_settled(&mut self) -> bool {
        let bystanders = self.store.bystanders().is_some_and(|bystanders| !bystanders.are_gone());
        let is_quiet = if S::MEETS { self.is_quiet() } else { !self.crowded };
        (is_quiet && !bystanders) || self.is_settled_with_waiters(bystanders)
    }

    /// The same, for somebody who has just left, and may have been the last.
    #[inline]
    pub(super) fn is_settled_without_me(&mut self) -> bool {
        self.crowded = !self.is_quiet();
        self.is_settled()
    }

    /// The rest of [`is_settled`](Self::is_settled): apart, which saves 600 bytes of flash in a small program.
    #[inline(never)]
    fn is_settled_with_waiters(&mut self, bystanders: bool) -> bool {
        let sender_waits = !self.senders.is_empty();
        let receiver_waits = !self.receivers.is_empty();
        if !S::MEETS {
            self.crowded = sender_waits || receiver_waits;
        }
        if self.closed && (sender_waits || bystanders || self.is_drained()) {
            return false;
        }
        if receiver_waits && self.has_value_for_first() {
            return false;
        }
        if S::MEETS {
            return !self.may_introduce();
        }
        !sender_waits || !(S::GROWS || self.has_room())
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
            if let Some(wakers) = self.introduce().or_else(|| self.tell_onlooker()) {
                return Settled::Step(wakers);
            }
        } else if !self.closed && !self.senders.is_empty() && self.has_room() {
            return Settled::Step([self.promise_slot(), None]);
        }
        if self.closed {
            if let Some(waker) = self.dismiss_one() {
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

    /// Tells one waiter that the channel is closed.
    fn dismiss_one(&mut self) -> Option<Option<Waker>> {
        let drained = self.is_drained();
        let senders = self.first_senders();
        if !senders.is_empty() {
            return Some(end_first(senders, TokenState::Closed, &mut 0));
        }
        let mut list = &mut self.receivers;
        if list.is_empty() && drained {
            if let Some(bystanders) = self.store.bystanders() {
                list = &mut bystanders.receivers;
            }
        }
        if list.is_empty() || !drained {
            return tell(&mut self.closers);
        }
        Some(end_first(list, TokenState::Closed, &mut 0))
    }
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

/// Takes the first token and ends its wait with `outcome`, which is counted, or as lost.
#[inline(never)]
fn end_first<C: Counted>(
    list: &mut Parked<C>,
    outcome: TokenState,
    ended: &mut u32,
) -> Option<Waker> {
    let token = list.pop_front()?;
    // SAFETY: it was queued until now, and its owner needs the lock to go away.
    let token = unsafe { &*token };
    if claim_own(token.side()) {
        *ended += 1;
        token.settle(outcome)
    } else {
        token.set_state(TokenState::Lost);
        None
    }
}
