//! What lives: by channel and sequence number, where the newest record of a message is. A hash table with open addressing in
//! memory of the caller's.

use super::record::{CLOSED, Position};

/// A message that was sent and not acknowledged, or the closing of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Live {
    /// Its number in its channel; [`CLOSED`] for a closing.
    pub seq: u64,
    /// Its newest record.
    pub at: Position,
    /// Bytes of its payload.
    pub body_len: u32,
    /// Where it was in an arena.
    pub slot: u32,
    /// That slot's generation.
    pub generation: u32,
    /// Its channel.
    pub chan: u16,
    /// How often it was delivered, as far as that was counted; 255 is that and more.
    pub attempts: u8,
    taken: bool,
}

impl Live {
    #[cfg(feature = "flash")]
    pub(super) const NONE: Self = Self {
        seq: 0,
        at: Position { segment: 0, offset: 0 },
        body_len: 0,
        slot: 0,
        generation: 0,
        chan: 0,
        attempts: 0,
        taken: false,
    };

    /// An entry of the index.
    pub fn new(chan: u16, seq: u64, at: Position, body_len: u32) -> Self {
        Self { seq, at, body_len, slot: 0, generation: 0, chan, attempts: 0, taken: true }
    }

    /// With a payload's place in an arena.
    pub fn at_slot(mut self, slot: u32, generation: u32) -> Self {
        (self.slot, self.generation) = (slot, generation);
        self
    }

    /// Whether it says that its channel was closed.
    pub fn is_closing(&self) -> bool {
        self.seq == CLOSED
    }
}

/// Numbers that lie together in the table.
const RUN: usize = 8;

/// The index has no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexFullError;

/// What lives. `S` is what its entries lie in: `&mut [Live]`, `Box<[Live]>`.
///
/// ```
/// use cloakroom::journal::{Index, Live, Position};
///
/// let mut entries = [Live::default(); 16];
/// let mut index = Index::new(&mut entries[..]);
/// let at = Position { segment: 1, offset: 64 };
/// index.insert(Live::new(2, 10, at, 5)).unwrap();
/// index.insert(Live::new(2, 11, at, 5)).unwrap();
/// index.remove_range(2, 0, 10, |_| {});
/// assert_eq!(index.get(2, 10), None);
/// assert_eq!(index.get(2, 11).map(|live| live.at), Some(at));
/// ```
#[derive(Debug)]
pub struct Index<S> {
    entries: S,
    len: usize,
}

