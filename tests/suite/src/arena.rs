//! Leases, lengths, typed values and quotas.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cloakroom::sync::RawMutex;
use cloakroom::{Arena, HomeError, TryAllocError};

use crate::check::Outcome;
use crate::fixture::{Counted, Numbers};

tests!("arena":
    a_lease_keeps_its_bytes_and_its_address,
    leases_are_counted_and_never_copied,
    a_shared_lease_is_not_writable,
    a_length_of_zero_takes_no_page,
    too_large_is_told_from_full,
    a_lease_is_cut_to_what_was_written,
    descriptors_may_run_out_before_pages,
    a_value_is_dropped_in_place,
    a_value_that_does_not_fit_comes_back,
    a_home_stops_at_its_cap,
    a_home_has_its_minimum_whatever_others_do,
    homes_are_checked_when_they_are_opened,
    the_books_balance_after_any_history,
);

fn a_lease_keeps_its_bytes_and_its_address<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 4> = Arena::new();
    let mut lease = ok!(arena.try_alloc(20));
    lease.copy_from_slice(b"twenty bytes of text");
    let address = lease.as_ptr();
    let other = ok!(arena.try_alloc_from(&[0xff; 16]));
    let lease = lease.freeze();
    check_eq!(&*lease, b"twenty bytes of text");
    check_eq!(lease.as_ptr(), address);
    check_eq!(other.len(), 16);
    check_eq!(arena.snapshot().free, 8 - 2 - 1);
    drop((lease, other));
    check_eq!(arena.snapshot().free, 8);
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn leases_are_counted_and_never_copied<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 4> = Arena::new();
    let first = ok!(arena.try_alloc_from(b"shared"));
    let second = first.clone();
    check_eq!(first.as_ptr(), second.as_ptr());
    check_eq!(arena.snapshot().live, 1);
    drop(first);
    check_eq!(&*second, b"shared");
    drop(second);
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn a_shared_lease_is_not_writable<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 4> = Arena::new();
    let first = ok!(arena.try_alloc_from(b"shared"));
    let second = first.clone();
    let first = expect!(first.try_into_mut(), Err(lease) => lease);
    drop(second);
    let mut sole = ok!(first.try_into_mut());
    sole[0] = b'S';
    check_eq!(&*sole, b"Shared");
    Ok(())
}

fn a_length_of_zero_takes_no_page<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 2, 16, 4> = Arena::new();
    let empty = ok!(arena.try_alloc(0));
    check!(empty.is_empty());
    let snapshot = arena.snapshot();
    check_eq!((snapshot.free, snapshot.live), (2, 1));
    let ticket = empty.deposit();
    check!(ok!(arena.redeem(ticket)).is_empty());
    check_eq!(arena.snapshot().live, 0);
    Ok(())
}

fn too_large_is_told_from_full<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    check!(matches!(arena.try_alloc(65), Err(TryAllocError::TooLarge)));
    check!(matches!(arena.try_alloc(usize::MAX), Err(TryAllocError::TooLarge)));
    let whole = ok!(arena.try_alloc(64));
    check!(matches!(arena.try_alloc(1), Err(TryAllocError::Full)));
    check_eq!(arena.snapshot().failed, 1);
    drop(whole);
    check!(arena.try_alloc(64).is_ok());
    Ok(())
}

fn a_lease_is_cut_to_what_was_written<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 4, 16, 4> = Arena::new();
    let mut lease = ok!(arena.try_alloc(40));
    check_eq!(lease.capacity(), 48);
    ok!(lease.set_len(48));
    check_eq!(lease.set_len(49), Err(TryAllocError::TooLarge));
    ok!(lease.set_len(3));
    check_eq!(lease.len(), 3);
    check_eq!(arena.snapshot().free, 1);
    Ok(())
}

fn descriptors_may_run_out_before_pages<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 2> = Arena::new();
    let first = ok!(arena.try_alloc(1));
    let second = ok!(arena.try_alloc(1));
    check!(matches!(arena.try_alloc(1), Err(TryAllocError::Full)));
    drop(first);
    // The descriptor that came back has a page of its own on the shelf: another length fits, too.
    check!(arena.try_alloc(48).is_ok());
    drop(second);
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn a_value_is_dropped_in_place<M: RawMutex + 'static>() -> Outcome {
    let count = AtomicU32::new(0);
    let arena: Arena<M, 8, 16, 4> = Arena::new();
    let value = ok!(arena.try_alloc_value((Counted::new(&count), 7u32)));
    check_eq!((value.1, count.load(Relaxed)), (7, 1));
    let (counted, seven) = value.into_inner();
    check_eq!((seven, count.load(Relaxed), arena.snapshot().live), (7, 1, 0));
    let value = ok!(arena.try_alloc_value(counted));
    drop(value);
    check_eq!((count.load(Relaxed), arena.snapshot().live), (0, 0));
    Ok(())
}

