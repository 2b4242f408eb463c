//! A way past a channel's lock, for the common case.
//!
//! A channel whose lock many threads want may *lend* its ring: while it is open and nobody waits, a sender and a receiver need no more of it than their own end of the ring each. So they have a lane
//! each, with a lock of its own, and do not meet. Whoever needs the [state](super::state) calls the ring back first,
//! under the channel's lock; so the state machine knows nothing of this.
//!
//! ```text
//!           lend: under the channel's lock, open, nobody waits
//!   RING IN THE STATE ─────────────────────────────────────────────► RING WITH THE LANES
//!          ▲                                                              │
//!          └───────── recall: under the channel's lock, both lanes' ──────┘
//! ```
//!
//! The lock order is: the channel's, then a lane's, one at a time. A lane's holder takes no other lock and runs no
//! foreign code. Channels in `const` memory have no lanes ([`Aside`] for `()`): there a critical section is short, and
//! one is less than two.

use super::store::sealed::Sealed;

/// Lanes beside a channel's lock, or none.
#[doc(hidden)]
pub trait Aside<T>: Sealed {
    /// None.
    const NONE: Self;
    /// Whether there may be any.
    const LENDS: bool;

    /// Sends, if that needs no more than a slot. With `counts`, that there is none is counted as a failure.
    fn send(&self, value: T, counts: bool) -> Result<(), Missed<T>>;

    /// Receives, if that needs no more than a value.
    fn recv(&self, counts: bool) -> Result<T, Missed<()>>;

    /// Does not lend. Whether senders, and receivers, who have time are to stay behind those that wait in the channel,
    /// who come first. Under the channel's lock, with nothing lent.
    fn keep(&self, queues: [bool; 2]);

    /// How many values may go one way before any has to go the other.
    fn batch(&self) -> usize;

    /// Gets back what was lent. Under the channel's lock.
    fn recall(&self) -> Option<Lent>;

    /// Lends what `recall` returns next, changed. Under the channel's lock, with nothing lent.
    fn lend(&self, lent: Lent);
}

/// Why a lane does not do.
#[doc(hidden)]
#[derive(Debug)]
pub enum Missed<T> {
    /// There is no slot, or no value; or there is none for who tries without `counts`, since others wait for one.
    NotNow(T),
    /// The ring has not been lent: the way is through the channel's lock.
    Recalled(T),
}

impl<T> Missed<T> {
    #[inline]
    pub(crate) fn into_inner(self) -> T {
        match self {
            Self::NotNow(value) | Self::Recalled(value) => value,
        }
    }
}

/// What is lent: where the values of a ring lie, and what has been counted of them.
#[doc(hidden)]
#[cfg_attr(not(feature = "std"), allow(dead_code))] // without lanes nobody reads it
#[derive(Clone, Copy, Debug, Default)]
pub struct Lent {
    /// The slot of the first value, and how many there are.
    pub(crate) head: usize,
    pub(crate) len: usize,
    pub(crate) promised_slots: usize,
    pub(crate) promised_values: usize,
    pub(crate) high_water: usize,
    /// Messages are weighed.
    pub(crate) weighs: bool,
    pub(crate) sends: Passed,
    pub(crate) recvs: Passed,
}

/// What went by one lane.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    pub(crate) values: u32,
    pub(crate) bytes: usize,
    pub(crate) copied: u32,
    /// How often there was no slot, or no value.
    pub(crate) failures: u32,
}

impl Sealed for () {}

impl<T> Aside<T> for () {
    const NONE: Self = ();
    const LENDS: bool = false;

    #[inline(always)]
    fn send(&self, value: T, _counts: bool) -> Result<(), Missed<T>> {
        Err(Missed::Recalled(value))
    }

    #[inline(always)]
    fn recv(&self, _counts: bool) -> Result<T, Missed<()>> {
        Err(Missed::Recalled(()))
    }

    #[inline(always)]
    fn batch(&self) -> usize {
        0
    }

    #[inline(always)]
    fn recall(&self) -> Option<Lent> {
        None
    }

    #[inline(always)]
    fn keep(&self, _queues: [bool; 2]) {}

    #[inline(always)]
    fn lend(&self, _lent: Lent) {}
}
