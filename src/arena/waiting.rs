//! Waiting for memory: first come, first served.
//!
//! Waiters stand in one queue. When memory is freed and the first waiter's request could be met, that
//! waiter is taken from the queue and *holds the baton*: until it gives the baton up, nobody may
//! overtake it (only a home may always use its own reserved minimum). It allocates for itself when it
//! is polled, so that freeing memory in an interrupt costs the interrupt no more than a wake-up.
//!
//! ```text
//!            queue                 kick (memory freed)              poll: allocated
//!   New ───────────────► Queued ─────────────────────► Granted ───────────────────────► Done
//!                          ▲ ▲                          │   │                 (kick: next one)
//!                          │ └── poll: fragmented ──────┘   │
//!                          └──── capped by its home         └─ dropped: baton back, kick
//! ```
//!
//! A waiter for whom there are enough free pages, but in runs that are too short even after compaction,
//! is *stalled*: it is not woken again before something has changed that may help (memory freed, a
//! payload moved or put to rest).
//!
//! A waiter that only its home's cap holds back waits at its home and lets the others pass.

use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::allocate::{Refusal, Request};
use super::layout::ArenaRef;
use super::lease::LeaseMut;
use super::map::Map;
use super::quota::Home;
use super::tray::HasTrays;
use super::word::CasWords;
use crate::error::{AllocError, AllocTimeoutError};
use crate::limit::{Operation, Stopped};
use crate::select::Arm;
use crate::sync::atomic::Ordering;
use crate::sync::claim::{Claim, claim_own};
use crate::sync::wait::{State, Token};
use crate::sync::{RawMutex, asymmetric_fence};

/// Pages a waiter moves for itself before it lets others run.
const OWN_COMPACTION: usize = 16;

/// A token in the arena's queue. The token comes first, so that a pointer to it is one to the whole.
#[repr(C)]
struct Waiter {
    token: Token,
    pages: usize,
    home: u8,
    /// The map's `changes` when a request with enough free pages was refused, under the arena's lock.
    stalled_at: Option<u32>,
}

/// A pending allocation, made by [`ArenaRef::alloc`].
///
/// Cancel safety: dropping it at any moment gives its place in the queue, or the memory it was about
/// to take, to the next waiter. Wake-ups: one each time its request could be met. Its size is about
/// ten words; it allocates nothing.
///
/// [`limited`](crate::limit::Operation::deadline) by a deadline or a cancellation it returns
/// [`AllocTimeoutError`].
///
/// ```
/// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
/// # static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
/// # async fn example() -> Result<(), cloakroom::AllocError> {
/// let mut lease = ARENA.alloc(200).await?;
/// lease.fill(0);
/// # Ok(()) }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Alloc<'a, M: RawMutex> {
    home: Home<'a, M>,
    len: usize,
    waiter: Waiter,
    /// It has been in a queue: until then it is idle, and nobody else knows of it.
    waited: bool,
    /// It is counted in the map's `looking`.
    looking: bool,
    _pinned: PhantomPinned,
}

// SAFETY: the token is guarded by the arena's lock, the rest is plain data and an `ArenaRef`.
unsafe impl<M: RawMutex + Sync> Send for Alloc<'_, M> {}

impl<'a, M: RawMutex> Alloc<'a, M> {
    pub(super) fn new(home: Home<'a, M>, len: usize) -> Self {
        Self {
            home,
            len,
            waiter: Waiter { token: Token::new(), pages: 0, home: home.id(), stalled_at: None },
            waited: false,
            looking: false,
            _pinned: PhantomPinned,
        }
    }

