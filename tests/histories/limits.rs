//! How futures are brought to their end: awaited, dropped at a random poll, cancelled, timed out.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use cloakroom::limit::{Operation, Stopped};

use super::history::Answer;

/// How a future is brought to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    Await,
    /// Polled at most so often, then dropped.
    Drop(u64),
    /// Cancelled, or timed out, at the poll after so many.
    Limit {
        cancellation: u64,
        deadline: u64,
    },
}

impl Manner {
    /// How often it is polled before it is dropped.
    pub fn polls(self) -> Option<u64> {
        match self {
            Manner::Drop(polls) => Some(polls),
            _ => None,
        }
    }
}

/// The limits of an operation that have come true.
#[derive(Default)]
pub struct Limits {
    cancelled: Cell<bool>,
    late: Cell<bool>,
}

impl Limits {
    pub fn hold(&self) -> bool {
        self.cancelled.get() || self.late.get()
    }

    /// Cancellation comes before the deadline, and neither without a reason.
    pub fn explain(&self, why: Stopped) -> Answer {
        let rightly = match why {
            Stopped::Cancelled => self.cancelled.get(),
            Stopped::Timeout => self.late.get() && !self.cancelled.get(),
        };
        assert!(rightly, "{why:?} without a reason");
        Answer::Stopped
    }

    pub fn limit<F: Operation>(
        &self,
        operation: F,
        manner: Manner,
    ) -> impl Future<Output = F::Limited> {
        let (cancellation, deadline) = match manner {
            Manner::Limit { cancellation, deadline } => (cancellation, deadline),
            _ => (u64::MAX, u64::MAX),
        };
        operation
            .deadline(Patience { left: deadline, over: &self.late })
            .cancelled_by(Patience { left: cancellation, over: &self.cancelled })
    }
}

/// Comes true after some polls.
struct Patience<'p> {
    left: u64,
    over: &'p Cell<bool>,
}

impl Future for Patience<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.left == 0 {
            self.over.set(true);
            return Poll::Ready(());
        }
        self.left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
