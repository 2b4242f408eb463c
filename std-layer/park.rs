//! How a thread waits to be woken.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::thread_local;
use std::time::{Duration, Instant};

use crate::channel::aside::Missed;
use crate::std_layer::processors;

/// About what it costs that a sleeper is woken: the system call of who wakes it, and the time until it runs. Measured
/// on virtual machines: 7 µs for the one, 13 to 38 µs for the other.
const WAKE: Duration = Duration::from_micros(20);
/// How often a thread that expects to be woken soon looks, before it lets others run in between.
const LOOKS: u32 = 8;
/// How long it pauses between its looks at the most, in processor pauses. Each look takes a cache line away from who
/// works on it, so who waits for the other end of a ring gives that time to do several things at once: with a first
/// pause of 16 instead of 1, a value through a ring of 128 takes 10 ns instead of 28. Where there is only one slot, it
/// is 140 with 1 and 470 with 16.
const LONGEST_PAUSE: usize = 16;
/// The same where each value waits for the one before it, as there are hardly any slots: a look too soon keeps the other side from
/// the only line there is. Four threads that send to four by one slot take 605 ns a value instead of 800, on processors that share
/// no cache; one or four to one take as long as with 16. Only on a lane: who waits in the list is told by a line of its own.
const LONGEST_PAUSE_OF_FEW: usize = 64;
/// The same where so many values may go one way before any has to go the other, as in an unlimited channel: who sends does not wait
/// for who receives, so the one that is faster would be close behind the other all the time, and each value would cost both a cache
/// line. On two cores that share no cache a value takes 21 ns instead of 58 (and 29 with pauses of 64). In a ring of 128 pauses of
/// 128 are worse than those of 16, 35 ns instead of 29.
const LONG_PAUSE: usize = 256;
/// How often it does that. So long as others run it is their time that passes; where nobody else does, about 40 µs. With
/// 40, eight threads round a single slot on two cores fell asleep behind one another now and then, and then each value
/// cost a wake-up: 12 µs instead of 0.6.
const YIELDS: u32 = 100;
/// How long all that takes where nobody else runs.
const AWAKE: Duration = Duration::from_micros(40);
/// One wait in so many is begun awake whatever is expected: otherwise a thread that has once been slow could stay
/// slow, as a sleeper finds it hard to tell how soon it was woken.
const PROBE: u32 = 16;
/// One wait in so many of a thread that lets others run is spent asleep, and the one after it is begun with [`LOOKS`]. Who yields stays
/// on its processor, even where that is the one of whom it waits for and another has nothing to do: of two processors one was idle for up to half
/// of the time. Who is woken gets the one that is free. Four threads that send 64 bytes to one take 35 ns instead of 40, `u64` 8 instead of
/// 13, through a single slot 140 instead of 330, of as much time of processors.
const MOVE: u32 = 64;
/// The same where each value is waited for, as at a rendezvous. There a thread seems to be among many as soon as a reply takes longer than all looks, as
/// between two processors that share no cache.
const MOVE_IN_LIST: u32 = 256;
/// So many times rarer at the most: twice as rare after each time that the next wait ends only after others were let run again, as then
/// there was no processor to be had. On a single processor 64 bytes between two threads take 67 ns instead of 74, with four receivers of 1 KiB 265 instead of 270,
/// and on two 310 instead of 340.
const RAREST: u32 = 8;
/// How long a thread among many pauses before its only look. It most likely keeps from running whom it waits for: on a single processor
/// 64 bytes between two threads take 74 ns instead of 78, with 16.
const BRIEF_PAUSE: usize = 2;
/// Who waits for room for fewer values than that, or for values of so few, does not stay on a lane while it lets others
/// run, but joins the list: there, whoever comes by deals with all who wait at once, where on the lane each would have to
/// run before the next value can go by. Four threads that send to one, all on one core: 5 µs a value on the lane of a
/// single slot, 1.2 in the list. With eight slots it is the same, with more the lane is better.
const FEW: usize = 8;

/// Parks and wakes a thread.
pub(super) struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the Acquire in `park`: the woken thread sees why. `unpark` is skipped
        // when a wake-up is on its way already.
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

impl Unpark {
    /// Of the thread that calls, with a waker.
    pub(super) fn of_this_thread() -> (Arc<Self>, Waker) {
        let unpark = Arc::new(Self { thread: thread::current(), woken: AtomicBool::new(false) });
        (unpark.clone(), Waker::from(unpark))
    }

    /// Wakes the thread that calls: its next wait is none.
    pub(super) fn wake_itself(&self) {
        // Swapped, as a store would hide from `park` what a waker before it has released.
        self.woken.swap(true, Ordering::Release);
    }

