//! The smallest whole program on embassy: two tasks, one channel of numbers, the executor of thread mode. Its
//! size is measured.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_executor::Executor;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex as Lock;
use embassy_sync::channel::Channel;
use static_cell::StaticCell;

static NUMBERS: Channel<Lock, u32, 1> = Channel::new();
static EXECUTOR: StaticCell<Executor> = StaticCell::new();

#[embassy_executor::task]
async fn send() {
    let mut number = 0u32;
    loop {
        NUMBERS.send(number).await;
        number = number.wrapping_add(1);
    }
}

#[embassy_executor::task]
async fn receive() {
    loop {
        core::hint::black_box(NUMBERS.receive().await);
    }
}

#[entry]
fn main() -> ! {
    EXECUTOR.init(Executor::new()).run(|spawner| {
        let _ = send().map(|task| spawner.spawn(task));
        let _ = receive().map(|task| spawner.spawn(task));
    })
}

/// Silent, so that it costs nothing.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::nop();
    }
}
