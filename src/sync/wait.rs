//! Wait queues: intrusive lists of parked operations (tokens).
//!
//! A [`Token`] lives inside the future that waits, so parking allocates nothing and has no limit. The
//! [`TokenList`] it stands in, and the lock that guards that list, belong to what is waited for: a
//! channel, an arena, a cancellation tree.
//!
//! ```text
//!            enqueue                 dequeue + settle(outcome)
//!    IDLE ────────────► QUEUED ──────────────────────────────► GRANTED | CLOSED | TAKEN | LOST
//!     ▲                   │ remove (drop, cancel, timeout)               │
//!     └───────────────────┴───────────────── owner reads the outcome ────┘
//! ```
//!
//! * `GRANTED`: something is reserved for this token (a slot, a value, memory). The owner must use it
//!   or pass it on.
//! * `TAKEN`: a parked sender's value has been moved out.
//! * `CLOSED`: what was waited for will never come.
//! * `LOST`: another arm of the same select has been claimed; the token was dropped from the list.
//!
//! Every field is read and written only under the lock of the list's owner. That includes the fields
//! of a token that is not queued: its future takes the lock to look at it, unless nobody else
//! [knows](Token::is_known) of it.

use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomPinned;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr;
use core::task::Waker;

use super::claim::{Claim, Side};
use super::feature::SELECT;
use super::looking::{Look, LookedAt, Looking};

/// What a token is doing; see the [module](self).
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

