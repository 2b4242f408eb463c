//! Waiting for what a task returns.

use std::any::Any;
use std::boxed::Box;
use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Handle, Lock};
use crate::kernel;

/// Why a task has no output.
pub enum JoinError {
    /// It was cancelled before it returned: by [`JoinHandle::cancel`], or as the runtime ended.
    Cancelled,
    /// It panicked, with this.
    Panicked(Box<dyn Any + Send>),
}

impl JoinError {
    /// Goes on with the task's panic on this thread; a cancelled task's error comes back.
    pub fn resume_panic(self) -> Self {
        match self {
            Self::Cancelled => Self::Cancelled,
            Self::Panicked(panic) => resume_unwind(panic),
        }
    }

    /// What it said when it panicked, if that was text.
    pub fn message(&self) -> Option<&str> {
        let Self::Panicked(panic) = self else { return None };
        let text = panic.downcast_ref::<&str>().copied();
        text.or_else(|| panic.downcast_ref::<std::string::String>().map(|text| text.as_str()))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.message()) {
            (Self::Cancelled, _) => f.write_str("the task was cancelled"),
            (Self::Panicked(_), Some(message)) => write!(f, "the task panicked: {message}"),
            (Self::Panicked(_), None) => f.write_str("the task panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

/// A spawned task, or a blocking call: await it or [`join`](Self::join) it for its output,
/// [`cancel`](Self::cancel) it, or drop the handle and let it run on its own.
///
/// Cancel safety: dropping it detaches the task. Wake-ups: one.
pub struct JoinHandle<T> {
    pub(super) runtime: Handle,
    inner: kernel::JoinHandle<Result<T, JoinError>, Lock>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(
        runtime: Handle,
        inner: kernel::JoinHandle<Result<T, JoinError>, Lock>,
    ) -> Self {
        Self { runtime, inner }
    }

    /// Waits on this thread until the task has ended.
    ///
    /// # Errors
    /// [`JoinError`], when it was cancelled, or panicked.
    ///
    /// # Panics
    /// As [`Handle::block_on`].
    pub fn join(self) -> Result<T, JoinError> {
        let runtime = self.runtime;
        runtime.block_on(self)
    }

    /// Asks that the task be dropped instead of polled again. A blocking call that has begun goes on.
    pub fn cancel(&self) {
        self.inner.cancel();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.inner.is_finished()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.inner).poll(cx).map(|joined| {
            joined.unwrap_or_else(|crate::error::JoinError| Err(JoinError::Cancelled))
        })
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish()
    }
}
