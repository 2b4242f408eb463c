//! Timers: any number of sleeps, inserted and cancelled in constant time.
//!
//! A radix heap (Ahuja, Mehlhorn, Orlin and Tarjan, 1990), which suits clocks because they never go
//! back. A sleep lies in the bucket of the highest bit in which its deadline differs from `last`, the
//! time of the last [`advance`](Timers::advance):
//!
//! ```text
//!   last = …0100   bucket 0: …0101   bucket 1: …011x   (none)   bucket 3: …1xxx
//! ```
//!
//! When time advances and the highest bit that changes is *h*, everything in buckets below *h* is due,
//! bucket *h* is dealt out again, and the buckets above stay as they are. Each sleep moves at most once
//! for each bit of its delay. Every critical section deals with one sleep, so interrupts are never kept
//! waiting, however many are due.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::select::Arm;
use crate::sync::claim::Claim;
use crate::sync::wait::{State, Token, TokenList};
use crate::sync::waker::clone_own;
use crate::sync::{Locked, RawMutex, const_fn};

/// One a bit of a 31-bit delay, and the last for everything beyond: a word tells which of them are empty.
const BUCKETS: usize = u32::BITS as usize;
const FAR: usize = BUCKETS - 1;
/// How many sleeps of one bucket are looked at for the exact next deadline.
const LOOK: usize = 4;

/// Where kernels find out what is due: [`Timers`], or [`NoTimers`] for programs without any.
pub trait TimerQueue {
    /// Makes sleeps that are due ready.
    fn advance(&self, now: u64);
    /// When to advance next.
    fn next_deadline(&self) -> Option<u64>;
    /// Asked by a driver that is about to sleep: whether it is the one that keeps the time, and until when.
    #[cfg(feature = "std")]
    #[doc(hidden)]
    fn keep(&self, _driver: usize, _waker: &Waker) -> Watch {
        Watch::Keep(None)
    }
    /// The driver is awake. Whether it kept the time.
    #[cfg(feature = "std")]
    #[doc(hidden)]
    fn resign(&self, _driver: usize) -> bool {
        false
    }
    /// Sleeps that have not ended.
    fn pending(&self) -> u32 {
        0
    }
}

/// Whether a driver keeps the time while it sleeps.
#[cfg(feature = "std")]
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// It does: until this tick, or until a sleep is begun.
    Keep(Option<u64>),
    /// Another one does.
    Sleep,
}

/// The driver that sleeps until the next deadline, so that the others need not wake for it. It is woken when
/// a sleep is begun that ends earlier.
#[cfg(feature = "std")]
struct Keeper {
    driver: usize,
    deadline: u64,
    /// `None` once it has been woken for an earlier sleep; it keeps the time until it resigns.
    waker: Option<Waker>,
}

/// No sleeps, no memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTimers;

impl TimerQueue for NoTimers {
    fn advance(&self, _now: u64) {}
    fn next_deadline(&self) -> Option<u64> {
        None
    }
}

/// A queue of sleeps, in ticks of whatever clock drives it.
///
/// A [`Kernel`](crate::kernel::Kernel) has one and advances it. Under another executor make it a
/// `static` and call [`advance`](Self::advance) from the timer interrupt. About 72 words.
///
/// ```
/// use cloakroom::kernel::{TimerQueue, Timers};
/// use cloakroom::sync::CriticalSectionRawMutex;
///
/// static TIMERS: Timers<CriticalSectionRawMutex> = Timers::new();
/// // In a task: TIMERS.after(50).await; in the timer interrupt:
/// TIMERS.advance(1_000);
/// assert_eq!(TIMERS.now(), 1_000);
/// ```
pub struct Timers<M> {
    heap: Locked<M, Heap>,
}

struct Heap {
    last: u64,
    occupied: u32,
    /// Buckets whose sleeps were put there under an earlier `last` and are being dealt out.
    stale: u32,
    /// Sleeps in the far bucket, and how many of them are still to be looked at.
    far: usize,
    far_stale: usize,
    /// Sleeps in all buckets.
    pending: u32,
    buckets: [TokenList; BUCKETS],
    #[cfg(feature = "std")]
    keeper: Option<Keeper>,
}

