//! A receive where there may be lanes.
//!
//! It goes by its lane if that is open, and otherwise under the channel's lock by one of three ways, each a function of its own:
//! much of what a value takes there is what goes to and fro between registers and memory, and one function that does all of it took 125
//! instructions to wait instead of 90. Each does all that it says, or nothing; and each first tries that where it needs to
//! [call nothing](crate::channel::Channel::locked_at_once), and then, *after all*, however the lock is to be had.
//!
//! ```text
//!   others cannot know of it ─ its lane is open ─────────────► poll_lane, poll_renewed
//!        ├─ there may be a value ────────────────────────────► poll_at_once
//!        │                                                          │ it must wait
//!        │                                                          ▼
//!        ├─ it will have to wait, as it seems ───────────────► poll_to_wait
//!        └─ an arm of a select, which has tried ─────────────► poll_to_wait
//!   they may: it has waited ─────────────────────────────────► poll_promised
//!   whatever none of these does ─────────────────────────────► poll_by_steps, see parked.rs
//! ```

use core::task::{Context, Poll, Waker};

use super::{RecvFuture, received};
use crate::channel::aside::{Aside, Missed};
use crate::channel::parking::Unqueued;
use crate::channel::quick::Pulled;
use crate::channel::settle::wake;
use crate::channel::state::State;
use crate::channel::store::{Store, Strategy};
use crate::error::RecvError;
use crate::sync::RawMutex;
use crate::sync::wait::State as TokenState;

/// Why a promise was not kept at once.
enum Unkept {
    /// There is none.
    NotGiven,
    /// Others wait to send; or the channel is closed.
    BesideSenders,
}

