//! Dealing with those who wait, one at a time: the part of the [state machine](super::state) that any operation
//! may go on with, whoever began it; and telling them, outside the lock.

use core::task::Waker;

use super::Channel;
use super::parking::RecvTokenOf;
use super::state::{Settled, State, Wakers};
use super::store::{Store, Strategy};
use super::waiting::Closers;
use crate::sync::RawMutex;
use crate::sync::claim::{Side, claim_own};
use crate::sync::looking::Looking;
use crate::sync::wait::{Counted, Parked, State as TokenState, Token};

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether, beside the [common cases](super::quick), each waiter is dealt with in a critical section of its own, also the
    /// first. On a microcontroller that keeps all of them short; with threads, what a lock costs is more than what is done
    /// under it. (At a meeting there is something for both.)
    pub(super) const IN_STEPS: bool = !cfg!(feature = "std") && !S::MEETS;

    /// Whether there is a value for the first receiver that waits.
    #[inline]
    fn has_value_for_first(&self) -> bool {
        if !S::SHARES {
            return self.store.len() > self.promised_values();
        }
        self.waiting.receivers().first().is_some_and(|first| {
            // SAFETY: in the list, hence alive while the lock is held. Every token of this list heads a
            // `RecvToken`.
            let mark = unsafe { &(*first.cast::<RecvTokenOf<T, S>>()).mark };
            self.store.is_past(mark.get())
        })
    }

    /// Promises a free value to the first receiver, if both are there.
    #[inline]
    pub(super) fn promise_value(&mut self) -> Option<Waker> {
        if self.waiting.receivers().is_empty() || !self.has_value_for_first() {
            return None;
        }
        let granted = if S::SHARES { &mut 0 } else { &mut self.promised_values };
        end_first(self.waiting.receivers_mut(), TokenState::Granted, granted)
    }

    /// Promises a free slot to the first sender, or puts its value there if it stays, if both are there.
    pub(super) fn promise_slot(&mut self) -> Option<Waker> {
        if S::MEETS || self.is_closed() || self.waiting.senders.is_empty() || !self.has_room() {
            return None;
        }
        if self.admits_first() {
            return self.admit_first();
        }
        end_first(&mut self.waiting.senders, TokenState::Granted, &mut self.promised_slots)
    }

    /// Whether a waiter could be dealt with: the question before each [`settle`](Self::settle), cheap
    /// enough for every operation.
    #[inline]
    pub(super) fn is_settled(&mut self) -> bool {
        if Self::IN_STEPS {
            // Whoever waits is looked at in a section of its own.
            return !self.is_crowded();
        }
        let bystanders = self.store.bystanders().is_some_and(|bystanders| !bystanders.are_gone());
        let is_quiet = if S::MEETS { self.is_lopsided() } else { !self.is_crowded() };
        (is_quiet && !bystanders) || self.is_settled_with_waiters(bystanders)
    }

    /// Whether at a rendezvous one side, at the most, waits, and for the other: where there are threads, the common case, and
    /// short enough to be told apart.
    #[inline]
    fn is_lopsided(&self) -> bool {
        let waits_for_nothing = || self.is_closed() || self.store.len() > self.promised_values();
        self.is_quiet()
            || cfg!(feature = "std")
                && (self.waiting.senders.is_empty() || self.waiting.receivers().is_empty())
                && !waits_for_nothing()
    }

    /// The same, for somebody who has just begun to wait. In steps there is nothing to be done: it waits as there was nothing for
    /// it, and somebody who was interrupted halfway goes on itself.
    #[inline]
    pub(super) fn is_settled_with_me(&mut self) -> bool {
        (Self::IN_STEPS && !S::GROWS) || self.is_settled()
    }

    /// The same, for somebody who has just left, and may have been the last.
    #[inline]
    pub(super) fn is_settled_without_me(&mut self) -> bool {
        self.flags.note_crowd(!self.is_quiet());
        self.is_settled()
    }

    /// The rest of [`is_settled`](Self::is_settled): apart, which saves 600 bytes of flash in a small program.
    #[inline(never)]
    fn is_settled_with_waiters(&mut self, bystanders: bool) -> bool {
        let sender_waits = !self.waiting.senders.is_empty();
        let receiver_waits = !self.waiting.receivers().is_empty();
        if !S::MEETS {
            self.flags.note_crowd(sender_waits || receiver_waits);
        }
        if self.is_closed() && (sender_waits || bystanders || self.is_drained()) {
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
    /// waiter can be dealt with, that is done, or is to be [done](Self::settle) next. So a refusal is never due to waiters
    /// who were being dealt with by others, and have gone since.
    pub(super) fn help(&mut self, helps: bool) -> Option<Wakers> {
        if !helps {
            return None;
        }
        if Self::IN_STEPS {
            return self.has_step().then_some([None, None]);
        }
        match self.settle() {
            Settled::Done => None,
            Settled::Step(wakers) => Some(wakers),
        }
    }

    /// Whether [`settle`](Self::settle) finds something to do.
    #[inline]
    fn has_step(&self) -> bool {
        let (sends, receives) =
            (!self.waiting.senders.is_empty(), !self.waiting.receivers().is_empty());
        let dismisses =
            || sends || receives && self.is_drained() || !self.waiting.closers().is_empty();
        let first_is_unaware = |first: &Token| first.state() == TokenState::Queued;
        receives && self.has_value_for_first()
            || sends && self.has_room()
            || self.is_closed() && dismisses()
            || S::GROWS && self.waiting.senders.front().is_some_and(first_is_unaware)
    }

    /// Deals with one waiter, in the order of rule 3: a match, then closing.
    #[inline]
    pub(super) fn settle(&mut self) -> Settled {
        let (first, outcome, ended) = if !self.waiting.receivers().is_empty()
            && self.has_value_for_first()
        {
            let granted = if S::SHARES { None } else { Some(&mut self.promised_values) };
            (self.waiting.receivers_mut().pop_front(), TokenState::Granted, granted)
        } else if !S::MEETS && !self.waiting.senders.is_empty() && self.has_room() {
            // Room is found in open channels only.
            if self.admits_first() {
                return Settled::Step([self.admit_first(), None]);
            }
            (self.waiting.senders.pop_front(), TokenState::Granted, Some(&mut self.promised_slots))
        } else {
            if S::MEETS {
                if let Some(wakers) = self.introduce().or_else(|| self.tell_onlooker()) {
                    return Settled::Step(wakers);
                }
            }
            if self.is_closed() {
                match self.first_to_dismiss() {
                    Some(first) => (Some(first), TokenState::Closed, None),
                    None => match tell(self.waiting.closers_mut()) {
                        Some(waker) => return Settled::Step([waker, None]),
                        None => (None, TokenState::Closed, None),
                    },
                }
            } else {
                (None, TokenState::Granted, None)
            }
        };
        if let Some(first) = first {
            // SAFETY: it was queued until now, and its owner needs the lock to go away.
            let first = unsafe { &*first };
            return Settled::Step([end(first, Self::side_of(first), outcome, ended), None]);
        }
        if S::GROWS {
            // The first sender is the one that asks for memory: tell it that it is the first.
            if let Some(first) = self.waiting.senders.front() {
                if first.state() == TokenState::Queued {
                    first.set_state(TokenState::First);
                    return Settled::Step([first.take_waker(), None]);
                }
            }
        }
        if Self::IN_STEPS {
            self.flags.note_crowd(!self.is_quiet());
        }
        Settled::Done
    }

    /// Takes out the operation that is to be told next that the channel is closed.
    #[inline]
    fn first_to_dismiss(&mut self) -> Option<*const Token> {
        let drained = self.is_drained();
        if let Some(first) = self.first_senders().pop_front() {
            return Some(first);
        }
        if !drained {
            return None;
        }
        self.waiting
            .receivers_mut()
            .pop_front()
            .or_else(|| self.store.bystanders()?.receivers.pop_front())
    }
}

/// Takes the first token and wakes it. An arm of a select claims for itself when it finds the channel closed:
/// until then another arm may happen. If one has, its select has been told.
fn tell(list: &mut Closers) -> Option<Option<Waker>> {
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
fn end_first<L: Looking, C: Counted, const RANK: usize>(
    list: &mut Parked<L, C, RANK>,
    outcome: TokenState,
    ended: &mut u32,
) -> Option<Waker> {
    // SAFETY: it was queued until now, and its owner needs the lock to go away.
    let first = unsafe { &*list.pop_front()? };
    end(first, first.side(), outcome, Some(ended))
}

/// Ends the wait of `token`, which has just been taken out of its list, with `outcome`, which is counted, or as lost.
#[inline]
fn end(
    token: &Token,
    side: Side<'_>,
    outcome: TokenState,
    ended: Option<&mut u32>,
) -> Option<Waker> {
    if claim_own(side) {
        if let Some(ended) = ended {
            *ended += 1;
        }
        token.settle(outcome)
    } else {
        token.set_state(TokenState::Lost);
        None
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// What is left to do after a critical section: wakes those who are `told` of it, and unless that has `settled`
    /// all, deals with waiters.
    #[inline]
    pub(super) fn tell(&self, told: Wakers, settled: bool) {
        let [first, second] = told;
        if S::MEETS {
            wake(second);
        } else {
            // Two are told of a meeting only.
            debug_assert!(second.is_none());
            core::mem::forget(second);
        }
        wake(first);
        if !settled {
            self.settle();
        }
    }

    /// Goes on with [helping](State::help) others before it is asked again.
    #[inline]
    pub(super) fn help_on(&self, wakers: Wakers) {
        wakers.into_iter().for_each(wake);
        if State::<T, S>::IN_STEPS {
            self.settle();
        }
    }

    /// Deals with waiters until none can be helped.
    pub(super) fn settle(&self) {
        while let Settled::Step(told) = self.locked(State::settle) {
            self.tell(told, true);
        }
    }
}

/// Wakes outside the lock.
#[inline]
pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
