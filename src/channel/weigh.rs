//! What a channel notes down about a message as it goes in and out: its bytes, and the time.
//!
//! A channel is generic over its values and cannot ask them for a length. One that carries messages is made with
//! a function that can, and calls it under its lock, so that bytes and values are counted in one step.

use super::state::State;
use super::store::{Store, Strategy};
use crate::arena::{Parcel, Weight};
use crate::sync::NoopRawMutex;

/// How a channel weighs what it carries; `None` for values. It runs under the channel's lock: constant
/// time, and no lock is taken in it.
pub(super) type Weigh<T> = Option<fn(&mut T) -> Weight<'_>>;

/// When a channel of messages was used, in ticks of its messages' arena
/// ([`set_now`](crate::ArenaRef::set_now), with the `stamps` feature).
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
        if Self::MAY_WEIGH {
            if let Some(weigh) = self.weigh {
                self.counters.weigh_in(weigh(value));
            }
        }
    }

    /// Counts the bytes of what is delivered.
    #[inline]
    pub(super) fn weigh_out(&mut self, received: &mut S::Received) {
        if Self::MAY_WEIGH {
            if let (Some(weigh), Some(value)) = (self.weigh, S::Store::value(received)) {
                self.counters.weigh_out(weigh(value));
            }
        }
    }

    /// When it was used.
    #[cfg(feature = "stamps")]
    pub(super) fn times(&mut self) -> Option<Times> {
        let weigh = self.weigh?;
        let Used { first, last } = self.counters.used?;
        let oldest_age = self.store.front().map(|message| {
            let weight = weigh(message);
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
