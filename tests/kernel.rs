//! The token kernel: timers against a sorted model, the cancellation tree, tasks and their ends, and
//! several threads that drive one kernel.
#![cfg(all(feature = "std", not(loom)))]

#[path = "common/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::channel::{Buffered, Channel};
use cloakroom::kernel::{
    CancelChild, CancelToken, Clock, Kernel, Next, Sleep, TaskSlot, TimerQueue, Timers,
};
use cloakroom::select::{Either, select};
use cloakroom::std_layer::{StdClock, StdRawMutex, block_on, block_on_until};
use cloakroom::sync::SpinRawMutex;
use cloakroom::{Arena, JoinError, TryAllocError};
use random::Random;

type Lock = StdRawMutex;

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// 100,000 inserts, cancels and advances against a sorted list: everything due is woken, once, nothing
/// else is, and the next deadline is never later than the true one.
#[test]
fn timers_against_a_sorted_model() {
    type Sleeping<'t> = (Pin<Box<Sleep<'t, SpinRawMutex>>>, Arc<Count>);
    for seed in 0..4 {
        // One run begins near the end of time.
        let (start, leap) =
            if seed == 3 { (u64::MAX - (1 << 33), 1 << 18) } else { (seed << 30, 1 << 33) };
        let timers: Timers<SpinRawMutex> = Timers::new();
        timers.advance(start);
        let mut random = Random(seed);
        let mut now = start;
        let mut model: BTreeMap<u64, Vec<Sleeping<'_>>> = BTreeMap::new();
        let mut exact = 0;
        for step in 0..25_000 {
            match random.below(10) {
                0..5 => {
                    let delay = match random.below(8) {
                        0 => 0,
                        1..4 => random.below(16),
                        4 | 5 => random.below(1 << 12),
                        6 => random.below(1 << 32),
                        _ => (1 << 32) + random.below(1 << 40),
                    };
                    // Some have passed already, some share a deadline.
                    let deadline = match random.below(8) {
                        0 => now.saturating_sub(delay),
                        1 => model.keys().next_back().copied().unwrap_or(now),
                        _ => now.saturating_add(delay),
                    };
                    let mut sleep = Box::pin(timers.at(deadline));
                    let count = Arc::<Count>::default();
                    let waker = Waker::from(count.clone());
                    let done = sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
                    assert_eq!(done, deadline <= now, "seed {seed}, step {step}");
                    if !done {
                        model.entry(deadline).or_default().push((sleep, count));
                    }
                }
                5 | 6 => {
                    // Cancel one, at or after a random moment.
                    let span = 1 << random.below(40);
                    let from = now.saturating_add(random.below(span));
                    let Some(deadline) = model.range(from..).next().map(|(at, _)| *at) else {
                        continue;
                    };
                    let sleeping = model.get_mut(&deadline).expect("just found");
                    let (sleep, count) =
                        sleeping.swap_remove(random.below(sleeping.len() as u64) as usize);
                    drop(sleep);
                    assert_eq!(count.get(), 0, "seed {seed}, step {step}");
                    if sleeping.is_empty() {
                        model.remove(&deadline);
                    }
                }
                _ => {
                    now = match random.below(6) {
                        // To the very next deadline, or a long way, or back (which changes nothing).
                        0 => model.keys().next().copied().unwrap_or(now),
                        1 => now.saturating_add(random.below(leap)),
                        2 => {
                            timers.advance(now.saturating_sub(5));
                            now
                        }
                        _ => now.saturating_add(random.below(64)),
                    };
                    timers.advance(now);
                    assert_eq!(timers.now(), now);
                    let later = now.checked_add(1).map(|at| model.split_off(&at));
                    for (deadline, sleeping) in
                        std::mem::replace(&mut model, later.unwrap_or_default())
                    {
                        for (mut sleep, count) in sleeping {
                            let what = format!("seed {seed}, step {step}, deadline {deadline}");
                            assert_eq!(count.get(), 1, "woken once, {what}");
                            let mut cx = Context::from_waker(Waker::noop());
                            assert!(sleep.as_mut().poll(&mut cx).is_ready(), "{what}");
                        }
                    }
                    assert!(
                        model.values().flatten().all(|(_, count)| count.get() == 0),
                        "seed {seed}, step {step}: woken early"
                    );
                }
            }
            let first = model.keys().next().copied();
            match (timers.next_deadline(), first) {
                (None, None) => {}
                (Some(told), Some(first)) => {
                    let what = format!("seed {seed}, step {step}: told {told}, first {first}");
                    assert!(now < told && told <= first, "{what}");
                    // Those that differ from now first in the same bit share a bucket.
                    let bucket = |at: u64| (at ^ now).ilog2().min(31);
                    let mut sharing = 0;
                    for (at, sleeping) in &model {
                        if bucket(*at) != bucket(first) || sharing > 4 {
                            break;
                        }
                        sharing += sleeping.len();
                    }
                    if sharing <= 4 {
                        assert_eq!(told, first, "{what}");
                        exact += 1;
                    }
                }
                other => panic!("seed {seed}, step {step}: {other:?}"),
            }
        }
        assert!(exact > 100, "seed {seed}: too few exact deadlines: {exact}");
        drop(model);
        assert_eq!(timers.next_deadline(), None);
    }
}

