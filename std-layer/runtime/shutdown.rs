//! The end of a runtime.
//!
//! ```text
//!   Running ── Drain, Deadline ──► Draining ── no tasks left, or time is over ──► Over
//!      └──────────────────────────── Now ─────────────────────────────────────────► │
//! ```
//!
//! Draining, only the runtime's own threads spawn. When it is over, every task is dropped at its next poll, and
//! is woken for that; then the threads end.

use std::format;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::vec::Vec;

use super::contain::contain;
use super::{Handle, Runtime, worker};
use crate::kernel::{Clock, Next};

/// How long [`Shutdown::Now`] waits for polls that are under way, and for threads to end.
const GRACE: Duration = Duration::from_secs(1);

/// How a runtime ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// Waits until all tasks and blocking calls have ended, however long that takes. Those spawn more as they like;
    /// other threads do not. A runtime without workers starts a thread for this: if there is none to be had, it ends as
    /// `Now`.
    Drain,
    /// As `Drain` for this long, then as `Now`.
    Deadline(Duration),
    /// Cancels all tasks, and blocking calls that have not begun. A poll, or a call, that is under way cannot be
    /// stopped: after a second it is left to itself, with its thread.
    Now,
}

/// What a runtime left when it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// Tasks and calls that were dropped before they ended.
    pub cancelled: u32,
    /// Tasks and calls that are still under way.
    pub running: u32,
    /// Threads that have not ended.
    pub threads: u32,
    /// Payloads, values and tasks in its arena: 0 unless others keep some (messages in channels, for example).
    pub payloads: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
enum Phase {
    Running,
    Draining,
    Over,
}

/// The tasks, calls and threads that are there.
pub(super) struct Residents {
    phase: AtomicU8,
    tasks: AtomicU32,
    threads: AtomicU32,
    cancelled: AtomicU32,
    /// For those who wait until the others have gone.
    door: Mutex<()>,
    gone: Condvar,
}

impl Residents {
    pub(super) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Running as u8),
            tasks: AtomicU32::new(0),
            threads: AtomicU32::new(0),
            cancelled: AtomicU32::new(0),
            door: Mutex::new(()),
            gone: Condvar::new(),
        }
    }

    /// Whether tasks may be spawned, from one of the runtime's threads or from elsewhere.
    pub(super) fn admits(&self, from_inside: bool) -> bool {
        let phase = self.phase.load(Ordering::Acquire);
        phase == Phase::Running as u8 || (from_inside && phase == Phase::Draining as u8)
    }

    pub(super) fn enter(&self) {
        // Relaxed: whoever waits for the count knows of a task only by its spawner, who is one itself or has
        // returned.
        self.tasks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        // Release pairs with the Acquire of whoever waits: what the task did is seen.
        if self.tasks.fetch_sub(1, Ordering::Release) == 1 {
            self.tell();
        }
    }

    pub(super) fn count_cancelled(&self) {
        self.cancelled.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn enter_thread(&self) {
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave_thread(&self) {
        self.threads.fetch_sub(1, Ordering::Release);
        self.tell();
    }

    fn begin(&self, phase: Phase) {
        // Release pairs with the Acquire in `admits`.
        self.phase.fetch_max(phase as u8, Ordering::Release);
    }

    fn door(&self) -> MutexGuard<'_, ()> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody was the last to go. The lock is taken so that this does not fall between a look and a sleep.
    fn tell(&self) {
        drop(self.door());
        self.gone.notify_all();
    }

    /// Waits until `count` is at most `most`, or `deadline` has come. What it is then.
    fn wait(&self, count: &AtomicU32, most: u32, deadline: Option<Instant>) -> u32 {
        let mut door = self.door();
        loop {
            let left = count.load(Ordering::Acquire);
            if left <= most {
                return left;
            }
            let Some(deadline) = deadline else {
                door = self.gone.wait(door).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return left;
            }
            let woken = self.gone.wait_timeout(door, rest);
            door = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Handle {
    /// Polls what is ready on this thread: once the runtime is over, each task ends at its next poll.
    pub(super) fn end_tasks(&self) {
        let inner = self.inner;
        let poll = || {
            while inner.kernel.poll(inner.clock.now()) == Next::Ready {}
            while inner.pool.kernel.poll(0) == Next::Ready {}
        };
        // As for the workers: what is left are destructors, and the end goes on.
        while contain(poll).is_none() {
            inner.panics.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Runtime {
    /// Ends it, and tells what was left. See [`Shutdown`].
    ///
    /// Not to be called in one of its own tasks, which would wait for itself.
    pub fn shutdown(mut self, how: Shutdown) -> Left {
        self.end(how)
    }

    fn end(&mut self, how: Shutdown) -> Left {
        let inner = self.handle.inner;
        let residents = &inner.residents;
        let drained = match how {
            Shutdown::Drain => Some(None),
            Shutdown::Deadline(limit) => Some(Instant::now().checked_add(limit)),
            Shutdown::Now => None,
        };
        if let Some(deadline) = drained {
            residents.begin(Phase::Draining);
            // If nobody can run them, they are cancelled.
            if inner.workers > 0 || self.start_worker() {
                residents.wait(&residents.tasks, 0, deadline);
            }
        }
        residents.begin(Phase::Over);
        inner.cancel.cancel();
        // Helps, as all workers may be busy.
        self.handle.end_tasks();
        let deadline = Instant::now() + GRACE;
        let running = residents.wait(&residents.tasks, 0, Some(deadline));
        inner.over.cancel();
        // Those that are under way keep at most a thread each.
        let threads = residents.wait(&residents.threads, running, Some(Instant::now() + GRACE));
        self.join_threads();
        // Nobody keeps the time any more: sleeps that others wait for end, and so do those that are begun later.
        inner.kernel.advance(u64::MAX);
        // Those that were spawned while the threads went.
        self.handle.end_tasks();
        Left {
            cancelled: residents.cancelled.load(Ordering::Relaxed),
            running,
            threads,
            payloads: inner.arena.snapshot().live,
        }
    }

    /// A worker for tasks that nobody would run. Whether it could be started.
    fn start_worker(&mut self) -> bool {
        let name = format!("{}-drain", self.handle.inner.name);
        let started = worker::start(self.handle, name, worker::work).ok();
        let is_started = started.is_some();
        self.threads.extend(started);
        is_started
    }

    /// Joins the threads that have ended; the others are left to themselves.
    fn join_threads(&mut self) {
        let inner = self.handle.inner;
        let mut pool = inner.pool_threads.lock().unwrap_or_else(PoisonError::into_inner);
        let threads: Vec<_> = self.threads.drain(..).chain(pool.drain(..)).collect();
        for thread in threads {
            if thread.is_finished() || inner.residents.threads.load(Ordering::Acquire) == 0 {
                // It has caught all panics.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.handle.inner.over.is_cancelled() {
            return;
        }
        self.end(Shutdown::Now);
    }
}
