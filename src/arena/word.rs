//! The state word of a descriptor: generation and counts, changed in one step.
//!
//! ```text
//!   63           32 31        18 17         4 3      0
//!  ┌───────────────┬────────────┬────────────┬────────┐
//!  │  generation   │  in hand   │  at rest   │ flags  │
//!  └───────────────┴────────────┴────────────┴────────┘
//! ```
//!
//! Both counts zero is `Free`; every return to that state raises the generation in the same step, so a
//! ticket cannot be good for one instant too long. `in hand > 0` pins the payload. `in hand = 0` with
//! `at rest > 0` is the only state in which `MOVING` may be set.
//!
//! The common cases are one comparison each: a payload with no flag and one handle is [`Bits::LEASED`] or
//! [`Bits::PARKED`] in its lower half. The leases are counted in the top bits, so that a count that would
//! overflow carries out of the word.
//!
//! How one step is made depends on the lock (see [`CasWords`]): a lock of size zero excludes everyone
//! by itself and costs less than a compare-exchange, so the word is changed under it. A lock with a
//! state of its own is for several cores, which should not all meet at it, so there the word is changed
//! by compare-exchange where the target has one of 64 bits.

use super::map::Map;
#[cfg(target_has_atomic = "64")]
use crate::sync::atomic::{AtomicU64, Ordering};
#[cfg(target_has_atomic = "64")]
use crate::sync::{asymmetric_fence, const_fn};

const COUNT_BITS: u32 = 14;
/// Where a count sticks: a payload with this many handles is never freed (it leaks instead of being
/// freed too early), as in Linux's `refcount_t`.
pub(super) const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;
const FLAG_BITS: u32 = 4;
const AT_REST_ONE: u32 = 1 << FLAG_BITS;
const AT_REST: u32 = COUNT_MAX << FLAG_BITS;
const IN_HAND_ONE: u32 = 1 << (FLAG_BITS + COUNT_BITS);
const MOVING: u32 = 1;
/// What kind of payload it is: none of the two bits for one that may be shelved at once.
const KIND: u32 = 0b110;
/// One run, but not one for a shelf, or not of the arena's own home.
const ODD: u32 = 0b010;
/// These two have the upper bit in common.
const LINK: u32 = 0b100;
const SCATTERED: u32 = 0b110;
const SUMMED: u32 = 1 << 3;

/// The last generation; a descriptor that has used it is retired.
pub(super) const LAST_GENERATION: u32 = u32::MAX;

/// The value of a state word. Two halves, so that a 32-bit core works on one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bits {
    generation: u32,
    /// Flags and both counts.
    low: u32,
}

impl Bits {
    #[cfg(target_has_atomic = "64")]
    const fn from_word(word: u64) -> Self {
        Self { generation: (word >> 32) as u32, low: word as u32 }
    }
    #[cfg(target_has_atomic = "64")]
    const fn to_word(self) -> u64 {
        (self.generation as u64) << 32 | self.low as u64
    }
    fn with(self, low: u32) -> Self {
        Self { low, ..self }
    }
    fn with_flag(self, flag: u32, on: bool) -> Self {
        self.with(if on { self.low | flag } else { self.low & !flag })
    }

    /// The lower half of a plain payload with one lease and nothing else.
    const LEASED: u32 = IN_HAND_ONE;

    /// The lower half of a plain payload with one ticket and nothing else.
    const PARKED: u32 = AT_REST_ONE;

