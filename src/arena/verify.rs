//! Checking the arena's own books.

use super::layout::{ArenaRef, MAX_DESCRIPTORS};
use super::map::{Map, Owner, bin_of};
use crate::sync::RawMutex;

/// A broken invariant, found by [`ArenaRef::verify`]. It means memory has been overwritten, or a bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Violation {
    /// A page's entry in the owner map fits neither a run's edge nor its inside.
    Page(usize),
    /// Two free runs lie side by side behind this page, and nobody is about to join them.
    Seam(usize),
    /// A free run of this first page is in no bin, or in a wrong one.
    Bin(usize),
    /// A descriptor's run is not marked as its own.
    Run(usize),
    /// A descriptor is in two lists, or in none although it is free.
    List(usize),
    /// The pages do not add up.
    Pages {
        /// Free pages counted.
        counted: usize,
        /// Free pages in the books.
        booked: usize,
    },
    /// The live descriptors do not add up.
    Live {
        /// Live descriptors counted.
        counted: usize,
        /// Live descriptors in the books.
        booked: usize,
    },
    /// The pages promised to homes do not add up.
    Promised,
}

/// The shelf of runs of any length.
const ANY: usize = usize::MAX;

/// How many violations a [`Verdict`] keeps.
const KEPT: usize = 8;

/// What [`ArenaRef::verify`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Verdict {
    count: usize,
    kept: [Option<Violation>; KEPT],
}

impl Verdict {
    /// Whether nothing is broken.
    pub fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// How many invariants are broken.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first eight of them.
    pub fn violations(&self) -> impl Iterator<Item = Violation> {
        self.kept.into_iter().flatten()
    }

    fn report(&mut self, violation: Violation) {
        if let Some(slot) = self.kept.get_mut(self.count) {
            *slot = Some(violation);
        }
        self.count += 1;
    }
}

