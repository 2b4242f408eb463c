//! Parking: what an operation that waits leaves in its channel, and how that comes into one of the lists of those who wait, and
//! out of it. A part of the [state machine](super::state).

use core::cell::{Cell, UnsafeCell};
use core::mem::ManuallyDrop;
use core::task::Waker;

use super::Channel;
use super::landing::Landing;
use super::snapshot::{Leaves, count};
use super::state::State;
use super::store::{Store, Strategy};
use crate::sync::RawMutex;
use crate::sync::wait::{Parked, State as TokenState, Token, Unlooked};

/// A sender's token and its value. The token comes first: a pointer to it is one to the whole.
#[repr(C)]
pub(super) struct SendToken<T> {
    pub(super) token: Token,
    /// Touched under the channel's lock while the token is queued, by its owner otherwise.
    pub(super) value: UnsafeCell<Option<T>>,
}

/// A receiver's token, what it noted down when it was queued, and where its value may be put. The token comes first.
#[repr(C)]
pub(super) struct RecvToken<K, R> {
    pub(super) token: Token,
    /// Under the channel's lock.
    pub(super) mark: Cell<K>,
    pub(super) landing: Landing<R>,
}

impl<K, R> RecvToken<K, R> {
    /// Where its value may be put, or null.
    #[inline]
    pub(super) fn place(&self) -> *mut Option<R> {
        self.landing.place(&self.token)
    }
}

/// The receivers' tokens of one kind of channel.
pub(super) type RecvTokenOf<T, S> =
    RecvToken<<S as Strategy<T>>::Mark, <S as Strategy<T>>::Received>;

/// An operation that has not been queued.
pub(super) struct Unqueued {
    /// To be left there, or dropped.
    pub(super) waker: Waker,
    /// It need not wait, and is no arm of a select, which must be claimed first.
    pub(super) need_not: bool,
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Queues the operation whose token this is, under a clone of this waker, if it `waits`, and the lock can be [had at once](Self::locked_at_once).
    #[inline(always)]
    pub(super) fn queue_at_once(
        &self,
        token: &Token,
        waker: &Waker,
        waits: impl FnOnce(&State<T, S>) -> bool,
        queue: impl FnOnce(&mut State<T, S>),
    ) -> Result<(), Unqueued> {
        // Beforehand: a foreign one cannot be cloned under the lock. By hand, as the compiler would keep a note for its end.
        let mut waker = ManuallyDrop::new(waker.clone());
        let place = &mut waker;
        let waits = self.locked_at_once(move |state| {
            let waits = waits(state);
            if waits {
                // SAFETY: here and nowhere else, and once: below it is used only if this has not been done.
                token.leave_waker(unsafe { ManuallyDrop::take(place) });
                queue(state);
            }
            waits
        });
        match waits {
            Some(true) => Ok(()),
            waits => {
                let waker = ManuallyDrop::into_inner(waker);
                Err(Unqueued { waker, need_not: waits.is_some() && !token.is_arm() })
            }
        }
    }
}

impl<T, S: Strategy<T>> State<T, S> {
    /// Puts a sender, or somebody who wants a permit, into the list.
    ///
    /// # Safety
    /// As for [`TokenList::push_back`](crate::sync::wait::TokenList::push_back). A token that is not bare heads a [`SendToken`].
    pub(super) unsafe fn queue_sender(&mut self, token: *const Token) {
        self.flags.note_crowd(true);
        // SAFETY: passed on.
        unsafe {
            (*token).set_arrival(self.counters.send_waits);
            let senders = self.senders_with(token);
            let first = senders.is_empty();
            senders.push_back(token);
            if S::GROWS && first {
                (*token).set_state(TokenState::First);
            }
        }
        count(&mut self.counters.send_waits);
    }

    /// Takes a sender, or somebody who wants a permit, out of its list.
    ///
    /// # Safety
    /// `token` was queued by [`queue_sender`](Self::queue_sender), and is still.
    pub(super) unsafe fn remove_sender(&mut self, token: *const Token) {
        // SAFETY: by the caller's word.
        unsafe { self.senders_with(token).remove(token) };
    }

    /// The list for `token`, which is alive.
    unsafe fn senders_with(&mut self, token: *const Token) -> &mut Parked {
        match self.store.bystanders() {
            // SAFETY: by the caller's word.
            Some(bystanders) if unsafe { (*token).is_bare() } => &mut bystanders.senders,
            _ => &mut self.waiting.senders,
        }
    }

    /// Puts a receiver, or somebody who looks for a value, into the list.
    ///
    /// # Safety
    /// As for [`TokenList::push_back`](crate::sync::wait::TokenList::push_back). The token heads a [`RecvToken`].
    pub(super) unsafe fn queue_receiver(&mut self, token: *const Token) {
        self.flags.note_crowd(true);
        count(&mut self.counters.recv_waits);
        // SAFETY: passed on.
        unsafe { self.receivers_with(token).push_back(token) };
    }

    /// Takes a receiver, or somebody who looks for a value, out of its list.
    ///
    /// # Safety
    /// `token` was queued by [`queue_receiver`](Self::queue_receiver), and is still.
    pub(super) unsafe fn remove_receiver(&mut self, token: *const Token) {
        // SAFETY: by the caller's word.
        unsafe { self.receivers_with(token).remove(token) };
    }

    /// The list for `token`, which is alive.
    unsafe fn receivers_with(&mut self, token: *const Token) -> &mut Unlooked {
        match self.store.bystanders() {
            // SAFETY: by the caller's word.
            Some(bystanders) if unsafe { (*token).is_bare() } => &mut bystanders.receivers,
            _ => self.waiting.receivers_mut(),
        }
    }

    /// An operation leaves, whose token this is.
    #[inline]
    pub(super) fn note_leaving(&mut self, why: Leaves, token: &Token) {
        let waits =
            matches!(token.state(), TokenState::Queued | TokenState::First | TokenState::Granted);
        if waits && why == Leaves::Abandoned {
            self.counters.abandoned.count(&mut self.waiting);
        }
    }
}