    /// A plain payload with one ticket and nothing else, in this generation.
    #[inline]
    pub(super) fn parked_in(generation: u32) -> Self {
        Self { generation, low: Self::PARKED }
    }
    /// One lease is all there is, and no flag is set.
    #[inline]
    pub(super) fn is_leased_once(self) -> bool {
        self.low == Self::LEASED
    }
    pub(super) fn generation(self) -> u32 {
        self.generation
    }
    pub(super) fn in_hand(self) -> u32 {
        self.low / IN_HAND_ONE
    }
    pub(super) fn at_rest(self) -> u32 {
        (self.low & AT_REST) / AT_REST_ONE
    }
    pub(super) fn is_free(self) -> bool {
        self.low < AT_REST_ONE
    }
    pub(super) fn is_moving(self) -> bool {
        self.low & MOVING != 0
    }
    /// A later part of a scattered payload, reached only through its head.
    pub(super) fn is_link(self) -> bool {
        self.low & KIND == LINK
    }
    /// The head of a payload in several runs.
    pub(super) fn is_scattered(self) -> bool {
        self.low & KIND == SCATTERED
    }
    #[cfg(feature = "checksum")]
    pub(super) fn is_summed(self) -> bool {
        self.low & SUMMED != 0
    }
    /// Nobody holds it, somebody may redeem it: it may be moved.
    pub(super) fn is_movable(self) -> bool {
        self.low < IN_HAND_ONE && !self.is_moving() && !self.is_free()
    }

    /// Free to in hand, once; `odd` if it shall not be shelved at once when it is freed.
    pub(super) fn taken(self, odd: bool) -> Self {
        self.with(Self::LEASED | if odd { ODD } else { 0 })
    }
    /// Marks a freshly taken descriptor as part of a scattered payload.
    pub(super) fn scattered(self, head: bool) -> Self {
        self.with(self.low & !KIND | if head { SCATTERED } else { LINK })
    }
    #[cfg(feature = "checksum")]
    pub(super) fn with_sum(self, summed: bool) -> Self {
        self.with_flag(SUMMED, summed)
    }
    pub(super) fn with_moving(self, moving: bool) -> Self {
        self.with_flag(MOVING, moving)
    }
    /// One more lease. `None` at the maximum, where the count sticks.
    #[inline]
    pub(super) fn retained(self) -> Option<Self> {
        Some(self.with(self.low.checked_add(IN_HAND_ONE)?))
    }
    /// One lease less, unless it is the last one; `None` also at the maximum.
    #[inline]
    pub(super) fn released_beside_others(self) -> Option<Self> {
        self.low.checked_add(IN_HAND_ONE)?;
        (self.low >= 2 * IN_HAND_ONE).then(|| self.with(self.low - IN_HAND_ONE))
    }
    /// One lease less, unless it is the last handle of any kind; `None` also at the maximum.
    #[inline]
    pub(super) fn released_beside_any(self) -> Option<Self> {
        self.low.checked_add(IN_HAND_ONE)?;
        let left = self.with(self.low.checked_sub(IN_HAND_ONE)?);
        (!left.is_free()).then_some(left)
    }
    /// One lease less; raises the generation when it was the last handle of any kind.
    pub(super) fn released(self) -> Self {
        if self.in_hand() == COUNT_MAX {
            self
        } else {
            self.with(self.low - IN_HAND_ONE).freed_if_unused()
        }
    }
    /// One more ticket beside those there are; `None` when there are too many to count.
    pub(super) fn shared_at_rest(self) -> Option<Self> {
        (self.at_rest() < COUNT_MAX - 1).then(|| self.with(self.low + AT_REST_ONE))
    }
    /// One lease becomes `tickets` of them, at least one; `None` when there are too many to count.
    pub(super) fn deposited_as(self, tickets: u32) -> Option<Self> {
        if tickets > COUNT_MAX - 1 - self.at_rest() {
            return None;
        }
        let in_hand_one = if self.in_hand() == COUNT_MAX { 0 } else { IN_HAND_ONE };
        Some(self.with(self.low + AT_REST_ONE * tickets - in_hand_one))
    }
    /// The one lease of a plain payload becomes its one ticket.
    #[inline]
    pub(super) fn parked(self) -> Self {
        self.with(Self::PARKED)
    }
    /// The other way round.
    #[inline]
    pub(super) fn leased(self) -> Self {
        self.with(Self::LEASED)
    }
    /// One ticket becomes a lease.
    pub(super) fn redeemed(self) -> Self {
        let left = self.with(self.low - AT_REST_ONE);
        left.retained().unwrap_or(left)
    }
    /// The same for a payload in one run, without a checksum, that is in this generation and not being moved.
    #[inline]
    pub(super) fn redeemed_in(self, generation: u32) -> Option<Self> {
        let is_odd = self.low & (MOVING | SUMMED | LINK) != 0;
        if self.generation != generation || is_odd || self.low & AT_REST == 0 {
            return None;
        }
        Some(self.with(self.low.checked_add(IN_HAND_ONE - AT_REST_ONE)?))
    }
    /// The same, with a look first at whether the ticket is the only handle: a special case, and shorter.
    #[inline]
    pub(super) fn redeemed_quickly(self, generation: u32) -> Option<Self> {
        let parked = Self::parked_in(generation);
        if self == parked { Some(parked.leased()) } else { self.redeemed_in(generation) }
    }
    /// One ticket is given up.
    pub(super) fn discarded(self) -> Self {
        self.with(self.low - AT_REST_ONE).freed_if_unused()
    }
    fn freed_if_unused(self) -> Self {
        if self.is_free() { self.freed() } else { self }
    }
    /// Out of use, with the next generation. Wraps only from the last one, and then the descriptor is retired.
    #[inline]
    pub(super) fn freed(self) -> Self {
        Self { generation: self.generation.wrapping_add(1), low: 0 }
    }
    /// A reclaimed descriptor starts over under a new epoch.
    pub(super) fn first_generation() -> Self {
        Self { generation: 0, low: 0 }
    }
    #[cfg(test)]
    pub(super) fn with_generation(self, generation: u32) -> Self {
        Self { generation, ..self }
    }
}