/// One parked operation.
///
/// What is written when it is queued has no value before: clearing all of it would cost each operation more than the rest
/// of making a token (39 instructions on a Cortex-M3).
pub(crate) struct Token {
    /// Written by the list. The last one's is null.
    next: Cell<MaybeUninit<*const Token>>,
    /// Written by the list, unless it is the first. On a host that one's is the last: see [`TokenList`].
    prev: Cell<MaybeUninit<*const Token>>,
    /// `None` when it is not queued, except while it is being dealt with, and when it is lost. Its owner takes it out
    /// when it goes away.
    waker: UnsafeCell<ManuallyDrop<Option<Waker>>>,
    state: Cell<State>,
    arm: Cell<u16>,
    /// What its owner notes down, see [`BARE`] and [`KNOWN`].
    notes: Cell<u8>,
    /// When it was queued, where two lists are served as one; in an [`Unlooked`] list, of its first, how many stand there.
    arrival: Cell<MaybeUninit<u32>>,
    claim: Cell<*const Claim>,
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
            claim: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        }
    }

    /// Whether its operation brings no value and takes none: it wants a promise, or only looks.
    pub(crate) fn is_bare(&self) -> bool {
        self.notes.get() & BARE != 0
    }

    /// Changes that, before it is queued.
    pub(crate) fn set_bare(&self, bare: bool) {
        self.notes.set(self.notes.get() & STAYS | if bare { BARE } else { 0 });
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

    /// Whether others may know of it. Its owner asks, and needs no lock for that.
    #[inline]
    pub(crate) fn is_known(&self) -> bool {
        self.notes.get() & KNOWN != 0
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
        !self.claim.get().is_null()
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
        self.claim.set(claim);
        self.arm.set(arm);
    }

    /// Makes it no arm of any select. Called under the lock of the list, if others may know of it.
    pub(crate) fn leave_select(&self) {
        self.claim.set(ptr::null());
    }

    /// How this token takes part in a match.
    pub(crate) fn side(&self) -> Side<'_> {
        // SAFETY: `join_select` requires the claim to outlive the token's time in a list, and the
        // result is used under the list's lock by code that found the token there (or by its owner).
        unsafe { self.claim.get().as_ref() }.map(|claim| (claim, self.arm.get()))
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

/// Tokens in order of arrival.
///
/// Where there may be a million channels in which nobody waits, a list is one pointer: its first token knows the last one.
/// Elsewhere it is two, which takes fewer instructions. (On a host it leaves no gap beside numbers of 32 bits, either.)
///
/// On a host several lists may be a *chain*: behind the last token of one stands where the next one begins, and where a list
/// is empty it stands in place of its first. So they take one pointer together. What tells whose a token is are the two
/// bits that a token's address has to spare: pointers to it have the `RANK` of its list added, and a list ends at the first
/// pointer of a higher one. Other lists are chains of one.
#[cfg_attr(feature = "std", repr(C, packed(4)))]
pub(crate) struct TokenList<const RANK: usize = 0> {
    head: *const Token,
    /// Means nothing in an empty list.
    #[cfg(not(feature = "std"))]
    tail: *const Token,
}

/// What stands behind the last token of the last list of a chain. On a host its other bits are its owner's.
#[cfg(feature = "std")]
const END: *const Token = ptr::without_provenance(END_RANK);
#[cfg(not(feature = "std"))]
const END: *const Token = ptr::null();

/// Higher than that of any list.
#[cfg(feature = "std")]
pub(crate) const END_RANK: usize = 3;

// SAFETY: the list is plain data inside its owner's lock; the tokens it points to are `Send + Sync`.
unsafe impl<const RANK: usize> Send for TokenList<RANK> {}

impl<const RANK: usize> TokenList<RANK> {
    pub(crate) const fn new() -> Self {
        Self {
            head: END,
            #[cfg(not(feature = "std"))]
            tail: ptr::null(),
        }
    }

    /// The pointer to `token` in this list.
    #[inline(always)]
    fn link(token: *const Token) -> *const Token {
        token.wrapping_byte_add(RANK)
    }

    /// The token that a pointer in this list is to, unless that stands behind the last one.
    #[inline(always)]
    fn token(link: *const Token) -> Option<*const Token> {
        #[cfg(not(feature = "std"))]
        let is_end = link.is_null();
        // A higher rank has one of the bits that are missing in this one to the highest.
        #[cfg(feature = "std")]
        let is_end = link.addr() & (END_RANK - RANK) != 0;
        if is_end { None } else { Some(link.wrapping_byte_sub(RANK)) }
    }

    /// Where it is written what stands behind its last token: there the next list of a chain begins.
    #[cfg(feature = "std")]
    #[inline(always)]
    pub(crate) fn behind(&self) -> *const *const Token {
        if self.is_empty() {
            return &raw const self.head;
        }
        // SAFETY: the last of a list that is not empty: alive, as in `front`.
        unsafe { (*self.tail()).next.as_ptr() }.cast_const().cast()
    }

    /// The same, for who writes there.
    #[cfg(all(feature = "std", target_pointer_width = "64"))]
    #[inline(always)]
    pub(crate) fn behind_mut(&mut self) -> *mut *const Token {
        if self.is_empty() {
            return &raw mut self.head;
        }
        // SAFETY: as in `behind`.
        unsafe { (*self.tail()).next.as_ptr() }.cast()
    }

    /// What stands behind its last token.
    #[inline(always)]
    fn end(&self) -> *const Token {
        #[cfg(not(feature = "std"))]
        return END;
        // SAFETY: written when that became the last, or it is the head. (A list may lie at a multiple of 4.)
        #[cfg(feature = "std")]
        unsafe {
            self.behind().read_unaligned()
        }
    }

    /// The last token of a list that is not empty.
    #[inline(always)]
    fn tail(&self) -> *const Token {
        #[cfg(not(feature = "std"))]
        return self.tail;
        // SAFETY: the head is alive, as in `front`, and `set_tail` has been called since it became that.
        #[cfg(feature = "std")]
        unsafe {
            (*self.head.wrapping_byte_sub(RANK)).prev.get().assume_init()
        }
    }

    /// Notes down which is the last token. The list is not empty; its head has not changed since, or this tells it.
    #[inline(always)]
    fn set_tail(&mut self, tail: *const Token) {
        #[cfg(not(feature = "std"))]
        {
            self.tail = tail;
        }
        // SAFETY: the head is alive, as in `front`.
        #[cfg(feature = "std")]
        unsafe {
            (*self.head.wrapping_byte_sub(RANK)).prev.set(MaybeUninit::new(tail));
        }
    }

    /// Makes `head` the pointer to the first token, when the one that was is not any more. The last one stays the same.
    #[inline(always)]
    fn set_head(&mut self, head: *const Token) {
        #[cfg(feature = "std")]
        let tail = self.tail();
        self.head = head;
        #[cfg(feature = "std")]
        if !self.is_empty() {
            self.set_tail(tail);
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        Self::token(self.head).is_none()
    }

    /// The token that has waited longest.
    #[inline]
    pub(crate) fn front(&self) -> Option<&Token> {
        // SAFETY: a queued token is pinned and removes itself before it is dropped, so every pointer
        // in the list is alive while the lock is held.
        self.first().map(|first| unsafe { &*first })
    }

    /// As [`front`](Self::front), as a pointer that reaches whatever the queued one did: a reference
    /// would end at the token, which may be the head of something larger.
    #[inline]
    pub(crate) fn first(&self) -> Option<*const Token> {
        Self::token(self.head)
    }

    /// The token behind `token`, which must be in this list.
    pub(crate) fn after(&self, token: *const Token) -> Option<*const Token> {
        // SAFETY: alive as in `front`, and in the list.
        Self::token(unsafe { next_of(token) })
    }

    /// Appends `token`.
    ///
    /// # Safety
    /// `token` is pinned, in no list, and will be taken out by [`remove`](Self::remove) or a dequeue
    /// before its memory is used for anything else.
    #[inline]
    pub(crate) unsafe fn push_back(&mut self, token: *const Token) {
        // SAFETY: the caller vouches for `token`; the tail is alive as in `front`.
        unsafe {
            (*token).next.set(MaybeUninit::new(self.end()));
            (*token).state.set(State::Queued);
            if self.is_empty() {
                self.head = Self::link(token);
            } else {
                let tail = self.tail();
                (*token).prev.set(MaybeUninit::new(tail));
                (*tail).next.set(MaybeUninit::new(Self::link(token)));
            }
        }
        self.set_tail(token);
    }

    /// Puts `token` back as the one that has waited longest.
    ///
    /// # Safety
    /// As for [`push_back`](Self::push_back).
    pub(crate) unsafe fn push_front(&mut self, token: *const Token) {
        // SAFETY: as in `push_back`.
        unsafe {
            (*token).next.set(MaybeUninit::new(self.head));
            (*token).state.set(State::Queued);
            match self.first() {
                Some(head) => {
                    self.set_head(Self::link(token));
                    (*head).prev.set(MaybeUninit::new(token));
                }
                None => {
                    self.head = Self::link(token);
                    self.set_tail(token);
                }
            }
        }
    }

    /// Whether `token` is the first or the last here.
    pub(crate) fn has_end(&self, token: *const Token) -> bool {
        !self.is_empty() && (self.head == Self::link(token) || self.tail() == token)
    }

    /// Takes the first token out. The caller settles it before giving up the lock.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<*const Token> {
        let head = self.first()?;
        // SAFETY: the head is in this list and alive.
        unsafe {
            self.set_head(next_of(head));
            (*head).state.set(State::Idle);
        }
        Some(head)
    }

    /// Takes `token` out and leaves it idle.
    ///
    /// # Safety
    /// `token` is in this list.
    pub(crate) unsafe fn remove(&mut self, token: *const Token) {
        // SAFETY: `token` is in the list by the caller's word, hence alive, and so are its neighbours. If it is not the
        // first, it has one before it, which has been written down.
        unsafe {
            (*token).state.set(State::Idle);
            if self.head == Self::link(token) {
                self.set_head(next_of(token));
                return;
            }
            let (prev, next) = ((*token).prev.get().assume_init(), next_of(token));
            (*prev).next.set(MaybeUninit::new(next));
            match Self::token(next) {
                Some(next) => (*next).prev.set(MaybeUninit::new(prev)),
                None => self.set_tail(prev),
            }
        }
    }

    /// Moves all of `older` in front of this list. Neither is in a chain with others.
    pub(crate) fn prepend(&mut self, older: &mut Self) {
        if older.is_empty() {
            return;
        }
        let mut tail = older.tail();
        // SAFETY: the last of a list that is not empty, and the first of this one, if there is one: alive as in `front`.
        unsafe {
            if let Some(first) = self.first() {
                (*tail).next.set(MaybeUninit::new(self.head));
                let last = self.tail();
                (*first).prev.set(MaybeUninit::new(tail));
                tail = last;
            }
        }
        self.head = older.head;
        self.set_tail(tail);
        *older = Self::new();
    }
}

/// What stands behind `token`: a pointer to the next one, or to what is none in its list.
///
/// # Safety
/// `token` is in a list, whose lock is held.
#[inline]
unsafe fn next_of(token: *const Token) -> *const Token {
    // SAFETY: alive, as it is in a list, and written when it was put there.
    unsafe { (*token).next.get().assume_init() }
}

/// A [`TokenList`] that knows how many tokens stand in it, for those who report that: reading the number
/// must not take longer the more there are.
// The list comes first: what it begins with is seen as another list's beginning, where lists are a chain.
#[repr(C)]
pub(crate) struct Parked<L: Looking = LookedAt, C: Counted = u32, const RANK: usize = 0> {
    list: TokenList<RANK>,
    count: C,
    looked_at: L,
}

/// The list of those whom nobody looks at one after the other, and who are told no [arrival](Token::set_arrival). It is shorter, and so
/// is taking its first. On a host the number of its tokens stands in the first one, and it may follow another list in a chain.
pub(crate) type Unlooked = Parked<(), CountedAlone, UNLOOKED_RANK>;
#[cfg(feature = "std")]
type CountedAlone = InFirst;
#[cfg(not(feature = "std"))]
type CountedAlone = u32;

const UNLOOKED_RANK: usize = if cfg!(feature = "std") { 1 } else { 0 };

/// Where the number of a list's tokens stands.
pub(crate) trait Counted {
    const NONE: Self;
    /// What has to be known of a list before it changes.
    type Before;
    fn count<const RANK: usize>(&self, list: &TokenList<RANK>) -> u32;
    fn before<const RANK: usize>(&self, list: &TokenList<RANK>) -> Self::Before;
    /// One has come.
    fn raise<const RANK: usize>(&mut self, before: Self::Before, list: &TokenList<RANK>);
    /// One has gone.
    fn lower<const RANK: usize>(&mut self, before: Self::Before, list: &TokenList<RANK>);
}

/// Beside the list.
impl Counted for u32 {
    const NONE: Self = 0;
    type Before = ();
    #[inline(always)]
    fn count<const RANK: usize>(&self, _list: &TokenList<RANK>) -> u32 {
        *self
    }
    #[inline(always)]
    fn before<const RANK: usize>(&self, _list: &TokenList<RANK>) {}
    #[inline(always)]
    fn raise<const RANK: usize>(&mut self, (): (), _list: &TokenList<RANK>) {
        *self += 1;
    }
    #[inline(always)]
    fn lower<const RANK: usize>(&mut self, (): (), _list: &TokenList<RANK>) {
        *self -= 1;
    }
}

/// In the first token.
#[cfg(feature = "std")]
pub(crate) struct InFirst;

#[cfg(feature = "std")]
impl InFirst {
    #[inline]
    fn set<const RANK: usize>(count: u32, list: &TokenList<RANK>) {
        if let Some(first) = list.front() {
            first.arrival.set(MaybeUninit::new(count));
        }
    }
}

#[cfg(feature = "std")]
impl Counted for InFirst {
    const NONE: Self = Self;
    type Before = u32;
    #[inline]
    fn count<const RANK: usize>(&self, list: &TokenList<RANK>) -> u32 {
        // SAFETY: `set` has been called since it became the first: whenever the list changes.
        list.front().map_or(0, |first| unsafe { first.arrival.get().assume_init() })
    }
    #[inline]
    fn before<const RANK: usize>(&self, list: &TokenList<RANK>) -> u32 {
        self.count(list)
    }
    #[inline]
    fn raise<const RANK: usize>(&mut self, before: u32, list: &TokenList<RANK>) {
        Self::set(before + 1, list);
    }
    #[inline]
    fn lower<const RANK: usize>(&mut self, before: u32, list: &TokenList<RANK>) {
        Self::set(before - 1, list);
    }
}

/// One for both sorts of lists.
///
/// # Safety
/// As for [`TokenList::remove`].
#[inline(never)]
unsafe fn remove_from<const RANK: usize>(list: &mut TokenList<RANK>, token: *const Token) {
    // SAFETY: passed on.
    unsafe { list.remove(token) }
}

impl<L: Looking, C: Counted, const RANK: usize> Parked<L, C, RANK> {
    pub(crate) const fn new() -> Self {
        Self { list: TokenList::new(), count: C::NONE, looked_at: L::NONE }
    }

    /// How many tokens there are.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.count.count(&self.list)
    }

    /// See [`TokenList::behind_mut`].
    #[cfg(all(feature = "std", target_pointer_width = "64"))]
    #[inline(always)]
    pub(crate) fn behind_mut(&mut self) -> *mut *const Token {
        self.list.behind_mut()
    }

    /// See [`TokenList::push_back`].
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn push_back(&mut self, token: *const Token) {
        let before = self.count.before(&self.list);
        // SAFETY: passed on.
        unsafe { self.list.push_back(token) };
        self.count.raise(before, &self.list);
    }

    /// See [`TokenList::pop_front`].
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<*const Token> {
        let before = self.count.before(&self.list);
        let first = self.list.pop_front()?;
        self.looked_at.pass_first(first, &self.list);
        self.count.lower(before, &self.list);
        Some(first)
    }

    /// Takes the first token out and ends its wait with `outcome`. It must not be an arm of a select.
    #[inline]
    pub(crate) fn settle_front(&mut self, outcome: State) -> Option<Waker> {
        let first = self.pop_front()?;
        // SAFETY: it was queued until now, and its owner needs the lock to go away.
        unsafe { (*first).settle(outcome) }
    }

    /// See [`TokenList::remove`].
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub(crate) unsafe fn remove(&mut self, token: *const Token) {
        self.looked_at.pass(token, &self.list);
        let before = self.count.before(&self.list);
        // SAFETY: passed on.
        unsafe { remove_from(&mut self.list, token) };
        self.count.lower(before, &self.list);
    }
}

impl Parked {
    /// The next one for who looks at one after the other and is the latest who has [begun](super::looking::Looks::begin) that,
    /// in the order of arrival; it stands in the list. Between two calls others may come and go.
    pub(crate) fn look(&mut self, look: &Look) -> Option<*const Token> {
        self.looked_at.next(look, &self.list)
    }

    /// Who is to be looked at next.
    #[cfg(not(feature = "std"))]
    pub(super) fn looked_at(&mut self) -> &mut LookedAt {
        &mut self.looked_at
    }
}

/// Everything that changes nothing.
impl<L: Looking, C: Counted, const RANK: usize> core::ops::Deref for Parked<L, C, RANK> {
    type Target = TokenList<RANK>;
    #[inline]
    fn deref(&self) -> &TokenList<RANK> {
        &self.list
    }
}