    /// Waits until woken, or for `limit`: awake for a moment, if that is how long this thread has waited of late, then
    /// asleep.
    pub(super) fn park(&self, limit: Option<Duration>) {
        if self.is_woken() {
            return;
        }
        // A limit beyond what the clock can tell is none.
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let look = |()| if self.is_woken() { Ok(()) } else { Err(Missed::NotNow(())) };
        let begun = PATIENCE.with(|patience| patience.begun.take());
        let is_soon =
            begun.is_none() && PATIENCE.with(|patience| patience.expects_soon(MOVE_IN_LIST));
        if is_soon && wait_awake(0, PATIENCE.with(Patience::looks), YIELDS, end, (), look).is_ok() {
            return PATIENCE.with(Patience::note_short);
        }
        // The clock is looked at only now: of a short wait it would be a tenth.
        let begin = Instant::now();
        let slept = self.sleep(end);
        let waited = begin.elapsed();
        PATIENCE.with(|patience| {
            // Most of a short sleep is the waking. What was waited awake before is part of the wait.
            let awake = if is_soon { AWAKE } else { begun.unwrap_or_default() };
            patience.note(if slept { waited.saturating_sub(WAKE) + awake } else { Duration::ZERO });
        });
    }

    #[inline]
    fn is_woken(&self) -> bool {
        // Looked at first, as a swap takes the line away from who wakes. Acquire pairs with the Release in
        // `wake_by_ref`.
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::Acquire)
    }

    /// Sleeps. Whether it really did.
    fn sleep(&self, end: Option<Instant>) -> bool {
        let mut slept = false;
        // `park` may return early, so the flag decides.
        while !self.is_woken() {
            match end {
                None => thread::park(),
                Some(end) => {
                    let rest = end.saturating_duration_since(Instant::now());
                    if rest.is_zero() {
                        break;
                    }
                    thread::park_timeout(rest);
                }
            }
            slept = true;
        }
        slept
    }
}

/// Does something with a value by a lane, while this thread would wait awake, until `end` at the latest, after a first attempt that
/// has `missed`; or gives it back, for what is done under the channel's lock.
pub(super) fn pass_later<V, R>(
    batch: usize,
    missed: Missed<V>,
    end: Option<Instant>,
    attempt: impl FnMut(V) -> Result<R, Missed<V>>,
) -> Result<R, V> {
    match missed {
        Missed::NotNow(value) => pass_awake(batch, value, end, attempt),
        Missed::Away(value) => pass_soon(batch, value, end, attempt),
        missed => Err(missed.into_inner()),
    }
}

/// As [`pass_later`], when what a lane had was called back a moment ago: there is no need to go after it, and to disturb others.
#[cold]
fn pass_soon<V, R>(
    batch: usize,
    mut value: V,
    end: Option<Instant>,
    mut attempt: impl FnMut(V) -> Result<R, Missed<V>>,
) -> Result<R, V> {
    for _ in 0..LOOKS {
        (0..LONGEST_PAUSE).for_each(|_| core::hint::spin_loop());
        value = match attempt(value) {
            Ok(result) => return Ok(result),
            Err(Missed::NotNow(value)) => return pass_awake(batch, value, end, attempt),
            Err(Missed::Away(value)) => value,
            Err(missed) => return Err(missed.into_inner()),
        };
    }
    Err(value)
}

#[cold]
fn pass_awake<V, R>(
    batch: usize,
    value: V,
    end: Option<Instant>,
    attempt: impl FnMut(V) -> Result<R, Missed<V>>,
) -> Result<R, V> {
    let move_after = if batch < FEW { MOVE_IN_LIST } else { MOVE };
    if !PATIENCE.with(|patience| patience.expects_soon(move_after)) {
        PATIENCE.with(|patience| patience.begun.set(Some(Duration::ZERO)));
        return Err(value);
    }
    let looks = PATIENCE.with(Patience::looks);
    if batch < FEW {
        return look_only(batch, looks, value, end, attempt);
    }
    let result = wait_awake(batch, looks, YIELDS, end, value, attempt);
    PATIENCE.with(|patience| match result {
        Ok(_) => patience.note_short(),
        // It goes to sleep then, and notes down how long that took.
        Err(Missed::NotNow(_)) => patience.begun.set(Some(AWAKE)),
        // It has yet to see whether it must wait.
        Err(_) => {}
    });
    result.map_err(Missed::into_inner)
}

/// As [`pass_awake`], where it is better to let others run in the channel's list.
fn look_only<V, R>(
    batch: usize,
    looks: u32,
    value: V,
    end: Option<Instant>,
    attempt: impl FnMut(V) -> Result<R, Missed<V>>,
) -> Result<R, V> {
    if looks < LOOKS {
        return Err(value);
    }
    let result = wait_awake(batch, looks, 0, end, value, attempt);
    PATIENCE.with(|patience| match result {
        Ok(_) => patience.note_short(),
        Err(Missed::NotNow(_)) => patience.note_whether_crowded(true),
        Err(_) => {}
    });
    result.map_err(Missed::into_inner)
}

