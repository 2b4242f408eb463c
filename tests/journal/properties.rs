//! Properties of the format and of recovery, against plain models.

use std::collections::{BTreeMap, VecDeque};

use cloakroom::journal::{
    Binding, CLOSED, Damage, Flags, Index, Keys, Kind, Live, LogDevice, Memory, OpenPolicy,
    Position, Record, RecordHeader, RecoveryReport, Remembered, SegmentHeader, Shape, SlotState,
    recover,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Send(u16, u64, u8),
    Remove(u16, u64),
    Range(u16, u64, u64),
}

/// Keys and numbers, those that were cancelled apart.
type Ring = VecDeque<Option<(u64, u64)>>;

/// Few channels and numbers, so that they meet; some far away.
fn step() -> impl Strategy<Value = Step> {
    let chan = || 0..3_u16;
    let seq = || prop_oneof![4 => 0..24_u64, 1 => u64::MAX - 24..=u64::MAX];
    prop_oneof![
        4 => (chan(), seq(), any::<u8>()).prop_map(|(chan, seq, len)| Step::Send(chan, seq, len)),
        1 => (chan(), seq()).prop_map(|(chan, seq)| Step::Remove(chan, seq)),
        1 => (chan(), seq(), seq()).prop_map(|(chan, a, b)| Step::Range(chan, a, b)),
    ]
}

fn live(chan: u16, seq: u64, len: u8) -> Live {
    Live::new(chan, seq, Position { segment: 1, offset: 64 }, u32::from(len))
}

