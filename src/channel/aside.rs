//! A way past a channel's lock, for the common case.
//!
//! A channel whose lock many threads want may *lend* its slots: while nobody waits, a sender needs no
//! more than the slots that follow, and a receiver no more than the values in front. So they have a lane each, with
//! a lock of its own, and do not meet. Whoever needs the [state](super::state) calls them back first, under the
//! channel's lock; so the state machine knows nothing of this.
//!
//! ```text
//!              lend: under the channel's lock; nobody waits
//!   SLOTS WITH THE STATE ─────────────────────────────────────────────► SLOTS WITH THE LANES
//!            ▲                                                                 │
//!            └─────────── recall: under the channel's lock, then each lane's ──┘
//! ```
//!
//! A channel has lanes from when some values have been sent: until then, and if none ever are, it is its state and its slots.
//!
//! Of a closed channel only values are lent, and not the last one: so nobody finds none on a lane, and whoever comes next is told
//! under the lock.
//!
//! A loan costs more than an operation under the lock, so it must let several pass. Where loans have not, as between tasks
//! of one thread that wait for each other each time, they become rare. Meanwhile each side is told by a sign whether it
//! would have to wait: a future reads it before it goes to the lock, so that it has a waker to leave there. While one thread has the
//! channel to itself nobody puts that up, as it would be a good part of what a value takes there: a future takes it that it will
//! fare as the last one did that was mistaken.
//!
//! A ring lends all of its slots. A list of segments lends what is left of the last one, and what there is in the first:
//! segments come and go under the channel's lock. So a side that has used up what it was lent takes that lock, and has its loan
//! *renewed*: the other side goes on meanwhile, and its lane's lock stays its own. While a segment is kept for promises behind the
//! last one with values, a list lends nothing.
//!
//! The lock order is: the channel's, then a lane's, one at a time. A lane's holder takes no other lock and runs no
//! foreign code. Channels in `const` memory have no lanes ([`Aside`] for `()`): there a critical section is short, and
//! one is less than two.

use core::convert::Infallible;
use core::mem::MaybeUninit;

use super::store::sealed::Sealed;
use super::weigh::{MayWeigh, Weighing};

/// Says whether a channel has lanes, and whether it may be one of messages.
#[doc(hidden)]
pub trait HasAside: Sealed {
    /// Its lanes, or none.
    type Aside<T>: Aside<T>;
    type Weighs: Weighing;
}

/// No lanes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Sealed for Alone {}

impl HasAside for Alone {
    type Aside<T> = ();
    type Weighs = MayWeigh;
}

/// Lanes beside a channel's lock, or none.
#[doc(hidden)]
pub trait Aside<T>: Sealed {
    /// With nothing lent.
    const NEW: Self;
    /// Whether there can be any.
    const LENDS: bool;
    /// What they are.
    type Lanes: Lending<T>;

    /// Whether there are none, but a [sign](super::sign) that is to be [kept](Self::keep).
    const TELLS: bool = false;

    /// Those that there are. They stay until the channel is dropped.
    #[inline(always)]
    fn lanes(&self) -> Option<&Self::Lanes> {
        None
    }

    /// Whether there should be some, as so many values have been sent.
    #[inline(always)]
    fn is_wanted(_sent: u32) -> bool {
        false
    }

    /// Makes them, unless somebody else does, or there is no memory; whether it has. Not under the lock.
    #[inline(always)]
    fn make(&self) -> bool {
        false
    }

    /// Sends what is there, if there is a slot for it and nothing else is to be seen to; whether it has. If it has not, a [`send`](Self::send)
    /// may be worth trying, or not for this reason, as it was a moment ago. It calls nothing.
    #[inline(always)]
    fn send_at_once(&self, _place: &mut Option<T>) -> Result<bool, Missed<()>> {
        Err(Missed::Shut(()))
    }

    /// The same of a receive.
    #[inline(always)]
    fn recv_at_once(&self) -> Result<Option<T>, Missed<()>> {
        Err(Missed::Shut(()))
    }

    /// Sends, if that needs no more than a slot. With `counts`, that there is none is counted as a failure.
    #[inline(always)]
    fn send(&self, value: T, _counts: bool) -> Result<(), Missed<T>> {
        Err(Missed::Shut(value))
    }

