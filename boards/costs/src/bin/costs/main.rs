//! What this library's operations cost: instructions, the longest critical sections, bytes of RAM.
#![no_std]
#![no_main]

mod masked;
mod operations;
mod sizes;

use bench::Bench;
use cloakroom::Arena;
use cloakroom::sync::CriticalSectionRawMutex;
use cortex_m_rt::entry;

/// The lock that all of it is measured under.
type Lock = CriticalSectionRawMutex;

/// The smallest of the machines has no room for two of these.
static ARENA: Arena<Lock, 64, 64, 32> = Arena::new();

#[entry]
fn main() -> ! {
    let mut bench = Bench::start("cloakroom");
    masked::print(&mut bench);
    operations::print(&mut bench);
    sizes::print(&bench);
    bench.finish()
}