proptest! {
    #[test]
    fn an_index_is_a_map(size in 0..40_usize, steps in prop::collection::vec(step(), 0..200)) {
        let mut entries = vec![Live::default(); size];
        let mut index = Index::new(&mut entries[..]);
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Send(chan, seq, len) => {
                    let full = model.len() >= index.capacity() && !model.contains_key(&(chan, seq));
                    let inserted = index.insert(live(chan, seq, len));
                    prop_assert_eq!(inserted.is_err(), full);
                    if let Ok(before) = inserted {
                        let known = model.insert((chan, seq), len);
                        prop_assert_eq!(before.map(|live| live.body_len), known.map(u32::from));
                    }
                }
                Step::Remove(chan, seq) => {
                    let removed = index.remove(chan, seq).map(|live| live.body_len);
                    prop_assert_eq!(removed, model.remove(&(chan, seq)).map(u32::from));
                }
                Step::Range(chan, first, last) => {
                    let mut removed = 0;
                    index.remove_range(chan, first, last, |_| removed += 1);
                    let before = model.len();
                    model.retain(|key, _| key.0 != chan || !(first..=last).contains(&key.1));
                    prop_assert_eq!(removed, before - model.len());
                }
            }
            prop_assert_eq!(index.len(), model.len());
            for (&(chan, seq), &len) in &model {
                prop_assert_eq!(index.get(chan, seq), Some(&live(chan, seq, len)));
                let behind = seq.checked_add(1).and_then(|next| {
                    model.range((chan, next)..(chan, CLOSED)).next().map(|(key, _)| key.1)
                });
                prop_assert_eq!(index.next_behind(chan, seq).map(|live| live.seq), behind);
            }
        }
        let (sorted, len) = index.into_sorted();
        let found = sorted[..len].iter().map(|live| ((live.chan, live.seq), live.body_len as u8));
        prop_assert_eq!(found.collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn keys_are_rings_of_what_came_last(
        window in 0..6_usize,
        windows in 0..4_usize,
        steps in prop::collection::vec((0..4_u16, 0..12_u64, 0..8_u8), 0..200),
    ) {
        let places = vec![Remembered::default(); window * windows];
        let mut keys = Keys::new(places, window);
        let mut model: Vec<(u16, Ring)> = Vec::new();
        for (number, (chan, key, what)) in (0_u64..).zip(steps) {
            // Keys that are close, and far away.
            let key = if key % 2 == 0 { key } else { u64::MAX / key };
            let known = model.iter().position(|(owner, _)| *owner == chan);
            if what == 0 {
                keys.forget(chan, number.saturating_sub(3), number);
                let forgotten = |it: &Option<(u64, u64)>| it.is_some_and(|it| it.1 + 3 >= number);
                if let Some(at) = known {
                    let own = model[at].1.iter_mut().filter(|it| forgotten(it));
                    own.for_each(|it| *it = None);
                }
                continue;
            }
            let room = window > 0 && (known.is_some() || model.len() < windows);
            prop_assert_eq!(keys.has_room(chan), room);
            prop_assert_eq!(keys.remember(chan, key, number).is_ok(), room);
            if !room {
                continue;
            }
            let at = known.unwrap_or_else(|| {
                model.push((chan, VecDeque::new()));
                model.len() - 1
            });
            let ring = &mut model[at].1;
            let before = ring.iter_mut().filter(|it| it.is_some_and(|it| it.0 == key));
            before.for_each(|it| *it = None);
            ring.push_back(Some((key, number)));
            if ring.len() > window {
                ring.pop_front();
            }
            for (chan, ring) in &model {
                for (key, number) in ring.iter().flatten() {
                    prop_assert_eq!(keys.find(*chan, *key), Some(*number));
                }
            }
            let all = model.iter().map(|(_, ring)| ring.iter().flatten().count());
            prop_assert_eq!(keys.len(), all.sum::<usize>());
        }
    }

    #[test]
    fn a_record_is_read_where_it_is_and_nowhere_else(
        (log_id, segment, offset) in (any::<u128>(), any::<u64>(), 0..1_u32 << 28),
        (chan, seq, slot, generation) in any::<(u16, u64, u32, u32)>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        elsewhere in 1..1_u32 << 28,
        flipped in 0..256_usize,
    ) {
        let (binding, offset) = (Binding { log_id, segment, shape: Shape::Long }, offset * 8);
        let record = Record::new(Kind::Send, chan, seq, &body).unwrap();
        let record = record.at_slot(slot, generation).flagged(Flags::CANCELLED);
        let mut bytes = vec![0xff; 300];
        let len = record.encode(&binding, offset, &mut bytes).unwrap();
        prop_assert_eq!(len % 8, 0);
        prop_assert_eq!(&bytes[32..32 + body.len()], &body[..]);
        prop_assert!(bytes[32 + body.len()..len].iter().all(|&byte| byte == 0));
        prop_assert!(bytes[len..].iter().all(|&byte| byte == 0xff));

        let mut header: [u8; 32] = bytes[..32].try_into().unwrap();
        prop_assert_eq!(RecordHeader::decode(&header, &binding, offset), Some(*record.header()));
        prop_assert_eq!(RecordHeader::decode(&header, &binding, offset ^ (elsewhere * 8)), None);
        let other = Binding { segment: segment ^ u64::from(elsewhere), ..binding };
        prop_assert_eq!(RecordHeader::decode(&header, &other, offset), None);
        let other = Binding { log_id: log_id ^ u128::from(elsewhere), ..binding };
        prop_assert_eq!(RecordHeader::decode(&header, &other, offset), None);
        header[flipped / 8] ^= 1 << (flipped % 8);
        prop_assert_eq!(RecordHeader::decode(&header, &binding, offset), None);
        prop_assert_eq!(record.encode(&binding, offset, &mut bytes[..len - 1]), None);
    }

    #[test]
    fn so_is_a_short_header(
        (log_id, segment, offset) in (any::<u128>(), any::<u64>(), 0..1_u32 << 28),
        (chan, seq, key, attempts) in (any::<u16>(), 0..1_u64 << 40, any::<Option<u64>>(), any::<u8>()),
        body in prop::collection::vec(any::<u8>(), 0..200),
        elsewhere in 1..1_u32 << 28,
        flipped in 0..256_usize,
    ) {
        let (binding, offset) = (Binding { log_id, segment, shape: Shape::Short }, offset * 8);
        // The last number stands for a closed channel, as with long ones.
        let seq = if seq == (1 << 40) - 1 { CLOSED } else { seq };
        let record = match key {
            Some(key) => Record::new(Kind::Send, chan, seq, &body).unwrap().keyed(key),
            None => Record::new(Kind::Reloc, chan, seq, &body).unwrap().counted(attempts),
        };
        let len = if key.is_some() { 28 } else { 20 };
        let mut header = record.header().encode(&binding, offset);
        prop_assert_eq!(RecordHeader::decode(&header, &binding, offset), Some(*record.header()));
        prop_assert_eq!(&header[len..], &[0; 12][..32 - len]);
        prop_assert_eq!(RecordHeader::decode(&header, &binding, offset ^ (elsewhere * 8)), None);
        let other = Binding { segment: segment ^ u64::from(elsewhere), ..binding };
        prop_assert_eq!(RecordHeader::decode(&header, &other, offset), None);
        let other = Binding { shape: Shape::Long, ..binding };
        prop_assert_eq!(RecordHeader::decode(&header, &other, offset), None);
        header[flipped % (8 * len) / 8] ^= 1 << (flipped % 8);
        prop_assert_eq!(RecordHeader::decode(&header, &binding, offset), None);
    }

    /// Whatever is written in whatever order, a recovery comes to what a plain map does; and whatever bytes are damaged, it
    /// comes to an end, and hands out nothing that was not sent.
    #[test]
    fn a_recovery_is_a_fold(
        steps in prop::collection::vec(step(), 0..60),
        damage in prop::collection::vec((64..BYTES - 64, any::<u8>()), 0..6),
        window in 64..600_usize,
    ) {
        let (mut bytes, model, sent) = written(&steps);
        let (found, _) = recovered(&bytes, window);
        prop_assert_eq!(&found, &model);
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        let (found, report) = recovered(&bytes, window);
        for key in found.keys() {
            prop_assert!(sent.contains(key));
        }
        for key in model.keys() {
            prop_assert!(found.contains_key(key) || report.damaged > 0, "{:?}", report);
        }
    }
}

