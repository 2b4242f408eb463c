//! Deadlines and cancellation, the same for every operation that waits.
//!
//! Sends, receives and allocations are [`Operation`]s. Each can be given a deadline, a cancellation, or
//! both, and then returns an error that tells which of them came true, with what was handed in.

use core::future::{Future, Pending};
use core::pin::Pin;
use core::task::{Context, Poll};

/// Why an operation was stopped from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stopped {
    /// Its cancellation came true.
    Cancelled,
    /// Its deadline has passed.
    Timeout,
}

/// An operation that can be given up without losing anything.
///
/// ```
/// use cloakroom::channel::{Buffered, Channel};
/// use cloakroom::kernel::{CancelToken, Timers};
/// use cloakroom::limit::Operation;
/// use cloakroom::sync::CriticalSectionRawMutex as Lock;
///
/// static TIMERS: Timers<Lock> = Timers::new();
/// static SHUTDOWN: CancelToken<Lock> = CancelToken::new();
/// static INBOX: Channel<Lock, u8, Buffered<4>> = Channel::new();
///
/// # async fn example() {
/// let received = INBOX
///     .recv()
///     .deadline(TIMERS.at(1_000))
///     .cancelled_by(SHUTDOWN.cancelled())
///     .await;
/// # let _ = received; }
/// ```
pub trait Operation: Future + Sized {
    /// What it returns when it is limited.
    type Limited;

    /// Its own result as the limited one.
    fn finish(output: Self::Output) -> Self::Limited;

    /// Gives it up. If it has been matched already, the match counts. `None` after its end.
    fn abandon(self: Pin<&mut Self>, why: Stopped) -> Option<Self::Limited>;

    /// Gives it up when `deadline` completes, whatever that is a future of: a
    /// [`Sleep`](crate::kernel::Sleep), or a timer of another executor.
    fn deadline<D: Future>(self, deadline: D) -> Limited<Self, D, Pending<()>> {
        Limited { operation: self, deadline, cancellation: core::future::pending() }
    }

    /// Gives it up when `cancellation` completes.
    fn cancelled_by<C: Future>(self, cancellation: C) -> Limited<Self, Pending<()>, C> {
        Limited { operation: self, deadline: core::future::pending(), cancellation }
    }
}

/// An operation with a deadline, a cancellation, or both; made by [`Operation`]'s methods.
///
/// If several hold at one poll, the order is: match, close, cancel, timeout. Cancel safety is the
/// operation's own.
#[must_use = "futures do nothing unless polled"]
pub struct Limited<F, D, C> {
    operation: F,
    deadline: D,
    cancellation: C,
}

impl<F: Operation, C: Future> Limited<F, Pending<()>, C> {
    /// Adds a deadline; see [`Operation::deadline`].
    pub fn deadline<D: Future>(self, deadline: D) -> Limited<F, D, C> {
        Limited { operation: self.operation, deadline, cancellation: self.cancellation }
    }
}

impl<F: Operation, D: Future> Limited<F, D, Pending<()>> {
    /// Adds a cancellation; see [`Operation::cancelled_by`].
    pub fn cancelled_by<C: Future>(self, cancellation: C) -> Limited<F, D, C> {
        Limited { operation: self.operation, deadline: self.deadline, cancellation }
    }
}

impl<F: Operation, D: Future, C: Future> Future for Limited<F, D, C> {
    type Output = F::Limited;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Limited> {
        // SAFETY: the three fields are pinned with the whole and never moved.
        let (mut operation, deadline, cancellation) = unsafe {
            let this = self.get_unchecked_mut();
            (
                Pin::new_unchecked(&mut this.operation),
                Pin::new_unchecked(&mut this.deadline),
                Pin::new_unchecked(&mut this.cancellation),
            )
        };
        if let Poll::Ready(output) = operation.as_mut().poll(cx) {
            return Poll::Ready(F::finish(output));
        }
        let why = if cancellation.poll(cx).is_ready() {
            Stopped::Cancelled
        } else if deadline.poll(cx).is_ready() {
            Stopped::Timeout
        } else {
            return Poll::Pending;
        };
        operation.abandon(why).map_or(Poll::Pending, Poll::Ready)
    }
}
