//! What one thread has freed is there for all: nobody is refused because memory lies beside another thread.
#![cfg(feature = "std")]

use std::future::Future;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Waker};
use std::thread;

use cloakroom::std_layer::StdRawMutex;
use cloakroom::sync::SpinRawMutex;
use cloakroom::{Arena, TryAllocError};

const PAGE: usize = 64;

/// Allocates and frees `pages` pages, one by one and all at one time, on another thread.
fn elsewhere<const P: usize, const D: usize>(arena: &Arena<StdRawMutex, P, PAGE, D>, pages: usize) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let all: Vec<_> = (0..pages).map(|_| arena.try_alloc(PAGE).expect("room")).collect();
            drop(all);
        });
    });
}

#[test]
fn what_another_thread_has_freed_is_one_run_again() {
    let arena: Arena<StdRawMutex, 32, PAGE, 32> = Arena::new();
    elsewhere(&arena, 32);
    assert!(arena.try_alloc(32 * PAGE).is_ok());
}

#[test]
fn what_another_thread_has_freed_is_shown_as_free() {
    let arena: Arena<StdRawMutex, 32, PAGE, 32> = Arena::new();
    elsewhere(&arena, 20);
    let total = arena.snapshot();
    assert_eq!((total.free, total.live, total.high_water), (32, 0, 20));
    let kept = arena.try_alloc(PAGE).expect("room");
    elsewhere(&arena, 20);
    let total = arena.snapshot();
    assert_eq!((total.free, total.live, total.high_water), (31, 1, 21));
    assert_eq!(arena.handle().homes().map(|home| home.used).sum::<usize>(), 1);
    drop(kept);
    assert!(arena.handle().verify().is_clean());
    assert!(arena.handle().set_epoch(7), "nothing is live");
}

/// Trays run ahead of what is needed, and nothing is lost by that: neither the mark, beyond one page in 64, nor a page.
#[test]
fn what_is_made_ready_in_advance_is_a_sixty_fourth() {
    const PAGES: usize = 4096;
    static ARENA: Arena<StdRawMutex, PAGES, PAGE, PAGES> = Arena::new();
    let most = PAGES / 64;
    // The first one finds an arena that has never been used.
    elsewhere(&ARENA, 2);
    let mark = ARENA.snapshot().high_water;
    assert!(mark > 2 && mark <= 2 + most, "{mark}");
    // Each of them with a tray that is empty.
    let all_here = Barrier::new(7);
    thread::scope(|scope| {
        (0..7).for_each(|_| {
            scope.spawn(|| {
                let _lease = ARENA.try_alloc(PAGE).expect("room");
                all_here.wait();
            });
        });
    });
    let total = ARENA.snapshot();
    assert!(total.high_water <= 7 + most, "{}", total.high_water);
    assert_eq!((total.free, total.live), (PAGES, 0));
    let all: Vec<_> = (0..PAGES).map(|_| ARENA.try_alloc(PAGE).expect("room")).collect();
    assert_eq!(ARENA.snapshot().high_water, PAGES);
    drop(all);
    assert!(ARENA.handle().verify().is_clean());
}

#[test]
fn what_a_home_was_promised_is_not_taken_in_advance() {
    const PAGES: usize = 4096;
    static ARENA: Arena<StdRawMutex, PAGES, PAGE, PAGES> = Arena::new();
    let home = ARENA.handle().open_home(PAGES, PAGES - 8).expect("a home");
    let lease = ARENA.try_alloc(PAGE).expect("one page of eight");
    let kept: Vec<_> = (0..PAGES - 8).map(|_| home.try_alloc(PAGE).expect("promised")).collect();
    drop((lease, kept));
}

