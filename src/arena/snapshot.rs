//! Looking inside: totals of an arena, and its live payloads one by one.

use super::layout::ArenaRef;
use super::ticket::Ticket;
use crate::sync::RawMutex;
use crate::sync::atomic::Ordering::Relaxed;

/// An arena's totals at one moment. Pages unless said otherwise; counters wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ArenaSnapshot {
    /// Bytes a page.
    pub page_size: usize,
    /// Pages there are.
    pub pages: usize,
    /// Pages not in use.
    pub free: usize,
    /// The most pages that were ever in use at once. With threads (`std`, and a lock that has a state) up to one page in sixty-four of the
    /// arena more, as that many are made ready for them in advance; exact where the arena has fewer than 64 pages, or descriptors.
    pub high_water: usize,
    /// Pages that homes have been promised and do not use.
    pub promised: usize,
    /// Descriptors there are.
    pub descriptors: usize,
    /// Descriptors in use: payloads, or runs of scattered ones.
    pub live: usize,
    /// Descriptors out of service until the next epoch.
    pub retired: usize,
    /// A run of at least this many pages is free (the longest is at most one and a half times that,
    /// when nothing is shelved).
    pub free_run: usize,
    /// Allocations refused.
    pub failed: u32,
    /// Allocations that had to wait.
    pub waited: u32,
    /// Allocations that wait now, for memory or for their home's cap.
    pub waiting: u32,
    /// Allocations that were cancelled, or whose deadline passed.
    pub stopped: u32,
    /// Payloads that had changed at rest.
    pub damaged: u32,
    /// Payloads moved by compaction.
    pub moves: u32,
    /// Pages moved by compaction.
    pub pages_moved: u32,
    /// Passes of compaction over the whole arena.
    pub passes: u32,
}

impl ArenaSnapshot {
    /// Pages in use.
    pub fn used(&self) -> usize {
        self.pages.saturating_sub(self.free)
    }

    /// How much of the free memory lies outside the [free run](Self::free_run), in thousandths: 0 when all of it
    /// is one run. Pages on shelves count as scattered, though a request that needs them gets them joined; so
    /// this is an upper bound.
    ///
    /// ```
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    /// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// let below = ARENA.try_alloc(4 * 64)?;
    /// let wall = ARENA.try_alloc(4 * 64)?;
    /// drop(below);
    /// // Eight free pages in a run, and four beyond the wall.
    /// assert_eq!(ARENA.snapshot().fragmentation(), 333);
    /// # Ok::<(), cloakroom::TryAllocError>(())
    /// ```
    pub fn fragmentation(&self) -> u32 {
        let outside = self.free.saturating_sub(self.free_run) as u64;
        // Lossless: at most 1000.
        outside.saturating_mul(1000).checked_div(self.free as u64).unwrap_or(0) as u32
    }
}

/// How the pages in use are held. Made by [`ArenaRef::census`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Census {
    /// Pages held by leases, and by both leases and tickets: they stay where they are.
    pub pages_in_hand: usize,
    /// Pages held by tickets only.
    pub pages_at_rest: usize,
    /// Payloads, or runs of scattered ones, that are in hand.
    pub runs_in_hand: usize,
    /// Payloads, or runs of scattered ones, that are at rest.
    pub runs_at_rest: usize,
}

impl Census {
    fn count(&mut self, run: &TicketDump) {
        let (pages, runs) = match run.state {
            PayloadState::InHand | PayloadState::Shared => {
                (&mut self.pages_in_hand, &mut self.runs_in_hand)
            }
            PayloadState::AtRest | PayloadState::Moving => {
                (&mut self.pages_at_rest, &mut self.runs_at_rest)
            }
        };
        *pages += run.pages;
        *runs += 1;
    }
}

/// Where a payload is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum PayloadState {
    /// Held by leases only.
    InHand,
    /// Held by tickets only.
    AtRest,
    /// Held by both.
    Shared,
    /// At rest, and being moved.
    Moving,
}

/// One live payload, as [`ArenaRef::dump`] shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TicketDump {
    /// The ticket that stands for it, if any of it is at rest.
    pub ticket: Ticket,
    /// Its descriptor.
    pub descriptor: usize,
    /// Its state.
    pub state: PayloadState,
    /// Leases.
    pub in_hand: usize,
    /// Tickets.
    pub at_rest: usize,
    /// Length in bytes, of this run.
    pub len: usize,
    /// First page.
    pub first_page: usize,
    /// Pages in this run.
    pub pages: usize,
    /// The [home](crate::arena::Home::id) it is accounted to.
    pub home: u8,
    /// For a scattered payload: the descriptor of the next run.
    pub next: Option<usize>,
    /// It is a later run of a scattered payload: the ticket is the first run's.
    pub part: bool,
    /// Ticks since it was allocated; `None` without the `stamps` feature. See
    /// `ArenaRef::set_now`.
    pub age: Option<u32>,
    /// Its correlation id; `None` if it was given none, and without the `correlation` feature.
    pub correlation: Option<core::num::NonZeroU32>,
}