    /// The same, without `counts`, for a thread that would wait: it may take a moment longer, if that is of use to others.
    fn send_unhurried(&self, value: T) -> Result<(), Missed<T>> {
        self.send(value, false)
    }

    /// As [`send`](Self::send) without `counts`, for a task that has just found no slot there: it may take a moment longer.
    fn send_again(&self, value: T) -> Result<(), Missed<T>> {
        Err(Missed::NotNow(value))
    }

    /// As [`recv`](Self::recv) without `counts`, for a task that has just found no value there: it may take a moment longer.
    fn recv_again(&self) -> Result<T, Missed<()>> {
        Err(Missed::NotNow(()))
    }

    /// Receives, if that needs no more than a value.
    #[inline(always)]
    fn recv(&self, _counts: bool) -> Result<T, Missed<()>> {
        Err(Missed::Shut(()))
    }

    /// The same, without `counts`, for a thread that would wait: it may take a moment longer, if that is of use to others.
    fn recv_unhurried(&self) -> Result<T, Missed<()>> {
        self.recv(false)
    }

    /// Of a [sign](Self::TELLS): why a send there is not worth trying, as it was a moment ago. It costs next to nothing.
    #[inline(always)]
    fn may_send(&self) -> Result<(), Missed<()>> {
        Err(Missed::Shut(()))
    }

    /// The same of a receive.
    #[inline(always)]
    fn may_recv(&self) -> Result<(), Missed<()>> {
        Err(Missed::Shut(()))
    }

    /// Notes down whether senders, and receivers, who come now would have to wait. Under the channel's lock.
    #[inline(always)]
    fn keep(&self, _waits: [bool; 2]) {}

    /// A task that went to the channel's lock has had to wait there or not, and had been told otherwise.
    fn note_send(&self, _waited: bool) {}

    /// The same of a receive.
    fn note_recv(&self, _waited: bool) {}

    /// Receives as many as there are, into the first of these places, of which there are some, if that needs no more than values: how many.
    #[inline(always)]
    fn recv_many(&self, _into: &mut [MaybeUninit<T>]) -> Result<usize, Missed<()>> {
        Err(Missed::Shut(()))
    }

    /// A thread that wants to send, and cannot yet, is about to look again and again.
    #[inline(always)]
    fn note_send_looks(&self) {}

    /// The same of one that wants to receive.
    #[inline(always)]
    fn note_recv_looks(&self) {}

    /// How many values may go one way before any has to go the other.
    #[inline(always)]
    fn batch(&self) -> usize {
        0
    }
}

/// Lanes, to the channel's lock.
#[doc(hidden)]
pub trait Lending<T> {
    /// If the channel's lock is biased to this thread, which is inside then, without taking it, until it drops this.
    fn enter(&self) -> Option<impl Sized>;

    /// The same thread has taken the channel's lock, or another one than the lock was biased to, which is inside no more
    /// when this returns. Under the channel's lock, first of all.
    fn settle_bias(&self);

    /// Calls back what was lent. Under the channel's lock.
    fn recall(&self) -> Option<Returned>;

    /// If senders have used up what they were lent: tells `renew` what has gone by since the loan, or since it was told before, and
    /// lends them what that returns instead. Where that is nothing it has done nothing, either. Whether there is something to be
    /// used now. Under the channel's lock.
    ///
    /// # Safety
    /// As of [`lend`](Self::lend): the window is as it says.
    unsafe fn renew_sends(&self, renew: impl FnOnce(Returned) -> Option<Window<T>>) -> bool;

    /// The same of receivers, but for one value more, which this receives, and of which `renew` is told, too.
    ///
    /// # Safety
    /// As above; where that value lies stays as it is until this returns.
    unsafe fn renew_recvs(&self, renew: impl FnOnce(Returned) -> Option<Window<T>>) -> Option<T>;

    /// Lets a critical section pass that has nothing to do for the lanes, if this is one: nothing is lent, nor is to be lent at its end, and nobody has
    /// been told who would have to wait. Under the channel's lock, by the thread that it is biased to.
    fn pass_quietly(&self) -> bool;

