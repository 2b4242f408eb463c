//! Instructions per operation, as a table. For QEMU with `-icount shift=5`.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m_rt::{entry, exception};
use harness::println;
use harness::semihosting::exit;
use lm3s6965evb::counting;
use systick::InstructionCounter;

#[entry]
fn main() -> ! {
    let core = cortex_m::Peripherals::take().expect("nothing took the peripherals before");
    let mut counter = counting::counter(core.SYST);
    // Figures from a counter that is off are worse than none.
    counter.check().expect("the counter counts code of known length");
    check_sweep(&mut counter);

    let mut row = |operation: &str, code: &mut dyn FnMut()| {
        println!("| {operation} | {} |", counter.measure(code));
    };
    println!("| operation | instructions |");
    println!("|---|---:|");
    row("critical section, empty", &mut || critical_section::with(|_| ()));
    row("copy of 64 bytes", &mut || {
        let source = black_box([0u8; 64]);
        black_box(source);
    });
    println!("2 passed, 0 failed");
    exit(true)
}

/// How far the interrupted code has come, and how far it had come when the interrupt arrived.
static STEP: AtomicU32 = AtomicU32::new(0);
static INTERRUPTED_AT: AtomicU32 = AtomicU32::new(0);

/// Interrupts a stretch of code after one more instruction each time: the interrupt must visit every
/// step of it, in order.
fn check_sweep(counter: &mut InstructionCounter) {
    const STEPS: u32 = 20;
    let mut last = 0;
    for instructions in 1..200 {
        STEP.store(0, Ordering::Relaxed);
        INTERRUPTED_AT.store(u32::MAX, Ordering::Relaxed);
        counter.arm(instructions);
        for step in 1..=STEPS {
            STEP.store(black_box(step), Ordering::Relaxed);
        }
        systick::disarm();

        let step = INTERRUPTED_AT.load(Ordering::Relaxed);
        if step == u32::MAX {
            assert_eq!(last, STEPS, "the last step that an interrupt visited");
            return;
        }
        assert!(step == last || step == last + 1, "the interrupt went from step {last} to {step}");
        last = step;
    }
    panic!("the interrupt always came, even long after the code's end");
}

#[exception]
fn SysTick() {
    systick::disarm();
    INTERRUPTED_AT.store(STEP.load(Ordering::Relaxed), Ordering::Relaxed);
}
