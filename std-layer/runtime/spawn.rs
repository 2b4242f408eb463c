//! Spawning tasks.

use std::fmt;
use std::future::Future;
use std::io;

use super::task::Task;
use super::{Handle, JoinHandle};
use crate::error::{self, TryAllocError};
use crate::kernel::{Kernel, TimerQueue};

/// Why nothing was spawned.
#[derive(Debug)]
pub enum NotSpawned {
    /// There is no room in the arena.
    Memory(TryAllocError),
    /// The runtime is being shut down.
    Over,
    /// There is no thread for blocking calls, and none could be started.
    Thread(io::Error),
}

/// A future, or a blocking call, that was not spawned. It comes back.
pub struct SpawnError<F> {
    /// Why.
    pub why: NotSpawned,
    /// What was to be spawned.
    pub future: F,
}

impl fmt::Display for NotSpawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => error.fmt(f),
            Self::Over => f.write_str("the runtime is being shut down"),
            Self::Thread(error) => write!(f, "no thread for blocking calls: {error}"),
        }
    }
}

impl std::error::Error for NotSpawned {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Memory(error) => Some(error),
            Self::Over => None,
            Self::Thread(error) => Some(error),
        }
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpawnError").field(&self.why).finish()
    }
}

impl<F> std::error::Error for SpawnError<F> {}

impl Handle {
    /// Puts `future` into the arena and makes it ready. Any thread may do so, and any task.
    ///
    /// A panic ends the task, and is what its handle is joined with; nothing else ends.
    ///
    /// # Errors
    /// The future comes back when there is no room for it, or the runtime is being shut down.
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_on(&self.inner.kernel, future)
    }

    /// Spawns on one of the runtime's kernels.
    pub(super) fn spawn_on<F, W: TimerQueue>(
        &self,
        kernel: &'static Kernel<super::Lock, W>,
        future: F,
    ) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if !self.inner.residents.admits(self.is_current()) {
            return Err(SpawnError { why: NotSpawned::Over, future });
        }
        match kernel.spawn(self.inner.arena, Task::new(*self, future)) {
            Ok(handle) => {
                if self.inner.over.is_cancelled() {
                    // The threads may have gone since it was asked. All that a task does then is to end.
                    self.end_tasks();
                }
                Ok(JoinHandle::new(*self, handle))
            }
            Err(error::SpawnError { why, future: task }) => {
                let why = NotSpawned::Memory(why);
                match task.into_inner() {
                    Some(future) => Err(SpawnError { why, future }),
                    // It was put there above.
                    None => unreachable!("a task that was never polled has its future"),
                }
            }
        }
    }
}