/// A tree three deep, cancelled anywhere: exactly those at or below the place are told, once.
#[test]
fn a_cancellation_reaches_what_is_below() {
    for place in 0..7 {
        let root: CancelToken<Lock> = CancelToken::new();
        let (left, right) = (pin!(root.child()), pin!(root.child()));
        let (left, right) = (left.as_ref(), right.as_ref());
        let leaves = [left.child(), left.child(), right.child(), right.child()];
        let leaves = pin!(leaves);
        // SAFETY: the array is pinned, hence its elements are.
        let leaf = |at: usize| unsafe { leaves.as_ref().map_unchecked(|leaves| &leaves[at]) };
        let counts: [Arc<Count>; 7] = Default::default();
        let mut waits = [
            Box::pin(root.cancelled()),
            Box::pin(left.cancelled()),
            Box::pin(right.cancelled()),
            Box::pin(leaf(0).cancelled()),
            Box::pin(leaf(1).cancelled()),
            Box::pin(leaf(2).cancelled()),
            Box::pin(leaf(3).cancelled()),
        ];
        let mut poll = |at: usize| {
            let waker = Waker::from(counts[at].clone());
            waits[at].as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        };
        assert!(!(0..7).any(&mut poll));
        match place {
            0 => root.cancel(),
            1 => left.cancel(),
            2 => right.cancel(),
            leaf_at => leaf(leaf_at - 3).cancel(),
        }
        let reached: &[usize] =
            [&[0, 1, 2, 3, 4, 5, 6][..], &[1, 3, 4], &[2, 5, 6], &[3], &[4], &[5], &[6]][place];
        for (at, count) in counts.iter().enumerate() {
            assert_eq!(count.get(), usize::from(reached.contains(&at)), "{place} {at}");
            assert_eq!(poll(at), reached.contains(&at), "{place} {at}");
        }
        // Again changes nothing.
        root.cancel();
        root.cancel();
        assert!(counts.iter().all(|count| count.get() == 1), "{place}");
        assert!((0..7).all(poll));
    }
}

/// Threads that register, go away, and are cancelled at once: every one of them ends.
#[test]
fn a_cancellation_reaches_every_thread() {
    for round in 0..200 {
        let root: CancelToken<Lock> = CancelToken::new();
        thread::scope(|scope| {
            for thread in 0..3 {
                let root = &root;
                scope.spawn(move || {
                    let session = pin!(root.child());
                    let session = session.as_ref();
                    for _ in 0..thread * 10 {
                        let mut wait = pin!(session.cancelled());
                        let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    }
                    let request = pin!(session.child());
                    block_on(request.as_ref().cancelled());
                    assert!(session.is_cancelled());
                });
            }
            if round % 2 == 0 {
                thread::yield_now();
            }
            root.cancel();
        });
    }
}

