//! The smallest whole program: two tasks in slots just large enough for them, one channel of numbers, and a kernel without
//! timers. Its size is measured.
#![no_std]
#![no_main]

use cloakroom::channel::{Buffered, Channel};
use cloakroom::kernel::{Kernel, NoTimers, TaskSlot};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cortex_m as _;
use cortex_m_rt::entry;

static SENDER: TaskSlot<Lock, 52> = TaskSlot::new();
static RECEIVER: TaskSlot<Lock, 36> = TaskSlot::new();
static KERNEL: Kernel<Lock, NoTimers> = Kernel::without_timers();
static NUMBERS: Channel<Lock, u32, Buffered<1>> = Channel::new();

#[entry]
fn main() -> ! {
    let _ = KERNEL.spawn_in(&SENDER, async {
        let mut number = 0u32;
        while NUMBERS.send(number).await.is_ok() {
            number = number.wrapping_add(1);
        }
    });
    let _ = KERNEL.spawn_in(&RECEIVER, async {
        while let Ok(number) = NUMBERS.recv().await {
            core::hint::black_box(number);
        }
    });
    loop {
        KERNEL.poll(0);
    }
}

/// Silent, so that it costs nothing.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::nop();
    }
}