impl<M: RawMutex> ArenaRef<'_, M> {
    /// Walks the map and the table and reports every broken invariant.
    ///
    /// This is a diagnostic: unlike everything else it holds the lock for the whole walk, so that what
    /// it sees is one moment. Use it in tests and after a fault, not in interrupt handlers. Under a
    /// lock of several cores, call it while no payload changes hands.
    ///
    /// ```
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
    /// # static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
    /// assert!(ARENA.handle().verify().is_clean());
    /// ```
    pub fn verify(self) -> Verdict {
        let mut verdict = Verdict { count: 0, kept: [None; KEPT] };
        let mut report = |violation| verdict.report(violation);
        self.clear_trays();
        self.core().map.with(|map| {
            let free = self.verify_pages(map, &mut report);
            self.verify_bins(map, &mut report);
            let live = self.verify_rows(map, &mut report);
            let shelved = self.verify_lists(map, live, &mut report);
            let gap = map.moving.as_ref().map_or(0, |running| running.gap());
            let loose = map.loose().map_or(0, |run| run.len());
            let counted = free + shelved + gap + loose;
            let (free, booked) = (map.stock.free(), map.stock.live());
            if counted != free {
                report(Violation::Pages { counted, booked: free });
            }
            if live != booked {
                report(Violation::Live { counted: live, booked });
            }
            let promised: usize =
                (1..map.homes).map(|home| self.home(map, home).unused_minimum() as usize).sum();
            if promised != map.stock.promised() {
                report(Violation::Promised);
            }
        });
        verdict
    }

    /// Walks the pages from edge to edge; returns the free ones in runs.
    fn verify_pages(self, map: &Map, report: &mut impl FnMut(Violation)) -> usize {
        let count = self.geometry().page_count;
        let (mut page, mut free, mut after_free) = (0, 0, false);
        while page < count {
            let (last, is_free) = match map.owner(self, page) {
                Owner::Free { other_end } if (page..count).contains(&other_end) => {
                    free += other_end + 1 - page;
                    (other_end, true)
                }
                Owner::Row(index) if index < self.geometry().row_count => {
                    let row = self.row(index);
                    let fits = row.start() == page && (1..=count - page).contains(&row.pages());
                    if !fits {
                        report(Violation::Run(index));
                        return free;
                    }
                    (page + row.pages() - 1, false)
                }
                // The loose run, the gap of a move, and the payload on its way have no marks.
                Owner::Inside if map.loose().is_some_and(|run| run.first == page) => {
                    (map.loose().map_or(page, |run| run.last), false)
                }
                Owner::Inside
                    if map.moving.as_ref().is_some_and(|running| running.covers(page)) =>
                {
                    (page, false)
                }
                _ => {
                    report(Violation::Page(page));
                    return free;
                }
            };
            if is_free && after_free {
                report(Violation::Seam(page - 1));
            }
            let edges_differ = map.owner(self, last) != map.owner(self, page) && !is_free;
            let inside_marked =
                (page + 1..last).any(|inside| map.owner(self, inside) != Owner::Inside);
            let far_edge = is_free && map.owner(self, last) != Owner::Free { other_end: page };
            if edges_differ || inside_marked || far_edge {
                report(Violation::Page(page));
            }
            after_free = is_free;
            page = last + 1;
        }
        free
    }

    fn verify_bins(self, map: &Map, report: &mut impl FnMut(Violation)) {
        let mut binned = 0;
        for bin in 0..Map::bin_count() {
            let mut in_bin = 0;
            for run in map.bin_runs(self, bin).take(self.geometry().page_count + 1) {
                in_bin += 1;
                if bin_of(run.len()) != bin || map.free_run(self, run.first) != run {
                    report(Violation::Bin(run.first));
                }
            }
            if map.bin_is_marked(bin) != (in_bin > 0) {
                report(Violation::Bin(usize::MAX));
            }
            binned += in_bin;
        }
        let edges = (0..self.geometry().page_count)
            .filter(|&page| {
                matches!(map.owner(self, page), Owner::Free { other_end } if other_end >= page)
                    && map.free_below(self, page + 1).is_none_or(|run| run.first == page)
            })
            .count();
        if edges != binned {
            report(Violation::Bin(usize::MAX));
        }
    }

    /// Checks that rows in use own their runs; returns how many there are.
    fn verify_rows(self, map: &Map, report: &mut impl FnMut(Violation)) -> usize {
        let mut live = 0;
        for earlier in 0..map.fresh_row as usize {
            let index = self.fresh_row(earlier);
            let row = self.row(index);
            let bits = row.word.read(map);
            if bits.is_free() {
                continue;
            }
            live += 1;
            let Some(run) = row.run() else { continue };
            if !bits.is_moving() && map.owner(self, run.first) != Owner::Row(index) {
                report(Violation::Run(index));
            }
        }
        live
    }

    /// Walks the lists of free descriptors; returns the pages on shelves.
    fn verify_lists(self, map: &Map, live: usize, report: &mut impl FnMut(Violation)) -> usize {
        let mut listed = 0;
        let mut shelved = 0;
        let shelves = map.quick.iter().enumerate().map(|(class, &head)| (head, class + 1));
        let unsorted = [(map.long, ANY), (map.free_rows, 0), (map.retired, 0)];
        for (mut at, pages) in shelves.chain(unsorted) {
            let mut steps = 0;
            while let Some(index) = at.get() {
                steps += 1;
                if index >= self.geometry().row_count || steps > MAX_DESCRIPTORS {
                    report(Violation::List(index));
                    break;
                }
                let row = self.row(index);
                if !row.word.read(map).is_free() || (pages != ANY && row.pages() != pages) {
                    report(Violation::List(index));
                }
                listed += 1;
                shelved += row.pages();
                at = row.next();
            }
        }
        if listed + live != map.fresh_row as usize {
            report(Violation::List(usize::MAX));
        }
        shelved
    }
}