    fn arena(&self) -> ArenaRef<'a, M> {
        self.home.arena()
    }

    /// Tries, as a newcomer or with the baton.
    fn attempt(&mut self) -> Result<LeaseMut<'a, M>, Attempt> {
        let arena = self.arena();
        let request = match self.home.request(self.len) {
            Ok(request) => request,
            Err(_) => return Err(Attempt::TooLarge),
        };
        if self.waiter.pages != request.pages {
            // The first time, before it stands in any queue; later nobody may write what a kick reads.
            self.waiter.pages = request.pages;
        }
        let first = self.is_granted();
        match arena.take(Request { first, ..request }) {
            Ok(index) => {
                // SAFETY: `take` hands over a descriptor that was free, in hand once.
                let lease = unsafe { LeaseMut::from_raw(arena, index) };
                if first {
                    self.return_baton();
                }
                Ok(lease)
            }
            Err(refusal) => Err(Attempt::Refused(refusal)),
        }
    }

    /// Whether it holds the baton.
    fn is_granted(&self) -> bool {
        self.waited && self.arena().core().map.with(|_| self.waiter.token.state() == State::Granted)
    }

    /// Whether it has left nothing behind.
    #[inline]
    fn is_new(&self) -> bool {
        !self.waited && !self.looking
    }

    /// Gives the baton up for good, and lets the next waiter have it.
    fn return_baton(&mut self) {
        let arena = self.arena();
        arena.core().map.with(|map| {
            self.waiter.token.set_state(State::Idle);
            map.baton_out = false;
            arena.mind_waiters(map);
        });
        arena.kick();
    }

    /// Queues at the end, or at the front when it had the baton and could not use it.
    /// `stalled_at`: see [`Waiter`].
    fn park(self: Pin<&mut Self>, cx: &mut Context<'_>, stalled_at: Option<u32>) {
        // SAFETY: nothing is moved out; the token is used in place.
        let this = unsafe { self.get_unchecked_mut() };
        let arena = this.arena();
        let waker = cx.waker().clone();
        // A pointer to the whole waiter, so that the queue's owner may read what is wanted.
        let token = core::ptr::from_ref(&this.waiter).cast::<Token>();
        let count = !core::mem::replace(&mut this.waited, true);
        let old = arena.core().map.with(|map| {
            if count {
                map.stats.waited = map.stats.waited.wrapping_add(1);
            }
            this.waiter.stalled_at = stalled_at;
            map.kick = Some(ArenaRef::<M>::KICK);
            match this.waiter.token.state() {
                // SAFETY: pinned, in no list, and `drop` takes it out again.
                State::Granted => unsafe {
                    map.waiters.push_front(token);
                    map.waiting += 1;
                    map.baton_out = false;
                },
                // SAFETY: as above.
                State::Idle => unsafe {
                    map.waiters.push_back(token);
                    map.waiting += 1;
                },
                _ => {}
            }
            this.look_away(map);
            this.waiter.token.set_waker(Some(waker))
        });
        drop(old);
    }

    /// Leaves the queue, or gives the baton back, if there is anything to be left.
    #[inline]
    fn leave(&mut self) {
        if !self.is_new() {
            self.leave_all(false);
        }
    }

    /// The same, in any case; and if it withdraws, it is no arm any more. Foreign code comes
    /// last, as it may panic.
    fn leave_all(&mut self, withdraws: bool) {
        let arena = self.arena();
        let (old, next) = arena.core().map.with(|map| {
            if withdraws {
                self.waiter.token.leave_select();
            }
            let state = self.waiter.token.state();
            match state {
                State::Queued => {
                    // It stands in the common queue or at its home, and either list can take it out
                    // only if it is that list's: its ends differ.
                    let token = core::ptr::from_ref(&self.waiter).cast::<Token>();
                    // SAFETY: queued means that it stands in one of the two lists.
                    unsafe { arena.unqueue(map, token) };
                }
                State::Granted => map.baton_out = false,
                _ => {}
            }
            self.waiter.token.set_state(State::Idle);
            self.look_away(map);
            (self.waiter.token.take_waker(), matches!(state, State::Queued | State::Granted))
        });
        if next {
            arena.kick();
        }
        drop(old);
    }

    /// Has what may help a waiter counted from now on; returns the count.
    fn look(&mut self) -> u32 {
        let arena = self.arena();
        let changes = arena.core().map.with(|map| {
            map.looking += u16::from(!core::mem::replace(&mut self.looking, true));
            // Before anybody is told that it is stalled.
            map.kick = Some(ArenaRef::<M>::KICK);
            arena.mind_waiters(map);
            map.changes
        });
        arena.clear_trays();
        changes
    }

    /// It waits, or waits no more.
    fn look_away(&mut self, map: &mut Map) {
        map.looking -= u16::from(core::mem::replace(&mut self.looking, false));
        self.arena().mind_waiters(map);
    }

    /// As `poll`, for a select: takes memory when it can, and otherwise stays queued.
    #[cfg_attr(feature = "std", inline(never))]
    fn advance(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<LeaseMut<'a, M>, AllocError>> {
        let mut changes = None;
        loop {
            let mut stalled_at = None;
            // SAFETY: nothing is moved out of the pinned future.
            let this = unsafe { self.as_mut().get_unchecked_mut() };
            let arena = this.arena();
            let waiting = this.waited
                && arena.core().map.with(|_| {
                    this.waiter.token.state() == State::Queued
                        && this.waiter.token.will_wake(cx.waker())
                });
            if waiting {
                return Poll::Pending;
            }
            match this.attempt() {
                Ok(lease) => {
                    this.leave();
                    // An arm of a select wins its claim first; memory it may not keep is freed.
                    return this.if_won(Ok(lease));
                }
                Err(Attempt::TooLarge) => {
                    this.leave();
                    return this.if_won(Err(AllocError));
                }
                Err(Attempt::Refused(Refusal::Fragmented)) if changes.is_none() => {
                    // Once more, with a count to compare with later.
                    changes = Some(this.look());
                    continue;
                }
                Err(Attempt::Refused(Refusal::Fragmented)) => {
                    // There is enough, in pieces: make room, in bounded steps between polls.
                    // The flag comes first: a payload in hand that this pass goes by is put to rest
                    // either before it is looked at, or by somebody who sees the flag.
                    arena.core().stalled.store(true, Ordering::SeqCst);
                    if CasWords::<M>::YES && asymmetric_fence::is_there() {
                        asymmetric_fence::heavy();
                    }
                    let compaction = arena.compact(OWN_COMPACTION);
                    if compaction.finished && compaction.pages_moved > 0 {
                        changes = Some(this.look());
                        continue;
                    }
                    if compaction.pages_moved == 0 {
                        stalled_at = changes;
                    }
                }
                Err(Attempt::Refused(Refusal::Full)) => {}
            }
            self.as_mut().park(cx, stalled_at);
            // Memory freed between the attempt and the queueing must not be missed. If that hands the
            // baton to this very token, its own wake-up brings it back here.
            arena.kick();
            return Poll::Pending;
        }
    }

    fn if_won<T>(&self, result: T) -> Poll<T> {
        if claim_own(self.waiter.token.side()) { Poll::Ready(result) } else { Poll::Pending }
    }
}