/// Makes attempts for as long as a wake-up would cost, until `end` at the latest, or until the way is another: `looks` of
/// them with a pause before, `yields` of them after others could run. `batch` is zero where it is no lane that is looked at.
fn wait_awake<V, R>(
    batch: usize,
    looks: u32,
    yields: u32,
    end: Option<Instant>,
    mut value: V,
    mut attempt: impl FnMut(V) -> Result<R, Missed<V>>,
) -> Result<R, Missed<V>> {
    let longest = match batch {
        1..FEW => LONGEST_PAUSE_OF_FEW,
        LONG_PAUSE.. => LONG_PAUSE,
        _ => LONGEST_PAUSE,
    };
    let longest_first = if looks < LOOKS { BRIEF_PAUSE } else { longest };
    let mut pause = batch.clamp(1, longest_first);
    for look in 0..looks + yields {
        if look < looks {
            (0..pause).for_each(|_| core::hint::spin_loop());
            pause = (pause * 2).min(longest);
        } else {
            if end.is_some_and(|end| end <= Instant::now()) {
                break;
            }
            thread::yield_now();
        }
        value = match attempt(value) {
            Ok(result) => {
                PATIENCE.with(|patience| patience.note_whether_crowded(look >= looks));
                return Ok(result);
            }
            Err(Missed::NotNow(value) | Missed::Away(value)) => value,
            Err(missed) => return Err(missed),
        };
    }
    Err(Missed::NotNow(value))
}

thread_local! {
    static PATIENCE: Patience = const {
        Patience {
            usual: Cell::new(0),
            waits: Cell::new(0),
            begun: Cell::new(None),
            crowded: Cell::new(false),
            has_moved: Cell::new(false),
            rarity: Cell::new(1),
        }
    };
}

/// Whether this thread's latest wait ended only after others were let run: so there are more of them than processors.
pub(super) fn waits_among_many() -> bool {
    PATIENCE.with(|patience| patience.crowded.get())
}

/// What a thread expects of its next wait.
struct Patience {
    /// How long the last few took, in nanoseconds, the latest one counting for a quarter.
    usual: Cell<u32>,
    waits: Cell<u32>,
    /// How long it has just waited awake, in vain: it is to sleep.
    begun: Cell<Option<Duration>>,
    /// The latest wait did not end before others were let run: so those it waited for were not running, and to look
    /// kept them from that.
    crowded: Cell<bool>,
    /// Its latest wait was to be spent asleep, for another processor's sake; and how many times rarer than otherwise it does that.
    has_moved: Cell<bool>,
    rarity: Cell<u32>,
}

impl Patience {
    /// Whether staying awake is cheaper than being woken.
    fn expects_soon(&self, move_after: u32) -> bool {
        let waits = self.waits.get().wrapping_add(1);
        self.waits.set(waits);
        let may_move = self.crowded.get() && !processors::are_one();
        if may_move && waits % (move_after * self.rarity.get()) == 0 {
            self.crowded.set(false);
            self.has_moved.set(true);
            return false;
        }
        u128::from(self.usual.get()) < WAKE.as_nanos() || waits % PROBE == 0
    }

    fn note_whether_crowded(&self, is_crowded: bool) {
        self.crowded.set(is_crowded);
        if self.has_moved.replace(false) {
            self.rarity.set(if is_crowded { (self.rarity.get() * 2).min(RAREST) } else { 1 });
        }
    }

    /// How often to look before others are let run.
    fn looks(&self) -> u32 {
        if processors::are_one() {
            return 0;
        }
        if self.crowded.get() { 1 } else { LOOKS }
    }

    /// It has waited awake, and not in vain: that is for certain. Of a sleep, most may have been the waking, where that
    /// takes longer than usual; so this outweighs those before it.
    fn note_short(&self) {
        self.usual.set(0);
    }

