//! Waiting for memory: in order, without loss, and without a wake-up for nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use cloakroom::arena::Alloc;
use cloakroom::sync::SpinRawMutex;
use cloakroom::{AllocError, Arena, ArenaRef, LeaseMut, TryAllocError};

const PAGE: usize = 64;
type Lock = SpinRawMutex;
type Subject = Arena<Lock, 8, PAGE, 16>;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A pending allocation and the wake-ups it got.
struct Waiting<'a> {
    future: Pin<Box<Alloc<'a, Lock>>>,
    wakes: Arc<Count>,
}

impl<'a> Waiting<'a> {
    /// Polled once, and found waiting.
    fn new(alloc: Alloc<'a, Lock>) -> Self {
        let mut waiting = Self { future: Box::pin(alloc), wakes: Arc::default() };
        assert!(waiting.poll().is_pending(), "there was nothing to wait for");
        waiting
    }
    fn poll(&mut self) -> Poll<Result<LeaseMut<'a, Lock>, AllocError>> {
        let waker = Waker::from(self.wakes.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
    fn take(&mut self) -> LeaseMut<'a, Lock> {
        match self.poll() {
            Poll::Ready(Ok(lease)) => lease,
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => panic!("still waiting"),
        }
    }
    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }
}

/// On an arena that its program has written, and on one in memory that nobody has: what homes keep there begins otherwise.
fn on_either(test: impl Fn(ArenaRef<'_, Lock>)) {
    test(Subject::new().handle());
    #[cfg(feature = "std")]
    {
        let arena = cloakroom::std_layer::MappedArena::new(8 * PAGE, PAGE, 16);
        test(arena.expect("there is memory").handle());
    }
}

#[test]
fn what_is_there_is_given_at_once() {
    let arena = Subject::new();
    let mut alloc = Box::pin(arena.alloc(8 * PAGE));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(alloc.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
}

#[test]
fn what_can_never_be_is_refused_at_once() {
    let arena = Subject::new();
    let mut alloc = Box::pin(arena.alloc(8 * PAGE + 1));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(alloc.as_mut().poll(&mut cx), Poll::Ready(Err(AllocError))));
}

#[test]
fn first_come_first_served() {
    let arena = Subject::new();
    let all = arena.try_alloc(8 * PAGE).expect("empty");
    let mut waiting: Vec<_> = (0..4).map(|_| Waiting::new(arena.alloc(3 * PAGE))).collect();
    drop(all);
    let mut held = Vec::new();
    for turn in 0..4 {
        // The one whose turn it is has been woken once, those behind it not at all.
        for (at, waiter) in waiting.iter().enumerate() {
            assert_eq!(waiter.wakes(), usize::from(at <= turn), "waiter {at}, turn {turn}");
        }
        // Nobody overtakes, even by asking at the right moment.
        for later in waiting.iter_mut().skip(turn + 1) {
            assert!(later.poll().is_pending());
        }
        held.push(waiting[turn].take());
        if held.len() == 2 {
            held.clear();
        }
    }
}

#[test]
fn small_requests_do_not_starve_a_large_one() {
    let arena = Subject::new();
    let mut pages: Vec<_> = (0..8).map(|_| arena.try_alloc(PAGE).expect("room")).collect();
    let mut large = Waiting::new(arena.alloc(4 * PAGE));
    for _ in 0..3 {
        pages.remove(0);
        assert_eq!(arena.try_alloc(PAGE).err(), Some(TryAllocError::Full), "overtaken");
        assert_eq!(large.wakes(), 0, "woken for too little");
    }
    pages.remove(0);
    assert_eq!(large.wakes(), 1);
    assert_eq!(arena.try_alloc(PAGE).err(), Some(TryAllocError::Full), "overtaken while woken");
    let lease = large.take();
    assert_eq!(lease.len(), 4 * PAGE);
    drop(lease);
    assert!(arena.try_alloc(PAGE).is_ok(), "nobody waits any more");
}

#[test]
fn one_that_stops_waiting_leaves_no_trace() {
    let arena = Subject::new();
    let all = arena.try_alloc(8 * PAGE).expect("empty");
    // In front, in the middle, at the end, alone.
    for gone in 0..3 {
        let mut waiting: Vec<_> = (0..3).map(|_| Waiting::new(arena.alloc(PAGE))).collect();
        waiting.remove(gone);
        assert!(waiting.iter().all(|waiter| waiter.wakes() == 0));
    }
    drop(all);
    assert!(arena.try_alloc(8 * PAGE).is_ok());
}

#[test]
fn a_large_one_that_stops_waiting_lets_the_small_ones_go_on() {
    let arena = Subject::new();
    let _most = arena.try_alloc(6 * PAGE).expect("empty");
    let large = Waiting::new(arena.alloc(4 * PAGE));
    let mut small = Waiting::new(arena.alloc(2 * PAGE));
    assert_eq!(small.wakes(), 0);
    drop(large);
    assert_eq!(small.wakes(), 1, "the one in front has gone, and nothing else will happen");
    drop(small.take());
}

#[test]
fn one_that_is_dropped_when_its_turn_has_come_passes_it_on() {
    let arena = Subject::new();
    let all = arena.try_alloc(8 * PAGE).expect("empty");
    let first = Waiting::new(arena.alloc(5 * PAGE));
    let mut second = Waiting::new(arena.alloc(5 * PAGE));
    drop(all);
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    assert_eq!(second.wakes(), 1);
    drop(second.take());
    assert!(arena.try_alloc(8 * PAGE).is_ok());
}

#[test]
fn one_held_back_by_its_cap_does_not_block_the_others() {
    on_either(|arena| {
        let home = arena.open_home(2, 0).expect("room");
        let used = home.try_alloc(2 * PAGE).expect("within the cap");
        let mut capped = Waiting::new(home.alloc(PAGE));
        assert!(
            arena.try_alloc(6 * PAGE).is_ok(),
            "blocked by a waiter that only its own cap holds back"
        );
        let all = arena.try_alloc(6 * PAGE).expect("as before");
        let mut other = Waiting::new(arena.alloc(6 * PAGE));
        drop(all);
        assert_eq!((capped.wakes(), other.wakes()), (0, 1));
        drop(other.take());
        drop(used);
        assert_eq!(capped.wakes(), 1);
        assert_eq!(capped.take().len(), PAGE);
    });
}

#[test]
fn one_held_back_by_its_cap_can_stop_waiting_anywhere() {
    on_either(|arena| {
        let home = arena.open_home(1, 0).expect("room");
        let used = home.try_alloc(PAGE).expect("within the cap");
        for gone in 0..3 {
            let mut waiting: Vec<_> = (0..3).map(|_| Waiting::new(home.alloc(PAGE))).collect();
            waiting.remove(gone);
        }
        let mut last = Waiting::new(home.alloc(PAGE));
        drop(used);
        drop(last.take());
    });
}

#[test]
fn a_home_always_has_its_own_minimum() {
    on_either(|arena| {
        let home = arena.open_home(8, 2).expect("room");
        let _others = arena.try_alloc(6 * PAGE).expect("all that nobody was promised");
        assert_eq!(arena.try_alloc(PAGE).err(), Some(TryAllocError::Full), "that page is promised");
        // Even while others wait.
        let others = Waiting::new(arena.alloc(PAGE));
        let own: Vec<_> = (0..2).map(|_| home.try_alloc(PAGE).expect("its own")).collect();
        assert_eq!(home.try_alloc(PAGE).err(), Some(TryAllocError::Full));
        drop(own);
        assert_eq!(others.wakes(), 0, "what came back is promised again");
    });
}

/// Enough is free, but a payload in hand stands in the middle: the waiter must neither be woken over and
/// over for nothing, nor be forgotten when that payload is put to rest.
#[test]
fn one_behind_a_payload_in_hand_sleeps_until_that_is_at_rest() {
    for share in [false, true] {
        let arena = Subject::new();
        let pages: Vec<_> = (0..8).map(|_| arena.try_alloc_from(&[1]).expect("room")).collect();
        let mut pages = pages.into_iter();
        let (below, pin) = (pages.by_ref().take(4).collect::<Vec<_>>(), pages.next());
        drop((below, pages));
        let mut waiter = Waiting::new(arena.alloc(6 * PAGE));
        for _ in 0..10 {
            assert!(waiter.poll().is_pending());
        }
        assert!(waiter.wakes() <= 1, "woken {} times for nothing", waiter.wakes());
        let before = waiter.wakes();
        let pin = pin.expect("eight pages");
        let ticket = if share {
            // In hand and at rest; the release of the lease is what lets it move.
            let ticket = pin.clone().deposit().expect("few");
            assert_eq!(waiter.wakes(), before);
            drop(pin);
            ticket
        } else {
            pin.deposit().expect("few")
        };
        assert_eq!(waiter.wakes(), before + 1, "it could move now");
        assert_eq!(waiter.take().len(), 6 * PAGE);
        assert_eq!(arena.redeem(ticket).expect("live")[..], [1]);
    }
}

/// More than one step of compaction is needed: each must lead to the next without outside help.
#[test]
fn one_that_needs_much_compaction_gets_there_by_itself() {
    let arena: Arena<Lock, 256, 16, 256> = Arena::new();
    let pages: Vec<_> = (0..256).map(|_| arena.try_alloc_from(&[1]).expect("room")).collect();
    let tickets: Vec<_> = pages
        .into_iter()
        .enumerate()
        .filter(|(at, _)| at % 2 == 0)
        .map(|(_, lease)| lease.deposit().expect("few"))
        .collect();
    let mut waiter = Waiting { future: Box::pin(arena.alloc(128 * 16)), wakes: Arc::default() };
    let mut polls = 1;
    let mut wakes = 0;
    let lease = loop {
        match waiter.poll() {
            Poll::Ready(result) => break result.expect("it fits"),
            Poll::Pending => {
                assert!(
                    waiter.wakes() > wakes,
                    "asleep after {polls} polls, although there is room"
                );
                wakes = waiter.wakes();
                polls += 1;
            }
        }
    };
    assert_eq!(lease.len(), 128 * 16);
    assert!(polls > 1, "one step was enough, so nothing was shown");
    assert!(polls < 20, "{polls} polls for 128 pages");
    drop(tickets);
}

#[test]
fn freed_descriptors_wake_a_waiter_too() {
    let arena: Arena<Lock, 64, PAGE, 2> = Arena::new();
    let first = arena.try_alloc(0).expect("empty");
    let _second = arena.try_alloc(0).expect("one left");
    let mut waiter = Waiting::new(arena.alloc(PAGE));
    assert_eq!(waiter.wakes(), 0);
    drop(first);
    assert_eq!(waiter.wakes(), 1);
    assert_eq!(waiter.take().len(), PAGE);
}

#[test]
fn threads_take_turns_and_all_are_served() {
    static ARENA: Subject = Subject::new();
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let threads: Vec<_> = (1..=4)
        .map(|pages| {
            std::thread::spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                let mut cx = Context::from_waker(&waker);
                for turn in 0..5_000u32 {
                    let mut alloc = Box::pin(ARENA.alloc((pages + turn as usize % 5) * PAGE));
                    let mut lease = loop {
                        match alloc.as_mut().poll(&mut cx) {
                            Poll::Ready(result) => break result.expect("it can fit"),
                            Poll::Pending => std::thread::park(),
                        }
                    };
                    lease.fill(turn as u8);
                    let ticket = lease.deposit();
                    let lease = ARENA.redeem(ticket).expect("live");
                    assert!(lease.iter().all(|&byte| byte == turn as u8));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread failed");
    }
    assert_eq!(ARENA.snapshot().live, 0);
    assert!(ARENA.handle().verify().is_clean());
}
