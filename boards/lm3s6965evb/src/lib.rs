//! The lm3s6965evb board, as far as this repository's firmware uses it: a Cortex-M3 (Texas Instruments
//! LM3S6965) with 256 KiB of flash, 64 KiB of RAM and three serial ports. QEMU emulates it.
#![no_std]

mod interrupts;
pub mod uart;
pub mod uptime;

// Brings in the implementation of critical sections, which the linker needs and no code here names.
use cortex_m as _;

pub use interrupts::{Interrupt, interrupt};

/// How SysTick counts instructions in a program that QEMU runs with `-icount shift=5`.
pub mod counting {
    use systick::{InstructionCounter, Rate};

    /// QEMU derives the core's clock from 200 MHz by the system divider alone and knows nothing of the
    /// PLL. The divider at its smallest gives the finest ticks: 6.4 to an instruction.
    const RATE: Rate = Rate { instruction_ns: 1 << 5, tick_ns: 5 };

    /// Sets the core's clock for counting and takes over SysTick.
    pub fn counter(syst: cortex_m::peripheral::SYST) -> InstructionCounter {
        const RUN_MODE_CLOCK: *mut u32 = 0x400F_E060 as *mut u32;
        const SYSTEM_DIVIDER: u32 = 0xF << 23;
        // SAFETY: the address is the run-mode clock configuration register. Nothing else writes it.
        // Dividing by one is too fast for the real chip: this is for QEMU.
        unsafe { RUN_MODE_CLOCK.write_volatile(RUN_MODE_CLOCK.read_volatile() & !SYSTEM_DIVIDER) };
        InstructionCounter::new(syst, RATE)
    }
}
