//! A lane for senders and one for receivers, past the lock of a channel on the heap that is in use.
//!
//! Each side has its end of the ring, and a count of what it has passed, in a cache line of its own; of the other
//! side's it needs the count alone, and keeps what it saw of that until it is no longer enough. So a sender and a
//! receiver on two cores share the lines with the values, and hardly anything else.

mod lane;
mod pass;
mod renewal;

use std::cell::Cell;
use std::hint::spin_loop;
use std::mem::MaybeUninit;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, Ordering};

use lane::{End, Lane, Way, Within};
#[cfg(loom)]
use loom::sync::atomic::Ordering;

use crate::channel::aside::{Lending, Lent, Missed, Returned, Window};
#[cfg(loom)]
use crate::std_layer::modelled::{AtomicUsize, Lock as Biased, Watch};
use crate::std_layer::processors;
#[cfg(not(loom))]
use crate::sync::biased::Biased;
use crate::sync::thread;

/// How many slots there must be for lanes' locks to be biased although threads wait for each other. Where there are fewer, that is at nearly
/// each value, and a look without a lock comes too soon after the last: with a single slot a value takes 160 ns
/// instead of 115, where caches are not shared 600 instead of 480. (One thread that is alone with a channel waits for nobody.)
const BIASED_FROM: usize = 8;

/// Where at least so many values may go one way before any has to go the other, who finds a lane's lock held pauses for so long before it
/// takes it, and lets whoever has it pass some hundred values meanwhile: otherwise each of both would cost every few values the lines of
/// a lane. Four threads that send to one by an unlimited channel take 13 ns a value instead of 19, with four receivers 13.5 instead of 17.
/// In a ring of 128 it is of no use.
const MANY: usize = 256;
const PAUSE: u32 = 64;

/// How many values must go by for a loan to have been worth it: recalling it costs two locks, and each value saves a
/// part of one.
/// (A model checker has few values to pass, and is to see loans all the same.)
const WORTH: usize = if cfg!(loom) { 1 } else { 4 };
/// How many critical sections pass at the most before another one is tried: two tasks that wait for each other at each value lose some 120 ns by
/// that, which was 8 of the 109 ns that a request and its reply took with 63 sections between. And where lanes are of use again, they are open
/// within microseconds.
const LONGEST_PAUSE: u8 = if cfg!(loom) { 1 } else { 200 };

/// A lane for senders, and one for receivers. See [`aside`](crate::channel::aside) for when they are open.
///
/// Whatever `T` is, it lies in memory alike. Processors fetch lines in pairs: what one side publishes has the other's lock
/// beside it.
#[repr(C, align(128))]
#[doc(hidden)]
pub struct Lanes<T> {
    /// A [`Sign`], as it was when the channel's lock was last given up. In a line of its own: a look at a lane, or at what follows the
    /// lanes, takes that line away from those who use it.
    sign: AtomicUsize,
    /// What the last loan was worth; see [`Aside::batch`](crate::channel::aside::Aside::batch).
    batch: AtomicUsize,
    tail: Lane<T>,
    head: Lane<T>,
    /// To whom the channel's lock is biased. That lock stands for the one in here, which nobody takes.
    bias: Biased,
    /// What either side had passed when the channel's state was told last. Under the channel's lock.
    told: [Cell<usize>; 2],
    /// Whether anything is lent, and whether that has been renewed. Under the channel's lock.
    is_lent: Cell<bool>,
    is_renewed: Cell<bool>,
    /// What the sign says. Under the channel's lock.
    said: Cell<Sign>,
    /// How many critical sections more lend nothing, and how many did before the last loan. Under the channel's lock.
    rest: Cell<u8>,
    pause: Cell<u8>,
    #[cfg(loom)]
    watch: Watch,
}

/// What those are told who come: that there are slots and values on loan; or else which side would have to wait under the channel's lock,
/// unless nobody has said.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Sign(u8);

impl Sign {
    const OPEN: Self = Self(4);
    const NONE: Self = Self(8);

    #[inline]
    fn of(waits: [bool; 2]) -> Self {
        let [sends, recvs] = waits.map(u8::from);
        Self(sends | recvs << 1)
    }

    #[inline]
    fn waits(self, side: Side) -> bool {
        self.0 & side as u8 != 0
    }
}

