//! What slots' headers say: which hold segments, and whether all are there.

use super::device::LogDevice;
use super::erasing::first;
use super::record::Position;
use super::recover::{Fold, LAST, Lives, Remembers, SlotState};
use super::report::{Damage, DamageKind, RecoverError};
use super::scan::Window;
use super::segment::{HeaderError, SEGMENT_HEADER, SegmentHeader};

/// What the headers say.
pub(super) struct Survey {
    pub(super) log_id: Option<u128>,
    pub(super) segments: usize,
    /// Segments before are done with, as the newest checkpoint has it; 0 if that was not looked for.
    pub(super) first: u64,
}

impl Survey {
    pub(super) fn take<D: LogDevice, L: Lives, K: Remembers>(
        device: &mut D,
        window: &mut Window<'_>,
        slots: &mut [SlotState],
        fold: &mut Fold<'_, L, K>,
        geometry: u32,
    ) -> Result<Self, RecoverError<D::Error>> {
        let count = device.slots() as usize;
        let have = slots.len();
        let slots = slots.get_mut(..count).ok_or(RecoverError::TooManySlots { have })?;
        let mut log_id = None;
        let mut segments = 0;
        for (slot, state) in (0..).zip(slots.iter_mut()) {
            let bytes = device.segment_bytes();
            let available = device.available(slot).map_err(RecoverError::Device)?.min(bytes);
            *state = SlotState { slot, available: available & !7, ..SlotState::default() };
            window.open(slot, available);
            let last = bytes.saturating_sub(SEGMENT_HEADER as u32);
            let copies = [0, last].map(|at| match window.array(device, at) {
                Some(bytes) => SegmentHeader::decode(&bytes),
                None => Err(HeaderError::Damaged),
            });
            let header = match copies {
                [Ok(header), copy] | [copy, Ok(header)] => {
                    state.one_header = copy != Ok(header);
                    header
                }
                [Err(HeaderError::Newer { major, incompatible }), _]
                | [_, Err(HeaderError::Newer { major, incompatible })] => {
                    return Err(RecoverError::NewerFormat { major, incompatible });
                }
                _ => {
                    // Headers are durable before the first record is written: where there is none, a write of them was torn.
                    let whole = available == bytes;
                    let (from, to) =
                        if whole { (SEGMENT_HEADER as u32, last) } else { (0, available) };
                    state.spare = window.past_zeros(device, from, to) == Some(to);
                    if !state.spare {
                        let from = Position { segment: 0, offset: slot };
                        fold.damaged(Damage::new(DamageKind::Header, from, slot + 1))?;
                    }
                    continue;
                }
            };
            if header.geometry != geometry || header.segment_bytes != u64::from(bytes) {
                let (geometry, segment_bytes) = (header.geometry, header.segment_bytes);
                return Err(RecoverError::Geometry { geometry, segment_bytes });
            }
            let possible = (1..=LAST).contains(&header.segment) && header.shape == device.shape();
            if *log_id.get_or_insert(header.log_id) != header.log_id || !possible {
                return Err(RecoverError::Foreign { slot });
            }
            (state.segment, state.previous_end) = (header.segment, header.previous_end);
            segments += 1;
        }
        slots.sort_unstable_by_key(|state| (state.segment == 0, state.segment, state.slot));
        let first = match log_id {
            Some(log_id) if device.erases() => first(device, window, log_id, &slots[..segments]),
            _ => 0,
        };
        for pair in slots[..segments].windows(2) {
            let (before, after) = (pair[0].segment, pair[1].segment);
            if before == after {
                return Err(RecoverError::Foreign { slot: pair[1].slot });
            }
            fold.missing(first.max(before + 1), after)?;
        }
        Ok(Self { log_id, segments, first })
    }
}
