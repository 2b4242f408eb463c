//! Acknowledgements that are not written yet: ranges of messages, merged.

/// Messages of a channel that were acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) chan: u16,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Range {
    pub(super) const NONE: Self = Self { chan: 0, first: 0, last: 0 };

    /// As it is written.
    pub(super) fn encode(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.first.to_le_bytes());
        bytes[8..].copy_from_slice(&self.last.to_le_bytes());
        bytes
    }
}

pub(super) struct Acks<'m> {
    ranges: &'m mut [Range],
    len: usize,
    /// Messages of them that were in the index: a recovery has them there until it comes to the acknowledgement.
    pub(super) messages: usize,
}

impl<'m> Acks<'m> {
    pub(super) fn new(ranges: &'m mut [Range]) -> Self {
        Self { ranges, len: 0, messages: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether one of them is that message's.
    pub(super) fn has(&self, chan: u16, seq: u64) -> bool {
        let ranges = &self.ranges[..self.len];
        ranges.iter().any(|range| range.chan == chan && (range.first..=range.last).contains(&seq))
    }

    /// Notes one down; false if there is no room for it.
    pub(super) fn note(&mut self, chan: u16, first: u64, last: u64) -> bool {
        if self.join(chan, first, last) {
            return true;
        }
        if self.len == self.ranges.len() {
            self.merge();
        }
        let Some(place) = self.ranges.get_mut(self.len) else { return false };
        *place = Range { chan, first, last };
        self.len += 1;
        true
    }

    /// Makes one that is there longer.
    fn join(&mut self, chan: u16, first: u64, last: u64) -> bool {
        let mut ranges = self.ranges[..self.len].iter_mut().filter(|range| range.chan == chan);
        ranges.any(|range| {
            let behind = range.last.checked_add(1) == Some(first);
            let before = last.checked_add(1) == Some(range.first);
            if behind {
                range.last = last;
            } else if before {
                range.first = first;
            }
            behind || before
        })
    }

    /// In order, and those that touch are one.
    fn merge(&mut self) {
        self.ranges[..self.len].sort_unstable_by_key(|range| (range.chan, range.first));
        let mut kept = 0_usize;
        for index in 0..self.len {
            let range = self.ranges[index];
            match kept.checked_sub(1).map(|last| &mut self.ranges[last]) {
                Some(before)
                    if before.chan == range.chan
                        && before.last.checked_add(1).is_none_or(|next| range.first <= next) =>
                {
                    before.last = before.last.max(range.last);
                }
                _ => {
                    self.ranges[kept] = range;
                    kept += 1;
                }
            }
        }
        self.len = kept;
    }

    /// Up to `most` ranges of one channel, in order.
    pub(super) fn group(&mut self, most: usize) -> &[Range] {
        self.merge();
        let ranges = &self.ranges[..self.len];
        let Some(last) = ranges.last() else { return ranges };
        let before = ranges.iter().rev().take(most).take_while(|range| range.chan == last.chan);
        &ranges[ranges.len() - before.count()..]
    }

    /// Forgets the group of so many ranges.
    pub(super) fn written(&mut self, ranges: usize) {
        self.len = self.len.saturating_sub(ranges);
        if self.len == 0 {
            self.messages = 0;
        }
    }
}
