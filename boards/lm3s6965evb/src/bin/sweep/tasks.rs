//! Wake-ups of a kernel's task, and timers.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use cloakroom::Arena;
use cloakroom::kernel::{Kernel, NoTimers, Sleep, TimerQueue, Timers};
use cloakroom::sync::CriticalSectionRawMutex as Lock;

use crate::channels::scene;
use crate::scene::{Fresh, Scene, Slot, UNCLEAN};

static ARENA: Arena<Lock, 4, 64, 4> = Arena::new();
static KERNEL: Kernel<Lock, NoTimers> = Kernel::without_timers();
/// The task's waker, for the operation and for the intruder.
static OWN_WAKER: Slot<Option<Waker>> = Slot::new(None);
static THEIR_WAKER: Slot<Option<Waker>> = Slot::new(None);
static POLLS: AtomicU32 = AtomicU32::new(0);

const OK: u32 = 1;
const READY: u32 = 2;
const PENDING: u32 = 3;

fn count(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

/// A task that waits for ever and counts its polls.
fn waiting() {
    // SAFETY: no operation is under way.
    if unsafe { OWN_WAKER.with(|waker| waker.is_none()) } {
        let mut first = true;
        let task = poll_fn(move |cx| -> Poll<()> {
            count(&POLLS);
            if core::mem::take(&mut first) {
                // SAFETY: the first poll is the one below, when no operation is under way.
                unsafe {
                    OWN_WAKER.with(|waker| *waker = Some(cx.waker().clone()));
                    THEIR_WAKER.with(|waker| *waker = Some(cx.waker().clone()));
                }
            }
            Poll::Pending
        });
        let spawned = KERNEL.spawn(ARENA.handle(), task);
        drop(spawned.expect("the arena is large enough"));
    }
    KERNEL.poll(0);
    POLLS.store(0, Relaxed);
}
fn woken() {
    waiting();
    wake();
}
fn wake() -> u32 {
    // SAFETY: intruders have a waker of their own.
    unsafe { OWN_WAKER.with(|waker| waker.as_ref().map_or(UNCLEAN, wake_by)) }
}
fn they_wake() -> u32 {
    // SAFETY: operations have a waker of their own.
    unsafe { THEIR_WAKER.with(|waker| waker.as_ref().map_or(UNCLEAN, wake_by)) }
}
fn wake_by(waker: &Waker) -> u32 {
    waker.wake_by_ref();
    OK
}
fn clone_waker() -> u32 {
    // SAFETY: as in `wake`.
    unsafe { OWN_WAKER.with(|waker| drop(core::hint::black_box(waker.clone()))) };
    OK
}
fn poll() -> u32 {
    KERNEL.poll(0);
    OK
}
/// How often the task was polled in all, if nothing else is amiss.
fn polled() -> u32 {
    poll();
    let clean = ARENA.handle().verify().is_clean() && KERNEL.is_idle();
    if clean && KERNEL.snapshot().tasks == 1 { POLLS.load(Relaxed) } else { UNCLEAN }
}

static TIMERS: Fresh<Timers<Lock>> = Fresh::new(Timers::new());
static OWN_SLEEP: Slot<Option<Sleep<'static, Lock>>> = Slot::new(None);
static THEIR_SLEEP: Slot<Option<Sleep<'static, Lock>>> = Slot::new(None);
static OWN_WAKES: AtomicU32 = AtomicU32::new(0);
static THEIR_WAKES: AtomicU32 = AtomicU32::new(0);

const COUNTING: RawWakerVTable =
    RawWakerVTable::new(|data| RawWaker::new(data, &COUNTING), count_wake, count_wake, |_| ());

fn count_wake(data: *const ()) {
    // SAFETY: `sleep` makes these wakers, with one of the static counters.
    count(unsafe { &*data.cast::<AtomicU32>() });
}

/// No sleeps at time 100; one of the operation's will end at 120 and one of the intruder's at 108.
fn no_sleeps() {
    // SAFETY: no operation is under way. The sleeps go first, so nobody borrows the timers.
    unsafe {
        OWN_SLEEP.with(|sleep| *sleep = None);
        THEIR_SLEEP.with(|sleep| *sleep = None);
        TIMERS.renew(Timers::new());
        TIMERS.get().advance(100);
        OWN_SLEEP.with(|sleep| *sleep = Some(TIMERS.get().at(120)));
        THEIR_SLEEP.with(|sleep| *sleep = Some(TIMERS.get().at(108)));
    }
    OWN_WAKES.store(0, Relaxed);
    THEIR_WAKES.store(0, Relaxed);
}
fn their_sleep() {
    no_sleeps();
    they_insert();
}
fn own_sleep() {
    no_sleeps();
    insert();
}
fn both_sleeps() {
    no_sleeps();
    insert();
    they_insert();
}

fn sleep(slot: &'static Slot<Option<Sleep<'static, Lock>>>, wakes: &'static AtomicU32) -> u32 {
    let data = (&raw const *wakes).cast();
    // SAFETY: the vtable counts, and the counter is a static.
    let waker = unsafe { Waker::from_raw(RawWaker::new(data, &COUNTING)) };
    // SAFETY: operations and intruders have a sleep each. It is in a static, so it is pinned until it is
    // overwritten in place.
    let polled = unsafe {
        slot.with(|sleep| {
            let sleep = Pin::new_unchecked(sleep.as_mut()?);
            Some(sleep.poll(&mut Context::from_waker(&waker)))
        })
    };
    match polled {
        Some(Poll::Ready(())) => READY,
        Some(Poll::Pending) => PENDING,
        None => UNCLEAN,
    }
}
fn insert() -> u32 {
    sleep(&OWN_SLEEP, &OWN_WAKES)
}
fn they_insert() -> u32 {
    sleep(&THEIR_SLEEP, &THEIR_WAKES)
}
fn cancel() -> u32 {
    // SAFETY: as in `sleep`.
    unsafe { OWN_SLEEP.with(|sleep| *sleep = None) };
    OK
}
fn they_cancel() -> u32 {
    // SAFETY: as in `sleep`.
    unsafe { THEIR_SLEEP.with(|sleep| *sleep = None) };
    OK
}
fn advance() -> u32 {
    TIMERS.get().advance(110);
    OK
}
fn advance_far() -> u32 {
    TIMERS.get().advance(200);
    OK
}
/// Ten for each wake-up of the operation's sleep and one for each of the intruder's, in the end.
fn slept() -> u32 {
    advance_far();
    if TIMERS.get().next_deadline().is_some() || TIMERS.get().now() != 200 {
        return UNCLEAN;
    }
    OWN_WAKES.load(Relaxed) * 10 + THEIR_WAKES.load(Relaxed)
}

pub const SCENES: &[Scene] = &[
    scene!(
        "wake, interrupted by another",
        waiting,
        wake,
        they_wake,
        polled,
        (OK, OK, 1),
        (OK, OK, 1)
    ),
    scene!("wake, interrupted by a poll", waiting, wake, poll, polled, (OK, OK, 1), (OK, OK, 1)),
    scene!(
        "poll of a ready task, interrupted by a wake",
        woken,
        poll,
        they_wake,
        polled,
        (OK, OK, 2),
        (OK, OK, 1)
    ),
    scene!(
        "a waker's clone and drop, interrupted by a wake",
        waiting,
        clone_waker,
        they_wake,
        polled,
        (OK, OK, 1),
        (OK, OK, 1)
    ),
    scene!(
        "timer insert, interrupted by another",
        no_sleeps,
        insert,
        they_insert,
        slept,
        (PENDING, PENDING, 11),
        (PENDING, PENDING, 11)
    ),
    scene!(
        "timer insert, interrupted by a cancel",
        their_sleep,
        insert,
        they_cancel,
        slept,
        (PENDING, OK, 10),
        (PENDING, OK, 10)
    ),
    scene!(
        "timer insert, interrupted by time",
        their_sleep,
        insert,
        advance,
        slept,
        (PENDING, OK, 11),
        (PENDING, OK, 11)
    ),
    scene!(
        "timer insert, interrupted by its deadline",
        no_sleeps,
        insert,
        advance_far,
        slept,
        (PENDING, OK, 10),
        (READY, OK, 0)
    ),
    scene!(
        "timer cancel, interrupted by an insert",
        own_sleep,
        cancel,
        they_insert,
        slept,
        (OK, PENDING, 1),
        (OK, PENDING, 1)
    ),
    scene!(
        "timer cancel, interrupted by another",
        both_sleeps,
        cancel,
        they_cancel,
        slept,
        (OK, OK, 0),
        (OK, OK, 0)
    ),
    scene!(
        "timer cancel, interrupted by its deadline",
        both_sleeps,
        cancel,
        advance_far,
        slept,
        (OK, OK, 1),
        (OK, OK, 11)
    ),
    scene!(
        "time, interrupted by a timer insert",
        own_sleep,
        advance,
        they_insert,
        slept,
        (OK, READY, 10),
        (OK, PENDING, 11)
    ),
    scene!(
        "time, interrupted by a timer cancel",
        both_sleeps,
        advance,
        they_cancel,
        slept,
        (OK, OK, 11),
        (OK, OK, 10)
    ),
    scene!(
        "time, interrupted by later time",
        both_sleeps,
        advance,
        advance_far,
        slept,
        (OK, OK, 11),
        (OK, OK, 11)
    ),
];
