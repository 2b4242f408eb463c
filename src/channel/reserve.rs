//! Permits: slots held for a value that is yet to come.

use core::future::Future;
use core::marker::PhantomPinned;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::Channel;
use super::growth::Growth;
use super::meeting::Look;
use super::settle::wake;
use super::snapshot::{Leaves, Sided, count};
use super::state::{Hold, State, Wakers};
use super::store::Strategy;
use crate::error::{ClosedError, StoppedError, TryReserveError};
use crate::limit::{Operation, Stopped};
use crate::select::Arm;
use crate::sync::RawMutex;
use crate::sync::claim::{Claim, claim_own};
use crate::sync::wait::{State as TokenState, Token};

/// A slot of a channel, held: sending into it cannot fail, not even when the channel has been closed in
/// the meantime. One word.
///
/// Nor when the last counted receiver has gone: then the value is dropped, counted (a conflated channel hands it
/// back).
///
/// Made by [`Channel::reserve`] and [`Channel::try_reserve`]. Dropping it gives the slot to the sender
/// that has waited longest. A leaked one takes its slot with it, and keeps receivers of a closed channel
/// waiting.
///
/// On a rendezvous it holds the meeting point, while a receiver waits for the value; other pairs wait
/// until it is used, so use it soon. Should that receiver go away the value is the next one's. A receiver that
/// arrives takes the value of a sender that waits, if there is one, before it lets a permit be had.
///
/// ```
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static FRAMES: Channel<Lock, u32, Buffered<1>> = Channel::new();
/// let permit = FRAMES.try_reserve()?;
/// assert!(FRAMES.try_send(1).is_err()); // the slot is taken
/// permit.send(2);
/// assert_eq!(FRAMES.try_recv(), Ok(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it gives its slot back when it is dropped"]
pub struct Permit<'a, M: RawMutex, T, S: Strategy<T>> {
    channel: &'a Channel<M, T, S>,
}

impl<'a, M: RawMutex, T, S: Strategy<T>> Permit<'a, M, T, S> {
    /// The permit for a slot that is held: one was forgotten for each of these.
    pub(super) fn held(channel: &'a Channel<M, T, S>) -> Self {
        Self { channel }
    }

    /// Sends. Constant time, interrupt-safe; wakes one receiver at most.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* behind all values sent before this call.
    /// * *Wake-ups:* the receiver that has waited longest, if one waits.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section, and one for each waiter that somebody was in the middle of
    ///   dealing with.
    pub fn send(self, value: T) -> S::Receipt {
        self.send_with_priority(value, S::Rank::default())
    }

    /// Sends, on a [`Priority`](super::Priority) channel with a priority.
    pub fn send_with_priority(self, value: T, priority: S::Rank) -> S::Receipt {
        let channel = ManuallyDrop::new(self).channel;
        let mut value = Some(value);
        let ((dropped, waker), settled) =
            channel.locked(|state| (state.keep_slot(&mut value, priority), state.is_settled()));
        wake(waker);
        if !settled {
            channel.settle();
        }
        channel.strategy.receipt(dropped)
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Drop for Permit<'_, M, T, S> {
    fn drop(&mut self) {
        let settled = self.channel.locked(|state| {
            state.return_slot();
            state.is_settled()
        });
        if !settled {
            self.channel.settle();
        }
        self.channel.give_memory_back();
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Holds a slot, at once or not at all. Constant time, interrupt-safe, wakes nobody.
    ///
    /// Under a policy that drops values it succeeds only while a slot is free: a reservation drops nothing.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* the value will stand where it is sent, not where the slot was reserved; never
    ///   before a sender that waits.
    /// * *Wake-ups:* nobody.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* one critical section of constant length in the common case; one more for each
    ///   waiter that somebody was in the middle of dealing with.
    ///
    /// # Errors
    /// [`Full`](TryReserveError::Full) when there is none (for a rendezvous: no receiver waits) or others
    /// wait for one, [`Closed`](TryReserveError::Closed).
    pub fn try_reserve(&self) -> Result<Permit<'_, M, T, S>, TryReserveError> {
        let mut helps = false;
        loop {
            let (hold, settled) = self.locked(|state| {
                if let Some(wakers) = state.help(helps) {
                    return (Hold::Again(wakers), false);
                }
                let hold = state.hold(None);
                (hold, state.is_settled())
            });
            match hold {
                Hold::Held => return Ok(Permit { channel: self }),
                Hold::Closed => return Err(TryReserveError::Closed),
                Hold::Again(wakers) => self.help_on(wakers),
                Hold::Lost => {}
                // Somebody who was interrupted halfway does not make it full.
                Hold::Full if !settled && !helps => {
                    helps = true;
                    self.help_on([None, None]);
                }
                Hold::Full if S::GROWS && self.grow_for_newcomer() => {}
                Hold::Full => {
                    self.locked(|state| count(&mut state.counters.full));
                    return Err(TryReserveError::Full);
                }
            }
        }
    }

    /// Holds a slot, waiting for one, first come, first served. See [`Reserve`] for cancel safety,
    /// deadlines and cancellation.
    ///
    /// The future fails with [`ClosedError`] when the channel is closed.
    ///
    /// * *Cancel safety:* dropping the future gives a slot back that was handed to it.
    /// * *Order:* waits in one line with the senders.
    /// * *Wake-ups:* the future is woken once, when it can complete.
    /// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
    ///   lock is.
    /// * *Cost:* about nine words, whatever the values' size; a poll is a critical section or two
    ///   of constant length.
    pub fn reserve(&self) -> Reserve<'_, M, T, S> {
        Reserve {
            channel: self,
            token: Token::bare(),
            growth: Growth::new(),
            ended: false,
            _pinned: PhantomPinned,
        }
    }
}

