//! Instructions per operation, the longest critical section, and bytes of RAM, as tables. For QEMU with
//! `-icount shift=5`.
#![no_std]
#![no_main]

mod costs;
mod latency;
mod memory;

use cloakroom::sync::CriticalSectionRawMutex;
use cortex_m_rt::entry;
use harness::println;
use harness::semihosting::exit;
use lm3s6965evb::counting;

/// The lock that all of it is measured under.
type Lock = CriticalSectionRawMutex;

#[entry]
fn main() -> ! {
    let core = cortex_m::Peripherals::take().expect("nothing took the peripherals before");
    let mut counter = counting::counter(core.SYST);
    // Figures from a counter that is off are worse than none.
    counter.check().expect("the counter counts code of known length");
    latency::check_sweep(&mut counter);

    costs::print(&mut counter);
    println!("");
    latency::print(&mut counter);
    println!("");
    memory::print();
    println!("2 passed, 0 failed");
    exit(true)
}
