//! What cannot be reached, or not soon enough, through the public interface: used-up generations, and
//! payloads that change at rest.

extern crate std;

use super::Arena;
use super::descriptor::Row;
use super::word::{CasWords, LAST_GENERATION};
use crate::error::{RedeemError, TryAllocError};
use crate::sync::{NoopRawMutex, RawMutex, SpinRawMutex};

type Small<M> = Arena<M, 8, 64, 2>;

/// Gives a free descriptor another generation.
fn set_generation<M: RawMutex>(arena: &Small<M>, row: &Row, generation: u32) {
    arena.handle().core().map.with(|map| {
        let _ = row.word.update_held::<M>(map, |bits| Some(bits.with_generation(generation)));
    });
}

fn a_used_up_descriptor_is_retired_until_the_next_epoch<M: RawMutex>() {
    let arena: Small<M> = Arena::new();
    let handle = arena.handle();
    assert!(handle.set_epoch(1));
    // The first ticket ever of descriptor 0, kept to the end of its generations.
    let first = handle.try_alloc(1).expect("empty").deposit();
    handle.discard(first).expect("live");
    set_generation(&arena, handle.row(0), LAST_GENERATION - 1);

    let before_last = handle.try_alloc(64).expect("room").deposit();
    handle.discard(before_last).expect("live");
    assert_eq!(handle.snapshot().retired, 0);
    let last = handle.try_alloc(64).expect("room").deposit();
    assert_eq!(handle.row(0).word_generation(&handle), LAST_GENERATION);
    handle.discard(last).expect("live");

    // Out of service, its page given back, and no ticket of it is good: not even the first one, whose
    // generation the counter would come to next.
    assert_eq!(handle.snapshot().retired, 1);
    assert_eq!(handle.snapshot().free, 8);
    assert!(handle.verify().is_clean());
    for ticket in [first, before_last, last] {
        assert_eq!(handle.redeem(ticket).err(), Some(RedeemError::Stale));
    }
    let other = handle.try_alloc(8 * 64).expect("the other descriptor serves");
    assert_eq!(handle.try_alloc(0).err(), Some(TryAllocError::Full));
    assert!(!handle.set_epoch(2), "not while something is live");
    drop(other);

    // The present epoch again brings nothing back, as its tickets would come back, too.
    assert!(handle.set_epoch(1));
    assert_eq!(handle.snapshot().retired, 1);
    assert_eq!(handle.redeem(first).err(), Some(RedeemError::Stale));

    assert!(handle.set_epoch(2));
    assert_eq!(handle.snapshot().retired, 0);
    let both = [handle.try_alloc(1).expect("back"), handle.try_alloc(1).expect("never away")];
    let both = both.map(|lease| lease.deposit());
    for ticket in [first, before_last, last] {
        assert!(handle.redeem(ticket).is_err(), "a ticket of the last epoch");
    }
    for ticket in both {
        handle.discard(ticket).expect("live");
    }
    assert!(handle.verify().is_clean());
}

impl Row {
    fn word_generation<M: RawMutex>(&self, arena: &super::ArenaRef<'_, M>) -> u32 {
        arena.state(self).generation()
    }
}

#[test]
fn retirement_under_a_lock_of_no_size() {
    const { assert!(!CasWords::<NoopRawMutex>::YES) };
    a_used_up_descriptor_is_retired_until_the_next_epoch::<NoopRawMutex>();
}

#[test]
fn retirement_under_a_lock_with_a_state() {
    a_used_up_descriptor_is_retired_until_the_next_epoch::<SpinRawMutex>();
}

#[test]
fn an_arena_of_retired_descriptors_is_full_not_broken() {
    let arena: Small<SpinRawMutex> = Arena::new();
    let handle = arena.handle();
    for row in 0..2 {
        set_generation(&arena, handle.row(row), LAST_GENERATION);
        drop(handle.try_alloc(10 * row).expect("room"));
    }
    // The first free descriptor is the one released last, so both went through the last generation.
    while let Ok(lease) = handle.try_alloc(0) {
        drop(lease);
        set_generation(&arena, handle.row(1), LAST_GENERATION);
        set_generation(&arena, handle.row(0), LAST_GENERATION);
        if handle.snapshot().retired == 2 {
            break;
        }
    }
    assert_eq!(handle.snapshot().retired, 2);
    assert_eq!(handle.try_alloc(0).err(), Some(TryAllocError::Full));
    assert!(handle.set_epoch(9));
    assert!(handle.try_alloc(8 * 64).is_ok());
}

#[cfg(feature = "checksum")]
mod checksum {
    use super::*;

    /// Writes into a payload at rest, as a wild pointer would.
    fn damage<M: RawMutex>(arena: &Small<M>, descriptor: usize, at: usize) {
        let handle = arena.handle();
        // SAFETY: the page is the arena's, and nobody holds a reference into it: it is at rest.
        unsafe { *handle.page(handle.row(descriptor).start()).add(at) ^= 0x10 };
    }

    fn damage_is_reported_and_the_payload_freed<M: RawMutex>() {
        let arena: Small<M> = Arena::new();
        let handle = arena.handle();
        handle.set_checksums(true);
        let ticket = handle.try_alloc_from(&[7; 100]).expect("room").deposit().expect("few");
        damage(&arena, 0, 99);
        assert_eq!(handle.redeem(ticket).err(), Some(RedeemError::Damaged));
        assert_eq!(handle.redeem(ticket).err(), Some(RedeemError::Stale));
        let total = handle.snapshot();
        assert_eq!((total.damaged, total.live, total.free), (1, 0, 8));

        let parcel = handle.try_alloc_from(&[7; 100]).expect("room").into_parcel().expect("few");
        damage(&arena, 0, 0);
        assert_eq!(parcel.redeem().err(), Some(RedeemError::Damaged));
        assert_eq!(handle.snapshot().damaged, 2);
        assert!(handle.verify().is_clean());

        // What lies behind the payload's length is nobody's.
        let ticket = handle.try_alloc_from(&[7; 100]).expect("room").deposit().expect("few");
        damage(&arena, 0, 100);
        assert!(handle.redeem(ticket).is_ok());
    }

    #[test]
    fn damage_under_a_lock_of_no_size() {
        damage_is_reported_and_the_payload_freed::<NoopRawMutex>();
    }

    #[test]
    fn damage_under_a_lock_with_a_state() {
        damage_is_reported_and_the_payload_freed::<SpinRawMutex>();
    }

    #[test]
    fn the_sum_follows_the_payload() {
        let arena: Small<SpinRawMutex> = Arena::new();
        let handle = arena.handle();
        handle.set_checksums(true);
        let mut lease = handle.try_alloc(64).expect("room");
        for round in 0..5 {
            lease.fill(round);
            let ticket = lease.deposit();
            let shared = handle.redeem(ticket).expect("unchanged at rest");
            lease = shared.try_into_mut().expect("the only one");
        }
        // Moved by compaction, it is still what was deposited.
        let top = handle.try_alloc(64).expect("room");
        let ticket = top.deposit();
        drop(lease);
        handle.compact(usize::MAX);
        assert!(handle.redeem(ticket).is_ok());
        // Deposited without a sum: nothing is compared, whatever the policy says later.
        handle.set_checksums(false);
        let ticket = handle.try_alloc(64).expect("room").deposit();
        let descriptor = handle.dump().next().expect("one is live").descriptor;
        damage(&arena, descriptor, 1);
        handle.set_checksums(true);
        assert!(handle.redeem(ticket).is_ok());
    }
}
