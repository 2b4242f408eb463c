//! The machines of QEMU's that are counted on: one for each instruction set.

use cortex_m::peripheral::SYST;

use crate::{InstructionCounter, Rate};

/// The part number of a core, in its identification register.
const CORTEX_M0: u32 = 0xC20;
const CORTEX_M3: u32 = 0xC23;
const CORTEX_M33: u32 = 0xD21;

impl InstructionCounter {
    /// Takes over SysTick, on whichever of the machines this is: microbit (Cortex-M0), lm3s6965evb
    /// (Cortex-M3) or mps2-an505 (Cortex-M33).
    ///
    /// # Panics
    ///
    /// If it is none of them.
    pub fn of_this_machine(syst: SYST) -> Self {
        let rate = match part_number() {
            // QEMU gives this core a SysTick, which the chip does not have.
            CORTEX_M0 => Rate { instruction_ns: 1 << 9, clock_hz: 16_000_000 },
            CORTEX_M3 => {
                divide_system_clock_by_one();
                Rate { instruction_ns: 1 << 5, clock_hz: 200_000_000 }
            }
            CORTEX_M33 => Rate { instruction_ns: 1 << 9, clock_hz: 20_000_000 },
            other => panic!("a core of part number {other:#x} is not counted on"),
        };
        Self::new(syst, rate)
    }
}

fn part_number() -> u32 {
    const IDENTIFICATION: *const u32 = 0xE000_ED00 as *const u32;
    // SAFETY: the address is the core's identification register on every Cortex-M. Reading it changes nothing.
    unsafe { IDENTIFICATION.read_volatile() >> 4 & 0xFFF }
}

/// QEMU derives the core's clock of the lm3s6965evb from 200 MHz by the system divider alone and knows nothing of
/// the PLL. The divider at its smallest gives the finest ticks: 6.4 to an instruction.
fn divide_system_clock_by_one() {
    const RUN_MODE_CLOCK: *mut u32 = 0x400F_E060 as *mut u32;
    const SYSTEM_DIVIDER: u32 = 0xF << 23;
    // SAFETY: the address is the board's run-mode clock configuration register. Nothing else writes it.
    // Dividing by one is too fast for the real chip: this is for QEMU.
    unsafe { RUN_MODE_CLOCK.write_volatile(RUN_MODE_CLOCK.read_volatile() & !SYSTEM_DIVIDER) };
}
