//! Bad input and the ends of all ranges, one by one.

use cloakroom::sync::{NoopRawMutex, SpinRawMutex};
use cloakroom::{Arena, RedeemError, Ticket, TryAllocError};

type Small = Arena<SpinRawMutex, 8, 64, 4>;

#[test]
fn no_bytes_take_a_descriptor_and_no_page() {
    let arena = Small::new();
    let lease = arena.try_alloc(0).expect("empty");
    assert_eq!((lease.len(), lease.capacity()), (0, 0));
    assert_eq!((arena.snapshot().live, arena.snapshot().free), (1, 8));
    let ticket = lease.deposit();
    assert!(arena.redeem(ticket).expect("live").is_empty());
    assert_eq!(arena.snapshot().live, 0);
}

#[test]
fn exactly_the_arena_fits() {
    let arena = Small::new();
    let mut lease = arena.try_alloc(8 * 64).expect("empty");
    lease.fill(0xaa);
    assert_eq!(arena.snapshot().free, 0);
    assert_eq!(arena.try_alloc(1).err(), Some(TryAllocError::Full));
    // No page is needed for this one.
    assert!(arena.try_alloc(0).is_ok());
}

#[test]
fn one_byte_more_than_the_arena_never_fits() {
    let arena = Small::new();
    assert_eq!(arena.try_alloc(8 * 64 + 1).err(), Some(TryAllocError::TooLarge));
    assert!(matches!(
        arena.handle().try_alloc_scattered(8 * 64 + 1).err(),
        Some(TryAllocError::TooLarge)
    ));
}

#[test]
fn the_largest_number_never_fits() {
    let arena = Small::new();
    for len in [usize::MAX, usize::MAX - 62, u32::MAX as usize, usize::MAX / 2 + 1] {
        assert_eq!(arena.try_alloc(len).err(), Some(TryAllocError::TooLarge));
        assert_eq!(arena.handle().try_alloc_scattered(len).err(), Some(TryAllocError::TooLarge));
    }
}

#[test]
fn an_arena_of_nothing_refuses_everything() {
    let arena: Arena<NoopRawMutex, 0, 64, 0> = Arena::new();
    assert_eq!(arena.try_alloc(0).err(), Some(TryAllocError::Full));
    assert_eq!(arena.try_alloc(1).err(), Some(TryAllocError::TooLarge));
    assert!(arena.redeem(Ticket::from_bits(0)).is_err());
    assert!(arena.compact(usize::MAX).finished);
    assert!(arena.handle().verify().is_clean());
}

#[test]
fn descriptors_can_run_out_before_pages() {
    let arena = Small::new();
    let leases: Vec<_> = (0..4).map(|_| arena.try_alloc(1).expect("room")).collect();
    assert_eq!(arena.snapshot().free, 4);
    assert_eq!(arena.try_alloc(1).err(), Some(TryAllocError::Full));
    assert_eq!(arena.try_alloc(0).err(), Some(TryAllocError::Full));
    drop(leases);
    // A descriptor that kept its page for the next small request serves a large one as well.
    assert!(arena.try_alloc(8 * 64).is_ok());
}

#[test]
fn pages_can_run_out_before_descriptors() {
    let arena = Small::new();
    let leases: Vec<_> = (0..2).map(|_| arena.try_alloc(4 * 64).expect("room")).collect();
    assert_eq!((arena.snapshot().free, arena.snapshot().live), (0, 2));
    assert_eq!(arena.try_alloc(1).err(), Some(TryAllocError::Full));
    drop(leases);
    assert!(arena.try_alloc(1).is_ok());
}

#[test]
fn an_odd_ticket_is_refused() {
    let arena = Small::new();
    let ticket = arena.try_alloc(5).expect("room").deposit();
    for bits in [0, 1, u64::MAX, !ticket.to_bits(), ticket.to_bits() ^ 4, u64::MAX >> 1] {
        assert!(arena.redeem(Ticket::from_bits(bits)).is_err(), "{bits:#x}");
        assert!(arena.handle().discard(Ticket::from_bits(bits)).is_err(), "{bits:#x}");
        assert!(arena.handle().redeem_scattered(Ticket::from_bits(bits)).is_err(), "{bits:#x}");
    }
    // None of that did the genuine one any harm.
    assert_eq!(arena.redeem(ticket).expect("live").len(), 5);
}

