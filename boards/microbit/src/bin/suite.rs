//! The test suite on a Cortex-M0.
#![no_std]
#![no_main]

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    harness::run(TESTS.iter().copied())
}

type Test = (&'static str, fn() -> Result<(), &'static str>);

const TESTS: &[Test] = &[("critical_section_nests", critical_section_nests)];

fn critical_section_nests() -> Result<(), &'static str> {
    use cortex_m::register::primask;

    critical_section::with(|_| {
        critical_section::with(|_| ());
        if primask::read().is_active() {
            return Err("an inner critical section ended the outer one");
        }
        Ok(())
    })?;
    if primask::read().is_inactive() {
        return Err("the critical section did not end");
    }
    Ok(())
}
