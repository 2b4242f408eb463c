//! How full an arena is.

use super::layout::ArenaRef;
use crate::sync::RawMutex;

/// Pages and descriptors in use.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pages: [usize; 2],
    rows: [usize; 2],
}

/// What a full arena is, in the unit of [`Load::is_from`].
pub(crate) const FULL: u32 = 25_600;

impl Load {
    /// Whether so much of the pages, or of the descriptors, is in use.
    pub(crate) fn is_from(&self, mark: u32) -> bool {
        [self.pages, self.rows].into_iter().any(|[used, of]| {
            // In 64 bits, as both may be near to what an address can count.
            used as u64 * u64::from(FULL) >= of as u64 * u64::from(mark)
        })
    }
}

impl<M: RawMutex> ArenaRef<'_, M> {
    /// How full it is, in one short critical section. With `std`, what threads have put aside counts as in use: so it is no
    /// less than this.
    pub(crate) fn load(self) -> Load {
        let geometry = self.geometry();
        self.core().map.with(|map| Load {
            pages: [geometry.page_count - map.stock.free(), geometry.page_count],
            rows: [map.stock.live(), geometry.row_count - map.retired_count as usize],
        })
    }

    /// The same, after what threads have put aside was brought back.
    pub(crate) fn load_exactly(self) -> Load {
        self.clear_trays();
        self.load()
    }

    /// Whether a payload so long can ever be in it.
    pub(crate) fn can_hold(self, len: usize) -> bool {
        self.pages_for(len).is_some()
    }

    /// Whether it stays below a mark with a payload so long more.
    pub(crate) fn stays_below(self, mark: u32, len: usize) -> bool {
        let Load { pages: [used, of], rows: [live, rows] } = self.load_exactly();
        self.pages_for(len).is_some_and(|more| {
            !Load { pages: [used + more, of], rows: [live + 1, rows] }.is_from(mark)
        })
    }
}
