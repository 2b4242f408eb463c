//! maitake-sync: a queue of waiters. It has no channel: a value would come on top.
#![no_std]
#![no_main]

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Waker};

use bench::Bench;
use cortex_m_rt::entry;
use maitake_sync::WaitQueue;

static QUEUE: WaitQueue = WaitQueue::new();

#[entry]
fn main() -> ! {
    let mut bench = Bench::start("maitake-sync WaitQueue, no value");
    let mut wake = || {
        let mut wait = pin!(QUEUE.wait());
        let mut cx = Context::from_waker(Waker::noop());
        let _ = black_box(wait.as_mut().poll(&mut cx).is_pending());
        QUEUE.wake();
        let _ = black_box(wait.as_mut().poll(&mut cx));
    };
    bench.operation("wake of a waiting receive: register, send, ready", &mut wake);
    bench.masked("parked receive: register, send, ready", &mut wake);
    bench.bytes("a pending receive", size_of_val(&QUEUE.wait()));
    bench.finish()
}