impl TicketDump {
    /// Leases and tickets.
    pub fn refs(&self) -> usize {
        self.in_hand + self.at_rest
    }
}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// The totals, taken under one short lock. Interrupt-safe.
    ///
    /// With `std` what threads have put aside for their own next allocations is brought back first, and counts as
    /// free; what others put aside meanwhile, at most sixteen payloads of a size and thread, counts as in use.
    ///
    /// ```
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    /// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// let lease = ARENA.try_alloc(65)?;
    /// let snapshot = ARENA.snapshot();
    /// assert_eq!((snapshot.pages, snapshot.free, snapshot.live), (16, 14, 1));
    /// # Ok::<(), cloakroom::TryAllocError>(())
    /// ```
    pub fn snapshot(self) -> ArenaSnapshot {
        let geometry = self.geometry();
        self.clear_trays();
        self.core().map.with(|map| ArenaSnapshot {
            page_size: geometry.page_size,
            pages: geometry.page_count,
            free: map.stock.free(),
            high_water: geometry.page_count - map.stock.low(),
            promised: map.stock.promised(),
            descriptors: geometry.row_count,
            live: map.stock.live(),
            retired: map.retired_count as usize,
            free_run: map.long_run(self),
            failed: map.stats.failed,
            waited: map.stats.waited,
            waiting: map.waiting,
            stopped: map.stats.stopped,
            damaged: map.stats.damaged,
            moves: map.stats.moves,
            pages_moved: map.stats.pages_moved,
            passes: map.stats.passes,
        })
    }

    /// The live payloads, by descriptor. Each is read in a short critical section of its own, so
    /// nothing stops while the iterator is used, and what it shows is true for each payload at the
    /// moment it was looked at, not for all of them at once.
    pub fn dump(self) -> impl Iterator<Item = TicketDump> + use<'a, M> {
        (0..self.geometry().row_count).filter_map(move |index| self.dump_row(index))
    }

    /// How the pages in use are held, by looking at every payload as [`dump`](Self::dump) does: exact while
    /// none changes hands. The arena keeps no count of this, so that a deposit and a redeem cost nothing for it.
    ///
    /// ```
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    /// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// let lease = ARENA.try_alloc(100)?;
    /// let parcel = ARENA.try_alloc(300)?.into_parcel();
    /// let census = ARENA.handle().census();
    /// assert_eq!((census.pages_in_hand, census.pages_at_rest), (2, 5));
    /// # Ok::<(), cloakroom::TryAllocError>(())
    /// ```
    pub fn census(self) -> Census {
        self.census_by_home(&mut [])
    }

    /// As [`census`](Self::census), counted by home, too: each into the place of its home's
    /// [number](crate::arena::Home::id), as far as there are places. What was received from a channel and is still held
    /// is here, with the home that it was allocated from.
    ///
    /// ```
    /// # use cloakroom::{Arena, arena::Census, sync::CriticalSectionRawMutex};
    /// static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// let telemetry = ARENA.handle().open_home(8, 0)?;
    /// let lease = telemetry.try_alloc(100)?;
    /// let mut homes = [Census::default(); 2];
    /// let all = ARENA.handle().census_by_home(&mut homes);
    /// assert_eq!((homes[0].pages_in_hand, homes[1].pages_in_hand, all.pages_in_hand), (0, 2, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn census_by_home(self, homes: &mut [Census]) -> Census {
        let mut all = Census::default();
        for run in self.dump() {
            all.count(&run);
            if let Some(home) = homes.get_mut(usize::from(run.home)) {
                home.count(&run);
            }
        }
        all
    }

    fn dump_row(self, index: usize) -> Option<TicketDump> {
        let row = self.row(index);
        self.core().map.with(|map| {
            let bits = row.word.read(map);
            if bits.is_free() {
                return None;
            }
            let state = match (bits.in_hand() > 0, bits.at_rest() > 0) {
                _ if bits.is_moving() => PayloadState::Moving,
                (true, true) => PayloadState::Shared,
                (true, false) => PayloadState::InHand,
                _ => PayloadState::AtRest,
            };
            let scattered = bits.is_scattered() || bits.is_link();
            let dump = TicketDump {
                ticket: Ticket::seal(index, bits.generation(), self.core().epoch.load(Relaxed)),
                descriptor: index,
                state,
                in_hand: bits.in_hand() as usize,
                at_rest: bits.at_rest() as usize,
                len: row.len(),
                first_page: row.start(),
                pages: row.pages(),
                home: row.home(),
                next: scattered.then(|| row.next().get()).flatten(),
                part: bits.is_link(),
                #[cfg(feature = "stamps")]
                age: Some(self.core().now.now().wrapping_sub(row.stamp())),
                #[cfg(not(feature = "stamps"))]
                age: None,
                #[cfg(feature = "correlation")]
                correlation: self.correlation_of(index),
                #[cfg(not(feature = "correlation"))]
                correlation: None,
            };
            // Where words change without the lock, the row may have been freed and taken again
            // meanwhile: then the word has another generation, and this payload is gone.
            (row.word.read(map).generation() == bits.generation()).then_some(dump)
        })
    }
}
