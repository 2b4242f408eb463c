//! A lock for what one thread uses most of the time.
//!
//! An uncontended lock costs one read-modify-write, which waits until all that the thread has stored before is seen by everybody:
//! most of what a value through a lane takes. So a lock that the same thread takes over and over again is *biased* to it: from
//! then on that thread enters by a plain store. Whoever else comes takes the bias away first, and that costs a system call
//! which makes every processor that runs a thread of this process go by a full fence: up to 9 µs where the
//! owner runs on another core. So it must be rare, which the lock sees to by what it asks for the next time.
//! (Kawachiya, Koseki, Onodera: "Lock Reservation", OOPSLA 2002; the fence is Linux's `membarrier`.)
//!
//! ```text
//!             one thread has taken it `patience` times in a row
//!   shared ────────────────────────────────────────────────────► biased to t
//!     ▲     `held` by compare-exchange: who has it is inside          │  t: inside := true; is it still mine? then it is inside
//!     │                                                               │
//!     └──────────── another thread: takes `held`; owner := none ; ◄──┘
//!                   fence of all; waits until `inside` is false; it is inside. patience × 4
//! ```
//!
//! Why two are never inside: of the owner, which stores `inside` and then loads `owner`, and of who takes the bias away, which
//! stores `owner` and then loads `inside`, at least one sees what the other has stored, as an
//! [asymmetric fence](super::asymmetric_fence) lies between the two steps of each, the light side with the owner.
//!
//! An owner may be slow: it has seen that the lock is its own, then loses it, and much later says that it is inside, and that it is
//! not after all. By then another thread may be the owner, and inside, so it must not be the same word that both say it with. There are two,
//! one for even numbers of threads and one for odd ones, each of which *belongs* to the thread that was the owner last, until that one
//! has come by `held`, and so is not in the middle of that any more. (Or has ended: then its number, and the word, go to the next thread that begins.) As long as it
//! belongs to another one, the lock is not biased.

use core::cell::Cell;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use super::asymmetric_fence;
use super::thread::{self, wait_until};

/// Elsewhere it is a lock like others.
const BIASES: bool = asymmetric_fence::MAY_BE_THERE;

/// How often in a row one thread takes it before it is biased: what that saves by then, some 3 ns each time, is what it costs to take
/// the bias away. Four times as often after each time that happens too soon, up to these steps: then it is a third of a nanosecond
/// for each time that the lock is taken.
/// (Models, and tests, take it less often, and are to see the bias taken away all the same.)
const PATIENCE: u16 = if cfg!(loom) {
    1
} else if cfg!(debug_assertions) {
    4
} else {
    2048
};
const MOST_STEPS: u8 = 2;
/// How often its owner must have taken it for the bias to have been worth several times what it costs to take it away. Tasks go from one
/// worker to another after some 20,000 values, and their locks should go with them.
const WORTH: u16 = 4 * PATIENCE;

/// A lock, biased to a thread that takes it over and over again. 16 bytes.
#[repr(C)]
pub struct Biased {
    owner: AtomicU16,
    /// Who took it last by `held`. Changed under that.
    last: AtomicU16,
    /// How often more in a row until it is biased; while it is, how often its owner has taken it, at least. Of who is inside.
    count: Cell<u16>,
    /// To whom each of `inside` belongs. Under `held`.
    users: [Cell<u16>; 2],
    /// How often the bias was taken away before it had been worth it, at the most. Under `held`.
    steps: Cell<u8>,
    /// Whether it may be biased from now on.
    may_bias: AtomicBool,
    /// Whether its owner is inside: by [`inside`](Self::inside) one of them is a thread's.
    inside: [AtomicBool; 2],
    /// Of all others.
    held: AtomicBool,
}

// SAFETY: the cells are touched by whoever has `held` alone, but for the count while it is biased, by its owner, which is inside.
unsafe impl Sync for Biased {}