/// Counts how often it has been dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task that is pending `polls` times before it returns.
async fn task(polls: usize, future: Dropped, output: Dropped) -> Dropped {
    let _future = future;
    for _ in 0..polls {
        let mut again = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut again, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    output
}

/// Handles that join, cancel and go away at any moment, on threads of their own: the future and the
/// output are each dropped once, and the memory comes back.
#[test]
fn every_end_of_a_task() {
    static ARENA: Arena<Lock, 256, 64, 32> = Arena::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    let over = AtomicBool::new(false);
    let clock = StdClock::new();
    let mut random = Random(7);
    let (mut joined, mut cancelled) = (0, 0);
    thread::scope(|scope| {
        let (over, clock) = (&over, &clock);
        for _ in 0..2 {
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if KERNEL.poll(clock.now()) != Next::Ready {
                        thread::yield_now();
                    }
                }
            });
        }
        for round in 0..20_000 {
            let (futures, outputs): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
            let work =
                task(random.below(3) as usize, Dropped(futures.clone()), Dropped(outputs.clone()));
            let mut handle = KERNEL.spawn(ARENA.handle(), work).map_err(drop).expect("room");
            for _ in 0..random.below(30) {
                std::hint::spin_loop();
            }
            match random.below(5) {
                0 => drop(handle),
                1 => {
                    handle.cancel();
                    drop(handle);
                }
                2 => {
                    // Polled once with one waker, then detached.
                    let _ = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
                    drop(handle);
                }
                3 => {
                    handle.cancel();
                    match block_on(handle) {
                        Ok(_) => joined += 1,
                        Err(JoinError) => {
                            cancelled += 1;
                            assert_eq!(futures.load(Ordering::Relaxed), 1, "round {round}");
                        }
                    }
                }
                _ => {
                    block_on(handle).map(drop).expect("not cancelled");
                    joined += 1;
                }
            }
            while KERNEL.snapshot().tasks > 0 || ARENA.snapshot().live > 0 {
                thread::yield_now();
            }
            // The output is captured by the future until it is returned, so both are dropped once.
            let drops = (futures.load(Ordering::Relaxed), outputs.load(Ordering::Relaxed));
            assert_eq!(drops, (1, 1), "round {round}");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(joined > 1_000 && cancelled > 100, "{joined} {cancelled}");
    assert!(ARENA.handle().verify().is_clean());
}

/// Four threads want one slot, whose tasks a fifth polls: each task runs once, alone, where its future is aligned.
#[test]
fn a_slot_is_nobody_elses_while_it_is_taken() {
    #[repr(align(16))]
    struct Aligned([u64; 4]);
    static SLOT: TaskSlot<Lock, 160> = TaskSlot::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    static SUM: AtomicUsize = AtomicUsize::new(0);
    let ended = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let ended = &ended;
            scope.spawn(move || {
                for round in 0..500 {
                    let value = Aligned([thread, round, 1, 2]);
                    let mut future = async move {
                        assert_eq!(INSIDE.fetch_add(1, Ordering::Relaxed), 0);
                        let value = value;
                        assert_eq!(value.0.as_ptr().addr() % 16, 0);
                        tokio::task::yield_now().await;
                        SUM.fetch_add(value.0.iter().sum::<u64>() as usize, Ordering::Relaxed);
                        assert_eq!(INSIDE.fetch_sub(1, Ordering::Relaxed), 1);
                    };
                    // Every other one is joined.
                    let task = loop {
                        match KERNEL.spawn_in(&SLOT, future) {
                            Ok(task) => break task,
                            Err(error) => future = error.future,
                        }
                        thread::yield_now();
                    };
                    if round % 2 == 0 {
                        assert_eq!(block_on(task), Ok(()));
                    }
                }
                ended.fetch_add(1, Ordering::Release);
            });
        }
        while ended.load(Ordering::Acquire) < 4 || KERNEL.snapshot().tasks > 0 {
            KERNEL.poll(0);
            thread::yield_now();
        }
    });
    assert_eq!(SUM.load(Ordering::Relaxed), 500 * (1 + 2 + 3) + 4 * (499 * 500 / 2 + 500 * 3));
    assert!(!SLOT.is_taken());
}

