//! Trays: a few freed payloads beside each thread, so that threads do not meet at the arena's lock.
//!
//! ```text
//!   thread ──► tray ──► a pile for each size class       take, put: the tray's lock, hardly ever contended
//!                │ ▲
//!          CHAIN │ │ CHAIN                               the arena's lock, once for so many payloads
//!                ▼ │
//!              shelf
//! ```
//!
//! A tray is tried, never waited for: who finds another thread at it goes to the arena. What lies on one is free,
//! with its pages and its next generation, but counts as in use in the arena's [`Stock`](super::stock::Stock): so
//! free pages there may be too few, never too many. Whoever must know exactly [clears](ArenaRef::clear_trays) all
//! trays first: to refuse a request, to raise the high-water mark, to show figures. A refusal, and a waiter, *close*
//! them before that, or what is cleared from one tray could turn up on another; nothing is put on a closed tray,
//! or taken off it. Closed means barred in the stock, and ends with it.
//!
//! Lock order: a tray's, then the arena's. There are trays where state words change by compare-exchange, and there are
//! threads; elsewhere a critical section costs less than a tray would save.

use core::cell::UnsafeCell;

use super::descriptor::Row;
use super::layout::ArenaRef;
use super::map::{Link, Map, QUICK};
use super::word::{Bits, CasWords, LAST_GENERATION};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{RawMutex, SpinRawMutex, const_fn};

/// Payloads that change between a tray and a shelf in one critical section.
const CHAIN: u8 = 8;
/// Threads beyond so many share trays.
const TRAYS: usize = if cfg!(loom) { 2 } else { 8 };

/// Whether arenas under the lock `M` have trays.
pub(super) struct HasTrays<M>(core::marker::PhantomData<M>);

impl<M> HasTrays<M> {
    pub(super) const YES: bool = CasWords::<M>::YES;
}

/// Counts how often the trays of an arena were closed. It wraps, too late to matter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Closings(u32);

impl Closings {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Freed payloads of each class, last freed first.
struct Piles {
    tops: [Link; QUICK],
    heights: [u8; QUICK],
}

/// A cache line of its own: other threads do not touch it.
#[repr(align(64))]
struct Tray {
    lock: SpinRawMutex,
    piles: UnsafeCell<Piles>,
}

/// All trays of an arena.
pub(super) struct Trays {
    trays: [Tray; TRAYS],
    /// Changes under the arena's lock; looked at with a tray's lock held.
    closed: AtomicBool,
}

// SAFETY: the piles are touched with the tray's lock held only.
unsafe impl Sync for Tray {}

impl Tray {
    const_fn! {
        const fn new() -> Self {
            let piles = Piles { tops: [Link::NONE; QUICK], heights: [0; QUICK] };
            Self { lock: SpinRawMutex::new(), piles: UnsafeCell::new(piles) }
        }
    }

    /// Runs `f` on the piles, unless somebody else is at the tray.
    #[inline]
    fn try_with<R>(&self, f: impl FnOnce(&mut Piles) -> R) -> Option<R> {
        // SAFETY: the lock is held, and `f` is this module's: none comes back to a tray.
        self.lock.try_lock(|| f(unsafe { &mut *self.piles.get() }))
    }

    fn with<R>(&self, f: impl FnOnce(&mut Piles) -> R) -> R {
        // SAFETY: as above.
        self.lock.lock(|| f(unsafe { &mut *self.piles.get() }))
    }
}

impl Trays {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self { trays: [const { Tray::new() }; TRAYS], closed: AtomicBool::new(false) }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self { trays: core::array::from_fn(|_| Tray::new()), closed: AtomicBool::new(false) }
    }

    /// The arena's lock is held.
    pub(super) fn close(&self, closed: bool) {
        // Relaxed: whoever clears the trays comes after this (by the arena's lock), and whoever is at one after
        // that comes after the clearing, by the tray's lock, and sees it.
        self.closed.store(closed, Relaxed);
    }

    #[inline]
    fn mine(&self) -> &Tray {
        // In bounds: there are more than none, and the number is taken modulo theirs.
        &self.trays[thread::number() % TRAYS]
    }
}