/// A sleep's token. The token comes first: a pointer to it is one to the whole.
#[repr(C)]
struct Alarm {
    token: Token,
    deadline: u64,
    bucket: core::cell::Cell<u8>,
}

impl<M: RawMutex> Timers<M> {
    const_fn! {
        /// No sleeps; the time is 0.
        pub const fn new() -> Self {
            Self {
                heap: Locked::new(Heap {
                    last: 0,
                    occupied: 0,
                    stale: 0,
                    far: 0,
                    far_stale: 0,
                    pending: 0,
                    buckets: [const { TokenList::new() }; BUCKETS],
                    #[cfg(feature = "std")]
                    keeper: None,
                }),
            }
        }
    }

    /// The time of the last [`advance`](TimerQueue::advance).
    pub fn now(&self) -> u64 {
        self.heap.with(|heap| heap.last)
    }

    /// Sleeps until tick `deadline`.
    pub fn at(&self, deadline: u64) -> Sleep<'_, M> {
        Sleep {
            timers: self,
            alarm: Alarm { token: Token::new(), deadline, bucket: core::cell::Cell::new(0) },
        }
    }

    /// Sleeps for `ticks` from [`now`](Self::now) on.
    pub fn after(&self, ticks: u64) -> Sleep<'_, M> {
        self.at(self.now().saturating_add(ticks))
    }
}

impl<M: RawMutex> Default for Timers<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: RawMutex> TimerQueue for Timers<M> {
    /// Makes every sleep ready whose deadline is `now` or earlier. A time before the last one changes
    /// nothing. Interrupt-safe.
    #[inline]
    fn advance(&self, now: u64) {
        if self.heap.with(|heap| {
            heap.occupied == 0 && {
                heap.last = heap.last.max(now);
                true
            }
        }) {
            return;
        }
        loop {
            match self.heap.with(|heap| heap.step(now)) {
                Stepped::Done => return,
                Stepped::Again(waker) => {
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            }
        }
    }

    /// The next deadline; when more than four sleeps share the lowest bucket, possibly an earlier time,
    /// at which advancing spreads them.
    fn next_deadline(&self) -> Option<u64> {
        self.heap.with(|heap| heap.next_deadline())
    }

    #[cfg(feature = "std")]
    fn keep(&self, driver: usize, waker: &Waker) -> Watch {
        let waker = Some(waker.clone());
        // The deadline is read in the critical section that makes it the keeper's, so no sleep is begun in between.
        let (watch, unused) = self.heap.with(|heap| {
            let next = heap.next_deadline();
            let deadline = next.unwrap_or(u64::MAX);
            match &heap.keeper {
                Some(keeper) if keeper.driver != driver && keeper.deadline <= deadline => {
                    (Watch::Sleep, waker)
                }
                _ => {
                    let old = heap.keeper.replace(Keeper { driver, deadline, waker });
                    (Watch::Keep(next), old.and_then(|old| old.waker))
                }
            }
        });
        drop(unused);
        watch
    }

    #[cfg(feature = "std")]
    fn resign(&self, driver: usize) -> bool {
        let kept = self.heap.with(|heap| heap.keeper.take_if(|keeper| keeper.driver == driver));
        kept.is_some()
    }

    fn pending(&self) -> u32 {
        self.heap.with(|heap| heap.pending)
    }
}

enum Stepped {
    Done,
    Again(Option<Waker>),
}

fn bucket_of(last: u64, deadline: u64) -> usize {
    ((last ^ deadline).checked_ilog2().unwrap_or(0) as usize).min(FAR)
}

impl Heap {
    /// # Safety
    /// As for [`TokenList::push_back`]; `alarm`'s deadline is later than `last`.
    unsafe fn insert(&mut self, alarm: *const Alarm) {
        // SAFETY: alive by the caller's word.
        let bucket = unsafe { bucket_of(self.last, (*alarm).deadline) };
        // SAFETY: as above; the token heads the alarm.
        unsafe {
            (*alarm).bucket.set(bucket as u8);
            self.buckets[bucket % BUCKETS].push_back(alarm.cast());
        }
        self.occupied |= 1 << bucket;
        self.far += usize::from(bucket == FAR);
        self.pending += 1;
    }

