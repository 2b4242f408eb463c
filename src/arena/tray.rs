//! Trays: a few freed payloads beside each thread, so that threads do not meet at the arena's lock.
//!
//! ```text
//!   thread ──► tray ──► a pile for each size class       take, put: the tray's lock, hardly ever contended
//!                │ ▲
//!          CHAIN │ │ CHAIN                               the sideboard's lock, once for so many payloads
//!                ▼ │
//!            sideboard                                   what one thread frees and another one takes
//!                                                        if it is full, or empty:
//!              shelf                                     the arena's lock
//! ```
//!
//! Where there is nothing to be had, the trays *run ahead*: a chain is cut from pages that no program has needed yet, as far as the arena
//! has pages to spare. Otherwise there would be no more payloads than were ever in use at once, and whoever fills a channel would look
//! for the last few on the others' trays again and again, and keep those threads from having theirs to themselves. Where an arena is too
//! small for that, half of what lies on another thread's tray is taken: a receiver's tray could hold all that its sender waits for.
//! All of this passes numbers on, and touches no payload, but for the first byte of those that are cut.
//!
//! Nobody waits for a tray: who finds another thread at it, and that one stays, goes to the arena. What lies on one is free,
//! with its pages and its next generation, but counts as in use in the arena's [`Stock`](super::stock::Stock): so
//! free pages there may be too few, never too many. Whoever must know exactly [clears](ArenaRef::clear_trays) all
//! trays first: to refuse a request, to raise the high-water mark, to show figures. A refusal, and a waiter, *close*
//! them before that, or what is cleared from one tray could turn up on another; nothing is put on a closed tray,
//! or taken off it. Closed means barred in the stock, and ends with it.
//!
//! Lock order: a tray's, then the sideboard's or the arena's; a second tray is only tried. There are trays where state words change by compare-exchange, and there are
//! threads; elsewhere a critical section costs less than a tray would save.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

use super::descriptor::Row;
use super::layout::ArenaRef;
use super::map::{Link, Map, QUICK};
use super::pile::Piles;
use super::word::{Bits, CasWords, LAST_GENERATION};
use crate::prefetch;
use crate::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed},
};
#[cfg(not(any(loom, shuttle)))]
use crate::sync::biased::{Biased as TrayLock, Held};
#[cfg(any(loom, shuttle))]
use crate::sync::spin::{Held, SpinRawMutex as TrayLock};
use crate::sync::{RawMutex, const_fn, thread};

/// Payloads that change their place in one critical section.
const CHAIN: usize = 16;
/// How many of a class lie on a tray at the most.
const TRAY: usize = 2 * CHAIN;
/// How many of a class lie on the sideboard at the most.
const SIDEBOARD: usize = 4 * CHAIN;
/// One page in so many, and one descriptor, may be taken before it is needed, for all trays together; so the high-water mark is as much too
/// high at the most. Four threads to four, 64 bytes, take 34 ns instead of 52, and 77 instead of 108 where caches are not shared.
const AHEAD: usize = if cfg!(shuttle) { 4 } else { 64 };
/// Threads beyond so many share trays.
const TRAYS: usize = if cfg!(loom) { 2 } else { 8 };
/// Pages of so many bytes come back from the sideboard in the order in which they were freed: a chain is turned round as it is put there,
/// and once more as it is taken off. A processor's own cache holds a chain of them at
/// the most, so the oldest have left that of whoever has read them, and are to be had without asking that processor for each line: 64 KiB between two
/// threads take 1,750 to 2,500 ns instead of 2,600 to 3,200. Shorter ones are better taken while they are in some cache.
const LARGE: usize = 32 << 10;
/// How often who finds another thread at a tray looks whether it is gone: that one is there for a chain at the most.
const LOOKS: u32 = if cfg!(any(loom, shuttle)) { 0 } else { 64 };

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

/// Cache lines of its own: other threads hardly touch them.
#[repr(C, align(64))]
struct Tray<const MOST: usize> {
    lock: TrayLock,
    piles: UnsafeCell<Piles<MOST>>,
}

/// A tray's piles, with its lock held.
struct Within<'t> {
    piles: &'t UnsafeCell<Piles<TRAY>>,
    _held: Held<'t>,
}

impl Deref for Within<'_> {
    type Target = Piles<TRAY>;

    #[inline(always)]
    fn deref(&self) -> &Piles<TRAY> {
        // SAFETY: the lock is held until this is dropped, and the piles are touched with it held only.
        unsafe { &*self.piles.get() }
    }
}