/// Three threads drive one kernel, each until its own work is done: whoever is left is told.
#[test]
fn several_threads_drive_one_kernel() {
    static ARENA: Arena<Lock, 256, 64, 64> = Arena::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    static JOBS: Channel<Lock, u64, Buffered<4>> = Channel::new();
    static RESULTS: Channel<Lock, u64, Buffered<4>> = Channel::new();
    let clock = StdClock::new();
    for round in 0..200 {
        thread::scope(|scope| {
            for worker in 0..3 {
                scope.spawn(move || {
                    let handle = KERNEL
                        .spawn(ARENA.handle(), async move {
                            let mut done = 0;
                            for _ in 0..4 {
                                let job = JOBS.recv().await.expect("open");
                                if job % 4 == 0 {
                                    KERNEL.timers().after(50).await;
                                }
                                RESULTS.send(job).await.expect("open");
                                done += 1;
                            }
                            done + worker
                        })
                        .map_err(drop)
                        .expect("room");
                    assert_eq!(block_on_until(&KERNEL, &clock, handle), Ok(4 + worker));
                });
            }
            // A thread that does not drive the kernel.
            let mut received = 0;
            thread::scope(|inner| {
                inner.spawn(|| (0..12).for_each(|job| block_on(JOBS.send(job)).expect("open")));
                for _ in 0..12 {
                    received += block_on(RESULTS.recv()).expect("open");
                }
            });
            assert_eq!(received, 66, "round {round}");
        });
    }
    assert_eq!((KERNEL.snapshot().tasks, ARENA.snapshot().live), (0, 0));
}

/// The future that is waited for may itself sleep on the kernel's timers, for its full time.
#[test]
fn a_driver_may_sleep() {
    static KERNEL: Kernel<Lock> = Kernel::new();
    let clock = StdClock::new();
    thread::sleep(Duration::from_millis(5));
    let start = Instant::now();
    block_on_until(&KERNEL, &clock, KERNEL.timers().after(StdClock::ticks(Duration::ZERO)));
    block_on_until(&KERNEL, &clock, async {
        KERNEL.timers().after(StdClock::ticks(Duration::from_millis(3))).await;
    });
    assert!(start.elapsed() >= Duration::from_millis(3));
    // A sleep for ever is not too long.
    let never = pin!(KERNEL.timers().at(u64::MAX));
    let outcome = block_on_until(&KERNEL, &clock, select((never, KERNEL.timers().after(100))));
    assert_eq!(outcome, Either::Second(()));
}

/// `block_on` within `block_on`: the inner one may use up the outer one's wake-up, but not for good.
#[test]
fn waiting_while_waiting() {
    static OUTER: Channel<Lock, u8, Buffered<1>> = Channel::new();
    static INNER: Channel<Lock, u8, Buffered<1>> = Channel::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            OUTER.try_send(1).expect("room");
            thread::sleep(Duration::from_millis(20));
            INNER.try_send(2).expect("room");
        });
        let mut outer = pin!(OUTER.recv());
        let mut asked = false;
        let got = block_on(std::future::poll_fn(|cx| {
            let polled = outer.as_mut().poll(cx);
            if !std::mem::replace(&mut asked, true) {
                assert!(polled.is_pending());
                assert_eq!(block_on(INNER.recv()), Ok(2));
            }
            polled
        }));
        assert_eq!(got, Ok(1));
    });
}

