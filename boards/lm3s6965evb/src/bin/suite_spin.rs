//! The shared test suite on a Cortex-M3, under a spin lock. (Both locks together do not fit the flash.)
#![no_std]
#![no_main]

use cloakroom::sync::SpinRawMutex;
use cloakroom_suite::{place, tests};
use cortex_m_rt::entry;
use lm3s6965evb as _;

place!(Spin, SpinRawMutex);

#[entry]
fn main() -> ! {
    harness::run(tests::<Spin>())
}
