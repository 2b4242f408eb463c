//! The shared test suite on a Cortex-M0, under a critical section. (Both locks together do not fit the flash.)
#![no_std]
#![no_main]

use cloakroom::sync::CriticalSectionRawMutex;
use cloakroom_suite::{place, tests};
use cortex_m_rt::entry;

place!(CriticalSection, CriticalSectionRawMutex);

#[entry]
fn main() -> ! {
    harness::run(tests::<CriticalSection>())
}
