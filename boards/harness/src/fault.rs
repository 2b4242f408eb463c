//! What happens when firmware goes wrong: say where, and end the run as a failure.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

use crate::println;
use crate::runner::running;
use crate::semihosting::exit;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("FAILED {}: {info}", running());
    exit(false)
}

// SAFETY: the handler never returns, so it relies on nothing of the state the fault left behind. It uses
// the stack it was entered on: where that is the cause, the core locks up and QEMU ends with an error.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    println!("FAILED {}: HardFault, {frame:?}", running());
    exit(false)
}

// SAFETY: as above. No test leaves an interrupt enabled that has no handler of its own, so one that
// arrives here is a bug in the firmware.
#[exception]
unsafe fn DefaultHandler(interrupt: i16) {
    println!("FAILED {}: unexpected interrupt {interrupt}", running());
    exit(false)
}