/// What one thread frees, another one gets: large payloads in that order, small ones the other way round. What the freeing thread keeps on its tray
/// comes last.
#[test]
fn large_payloads_come_back_in_the_order_in_which_they_were_freed() {
    /// Enough for the tray of who frees, and for two chains beside it.
    const MANY: usize = 64;
    fn order<const SIZE: usize>(arena: &Arena<StdRawMutex, MANY, SIZE, MANY>) -> Vec<usize> {
        let alloc = || arena.try_alloc(SIZE).expect("room");
        let all: Vec<_> = (0..MANY).map(|_| alloc()).collect();
        let starts: Vec<_> = all.iter().map(|lease| lease.as_ptr().addr()).collect();
        thread::scope(|scope| {
            // To the end of that thread it has its own tray.
            scope.spawn(|| all.into_iter().for_each(drop)).join().expect("it only frees");
        });
        let again: Vec<_> = (0..MANY / 2).map(|_| alloc()).collect();
        let place = |start: usize| starts.iter().position(|&other| other == start);
        again.iter().filter_map(|lease| place(lease.as_ptr().addr())).collect()
    }
    static LARGE: Arena<StdRawMutex, MANY, { 32 << 10 }, MANY> = Arena::new();
    static SMALL: Arena<StdRawMutex, MANY, PAGE, MANY> = Arena::new();
    let (large, small) = (order(&LARGE), order(&SMALL));
    assert_eq!((large.len(), small.len()), (MANY / 2, MANY / 2));
    assert!(large.is_sorted(), "{large:?}");
    assert!(small.is_sorted_by(|one, next| one > next), "{small:?}");
}

#[test]
fn descriptors_that_another_thread_has_freed_serve_again() {
    let arena: Arena<StdRawMutex, 32, PAGE, 4> = Arena::new();
    elsewhere(&arena, 4);
    let all: Vec<_> = (0..4).map(|_| arena.try_alloc(2 * PAGE).expect("a descriptor")).collect();
    assert_eq!(arena.try_alloc(0).err(), Some(TryAllocError::Full));
    drop(all);
}

#[test]
fn a_waiter_gets_what_another_thread_frees() {
    let arena: Arena<StdRawMutex, 8, PAGE, 8> = Arena::new();
    let held: Vec<_> = (0..8).map(|_| arena.try_alloc(PAGE).expect("room")).collect();
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiter = pin!(arena.alloc(8 * PAGE));
    assert!(waiter.as_mut().poll(&mut cx).is_pending());
    thread::scope(|scope| {
        scope.spawn(|| drop(held));
    });
    assert!(waiter.poll(&mut cx).is_ready());
}

/// Each thread holds two pages at most, and there is room for all of them.
#[test]
fn nobody_is_refused_while_there_is_room() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 20_000;
    static ARENA: Arena<SpinRawMutex, { THREADS * 3 }, PAGE, { THREADS * 2 }> = Arena::new();
    let all_here = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                all_here.wait();
                for round in 0..ROUNDS {
                    let one = ARENA.try_alloc(PAGE).expect("a page is free");
                    let other = (round % 3 == 0).then(|| ARENA.try_alloc(PAGE).expect("another"));
                    drop((one, other));
                }
            });
        }
    });
    let total = ARENA.snapshot();
    assert_eq!((total.free, total.live, total.failed), (THREADS * 3, 0, 0));
    assert!(total.high_water <= THREADS * 2, "{} pages were in use at once", total.high_water);
    assert!(ARENA.handle().verify().is_clean());
}

/// There is no pile for what is longer than eight pages, on any tray.
#[test]
fn what_is_too_long_for_trays_is_not_made_ready_in_advance() {
    static ARENA: Arena<StdRawMutex, 1024, PAGE, 1024> = Arena::new();
    let mut cx = Context::from_waker(Waker::noop());
    for pages in [1, 7, 8, 9, 10, 15, 16, 17, 100, 1024] {
        drop(ARENA.try_alloc(pages * PAGE).expect("it is empty"));
        assert!(pin!(ARENA.alloc(pages * PAGE)).poll(&mut cx).is_ready());
        assert_eq!(ARENA.snapshot().live, 0, "{pages} pages");
        assert!(ARENA.handle().verify().is_clean(), "{pages} pages");
    }
}

/// What is written at an arena's first use is not read before that. (A sanitizer sees it.)
#[test]
fn the_first_use_may_be_that_of_several_threads() {
    const ROUNDS: usize = if cfg!(miri) { 10 } else { 200 };
    let arenas: Vec<_> =
        (0..ROUNDS).map(|_| Box::new(Arena::<StdRawMutex, 128, PAGE, 128>::new())).collect();
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            for arena in &arenas {
                start.wait();
                assert_eq!(arena.snapshot().pages, 128);
            }
        });
        for arena in &arenas {
            start.wait();
            assert!(arena.try_alloc(PAGE).is_ok());
        }
    });
}