fn a_value_that_does_not_fit_comes_back<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 2, 16, 4> = Arena::new();
    let error = expect!(arena.try_alloc_value([5u8; 33]), Err(error) => error);
    check_eq!((error.why, error.value), (TryAllocError::TooLarge, [5; 33]));
    let taken = ok!(arena.try_alloc(32));
    let error = expect!(arena.try_alloc_value(6u32), Err(error) => error);
    check_eq!((error.why, error.value), (TryAllocError::Full, 6));
    drop(taken);
    Ok(())
}

fn a_home_stops_at_its_cap<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let home = ok!(arena.handle().open_home(2, 0));
    let kept = ok!(home.try_alloc(32));
    check!(matches!(home.try_alloc(1), Err(TryAllocError::Full)));
    check!(matches!(home.try_alloc(33), Err(TryAllocError::TooLarge)));
    check!(arena.try_alloc(6 * 16).is_ok());
    check_eq!(home.snapshot().used, 2);
    // A payload stays on its home's account wherever it goes.
    let ticket = kept.deposit();
    check_eq!(home.snapshot().used, 2);
    ok!(arena.handle().discard(ticket));
    check_eq!(home.snapshot().used, 0);
    Ok(())
}

fn a_home_has_its_minimum_whatever_others_do<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 8> = Arena::new();
    let home = ok!(arena.handle().open_home(4, 2));
    check_eq!(arena.snapshot().promised, 2);
    check!(matches!(arena.try_alloc(7 * 16), Err(TryAllocError::Full)));
    let others = ok!(arena.try_alloc(6 * 16));
    let own = ok!(home.try_alloc(2 * 16));
    check!(matches!(home.try_alloc(1), Err(TryAllocError::Full)));
    drop(own);
    // It is promised again as soon as it is free.
    check!(matches!(arena.try_alloc(1), Err(TryAllocError::Full)));
    drop(others);
    check!(arena.handle().verify().is_clean());
    Ok(())
}

fn homes_are_checked_when_they_are_opened<M: RawMutex + 'static>() -> Outcome {
    let arena: Arena<M, 8, 16, 4, 3> = Arena::new();
    let arena = arena.handle();
    check!(matches!(arena.open_home(1, 2), Err(HomeError::Minimum)));
    let first = ok!(arena.open_home(8, 6));
    check!(matches!(arena.open_home(8, 3), Err(HomeError::Minimum)));
    let second = ok!(arena.open_home(8, 2));
    check!(matches!(arena.open_home(1, 0), Err(HomeError::TooMany)));
    check!(first.id() != second.id());
    Ok(())
}

/// Random allocations, deposits, redeems and releases: contents stay right, the books balance.
fn the_books_balance_after_any_history<M: RawMutex + 'static>() -> Outcome {
    const SLOTS: usize = 8;
    let arena: Arena<M, 24, 16, SLOTS> = Arena::new();
    let mut numbers = Numbers::new(0x1234_5677);
    let mut in_hand = [const { None }; SLOTS];
    let mut at_rest = [None; SLOTS];
    for round in 0..400u32 {
        let slot = numbers.below(SLOTS);
        match (in_hand[slot].take(), at_rest[slot].take()) {
            (None, None) => {
                let len = numbers.below(70);
                if let Ok(mut lease) = arena.try_alloc(len) {
                    lease.fill(slot as u8);
                    in_hand[slot] = Some(lease);
                }
            }
            (Some(lease), _) => {
                check!(lease.iter().all(|&byte| usize::from(byte) == slot));
                if numbers.below(3) > 0 {
                    at_rest[slot] = Some(lease.deposit());
                }
            }
            (None, Some(ticket)) => {
                let lease = ok!(arena.redeem(ticket));
                check!(lease.iter().all(|&byte| usize::from(byte) == slot));
                if numbers.below(3) > 0 {
                    in_hand[slot] = lease.try_into_mut().ok();
                    check!(in_hand[slot].is_some());
                }
            }
        }
        if round % 8 == 0 {
            arena.compact(numbers.below(6));
        }
        check!(arena.handle().verify().is_clean());
    }
    let held = in_hand.iter().flatten().count() + at_rest.iter().flatten().count();
    check_eq!(arena.snapshot().live, held);
    Ok(())
}