/// Who comes: by its bit in a [`Sign`].
#[derive(Clone, Copy)]
enum Side {
    Sends = 1,
    Receives = 2,
}

impl<T> Lanes<T> {
    /// Makes a model checker's atomics, before others see them: to it they begin with their first use.
    #[cfg(loom)]
    pub(super) fn begin(&self) {
        for atomic in [&self.sign, &self.batch, &self.tail.way, &self.head.way] {
            atomic.load(Ordering::Relaxed);
        }
        for lane in [&self.tail, &self.head] {
            lane.passed();
            lane.limit();
        }
    }

    /// Tells those who come. Under the channel's lock.
    #[inline]
    fn say(&self, sign: Sign) {
        self.said.set(sign);
        // Relaxed: it says which lock to take first, and whoever takes the channel's has taken none too few.
        self.sign.store(sign.0.into(), Ordering::Relaxed);
    }

    /// What those who come were told.
    #[inline]
    fn sign(&self) -> Sign {
        // Relaxed: as above. Lossless, as it was one.
        Sign(self.sign.load(Ordering::Relaxed) as u8)
    }

    /// Whether those of one side are to look at their lane.
    #[inline]
    fn invites(&self, side: Side) -> Result<(), Missed<()>> {
        let sign = self.sign();
        if sign == Sign::OPEN {
            return Ok(());
        }
        let waits =
            if sign == Sign::NONE { self.lane(side).beside.waited() } else { sign.waits(side) };
        Err(if waits { Missed::NotNow(()) } else { Missed::Shut(()) })
    }

    fn lane(&self, side: Side) -> &Lane<T> {
        match side {
            Side::Sends => &self.tail,
            Side::Receives => &self.head,
        }
    }

    /// Puts up another sign. Under the channel's lock, with nothing lent.
    #[inline]
    fn say_instead(&self, sign: Sign) {
        let said = self.said.get();
        if said == sign {
            return;
        }
        if said == Sign::OPEN {
            self.tail.shut();
            self.head.shut();
        }
        self.say(sign);
    }

    /// Whether the side that `other` belongs to may be at work now, on another thread. Where there are few slots it is not worth
    /// waiting for, as there.
    fn runs_beside(&self, other: &Lane<T>) -> bool {
        self.batch() >= BIASED_FROM
            && !processors::are_one()
            && other.lock.is_of_another(thread::number())
    }

    /// A lane's end, as [`Lane::enter`]; in no hurry if somebody else has it.
    #[inline(always)]
    fn enter<'a>(&self, lane: &'a Lane<T>) -> Result<Within<'a, T>, Way> {
        if lane.lock.is_held() && self.batch() >= MANY {
            (0..PAUSE).for_each(|_| spin_loop());
        }
        lane.enter()
    }

    /// Uses a slot, before the eyes of a model checker, if there is one.
    #[inline]
    fn uses<R>(&self, slot: *mut MaybeUninit<T>, f: impl FnOnce(*mut MaybeUninit<T>) -> R) -> R {
        #[cfg(loom)]
        {
            // A step, before which others may go on.
            self.batch();
            self.watch.uses(slot, f)
        }
        #[cfg(not(loom))]
        f(slot)
    }
}

/// As in [`Aside`](crate::channel::aside::Aside).
impl<T> Lanes<T> {
    #[allow(clippy::declare_interior_mutable_const)] // made anew at each use
    pub(super) const NEW: Self = Self {
        tail: Lane::NEW,
        head: Lane::NEW,
        sign: AtomicUsize::new(Sign::NONE.0 as usize),
        batch: AtomicUsize::new(0),
        bias: Biased::new(),
        told: [const { Cell::new(0) }; 2],
        is_lent: Cell::new(false),
        is_renewed: Cell::new(false),
        said: Cell::new(Sign::NONE),
        rest: Cell::new(0),
        pause: Cell::new(0),
        #[cfg(loom)]
        watch: Watch::new(),
    };

    #[inline(always)]
    pub(super) fn send(&self, value: T, counts: bool) -> Result<(), Missed<T>> {
        self.send_at_once(value).or_else(|value| self.send_slowly(value, counts, false))
    }

    #[inline(always)]
    pub(super) fn send_unhurried(&self, value: T) -> Result<(), Missed<T>> {
        self.send_at_once(value).or_else(|value| self.send_slowly(value, false, true))
    }

