//! Samples from an interrupt, collected into blocks in the arena, sent on without a copy.
#![no_std]
#![no_main]

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes, Channel};
use cloakroom::kernel::Kernel;
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use harness as _;
use lm3s6965evb::uart::{Receive, UART1};

static ARENA: Arena<Lock, 32, 64, 16> = Arena::new(); // 2 KiB for messages and tasks
static SAMPLES: Channel<Lock, u16, Buffered<16>> = Channel::new();
static BLOCKS: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
static KERNEL: Kernel<Lock, cloakroom::kernel::NoTimers> = Kernel::without_timers();

async fn collect() {
    while let Ok(mut block) = ARENA.alloc(64).await {
        for pair in block.chunks_exact_mut(2) {
            let Ok(sample) = SAMPLES.recv().await else { return };
            pair.copy_from_slice(&sample.to_le_bytes());
        }
        if BLOCKS.send(block).await.is_err() {
            return;
        }
    }
}

async fn transmit() {
    while let Ok(block) = BLOCKS.recv().await {
        block.iter().for_each(|&byte| UART1.write(byte));
    }
}

#[cortex_m_rt::exception]
fn SysTick() {
    // A full channel refuses, and counts it.
    let _ = SAMPLES.try_send(cortex_m::peripheral::SYST::get_current() as u16);
}

#[cortex_m_rt::entry]
fn main() -> ! {
    UART1.init(115_200, Receive::Queued);
    let _ = (KERNEL.spawn(ARENA.handle(), collect()), KERNEL.spawn(ARENA.handle(), transmit()));
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.SYST.set_reload(11_999); // a millisecond
        core.SYST.enable_counter();
        core.SYST.enable_interrupt();
    }
    loop {
        if KERNEL.poll(0) == cloakroom::kernel::Next::Idle {
            cortex_m::asm::wfe();
        }
    }
}
