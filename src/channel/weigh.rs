//! What a channel notes down about a message as it goes in and out: its bytes, and the time.
//!
//! A channel is generic over its values and cannot ask them for a length. One that carries messages knows that it
//! does, and weighs them under its lock, so that bytes and values are counted in one step.

use super::Channel;
use super::aside::Aside;
#[cfg(feature = "std")]
use super::aside::Passed;
use super::state::State;
use super::store::{Store, Strategy};
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
pub(super) struct Used {
    pub(super) first: u32,
    pub(super) last: u32,
}

impl<T, S: Strategy<T>> State<T, S> {
    /// Whether it may carry messages: what is not as large as a parcel is none. So channels of most values do not
    /// even ask.
    const MAY_WEIGH: bool = size_of::<T>() == size_of::<Parcel<'static, NoopRawMutex>>();

    /// Counts the bytes of a value that goes in.
    #[inline]
    pub(super) fn weigh_in(&mut self, value: &mut T) {
        if Self::MAY_WEIGH && self.weighs {
            // SAFETY: by the word of who has set `weighs`.
            self.counters.weigh_in(unsafe { weigh(value) });
        }
    }

    /// Counts the bytes of what is delivered.
    #[inline]
    pub(super) fn weigh_out(&mut self, received: &mut S::Received) {
        if Self::MAY_WEIGH && self.weighs {
            if let Some(value) = S::Store::value(received) {
                // SAFETY: as above.
                self.counters.weigh_out(unsafe { weigh(value) });
            }
        }
    }

    /// When it was used.
    #[cfg(feature = "stamps")]
    pub(super) fn times(&mut self) -> Option<Times> {
        if !self.weighs {
            return None;
        }
        let Used { first, last } = self.counters.used?;
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
            state.weighs = true;
            Self { strategy: kind, aside: S::Aside::NEW, state: Locked::new(state) }
        }
    }

    /// The same of one that was made at run time, and is empty.
    #[cfg(feature = "std")]
    pub(crate) fn weighing(mut self) -> Self {
        self.state.get_mut().weighs = true;
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
