//! Lists of parked operations whose number is known.

#[cfg(feature = "std")]
use core::mem::MaybeUninit;
use core::task::Waker;

use super::{State, Token, TokenList};
use crate::sync::looking::{Look, LookedAt, Looking};

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
    /// The next one for who looks at one after the other and is the latest who has [begun](crate::sync::looking::Looks::begin) that,
    /// in the order of arrival; it stands in the list. Between two calls others may come and go.
    pub(crate) fn look(&mut self, look: &Look) -> Option<*const Token> {
        self.looked_at.next(look, &self.list)
    }

    /// Who is to be looked at next.
    #[cfg(not(feature = "std"))]
    pub(in crate::sync) fn looked_at(&mut self) -> &mut LookedAt {
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
