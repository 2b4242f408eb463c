//! The shared test suite on a Cortex-M3, under a spin lock: channels and selects. (All of it does not fit the flash.)
#![no_std]
#![no_main]

use cloakroom::sync::SpinRawMutex;
use cloakroom_suite::{channels, place};
use cortex_m_rt::entry;
use lm3s6965evb as _;

place!(Here, SpinRawMutex);

#[entry]
fn main() -> ! {
    harness::run(channels::<Here>())
}
