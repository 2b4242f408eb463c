//! A look at a value that waits in a channel, with leave to put another one in its place.
//!
//! Values have numbers: so many have left the store before it. A value keeps its number until it is received, whatever
//! comes and goes meanwhile, so who has seen one finds it again, or that it is gone, in constant time. (Policies that drop a value
//! on its way in count it, too, and then the numbers of all others change. Who finds a value compares it with the one it looks for.)

use super::Channel;
use super::state::State;
use super::store::{Store, Strategy};
use crate::sync::RawMutex;

/// The values in a channel, under its lock.
pub(crate) struct Inside<'s, T, S: Strategy<T>> {
    state: &'s mut State<T, S>,
}

impl<T, S: Strategy<T>> Inside<'_, T, S> {
    /// The number of the one that is received next. Wraps.
    pub(crate) fn first(&self) -> u32 {
        self.state.counters.received.wrapping_add(self.state.counters.dropped)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.state.store.len()).unwrap_or(u32::MAX)
    }

    /// The one of that number, if it is there, and its store knows places.
    pub(crate) fn numbered(&mut self, number: u32) -> Option<&mut T> {
        // Lossless: addresses have 32 bits at least.
        let place = number.wrapping_sub(self.first()) as usize;
        self.state.store.at_mut(place)
    }
}

impl<M: RawMutex, T, S: Strategy<T>> Channel<M, T, S> {
    /// Runs `f` with the values, in one critical section; what was lent to the lanes is called back before. What `f` takes out of
    /// a place leaves the section with its result.
    pub(crate) fn inside<R>(&self, f: impl FnOnce(Inside<'_, T, S>) -> R) -> R {
        self.locked(|state| f(Inside { state }))
    }
}