impl DerefMut for Within<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Piles<TRAY> {
        // SAFETY: as above; who holds it does not come back to this tray meanwhile.
        unsafe { &mut *self.piles.get() }
    }
}

/// All trays of an arena.
pub(super) struct Trays {
    trays: [Tray<TRAY>; TRAYS],
    sideboard: Tray<SIDEBOARD>,
    /// Changes under the arena's lock; looked at with a tray's lock held.
    closed: AtomicBool,
    /// Pages that were taken before they were needed, ever. Changes under the arena's lock.
    ahead: AtomicUsize,
}

// Lock and heights fill a line, and each pile of a tray two: a chain goes from thread to thread in one.
#[cfg(not(any(loom, shuttle)))]
const _: () =
    assert!(size_of::<Tray<TRAY>>() == 64 + QUICK * TRAY * size_of::<super::layout::Index>());

// SAFETY: the piles are touched with the tray's lock held only.
unsafe impl<const MOST: usize> Sync for Tray<MOST> {}

impl<const MOST: usize> Tray<MOST> {
    const_fn! {
        const fn new() -> Self {
            Self { lock: TrayLock::new(), piles: UnsafeCell::new(Piles::EMPTY) }
        }
    }

    /// Runs `f` on the piles, unless somebody else is at the tray.
    #[inline]
    fn try_with<R>(&self, f: impl FnOnce(&mut Piles<MOST>) -> R) -> Option<R> {
        let _held = self.lock.try_hold()?;
        // SAFETY: the lock is held, and `f` is this module's: none comes back to this tray.
        Some(f(unsafe { &mut *self.piles.get() }))
    }

    /// The same, unless somebody else stays there.
    #[inline]
    fn visit<R>(&self, f: impl FnOnce(&mut Piles<MOST>) -> R) -> Option<R> {
        let _held = match self.lock.try_hold() {
            Some(held) => held,
            None => self.look()?,
        };
        // SAFETY: as above.
        Some(f(unsafe { &mut *self.piles.get() }))
    }

    /// Until it is free, but not for ever.
    #[cold]
    fn look(&self) -> Option<Held<'_>> {
        (0..LOOKS).find_map(|_| {
            crate::sync::pause();
            self.lock.try_hold()
        })
    }

    fn with<R>(&self, f: impl FnOnce(&mut Piles<MOST>) -> R) -> R {
        let _held = self.lock.hold();
        // SAFETY: as above.
        f(unsafe { &mut *self.piles.get() })
    }
}

impl Trays {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self {
            trays: [const { Tray::new() }; TRAYS],
            sideboard: Tray::new(),
            closed: AtomicBool::new(false),
            ahead: AtomicUsize::new(0),
        }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self {
            trays: core::array::from_fn(|_| Tray::new()),
            sideboard: Tray::new(),
            closed: AtomicBool::new(false),
            ahead: AtomicUsize::new(0),
        }
    }

    /// The arena's lock is held.
    pub(super) fn close(&self, closed: bool) {
        // Relaxed: whoever clears the trays comes after this (by the arena's lock), and whoever is at one after
        // that comes after the clearing, by the tray's lock, and sees it.
        self.closed.store(closed, Relaxed);
    }

    /// The piles of this thread's tray, if that is open, and its lock biased to this thread. It calls nothing, so who needs no more has
    /// no registers to save.
    #[inline(always)]
    fn own(&self) -> Option<Within<'_>> {
        let me = thread::number_so_far();
        let Tray { lock, piles } = &self.trays[usize::from(me) % TRAYS];
        #[cfg(not(any(loom, shuttle)))]
        let held = lock.enter(me)?;
        #[cfg(any(loom, shuttle))]
        let held = lock.try_hold()?;
        (!self.closed.load(Relaxed)).then_some(Within { piles, _held: held })
    }

    #[inline]
    fn mine(&self) -> usize {
        thread::number() as usize % TRAYS
    }
}