    /// The keeper of the time, if it would sleep beyond `deadline`.
    #[cfg(feature = "std")]
    fn late_keeper(&mut self, deadline: u64) -> Option<Waker> {
        let keeper = self.keeper.as_mut().filter(|keeper| deadline < keeper.deadline)?;
        keeper.deadline = deadline;
        keeper.waker.take()
    }

    #[cfg(not(feature = "std"))]
    fn late_keeper(&mut self, _deadline: u64) -> Option<Waker> {
        None
    }

    /// # Safety
    /// `alarm` is queued here.
    unsafe fn remove(&mut self, alarm: *const Alarm) {
        // SAFETY: queued, hence alive, and in the bucket that it says.
        let bucket = unsafe { usize::from((*alarm).bucket.get()) } % BUCKETS;
        // SAFETY: as above.
        unsafe { self.buckets[bucket].remove(alarm.cast()) };
        if self.buckets[bucket].is_empty() {
            self.occupied &= !(1 << bucket);
            // Nothing is left of what was to be dealt out; whatever comes later is where it belongs.
            self.stale &= !(1 << bucket);
        }
        self.far -= usize::from(bucket == FAR);
        self.pending -= 1;
    }

    /// Deals with one sleep, or sets the time.
    fn step(&mut self, now: u64) -> Stepped {
        self.stale &= self.occupied;
        if self.far_stale == 0 {
            self.stale &= !(1 << FAR);
        }
        if self.stale != 0 {
            let bucket = self.stale.trailing_zeros() as usize % BUCKETS;
            if bucket == FAR {
                self.far_stale -= 1;
            }
            return self.deal(bucket);
        }
        if now <= self.last {
            return Stepped::Done;
        }
        let changed = bucket_of(self.last, now);
        let below = self.occupied & ((1 << changed) - 1);
        if below != 0 {
            // All of these are due: they differ from `now` first in a bit that has become 1.
            return self.fire(below.trailing_zeros() as usize % BUCKETS);
        }
        self.last = now;
        self.stale = self.occupied & (1 << changed);
        self.far_stale = self.far;
        Stepped::Again(None)
    }

    /// Takes the first sleep of `bucket` and makes it ready.
    fn fire(&mut self, bucket: usize) -> Stepped {
        let Some(first) = self.buckets[bucket % BUCKETS].first() else {
            return Stepped::Again(None);
        };
        // SAFETY: every token here heads an alarm, and this one is queued.
        unsafe {
            self.remove(first.cast());
            Stepped::Again((*first).settle(State::Granted))
        }
    }

    /// Puts the first sleep of a stale bucket where it belongs now.
    fn deal(&mut self, bucket: usize) -> Stepped {
        let Some(first) = self.buckets[bucket % BUCKETS].first() else {
            return Stepped::Again(None);
        };
        let alarm = first.cast::<Alarm>();
        // SAFETY: as in `fire`.
        if unsafe { (*alarm).deadline } <= self.last {
            return self.fire(bucket);
        }
        // SAFETY: queued until now, pinned, and put back at once.
        unsafe {
            self.remove(alarm);
            self.insert(alarm);
        }
        Stepped::Again(None)
    }

