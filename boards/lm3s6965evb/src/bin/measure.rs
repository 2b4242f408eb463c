//! Instructions per operation, as a table. For QEMU with `-icount shift=5`.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use harness::println;
use harness::semihosting::exit;
use lm3s6965evb::counting;

#[entry]
fn main() -> ! {
    let core = cortex_m::Peripherals::take().expect("nothing took the peripherals before");
    let mut counter = counting::counter(core.SYST);
    if let Err(miscount) = counter.check() {
        println!("the instruction counter is off: {miscount}");
        println!("0 passed, 1 failed");
        exit(false)
    }

    let mut row = |operation: &str, code: &mut dyn FnMut()| {
        println!("| {operation} | {} |", counter.measure(code));
    };
    println!("| operation | instructions |");
    println!("|---|---:|");
    row("critical section, empty", &mut || {
        critical_section::with(|_| ())
    });
    row("copy of 64 bytes", &mut || {
        let source = black_box([0u8; 64]);
        black_box(source);
    });
    println!("1 passed, 0 failed");
    exit(true)
}
