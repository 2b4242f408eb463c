//! Correlation ids: a number of the program's own that a payload carries with it, from lease to ticket to lease.
//!
//! It lies in the payload's descriptor and is the payload's, not the handle's: whoever holds a share of the payload sees
//! what another has set. Setting and reading are relaxed: whoever gets a payload from another has been in a channel's
//! critical section, or has changed the state word, after the one who set it.

use core::num::NonZeroU32;

use super::chain::Chain;
use super::layout::ArenaRef;
use super::lease::{Lease, LeaseMut};
use super::parcel::Parcel;
use crate::sync::RawMutex;

impl<M: RawMutex> ArenaRef<'_, M> {
    pub(super) fn correlation_of(self, index: usize) -> Option<NonZeroU32> {
        NonZeroU32::new(self.row(index).correlation())
    }

    fn correlate(self, index: usize, id: Option<NonZeroU32>) {
        self.row(index).set_correlation(id.map_or(0, NonZeroU32::get));
    }
}

/// Declares how a payload in hand is given an id.
macro_rules! can_be_correlated {
    ($($handle:ident, $index:ident;)+) => {
        $(impl<M: RawMutex> $handle<'_, M> {
            /// Gives the payload a correlation id, or takes it away. It stays with the payload, through deposit, send,
            /// receive and redeem, until the payload is freed; every share of it has the same. A dump shows it.
            ///
            /// ```
            /// use std::num::NonZeroU32;
            /// use cloakroom::channel::{Buffered, Bytes};
            /// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
            ///
            /// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
            /// static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
            ///
            /// let frame = ARENA.try_alloc(3)?;
            /// frame.set_correlation(NonZeroU32::new(4711));
            /// FRAMES.try_send(frame)?;
            /// assert_eq!(FRAMES.try_recv()?.correlation(), NonZeroU32::new(4711));
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn set_correlation(&self, id: Option<NonZeroU32>) {
                self.arena.correlate(self.$index, id);
            }
        })+
    };
}
can_be_correlated! {
    LeaseMut, index;
    Lease, index;
    Chain, head;
}

/// Declares how a payload is asked for its id.
macro_rules! shows_correlation {
    ($($handle:ident, $index:expr;)+) => {
        $(impl<M: RawMutex> $handle<'_, M> {
            /// The payload's correlation id, if it was given one since it was allocated.
            pub fn correlation(&self) -> Option<NonZeroU32> {
                let index: fn(&Self) -> usize = $index;
                self.arena.correlation_of(index(self))
            }
        })+
    };
}
shows_correlation! {
    LeaseMut, |lease| lease.index;
    Lease, |lease| lease.index;
    Parcel, Self::index;
    Chain, |chain| chain.head;
}