/// Whether arenas under the lock `M` change their state words by compare-exchange.
pub(super) struct CasWords<M>(core::marker::PhantomData<M>);

impl<M> CasWords<M> {
    pub(super) const YES: bool = cfg!(target_has_atomic = "64") && size_of::<M>() != 0;
}

#[cfg(target_has_atomic = "64")]
type Cell = AtomicU64;
#[cfg(not(target_has_atomic = "64"))]
type Cell = core::cell::UnsafeCell<Bits>;

/// A descriptor's state word.
pub(super) struct Word(Cell);

// SAFETY: where the cell is not atomic, every access is made with the arena's lock held: the methods
// below either demand the locked map or are given it by `ArenaRef::update`.
unsafe impl Sync for Word {}

impl Word {
    #[cfg(target_has_atomic = "64")]
    const_fn! {
        pub(super) const fn new() -> Self {
            Self(Cell::new(0))
        }
    }

    #[cfg(not(target_has_atomic = "64"))]
    pub(super) const fn new() -> Self {
        Self(Cell::new(Bits { generation: 0, low: 0 }))
    }

    /// The value, with the lock held.
    pub(super) fn read(&self, _held: &Map) -> Bits {
        self.peek()
    }

    /// Changes the value, with the lock held, of a descriptor that is the caller's alone: it is free, or in hand
    /// by one lease, which is the caller's, and nothing else. So nobody's compare-exchange can come between.
    #[inline]
    #[cfg(target_has_atomic = "64")]
    pub(super) fn set(&self, _held: &mut Map, bits: Bits) {
        // Relaxed: the next holder of the lock may take the descriptor, and is ordered by the lock. Whoever else
        // looks at it has a ticket that is no longer good, or never was, and is refused by either value.
        self.0.store(bits.to_word(), Ordering::Relaxed);
    }

    /// The same, where threads change words without the lock; whoever is next to take the descriptor is ordered
    /// by another one.
    #[inline]
    #[cfg(all(target_has_atomic = "64", any(feature = "std", loom)))]
    pub(super) fn set_alone(&self, bits: Bits) {
        self.0.store(bits.to_word(), Ordering::Relaxed);
    }

    /// Puts a payload to rest whose one lease is the caller's, where threads change words without the lock.
    #[inline]
    #[cfg(target_has_atomic = "64")]
    pub(super) fn set_resting(&self, bits: Bits) {
        // It cannot overwrite anything: nobody else has a handle, and who has a ticket that is no longer good changes nothing.
        if asymmetric_fence::is_there() {
            // Release publishes the payload and the row to who redeems it. The fence is for the case that `update_cas` names; the
            // waiter there pays for it.
            self.0.store(bits.to_word(), Ordering::Release);
            asymmetric_fence::light();
            return;
        }
        // SeqCst, and a swap, as in `update_cas`.
        self.0.swap(bits.to_word(), Ordering::SeqCst);
    }

