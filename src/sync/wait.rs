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
//! [knows](Token::is_known) of it. What its owner notes down it reads, and of a token that is not queued changes, without the lock.

mod parked;
mod token;

use core::mem::MaybeUninit;
use core::ptr;

pub(crate) use parked::{Counted, Parked, Unlooked};
pub(crate) use token::{State, Token};

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
            (*token).set_state(State::Queued);
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
            (*token).set_state(State::Queued);
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
            (*head).set_state(State::Idle);
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
            (*token).set_state(State::Idle);
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
