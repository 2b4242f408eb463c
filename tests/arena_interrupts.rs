//! An interrupt between any two critical sections.
//!
//! The lock of these arenas calls an "interrupt handler" right after its n-th release. Each test runs
//! one operation again and again, with the interrupt one critical section later each time, until the
//! operation is over before the interrupt comes. Once with a lock of size zero, under which state words
//! are changed inside the lock, and once with a lock that has a state, where they are changed outside.

use std::cell::{Cell, RefCell};

use cloakroom::sync::RawMutex;
use cloakroom::{Arena, ArenaRef, Lease};

thread_local! {
    /// Critical sections until the interrupt; `None`: none is due.
    static COUNTDOWN: Cell<Option<usize>> = const { Cell::new(None) };
    static HANDLER: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

fn critical_section_ends() {
    match COUNTDOWN.get() {
        Some(0) => {
            COUNTDOWN.set(None);
            if let Some(handler) = HANDLER.take() {
                handler();
            }
        }
        Some(left) => COUNTDOWN.set(Some(left - 1)),
        None => {}
    }
}

/// The lock of a single core.
struct Global;
/// A lock that several cores would share.
struct PerObject(#[allow(dead_code)] u8);

// SAFETY: one thread, no preemption inside the closure, and not `Sync` arenas.
unsafe impl RawMutex for Global {
    const INIT: Self = Self;
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let result = f();
        critical_section_ends();
        result
    }
}
// SAFETY: as above.
unsafe impl RawMutex for PerObject {
    const INIT: Self = Self(0);
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let result = f();
        critical_section_ends();
        result
    }
}

type Subject<M> = Arena<M, 16, 16, 16>;

/// Runs `operation` on a fresh arena prepared by `prepare`, with `handler` at every possible place.
fn interrupt_everywhere<M: RawMutex + 'static, S: 'static, H: 'static>(
    prepare: impl Fn(ArenaRef<'static, M>) -> (S, H),
    operation: impl Fn(ArenaRef<'static, M>, S),
    handler: impl Fn(ArenaRef<'static, M>, H) + Copy + 'static,
) {
    for place in 0.. {
        let arena: &'static Subject<M> = Box::leak(Box::default());
        let arena = arena.handle();
        let (subject, held) = prepare(arena);
        HANDLER.set(Some(Box::new(move || handler(arena, held))));
        COUNTDOWN.set(Some(place));
        operation(arena, subject);
        let over = COUNTDOWN.take().is_some();
        HANDLER.set(None);
        let verdict = arena.verify();
        let broken: Vec<_> = verdict.violations().collect();
        assert!(verdict.is_clean(), "interrupted at critical section {place}: {broken:?}");
        arena.compact(usize::MAX);
        let total = arena.snapshot();
        assert_eq!(total.live, 0, "interrupted at {place}: something is left");
        assert_eq!(total.free, total.pages);
        assert!(arena.try_alloc(16 * 16).is_ok(), "interrupted at {place}: not one free run");
        if over {
            // Under a lock with a state some operations do without: there is no place for an interrupt then.
            let without = size_of::<M>() != 0;
            assert!(place > 0 || without, "the operation has a critical section at least");
            return;
        }
    }
}

macro_rules! with_both_locks {
    ($($name:ident => $body:ident;)*) => {
        mod global {
            $(#[test] fn $name() { super::$body::<super::Global>(); })*
        }
        mod per_object {
            $(#[test] fn $name() { super::$body::<super::PerObject>(); })*
        }
    };
}

with_both_locks! {
    a_parcel_is_dropped_while_compaction_begins => dropped_parcel;
    a_parcel_is_redeemed_while_compaction_begins => redeemed_parcel;
    a_ticket_is_redeemed_while_compaction_begins => redeemed_ticket;
    compaction_is_interrupted_by_a_redeem => redeem_in_compaction;
    compaction_is_interrupted_by_an_allocation_of_all => alloc_in_compaction;
    compaction_is_interrupted_by_dropping_a_parcel => drop_in_compaction;
    compaction_is_interrupted_by_compaction => compaction_in_compaction;
    a_release_is_interrupted_by_an_allocation_of_all => alloc_in_release;
    a_chain_is_dropped_while_compaction_begins => dropped_chain;
    a_chain_is_deposited_while_compaction_begins => deposited_chain;
    a_parcel_whose_number_was_stolen_is_stale => stolen_parcel;
}

/// A gap of one page below a payload of three at rest: what compaction will move.
fn gap_below<M: RawMutex>(arena: ArenaRef<'static, M>) -> Lease<'static, M> {
    // Runs are taken from the top, so the last one is the lowest.
    let top = arena.try_alloc_from(&[1; 12 * 16]).expect("empty");
    let payload = arena.try_alloc_from(&[7; 3 * 16]).expect("room");
    drop(top);
    payload
}

fn dropped_parcel<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| (gap_below(arena).into_parcel().expect("few"), ()),
        |_, parcel| drop(parcel),
        |arena, ()| {
            arena.compact(1);
        },
    );
}

fn redeemed_parcel<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| (gap_below(arena).into_parcel().expect("few"), ()),
        |_, parcel| assert_eq!(parcel.redeem().expect("owned")[..], [7; 48]),
        |arena, ()| {
            arena.compact(1);
        },
    );
}

fn redeemed_ticket<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| (gap_below(arena).deposit().expect("few"), ()),
        |arena, ticket| assert_eq!(arena.redeem(ticket).expect("live")[..], [7; 48]),
        |arena, ()| {
            arena.compact(1);
        },
    );
}