    /// From one value to another, if it is that one: the step for who knows what to expect. It asks for the cache line
    /// once, where a look first would ask for it twice.
    #[inline]
    #[cfg(target_has_atomic = "64")]
    pub(super) fn exchange(&self, old: Bits, new: Bits) -> bool {
        let (old, new) = (old.to_word(), new.to_word());
        // Acquire pairs with the Release of who put it to rest, whose writes to payload and row are seen. Nothing is
        // published by taking something in hand, and a failure is looked into by `update_cas`.
        self.0.compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    #[cfg(not(target_has_atomic = "64"))]
    pub(super) fn set(&self, _held: &mut Map, bits: Bits) {
        // SAFETY: the lock is held, so nobody else reads or writes the cell.
        unsafe { *self.0.get() = bits };
    }

    /// Changes the value with the lock held, by `f`, unless that says `None`. Returns what was there
    /// and what is there now. Whoever changes words by compare-exchange may still come between, so `f`
    /// can run more than once.
    pub(super) fn update_held<M>(
        &self,
        _held: &mut Map,
        f: impl FnMut(Bits) -> Option<Bits>,
    ) -> Result<(Bits, Bits), Bits> {
        if CasWords::<M>::YES { self.update_cas(f) } else { self.update_plain(f) }
    }

    #[inline]
    #[cfg(target_has_atomic = "64")]
    pub(super) fn peek(&self) -> Bits {
        // Acquire: whoever sees a ticket's payload at rest also sees its bytes and its row.
        Bits::from_word(self.0.load(Ordering::Acquire))
    }

    #[cfg(target_has_atomic = "64")]
    pub(super) fn update_cas(
        &self,
        mut f: impl FnMut(Bits) -> Option<Bits>,
    ) -> Result<(Bits, Bits), Bits> {
        // SeqCst, here and below, for one case: compaction on behalf of a stalled waiter must not miss a
        // deposit that missed the waiter's flag (see `waiting`). Elsewhere Acquire would do.
        let mut old = self.0.load(Ordering::SeqCst);
        loop {
            let now = Bits::from_word(old);
            let new = f(now).ok_or(now)?;
            // Release publishes what this holder wrote (payload, row) to the next holder, whose
            // Acquire is this same operation: a count going to zero must see all earlier uses.
            match self.0.compare_exchange_weak(
                old,
                new.to_word(),
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return Ok((now, new)),
                Err(seen) => old = seen,
            }
        }
    }

    #[cfg(target_has_atomic = "64")]
    fn update_plain(&self, mut f: impl FnMut(Bits) -> Option<Bits>) -> Result<(Bits, Bits), Bits> {
        // The lock orders all accesses, so relaxed ones do.
        let old = Bits::from_word(self.0.load(Ordering::Relaxed));
        let new = f(old).ok_or(old)?;
        self.0.store(new.to_word(), Ordering::Relaxed);
        Ok((old, new))
    }

    #[cfg(not(target_has_atomic = "64"))]
    fn peek(&self) -> Bits {
        // SAFETY: called with the lock held only (it is private here).
        unsafe { *self.0.get() }
    }

    #[cfg(not(target_has_atomic = "64"))]
    pub(super) fn update_cas(
        &self,
        f: impl FnMut(Bits) -> Option<Bits>,
    ) -> Result<(Bits, Bits), Bits> {
        self.update_plain(f)
    }

    #[cfg(not(target_has_atomic = "64"))]
    fn update_plain(&self, mut f: impl FnMut(Bits) -> Option<Bits>) -> Result<(Bits, Bits), Bits> {
        let old = self.peek();
        let new = f(old).ok_or(old)?;
        // SAFETY: called with the lock held only, so nobody else reads or writes the cell.
        unsafe { *self.0.get() = new };
        Ok((old, new))
    }
}
