//! A process to look at: `cargo run -p chanmon --example busy -- /tmp/busy.sock`, then
//! `chanmon top /tmp/busy.sock` in another terminal.
//!
//! It does what lines on its standard input say: `stall` (the consumers of `orders` and `log` stop), `hoard` (and all
//! memory is taken), `go`, `lose` (a ticket is lost), `quit`. It ends when its input does.

use std::error::Error;
use std::io::{BufRead, stdin};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use cloakroom::Arena;
use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, Conflated, DropOldest, Rendezvous, Unlimited,
};
use cloakroom::kernel::{Clock, Kernel};
use cloakroom::std_layer::report::{Registry, Serving, serve};
use cloakroom::std_layer::{StdClock, StdRawMutex as Lock, block_on, block_on_until};

static MEMORY: Arena<Lock, 256, 64, 384> = Arena::new();
static KERNEL: Kernel<Lock> = Kernel::new();
static ORDERS: Bytes<'static, Lock, Buffered<32>> = Bytes::new();
static RECEIPTS: Channel<Lock, u64, Buffered<64>> = Channel::new();
static NEWS: Channel<Lock, u64, Broadcast<8, DropOldest>> = Channel::new();
static LATEST: Channel<Lock, u64, Conflated> = Channel::new();
static LOG: Channel<Lock, u64, Unlimited<'static, Lock>> = Channel::over(&MEMORY);
static COUNTER: Channel<Lock, u64, Rendezvous> = Channel::new();
/// The consumers of orders and of the log take none.
static STALLED: AtomicBool = AtomicBool::new(false);
/// The time between two orders.
const PACE: Duration = Duration::from_millis(2);

fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::args_os().nth(1).ok_or("usage: busy SOCKET [actions]")?;
    let actions = std::env::args().nth(2).is_some_and(|word| word == "actions");
    let registry = Registry::new("busy");
    // What is older, and in no channel, has been lost: milliseconds.
    registry.set_orphan_age(2_000);
    registry.drainable("orders", &ORDERS).keep();
    registry.drainable("receipts", &RECEIPTS).keep();
    registry.channel("news", &NEWS).keep();
    registry.channel("latest", &LATEST).keep();
    registry.drainable("log", &LOG).keep();
    registry.channel("counter", &COUNTER).keep();
    registry.arena("memory", &MEMORY).keep();
    registry.kernel("tasks", &KERNEL).keep();
    let _server = serve(&registry, PathBuf::from(place), Serving { actions })?;
    for seller in 0..3 {
        spawn(move || sell(seller));
    }
    spawn(|| while take_order() {});
    spawn(|| (0..).all(write_log));
    spawn(|| while read_log() {});
    spawn(count_receipts);
    spawn(run_tasks);
    spawn(keep_time);
    let (telemetry, mut hoard) = (MEMORY.handle().open_home(64, 0)?, Vec::new());
    println!("busy");
    for line in stdin().lock().lines() {
        match line?.as_str() {
            "stall" => STALLED.store(true, Ordering::Relaxed),
            "hoard" => {
                STALLED.store(true, Ordering::Relaxed);
                // Its own share first, and then all there is.
                while let Ok(page) = telemetry.try_alloc(1) {
                    hoard.push(page);
                }
                while let Ok(page) = MEMORY.try_alloc(1) {
                    hoard.push(page);
                }
            }
            "go" => {
                hoard.clear();
                STALLED.store(false, Ordering::Relaxed);
            }
            "lose" => {
                // What a program does that forgets to pass a ticket on.
                let _lost = MEMORY.try_alloc(400)?.deposit();
            }
            "quit" => break,
            other => println!("not a command: {other}"),
        }
    }
    Ok(())
}

/// Sends orders of different lengths. Waits while there is no room, or no memory.
fn sell(seller: usize) {
    for number in 0usize.. {
        let len = 20 + 60 * ((number + seller) % 5);
        let Ok(mut order) = block_on(MEMORY.alloc(len)) else { return };
        order.fill(b'.');
        order.set_correlation(NonZeroU32::new(number as u32));
        if block_on(ORDERS.send(order)).is_err() {
            return;
        }
        sleep(PACE);
    }
}

fn take_order() -> bool {
    wait_while_stalled();
    match block_on(ORDERS.recv()) {
        Ok(order) => {
            let number = order.len() as u64;
            // Nobody reads all of these. That is what they are there to show.
            let _ = (NEWS.try_send(number), LATEST.try_send(number));
            RECEIPTS.blocking_send(number).is_ok()
        }
        Err(_) => false,
    }
}

fn write_log(line: u64) -> bool {
    sleep(PACE);
    LOG.blocking_send(line).is_ok()
}

fn read_log() -> bool {
    wait_while_stalled();
    LOG.blocking_recv().is_ok()
}

fn wait_while_stalled() {
    while STALLED.load(Ordering::Relaxed) {
        sleep(PACE);
    }
}

fn count_receipts() {
    let mut news = NEWS.subscribe();
    while let Ok(number) = RECEIPTS.blocking_recv() {
        let _ = (news.try_recv(), COUNTER.try_send(number));
    }
}

/// A task that wakes again and again.
fn run_tasks() {
    let tick = async {
        loop {
            KERNEL.timers().after(StdClock::TICKS_PER_SECOND / 50).await;
        }
    };
    if let Ok(task) = KERNEL.spawn(MEMORY.handle(), tick) {
        let _: Result<(), _> = block_on_until(&KERNEL, &StdClock::new(), task);
    }
}

/// Tells the arena the time, in milliseconds.
fn keep_time() {
    let began = Instant::now();
    loop {
        // Wraps, as ages do.
        MEMORY.handle().set_now(began.elapsed().as_millis() as u32);
        sleep(Duration::from_millis(20));
    }
}