fn redeem_in_compaction<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| {
            let ticket = gap_below(arena).deposit().expect("few");
            (ticket, ticket)
        },
        |arena, ticket| {
            arena.compact(usize::MAX);
            // When the interrupt came later than that, it is still there.
            if let Ok(lease) = arena.redeem(ticket) {
                assert_eq!(lease[..], [7; 48]);
            }
        },
        |arena, ticket| {
            if let Ok(lease) = arena.redeem(ticket) {
                assert_eq!(lease[..], [7; 48]);
            }
        },
    );
}

fn alloc_in_compaction<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| {
            let payload = gap_below(arena);
            // Both sides of the payload are free, 13 pages in all; at rest it is in nobody's way.
            (payload.into_parcel().expect("few"), ())
        },
        |arena, parcel| {
            arena.compact(usize::MAX);
            assert_eq!(parcel.redeem().expect("owned")[..], [7; 48]);
        },
        |arena, ()| {
            // The gap of a move that is under way is free memory like any other: twelve pages in one
            // run are there before, during and after.
            if let Err(why) = arena.try_alloc(12 * 16) {
                panic!("{why:?}: {:?}", arena.snapshot());
            }
        },
    );
}

fn drop_in_compaction<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| ((), gap_below(arena).into_parcel().expect("few")),
        |arena, ()| {
            arena.compact(usize::MAX);
        },
        |_, parcel| drop(parcel),
    );
}

fn compaction_in_compaction<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| (gap_below(arena).into_parcel().expect("few"), ()),
        |arena, parcel| {
            arena.compact(usize::MAX);
            assert_eq!(parcel.redeem().expect("owned")[..], [7; 48]);
        },
        |arena, ()| {
            arena.compact(usize::MAX);
        },
    );
}

fn alloc_in_release<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| {
            // Nine pages (too many for a shelf), with free runs on both sides.
            let top = arena.try_alloc(3 * 16).expect("empty");
            let middle = arena.try_alloc_from(&[3; 9 * 16]).expect("room");
            drop(top);
            assert!(arena.compact(0).pages_moved == 0);
            (middle, ())
        },
        |_, middle| drop(middle),
        |arena, ()| {
            // Either the payload is still there, or its pages are free, and then so is everything, in
            // one run, although the one who released it may not have joined it to its neighbours yet.
            let free = arena.snapshot().free;
            assert!(free == 7 || free == 16);
            if free == 16 {
                assert!(
                    arena.try_alloc(16 * 16).is_ok(),
                    "everything is free, but nobody can have it"
                );
            }
        },
    );
}

fn dropped_chain<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| {
            let (chain, pins) = broken_up(arena);
            drop(pins);
            (chain, ())
        },
        |_, chain| drop(chain),
        |arena, ()| {
            arena.compact(1);
        },
    );
}

fn deposited_chain<M: RawMutex + 'static>() {
    interrupt_everywhere::<M, _, _>(
        |arena| {
            let (chain, pins) = broken_up(arena);
            drop(pins);
            (chain, ())
        },
        |arena, chain| {
            let ticket = chain.deposit();
            let chain = arena.redeem_scattered(ticket).expect("live");
            assert!(chain.segments().flatten().all(|&byte| byte == 9));
            assert_eq!(chain.len(), 4 * 16);
            let ticket = chain.deposit();
            arena.discard(ticket).expect("live");
        },
        |arena, ()| {
            arena.compact(1);
        },
    );
}

/// A chain of four pages in four runs, and what stands between them.
fn broken_up<M: RawMutex>(
    arena: ArenaRef<'static, M>,
) -> (cloakroom::arena::Chain<'static, M>, Vec<Lease<'static, M>>) {
    let pages: Vec<_> = (0..8).map(|_| arena.try_alloc_from(&[0; 16]).expect("room")).collect();
    let rest = arena.try_alloc(8 * 16).expect("room");
    let (even, odd): (Vec<_>, Vec<_>) =
        pages.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
    drop(even);
    let mut chain = arena.try_alloc_scattered(4 * 16).expect("four pages are free");
    assert_eq!(chain.write_at(0, &[9; 64]), 64);
    drop(rest);
    (chain, odd.into_iter().map(|(_, lease)| lease).collect())
}

/// Tickets are numbers, and anyone may find one: a dump shows them. Redeeming a parcel's number behind
/// its back is a mistake, but not one that may give two owners to one piece of memory.
fn stolen_parcel<M: RawMutex + 'static>() {
    let arena: Subject<M> = Arena::new();
    let arena = arena.handle();
    for reused in [false, true] {
        let parcel = arena.try_alloc_from(&[5; 16]).expect("room").into_parcel().expect("few");
        let dropped = arena.try_alloc_from(&[6; 16]).expect("room").into_parcel().expect("few");
        for dump in arena.dump().collect::<Vec<_>>() {
            drop(arena.redeem(dump.ticket).expect("a dump shows live tickets"));
        }
        let mut next = reused.then(|| arena.try_alloc(16).expect("room"));
        let mut after = reused.then(|| arena.try_alloc(16).expect("room"));
        assert!(parcel.redeem().is_err(), "two owners of one payload");
        drop(dropped);
        for lease in next.iter_mut().chain(after.iter_mut()) {
            lease.fill(1);
        }
        assert_eq!(arena.snapshot().live, if reused { 2 } else { 0 });
        assert!(arena.verify().is_clean());
    }
}
