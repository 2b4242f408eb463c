//! What a channel notes down about a message as it goes in and out: its bytes, and the time.
//!
//! A channel is generic over its values and cannot ask them for a length. One that carries messages knows that it
//! does, and weighs them under its lock, so that bytes and values are counted in one step.
//!
//! Its kind says whether it may be one of messages at all. Channels on a host's heap that are made for values are of kinds that
//! may not: there may be many of them, and they have no memory for sums that would stay zero.

use super::Channel;
use super::aside::Aside;
use super::aside::Passed;
#[cfg(feature = "histograms")]
use super::histogram::Queueing;
use super::state::State;
use super::store::{Store, Strategy, sealed::Sealed};
use crate::arena::{Parcel, Weight};
use crate::sync::{Locked, NoopRawMutex, RawMutex, const_fn};

/// When a channel of messages was used, in ticks of its messages' arena
/// (`ArenaRef::set_now`, with the `stamps` feature).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Times {
    /// The first time that a message was sent.
    pub first: u32,
    /// The last time that one was sent or received.
    pub last: u32,
    /// Ticks since the message that will be received next was allocated: in a channel that is first in, first
    /// out, the oldest one. `None` when there is none.
    pub oldest_age: Option<u32>,
}

/// The part of [`Times`] that is kept.
#[cfg(feature = "stamps")]
#[derive(Clone, Copy)]
struct Used {
    first: u32,
    last: u32,
}

/// Whether a channel weighs what it carries.
#[doc(hidden)]
pub trait Weighing: Copy + Sealed {
    /// What is counted then.
    type Sums: Copy;
    /// It does not.
    const NO: Self;
    /// It does: its values are [`Parcel`]s. Where that cannot be, the program does not compile.
    const YES: Self;
    const NOTHING: Self::Sums;
    fn weighs(self) -> bool;
    /// The sums, if there are any.
    fn sums(sums: &mut Self::Sums) -> Option<&mut Sums>;
}

/// It may, and this says whether it does.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct MayWeigh(bool);

impl Sealed for MayWeigh {}

impl Weighing for MayWeigh {
    type Sums = Sums;
    const NO: Self = Self(false);
    const YES: Self = Self(true);
    const NOTHING: Sums = Sums::NOTHING;
    #[inline(always)]
    fn weighs(self) -> bool {
        self.0
    }
    #[inline(always)]
    fn sums(sums: &mut Sums) -> Option<&mut Sums> {
        Some(sums)
    }
}

/// It never does.
#[cfg(feature = "std")]
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct NeverWeighs;

#[cfg(feature = "std")]
impl Sealed for NeverWeighs {}

#[cfg(feature = "std")]
impl Weighing for NeverWeighs {
    type Sums = ();
    const NO: Self = Self;
    const YES: Self = panic!(
        "this channel is made for values, and counts no bytes; there are others for messages"
    );
    const NOTHING: () = ();
    #[inline(always)]
    fn weighs(self) -> bool {
        false
    }
    #[inline(always)]
    fn sums(_sums: &mut ()) -> Option<&mut Sums> {
        None
    }
}

/// What is counted of messages besides their number.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Sums {
    pub(super) bytes_sent: usize,
    pub(super) bytes_received: usize,
    pub(super) copied: u32,
    #[cfg(feature = "stamps")]
    used: Option<Used>,
    #[cfg(feature = "histograms")]
    pub(super) queueing: Queueing,
}

impl Sums {
    pub(super) const NOTHING: Self = Self {
        bytes_sent: 0,
        bytes_received: 0,
        copied: 0,
        #[cfg(feature = "stamps")]
        used: None,
        #[cfg(feature = "histograms")]
        queueing: Queueing::NONE,
    };

    /// What went by the lanes.
    pub(super) fn add(&mut self, sends: Passed, recvs: Passed) {
        self.bytes_sent = self.bytes_sent.wrapping_add(sends.bytes);
        self.bytes_received = self.bytes_received.wrapping_add(recvs.bytes);
        self.copied = self.copied.wrapping_add(sends.copied);
    }

    /// A message goes in.
    pub(super) fn weigh_in(&mut self, weight: Weight<'_>) {
        self.bytes_sent = self.bytes_sent.wrapping_add(weight.bytes as usize);
        self.copied = self.copied.wrapping_add(u32::from(weight.copied));
        self.note_use(&weight);
        #[cfg(feature = "histograms")]
        {
            *weight.sent = weight.now;
        }
    }

    /// A message is delivered.
    pub(super) fn weigh_out(&mut self, weight: Weight<'_>) {
        self.bytes_received = self.bytes_received.wrapping_add(weight.bytes as usize);
        self.note_use(&weight);
        #[cfg(feature = "histograms")]
        self.queueing.note(weight.now.wrapping_sub(*weight.sent));
    }

    #[cfg(feature = "stamps")]
    fn note_use(&mut self, weight: &Weight<'_>) {
        let first = self.used.map_or(weight.now, |used| used.first);
        self.used = Some(Used { first, last: weight.now });
    }

