//! The shared test suite on a Cortex-M3, under a critical section: channels that spill. (All of it does not fit the flash.)
#![no_std]
#![no_main]

use cloakroom::sync::CriticalSectionRawMutex;
use cloakroom_suite::{place, spill};
use cortex_m_rt::entry;
use lm3s6965evb as _;

place!(Here, CriticalSectionRawMutex);

#[entry]
fn main() -> ! {
    harness::run(spill::<Here>())
}