    fn note(&self, waited: Duration) {
        // One long wait among short ones is forgotten after two more.
        let waited = waited.min(WAKE * 4).as_nanos() as u32;
        self.usual.set(self.usual.get() / 4 * 3 + waited / 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Discard, DropOldest};
    use crate::std_layer::channel::bounded_with;

    /// What a sleeper notes down that was woken at once, where waking takes more than twice as long as it should.
    const SLUGGISH: Duration = Duration::from_micros(30);

    /// A first attempt, and those after it.
    fn pass<R>(
        batch: usize,
        mut attempt: impl FnMut(()) -> Result<R, Missed<()>>,
    ) -> Result<R, ()> {
        attempt(()).or_else(|missed| pass_later(batch, missed, None, attempt))
    }

    /// Waits for what comes at look number `comes`, or else asleep, which is noted down as `slept`. How often it looked,
    /// and whether it slept.
    fn wait(comes: u32, slept: Duration) -> (u32, bool) {
        let mut looks = 0;
        let awake = pass(FEW, |()| {
            looks += 1;
            if looks == comes { Ok(()) } else { Err(Missed::NotNow(())) }
        });
        if awake.is_err() {
            PATIENCE.with(|patience| patience.note(slept));
        }
        (looks, awake.is_err())
    }

    /// Runs `f` on a thread that has waited long, often.
    fn when_idle(f: impl FnOnce() + Send) {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..64 {
                    wait(u32::MAX, Duration::from_secs(1));
                }
                f();
            });
        });
    }

    #[test]
    fn an_idle_thread_hardly_looks() {
        when_idle(|| {
            let looks: u32 =
                (0..PROBE * 10).map(|_| wait(u32::MAX, Duration::from_secs(1)).0).sum();
            // One each, and now and then a wait that is begun awake.
            assert!(looks >= PROBE * 10);
            assert!(looks <= PROBE * 10 + 10 * (LOOKS + YIELDS), "{looks}");
        });
    }

    #[test]
    fn a_thread_whose_waits_become_short_stays_awake_again() {
        for slept in [Duration::ZERO, SLUGGISH] {
            when_idle(|| {
                let sleeps = (0..1000).filter(|_| wait(2, slept).1).count();
                assert!(sleeps <= PROBE as usize, "{sleeps} sleeps, {slept:?}");
            });
        }
    }

    #[test]
    fn one_long_wait_among_short_ones_is_forgotten() {
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert!(wait(u32::MAX, Duration::from_secs(1)).1);
                    let sleeps = (0..10).filter(|_| wait(2, Duration::ZERO).1).count();
                    assert!(sleeps <= 2, "{sleeps}");
                }
            });
        });
    }

    #[test]
    fn who_goes_another_way_has_not_waited_in_vain() {
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut looks = 0;
                let spent = pass(FEW, |()| -> Result<(), _> {
                    looks += 1;
                    Err(if looks < 3 { Missed::NotNow(()) } else { Missed::Spent(()) })
                });
                assert_eq!((spent, looks), (Err(()), 3));
                assert_eq!(wait(2, Duration::ZERO), (2, false));
            });
        });
    }

    #[test]
    fn who_looked_in_vain_lets_others_run_at_once_and_now_and_then_sleeps() {
        thread::scope(|scope| {
            scope.spawn(|| {
                let looks = || PATIENCE.with(|patience| (patience.crowded.get(), patience.looks()));
                assert_eq!(wait(2, Duration::ZERO), (2, false));
                assert_eq!(looks(), (false, LOOKS));
                assert_eq!(wait(LOOKS + 2, Duration::ZERO), (LOOKS + 2, false));
                assert_eq!(looks(), (true, 1));
                let long = LOOKS + 2;
                let waits_until_asleep =
                    || (1..=RAREST * MOVE).find(|_| wait(long, Duration::ZERO).1);
                assert!(waits_until_asleep().is_some_and(|waits| waits <= MOVE));
                // It may have a processor of its own then.
                assert_eq!(looks(), (false, LOOKS));
                // It has not: so the next time is that of twice as many waits since the first.
                let waits = [1, 2, 4, 8, 8].map(|rarer| (waits_until_asleep(), Some(rarer * MOVE)));
                assert!(waits.iter().all(|(waits, expected)| waits == expected), "{waits:?}");
                // It has.
                assert_eq!(wait(2, Duration::ZERO), (2, false));
                assert!(waits_until_asleep().is_some_and(|waits| waits <= MOVE));
            });
        });
    }

    #[test]
    fn who_waits_for_a_single_slot_lets_others_run_in_the_list() {
        thread::scope(|scope| {
            scope.spawn(|| {
                let looks_in_vain = || {
                    let mut looks = 0;
                    let missed = pass(1, |()| -> Result<(), _> {
                        looks += 1;
                        Err(Missed::NotNow(()))
                    });
                    assert_eq!(missed, Err(()));
                    looks
                };
                assert_eq!(looks_in_vain(), 1 + LOOKS);
                assert_eq!(looks_in_vain(), 1);
            });
        });
    }

    #[test]
    fn a_send_that_replaces_a_value_does_not_wait_for_room() {
        let (sender, receiver) = bounded_with(2, DropOldest(Discard));
        let waits = || PATIENCE.with(|patience| patience.waits.get());
        let before = waits();
        for value in 0..10 {
            assert_eq!(sender.blocking_send(value), Ok(()));
        }
        assert_eq!(waits(), before);
        assert!(receiver.drain().eq([8, 9]));
    }
}