impl Biased {
    super::const_fn! {
        pub const fn new() -> Self {
            Self {
                owner: AtomicU16::new(thread::NONE),
                last: AtomicU16::new(thread::NONE),
                count: Cell::new(0),
                users: [const { Cell::new(thread::NONE) }; 2],
                steps: Cell::new(0),
                may_bias: AtomicBool::new(true),
                inside: [AtomicBool::new(false), AtomicBool::new(false)],
                held: AtomicBool::new(false),
            }
        }
    }

    /// Waits until it is free, and holds it for as long as the guard lives. Not to be entered again meanwhile.
    #[inline]
    pub fn hold(&self) -> Held<'_> {
        let me = thread::number();
        match self.enter(me) {
            Some(held) => held,
            None => self.come(me),
        }
    }

    /// By `held`. Apart, so that what is inlined is short; and calls nothing where nobody else came in between.
    #[inline(never)]
    fn come(&self, me: u16) -> Held<'_> {
        if !self.try_share() {
            return self.come_behind(me);
        }
        let held = Held(&self.held);
        if self.comes_again(me) { held } else { self.come_newly(held, me) }
    }

    /// Behind whoever has `held`.
    #[cold]
    #[inline(never)]
    fn come_behind(&self, me: u16) -> Held<'_> {
        self.contend();
        self.come_newly(Held(&self.held), me)
    }

    /// After another one, or to have it biased.
    #[inline(never)]
    fn come_newly<'a>(&'a self, held: Held<'a>, me: u16) -> Held<'a> {
        self.settle(me);
        held
    }

    /// Whether this thread, which has `held`, had it before, and is not to have it biased yet: then that has been noted. Where no lock is biased nothing
    /// is to be noted.
    #[inline]
    fn comes_again(&self, me: u16) -> bool {
        if !BIASES {
            return true;
        }
        // Relaxed: as in `note`. While it is biased the count is its owner's.
        if self.is_biased() || self.last.load(Ordering::Relaxed) != me {
            return false;
        }
        let left = self.count.get();
        if left > 1 {
            self.count.set(left - 1);
        }
        left > 1
    }

    /// Of who has `held`, or, for one that stands beside another lock, that one: the owner is inside no more when this
    /// returns.
    #[inline]
    pub fn settle(&self, me: u16) {
        if self.is_biased() {
            let inside = self.inside(self.take_away());
            // Acquire pairs with the owner's Release: what it has done inside is seen.
            wait_until(|| !inside.load(Ordering::Acquire));
            self.judge();
        }
        self.note(me);
    }

    /// Holds it, if nobody else does.
    #[cfg(not(shuttle))]
    #[inline]
    pub fn try_hold(&self) -> Option<Held<'_>> {
        let me = thread::number();
        self.enter(me).or_else(|| self.try_come(me))
    }

    /// As `come`, unless somebody else holds it.
    #[cfg(not(shuttle))]
    #[inline(never)]
    fn try_come(&self, me: u16) -> Option<Held<'_>> {
        if !self.try_share() {
            return None;
        }
        let held = Held(&self.held);
        if self.is_biased() {
            let owner = self.take_away();
            // Acquire: as in `hold`.
            if self.inside(owner).load(Ordering::Acquire) {
                // Its again: who has looked meanwhile, and seen that it is not, comes by `held`. Relaxed: as in `bias`.
                self.owner.store(owner, Ordering::Relaxed);
                return None;
            }
            self.judge();
        }
        self.note(me);
        Some(held)
    }

    /// If it is biased to this thread.
    #[inline(always)]
    pub fn enter(&self, me: u16) -> Option<Held<'_>> {
        if !BIASES || !self.is_mine(me) {
            return None;
        }
        // Relaxed: nothing is told by it. What those find who wait for it to be false was stored by `Held::drop`.
        let inside = self.inside(me);
        inside.store(true, Ordering::Relaxed);
        asymmetric_fence::light();
        // Gives it up if it is not: who waits sees what this thread has done inside before.
        let held = Held(inside);
        if !self.is_mine(me) {
            return None;
        }
        // A hint: it wraps, so that a bias that was worth it may seem not to have been, once in eight times; and who comes in vain is counted, too.
        self.count.set(self.count.get().wrapping_add(1));
        Some(held)
    }

    /// Whether somebody is inside by `held`, as it was a moment ago.
    #[inline]
    pub fn is_held(&self) -> bool {
        // Relaxed: a hint.
        self.held.load(Ordering::Relaxed)
    }

    /// Whether another thread than this one had it last, as far as can be told without it.
    pub fn is_of_another(&self, me: u16) -> bool {
        // Relaxed, both: a hint.
        let last = match self.owner.load(Ordering::Relaxed) {
            thread::NONE => self.last.load(Ordering::Relaxed),
            owner => owner,
        };
        last != me && last != thread::NONE
    }

    /// Whether it may be biased from now on. A bias that is there stays.
    pub fn let_bias(&self, may_bias: bool) {
        // Looked at before it is written, as it hardly ever changes, and a store takes the line away from others. Relaxed: who sees it late
        // biases it, and that is right, too.
        if self.may_bias.load(Ordering::Relaxed) != may_bias {
            self.may_bias.store(may_bias, Ordering::Relaxed);
        }
    }

    /// The word by which this thread says so, if it is the owner. While it is, and until it has come by `held` afterwards, nobody else
    /// stores to it.
    #[inline]
    fn inside(&self, thread: u16) -> &AtomicBool {
        &self.inside[usize::from(thread % 2)]
    }

    /// Acquire, so that what is done inside stays behind it. There is nothing to be seen: since this thread's number was
    /// stored, by itself, or by one that has ended and had it before, nobody else has been inside.
    #[inline]
    fn is_mine(&self, me: u16) -> bool {
        self.owner.load(Ordering::Acquire) == me
    }

    /// Whether one thread takes it over and over again. With `held` it is for certain, and stays so.
    #[inline]
    pub fn is_biased(&self) -> bool {
        // Relaxed: changed under `held` alone; to others it is a hint.
        BIASES && self.owner.load(Ordering::Relaxed) != thread::NONE
    }

    /// That this thread has come, which has `held`.
    #[inline]
    fn note(&self, me: u16) {
        if BIASES {
            // Relaxed, both: it is changed under `held` alone, and a hint to others.
            let again = self.last.load(Ordering::Relaxed) == me;
            if !again {
                self.last.store(me, Ordering::Relaxed);
                // It is not about to say that it is inside: it is here.
                let user = self.user(me);
                if user.get() == me {
                    user.set(thread::NONE);
                }
            }
            let left = if again { self.count.get() } else { self.patience() };
            self.count.set(left - 1);
            if left == 1 {
                self.bias(me);
            }
        }
    }

    /// To whom this thread's word belongs.
    #[inline]
    fn user(&self, thread: u16) -> &Cell<u16> {
        &self.users[usize::from(thread % 2)]
    }

    fn patience(&self) -> u16 {
        PATIENCE << (2 * self.steps.get())
    }

    #[inline]
    fn try_share(&self) -> bool {
        // Acquire pairs with the Release in `Held::drop`: what the last holder wrote is seen.
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn contend(&self) {
        // A plain load until it looks free, so that waiters share the cache line.
        wait_until(|| !self.held.load(Ordering::Relaxed) && self.try_share());
    }

    /// To this thread, which has `held`.
    #[cold]
    fn bias(&self, me: u16) {
        self.count.set(self.patience());
        let user = self.user(me);
        let is_free = user.get() == thread::NONE || user.get() == me;
        let may_bias = is_free && me != thread::SHARED && self.may_bias.load(Ordering::Relaxed);
        if may_bias && asymmetric_fence::is_there() {
            user.set(me);
            self.count.set(0);
            // Relaxed: it means something to this thread, which has stored it, and to those who have `held` after it, which is
            // given up by a Release.
            self.owner.store(me, Ordering::Relaxed);
        }
    }

    /// What the bias that was taken away has been worth says how soon there is another one. Of who is inside.
    fn judge(&self) {
        let was_worth_it = self.count.get() >= WORTH;
        self.steps.set(if was_worth_it { 0 } else { (self.steps.get() + 1).min(MOST_STEPS) });
    }

    /// From the owner, which is still inside, if `inside` says so now, and does not enter by it any more. With `held`, so nobody else
    /// does, and it is not biased to another thread meanwhile. Who it was.
    #[cold]
    fn take_away(&self) -> u16 {
        self.last.store(thread::NONE, Ordering::Relaxed);
        let owner = self.owner.load(Ordering::Relaxed);
        self.owner.store(thread::NONE, Ordering::Relaxed);
        asymmetric_fence::heavy();
        owner
    }
}

