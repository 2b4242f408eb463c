//! A map of an arena's pages, in as many cells as there is room for.

use cloakroom::arena::{ArenaSnapshot, Census, PayloadState, TicketDump};

/// What the pages behind one cell are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cell {
    /// All free.
    Free,
    /// In use, most of them by payloads in hand.
    InHand,
    /// In use, most of them by payloads at rest.
    AtRest,
    /// In use, most of them by payloads that are being moved.
    Moving,
    /// In use, by whom is not known.
    Used,
    /// Some free, some in use: where a whole map of these is free memory is in pieces.
    Mixed,
}

impl Cell {
    /// How it is drawn.
    pub fn glyph(self) -> char {
        match self {
            Self::Free => '·',
            Self::InHand => '█',
            Self::AtRest => '▓',
            Self::Moving => '»',
            Self::Used => '■',
            Self::Mixed => '░',
        }
    }

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::InHand => "in hand",
            Self::AtRest => "at rest",
            Self::Moving => "moving",
            Self::Used => "in use",
            Self::Mixed => "partly free",
        }
    }
}

/// A map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageMap {
    /// From the first page to the last.
    pub cells: Vec<Cell>,
    /// Whether each cell shows what lies at its place; if not, the cells of each sort only are as many as they
    /// should be.
    pub exact: bool,
}

/// Draws a map from a dump of the arena's payloads, or without one from its totals.
pub fn page_map<'d>(
    arena: &ArenaSnapshot,
    census: Option<&Census>,
    dump: impl Iterator<Item = &'d TicketDump>,
    cells: usize,
) -> PageMap {
    let cells = cells.min(arena.pages);
    let mut dump = dump.peekable();
    if dump.peek().is_some() || arena.live == 0 {
        PageMap { cells: by_place(arena.pages, dump, cells), exact: true }
    } else {
        PageMap { cells: by_share(arena, census, cells), exact: false }
    }
}

/// Pages of one cell, by who has them.
#[derive(Clone, Copy, Default)]
struct Tally {
    in_hand: usize,
    at_rest: usize,
    moving: usize,
}

fn by_place<'d>(
    pages: usize,
    dump: impl Iterator<Item = &'d TicketDump>,
    cells: usize,
) -> Vec<Cell> {
    if cells == 0 {
        return Vec::new();
    }
    // The first page of a cell. Cells differ by one page at the most.
    let start = |cell: usize| (cell as u128 * pages as u128 / cells as u128) as usize;
    // No more cells than pages, so that every cell has a page, and the division has a divisor.
    let cell_of = |page: usize| {
        let guess = (page as u128 * cells as u128 / pages as u128) as usize;
        if start(guess + 1) <= page { guess + 1 } else { guess }
    };
    let mut tallies = vec![Tally::default(); cells];
    for run in dump.filter(|run| run.pages > 0 && run.first_page < pages) {
        let end = run.first_page.saturating_add(run.pages).min(pages);
        let first = cell_of(run.first_page);
        let touched = tallies[first..=cell_of(end - 1)].iter_mut();
        for (cell, tally) in (first..).zip(touched) {
            let overlap = end.min(start(cell + 1)) - run.first_page.max(start(cell));
            *match run.state {
                PayloadState::InHand | PayloadState::Shared => &mut tally.in_hand,
                PayloadState::AtRest => &mut tally.at_rest,
                PayloadState::Moving => &mut tally.moving,
            } += overlap;
        }
    }
    let cell = |(number, tally): (usize, &Tally)| {
        let used = tally.in_hand + tally.at_rest + tally.moving;
        match start(number + 1) - start(number) {
            _ if used == 0 => Cell::Free,
            pages if used < pages => Cell::Mixed,
            _ if tally.moving > tally.in_hand.max(tally.at_rest) => Cell::Moving,
            _ if tally.at_rest > tally.in_hand => Cell::AtRest,
            _ => Cell::InHand,
        }
    };
    tallies.iter().enumerate().map(cell).collect()
}

