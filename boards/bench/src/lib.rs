//! The bench: what operations cost, counted under QEMU's `-icount` and printed a figure a line.
//!
//! A program begins with [`Bench::start`], which checks the counter, measures, and closes with
//! [`Bench::finish`]. `cargo xtask bench mcu` reads the lines
//!
//! ```text
//! | whose | what | figure | unit |
//! ```
#![no_std]

mod masked;
pub mod payload;

use harness::println;
use harness::semihosting::exit;
use systick::InstructionCounter;

/// A checked counter, and whose operations it counts.
pub struct Bench {
    counter: InstructionCounter,
    whose: &'static str,
    /// What an interrupt takes until it is handled in code without critical sections, in ticks.
    undisturbed: u32,
}

impl Bench {
    /// Checks the counter against code of known length. Figures from a counter that is off are worse than
    /// none: it ends the program then.
    pub fn start(whose: &'static str) -> Self {
        let core = cortex_m::Peripherals::take().expect("nothing took the peripherals before");
        let mut counter = InstructionCounter::of_this_machine(core.SYST);
        counter.check().expect("the counter counts code of known length");
        masked::check_sweep(&mut counter);
        let undisturbed = masked::worst(&mut counter, &mut || cortex_m::asm::delay(50));
        let mut bench = Self { counter, whose, undisturbed };
        masked::check_length(&mut bench);
        bench
    }

    /// What follows is `whose`.
    pub fn of(&mut self, whose: &'static str) {
        self.whose = whose;
    }

    /// Counts the instructions of an operation.
    pub fn operation(&mut self, what: &str, code: &mut dyn FnMut()) {
        // What is done once, at the first use, is not a cost of the operation.
        code();
        self.next_operation(what, code);
    }

    /// Counts the instructions of an operation that cannot be done twice from the same state.
    pub fn next_operation(&mut self, what: &str, code: &mut dyn FnMut()) {
        self.part_of_operation(what, 1, code);
    }

    /// Counts the instructions of one of the `parts` of an operation, rounded up.
    pub fn part_of_operation(&mut self, what: &str, parts: u32, code: &mut dyn FnMut()) {
        let whole = self.counter.measure(code);
        self.print(what, whole.div_ceil(parts), "instructions");
    }

    /// Counts how long an interrupt waits, at worst, in the middle of an operation. Returns the figure.
    pub fn masked(&mut self, what: &str, code: &mut dyn FnMut()) -> u32 {
        let instructions = self.masked_instructions(code);
        self.print_masked(what, instructions);
        instructions
    }

    /// Prints a figure that [`masked`](Self::masked) has counted.
    pub fn print_masked(&self, what: &str, instructions: u32) {
        self.print(what, instructions, "masked");
    }

    /// Prints how many bytes of RAM something takes.
    pub fn bytes(&self, what: &str, bytes: usize) {
        self.print(what, bytes as u32, "bytes");
    }

    /// Ends the program, with success.
    pub fn finish(self) -> ! {
        println!("1 passed, 0 failed");
        exit(true)
    }

    fn masked_instructions(&mut self, code: &mut dyn FnMut()) -> u32 {
        let ticks = masked::worst(&mut self.counter, code);
        self.counter.instructions(ticks.saturating_sub(self.undisturbed))
    }

    fn print(&self, what: &str, figure: u32, unit: &str) {
        println!("| {} | {what} | {figure} | {unit} |", self.whose);
    }
}
