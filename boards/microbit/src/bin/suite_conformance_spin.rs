//! The shared test suite on a Cortex-M0, under a spin lock: the conformance matrix. (All of it does not fit the flash.)
#![no_std]
#![no_main]

use cloakroom::sync::SpinRawMutex;
use cloakroom_suite::{conformance, place};
use cortex_m_rt::entry;

place!(Here, SpinRawMutex);

#[entry]
fn main() -> ! {
    harness::run(conformance::<Here>())
}