/// A pending [`Channel::reserve`].
///
/// Cancel safety: dropping it loses nothing; a slot that was handed to it goes to the next sender.
/// Wake-ups: one. Polled again after its end it stays pending.
#[must_use = "futures do nothing unless polled"]
pub struct Reserve<'a, M: RawMutex, T, S: Strategy<T>> {
    channel: &'a Channel<M, T, S>,
    token: Token,
    growth: Growth<T, S>,
    ended: bool,
    _pinned: PhantomPinned,
}

// SAFETY: the token is guarded by the channel's lock, and every (sealed) strategy's request for memory may
// be sent: it is none, or an `Alloc` under a `Sync` lock.
unsafe impl<M: RawMutex + Sync, T: Send, S: Strategy<T> + Sync> Send for Reserve<'_, M, T, S> {}

/// What a step came to.
enum Step {
    Held(Settled),
    Closed,
    Again(Wakers),
    NeedWaker,
    Parked(Option<Waker>, Settled),
    Idle,
}

/// Whether no other waiter needs help.
type Settled = bool;

impl<'a, M: RawMutex, T, S: Strategy<T>> Reserve<'a, M, T, S> {
    /// Stops waiting, and being an arm: out of the list, or the promised slot to the next sender. Foreign
    /// code comes last, as it may panic.
    fn leave(&mut self, why: Leaves) {
        let token = &self.token;
        let (waker, settled, granted) = self.channel.locked(|state| {
            token.leave_select();
            let granted = token.state() == TokenState::Granted;
            state.note_leaving(why, token);
            match token.state() {
                TokenState::Idle => return (None, true, false),
                // SAFETY: in one of these states it stands in the list of senders.
                TokenState::Queued | TokenState::First => unsafe { state.remove_sender(token) },
                TokenState::Granted => state.return_slot(),
                TokenState::Taken | TokenState::Closed | TokenState::Lost => {}
            }
            token.set_state(TokenState::Idle);
            (token.take_waker(), state.is_settled_without_me(), granted)
        });
        drop(waker);
        self.growth.stop();
        if !settled {
            self.channel.settle();
        }
        if granted {
            self.channel.give_memory_back();
        }
    }

    fn park(&self, state: &mut State<T, S>, current: &Waker, waker: &mut Option<Waker>) -> Step {
        let token = &self.token;
        let queued = token.state() != TokenState::Idle;
        if queued && token.will_wake(current) {
            return Step::Parked(None, true);
        }
        if waker.is_none() {
            return Step::NeedWaker;
        }
        let old = token.set_waker(waker.take());
        if queued {
            return Step::Parked(old, true);
        }
        // SAFETY: bare, pinned, in no list, and `leave` takes it out before it goes.
        unsafe { state.queue_sender(token) };
        Step::Parked(old, state.is_settled_with_me())
    }

    /// One step under the lock. If it only `looks`, a slot is not held, and a decision stays.
    fn step(&mut self, looks: bool, current: &Waker, waker: &mut Option<Waker>) -> Step {
        let token = &self.token;
        if self.ended {
            return Step::Idle;
        }
        self.channel.locked(|state| match token.state() {
            TokenState::Idle if looks => match state.would_hold(token.side()) {
                Look::Ready => Step::Held(true),
                Look::NotYet => self.park(state, current, waker),
                Look::Again => Step::Again([None, None]),
            },
            TokenState::Granted | TokenState::Closed if looks => Step::Held(true),
            TokenState::Idle => match state.hold(State::<T, S>::side_of(token)) {
                Hold::Held => Step::Held(state.is_settled()),
                Hold::Closed => Step::Closed,
                Hold::Full => self.park(state, current, waker),
                Hold::Lost => Step::Idle,
                Hold::Again(wakers) => Step::Again(wakers),
            },
            TokenState::Queued | TokenState::First => self.park(state, current, waker),
            TokenState::Granted => {
                token.set_state(TokenState::Idle);
                Step::Held(true)
            }
            TokenState::Closed => {
                count(&mut state.counters.refused);
                token.set_state(TokenState::Idle);
                Step::Closed
            }
            TokenState::Lost | TokenState::Taken => Step::Idle,
        })
    }