impl<S: AsRef<[Live]> + AsMut<[Live]>> Index<S> {
    /// An empty one. Of 8 entries 7 can be used, at least one stays free.
    pub fn new(mut entries: S) -> Self {
        entries.as_mut().fill(Live::default());
        Self { entries, len: 0 }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there can be.
    pub fn capacity(&self) -> usize {
        let size = self.entries.as_ref().len();
        size.saturating_sub((size / 8).max(1))
    }

    /// The entry of a message.
    pub fn get(&self, chan: u16, seq: u64) -> Option<&Live> {
        self.find(chan, seq).map(|place| &self.entries.as_ref()[place])
    }

    /// The message of a channel that has the lowest number behind `after`; no closing.
    pub fn next_behind(&self, chan: u16, after: u64) -> Option<&Live> {
        let next = after.checked_add(1)?;
        // Mostly they follow one another, or gaps are short; all are looked at where a gap is so long that that takes as long. So who goes
        // through all of a channel looks at each number between its first and its last, and not at the whole table for each of them.
        let gap = (self.entries.as_ref().len() / RUN) as u64;
        let near = || (next..=next.saturating_add(gap)).find_map(|seq| self.get(chan, seq));
        let lowest = || {
            let behind = |live: &&Live| live.chan == chan && live.seq > after;
            self.iter().filter(behind).min_by_key(|live| live.seq)
        };
        near().or_else(lowest).filter(|live| !live.is_closing())
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Live> {
        self.entries.as_ref().iter().filter(|live| live.taken)
    }

    /// Looks at up to `most` places of the table, from `place` on, for an entry that is `wanted`. Returns it, and the place to go
    /// on at; `None` in place of that if the table is at its end. Entries that are taken out meanwhile move others backward, so
    /// one may be missed by who goes through a table that changes.
    pub fn next_in(
        &self,
        place: usize,
        most: usize,
        wanted: impl Fn(&Live) -> bool,
    ) -> (Option<usize>, Option<Live>) {
        let entries = self.entries.as_ref();
        let end = place.saturating_add(most).min(entries.len());
        let looked = entries.get(place..end).unwrap_or(&[]);
        let found = looked.iter().position(|live| live.taken && wanted(live));
        let next = found.map_or(end, |skip| place + skip + 1);
        ((next < entries.len()).then_some(next), found.map(|skip| entries[place + skip]))
    }

    /// Puts an entry in, in place of one for the same message, which it returns.
    ///
    /// # Errors
    ///
    /// [`IndexFullError`]: there are as many as there can be.
    pub fn insert(&mut self, live: Live) -> Result<Option<Live>, IndexFullError> {
        let live = Live { taken: true, ..live };
        match self.probe(live.chan, live.seq) {
            Some(Ok(place)) => {
                Ok(Some(core::mem::replace(&mut self.entries.as_mut()[place], live)))
            }
            Some(Err(place)) if self.len < self.capacity() => {
                self.entries.as_mut()[place] = live;
                self.len += 1;
                Ok(None)
            }
            _ => Err(IndexFullError),
        }
    }

    /// Notes down how often a message was delivered, if it is there and was delivered less often before; says whether.
    pub fn count(&mut self, chan: u16, seq: u64, attempts: u8) -> bool {
        let Some(place) = self.find(chan, seq) else { return false };
        let live = &mut self.entries.as_mut()[place];
        let more = live.attempts < attempts;
        live.attempts = live.attempts.max(attempts);
        more
    }

    /// Takes an entry out.
    pub fn remove(&mut self, chan: u16, seq: u64) -> Option<Live> {
        self.find(chan, seq).map(|place| self.take(place))
    }

    /// Takes out the entries of a range of messages, `last` included, and calls `each` for them.
    pub fn remove_range(&mut self, chan: u16, first: u64, last: u64, mut each: impl FnMut(&Live)) {
        if last < first {
            return;
        }
        // Whichever is shorter: the range, or the table.
        let size = self.entries.as_ref().len();
        if last - first < size as u64 {
            // From behind: where numbers lie together there is less to move up then.
            for seq in (first..=last).rev() {
                if let Some(live) = self.remove(chan, seq) {
                    each(&live);
                }
            }
            return;
        }
        self.retain(|live| {
            let goes = live.chan == chan && (first..=last).contains(&live.seq);
            if goes {
                each(live);
            }
            !goes
        });
    }

    /// Keeps those for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Live) -> bool) {
        let mut place = 0;
        while place < self.entries.as_ref().len() {
            let live = self.entries.as_ref()[place];
            if live.taken && !keep(&live) {
                // Another may have come to this place, from behind: from the table's beginning only to its end.
                self.take(place);
            } else {
                place += 1;
            }
        }
    }

    /// Gives up the index: its entries, in order of channels and sequence numbers.
    pub fn into_sorted(mut self) -> (S, usize) {
        self.entries.as_mut().sort_unstable_by_key(|live| (!live.taken, live.chan, live.seq));
        (self.entries, self.len)
    }

    /// Gives up the index: what its entries lie in.
    #[cfg(feature = "flash")]
    pub(super) fn into_entries(self) -> S {
        self.entries
    }

    fn find(&self, chan: u16, seq: u64) -> Option<usize> {
        self.probe(chan, seq)?.ok()
    }

    /// Where an entry is, or else where it would be put; `None` if there are no places at all.
    fn probe(&self, chan: u16, seq: u64) -> Option<Result<usize, usize>> {
        let entries = self.entries.as_ref();
        if entries.is_empty() {
            return None;
        }
        let mut place = self.home(chan, seq);
        // One at least is free, so this ends.
        while entries[place].taken {
            if (entries[place].chan, entries[place].seq) == (chan, seq) {
                return Some(Ok(place));
            }
            place = self.after(place);
        }
        Some(Err(place))
    }

    /// Empties a place, and moves those behind it forward that would not be found otherwise.
    fn take(&mut self, mut hole: usize) -> Live {
        let taken = self.entries.as_ref()[hole];
        let size = self.entries.as_ref().len();
        let mut next = self.after(hole);
        while self.entries.as_ref()[next].taken {
            let live = self.entries.as_ref()[next];
            let home = self.home(live.chan, live.seq);
            // Not a remainder: a division for each entry behind the hole is what most of a removal would be.
            let distance = |from: usize| if next < from { next + size - from } else { next - from };
            if distance(home) >= distance(hole) {
                self.entries.as_mut()[hole] = live;
                hole = next;
            }
            next = self.after(next);
        }
        self.entries.as_mut()[hole] = Live::default();
        self.len -= 1;
        taken
    }

    /// Where an entry should be: runs of numbers lie together, as they mostly come and go one after the other, and the memory of a large
    /// table is slow; the runs are spread by Fibonacci hashing.
    fn home(&self, chan: u16, seq: u64) -> usize {
        let size = self.entries.as_ref().len();
        let runs = (size / RUN).max(1) as u64;
        let mixed =
            ((seq / RUN as u64) ^ (u64::from(chan) << 48)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // Both casts keep the value: it is less than the size, which is a usize, and a run's length.
        let run = (((mixed >> 32) * runs) >> 32) as usize;
        let place = run * RUN + (seq % RUN as u64) as usize;
        // Of a table that is shorter than a run.
        if place < size { place } else { place % size }
    }

    fn after(&self, place: usize) -> usize {
        let next = place + 1;
        if next == self.entries.as_ref().len() { 0 } else { next }
    }
}
