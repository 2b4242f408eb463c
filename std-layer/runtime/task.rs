//! What is spawned: a future that ends with the runtime, and whose panics are its own.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::contain::{Panic, contain, discard};
use super::{Handle, JoinError, Lock};
use crate::kernel::Cancelled;

/// A future as a task of a runtime.
pub(super) struct Task<F> {
    handle: Handle,
    /// Pinned with the whole. `None` once it has ended.
    future: Option<F>,
    /// Wakes the task when the runtime ends. Polled once: its waker stays the same.
    cancelled: Cancelled<'static, Lock>,
    is_told: bool,
}

impl<F> Task<F> {
    pub(super) fn new(handle: Handle, future: F) -> Self {
        handle.inner.residents.enter();
        let cancelled = handle.inner.cancel.cancelled();
        Self { handle, future: Some(future), cancelled, is_told: false }
    }

    /// Takes the future out of a task that was not spawned.
    pub(super) fn into_inner(mut self) -> Option<F> {
        self.future.take()
    }

    /// Whether the runtime ends. Wakes the task when it will.
    fn must_end(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        // SAFETY: `cancelled` is pinned with the whole; the rest is not.
        let this = unsafe { self.get_unchecked_mut() };
        if this.is_told {
            return this.handle.inner.cancel.is_cancelled();
        }
        this.is_told = true;
        // SAFETY: as above.
        unsafe { Pin::new_unchecked(&mut this.cancelled) }.poll(cx).is_ready()
    }

    /// The future, where it is pinned.
    fn future(self: Pin<&mut Self>) -> Pin<&mut Option<F>> {
        // SAFETY: pinned with the whole, and only ever dropped in place.
        unsafe { self.map_unchecked_mut(|this| &mut this.future) }
    }
}

/// Drops a future where it is.
fn drop_in_place<F>(mut future: Pin<&mut Option<F>>) -> Result<(), Panic> {
    catch_unwind(AssertUnwindSafe(|| future.set(None)))
}

/// Polls a future, and drops it where it is when it has ended, or panicked. Without one it stays pending.
pub(super) fn poll_to_end<F: Future>(
    mut future: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Result<F::Output, Panic>> {
    let Some(polled) = future.as_mut().as_pin_mut() else { return Poll::Pending };
    // The future is not polled again after a panic, so nobody sees what it left half done.
    let result = match catch_unwind(AssertUnwindSafe(|| polled.poll(cx))) {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => Ok(output),
        Err(panic) => Err(panic),
    };
    Poll::Ready(match (result, drop_in_place(future)) {
        (result, Ok(())) => result,
        (Ok(output), Err(panic)) => {
            contain(|| drop(output));
            Err(panic)
        }
        // The second one tells nothing that the first does not.
        (Err(panic), Err(second)) => {
            discard(second);
            Err(panic)
        }
    })
}

impl<F: Future> Future for Task<F> {
    type Output = Result<F::Output, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.handle.inner;
        let panicked = |panic: Panic| {
            inner.panics.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Err(JoinError::Panicked(panic)))
        };
        if self.as_mut().must_end(cx) {
            inner.residents.count_cancelled();
            return match drop_in_place(self.future()) {
                Ok(()) => Poll::Ready(Err(JoinError::Cancelled)),
                Err(panic) => panicked(panic),
            };
        }
        match poll_to_end(self.future(), cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(output)) => Poll::Ready(Ok(output)),
            Poll::Ready(Err(panic)) => panicked(panic),
        }
    }
}

impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        /// Also if the future's destructor panics.
        struct Leave(Handle);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.inner.residents.leave();
            }
        }
        let _leave = Leave(self.handle);
        self.future = None;
    }
}
