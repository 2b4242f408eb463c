//! Who keeps the time, and what becomes of it when that one goes.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Channel};
use cloakroom::kernel::{Kernel, drive};
use cloakroom::std_layer::runtime::Shutdown;
use cloakroom::std_layer::{StdClock, StdRawMutex, block_on, block_on_until};

use crate::{small, with_each_size};

/// Runs `body` on a thread of its own. Whether it came to an end: what hangs must not hang the test.
pub fn ends(body: impl FnOnce() + Send + 'static) -> bool {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    ended.recv_timeout(Duration::from_secs(20)).is_ok()
}

#[test]
fn an_executor_that_drives_a_kernel_does_not_keep_its_time() {
    static ARENA: Arena<StdRawMutex, 64, 64, 16> = Arena::new();
    static KERNEL: Kernel<StdRawMutex> = Kernel::new();
    let task = KERNEL.spawn(ARENA.handle(), KERNEL.timers().after(1_000)).unwrap();
    // It runs the task, which begins its sleep. Nobody will come back to it.
    let mut elsewhere = pin!(drive(&KERNEL));
    assert!(elsewhere.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(ends(|| block_on_until(&KERNEL, &StdClock::new(), task).unwrap()));
}

#[test]
fn another_one_keeps_the_time_when_the_one_who_did_has_gone() {
    static ENDS: [Channel<StdRawMutex, (), Buffered<1>>; 2] = [Channel::new(), Channel::new()];
    let runtime = small(0);
    let handle = runtime.handle();
    let [first, second] = [0, 1].map(|number| {
        let thread = thread::spawn(move || handle.block_on(ENDS[number].recv()));
        // So that they fall asleep in this order, and the first keeps the time.
        thread::sleep(Duration::from_millis(50));
        thread
    });
    ENDS[0].try_send(()).unwrap();
    first.join().unwrap().unwrap();
    assert!(ends(move || block_on(handle.sleep(Duration::from_millis(1)))));
    ENDS[1].try_send(()).unwrap();
    second.join().unwrap().unwrap();
}

#[test]
fn no_sleep_outlasts_the_runtime() {
    with_each_size(|runtime| {
        let handle = runtime.handle();
        let (begun, begins) = mpsc::channel();
        let sleeper = thread::spawn(move || {
            ends(move || {
                let mut sleep = Box::pin(handle.sleep(Duration::from_secs(3600)));
                let _ = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                begun.send(()).unwrap();
                block_on(sleep);
            })
        });
        begins.recv().unwrap();
        runtime.shutdown(Shutdown::Now);
        assert!(sleeper.join().unwrap(), "a sleep that had been begun");
        assert!(ends(move || block_on(handle.sleep(Duration::from_millis(1)))), "one begun later");
        assert!(ends(move || handle.block_on(handle.sleep(Duration::from_millis(1)))));
    });
}
