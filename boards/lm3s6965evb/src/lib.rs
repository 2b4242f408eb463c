//! The lm3s6965evb board, as far as this repository's firmware uses it: a Cortex-M3 (Texas Instruments
//! LM3S6965) with 256 KiB of flash, 64 KiB of RAM and three serial ports. QEMU emulates it.
#![no_std]

mod interrupts;
pub mod uart;
pub mod uptime;

// Brings in the implementation of critical sections, which the linker needs and no code here names.
use cortex_m as _;

pub use interrupts::{Interrupt, interrupt};
