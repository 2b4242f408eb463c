//! Closing a channel, what is different in one that is closed, and waiting for that.

use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::Channel;
use super::snapshot::Sided;
use super::state::{CLOSED, DESERTED, State};
use super::store::{Compete, Store, Strategy};
use super::waiting::Flags;
use crate::limit::{Operation, Stopped};
use crate::select::Arm;
use crate::sync::RawMutex;
use crate::sync::claim::{Claim, claim_own};
use crate::sync::feature::CLOSE;
use crate::sync::wait::{State as TokenState, Token};
use crate::unwind::to_the_end;

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether it has been closed.
    #[inline(always)]
    pub(super) fn is_closed(&self) -> bool {
        self.flags.is_closed(self.promised_slots) && Self::may_close()
    }

    /// Whether any channel is ever closed.
    #[inline(always)]
    fn may_close() -> bool {
        !Self::SPARES || CLOSE.is_used()
    }

    /// From now on nothing is sent but what has a slot promised. Whether it was open.
    pub(super) fn close(&mut self) -> bool {
        let was_open = !self.is_closed();
        CLOSE.raise();
        if !S::MEETS || Flags::IN_SLOTS {
            self.promised_slots |= CLOSED;
        }
        self.flags.close();
        was_open
    }

    /// Closes it, as the last of its counted receivers has gone: what is sent all the same is dropped.
    pub(super) fn desert(&mut self) {
        self.close();
        if Flags::IN_SLOTS {
            self.promised_slots |= DESERTED;
        }
        self.flags.desert();
    }

    /// Whether that has been done.
    #[inline(always)]
    pub(super) fn is_deserted(&self) -> bool {
        self.flags.is_deserted(self.promised_slots)
    }

    /// Whether `reader` can receive nothing any more.
    pub(super) fn is_drained_for(&self, reader: S::Reader) -> bool {
        self.is_closed() && self.promised_slots() == 0 && self.store.available(reader) == 0
    }

    /// Whether receivers that wait, and were not granted anything, wait in vain.
    pub(super) fn is_drained(&self) -> bool {
        self.is_closed() && self.promised_slots() == 0 && (S::SHARES || self.store.len() == 0)
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Closes the channel: senders, waiting ones included, get their values back; what is in the
    /// channel, or promised to be sent, is still received; then receivers fail. Returns whether it was
    /// open; closing twice does nothing.
    ///
    /// Interrupt-safe. Each waiter is woken in a critical section of its own.
    ///
    /// * *Cancel safety:* there is nothing to cancel: it returns at once.
    /// * *Order:* what was sent before is received; slots that were promised may still be used.
    /// * *Wake-ups:* every sender that waits, and, once all has been received, every receiver; and
    ///   all who wait for closing.
    /// * *Interrupts:* safe in a handler of any priority, if the lock is.
    /// * *Cost:* a critical section for each waiter.
    pub fn close(&self) -> bool {
        let was_open = self.locked(State::close);
        self.settle();
        was_open
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.locked(|state| state.is_closed())
    }

    /// Waits until the channel is closed: for a sender that wants to know that nobody listens any more.
    /// Values may still be in it then.
    ///
    /// * *Cancel safety:* dropping the future loses nothing.
    /// * *Order:* all who wait are told, in the order of their first polls.
    /// * *Wake-ups:* the future is woken once.
    /// * *Interrupts:* making, polling and dropping it is safe in a handler of any priority, if the
    ///   lock is.
    /// * *Cost:* about eight words; a critical section a poll.
    ///
    /// ```
    /// use cloakroom::channel::{Buffered, Channel};
    /// use cloakroom::select::{Either, select};
    /// use cloakroom::sync::CriticalSectionRawMutex as Lock;
    ///
    /// static LINE: Channel<Lock, u8, Buffered<1>> = Channel::new();
    /// # async fn measure() -> u8 { 0 }
    ///
    /// # async fn example() {
    /// while let Either::First(Ok(())) = select((LINE.send(measure().await), LINE.closed())).await {}
    /// # }
    /// ```
    pub fn closed(&self) -> Closed<'_, M, T, S> {
        Closed { channel: self, token: Token::new(), _pinned: PhantomPinned }
    }

    /// Closes it, and drops what is in it and promised to nobody, counted, and what will be sent into slots that
    /// are promised: nobody is left to receive it.
    pub(super) fn desert(&self)
    where
        S: Compete<T>,
    {
        self.locked(State::desert);
        self.settle();
        to_the_end(|| {
            let Some((value, unused)) = self.locked(State::discard) else { return false };
            if let Some(unused) = unused {
                S::shrink(unused);
            }
            drop(value);
            true
        });
    }
}

/// A pending [`Channel::closed`].
///
/// Cancel safety: dropping it takes it out of the list. Wake-ups: one.
#[must_use = "futures do nothing unless polled"]
pub struct Closed<'a, M: RawMutex, T, S: Strategy<T>> {
    channel: &'a Channel<M, T, S>,
    token: Token,
    _pinned: PhantomPinned,
}

// SAFETY: the token is guarded by the channel's lock.
unsafe impl<M: RawMutex + Sync, T: Send, S: Strategy<T> + Sync> Send for Closed<'_, M, T, S> {}

impl<M: RawMutex, T, S: Strategy<T>> Closed<'_, M, T, S> {
    fn leave(&mut self) {
        let token = &self.token;
        let waker = self.channel.locked(|state| {
            token.leave_select();
            if token.state() == TokenState::Queued {
                // SAFETY: queued means that it stands in this list.
                unsafe { state.waiting.closers_mut().remove(token) };
            }
            token.set_state(TokenState::Idle);
            token.take_waker()
        });
        drop(waker);
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Future for Closed<'_, M, T, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let token = &self.token;
        let mut waker = None;
        loop {
            let step = self.channel.locked(|state| {
                if state.is_closed() {
                    return Err(true);
                }
                let queued = token.state() == TokenState::Queued;
                if queued && token.will_wake(cx.waker()) {
                    return Err(false);
                }
                if waker.is_none() {
                    return Ok(None);
                }
                if !queued {
                    // SAFETY: pinned, in no list, and taken out in `leave`.
                    unsafe { state.waiting.closers_mut().push_back(token) };
                }
                Ok(Some(token.set_waker(waker.take())))
            });
            match step {
                Ok(Some(old)) => {
                    drop(old);
                    return Poll::Pending;
                }
                Ok(None) => waker = Some(cx.waker().clone()),
                Err(true) if claim_own(token.side()) => return Poll::Ready(()),
                Err(_) => return Poll::Pending,
            }
        }
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Operation for Closed<'_, M, T, S> {
    type Limited = Result<(), Stopped>;

    fn finish((): ()) -> Self::Limited {
        Ok(())
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        this.leave();
        if this.channel.is_closed() {
            return Some(Ok(()));
        }
        this.channel.count_stopped(Sided::Send, why);
        Some(Err(why))
    }
}

impl<M: RawMutex, T, S: Strategy<T>> crate::select::sealed::Sealed for Closed<'_, M, T, S> {}

impl<M: RawMutex, T, S: Strategy<T>> Arm for Closed<'_, M, T, S> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on; the lock is held, as it may stand in the list already.
        self.channel.locked(|_| unsafe { self.token.join_select(claim, arm) });
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: nothing pinned is moved.
        unsafe { self.get_unchecked_mut() }.leave();
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Being closed is no event that could be used up.
        self.poll(cx)
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Drop for Closed<'_, M, T, S> {
    fn drop(&mut self) {
        self.leave();
    }
}