    #[inline(always)]
    pub(super) fn recv(&self, counts: bool) -> Result<T, Missed<()>> {
        self.recv_at_once().map_or_else(|| self.recv_slowly(counts, false), Ok)
    }

    #[inline(always)]
    pub(super) fn recv_unhurried(&self) -> Result<T, Missed<()>> {
        self.recv_at_once().map_or_else(|| self.recv_slowly(false, true), Ok)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn send_again(&self, value: T) -> Result<(), Missed<T>> {
        if !self.runs_beside(&self.head) {
            return Err(Missed::NotNow(value));
        }
        self.tail.beside.look(value, |value| self.send(value, false))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn recv_again(&self) -> Result<T, Missed<()>> {
        if !self.runs_beside(&self.tail) {
            return Err(Missed::NotNow(()));
        }
        self.head.beside.look((), |()| self.recv(false))
    }

    #[inline]
    pub(super) fn may_send(&self) -> Result<(), Missed<()>> {
        self.invites(Side::Sends)
    }

    #[inline]
    pub(super) fn may_recv(&self) -> Result<(), Missed<()>> {
        self.invites(Side::Receives)
    }

    #[cold]
    pub(super) fn note_send(&self, waited: bool) {
        self.tail.beside.note(waited);
    }

    #[cold]
    pub(super) fn note_recv(&self, waited: bool) {
        self.head.beside.note(waited);
    }

    #[inline]
    pub(super) fn recv_many(&self, into: &mut [MaybeUninit<T>]) -> Result<usize, Missed<()>> {
        let mut end =
            self.enter(&self.head).map_err(|way| self.refuse(Side::Receives, way, (), false))?;
        let passed = self.head.own_passed();
        let mut count = self.head.limit().saturating_sub(passed);
        if count < into.len() {
            let seen = self.tail.passed();
            if end.between(passed, seen) == 0 {
                return Err(Missed::NotNow(()));
            }
            if passed == end.last {
                return Err(Missed::Spent(()));
            }
            count = self.head.see(&end, seen).wrapping_sub(passed);
        }
        let count = count.min(into.len());
        for place in &mut into[..count] {
            // SAFETY: as in `take`, as there are so many values.
            let value = self.uses(end.pass(), |slot| unsafe { (*slot).assume_init_read() });
            end.weigh(place.write(value));
        }
        self.head.publish(passed.wrapping_add(count));
        Ok(count)
    }

    #[cold]
    pub(super) fn note_send_looks(&self) {
        self.note_looks(&self.tail);
    }

    #[cold]
    pub(super) fn note_recv_looks(&self) {
        self.note_looks(&self.head);
    }

    /// A thread will look again and again at this lane, and at no other: the other side is not to be disturbed.
    fn note_looks(&self, lane: &Lane<T>) {
        // A ring's last loan was as large as all of them are; before the first there is nothing to be told.
        if (1..BIASED_FROM).contains(&self.batch()) {
            lane.lock.let_bias(false);
        }
    }

    #[inline]
    pub(super) fn batch(&self) -> usize {
        // A hint.
        self.batch.load(Ordering::Relaxed)
    }
}

impl<T> Lending<T> for Lanes<T> {
    #[inline]
    fn enter(&self) -> Option<impl Sized> {
        self.bias.enter(thread::number_so_far())
    }

    #[inline]
    fn settle_bias(&self) {
        self.bias.settle(thread::number());
    }

    #[inline]
    fn recall(&self) -> Option<Returned> {
        // Looked at before it is written, as it hardly ever is where tasks wait for each other.
        if !self.is_lent.get() {
            return None;
        }
        self.is_lent.set(false);
        let [sent, received] = &self.told;
        // Each lane's lock is taken once, so what its last holder did is seen, and the next finds it shut.
        let (high_water, sends) = self.tail.close(sent.get());
        let (_, recvs) = self.head.close(received.get());
        let was_worth_it = self.is_renewed.get() || sends.values.max(recvs.values) >= WORTH;
        let pause = self.pause.get();
        let pause = if was_worth_it {
            0
        } else {
            pause.saturating_mul(2).saturating_add(1).min(LONGEST_PAUSE)
        };
        self.pause.set(pause);
        self.rest.set(pause);
        Some(Returned { high_water, sends, recvs })
    }

    #[inline]
    unsafe fn renew_sends(&self, renew: impl FnOnce(Returned) -> Option<Window<T>>) -> bool {
        // SAFETY: passed on.
        unsafe { self.go_on_sending(renew) }
    }

    #[inline]
    unsafe fn renew_recvs(&self, renew: impl FnOnce(Returned) -> Option<Window<T>>) -> Option<T> {
        // SAFETY: passed on.
        unsafe { self.go_on_receiving(renew) }
    }

    #[inline(always)]
    fn pass_quietly(&self) -> bool {
        // While anything is lent the sign says so.
        let is_quiet = self.said.get() == Sign::NONE && self.rest.get() > 0;
        if is_quiet {
            self.rest.set(self.rest.get() - 1);
        }
        is_quiet
    }

    #[inline]
    fn is_worth_it(&self) -> bool {
        let rest = self.rest.get();
        self.rest.set(rest.saturating_sub(1));
        rest == 0
    }

    #[inline]
    unsafe fn lend(&self, lent: Lent<T>) {
        let Lent { tail, head, turn, len, room, promised, high_water, is_closed, weighs } = lent;
        let [slots, values] = promised;
        let batch = room.min(turn);
        self.batch.store(batch, Ordering::Relaxed);
        // Receivers leave as many values as are promised, so these have been passed before any they may have: no difference is less than zero.
        let (received, sent) = (values + 1, values + 1 + len);
        self.told[0].set(sent);
        self.told[1].set(received);
        self.is_lent.set(true);
        self.is_renewed.set(false);
        // Before either is open, as each reads the other's.
        self.tail.publish(sent);
        self.head.publish(received);
        let end = || End::new(turn, weighs);
        let sends = if is_closed { Way::Shut } else { Way::Open };
        let senders = end().of_senders(room.saturating_sub(slots), high_water);
        self.tail.open(sends, tail, senders, received);
        self.head.open(Way::Open, head, end().of_receivers(values), sent);
        self.say(Sign::OPEN);
    }

    #[inline]
    fn keep(&self, waits: [bool; 2]) {
        self.say_instead(Sign::of(waits));
    }

    #[inline]
    fn keep_unsaid(&self) {
        self.say_instead(Sign::NONE);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Lends nothing, and calls that back: so it was worth nothing.
    fn lend_in_vain(lanes: &Lanes<u8>) {
        let window = || Window { slots: std::ptr::null_mut(), at: 0, left: 0 };
        // SAFETY: there is no slot, so nobody uses one.
        unsafe {
            lanes.lend(Lent {
                tail: window(),
                head: window(),
                turn: 0,
                len: 0,
                room: 0,
                promised: [0; 2],
                high_water: 0,
                is_closed: false,
                weighs: false,
            });
        }
        assert!(lanes.recall().is_some());
    }

    /// How many sections in a row have nothing to do.
    fn rest(lanes: &Lanes<u8>) -> usize {
        (0..).take_while(|_| lanes.pass_quietly()).count()
    }

    #[test]
    fn after_loans_in_vain_they_rest_for_longer_and_longer() {
        let lanes = Lanes::NEW;
        assert_eq!(rest(&lanes), 0);
        for expected in [1, 3, 7, 15, 31, 63, 127, 200, 200] {
            lend_in_vain(&lanes);
            // What is lent no more has yet to be said.
            assert_eq!(rest(&lanes), 0);
            assert!(!lanes.is_worth_it());
            lanes.keep_unsaid();
            assert_eq!(rest(&lanes), expected - 1);
            assert!(lanes.is_worth_it());
        }
    }

    #[test]
    fn who_looks_after_them_or_says_something_leaves_the_rest() {
        let lanes = Lanes::NEW;
        (0..4).for_each(|_| lend_in_vain(&lanes));
        // Fifteen in all.
        for _ in 0..3 {
            assert!(!lanes.is_worth_it());
            lanes.keep_unsaid();
            assert!(lanes.pass_quietly());
        }
        lanes.keep([true, false]);
        assert_eq!(rest(&lanes), 0);
        for _ in 0..9 {
            assert!(!lanes.is_worth_it());
            lanes.keep([false, true]);
        }
        assert!(lanes.is_worth_it());
    }
}
