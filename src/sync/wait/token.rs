//! One parked operation, in the future that waits.

use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomPinned;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr;
use core::task::Waker;

use crate::sync::claim::{Claim, Side};
use crate::sync::feature::SELECT;

/// What a token is doing; see the [module above](super).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    Idle,
    Queued,
    /// Queued, and aware that it is the first (only senders that wait for memory need to know).
    First,
    Granted,
    Taken,
    Closed,
    Lost,
}

/// It brings no value, and takes none. Changed only while it is in no list.
const BARE: u8 = 1;
/// Others may know of it: it has been queued, and its owner has yet to see what came of that. Only the owner
/// reads and changes this, so it needs no lock.
const KNOWN: u8 = 2;
/// Its owner stays until it is told what has come of it: a call that blocks its thread. Noted down before it is queued
/// for the first time; only threads do so, and elsewhere it costs nothing.
const STAYS: u8 = if cfg!(feature = "std") { 4 } else { 0 };

/// It is an arm of a select. Changed by its owner, as its claim is. Elsewhere than between threads the claim says so, by not being null: that is
/// an instruction less for each arm that meets another on a Cortex-M3. There futures are made by the dozen for a select, and each store counts:
/// one over an array of 32 takes 37 ns instead of 86.
const ARM: u8 = if cfg!(feature = "std") { 8 } else { 0 };

/// One parked operation.
///
/// What is written when it is queued has no value before: clearing all of it would cost each operation more than the rest
/// of making a token (39 instructions on a Cortex-M3).
pub(crate) struct Token {
    /// Written by the list. The last one's is null.
    pub(super) next: Cell<MaybeUninit<*const Token>>,
    /// Written by the list, unless it is the first. On a host that one's is the last: see [`TokenList`](super::TokenList).
    pub(super) prev: Cell<MaybeUninit<*const Token>>,
    /// `None` when it is not queued, except while it is being dealt with, and when it is lost. Its owner takes it out
    /// when it goes away.
    waker: UnsafeCell<ManuallyDrop<Option<Waker>>>,
    state: Cell<State>,
    /// Which arm of a select it is, if it is one.
    arm: Cell<u16>,
    /// What its owner notes down, see [`BARE`] and those after it.
    notes: Cell<u8>,
    /// When it was queued, where two lists are served as one; in an [`Unlooked`](super::Unlooked) list, of its first, how many stand there.
    pub(super) arrival: Cell<MaybeUninit<u32>>,
    /// That select's; see [`ARM`].
    claim: Cell<MaybeUninit<*const Claim>>,
    /// Neighbours point here while it is queued.
    _pinned: PhantomPinned,
}

// SAFETY: all fields are plain data guarded by the list owner's lock (see the module's rule), and a
// `Waker` may be used and dropped on any thread.
unsafe impl Send for Token {}
// SAFETY: as above; `&Token` gives no unguarded access outside this crate.
unsafe impl Sync for Token {}

impl Token {
    pub(crate) const fn new() -> Self {
        Self::of(0)
    }

    /// A token of an operation that brings no value.
    pub(crate) const fn bare() -> Self {
        Self::of(BARE)
    }

    const fn of(notes: u8) -> Self {
        Self {
            next: Cell::new(MaybeUninit::uninit()),
            prev: Cell::new(MaybeUninit::uninit()),
            waker: UnsafeCell::new(ManuallyDrop::new(None)),
            state: Cell::new(State::Idle),
            arm: Cell::new(0),
            notes: Cell::new(notes),
            arrival: Cell::new(MaybeUninit::uninit()),
            claim: Cell::new(if ARM == 0 {
                MaybeUninit::new(ptr::null())
            } else {
                MaybeUninit::uninit()
            }),
            _pinned: PhantomPinned,
        }
    }

    #[inline]
    fn has_noted(&self, what: u8) -> bool {
        self.notes.get() & what != 0
    }

    /// Whether its operation brings no value and takes none: it wants a promise, or only looks.
    pub(crate) fn is_bare(&self) -> bool {
        self.has_noted(BARE)
    }

    /// Changes that, before it is queued.
    pub(crate) fn set_bare(&self, bare: bool) {
        self.notes.set(self.notes.get() & (STAYS | ARM) | if bare { BARE } else { 0 });
    }

    /// Its owner notes down that it stays.
    #[cfg(feature = "std")]
    pub(crate) fn make_stay(&self) {
        self.notes.set(self.notes.get() | STAYS);
    }

    /// Whether its operation brings a value, or takes one, and its owner stays: then that can be done on its behalf.
    #[inline]
    pub(crate) fn stays(&self) -> bool {
        STAYS != 0 && self.notes.get() & (STAYS | BARE) == STAYS
    }