/// Gives the lock up when it is dropped.
#[must_use]
pub struct Held<'a>(&'a AtomicBool);

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: everything done under the lock happens before the next holder's Acquire.
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::thread::{scope, sleep};

    use super::*;

    struct Guarded {
        lock: Biased,
        value: Cell<u64>,
    }

    // SAFETY: the value is touched with the lock held.
    unsafe impl Sync for Guarded {}

    impl Guarded {
        fn add(&self) {
            let _held = self.lock.hold();
            self.value.set(self.value.get() + 1);
        }
    }

    /// With what a lane needs for each value it fills one cache line.
    #[test]
    fn is_small() {
        assert_eq!(size_of::<Biased>(), 16);
    }

    /// One thread nearly always has it, another one comes again and again, and nothing is lost.
    #[test]
    fn counts_what_both_do() {
        const OFTEN: u64 = if cfg!(miri) { 100 } else { 3_000_000 };
        const SELDOM: u64 = if cfg!(miri) { 10 } else { 300 };
        asymmetric_fence::prepare();
        let guarded = Guarded { lock: Biased::new(), value: Cell::new(0) };
        scope(|scope| {
            scope.spawn(|| (0..OFTEN).for_each(|_| guarded.add()));
            for _ in 0..SELDOM {
                guarded.add();
                sleep(std::time::Duration::from_micros(50));
            }
        });
        assert_eq!(guarded.value.get(), OFTEN + SELDOM);
    }

    /// It goes to who takes it over and over again, if the system has the fence, until somebody else comes.
    #[test]
    fn is_biased_until_another_thread_comes() {
        let guarded = Guarded { lock: Biased::new(), value: Cell::new(0) };
        let owner = |guarded: &Guarded| guarded.lock.owner.load(Ordering::Relaxed);
        asymmetric_fence::prepare();
        (1..PATIENCE).for_each(|_| guarded.add());
        assert_eq!(owner(&guarded), thread::NONE);
        guarded.add();
        let expected = if asymmetric_fence::is_there() { thread::number() } else { thread::NONE };
        assert_eq!(owner(&guarded), expected);
        scope(|scope| _ = scope.spawn(|| guarded.add()));
        assert_eq!(owner(&guarded), thread::NONE);

        guarded.lock.let_bias(false);
        (0..8 * PATIENCE).for_each(|_| guarded.add());
        assert_eq!(owner(&guarded), thread::NONE);
    }

    /// One that was taken away too soon is four times as long in coming back; one that was of use is not.
    #[test]
    fn comes_back_sooner_if_it_was_of_use() {
        let guarded = Guarded { lock: Biased::new(), value: Cell::new(0) };
        asymmetric_fence::prepare();
        let turns_until_biased = || {
            (1..=32 * u32::from(PATIENCE)).find(|_| {
                guarded.add();
                guarded.lock.owner.load(Ordering::Relaxed) != thread::NONE
            })
        };
        let expected = |turns: u16| asymmetric_fence::is_there().then_some(turns.into());
        let take_away = || scope(|scope| _ = scope.spawn(|| guarded.add()));
        assert_eq!(turns_until_biased(), expected(PATIENCE));
        take_away();
        assert_eq!(turns_until_biased(), expected(4 * PATIENCE));
        (0..WORTH).for_each(|_| guarded.add());
        take_away();
        assert_eq!(turns_until_biased(), expected(PATIENCE));
    }
}