    #[cfg(not(feature = "stamps"))]
    #[inline]
    fn note_use(&mut self, _weight: &Weight<'_>) {}
}

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether it weighs what it carries.
    #[inline(always)]
    pub(super) fn weighs(&self) -> bool {
        self.weighs.weighs()
    }

    /// What it has weighed.
    #[inline(always)]
    pub(super) fn sums(&mut self) -> Option<&mut Sums> {
        S::Weighs::sums(&mut self.counters.sums)
    }

    /// Whether it may carry messages: what is not as large as a parcel is none. So channels of most values do not
    /// even ask.
    const MAY_WEIGH: bool = size_of::<T>() == size_of::<Parcel<'static, NoopRawMutex>>();

    /// Counts the bytes of a value that goes in.
    #[inline]
    pub(super) fn weigh_in(&mut self, value: &mut T) {
        if Self::MAY_WEIGH && self.weighs() {
            if let Some(sums) = self.sums() {
                // SAFETY: by the word of who has set `weighs`.
                sums.weigh_in(unsafe { weigh(value) });
            }
        }
    }

    /// Counts the bytes of what is delivered.
    #[inline]
    pub(super) fn weigh_out(&mut self, received: &mut S::Received) {
        if Self::MAY_WEIGH && self.weighs() {
            if let (Some(value), Some(sums)) = (S::Store::value(received), self.sums()) {
                // SAFETY: as above.
                sums.weigh_out(unsafe { weigh(value) });
            }
        }
    }

    /// When it was used.
    #[cfg(feature = "stamps")]
    pub(super) fn times(&mut self) -> Option<Times> {
        if !self.weighs() {
            return None;
        }
        let Used { first, last } = self.sums()?.used?;
        let oldest_age = self.store.front().map(|message| {
            // SAFETY: as in `weigh_in`.
            let weight = unsafe { weigh(message) };
            weight.now.wrapping_sub(weight.stamp)
        });
        Some(Times { first, last, oldest_age })
    }

    #[cfg(not(feature = "stamps"))]
    #[inline]
    pub(super) fn times(&mut self) -> Option<Times> {
        None
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Channel<M, Parcel<'a, M>, S> {
    const_fn! {
        /// One that weighs what it carries.
        pub(super) const fn of_messages(kind: S) -> Self {
            let mut state = State::new();
            state.weighs = S::Weighs::YES;
            Self { strategy: kind, state: Locked::beside(S::Aside::NEW, state) }
        }
    }

    /// The same of one that was made at run time, and is empty.
    #[cfg(feature = "std")]
    pub(crate) fn weighing(mut self) -> Self {
        self.state.get_mut().weighs = S::Weighs::YES;
        self
    }
}

/// Weighs a message: inline, as two calls through a pointer took counting from 1 % of what a short message costs to 9 %.
///
/// # Safety
/// `T` is [`Parcel`], for some lock.
#[inline]
unsafe fn weigh<T>(message: &mut T) -> Weight<'_> {
    // SAFETY: it is a parcel by the caller's word; parcels lie in memory alike whatever the lock (`repr(C)`, and the
    // lock's type is behind a pointer), and weighing does not use the lock.
    let parcel = unsafe { &mut *core::ptr::from_mut(message).cast::<Parcel<'_, NoopRawMutex>>() };
    parcel.weigh()
}

/// What of a message is fetched before it is received.
#[cfg(feature = "std")]
#[derive(Clone, Copy)]
pub(crate) enum Fetch {
    /// Its descriptor.
    Row,
    /// Its bytes, which the descriptor tells the place of.
    Payload,
}

#[cfg(feature = "std")]
impl Passed {
    /// Whether `T` may be a [`Parcel`]; known when the program is built.
    #[inline]
    pub(crate) const fn may_weigh<T>() -> bool {
        size_of::<T>() == size_of::<Parcel<'static, NoopRawMutex>>()
    }

    /// Fetches what of a message will be needed soon into this processor's cache.
    ///
    /// # Safety
    /// As for `weigh`.
    #[inline]
    pub(crate) unsafe fn fetch<T>(message: &T, what: Fetch) {
        // SAFETY: it is a parcel by the caller's word; see `weigh`.
        let parcel = unsafe { &*core::ptr::from_ref(message).cast::<Parcel<'_, NoopRawMutex>>() };
        match what {
            Fetch::Row => parcel.fetch_row(),
            Fetch::Payload => parcel.fetch_payload(),
        }
    }

    /// One message, weighed.
    ///
    /// # Safety
    /// `T` is [`Parcel`], for some lock.
    #[inline]
    pub(crate) unsafe fn weigh<T>(message: &mut T) -> Self {
        // SAFETY: passed on.
        let weight = unsafe { weigh(message) };
        Self {
            values: 1,
            bytes: weight.bytes as usize,
            copied: u32::from(weight.copied),
            failures: 0,
        }
    }
}
