//! A send where there may be lanes: as [a receive](crate::channel::RecvFuture) there, by its lane, or under the channel's lock by one of
//! three ways, or else by [steps](super::parked).

use core::task::{Context, Poll, Waker};

use super::SendFuture;
use crate::channel::aside::{Aside, Missed};
use crate::channel::parking::Unqueued;
use crate::channel::settle::wake;
use crate::channel::state::State;
use crate::channel::store::Strategy;
use crate::error::SendError;
use crate::sync::RawMutex;
use crate::sync::wait::State as TokenState;

impl<M: RawMutex, T, S: Strategy<T>> SendFuture<'_, M, T, S> {
    /// As [`poll`](core::future::Future::poll).
    #[inline(always)]
    pub(super) fn poll_by_lane(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        if self.node.token.is_known() {
            return self.poll_promised(cx);
        }
        if self.node.token.is_arm() {
            return if Self::WAITS { self.poll_to_wait(cx) } else { self.poll_by_steps(cx) };
        }
        // As for a receive.
        match self.channel.aside().send_at_once(self.node.value.get_mut()) {
            Ok(true) => {
                // SAFETY: as has been asked; nobody but this changes that.
                unsafe { self.node.token.assume_unknown() };
                Poll::Ready(Ok(self.channel.strategy.receipt(None)))
            }
            Ok(false) => self.poll_lane(cx),
            Err(missed) => self.poll_under_lock(cx, matches!(missed, Missed::NotNow(()))),
        }
    }

    /// By the lane, which is open, as it seems.
    #[inline(never)]
    fn poll_lane(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Receipt, SendError<T>>> {
        let Some(value) = self.node.value.get_mut().take() else { return self.poll_by_steps(cx) };
        let sent = match self.channel.send_aside(value) {
            Err(Missed::NotNow(value)) if !S::LOSES => self.channel.aside().send_again(value),
            sent => sent,
        };
        match sent {
            Ok(()) => Poll::Ready(Ok(self.channel.strategy.receipt(None))),
            Err(missed) => {
                let waits = matches!(missed, Missed::NotNow(_));
                *self.node.value.get_mut() = Some(missed.into_inner());
                self.poll_under_lock(cx, waits)
            }
        }
    }

    /// Whether it may have to wait for a slot, and for nothing else. Who drops a value for it does not; and for memory it waits otherwise.
    const WAITS: bool = !S::LOSES && !S::GROWS;

    /// Whether it will have to wait, as it seems, says which way.
    #[inline(always)]
    fn poll_under_lock(
        &mut self,
        cx: &mut Context<'_>,
        waits: bool,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        if waits && Self::WAITS { self.poll_to_wait(cx) } else { self.poll_at_once(cx) }
    }

    /// Of one that others cannot know of, and no arm: there is room, and its value goes to a receiver that waits, if there is one. (It has asked for
    /// no memory: only what waits does.)
    #[inline(never)]
    fn poll_at_once(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Receipt, SendError<T>>> {
        let this = &*self;
        let sent = this.channel.locked_plainly(move |state| {
            // SAFETY: it is in no list, so the value's cell is this future's.
            let value = unsafe { &mut *this.node.value.get() };
            let sent = state.deliver_plainly(value, this.rank);
            sent.ok_or_else(|| Self::WAITS && state.send_waits())
        });
        match sent {
            Some(Ok(waker)) => self.end(waker, None),
            Some(Err(true)) => self.poll_to_wait_noted(cx),
            _ => self.poll_after_all(cx),
        }
    }

    /// It has to wait, which was not expected.
    #[inline(always)]
    fn poll_to_wait_noted(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        self.channel.aside().note_send(true);
        self.poll_to_wait(cx)
    }

    /// The same, however the lock is to be had.
    #[inline(never)]
    fn poll_after_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Receipt, SendError<T>>> {
        let this = &*self;
        let mut replaced = None;
        let place = &mut replaced;
        let sent = this.channel.locked(move |state| {
            this.deliver_at_once(state, place).ok_or_else(|| Self::WAITS && state.send_waits())
        });
        match sent {
            Ok(waker) => self.end(waker, replaced),
            Err(true) => self.poll_to_wait_noted(cx),
            Err(false) => self.poll_by_steps(cx),
        }
    }

    /// Of one that others cannot know of: it waits; unless there is room after all, as for a receive.
    #[inline(never)]
    fn poll_to_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Receipt, SendError<T>>> {
        if self.node.value.get_mut().is_none() {
            return self.poll_by_steps(cx);
        }
        let this = &*self;
        let queued = this.channel.queue_at_once(
            &this.node.token,
            cx.waker(),
            |state| state.send_waits(),
            |state| this.queue(false, state),
        );
        match queued {
            Ok(()) => Poll::Pending,
            Err(Unqueued { waker, need_not: true }) => self.poll_instead(cx, waker),
            Err(Unqueued { waker, .. }) => self.poll_to_wait_after_all(cx, waker),
        }
    }

    /// It need not wait, and is no arm: there is room.
    #[inline(never)]
    fn poll_instead(
        &mut self,
        cx: &mut Context<'_>,
        waker: Waker,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        let this = &*self;
        let sent = this.channel.locked_plainly(|state| {
            // SAFETY: it is in no list, so the value's cell is this future's.
            let value = unsafe { &mut *this.node.value.get() };
            state.deliver_plainly(value, this.rank)
        });
        let Some(to_tell) = sent.flatten() else { return self.poll_to_wait_after_all(cx, waker) };
        self.channel.aside().note_send(false);
        let polled = self.end(to_tell, None);
        // Last, as it is foreign code, which may panic.
        drop(waker);
        polled
    }

    /// The same, however the lock is to be had.
    #[inline(never)]
    fn poll_to_wait_after_all(
        &mut self,
        cx: &mut Context<'_>,
        waker: Waker,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        let this = &*self;
        let (mut sent, mut replaced) = (None, None);
        let places = (&mut sent, &mut replaced);
        let left = this.channel.locked(move |state| {
            let token = &this.node.token;
            if state.send_waits() {
                token.leave_waker(waker);
                this.queue(false, state);
                return None;
            }
            // An arm must be claimed first.
            if !token.is_arm() {
                *places.0 = this.deliver_after_all(state, places.1);
            }
            Some(waker)
        });
        let Some(waker) = left else { return Poll::Pending };
        self.channel.aside().note_send(false);
        let polled = match sent {
            Some(to_tell) => self.end(to_tell, replaced),
            None => self.poll_by_steps(cx),
        };
        drop(waker);
        polled
    }

    /// Under the lock, of one that is in no list, and no arm: whether it has sent, and whom that is to be told. What that replaced, if it can, goes
    /// into its place, not through what this returns, for the same reason as for a receive.
    #[inline(always)]
    fn deliver_at_once(
        &self,
        state: &mut State<T, S>,
        place: &mut Option<T>,
    ) -> Option<Option<Waker>> {
        if !state.sends_at_once() {
            return None;
        }
        // SAFETY: it is in no list, so the value's cell is this future's.
        let value = unsafe { &mut *self.node.value.get() }.take()?;
        let (replaced, waker) = state.deliver(value, self.rank);
        if S::LOSES {
            *place = replaced;
        } else {
            debug_assert!(replaced.is_none());
            // The compiler cannot know that.
            core::mem::forget(replaced);
        }
        Some(waker)
    }

    /// The same, apart, for who looks for that only in the end.
    #[inline(never)]
    fn deliver_after_all(
        &self,
        state: &mut State<T, S>,
        place: &mut Option<T>,
    ) -> Option<Option<Waker>> {
        self.deliver_at_once(state, place)
    }

    /// It has sent, and replaced this; and others cannot know of it.
    #[inline(always)]
    fn end(
        &self,
        waker: Option<Waker>,
        replaced: Option<T>,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        wake(waker);
        // SAFETY: as for a receive.
        unsafe { self.node.token.assume_unknown() };
        Poll::Ready(Ok(self.channel.strategy.receipt(replaced)))
    }

    /// Of one that has waited: it was promised a slot, or, if its owner stays, its value has been taken.
    #[inline(never)]
    fn poll_promised(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Receipt, SendError<T>>> {
        let this = &*self;
        let sent = this.channel.locked_plainly(move |state| {
            let token = &this.node.token;
            if token.state() != TokenState::Granted {
                return None;
            }
            // SAFETY: the lock is held, and it was promised a slot, so it is in no list.
            let value = unsafe { &mut *this.node.value.get() };
            let waker = state.fill_plainly(value, this.rank)?;
            token.end_wait();
            Some(waker)
        });
        match sent.flatten() {
            Some(waker) => self.end(waker, None),
            None => self.poll_promised_after_all(cx),
        }
    }

    /// The same, however the lock is to be had.
    #[inline(never)]
    fn poll_promised_after_all(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Receipt, SendError<T>>> {
        let this = &*self;
        let sent = this.channel.locked(move |state| {
            let token = &this.node.token;
            if token.state() == TokenState::Taken {
                // Where nobody meets, only of those who stay.
                debug_assert!(token.stays());
                token.end_wait();
                return Some((None, None));
            }
            if token.state() != TokenState::Granted || !state.fills_at_once() {
                return None;
            }
            // SAFETY: the lock is held, and it was promised a slot, so it is in no list.
            let value = unsafe { &mut *this.node.value.get() }.take()?;
            token.end_wait();
            Some(state.fill(value, this.rank))
        });
        let Some((replaced, waker)) = sent else { return self.poll_by_steps(cx) };
        self.growth.stop();
        self.end(waker, replaced)
    }

    /// Whatever it is.
    #[cold]
    #[inline(never)]
    fn poll_by_steps(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Receipt, SendError<T>>> {
        let polled = self.poll_slowly(cx, false);
        if polled.is_ready() {
            // As for a receive.
            self.node.token.forget();
        }
        polled
    }
}