/// A full arena gives the future back, unharmed.
#[test]
fn no_room_for_a_task() {
    static ARENA: Arena<Lock, 8, 64, 8> = Arena::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    let hog = ARENA.try_alloc(400).expect("empty");
    let (futures, outputs): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let future = task(0, Dropped(futures.clone()), Dropped(outputs.clone()));
    let Err(error) = KERNEL.spawn(ARENA.handle(), future) else { panic!("there was room") };
    assert_eq!(error.why, TryAllocError::Full);
    assert_eq!(futures.load(Ordering::Relaxed), 0);
    drop(hog);
    let handle = KERNEL.spawn(ARENA.handle(), error.future).map_err(drop).expect("room now");
    assert_eq!(KERNEL.poll(0), Next::Idle);
    drop(block_on(handle));
    assert_eq!((futures.load(Ordering::Relaxed), outputs.load(Ordering::Relaxed)), (1, 1));
    // For ever: larger than the arena.
    let Err(error) = KERNEL.spawn(ARENA.handle(), std::future::ready([0u8; 4096])) else {
        panic!("there was room")
    };
    assert_eq!(error.why, TryAllocError::TooLarge);
    assert_eq!(ARENA.snapshot().live, 0);
}

/// A panic in a task goes to whoever polls the kernel; the task has ended as if it were cancelled.
#[test]
fn a_task_that_panics() {
    static ARENA: Arena<Lock, 32, 64, 8> = Arena::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    static CHANNEL: Channel<Lock, u8, Buffered<1>> = Channel::new();
    /// Panics when dropped.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let caught = || catch_unwind(AssertUnwindSafe(|| KERNEL.poll(0))).is_err();
    let dropped = Arc::<AtomicUsize>::default();

    // While it is polled, with a receive pending inside it.
    let witness = Dropped(dropped.clone());
    let handle = KERNEL
        .spawn(ARENA.handle(), async move {
            let _witness = witness;
            let mut recv = pin!(CHANNEL.recv());
            std::future::poll_fn(|cx| {
                assert!(recv.as_mut().poll(cx).is_pending(), "nothing was sent");
                if CHANNEL.is_closed() { Poll::Ready(()) } else { panic!("polled") }
            })
            .await;
        })
        .map_err(drop)
        .expect("room");
    assert!(caught());
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "the future was dropped");
    assert_eq!(block_on(handle), Err(JoinError));
    assert_eq!(ARENA.snapshot().live, 0);
    CHANNEL.try_send(1).expect("room");
    assert_eq!(CHANNEL.try_recv(), Ok(1), "the dead receiver was promised nothing");

    // While its future is dropped: cancelled.
    let bomb = Bomb;
    let handle = KERNEL
        .spawn(ARENA.handle(), async move {
            let _bomb = bomb;
            std::future::pending::<()>().await;
        })
        .map_err(std::mem::forget)
        .expect("room");
    KERNEL.poll(0);
    handle.cancel();
    assert!(caught());
    assert_eq!(block_on(handle), Err(JoinError));

    // While its output is dropped: detached.
    let bomb = Bomb;
    drop(
        KERNEL.spawn(ARENA.handle(), async move { bomb }).map_err(std::mem::forget).expect("room"),
    );
    assert!(caught());
    assert_eq!((KERNEL.snapshot().tasks, ARENA.snapshot().live), (0, 0));
    assert_eq!(KERNEL.poll(0), Next::Idle);
}