    fn next_deadline(&self) -> Option<u64> {
        if self.occupied == 0 {
            return None;
        }
        if self.stale & self.occupied != 0 {
            // Somebody is in the middle of advancing: what is next is not known yet.
            return Some(self.last);
        }
        let bucket = self.occupied.trailing_zeros() as usize % BUCKETS;
        let mut earliest = u64::MAX;
        let mut at = self.buckets[bucket].first();
        for _ in 0..LOOK {
            let Some(token) = at else {
                return Some(earliest);
            };
            // SAFETY: every token here heads an alarm and is alive while it is queued.
            earliest = earliest.min(unsafe { (*token.cast::<Alarm>()).deadline });
            at = self.buckets[bucket].after(token);
        }
        if at.is_none() {
            return Some(earliest);
        }
        // The first moment that belongs to this bucket.
        let low = 1_u64 << bucket;
        Some(((self.last | (low - 1)) + 1).min(earliest))
    }
}

/// A pending sleep, made by [`Timers::at`] and [`Timers::after`].
///
/// Cancel safety: dropping it takes it out of the queue, in constant time. Wake-ups: one. It is an
/// [`Arm`] of a select.
#[must_use = "futures do nothing unless polled"]
pub struct Sleep<'t, M: RawMutex> {
    timers: &'t Timers<M>,
    alarm: Alarm,
}

// SAFETY: the token and the bucket number are guarded by the timers' lock, the rest is plain data.
unsafe impl<M: RawMutex + Sync> Send for Sleep<'_, M> {}

impl<M: RawMutex> Sleep<'_, M> {
    /// When it ends, in ticks.
    pub fn deadline(&self) -> u64 {
        self.alarm.deadline
    }

    pub(super) fn timers(&self) -> &Timers<M> {
        self.timers
    }

    /// Starts over with another deadline.
    pub(super) fn restart(self: Pin<&mut Self>, deadline: u64) {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        // Out of its bucket first, which the old deadline says.
        this.leave();
        this.alarm.deadline = deadline;
    }

    fn leave(&mut self) {
        if !self.alarm.token.is_known() {
            self.alarm.token.leave_select();
            return;
        }
        self.alarm.token.forget();
        let waker = self.timers.heap.with(|heap| {
            self.alarm.token.leave_select();
            if self.alarm.token.state() == State::Queued {
                // SAFETY: queued.
                unsafe { heap.remove(&raw const self.alarm) };
            }
            self.alarm.token.set_state(State::Idle);
            self.alarm.token.take_waker()
        });
        drop(waker);
    }
}

impl<M: RawMutex> Future for Sleep<'_, M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing pinned is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let token = &this.alarm.token;
        let mut waker = None;
        loop {
            let step = this.timers.heap.with(|heap| {
                if heap.last >= this.alarm.deadline || token.state() == State::Granted {
                    return Err(true);
                }
                if token.state() == State::Queued && token.will_wake(cx.waker()) {
                    return Err(false);
                }
                let Some(waker) = waker.take().or_else(|| clone_own(cx.waker())) else {
                    return Ok(None);
                };
                let mut keeper = None;
                if token.state() == State::Idle {
                    token.make_known();
                    // SAFETY: pinned, in no list, taken out in `leave`; later than `last`, see above.
                    unsafe { heap.insert(&raw const this.alarm) };
                    keeper = heap.late_keeper(this.alarm.deadline);
                }
                Ok(Some((token.set_waker(Some(waker)), keeper)))
            });
            match step {
                Ok(Some((old, keeper))) => {
                    drop(old);
                    if let Some(keeper) = keeper {
                        keeper.wake();
                    }
                    return Poll::Pending;
                }
                Ok(None) => waker = Some(cx.waker().clone()),
                Err(false) => return Poll::Pending,
                Err(true) => {
                    let won = crate::sync::claim::claim_own(token.side());
                    return if won { Poll::Ready(()) } else { Poll::Pending };
                }
            }
        }
    }
}

impl<M: RawMutex> crate::select::sealed::Sealed for Sleep<'_, M> {}

impl<M: RawMutex> Arm for Sleep<'_, M> {
    unsafe fn join(self: Pin<&mut Self>, claim: *const Claim, arm: u16) {
        // SAFETY: passed on; nothing is moved.
        unsafe { self.get_unchecked_mut().alarm.token.join_select(claim, arm) }
    }

    fn withdraw(self: Pin<&mut Self>) {
        // SAFETY: nothing pinned is moved.
        unsafe { self.get_unchecked_mut() }.leave();
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // That it is time is no event that could be used up.
        self.poll(cx)
    }
}

impl<M: RawMutex> Drop for Sleep<'_, M> {
    fn drop(&mut self) {
        self.leave();
    }
}
