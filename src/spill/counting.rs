//! A channel's kind, and what it has moved out: so that a message that the kind drops is counted as its channel's.

use super::slot::{Content, Slot};
use super::tally::Tally;
use crate::channel::store::sealed::Sealed;
use crate::channel::{Kind, Strategy};
use crate::error::TryAllocError;
use crate::sync::RawMutex;

/// A kind that counts.
pub(crate) struct Counting<S> {
    kind: S,
    pub(super) tally: Tally,
}

impl<S> Counting<S> {
    pub(crate) const fn new(kind: S) -> Self {
        Self { kind, tally: Tally::new() }
    }
}

impl<S> Sealed for Counting<S> {}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> Strategy<Slot<'a, M>> for Counting<S> {
    type Receipt = S::Receipt;
    type Received = S::Received;
    type Rank = S::Rank;
    type Reader = S::Reader;
    type Mark = S::Mark;
    type Store = S::Store;
    type Aside = S::Aside;
    type Weighs = S::Weighs;
    type Highest = S::Highest;
    type Growth = S::Growth;
    type Growing = S::Growing;

    const KIND: Kind = S::KIND;
    const MEETS: bool = S::MEETS;
    const GROWS: bool = S::GROWS;
    const LOSES: bool = S::LOSES;
    const SHARES: bool = S::SHARES;

    #[inline]
    fn receipt(&self, dropped: Option<Slot<'a, M>>) -> S::Receipt {
        let mut dropped = dropped;
        if let Some(Slot(Content::Spilled(spilled))) = &mut dropped {
            spilled.leave(&self.tally);
        }
        self.kind.receipt(dropped)
    }

    fn grow(&self) -> Result<S::Growth, TryAllocError> {
        self.kind.grow()
    }

    fn shrink(growth: S::Growth) {
        S::shrink(growth);
    }

    fn growing(&self) -> S::Growing {
        self.kind.growing()
    }
}
