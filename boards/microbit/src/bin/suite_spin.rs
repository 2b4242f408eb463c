//! The shared test suite on a Cortex-M0, under a spin lock. (Both locks together do not fit the flash.)
#![no_std]
#![no_main]

use cloakroom::sync::SpinRawMutex;
use cloakroom_suite::{place, tests};
use cortex_m_rt::entry;

place!(Spin, SpinRawMutex);

#[entry]
fn main() -> ! {
    harness::run(tests::<Spin>())
}