impl<M: RawMutex> crate::select::sealed::Sealed for Alloc<'_, M> {}

impl<M: RawMutex> Arm for Alloc<'_, M> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        let arena = self.arena();
        // Under the lock: an arm that is a reference may be queued already, and `kick` reads its claim.
        // SAFETY: passed on; nothing is moved.
        arena.core().map.with(|_| unsafe { self.waiter.token.join_select(claim, arm) });
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: nothing pinned is moved.
        unsafe { self.get_unchecked_mut() }.leave_all(true);
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Memory that is there is taken and given back: whoever waits behind is served then.
        self.poll(cx).map(drop)
    }
}

enum Attempt {
    TooLarge,
    Refused(Refusal),
}

impl<'a, M: RawMutex> Future for Alloc<'a, M> {
    type Output = Result<LeaseMut<'a, M>, AllocError>;

    #[cfg_attr(feature = "std", inline)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // As a newcomer's attempt without a future: one step in the common case, by whatever is at hand, and nothing to be left. (An arm of a select
        // must be claimed first.)
        if self.is_new() && self.home.id() == 0 && !self.waiter.token.is_arm() {
            if let Some(lease) = self.arena().alloc_at_once(self.len) {
                return Poll::Ready(Ok(lease));
            }
        }
        self.advance(cx)
    }
}

impl<'a, M: RawMutex> Operation for Alloc<'a, M> {
    type Limited = Result<LeaseMut<'a, M>, AllocTimeoutError>;

    fn finish(output: Self::Output) -> Self::Limited {
        output.map_err(|AllocError| AllocTimeoutError::TooLarge)
    }

    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited> {
        // SAFETY: nothing is moved out of the pinned future.
        let this = unsafe { self.get_unchecked_mut() };
        // Match comes first: memory that has been handed to this waiter is taken if it can be.
        if this.is_granted() {
            if let Ok(lease) = this.attempt() {
                return Some(Ok(lease));
            }
        }
        this.leave();
        this.arena().core().map.with(|map| map.stats.stopped = map.stats.stopped.wrapping_add(1));
        Some(Err(match why {
            Stopped::Cancelled => AllocTimeoutError::Cancelled,
            Stopped::Timeout => AllocTimeoutError::Timeout,
        }))
    }
}

