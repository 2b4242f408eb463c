//! What is different on a device that erases: an erase that was interrupted leaves anything at all.
//!
//! Segments that the log no longer needs are not looked into, however many of them are still there, in part. A slot without a
//! header that can be read was being erased, or begun, if the log is whole without it.

use super::device::LogDevice;
use super::keys::PAIR;
use super::record::{Binding, Kind, Position, RecordHeader};
use super::recover::{Fold, Lives, Remembers, SlotState, checkpoint, pairs};
use super::report::{Damage, DamageKind};
use super::scan::{Item, Scanner, Window};
use super::segment::SEGMENT_HEADER;

/// The first segment that counts: what the newest segment with a checkpoint says, which is read twice for that.
pub(super) fn first<D: LogDevice>(
    device: &mut D,
    window: &mut Window<'_>,
    log_id: u128,
    segments: &[SlotState],
) -> u64 {
    let room = device.segment_bytes() - SEGMENT_HEADER as u32;
    for state in segments.iter().rev() {
        window.open(state.slot, state.available);
        let binding = Binding { log_id, segment: state.segment, shape: device.shape() };
        let mut scanner = Scanner::new(binding, room.min(state.available), device.word());
        let mut first = 0;
        // Behind damage nothing is believed, see `Fold::is_cut_off`.
        while let Item::Record { offset, header } = scanner.next(window, device) {
            let found = checkpoint(device, window, offset, &header);
            first = found.map_or(first, |found| first.max(found.first));
        }
        if first > 0 {
            return first.min(state.segment);
        }
    }
    0
}

impl<L: Lives, K: Remembers> Fold<'_, L, K> {
    /// Whether a record says what the records before do not.
    pub(super) fn is_news<D: LogDevice>(
        &self,
        device: &mut D,
        window: &mut Window<'_>,
        offset: u32,
        header: &RecordHeader,
    ) -> bool {
        match header.kind() {
            Some(Kind::Batch | Kind::Scar) => false,
            Some(Kind::Attempt) => {
                let live = self.live.get(header.chan, header.seq);
                live.is_some_and(|live| live.attempts < header.attempts())
            }
            Some(Kind::Reloc | Kind::Close) => self.live.get(header.chan, header.seq).is_none(),
            Some(Kind::Keys) => pairs(header).any(|skip| {
                let body = offset + header.header_len(device.shape());
                let pair = window.array::<PAIR, D>(device, body + skip);
                pair.is_none_or(|pair| self.keys.is_news(header.chan, pair))
            }),
            Some(Kind::Checkpoint) => {
                let (found, known) = (checkpoint(device, window, offset, header), &self.checkpoint);
                found.is_none_or(|found| {
                    found.first > known.first
                        || found.max_seq > known.max_seq
                        || found.max_generation > known.max_generation
                })
            }
            _ => true,
        }
    }

    /// Slots without a header that can be read, of a device that erases: if nothing is missing, and no records of the segment to
    /// come are there, such a slot was being erased, or begun.
    pub(super) fn give_up<D: LogDevice>(
        &mut self,
        device: &mut D,
        window: &mut Window<'_>,
        slots: &mut [SlotState],
        segments: usize,
        log_id: Option<u128>,
    ) {
        let first = self.checkpoint.first;
        let (segments, others) = slots.split_at_mut(segments);
        let ends = segments.first().zip(segments.last());
        // A gap's `to` is how many segments it has.
        let missing = |damage: &Damage| {
            let end = damage.from.segment.saturating_add(u64::from(damage.to));
            damage.kind == DamageKind::Missing && end > first
        };
        if ends.is_some_and(|(oldest, _)| oldest.segment > first)
            || self.damage[..self.damages].iter().any(missing)
        {
            return;
        }
        let Some(log_id) = log_id else { return };
        let newest = match ends {
            Some((_, newest)) => newest.segment,
            // No log yet: its first segment was begun, and nothing else is there.
            None if others.iter().filter(|state| !state.spare).count() == 1 => 0,
            None => return,
        };
        let binding = Binding { log_id, segment: newest + 1, shape: device.shape() };
        let room = device.segment_bytes() - SEGMENT_HEADER as u32;
        for state in others.iter_mut().filter(|state| !state.spare) {
            window.open(state.slot, state.available);
            let mut scanner = Scanner::new(binding, room.min(state.available), device.word());
            state.spare = loop {
                let (offset, header) = match scanner.next(window, device) {
                    Item::Record { offset, header } => (offset, header),
                    Item::Damage { from, header: Some(header), .. }
                        if header.kind() != Some(Kind::Checkpoint) =>
                    {
                        (from, header)
                    }
                    Item::Damage { .. } => continue,
                    Item::End { .. } => break true,
                };
                if self.is_news(device, window, offset, &header) {
                    break false;
                }
            };
            if state.spare {
                let at = Position { segment: 0, offset: state.slot };
                self.keep_damage(|damage| damage.from != at);
            }
        }
    }
}