fn by_share(arena: &ArenaSnapshot, census: Option<&Census>, cells: usize) -> Vec<Cell> {
    let sorts = match census {
        Some(census) => {
            vec![(Cell::InHand, census.pages_in_hand), (Cell::AtRest, census.pages_at_rest)]
        }
        None => vec![(Cell::Used, arena.used())],
    };
    let mut map = Vec::with_capacity(cells);
    for (cell, pages) in sorts {
        // Rounded up: what there is at all is seen.
        let share = (pages as u128 * cells as u128).div_ceil(arena.pages.max(1) as u128);
        let room = cells - map.len();
        map.extend(std::iter::repeat_n(cell, usize::try_from(share).unwrap_or(room).min(room)));
    }
    map.resize(cells, Cell::Free);
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{arena, ticket};

    fn drawn(pages: usize, runs: &[(usize, usize, PayloadState)], cells: usize) -> String {
        let runs: Vec<TicketDump> =
            runs.iter().map(|&(first, pages, state)| ticket(first, pages, state).dump).collect();
        let mut totals = arena(pages);
        totals.live = runs.len();
        let map = page_map(&totals, None, runs.iter(), cells);
        assert!(map.exact);
        map.cells.into_iter().map(Cell::glyph).collect()
    }

    #[test]
    fn a_cell_a_page() {
        use PayloadState::{AtRest, InHand, Moving, Shared};
        let runs = [(0, 2, InHand), (3, 1, AtRest), (4, 1, Shared), (7, 1, Moving)];
        assert_eq!(drawn(8, &runs, 8), "██·▓█··»");
        assert_eq!(drawn(8, &runs, 80), "██·▓█··»", "no more cells than pages");
        assert_eq!(drawn(8, &runs, 0), "");
        assert_eq!(drawn(8, &[], 8), "········");
    }

    #[test]
    fn a_cell_shows_most_of_its_pages_and_whether_some_are_free() {
        use PayloadState::{AtRest, InHand};
        assert_eq!(drawn(8, &[(0, 1, InHand), (1, 3, AtRest), (4, 1, InHand)], 2), "▓░");
        // Free memory in pieces.
        let pieces: Vec<_> = (0..50).map(|piece| (2 * piece, 1, AtRest)).collect();
        assert_eq!(drawn(100, &pieces, 10), "░".repeat(10));
    }

    #[test]
    fn every_page_is_in_one_cell_however_they_divide() {
        for pages in 1..40 {
            for cells in 1..=pages {
                let all: Vec<_> = (0..pages).map(|page| (page, 1, PayloadState::InHand)).collect();
                assert_eq!(drawn(pages, &all, cells), "█".repeat(cells), "{pages} in {cells}");
                let whole = [(0, pages, PayloadState::InHand)];
                assert_eq!(drawn(pages, &whole, cells), "█".repeat(cells), "{pages} in {cells}");
                for page in 0..pages {
                    let map = drawn(pages, &[(page, 1, PayloadState::AtRest)], cells);
                    let seen = map.chars().filter(|cell| *cell != '·').count();
                    assert_eq!(seen, 1, "page {page} of {pages} in {cells}");
                }
            }
        }
    }

    #[test]
    fn runs_that_cannot_be_are_cut() {
        assert_eq!(drawn(4, &[(2, usize::MAX, PayloadState::InHand)], 4), "··██");
        assert_eq!(drawn(4, &[(9, 1, PayloadState::InHand)], 4), "····");
    }

    #[test]
    fn without_a_dump_shares_are_drawn() {
        let mut totals = arena(100);
        (totals.free, totals.live) = (60, 3);
        let census = Census { pages_in_hand: 1, pages_at_rest: 39, ..Census::default() };
        let drawn = |census| {
            let map = page_map(&totals, census, [].iter(), 10);
            assert!(!map.exact);
            map.cells.into_iter().map(Cell::glyph).collect::<String>()
        };
        assert_eq!(drawn(Some(&census)), "█▓▓▓▓·····");
        assert_eq!(drawn(None), "■■■■······");
        assert_eq!(page_map(&totals, Some(&census), [].iter(), 0).cells, []);
    }
}
