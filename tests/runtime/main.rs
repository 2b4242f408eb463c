//! The runtime: tasks, blocking calls, scopes, timers, panics, the three ways to end, and idleness.

#[path = "../common/random.rs"]
mod random;

#[path = "../common/watch.rs"]
mod watch;

mod idle;
#[cfg(target_os = "linux")]
mod no_threads;
mod panics;
mod scopes;
mod shutdown;
mod storm;
mod tasks;
mod time;
#[cfg(feature = "stamps")]
mod times;

use cloakroom::std_layer::runtime::{Builder, Runtime};

/// A small runtime with an arena of its own.
fn small(workers: u32) -> Runtime {
    sized(workers).build().expect("threads and a mapping")
}

fn sized(workers: u32) -> Builder {
    Runtime::builder().workers(workers).arena_sizes(1 << 20, 64, 4096)
}

/// Runs a test with one worker, with several, and with none.
fn with_each_size(test: impl Fn(Runtime)) {
    for workers in [1, 4, 0] {
        test(small(workers));
    }
}

/// Lets other tasks run.
async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
