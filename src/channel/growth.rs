//! Memory for a channel that is full for want of it.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::Channel;
use super::aside::{Aside, Lending, Missed};
use super::state::State;
use super::store::{Growing, Store, Strategy};
use crate::sync::RawMutex;
use crate::sync::wait::{State as TokenState, Token};

/// The request for memory of the sender that stands first. The others wait behind it in the channel, so
/// that closing and order are those of every other kind.
pub(super) struct Growth<T, S: Strategy<T>>(Option<S::Growing>);

impl<T, S: Strategy<T>> Growth<T, S> {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// Withdraws the request.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }

    /// Asks for memory, if `token` is the first sender of a channel that needs some: `Ready(true)` when
    /// there is some, or need not be, `Ready(false)` when there can never be.
    pub(super) fn poll<M: RawMutex>(
        self: Pin<&mut Self>,
        channel: &Channel<M, T, S>,
        token: &Token,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        // SAFETY: nothing pinned is moved: the request is only ever dropped in place, by writing `None`
        // over it.
        let this = unsafe { self.get_unchecked_mut() };
        match channel.locked(|_| token.state()) {
            TokenState::First => {}
            TokenState::Queued => {
                this.stop();
                return Poll::Pending;
            }
            // It has been decided since it was seen to wait. Its waker is on the way, but there is no need to wait
            // for that.
            _ => {
                this.stop();
                return Poll::Ready(true);
            }
        }
        let growing = this.0.get_or_insert_with(|| channel.strategy.growing());
        // SAFETY: pinned with the whole, see above.
        let growth = ready!(unsafe { Pin::new_unchecked(growing) }.poll_growth(cx));
        this.stop();
        Poll::Ready(match growth {
            Some(growth) => {
                channel.add(growth);
                // It is being polled, and looks again: no need to wake it for the slot that it has made.
                drop(channel.locked(|_| token.take_waker()));
                channel.settle();
                true
            }
            None => false,
        })
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Takes one more piece of memory for a channel that is full for want of it. `false` when there is
    /// none, or others wait for it.
    pub(super) fn grow_for_newcomer(&self) -> bool {
        if self.locked(|state| !state.waiting.senders.is_empty()) {
            return false;
        }
        match self.strategy.grow() {
            Ok(growth) => {
                self.add(growth);
                true
            }
            Err(_) => false,
        }
    }

    /// Sends by the lane, or, where what was lent has been used up, with memory brought along.
    #[inline]
    pub(crate) fn send_aside(&self, value: T) -> Result<(), Missed<T>> {
        self.with_memory(self.aside().send(value, false))
    }

    /// The same, for a thread that would wait.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn send_aside_unhurried(&self, value: T) -> Result<(), Missed<T>> {
        self.with_memory(self.aside().send_unhurried(value))
    }

    #[inline]
    pub(super) fn with_memory(&self, sent: Result<(), Missed<T>>) -> Result<(), Missed<T>> {
        match sent {
            Err(Missed::Spent(value)) => self.send_growing(value).map_err(Missed::Shut),
            sent => sent,
        }
    }

    /// A newcomer's send that has used up what was lent: brings memory along, which is lent instead; or, where that cannot be, adds
    /// it, if it is still needed, in the critical section that sends.
    pub(super) fn send_growing(&self, value: T) -> Result<(), T> {
        if !S::GROWS {
            return Err(value);
        }
        let Ok(growth) = self.strategy.grow() else { return Err(value) };
        let mut growth = Some(growth);
        let value = match self.send_renewed(value, &mut growth) {
            Ok(()) => {
                if let Some(unused) = growth {
                    S::shrink(unused);
                }
                return Ok(());
            }
            Err(value) => value,
        };
        let mut value = Some(value);
        self.locked(|state| {
            if state.is_closed() || !state.is_quiet() {
                return;
            }
            if !state.has_room() {
                let Some(growth) = growth.take() else { return };
                // SAFETY: it comes from this channel's strategy.
                unsafe { state.store.add(growth) };
            }
            if state.has_room() {
                if let Some(value) = value.take() {
                    // Without a limit nothing is replaced.
                    state.put(value, S::Rank::default());
                }
            }
        });
        if let Some(unused) = growth {
            S::shrink(unused);
        }
        value.map_or(Ok(()), Err)
    }

    /// Sends by the lane, after `growth` has been lent to it, unless somebody else's has been.
    #[inline]
    fn send_renewed(&self, value: T, growth: &mut Option<S::Growth>) -> Result<(), T> {
        if !S::Aside::LENDS {
            return Err(value);
        }
        let is_renewed = self.with_lanes(|lanes, state| {
            // SAFETY: the window is the memory's, which is this channel's from then on.
            unsafe { lanes.renew_sends(|returned| state.lend_more(returned, growth)) }
        });
        if is_renewed != Some(true) {
            return Err(value);
        }
        self.aside().send(value, false).map_err(Missed::into_inner)
    }

    /// Receives by the lane, for a thread that would wait; or, where that has come to the end of a piece of memory, goes on with the
    /// next one.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn recv_aside_unhurried(&self) -> Result<T, Missed<()>> {
        self.with_next(self.aside().recv_unhurried())
    }

    #[inline]
    pub(super) fn with_next(&self, received: Result<T, Missed<()>>) -> Result<T, Missed<()>> {
        match received {
            Err(Missed::Spent(())) if S::GROWS && S::Aside::LENDS => self.recv_renewed(),
            received => received,
        }
    }

    /// A receive that has used up what was lent.
    #[inline(never)]
    fn recv_renewed(&self) -> Result<T, Missed<()>> {
        let mut unused = None;
        let value = self.with_lanes(|lanes, state| {
            // SAFETY: the window is the next memory's. What the value lies in is `unused`, and stays until that is given back.
            unsafe { lanes.renew_recvs(|returned| state.lend_next(returned, &mut unused)) }
        });
        let value = value.flatten();
        if let Some(unused) = unused {
            S::shrink(unused);
        }
        // Another receiver may have come before.
        value.map_or_else(|| self.aside().recv(false), Ok)
    }

    /// Gives memory back that only a promise has needed which was not used, a piece in a critical section.
    pub(super) fn give_memory_back(&self) {
        if !S::GROWS {
            return;
        }
        let spare = |state: &mut State<T, S>| {
            let wanted = !state.waiting.senders.is_empty();
            if wanted { None } else { state.store.spare(state.promised_slots()) }
        };
        while let Some(unused) = self.locked(spare) {
            S::shrink(unused);
        }
    }

    /// Adds memory, unless there is room by now.
    fn add(&self, growth: S::Growth) {
        let mut growth = Some(growth);
        self.locked(|state| {
            // A closed channel never has room, and needs none.
            if !state.is_closed() && !state.has_room() {
                if let Some(growth) = growth.take() {
                    // SAFETY: callers have it from this channel's strategy.
                    unsafe { state.store.add(growth) };
                }
            }
        });
        if let Some(unused) = growth {
            S::shrink(unused);
        }
    }
}
