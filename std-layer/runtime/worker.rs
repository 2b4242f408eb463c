//! A thread that polls a kernel until the runtime is over.

use std::io;
use std::string::String;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::contain::contain;
use super::{CURRENT, Handle, Lock, WORKS};
use crate::kernel::{Kernel, TimerQueue};
use crate::std_layer::block_on::{Rest, drive_until};

/// Pages that a worker may move between two batches of tasks, when a request has failed for want of it.
const HOUSEKEEPING: usize = 64;

/// Starts a thread of a runtime.
pub(super) fn start(
    handle: Handle,
    name: String,
    body: impl FnOnce(Handle) + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    handle.inner.residents.enter_thread();
    let started = thread::Builder::new().name(name).spawn(move || {
        /// Also if the thread ends by a panic: whoever ends the runtime counts on it.
        struct Leave(Handle);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.inner.residents.leave_thread();
            }
        }
        let _leave = Leave(handle);
        CURRENT.set(Some(handle));
        body(handle);
    });
    if started.is_err() {
        handle.inner.residents.leave_thread();
    }
    started
}

/// Polls the runtime's tasks until it is over.
pub(super) fn work(handle: Handle) {
    WORKS.set(true);
    run(handle, &handle.inner.kernel, &handle.inner.parked);
}

/// Polls `kernel` until the runtime is over. `parked` counts those who sleep.
pub(super) fn run<W: TimerQueue>(handle: Handle, kernel: &Kernel<Lock, W>, parked: &AtomicU32) {
    let inner = handle.inner;
    let rest = Rest {
        before: &|| inner.arena.compact_on_demand(HOUSEKEEPING),
        tell: &|now| inner.tell_time(now),
        parked,
        poll: &|poll| poll(),
        is_brief: true,
    };
    // Tasks catch what they panic with. What is left are destructors: of a future that is dropped because it
    // was cancelled, and of an output that nobody wants. The kernel has ended the task by then.
    while contain(|| drive_until(kernel, &inner.clock, inner.over.cancelled(), &rest)).is_none() {
        inner.panics.fetch_add(1, Ordering::Relaxed);
    }
    // A task whose poll outlasted the end may be queued still, and nobody else will look.
    handle.end_tasks();
}