impl<M: RawMutex> Drop for Alloc<'_, M> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Hands the baton to the first waiter whose request could be met. Constant work a critical
    /// section; a waiter held back by its home's cap is sent there and the next one looked at.
    pub(super) fn kick(self) {
        loop {
            let waker = self.core().map.with(|map| {
                if map.baton_out {
                    return Kick::Done(None);
                }
                if HasTrays::<M>::YES && map.stock.barred() && map.cleared != map.closings {
                    return Kick::Clear;
                }
                let Some(front) = map.waiters.first() else {
                    return Kick::Done(None);
                };
                // SAFETY: every token of this queue is the head of a `Waiter` (see `park`) and alive
                // while it is queued.
                let waiter = unsafe { &*front.cast::<Waiter>() };
                if waiter.token.side().is_some_and(|(claim, _)| claim.winner().is_some()) {
                    // Another arm of its select has won.
                    map.waiters.pop_front();
                    map.waiting -= 1;
                    waiter.token.set_state(State::Lost);
                    self.mind_waiters(map);
                    return Kick::Again;
                }
                if self.is_capped(map, waiter.home, waiter.pages) {
                    map.waiters.pop_front();
                    // SAFETY: pinned, and out of the other list since the line above.
                    unsafe { self.home(map, waiter.home).capped.push_back(front) };
                    self.mind_waiters(map);
                    return Kick::Again;
                }
                let rows = self.geometry().row_count - map.retired_count as usize;
                if waiter.stalled_at == Some(map.changes) {
                    return Kick::Done(None);
                }
                if map.stock.live() >= rows || !self.may_take(map, waiter.home, waiter.pages, true)
                {
                    return Kick::Done(None);
                }
                map.waiters.pop_front();
                map.waiting -= 1;
                map.baton_out = true;
                Kick::Done(waiter.token.settle(State::Granted))
            });
            match waker {
                Kick::Again => {}
                Kick::Clear => self.clear_trays(),
                Kick::Done(waker) => {
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    return;
                }
            }
        }
    }

    /// Has everybody look, in [`Stock`](super::stock::Stock), while somebody waits or is about to, and closes the
    /// trays. To be called whenever that may have changed.
    pub(super) fn mind_waiters(self, map: &mut Map) {
        let wait = map.looking > 0 || map.baton_out || !map.waiters.is_empty();
        if wait != map.stock.barred() {
            map.stock.bar(wait);
            self.core().trays.close(wait);
            if wait {
                map.closings = map.closings.next();
            }
        }
    }

    /// After a payload became movable: a stalled waiter may be helped by compaction now.
    #[inline]
    pub(super) fn tell_stalled(self) {
        // SeqCst, as is the change of the state word before it: see `Alloc::advance`.
        if self.core().stalled.load(Ordering::SeqCst) {
            self.call_kick();
        }
    }

    /// After memory was freed, or a payload became movable, while somebody waits.
    #[cold]
    pub(super) fn call_kick(self) {
        self.run(|map| map.kick);
    }

    /// As [`kick`](Self::kick), after counting that a payload became movable, if somebody is to be told of that.
    pub(super) fn unstall_and_kick(self) {
        if self.core().stalled.load(Ordering::SeqCst) {
            self.core().map.with(|map| {
                self.core().stalled.store(false, Ordering::SeqCst);
                map.changes = map.changes.wrapping_add(1);
            });
        }
        self.kick();
    }

    /// Takes a queued waiter out of the queue or of its home's list.
    ///
    /// # Safety
    /// `token` heads a `Waiter` that stands in one of them.
    unsafe fn unqueue(self, map: &mut Map, token: *const Token) {
        // SAFETY: by the caller's word.
        let waiter = unsafe { &*token.cast::<Waiter>() };
        // A list's ends are updated through the list, so it matters which one this is; the middle is
        // the same for both.
        let at_home = waiter.home != 0 && self.home(map, waiter.home).capped.has_end(token);
        let list = if at_home { &mut self.home(map, waiter.home).capped } else { &mut map.waiters };
        // SAFETY: if it is an end, it is this list's; if it is in the middle, removal touches its
        // neighbours only.
        unsafe { list.remove(token) };
        map.waiting -= 1;
    }
}

enum Kick {
    Done(Option<core::task::Waker>),
    /// One waiter was sent home, or was no more.
    Again,
    /// There may be memory on trays.
    Clear,
}
