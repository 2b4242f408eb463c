//! Semihosting: asking the debugger, here QEMU, to write text and to end the run.
//!
//! Semihosting needs no device, so every machine prints the same way and its serial lines stay free for
//! the firmware's own traffic. The operations are those of Arm's "Semihosting for AArch32 and AArch64".

use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

const SYS_OPEN: usize = 0x01;
const SYS_WRITE: usize = 0x05;
const SYS_GET_CMDLINE: usize = 0x15;
const SYS_EXIT: usize = 0x18;

/// `SYS_OPEN`'s mode for the C library's "w". On the console's name it means standard output.
const OPEN_FOR_WRITING: usize = 4;

/// Reasons for `SYS_EXIT`. On 32-bit Arm the reason is all it carries: QEMU ends with status 0 for the
/// first and 1 for any other.
const APPLICATION_EXIT: usize = 0x2_0026;
const RUN_TIME_ERROR: usize = 0x2_0023;

/// Prints a line on QEMU's standard output.
#[macro_export]
macro_rules! println {
    ($($arguments:tt)*) => {
        $crate::semihosting::print_line(::core::format_args!($($arguments)*))
    };
}

/// What [`println!`] calls.
pub fn print_line(line: fmt::Arguments<'_>) {
    // A console that cannot be written to leaves nobody to tell. The missing closing line fails the run.
    let _ = Console::open().write_fmt(format_args!("{line}\n"));
}

/// Ends the run. QEMU exits with status 0 if `success` holds, and 1 otherwise.
pub fn exit(success: bool) -> ! {
    let reason = if success { APPLICATION_EXIT } else { RUN_TIME_ERROR };
    // SAFETY: `SYS_EXIT` takes the reason by value and touches no memory of ours.
    unsafe { call(SYS_EXIT, reason) };
    // A debugger may let the core go on after the call. There is nothing left to do.
    loop {
        cortex_m::asm::nop();
    }
}

/// Whether QEMU was started with this one argument for the program (`arg=…` of its semihosting option).
pub fn argument_is(expected: &str) -> bool {
    let mut line = [0u8; 32];
    let mut request = [line.as_mut_ptr() as usize, line.len()];
    // SAFETY: `SYS_GET_CMDLINE` reads a block of two words (buffer, length), writes a zero-terminated text
    // of at most that length into the buffer, and the text's own length into the second word.
    let failed = unsafe { call(SYS_GET_CMDLINE, request.as_mut_ptr() as usize) };
    // The compiler cannot see that the call has written to either.
    let length = core::hint::black_box(&request)[1];
    let line = core::hint::black_box(&line);
    failed == 0 && line.get(..length) == Some(expected.as_bytes())
}

struct Console {
    handle: usize,
}

impl Console {
    fn open() -> Self {
        const UNOPENED: usize = usize::MAX;
        static HANDLE: AtomicUsize = AtomicUsize::new(UNOPENED);

        // Two contexts that race here open the console twice, which is harmless: both handles work.
        let mut handle = HANDLE.load(Ordering::Relaxed);
        if handle == UNOPENED {
            let name = c":tt";
            let request = [name.as_ptr() as usize, OPEN_FOR_WRITING, name.count_bytes()];
            // SAFETY: `SYS_OPEN` reads a block of three words: pointer, mode and length of a
            // zero-terminated name. `request` is that block, and it and the name outlive the call.
            handle = unsafe { call(SYS_OPEN, request.as_ptr() as usize) };
            HANDLE.store(handle, Ordering::Relaxed);
        }
        Self { handle }
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let request = [self.handle, text.as_ptr() as usize, text.len()];
        // SAFETY: `SYS_WRITE` reads a block of three words (handle, pointer, length) and then that many
        // bytes. `request` is that block, `text` those bytes, and both outlive the call.
        let left_over = unsafe { call(SYS_WRITE, request.as_ptr() as usize) };
        if left_over == 0 { Ok(()) } else { Err(fmt::Error) }
    }
}

/// One semihosting call.
///
/// # Safety
///
/// `argument` must be what `operation` expects: for most, the address of a readable block of words.
unsafe fn call(operation: usize, argument: usize) -> usize {
    let result;
    // SAFETY: `bkpt 0xAB` is how a Cortex-M calls its debugger. It takes `r0` and `r1`, returns in `r0`
    // and preserves everything else. It may read memory, so the block is not marked `nomem`; that the
    // memory is readable is the caller's promise.
    unsafe {
        asm!(
            "bkpt 0xAB",
            inlateout("r0") operation => result,
            in("r1") argument,
            options(nostack, preserves_flags),
        );
    }
    result
}
