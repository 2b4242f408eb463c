//! Threads for calls that block.
//!
//! They poll a kernel of their own, whose tasks are closures: a call waits in the arena as a task does, in the
//! same order, with the same handle.

use std::format;
use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use super::{Handle, JoinHandle, Lock, NotSpawned, SpawnError, worker};
use crate::kernel::{Kernel, NoTimers};

/// The threads, and what they do.
pub(super) struct Pool {
    pub(super) kernel: Kernel<Lock, NoTimers>,
    most: u32,
    /// Those that have been started. Changed while `pool_threads` of the runtime is locked.
    threads: AtomicU32,
    parked: AtomicU32,
}

impl Pool {
    pub(super) fn new(most: u32) -> Self {
        Self {
            kernel: Kernel::without_timers(),
            most,
            threads: AtomicU32::new(0),
            parked: AtomicU32::new(0),
        }
    }

    pub(super) fn threads(&self) -> u32 {
        self.threads.load(Ordering::Relaxed)
    }

    pub(super) fn parked(&self) -> u32 {
        self.parked.load(Ordering::Relaxed)
    }
}

/// A closure as a future that ends at its first poll.
struct Call<F>(Option<F>);

impl<F> Unpin for Call<F> {}

impl<T, F: FnOnce() -> T> Future for Call<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        match self.0.take() {
            Some(call) => Poll::Ready(call()),
            None => Poll::Pending,
        }
    }
}

impl Handle {
    /// Runs `call` on a thread where it may block. It waits in the arena until a thread is free.
    ///
    /// It can be cancelled until it begins. A panic is what its handle is joined with.
    ///
    /// # Errors
    /// The call comes back when there is no room for it, no thread can be had, or the runtime is being shut
    /// down.
    ///
    /// ```
    /// use cloakroom::std_layer::runtime::Runtime;
    ///
    /// let runtime = Runtime::builder().workers(1).build()?;
    /// let answer = runtime.spawn_blocking(|| std::thread::current().name().map(str::to_owned))?;
    /// assert_eq!(answer.join()?.as_deref(), Some("cloakroom-blocking-0"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_blocking<T, F>(&self, call: F) -> Result<JoinHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if !self.inner.residents.admits(self.is_current()) {
            return Err(SpawnError { why: NotSpawned::Over, future: call });
        }
        // With this one.
        let calls = self.inner.pool.kernel.snapshot().tasks.saturating_add(1);
        if let Err(error) = self.provide_thread(calls) {
            return Err(SpawnError { why: NotSpawned::Thread(error), future: call });
        }
        let spawned = self.spawn_on(&self.inner.pool.kernel, Call(Some(call)));
        if spawned.is_ok() {
            // Others may have counted on the same thread meanwhile. The call is there: it waits for one that is.
            let _ = self.provide_thread(self.inner.pool.kernel.snapshot().tasks);
        }
        spawned.map_err(|SpawnError { why, future: Call(call) }| match call {
            Some(future) => SpawnError { why, future },
            // Only a poll takes it out.
            None => unreachable!("a call that was not spawned has not begun"),
        })
    }

    /// Starts a thread, if there are more calls than threads.
    fn provide_thread(&self, calls: u32) -> std::io::Result<()> {
        let inner = self.inner;
        let pool = &inner.pool;
        if calls <= pool.threads() {
            return Ok(());
        }
        // One after the other, so that nobody counts on a thread that is yet to be started, and may fail to.
        let mut threads = inner.pool_threads.lock().unwrap_or_else(PoisonError::into_inner);
        let number = pool.threads();
        if calls <= number || number >= pool.most {
            return Ok(());
        }
        let name = format!("{}-blocking-{number}", inner.name);
        let started = worker::start(*self, name, |handle| {
            worker::run(handle, &handle.inner.pool.kernel, &handle.inner.pool.parked);
        });
        match started {
            Ok(thread) => {
                threads.push(thread);
                // Relaxed: a count, which publishes nothing.
                pool.threads.store(number + 1, Ordering::Relaxed);
                Ok(())
            }
            // Those that are there will do.
            Err(_) if number > 0 => Ok(()),
            Err(error) => Err(error),
        }
    }
}
