//! The single claim of a select: which of its arms, if any, has been matched.
//!
//! ```text
//!            peer or owner wins an arm
//!   OPEN ────────────────────────────────► CLAIMED(arm)      (until the select starts over)
//!    ▲ │
//!    │ └─► BUSY: half of a pair claim ──► CLAIMED(arm)
//!    └──────── the other half was lost ──┘
//! ```
//!
//! A plain operation waits on one channel and needs no claim: that channel's lock decides. A select
//! waits on several, each with a lock of its own, so the decision is made here. Whoever wants to match
//! an arm holds its channel's lock, then claims. When both sides of a rendezvous are selects, both
//! claims must change together: [`claim_pair`] takes the lower address first, so two such matches
//! never wait for each other. `BUSY` lasts for two compare-exchanges, always under a channel's lock. That lock
//! need not mask interrupts, so they are masked here: a handler that comes to another arm, on a channel with
//! another lock, must not wait for the code that it has interrupted.

use super::atomic::{AtomicU16, Ordering};
use super::{const_fn, pause};

const OPEN: u16 = 0;
const BUSY: u16 = u16::MAX;

/// See the [module](self).
pub struct Claim {
    /// `OPEN`, `BUSY`, or the claimed arm's number plus one.
    state: AtomicU16,
}

impl Claim {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { state: AtomicU16::new(OPEN) }
        }
    }

    /// The arm that has been claimed.
    pub(crate) fn winner(&self) -> Option<u16> {
        // Acquire pairs with the claimer's AcqRel: what it did before claiming is seen.
        match self.state.load(Ordering::Acquire) {
            OPEN | BUSY => None,
            arm => Some(arm - 1),
        }
    }

    /// Claims `arm` unless something has been claimed already. Not inlined: most operations are no arms, and the loop
    /// takes seventy bytes of flash.
    #[inline(never)]
    pub(crate) fn claim(&self, arm: u16) -> bool {
        self.enter(arm + 1)
    }

    /// `OPEN` to `to`, waiting out a `BUSY`.
    fn enter(&self, to: u16) -> bool {
        self.enter_with(to, Ordering::AcqRel)
    }

    #[inline(always)]
    fn enter_with(&self, to: u16, ordering: Ordering) -> bool {
        loop {
            match self.state.compare_exchange_weak(OPEN, to, ordering, Ordering::Acquire) {
                Ok(_) => return true,
                Err(OPEN) => {}
                Err(BUSY) => pause(),
                Err(_) => return false,
            }
        }
    }

    /// Starts over. No token refers to it now.
    pub(crate) fn reopen(&self) {
        // Relaxed: tokens that refer to it later are published by their list's lock.
        self.state.store(OPEN, Ordering::Relaxed);
    }

    fn leave(&self, to: u16) {
        // Release publishes the claim to `winner`.
        self.state.store(to, Ordering::Release);
    }
}

/// One side of a match: a plain operation (`None`), or one arm of a select.
pub(crate) type Side<'a> = Option<(&'a Claim, u16)>;

/// Claims the side of an operation that needs no other.
#[inline]
pub(crate) fn claim_own(side: Side<'_>) -> bool {
    side.is_none_or(|(claim, arm)| claim.claim(arm))
}

/// Whether both are arms of one select.
pub(crate) fn is_same_select(a: Side<'_>, b: Side<'_>) -> bool {
    matches!((a, b), (Some((a, _)), Some((b, _))) if core::ptr::eq(a, b))
}

/// Claims both sides or neither. Two arms of one select never match each other.
pub(crate) fn claim_pair(a: Side<'_>, b: Side<'_>) -> PairClaim {
    claim_two::<true>(a, b)
}

/// Claims `a`, at a moment at which `b` has not been decided, and is left so.
pub(crate) fn claim_beside(a: Side<'_>, b: Side<'_>) -> PairClaim {
    claim_two::<false>(a, b)
}

/// Claims `a`, and `b` or not, which must be open in any case.
fn claim_two<const BOTH: bool>(a: Side<'_>, b: Side<'_>) -> PairClaim {
    let to_b = |arm: u16| if BOTH { arm + 1 } else { OPEN };
    match (a, b) {
        (None, None) => PairClaim::Both,
        (None, Some((b, arm))) if b.enter(to_b(arm)) => PairClaim::Both,
        (None, Some(_)) => PairClaim::SecondLost,
        (Some((a, arm)), None) if a.claim(arm) => PairClaim::Both,
        (Some(_), None) => PairClaim::FirstLost,
        (Some((a, arm_a)), Some((b, arm_b))) => {
            if core::ptr::eq(a, b) {
                return PairClaim::SameSelect;
            }
            let (to_a, to_b) = (arm_a + 1, to_b(arm_b));
            let a_first = core::ptr::from_ref(a) < core::ptr::from_ref(b);
            let (low, to_low, high, to_high) =
                if a_first { (a, to_a, b, to_b) } else { (b, to_b, a, to_a) };
            let lost = |low_lost: bool| {
                if low_lost == a_first { PairClaim::FirstLost } else { PairClaim::SecondLost }
            };
            uninterrupted(|| {
                // Acquire: nothing is published by that, but by `leave`.
                if !low.enter_with(BUSY, Ordering::Acquire) {
                    return lost(true);
                }
                if !high.enter(to_high) {
                    low.leave(OPEN);
                    return lost(false);
                }
                low.leave(to_low);
                PairClaim::Both
            })
        }
    }
}

/// Runs `f` with interrupts masked, where there are any.
#[inline]
fn uninterrupted<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_os = "none")]
    return critical_section::with(|_| f());
    #[cfg(not(target_os = "none"))]
    f()
}

/// What became of a [`claim_pair`], or a [`claim_beside`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PairClaim {
    Both,
    FirstLost,
    SecondLost,
    SameSelect,
}
