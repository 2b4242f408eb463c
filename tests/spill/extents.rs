//! Extents: nobody has one that another has, and what is freed is found again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use cloakroom::spill::{Class, Extents, MemoryTarget, SpillTarget, Word};
use proptest::prelude::*;

/// The bytes that a slot takes.
fn range<const C: usize>(
    extents: &Extents<C, Vec<Word>>,
    classes: &[Class; C],
    extent: u32,
) -> std::ops::Range<u64> {
    let mut first = 0;
    let class = classes.iter().find(|class| {
        first += class.count;
        extent < first
    });
    let offset = extents.offset(extent);
    offset..offset + u64::from(class.expect("a slot of a class").bytes)
}

proptest! {
    #[test]
    fn slots_do_not_overlap(
        counts in prop::array::uniform3(0_u32..80),
        steps in prop::collection::vec((any::<bool>(), 0_usize..600, any::<prop::sample::Index>()), 0..300),
    ) {
        let classes = [(16, 0), (128, 1), (512, 2)].map(|(bytes, at)| Class { bytes, count: counts[at] });
        let words = counts.iter().sum::<u32>().div_ceil(32);
        let extents = Extents::new(classes, (0..words).map(|_| Word::new()).collect::<Vec<_>>());
        let mut taken = Vec::new();
        for (takes, len, which) in steps {
            if takes {
                let fits = classes.iter().any(|class| {
                    let held = |&&(_, bytes): &&(u32, u64)| bytes == u64::from(class.bytes);
                    class.bytes as usize >= len && taken.iter().filter(held).count() < class.count as usize
                });
                let extent = extents.take(len);
                prop_assert_eq!(extent.is_some(), fits);
                if let Some(extent) = extent {
                    let range = range(&extents, &classes, extent);
                    prop_assert!(range.end - range.start >= len as u64 && range.end <= extents.capacity());
                    taken.push((extent, range.end - range.start));
                }
            } else if !taken.is_empty() {
                let (extent, _) = taken.swap_remove(which.index(taken.len()));
                prop_assert!(extents.give_back(extent));
                prop_assert!(!extents.give_back(extent));
            }
            prop_assert_eq!(extents.used(), taken.iter().map(|(_, bytes)| bytes).sum::<u64>());
            let mut ranges: Vec<_> = taken.iter().map(|&(extent, _)| range(&extents, &classes, extent)).collect();
            ranges.sort_by_key(|range| range.start);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}

#[test]
fn threads_never_have_the_same_slot() {
    let extents = Extents::new([Class { bytes: 8, count: 70 }], Word::free::<3>());
    let owners: Vec<AtomicU32> = (0..70).map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..5_000 {
                    let taken: HashSet<u32> =
                        (0..round % 24).filter_map(|_| extents.take(8)).collect();
                    for &slot in &taken {
                        assert_eq!(owners[slot as usize].fetch_add(1, Ordering::Relaxed), 0);
                    }
                    for slot in taken {
                        owners[slot as usize].fetch_sub(1, Ordering::Relaxed);
                        assert!(extents.give_back(slot));
                    }
                }
            });
        }
    });
    assert_eq!(extents.used(), 0);
}

#[test]
fn slots_beyond_the_memory_or_without_a_bit_are_not_used() {
    let mut memory = [0; 100];
    let extents = Extents::new([Class { bytes: 32, count: 64 }], Word::free::<2>());
    let target = MemoryTarget::new(&mut memory, extents);
    assert_eq!(target.capacity(), 96);
    assert_eq!((0..9).filter(|_| target.store(&[1; 32]).is_ok()).count(), 3);
    let extents = Extents::new([Class { bytes: 1, count: 1000 }], Word::free::<2>());
    assert_eq!((0..1000).filter_map(|_| extents.take(1)).count(), 64);
    assert!(!extents.give_back(64));
}