    fn advance(&mut self, looks: bool, cx: &mut Context<'_>) -> Poll<Result<(), ClosedError>> {
        let mut waker = None;
        loop {
            match self.step(looks, cx.waker(), &mut waker) {
                Step::Held(settled) => {
                    if !settled {
                        self.channel.settle();
                    }
                    return Poll::Ready(Ok(()));
                }
                Step::Closed => return Poll::Ready(Err(ClosedError)),
                Step::Again(wakers) => wakers.into_iter().for_each(wake),
                Step::NeedWaker if S::GROWS && self.channel.grow_for_newcomer() => {}
                Step::NeedWaker => waker = Some(cx.waker().clone()),
                Step::Parked(old, settled) => {
                    drop(old);
                    if !settled {
                        self.channel.settle();
                    }
                    if !S::GROWS {
                        return Poll::Pending;
                    }
                    // SAFETY: pinned with the whole.
                    let growth = unsafe { Pin::new_unchecked(&mut self.growth) };
                    if !core::task::ready!(growth.poll(self.channel, &self.token, cx)) {
                        // Not even an empty arena has room for a segment.
                        if !self.channel.locked(|_| claim_own(self.token.side())) {
                            return Poll::Pending;
                        }
                        self.leave(Leaves::Otherwise);
                        return Poll::Ready(Err(ClosedError));
                    }
                }
                Step::Idle => return Poll::Pending,
            }
        }
    }
}

impl<'a, M: RawMutex, T, S: Strategy<T>> Future for Reserve<'a, M, T, S> {
    type Output = Result<Permit<'a, M, T, S>, ClosedError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        this.advance(false, cx).map(|held| {
            this.ended = true;
            this.growth.stop();
            held.map(|()| Permit { channel: this.channel })
        })
    }
}

impl<'a, M: RawMutex, T, S: Strategy<T>> Operation for Reserve<'a, M, T, S> {
    type Limited = Result<Permit<'a, M, T, S>, StoppedError>;

    fn finish(output: Self::Output) -> Self::Limited {
        output.map_err(|ClosedError| StoppedError::Closed)
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        if this.ended {
            return None;
        }
        // Match and close come before cancel and timeout: what has been decided stands, and so does what
        // somebody who was interrupted is about to decide.
        this.channel.settle();
        let decided = this.channel.locked(|state| {
            let token = &this.token;
            let decided = token.state();
            match decided {
                TokenState::Granted => token.set_state(TokenState::Idle),
                TokenState::Closed => {
                    count(&mut state.counters.refused);
                    token.set_state(TokenState::Idle);
                }
                // SAFETY: in one of these states it stands in the list of senders.
                TokenState::Queued | TokenState::First => unsafe {
                    state.remove_sender(token);
                    // Not idle yet: `leave` has the rest to do.
                    token.set_state(TokenState::Lost);
                },
                _ => {}
            }
            decided
        });
        this.ended = true;
        this.leave(Leaves::Otherwise);
        Some(match decided {
            TokenState::Granted => Ok(Permit { channel: this.channel }),
            TokenState::Closed => Err(StoppedError::Closed),
            _ => {
                this.channel.count_stopped(Sided::Send, why);
                Err(why.into())
            }
        })
    }
}

impl<M: RawMutex, T, S: Strategy<T>> crate::select::sealed::Sealed for Reserve<'_, M, T, S> {}

impl<M: RawMutex, T, S: Strategy<T>> Arm for Reserve<'_, M, T, S> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        let token = &self.token;
        self.channel.locked(|_| {
            // SAFETY: passed on; the lock is held, as it may stand in the list already.
            unsafe { token.join_select(claim, arm) };
            if matches!(token.state(), TokenState::Granted | TokenState::Closed) {
                // Matched before it became an arm: then it is the one that happens, or one of them.
                claim_own(token.side());
            }
        });
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: nothing pinned is moved.
        unsafe { self.get_unchecked_mut() }.leave(Leaves::Otherwise);
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing pinned is moved.
        unsafe { self.get_unchecked_mut() }.advance(true, cx).map(drop)
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Drop for Reserve<'_, M, T, S> {
    fn drop(&mut self) {
        self.leave(Leaves::Abandoned);
    }
}