const BYTES: usize = 32 << 10;

type Lengths = BTreeMap<(u16, u64), u32>;

/// A segment with these steps in it, what lives then, and everything that was sent.
fn written(steps: &[Step]) -> (Vec<u8>, Lengths, Vec<(u16, u64)>) {
    let header = SegmentHeader {
        log_id: 1,
        segment: 1,
        segment_bytes: BYTES as u64,
        geometry: 0,
        previous_end: 0,
        created: 0,
        shape: Shape::Long,
    };
    let mut bytes = vec![0; BYTES];
    bytes[..64].copy_from_slice(&header.encode());
    bytes[BYTES - 64..].copy_from_slice(&header.encode());
    let (mut at, mut model, mut sent) = (64, Lengths::new(), Vec::new());
    for step in steps {
        let range = |first: u64, last: u64| [first.to_le_bytes(), last.to_le_bytes()].concat();
        let (kind, chan, seq, body) = match *step {
            Step::Send(chan, seq, len) => {
                model.insert((chan, seq), u32::from(len));
                sent.push((chan, seq));
                (Kind::Send, chan, seq, vec![len; usize::from(len)])
            }
            Step::Remove(chan, seq) => {
                model.remove(&(chan, seq));
                (Kind::Ack, chan, 0, range(seq, seq))
            }
            Step::Range(chan, first, last) => {
                model.retain(|key, _| key.0 != chan || !(first..=last).contains(&key.1));
                (Kind::Ack, chan, 0, range(first, last))
            }
        };
        let record = Record::new(kind, chan, seq, &body).unwrap();
        at += record.encode(&header.binding(), at as u32, &mut bytes[at..]).unwrap();
    }
    (bytes, model, sent)
}

fn recovered(bytes: &[u8], window: usize) -> (Lengths, RecoveryReport) {
    struct One<'a>(&'a [u8]);
    impl LogDevice for One<'_> {
        type Error = ();
        fn slots(&self) -> u32 {
            1
        }
        fn segment_bytes(&self) -> u32 {
            BYTES as u32
        }
        fn read(&mut self, _: u32, offset: u32, buffer: &mut [u8]) -> Result<(), ()> {
            buffer.copy_from_slice(&self.0[offset as usize..offset as usize + buffer.len()]);
            Ok(())
        }
        fn write(&mut self, _: u32, _: u32, _: &[u8]) -> Result<(), ()> {
            Err(())
        }
        fn sync(&mut self, _: u32) -> Result<(), ()> {
            Err(())
        }
        fn renew(&mut self, _: u32) -> Result<(), ()> {
            Err(())
        }
    }
    let mut report = RecoveryReport::default();
    let memory = Memory {
        window: &mut vec![0; window],
        slots: &mut [SlotState::default(); 1],
        damage: &mut [Damage::default(); 64],
        report: &mut report,
        live: &mut vec![Live::default(); 128][..],
        keys: Keys::none(),
    };
    let found = recover(&mut One(bytes), memory, OpenPolicy::Salvage, 0).unwrap();
    let live = found.live.iter().map(|live| ((live.chan, live.seq), live.body_len)).collect();
    (live, *found.report)
}
