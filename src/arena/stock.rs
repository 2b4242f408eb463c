//! What an arena has: free pages and live descriptors, counted so that the common case changes one word.
//!
//! ```text
//!      free pages                                    the word, 32 bits (64 on a 64-bit target)
//!  ┌──────────────┬──────────────────────────┐       ┌──────────────┬──────────────┐
//!  │ at hand      │ withheld                 │       │ at hand      │ MAX - live   │
//!  └──────────────┴──────────────────────────┘       └──────────────┴──────────────┘
//! ```
//!
//! Pages *at hand* may be taken, and given back, without a look at anything else. What must be looked at is kept
//! out of them: pages that homes have been promised, and pages that have always been free so far, as who takes
//! one of those raises the high-water mark (which happens once a page). While somebody waits for memory, nothing
//! is at hand, and the word says so to whoever gives pages back, too: a [`BARRED`] word stays negative whatever the
//! common case adds to it or takes from it. So one addition and its sign tell all; this saves the common case some
//! thirty instructions on a Cortex-M3.

use super::layout::Index;

#[cfg(target_pointer_width = "64")]
type Word = u64;
#[cfg(not(target_pointer_width = "64"))]
type Word = u32;
#[cfg(target_pointer_width = "64")]
type Signed = i64;
#[cfg(not(target_pointer_width = "64"))]
type Signed = i32;

/// One page at hand.
const PAGE: Word = 1 << Index::BITS;
/// One descriptor that is not live. What is live is counted backwards, so that both halves change the same way.
const ROW: Word = 1;
/// Far enough below zero: pages are counted in one bit less than an index has, and the common case is about
/// a few pages.
const BARRED: Word = 0b11 << (Word::BITS - 2);

/// Pages and descriptors, under the arena's lock.
pub(super) struct Stock {
    word: Word,
    withheld: Index,
    /// The fewest free pages so far.
    low: Index,
    /// Pages that homes have been promised and do not use.
    promised: Index,
    barred: bool,
}

impl Stock {
    /// Nothing at hand, so whoever takes has to look: that is how a first use is noticed.
    pub(super) const EMPTY: Self =
        Self { word: 0, withheld: 0, low: 0, promised: 0, barred: false };

    /// So many pages, all free.
    pub(super) fn open(&mut self, pages: usize) {
        self.low = pages as Index;
        self.set(pages, 0);
    }

    /// Takes a few pages for a descriptor, if they are at hand.
    #[inline]
    #[must_use]
    pub(super) fn take_at_hand(&mut self, pages: usize) -> bool {
        let left = self.word.wrapping_sub(pages as Word * PAGE + ROW);
        let taken = left as Signed >= 0;
        if taken {
            self.word = left;
        }
        taken
    }

    /// Gives a few pages of a descriptor back, unless somebody waits.
    #[inline]
    #[must_use]
    pub(super) fn put_at_hand(&mut self, pages: usize) -> bool {
        let left = self.word.wrapping_add(pages as Word * PAGE + ROW);
        let put = left as Signed >= 0;
        if put {
            self.word = left;
        }
        put
    }

    /// Takes pages for a descriptor. There are so many.
    pub(super) fn take(&mut self, pages: usize) {
        let free = self.free() - pages;
        self.low = self.low.min(free as Index);
        self.set(free, self.live() + 1);
    }

    /// Whether taking so many leaves fewer than ever.
    pub(super) fn lowers(&self, pages: usize) -> bool {
        self.free() < self.low as usize + pages
    }

    /// Gives the pages of a descriptor back.
    pub(super) fn put(&mut self, pages: usize) {
        self.set(self.free() + pages, self.live() - 1);
    }

    /// Bars everybody from taking what is at hand, or no more.
    pub(super) fn bar(&mut self, barred: bool) {
        let free = self.free();
        self.barred = barred;
        self.set(free, self.live());
    }

    /// Whether everybody is barred.
    pub(super) fn barred(&self) -> bool {
        self.barred
    }

    /// Changes what is promised.
    pub(super) fn promise(&mut self, more: Index, less: Index) {
        let free = self.free();
        self.promised = self.promised + more - less;
        self.set(free, self.live());
    }

    /// Pages not in use.
    #[inline]
    pub(super) fn free(&self) -> usize {
        let at_hand = if self.barred { 0 } else { self.word / PAGE };
        at_hand as usize + self.withheld as usize
    }

    /// Descriptors in use.
    #[inline]
    pub(super) fn live(&self) -> usize {
        (Index::MAX - self.word as Index) as usize
    }

    /// The fewest free pages so far.
    pub(super) fn low(&self) -> usize {
        self.low as usize
    }

    /// Pages that homes have been promised and do not use; no more than are free.
    pub(super) fn promised(&self) -> usize {
        self.promised as usize
    }

    fn set(&mut self, free: usize, live: usize) {
        let at_hand =
            if self.barred { 0 } else { free.saturating_sub(self.low.max(self.promised) as usize) };
        self.withheld = (free - at_hand) as Index;
        let rows = Index::MAX - live as Index;
        self.word = at_hand as Word * PAGE + rows as Word + if self.barred { BARRED } else { 0 };
    }
}
