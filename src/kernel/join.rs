//! Waiting for a task's output.

use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::task::{TaskRef, flag};
use crate::error::JoinError;
use crate::sync::RawMutex;
use crate::sync::feature::JOIN;

/// A spawned task: await it for the output, [`cancel`](Self::cancel) it, or drop the handle and let it
/// run on its own.
///
/// Cancel safety: dropping it detaches the task; the output is dropped when the task ends. Wake-ups:
/// one. One word.
pub struct JoinHandle<T, M: RawMutex + Sync + 'static> {
    task: Option<TaskRef<M>>,
    _output: PhantomData<T>,
}

// SAFETY: it gives access to the output, which is `Send`, and to a counted header whose contents are
// guarded by the kernel's lock.
unsafe impl<T: Send, M: RawMutex + Sync + 'static> Send for JoinHandle<T, M> {}

impl<T, M: RawMutex + Sync + 'static> Unpin for JoinHandle<T, M> {}

impl<T, M: RawMutex + Sync + 'static> JoinHandle<T, M> {
    /// `task`'s output is a `T`.
    pub(super) fn new(task: TaskRef<M>) -> Self {
        Self { task: Some(task), _output: PhantomData }
    }

    /// Asks the kernel to drop the task's future instead of polling it again. Joining then gives
    /// [`JoinError`], unless the task had returned before.
    pub fn cancel(&self) {
        if let Some(task) = &self.task {
            task.cancel();
        }
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.task
            .as_ref()
            .is_none_or(|task| task.kernel().with(|_| task.header().flags.get() & flag::DONE != 0))
    }
}

impl<T, M: RawMutex + Sync + 'static> Future for JoinHandle<T, M> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // Polled again after its end it stays pending.
        let Some(task) = &this.task else {
            return Poll::Pending;
        };
        let header = task.header();
        JOIN.raise();
        let waker = cx.waker().clone();
        let (flags, old) = task.kernel().with(|_| {
            let flags = header.flags.get();
            if flags & flag::DONE != 0 {
                return (flags, Some(waker));
            }
            // SAFETY: the joiner's waker is touched with the kernel's lock held only.
            (flags, unsafe { header.joiner.get().replace(Some(waker)) })
        });
        drop(old);
        if flags & flag::DONE == 0 {
            return Poll::Pending;
        }
        let mut output = None;
        if flags & flag::CANCELLED == 0 {
            // SAFETY: done, so the stage belongs to the join handle; `T` is the task's output type by
            // construction.
            output = unsafe { task.take::<T>() };
        }
        this.task = None;
        Poll::Ready(output.ok_or(JoinError))
    }
}

impl<T, M: RawMutex + Sync + 'static> Drop for JoinHandle<T, M> {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        let header = task.header();
        let (done, waker) = task.kernel().with(|_| {
            header.flags.set(header.flags.get() | flag::DETACHED);
            // SAFETY: under the kernel's lock.
            let waker = unsafe { header.take_joiner() };
            (header.flags.get() & flag::DONE != 0, waker)
        });
        drop(waker);
        if done {
            // SAFETY: done and not joined, so the stage is this handle's.
            unsafe { task.clear() };
        }
    }
}