impl<M: RawMutex, T, S: Strategy<T>> RecvFuture<'_, M, T, S> {
    /// As [`poll`](core::future::Future::poll).
    #[inline(always)]
    pub(super) fn poll_by_lane(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Received, RecvError>> {
        if self.node.token.is_known() {
            return self.poll_promised(cx);
        }
        if self.node.token.is_arm() {
            return self.poll_to_wait(cx);
        }
        // Part of whatever awaits this, but for what is rare: that saves a third of what it takes.
        match self.channel.aside().recv_at_once() {
            Ok(Some(value)) => {
                // SAFETY: as has been asked; nobody but this changes that.
                unsafe { self.node.token.assume_unknown() };
                Poll::Ready(Ok(S::Store::received(value)))
            }
            Ok(None) => self.poll_lane(cx),
            Err(missed) => self.poll_under_lock(cx, missed),
        }
    }

    /// By the lane, which is open, as it seems.
    #[inline(never)]
    fn poll_lane(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Received, RecvError>> {
        let aside = self.channel.aside();
        let received = match aside.recv(false) {
            Err(Missed::NotNow(())) => aside.recv_again(),
            received => received,
        };
        match received {
            Ok(value) => Poll::Ready(Ok(S::Store::received(value))),
            Err(Missed::Spent(())) if S::GROWS => self.poll_renewed(cx),
            Err(missed) => self.poll_under_lock(cx, missed),
        }
    }

    /// What was lent has been used up.
    #[inline(never)]
    fn poll_renewed(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Received, RecvError>> {
        match self.channel.with_next(Err(Missed::Spent(()))) {
            Ok(value) => Poll::Ready(Ok(S::Store::received(value))),
            Err(missed) => self.poll_under_lock(cx, missed),
        }
    }

    /// Why the lane did not do says which way.
    #[inline(always)]
    fn poll_under_lock(
        &mut self,
        cx: &mut Context<'_>,
        missed: Missed<()>,
    ) -> Poll<Result<S::Received, RecvError>> {
        match missed {
            Missed::NotNow(()) => self.poll_to_wait(cx),
            _ => self.poll_at_once(cx),
        }
    }

    /// Of one that others cannot know of, and no arm: it takes a value that is there, and leaves its slot to a sender that waits.
    #[inline(never)]
    fn poll_at_once(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Received, RecvError>> {
        let this = &*self;
        let pulled = this.channel.locked_plainly(move |state| {
            let pulled = state.take_plainly(this.reader);
            pulled.ok_or_else(|| state.recv_waits(this.reader))
        });
        match pulled {
            Some(Ok((value, waker))) => self.end((value, None, waker)),
            Some(Err(true)) => self.poll_to_wait_noted(cx),
            _ => self.poll_after_all(cx),
        }
    }

    /// It has to wait, which was not expected.
    #[inline(always)]
    fn poll_to_wait_noted(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Received, RecvError>> {
        self.channel.aside().note_recv(true);
        self.poll_to_wait(cx)
    }

    /// The same, however the lock is to be had.
    #[inline(never)]
    fn poll_after_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Received, RecvError>> {
        let this = &*self;
        let pulled = this.channel.locked(move |state| {
            state.collect_from_lender(this.reader).ok_or_else(|| state.recv_waits(this.reader))
        });
        match pulled {
            Ok(pulled) => self.end(pulled),
            Err(true) => self.poll_to_wait_noted(cx),
            Err(false) => self.poll_by_steps(cx),
        }
    }

    /// Of one that others cannot know of: it waits, or takes what there is after all.
    #[inline(never)]
    fn poll_to_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Received, RecvError>> {
        let this = &*self;
        let queued = this.channel.queue_at_once(
            &this.node.token,
            cx.waker(),
            |state| state.recv_waits(this.reader),
            |state| this.queue(false, state),
        );
        match queued {
            Ok(()) => Poll::Pending,
            Err(Unqueued { waker, need_not: true }) => self.poll_instead(cx, waker),
            Err(Unqueued { waker, .. }) => self.poll_to_wait_after_all(cx, waker),
        }
    }

    /// It need not wait, and is no arm: it takes what there is. (Apart, as for one that waits beside senders.)
    #[inline(never)]
    fn poll_instead(
        &mut self,
        cx: &mut Context<'_>,
        waker: Waker,
    ) -> Poll<Result<S::Received, RecvError>> {
        let this = &*self;
        let pulled = this.channel.locked_plainly(|state| state.take_plainly(this.reader));
        let Some((value, to_tell)) = pulled.flatten() else {
            return self.poll_to_wait_after_all(cx, waker);
        };
        self.channel.aside().note_recv(false);
        let polled = self.end((value, None, to_tell));
        // Last, as it is foreign code, which may panic.
        drop(waker);
        polled
    }

    /// The same, however the lock is to be had. Where many come, what it seemed a moment ago is often so no more, and what there is now is taken in
    /// the same critical section: otherwise four threads to four through one slot, which took 590 ns instead of 240, are all asleep before long.
    #[inline(never)]
    fn poll_to_wait_after_all(
        &mut self,
        cx: &mut Context<'_>,
        waker: Waker,
    ) -> Poll<Result<S::Received, RecvError>> {
        let this = &*self;
        // It goes in and comes out by value, and what is taken after all by its place: a result of both would be written word by word and read in
        // pieces of two, for which a processor waits, 4 ns each time.
        let mut pulled = None;
        let place = &mut pulled;
        let left = this.channel.locked(move |state| {
            let token = &this.node.token;
            if state.recv_waits(this.reader) {
                token.leave_waker(waker);
                this.queue(false, state);
                return None;
            }
            // An arm must be claimed first.
            if !token.is_arm() {
                *place = state.collect_after_all(this.reader);
            }
            Some(waker)
        });
        let Some(waker) = left else { return Poll::Pending };
        self.channel.aside().note_recv(false);
        let polled = match pulled {
            Some(pulled) => self.end(pulled),
            None => self.poll_by_steps(cx),
        };
        drop(waker);
        polled
    }

    /// It has taken this, and others cannot know of it.
    #[inline(always)]
    fn end(&self, (value, unused, waker): Pulled<T, S>) -> Poll<Result<S::Received, RecvError>> {
        let value = received::<T, S>(value, unused);
        wake(waker);
        // SAFETY: who had not waited before, as `poll_by_lane` asked, has not been queued since; and a wait has been ended.
        unsafe { self.node.token.assume_unknown() };
        Poll::Ready(Ok(value))
    }

    /// Of one that has waited: it was promised a value, or, if its owner stays, that has been put where it is found.
    #[inline(never)]
    fn poll_promised(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Received, RecvError>> {
        match self.keep_at_once(|state| state.collect_alone(self.reader)) {
            Some(Ok(value)) => self.end((value, None, None)),
            Some(Err(Unkept::BesideSenders)) => self.poll_promised_beside_senders(cx),
            _ => self.poll_promised_after_all(cx),
        }
    }

    /// The same where others wait to send. Apart, as whoever tells one of them has registers to save: a request and its reply
    /// take 40 instructions of 1,480 less.
    #[inline(never)]
    fn poll_promised_beside_senders(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Received, RecvError>> {
        match self.keep_at_once(|state| state.collect_plainly(self.reader)) {
            Some(Ok((value, waker))) => self.end((value, None, waker)),
            _ => self.poll_promised_after_all(cx),
        }
    }

    /// Keeps the promise, if it was given one and `collect` does what is left to do.
    #[inline(always)]
    fn keep_at_once<R>(
        &self,
        collect: impl FnOnce(&mut State<T, S>) -> Option<R>,
    ) -> Option<Result<R, Unkept>> {
        self.channel.locked_plainly(|state| {
            let token = &self.node.token;
            if token.state() != TokenState::Granted {
                return Err(Unkept::NotGiven);
            }
            let collected = collect(state).ok_or(Unkept::BesideSenders)?;
            state.promised_values -= 1;
            token.end_wait();
            Ok(collected)
        })
    }

    /// The same, however the lock is to be had.
    #[inline(never)]
    fn poll_promised_after_all(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Received, RecvError>> {
        let this = &*self;
        let pulled = this.channel.locked(move |state| {
            let token = &this.node.token;
            let pulled = match token.state() {
                TokenState::Granted if state.collects_promised() => {
                    let pulled = state.collect(this.reader)?;
                    state.promised_values -= 1;
                    pulled
                }
                TokenState::Taken => (this.node.landing.take(token)?, None, None),
                _ => return None,
            };
            token.end_wait();
            Some(pulled)
        });
        match pulled {
            Some(pulled) => self.end(pulled),
            None => self.poll_by_steps(cx),
        }
    }

    /// Whatever it is.
    #[cold]
    #[inline(never)]
    fn poll_by_steps(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Received, RecvError>> {
        let polled = self.poll_slowly(cx.waker(), false);
        if polled.is_ready() {
            // That is so, but behind a call the compiler does not see it.
            self.node.token.forget();
        }
        polled
    }
}