    /// Whether it is no arm of a select, and its owner does not stay: it is settled without a question, and its owner comes to do the rest.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_arm() && !self.has_noted(STAYS)
    }

    /// Whether others may know of it. Its owner asks, and needs no lock for that.
    #[inline]
    pub(crate) fn is_known(&self) -> bool {
        self.has_noted(KNOWN)
    }

    /// Lets the compiler know that nobody else knows of it: so a future that is dropped at its end only, as most are, brings
    /// nothing into the program of what dropping it earlier takes (350 bytes on a Cortex-M3).
    ///
    /// # Safety
    /// That is so.
    #[inline(always)]
    pub(crate) unsafe fn assume_unknown(&self) {
        // SAFETY: by the caller's word.
        unsafe { core::hint::assert_unchecked(!self.is_known()) }
    }

    /// Its owner notes down that it is about to be queued.
    #[inline]
    pub(crate) fn make_known(&self) {
        self.notes.set(self.notes.get() | KNOWN);
    }

    /// Its owner notes down that it is idle: nobody else knows of it any more.
    #[inline]
    pub(crate) fn forget(&self) {
        self.notes.set(self.notes.get() & !KNOWN);
    }

    /// Its owner has seen what came of its wait: it is idle, and nobody else knows of it any more.
    #[inline]
    pub(crate) fn end_wait(&self) {
        self.set_state(State::Idle);
        self.forget();
    }

    /// Whether it is an arm of a select.
    #[inline]
    pub(crate) fn is_arm(&self) -> bool {
        if ARM == 0 {
            // SAFETY: written from the start.
            return !unsafe { self.claim.get().assume_init() }.is_null();
        }
        self.has_noted(ARM)
    }

    /// Notes down when it was queued: the number of those who were before it, which may wrap.
    pub(crate) fn set_arrival(&self, number: u32) {
        self.arrival.set(MaybeUninit::new(number));
    }

    /// Whether it was queued before `other`, if less than 2³¹ came in between.
    ///
    /// # Safety
    /// Of both it has been noted down.
    pub(crate) unsafe fn is_before(&self, other: &Self) -> bool {
        // SAFETY: by the caller's word.
        let (mine, others) =
            unsafe { (self.arrival.get().assume_init(), other.arrival.get().assume_init()) };
        (others.wrapping_sub(mine) as i32) > 0
    }

    /// Makes this token an arm of a select. Called under the lock of the list, if others may know of it.
    ///
    /// # Safety
    /// `claim` stays where it is, and alive, for as long as the token can be queued.
    pub(crate) unsafe fn join_select(&self, claim: *const Claim, arm: u16) {
        self.claim.set(MaybeUninit::new(claim));
        self.arm.set(arm);
        self.notes.set(self.notes.get() | ARM);
    }

    /// Makes it no arm of any select. Called under the lock of the list, if others may know of it.
    pub(crate) fn leave_select(&self) {
        if ARM == 0 {
            self.claim.set(MaybeUninit::new(ptr::null()));
        }
        self.notes.set(self.notes.get() & !ARM);
    }

    /// How this token takes part in a match.
    pub(crate) fn side(&self) -> Side<'_> {
        if ARM != 0 && !self.is_arm() {
            return None;
        }
        // SAFETY: written from the start, or by `join_select`, as it is an arm. That requires the claim to outlive the token's time in a
        // list, and the result is used under the list's lock by code that found the token there (or by its owner).
        let claim = unsafe { self.claim.get().assume_init().as_ref() }?;
        Some((claim, self.arm.get()))
    }

    /// The same, of a token of which that is asked only after the common cases have been looked at. Where nobody selects, it
    /// takes part in none.
    #[inline]
    pub(crate) fn side_if_any(&self) -> Side<'_> {
        if self.is_arm() && SELECT.is_used() { self.side() } else { None }
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        self.state.get()
    }

    #[inline]
    pub(crate) fn set_state(&self, state: State) {
        self.state.set(state);
    }

    /// Whether this waker need not be replaced.
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        // SAFETY: guarded by the list owner's lock, which the caller holds; no other reference to the
        // option lives across that.
        unsafe { &*self.waker.get() }.as_ref().is_some_and(|mine| mine.will_wake(waker))
    }

    /// Stores `waker` and returns the old one, which the caller drops outside the lock.
    #[must_use = "dropping a waker is foreign code: do it outside the lock"]
    pub(crate) fn set_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: as in `will_wake`.
        unsafe { ptr::replace(self.waker.get().cast(), waker) }
    }

    /// Stores `waker`, and leaves the old one there, which the caller drops outside the lock.
    pub(crate) fn swap_waker(&self, waker: &mut Option<Waker>) {
        *waker = self.set_waker(waker.take());
    }

    /// Stores `waker` in a token that is about to be queued: it has none.
    #[inline]
    pub(crate) fn leave_waker(&self, waker: Waker) {
        // SAFETY: as in `will_wake`. No waker is overwritten: one that it had would be kept for ever.
        unsafe {
            debug_assert!((*self.waker.get()).is_none());
            self.waker.get().write(ManuallyDrop::new(Some(waker)));
        }
    }

    /// Takes the waker out, to be woken outside the lock.
    #[must_use = "wake it outside the lock"]
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        self.set_waker(None)
    }

    /// Ends this token's wait with `outcome`; it must have left its list.
    #[must_use = "wake it outside the lock"]
    pub(crate) fn settle(&self, outcome: State) -> Option<Waker> {
        self.state.set(outcome);
        self.take_waker()
    }
}