#[test]
fn a_second_redeem_is_stale() {
    let arena = Small::new();
    let ticket = arena.try_alloc(5).expect("room").deposit();
    let lease = arena.redeem(ticket).expect("live");
    assert_eq!(arena.redeem(ticket).err(), Some(RedeemError::Stale), "while it is in hand");
    drop(lease);
    assert_eq!(arena.redeem(ticket).err(), Some(RedeemError::Stale), "when it is freed");
    let _next = arena.try_alloc(5).expect("room").deposit();
    assert_eq!(
        arena.redeem(ticket).err(),
        Some(RedeemError::Stale),
        "when its descriptor is reused"
    );
}

#[test]
fn a_ticket_is_good_as_often_as_it_was_deposited() {
    let arena = Small::new();
    let lease = arena.try_alloc_from(b"thrice").expect("room");
    let tickets = [lease.clone(), lease.clone(), lease].map(|lease| lease.deposit().expect("few"));
    assert!(tickets.iter().all(|&ticket| ticket == tickets[0]));
    for ticket in tickets {
        assert_eq!(&arena.redeem(ticket).expect("live")[..], b"thrice");
    }
    assert_eq!(arena.redeem(tickets[0]).err(), Some(RedeemError::Stale));
}

#[test]
fn the_16383rd_ticket_is_refused_and_its_lease_comes_back() {
    let arena = Small::new();
    let lease = arena.try_alloc_from(b"popular").expect("room");
    let mut ticket = None;
    for _ in 0..16_382 {
        ticket = Some(lease.clone().deposit().expect("up to 16,382"));
    }
    let error = lease.deposit().expect_err("one too many");
    assert_eq!(&error.0[..], b"popular");
    drop(error);
    let ticket = ticket.expect("many");
    for _ in 0..16_382 {
        arena.handle().discard(ticket).expect("live");
    }
    assert_eq!(arena.snapshot().live, 0, "the counts add up at their limit");
}

#[test]
fn too_many_leases_make_a_payload_stay() {
    let arena = Small::new();
    let lease = arena.try_alloc_from(b"very popular").expect("room");
    let leases: Vec<_> = (0..20_000).map(|_| lease.clone()).collect();
    drop(leases);
    // The count has stuck: kept for ever, which is safe, rather than freed too early, which is not.
    assert_eq!(&lease[..], b"very popular");
    let lease = lease.try_into_mut().expect_err("not provably the only one");
    let ticket = lease.deposit().expect("tickets are counted apart");
    assert_eq!(&arena.redeem(ticket).expect("live")[..], b"very popular");
    assert_eq!(arena.redeem(ticket).err(), Some(RedeemError::Stale));
    assert_eq!(arena.snapshot().live, 1);
}

#[test]
fn fewer_leases_than_that_do_not() {
    let arena = Small::new();
    let lease = arena.try_alloc_from(b"just so").expect("room");
    // With the first one, 16,382: the most that are counted.
    let leases: Vec<_> = (0..16_381).map(|_| lease.clone()).collect();
    drop(leases);
    assert!(lease.try_into_mut().is_ok());
    assert_eq!(arena.snapshot().live, 0);
}

#[test]
fn an_epoch_changes_only_when_nothing_is_live() {
    let arena = Small::new();
    let arena = arena.handle();
    assert!(arena.set_epoch(5));
    let ticket = arena.try_alloc(1).expect("room").deposit();
    assert!(!arena.set_epoch(6));
    arena.discard(ticket).expect("still of the same epoch");
    assert!(arena.set_epoch(6));
}

#[test]
fn a_minimum_that_cannot_be_kept_is_refused() {
    use cloakroom::HomeError;
    let arena = Small::new();
    let arena = arena.handle();
    assert_eq!(arena.open_home(2, 3).err(), Some(HomeError::Minimum));
    let lease = arena.try_alloc(5 * 64).expect("room");
    assert_eq!(arena.open_home(8, 4).err(), Some(HomeError::Minimum));
    drop(lease);
    for _ in 0..3 {
        assert!(arena.open_home(8, 1).is_ok());
    }
    assert_eq!(arena.open_home(8, 0).err(), Some(HomeError::TooMany));
    assert_eq!(arena.try_alloc(6 * 64).err(), Some(TryAllocError::Full));
    assert!(arena.try_alloc(5 * 64).is_ok());
}