impl<M: RawMutex> ArenaRef<'_, M> {
    /// A plain payload off this thread's tray, in hand once; see [`take_shelved`](Self::take_shelved).
    // A call, so that what calls it is short enough to become part of its caller, and the lease need not pass memory: an
    // allocation and its release take 14 ns instead of 20.
    #[inline(never)]
    pub(super) fn take_from_tray(self, class: usize, len: usize) -> Option<usize> {
        if let Some(mut piles) = self.core().trays.own() {
            if let Some(index) = piles.pop(class) {
                let next = piles.below(class, 1);
                drop(piles);
                self.hand_out(index, len, next);
                return Some(index);
            }
        }
        self.take_from_tray_slowly(class, len)
    }

    /// The same, whatever state the tray is in.
    #[inline(never)]
    fn take_from_tray_slowly(self, class: usize, len: usize) -> Option<usize> {
        // Of longer ones there is no pile. And before the first use there is nothing on any, and the geometry, by which some are cut, is not there yet:
        // Acquire pairs with the Release by which it is said to be.
        if class >= QUICK || !self.core().ready.load(Acquire) {
            return None;
        }
        let trays = &self.core().trays;
        let mine = trays.mine();
        let mut next = None;
        let index = trays.trays.get(mine)?.visit(|piles| {
            if trays.closed.load(Relaxed) {
                return None;
            }
            let index = match piles.pop(class) {
                Some(index) => index,
                None => self.refill(mine, piles, class)?,
            };
            next = piles.below(class, 1);
            Some(index)
        })??;
        self.hand_out(index, len, next);
        Some(index)
    }

    /// `index` goes in hand, and what of the `next` one will be needed is fetched.
    #[inline(always)]
    fn hand_out(self, index: usize, len: usize, next: Option<usize>) {
        if let Some(next) = next {
            // Whoever frees what others have filled has left it in another processor's cache.
            let start = self.page(self.row(next).start());
            prefetch::lines(start, len, prefetch::to_write);
        }
        let row = self.row(index);
        row.set_len(len);
        #[cfg(feature = "stamps")]
        row.set_stamp(self.core().now.now());
        #[cfg(feature = "correlation")]
        row.set_correlation(0);
        row.word.set_alone(row.word.peek().taken(false));
    }

    /// The common case of [`put_on_tray`](Self::put_on_tray): there is room, and nobody else comes by. `false`, and nothing changed,
    /// for all others.
    #[inline]
    pub(super) fn put_at_once(self, index: usize) -> bool {
        let row = self.row(index);
        let bits = row.word.peek();
        if !bits.is_leased_once() || bits.generation() == LAST_GENERATION {
            return false;
        }
        let Some(mut piles) = self.core().trays.own() else { return false };
        let put = piles.push(row.pages() - 1, index);
        if put {
            // Before anybody else comes to it: it lies there, but the tray's lock is held.
            row.word.set_alone(bits.freed());
        }
        put
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
        let put = trays.trays.get(trays.mine()).and_then(|tray| {
            tray.visit(|piles| {
                if trays.closed.load(Relaxed) {
                    return false;
                }
                if piles.height(class) == TRAY {
                    self.pass_on(piles, class);
                }
                // Before it lies there: whoever takes it comes after this by the tray's lock.
                row.word.set_alone(bits.freed());
                piles.push(class, index)
            })
        });
        put == Some(true)
    }

    /// A chain onto tray `mine`, as far as there is one and nothing else is to be looked at: from the sideboard, or else
    /// from the shelf, or else from pages to spare, or else off another tray. The first of it is taken.
    #[cold]
    #[inline(never)]
    fn refill(self, mine: usize, piles: &mut Piles<TRAY>, class: usize) -> Option<usize> {
        let trays = &self.core().trays;
        // Of no class there is too much, or nothing, to be had.
        let is_large = (class + 1).saturating_mul(self.geometry().page_size) >= LARGE;
        let _ = trays.sideboard.visit(|sideboard| match is_large {
            true => sideboard.hand_over_oldest(class, CHAIN, piles),
            false => sideboard.hand_over(class, CHAIN, piles),
        });
        if piles.height(class) == 0 {
            self.take_down(piles, class);
        }
        if piles.height(class) == 0 {
            self.run_ahead(piles, class);
        }
        if piles.height(class) == 0 {
            // The last one of a tray only if there is none elsewhere: two threads would take it away from each other.
            let _ = self.share_with_others(mine, piles, class, 2)
                || self.share_with_others(mine, piles, class, 1);
        }
        // All at once, as each is written to when it is taken.
        (0..CHAIN)
            .map_while(|taken| piles.below(class, taken))
            .for_each(|index| prefetch::to_write(self.row(index)));
        piles.pop(class)
    }

    /// Takes half of what lies on the first other tray with at least so many; `false` if there is none.
    fn share_with_others(
        self,
        mine: usize,
        piles: &mut Piles<TRAY>,
        class: usize,
        least: usize,
    ) -> bool {
        let others =
            self.core().trays.trays.iter().enumerate().filter(|&(number, _)| number != mine);
        others.map(|(_, tray)| tray).any(|tray| {
            let taken = tray.try_with(|other| {
                let height = other.height(class);
                if height < least { 0 } else { other.hand_over(class, height.div_ceil(2), piles) }
            });
            taken.is_some_and(|taken| taken > 0)
        })
    }

    /// A chain from the shelf, in a critical section.
    fn take_down(self, piles: &mut Piles<TRAY>, class: usize) {
        self.core().map.with(|map| {
            for _ in 0..CHAIN {
                let Some(shelf) = map.quick.get_mut(class) else { return };
                if *shelf == Link::NONE || !map.stock.take_at_hand(class + 1) {
                    return;
                }
                if let Some((index, _)) = Map::pop_row(self, shelf) {
                    // There is room: the pile was empty.
                    piles.push(class, index);
                }
            }
        });
    }

    /// A chain of payloads more than there ever were, in a critical section, as far as the arena has pages to spare.
    fn run_ahead(self, piles: &mut Piles<TRAY>, class: usize) {
        let (ahead, pages) = (&self.core().trays.ahead, class + 1);
        let most = self.geometry().page_count.min(self.geometry().row_count) / AHEAD;
        self.core().map.with(|map| {
            for _ in 0..CHAIN {
                // Relaxed: changed under the arena's lock.
                let more = ahead.load(Relaxed) + pages;
                let may_take = !map.stock.barred() && self.may_take(map, 0, pages, false);
                if more > most || !may_take {
                    return;
                }
                let Some((index, row)) = self.cut_row(map, pages) else { return };
                ahead.store(more, Relaxed);
                row.set_home(0);
                map.stock.take(pages);
                // There is room: the pile was empty.
                piles.push(class, index);
            }
        });
        for index in (0..CHAIN).map_while(|taken| piles.below(class, taken)) {
            // Before its address is fetched ahead again and again: the system may not have given that page memory yet, and to find that out takes longer
            // than an allocation (40 ns instead of 6).
            // SAFETY: the payload is free, and on this tray, whose lock is held; so nobody else uses its first byte.
            unsafe { self.page(self.row(index).start()).write_volatile(0) };
        }
    }

    /// A chain from a full tray to the sideboard, or else back to the shelf.
    #[cold]
    #[inline(never)]
    fn pass_on(self, piles: &mut Piles<TRAY>, class: usize) {
        let sideboard = &self.core().trays.sideboard;
        if sideboard.visit(|sideboard| piles.hand_over(class, CHAIN, sideboard)).unwrap_or(0) == 0 {
            self.lower(piles, class);
        }
    }

    /// A chain back to the shelf, in a critical section; `false` if the pile is empty then.
    #[cold]
    #[inline(never)]
    fn lower<const MOST: usize>(self, piles: &mut Piles<MOST>, class: usize) -> bool {
        self.core().map.with(|map| {
            for _ in 0..CHAIN {
                let Some(index) = piles.pop(class) else { return false };
                if let Some(shelf) = map.quick.get_mut(class) {
                    Map::push_row(self, shelf, index);
                    map.stock.put(class + 1);
                }
            }
            true
        })
    }

    /// Brings all that lies on trays to the shelves, a chain in a critical section. If the trays are closed, and
    /// stay so, they are empty from then on.
    pub(super) fn clear_trays(self) {
        if !HasTrays::<M>::YES {
            return;
        }
        let closing = self.core().map.with(|map| map.closings);
        let Trays { trays, sideboard, .. } = &self.core().trays;
        for tray in trays {
            tray.with(|piles| self.clear(piles));
        }
        // Last: who still passes something on to it is at a tray that has not been cleared yet. (And who takes
        // something off another tray, or off this one, takes it to such a one.)
        sideboard.with(|piles| self.clear(piles));
        self.core().map.with(|map| map.cleared = closing);
    }

    fn clear<const MOST: usize>(self, piles: &mut Piles<MOST>) {
        for class in 0..QUICK {
            while piles.height(class) > 0 && self.lower(piles, class) {}
        }
    }
}
