//! As `size_channel`, with messages of up to 64 bytes from the arena instead of numbers.
#![no_std]
#![no_main]

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes};
use cloakroom::kernel::{Kernel, NoTimers};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cortex_m as _;
use cortex_m_rt::entry;

static ARENA: Arena<Lock, 8, 64, 6, 1> = Arena::new();
static KERNEL: Kernel<Lock, NoTimers> = Kernel::without_timers();
static FRAMES: Bytes<'static, Lock, Buffered<1>> = Bytes::new();

#[entry]
fn main() -> ! {
    let _ = KERNEL.spawn(ARENA.handle(), async {
        while let Ok(mut frame) = ARENA.alloc(64).await {
            frame.fill(0x5a);
            if FRAMES.send(frame).await.is_err() {
                return;
            }
        }
    });
    let _ = KERNEL.spawn(ARENA.handle(), async {
        while let Ok(frame) = FRAMES.recv().await {
            core::hint::black_box(frame.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
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