impl<M: RawMutex> ArenaRef<'_, M> {
    /// A plain payload off this thread's tray, in hand once; see [`take_shelved`](Self::take_shelved).
    #[inline]
    pub(super) fn take_from_tray(self, class: usize, len: usize) -> Option<usize> {
        let trays = &self.core().trays;
        let index = trays.mine().try_with(|piles| {
            let top = piles.tops.get_mut(class)?;
            if trays.closed.load(Relaxed) {
                return None;
            }
            if *top == Link::NONE {
                self.refill(piles, class);
            }
            self.pop(piles, class)
        })??;
        let row = self.row(index);
        row.set_len(len);
        #[cfg(feature = "stamps")]
        row.set_stamp(self.core().now.now());
        #[cfg(feature = "correlation")]
        row.set_correlation(0);
        row.word.set_alone(row.word.peek().taken(false));
        Some(index)
    }

    /// Frees a plain payload, whose only lease is the caller's, onto this thread's tray; see
    /// [`shelve_at_once`](Self::shelve_at_once).
    #[inline]
    pub(super) fn put_on_tray(self, index: usize, row: &Row, bits: Bits) -> bool {
        let class = row.pages() - 1;
        if bits.generation() == LAST_GENERATION {
            return false;
        }
        let trays = &self.core().trays;
        let put = trays.mine().try_with(|piles| {
            if trays.closed.load(Relaxed) {
                return false;
            }
            if piles.heights.get(class).is_none_or(|&height| height >= 2 * CHAIN) {
                self.lower(piles, class);
            }
            row.word.set_alone(bits.freed());
            self.push(piles, class, index);
            true
        });
        put == Some(true)
    }

    #[inline]
    fn push(self, piles: &mut Piles, class: usize, index: usize) {
        if let (Some(top), Some(height)) = (piles.tops.get_mut(class), piles.heights.get_mut(class))
        {
            Map::push_row(self, top, index);
            *height += 1;
        }
    }

    #[inline]
    fn pop(self, piles: &mut Piles, class: usize) -> Option<usize> {
        let (index, _) = Map::pop_row(self, piles.tops.get_mut(class)?)?;
        *piles.heights.get_mut(class)? -= 1;
        Some(index)
    }

    /// A chain from the shelf, as far as there is one and nothing else is to be looked at.
    #[cold]
    #[inline(never)]
    fn refill(self, piles: &mut Piles, class: usize) {
        self.core().map.with(|map| {
            for _ in 0..CHAIN {
                let Some(shelf) = map.quick.get_mut(class) else { return };
                if *shelf == Link::NONE || !map.stock.take_at_hand(class + 1) {
                    return;
                }
                if let Some((index, _)) = Map::pop_row(self, shelf) {
                    self.push(piles, class, index);
                }
            }
        });
    }

    /// A chain back to the shelf, in a critical section.
    #[cold]
    #[inline(never)]
    fn lower(self, piles: &mut Piles, class: usize) -> bool {
        self.core().map.with(|map| self.clear_chain(map, piles, class))
    }

    /// A chain back to the shelf; `false` if the pile is empty then.
    fn clear_chain(self, map: &mut Map, piles: &mut Piles, class: usize) -> bool {
        for _ in 0..CHAIN {
            let Some(index) = self.pop(piles, class) else { return false };
            if let Some(shelf) = map.quick.get_mut(class) {
                Map::push_row(self, shelf, index);
                map.stock.put(class + 1);
            }
        }
        true
    }

    /// Brings all that lies on trays to the shelves, a chain in a critical section. If the trays are closed, and
    /// stay so, they are empty from then on.
    pub(super) fn clear_trays(self) {
        if !HasTrays::<M>::YES {
            return;
        }
        let closing = self.core().map.with(|map| map.closings);
        for tray in &self.core().trays.trays {
            tray.with(|piles| {
                for class in 0..QUICK {
                    while piles.heights.get(class).is_some_and(|&height| height > 0)
                        && self.lower(piles, class)
                    {}
                }
            });
        }
        self.core().map.with(|map| map.cleared = closing);
    }
}

/// Numbers for threads, from zero on.
#[cfg(not(loom))]
mod thread {
    use core::cell::Cell;
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    static NEXT: AtomicUsize = AtomicUsize::new(0);

    std::thread_local! {
        /// The number, plus one once it is given.
        static NUMBER: Cell<usize> = const { Cell::new(0) };
    }

    #[inline]
    pub(super) fn number() -> usize {
        match NUMBER.get() {
            // Relaxed: any number will do.
            0 => NUMBER.set(NEXT.fetch_add(1, Relaxed).wrapping_add(1)),
            number => return number - 1,
        }
        NUMBER.get().wrapping_sub(1)
    }
}

#[cfg(loom)]
mod thread {
    extern crate std;

    use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    loom::lazy_static! {
        static ref NEXT: AtomicUsize = AtomicUsize::new(0);
    }

    loom::thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Relaxed);
    }

    pub(super) fn number() -> usize {
        NUMBER.with(|number| *number)
    }
}
