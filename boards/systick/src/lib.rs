//! Counts instructions, and interrupts at a chosen one, with the core's own SysTick timer.
//!
//! Under QEMU's `-icount shift=N` virtual time advances by 2^N ns with every instruction, whatever the
//! machine that runs QEMU is busy with. SysTick follows virtual time, so it counts instructions, and two
//! runs of the same binary agree to the last one. Where a tick is shorter than a quarter of an
//! instruction, rounding hides the ticks' unknown phase and the count is exact.
//!
//! Instructions are not cycles: a division counts as one.
#![no_std]

mod machine;

use core::arch::asm;
use core::fmt;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};

/// SysTick is 24 bits wide.
const RANGE: u32 = 1 << 24;

/// How SysTick and `-icount` relate on a machine.
#[derive(Clone, Copy)]
pub struct Rate {
    /// Virtual time an instruction takes: 2^N for `-icount shift=N`.
    pub instruction_ns: u32,
    /// The core's clock, in ticks a second of virtual time: more than four to an instruction.
    pub clock_hz: u32,
}

impl Rate {
    const SECOND_NS: u64 = 1_000_000_000;

    fn instructions(self, ticks: u32) -> u32 {
        let time = u64::from(ticks) * Self::SECOND_NS;
        let instruction = u64::from(self.instruction_ns) * u64::from(self.clock_hz);
        ((time + instruction / 2) / instruction) as u32
    }

    fn ticks(self, instructions: u32) -> u32 {
        let time = u64::from(instructions) * u64::from(self.instruction_ns);
        (time * u64::from(self.clock_hz)).div_ceil(Self::SECOND_NS) as u32
    }
}

/// SysTick as an instruction counter.
pub struct InstructionCounter {
    syst: SYST,
    rate: Rate,
}

impl InstructionCounter {
    /// Takes over SysTick.
    pub fn new(mut syst: SYST, rate: Rate) -> Self {
        syst.disable_counter();
        syst.disable_interrupt();
        syst.set_clock_source(SystClkSource::Core);
        Self { syst, rate }
    }

    /// The instructions that `operation` executes, without those of calling it and of returning.
    ///
    /// `operation` is called through a pointer, so the compiler can neither move parts of it out of the
    /// measured stretch nor parts of its surroundings in. Its captures are read through that pointer:
    /// a static costs less than a captured reference, as it would anywhere else. It must take less
    /// than SysTick's range: with 10 ticks to an instruction, 1.6 million.
    pub fn measure(&mut self, operation: &mut dyn FnMut()) -> u32 {
        let empty = self.ticks_during(&mut || ());
        let whole = self.ticks_during(operation);
        self.rate.instructions(whole - empty)
    }

    /// How many instructions `ticks` of SysTick are.
    pub fn instructions(&self, ticks: u32) -> u32 {
        self.rate.instructions(ticks)
    }

    /// Raises the SysTick exception after about `instructions` from the return of this call, once: the
    /// handler must call [`disarm`]. Sweeping `instructions` over an operation's length interrupts it
    /// at each of its instructions in turn.
    pub fn arm(&mut self, instructions: u32) {
        // A reload of zero would stop the timer rather than fire at once.
        let ticks = self.rate.ticks(instructions).clamp(1, RANGE - 1);
        self.syst.disable_counter();
        self.syst.set_reload(ticks);
        self.syst.clear_current();
        self.syst.enable_interrupt();
        self.syst.enable_counter();
    }

    /// Checks the counter against code of known length.
    pub fn check(&mut self) -> Result<(), Miscount> {
        // SAFETY: `nop` does nothing.
        let straight = self.measure(&mut || unsafe {
            asm!(
                "nop; nop; nop; nop; nop; nop; nop; nop; nop; nop",
                options(nomem, nostack, preserves_flags)
            );
        });
        // SAFETY: counts the named register down to zero. It touches nothing else but the flags, which
        // assembly may change by default.
        let looped = self.measure(&mut || unsafe {
            asm!("movs r0, #100", "2: subs r0, r0, #1", "bne 2b", out("r0") _, options(nomem, nostack));
        });
        for (expected, counted) in [(10, straight), (1 + 2 * 100, looped)] {
            if counted != expected {
                return Err(Miscount { expected, counted });
            }
        }
        Ok(())
    }

    /// Never inlined: the empty operation and the measured one must run the very same code around them.
    #[inline(never)]
    fn ticks_during(&mut self, operation: &mut dyn FnMut()) -> u32 {
        self.syst.disable_counter();
        self.syst.disable_interrupt();
        self.syst.set_reload(RANGE - 1);
        self.syst.clear_current();
        self.syst.enable_counter();
        let start = SYST::get_current();
        operation();
        let end = SYST::get_current();
        // SysTick counts down and wraps within its 24 bits.
        start.wrapping_sub(end) % RANGE
    }
}

/// Stops SysTick and takes back an exception of its that is pending. For the SysTick handler, and for
/// an operation that was over before its interrupt was due.
pub fn disarm() {
    const CONTROL_AND_STATUS: *mut u32 = 0xE000_E010 as *mut u32;
    // SAFETY: the address is SysTick's control register on every Cortex-M. The only other place that
    // writes it is the counter, which writes whole settings: whichever comes last holds, and stopping
    // the timer is what the caller asks for.
    unsafe { CONTROL_AND_STATUS.write_volatile(0) };
    SCB::clear_pendst();
}

/// The counter disagrees with code of known length.
#[derive(Debug)]
pub struct Miscount {
    expected: u32,
    counted: u32,
}

impl fmt::Display for Miscount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, counted } = self;
        write!(f, "{expected} instructions counted as {counted}")
    }
}