    /// Whether to lend: not while loans have been worth nothing of late. Under the channel's lock, with nothing lent.
    fn is_worth_it(&self) -> bool;

    /// Lends. Under the channel's lock, with nothing lent.
    ///
    /// # Safety
    /// Until `recall`, or until this is dropped, the windows are as they say, and nobody else uses them.
    unsafe fn lend(&self, lent: Lent<T>);

    /// Does not lend. Whether senders, and receivers, who come now would have to wait: those who have time for that need
    /// not look into the channel. Under the channel's lock, with nothing lent.
    fn keep(&self, waits: [bool; 2]);

    /// The same, as long as one thread has the channel to itself: the next who comes will find it as the last one has.
    fn keep_unsaid(&self);
}

/// Why a lane does not do.
#[doc(hidden)]
// The tag is as wide as a register: beside a message, whose second word it shares in a result, a shorter one would have the compiler move
// that word about in pieces, and a processor waits for pieces that it has just written.
#[derive(Debug)]
#[repr(usize)]
pub enum Missed<T> {
    /// There is no slot, or no value; or, as it was a moment ago, none for who tries without `counts`.
    NotNow(T),
    /// What was lent has been called back, for a moment: a critical section.
    Away(T),
    /// All slots, or values, that were lent have gone by: the way is through the channel's lock.
    Spent(T),
    /// The way is through the channel's lock.
    Shut(T),
}

impl<T> Missed<T> {
    #[inline]
    pub(crate) fn into_inner(self) -> T {
        match self {
            Self::NotNow(value) | Self::Away(value) | Self::Spent(value) | Self::Shut(value) => {
                value
            }
        }
    }
}

/// What a store lends.
#[doc(hidden)]
#[cfg_attr(not(feature = "std"), allow(dead_code))] // without lanes nobody reads it
pub struct Lent<T> {
    /// Slots to be filled, and those to be emptied.
    pub(crate) tail: Window<T>,
    pub(crate) head: Window<T>,
    /// The slot that is none any more: the first one follows instead.
    pub(crate) turn: usize,
    /// How many values there are, and how many there may be.
    pub(crate) len: usize,
    pub(crate) room: usize,
    /// Slots, and values, that are promised to those who have waited.
    pub(crate) promised: [usize; 2],
    pub(crate) high_water: usize,
    /// The channel is closed: there are no slots to be filled.
    pub(crate) is_closed: bool,
    /// `T` is a parcel, and parcels are weighed.
    pub(crate) weighs: bool,
}

/// A part of a store's slots.
#[doc(hidden)]
#[cfg_attr(not(feature = "std"), allow(dead_code))] // as above
pub struct Window<T> {
    pub(crate) slots: *mut MaybeUninit<T>,
    /// The first slot of the window, and how many values may pass it.
    pub(crate) at: usize,
    pub(crate) left: usize,
}

/// What has become of it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Returned {
    pub(crate) high_water: usize,
    pub(crate) sends: Passed,
    pub(crate) recvs: Passed,
}

/// What went by one lane.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    pub(crate) values: usize,
    pub(crate) bytes: usize,
    pub(crate) copied: u32,
    /// How often there was no slot, or no value.
    pub(crate) failures: u32,
}

impl Sealed for () {}

/// None are.
impl<T> Lending<T> for Infallible {
    fn enter(&self) -> Option<impl Sized> {
        None::<Self>
    }

    fn settle_bias(&self) {}

    fn recall(&self) -> Option<Returned> {
        match *self {}
    }

    unsafe fn renew_sends(&self, _renew: impl FnOnce(Returned) -> Option<Window<T>>) -> bool {
        match *self {}
    }

    unsafe fn renew_recvs(&self, _renew: impl FnOnce(Returned) -> Option<Window<T>>) -> Option<T> {
        match *self {}
    }

    fn pass_quietly(&self) -> bool {
        match *self {}
    }

    fn is_worth_it(&self) -> bool {
        match *self {}
    }

    unsafe fn lend(&self, _lent: Lent<T>) {}

    fn keep(&self, _waits: [bool; 2]) {}

    fn keep_unsaid(&self) {}
}

impl<T> Aside<T> for () {
    const NEW: Self = ();
    const LENDS: bool = false;
    type Lanes = Infallible;
}
