//! Deadlines and cancellation, the same for every operation that waits.

use core::future::Future;
use core::pin::Pin;

/// Why an operation was stopped from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stopped {
    /// Its cancellation token was cancelled.
    Cancelled,
    /// Its deadline has passed.
    Timeout,
}

/// An operation that can be given up without losing anything.
pub trait Operation: Future {
    /// What it returns when it is limited.
    type Limited;
    /// Its own result as the limited one.
    fn finish(output: Self::Output) -> Self::Limited;
    /// Gives it up. If it has been matched already, the match counts.
    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Self::Limited;
}
