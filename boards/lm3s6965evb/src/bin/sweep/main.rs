//! An interrupt at every instruction of every operation that claims to be interrupt-safe.
//!
//! A [`Scene`](scene::Scene) has an operation and an intruder. The operation is run again and again, and
//! SysTick brings the intruder in one instruction later each time. What the two return, and the state they
//! leave, must be as if one had happened after the other; both orders are written down in the scene. One
//! scene is broken on purpose, and must be found out.
//!
//! For each scene a line tells how many distinct instructions were interrupted, and a hash of their
//! addresses. Started with the argument `trace`, the program runs each operation once and undisturbed,
//! for whoever watches its execution to find out which instructions those should have been.
#![no_std]
#![no_main]

mod channels;
mod claims;
mod kinds;
mod memory;
mod scene;
mod seeded;
mod tasks;

use cortex_m_rt::entry;
use harness::println;
use harness::semihosting::{argument_is, exit};
use lm3s6965evb as _;
use systick::InstructionCounter;

#[entry]
fn main() -> ! {
    let tables = [
        channels::SCENES,
        claims::SCENES,
        kinds::SCENES,
        memory::SCENES,
        tasks::SCENES,
        seeded::SCENES,
    ];
    let scenes = tables.into_iter().flatten();
    if argument_is("trace") {
        for scene in scenes {
            scene.trace();
        }
        println!("1 passed, 0 failed");
        exit(true);
    }

    let core = cortex_m::Peripherals::take().expect("nothing took the peripherals before");
    let mut counter = InstructionCounter::of_this_machine(core.SYST);
    counter.check().expect("the counter counts code of known length");
    let (mut passed, mut failed) = (0, 0);
    for scene in scenes {
        if scene.sweep(&mut counter) {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    println!("{passed} passed, {failed} failed");
    exit(passed > 0 && failed == 0)
}
