//! The longest critical section: how late an interrupt is taken, at worst, in the middle of an operation.
//!
//! The interrupt is made due at each instruction of the operation in turn. SysTick goes on counting from
//! its reload value when it is due, so the handler reads how long ago that was. What it takes the core and
//! the handler to get there is known from code without critical sections, and taken off.

use core::arch::asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cortex_m::peripheral::SYST;
use cortex_m_rt::exception;
use systick::InstructionCounter;

use crate::Bench;

/// Instructions to run before the operation: more than any critical section has, so that the counter does
/// not come round twice while an interrupt waits.
const LEAD: u32 = 1_000;

static STEP: AtomicU32 = AtomicU32::new(0);
static INTERRUPTED_AT: AtomicU32 = AtomicU32::new(NEVER);
/// How far the counter had come from its reload value when the handler looked.
static COUNTED: AtomicU32 = AtomicU32::new(0);
const NEVER: u32 = u32::MAX;

#[exception]
fn SysTick() {
    let counted = SYST::get_current();
    let reload = SYST::get_reload();
    systick::disarm();
    COUNTED.store(reload - counted, Relaxed);
    INTERRUPTED_AT.store(STEP.load(Relaxed), Relaxed);
}

/// Interrupts a stretch of code after one more instruction each time: the interrupt must visit every
/// step of it, in order.
pub fn check_sweep(counter: &mut InstructionCounter) {
    const STEPS: u32 = 20;
    let mut last = 0;
    for instructions in 1..1_000 {
        STEP.store(0, Relaxed);
        INTERRUPTED_AT.store(NEVER, Relaxed);
        counter.arm(instructions);
        for step in 1..=STEPS {
            STEP.store(black_box(step), Relaxed);
        }
        systick::disarm();

        let step = INTERRUPTED_AT.load(Relaxed);
        if step == NEVER {
            assert_eq!(last, STEPS, "the last step that an interrupt visited");
            return;
        }
        assert!(step == last || step == last + 1, "the interrupt went from step {last} to {step}");
        last = step;
    }
    panic!("the interrupt always came, even long after the code's end");
}

/// The longest time, in ticks, from an interrupt's being due to its being handled.
pub fn worst(counter: &mut InstructionCounter, operation: &mut dyn FnMut()) -> u32 {
    let mut worst = 0;
    operation();
    for instructions in 0.. {
        STEP.store(0, Relaxed);
        INTERRUPTED_AT.store(NEVER, Relaxed);
        counter.arm(LEAD + instructions);
        // Two instructions a round, so that the operation begins a little before the first interrupt.
        cortex_m::asm::delay(LEAD);
        operation();
        STEP.store(1, Relaxed);
        systick::disarm();
        match INTERRUPTED_AT.load(Relaxed) {
            0 => worst = worst.max(COUNTED.load(Relaxed)),
            _ => break,
        }
    }
    worst
}

/// Measures a critical section of known length.
///
/// # Panics
///
/// If it is found to have another.
pub fn check_length(bench: &mut Bench) {
    // SAFETY: counts the named register down to zero. It touches nothing else but the flags, which assembly may
    // change by default, and the mask, which is clear as ever outside of critical sections when it ends.
    let counted = bench.masked_instructions(&mut || unsafe {
        asm!("cpsid i", "movs r0, #100", "2: subs r0, r0, #1", "bne 2b", "cpsie i", out("r0") _, options(nostack));
    });
    // At worst the interrupt is due when the first of them is about to run. It waits for the one that ends the
    // section, too.
    assert_eq!(counted, (1 + 2 * 100) + 1, "instructions in a critical section of known length");
}