/// Pinned futures that are forgotten while they wait keep their memory, so nothing dangles; everything
/// else goes on.
#[test]
fn leaked_futures_harm_nothing() {
    let mut cx = Context::from_waker(Waker::noop());

    // In a channel: a leaked sender's value is still received; a leaked receiver keeps its promise.
    let channel: Channel<Lock, u8, Buffered<1>> = Channel::new();
    channel.try_send(1).expect("room");
    let mut send = Box::pin(channel.send(2));
    assert!(send.as_mut().poll(&mut cx).is_pending());
    std::mem::forget(send);
    assert_eq!(channel.try_recv(), Ok(1));
    let moved = channel;
    moved.close();
    drop(moved);

    // In a tree: a leaked waiter below a leaked token, whose parent goes away.
    let root: CancelToken<Lock> = CancelToken::new();
    {
        let session = Box::pin(root.child());
        let request: Pin<Box<CancelChild<'_, Lock>>> = Box::pin(session.as_ref().child());
        let mut wait = Box::pin(request.as_ref().cancelled());
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        std::mem::forget(wait);
        std::mem::forget(request);
    }
    root.cancel();

    // Timers that fire for a leaked sleep, and that go away before one.
    {
        let timers: Timers<Lock> = Timers::new();
        for deadline in [5, 500] {
            let mut sleep = Box::pin(timers.at(deadline));
            assert!(sleep.as_mut().poll(&mut cx).is_pending());
            std::mem::forget(sleep);
        }
        timers.advance(10);
    }

    // A select that leaks while one arm is pinned elsewhere: that arm is still usable.
    let (a, b): (Channel<Lock, u8, Buffered<1>>, Channel<Lock, u8, Buffered<1>>) =
        Default::default();
    let mut recv = pin!(a.recv());
    let mut both = Box::pin(select((recv.as_mut(), b.recv())));
    assert!(both.as_mut().poll(&mut cx).is_pending());
    std::mem::forget(both);
    a.try_send(3).expect("room");
    assert_eq!(recv.as_mut().poll(&mut cx), Poll::Ready(Ok(3)));

    // A task whose handle leaks.
    static ARENA: Arena<Lock, 32, 64, 8> = Arena::new();
    static KERNEL: Kernel<Lock> = Kernel::new();
    let handle = KERNEL.spawn(ARENA.handle(), async { 1 }).map_err(drop).expect("room");
    std::mem::forget(handle);
    assert_eq!(KERNEL.poll(0), Next::Idle);
    assert!(ARENA.handle().verify().is_clean());
}

/// An operation that waits already, and then becomes an arm: its match is the select's.
#[test]
fn an_arm_that_was_matched_before() {
    let mut cx = Context::from_waker(Waker::noop());
    let (a, b): (Channel<Lock, u8, Buffered<1>>, Channel<Lock, u8, Buffered<1>>) =
        Default::default();
    b.try_send(9).expect("room");
    let mut recv = pin!(a.recv());
    assert!(recv.as_mut().poll(&mut cx).is_pending());
    a.try_send(3).expect("room");
    // The other arm is ready, too, and comes first in order; but this one was decided earlier.
    assert_eq!(block_on(select((b.recv(), recv.as_mut()))), Either::Second(Ok(3)));
    assert_eq!(b.try_recv(), Ok(9));
}

/// Time goes on, and a sleep is begun, in the middle of an advance that deals a bucket out: between the last of
/// its sleeps and the step that would find it empty. The new sleep is where it belongs, and stays there.
#[test]
fn a_sleep_begun_while_a_bucket_is_dealt_out() {
    struct Meddler;

    static TIMERS: Timers<Lock> = Timers::new();
    static LATER: Mutex<Option<Pin<Box<Sleep<'static, Lock>>>>> = Mutex::new(None);

    impl Wake for Meddler {
        fn wake(self: Arc<Self>) {
            TIMERS.advance(32);
            let mut later = Box::pin(TIMERS.at(48));
            assert!(later.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            *LATER.lock().unwrap() = Some(later);
        }
    }

    let mut sleep = Box::pin(TIMERS.at(18));
    let waker = Waker::from(Arc::new(Meddler));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    TIMERS.advance(18);
    assert_eq!((TIMERS.now(), TIMERS.next_deadline()), (32, Some(48)));
    TIMERS.advance(48);
    let mut later = LATER.lock().unwrap().take().expect("begun");
    assert!(later.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}
