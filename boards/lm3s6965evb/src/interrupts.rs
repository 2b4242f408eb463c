//! The interrupts a program may handle, and the table that takes them there.
//!
//! A handler is `#[interrupt] fn UART0() { … }` with [`interrupt`] in scope.

// The enum takes the attribute's name as well: the attribute looks its handler's name up in it.
pub use Interrupt as interrupt;
use cortex_m::interrupt::InterruptNumber;
pub use cortex_m_rt::interrupt;

/// An interrupt and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Interrupt {
    /// The first serial port.
    UART0 = 5,
    /// The second serial port.
    UART1 = 6,
    /// The third serial port.
    UART2 = 33,
}

// SAFETY: the numbers are the chip's, distinct, and never change.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

type Handler = unsafe extern "C" fn();

/// The chip has interrupts 0 to 43.
const INTERRUPTS: usize = 44;

// SAFETY: the program defines these with `#[interrupt]`, which gives them this signature, or else the
// linker script makes them the default handler, which takes its argument from the core's state.
unsafe extern "C" {
    fn UART0();
    fn UART1();
    fn UART2();
    fn DefaultHandler();
}

/// The second part of the vector table, after the core's own exceptions.
// SAFETY: the section is the one cortex-m-rt's linker script puts there and the symbol the one it asks
// for. The table holds a valid handler at every index.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [Handler; INTERRUPTS] = {
    let mut table = [DefaultHandler as Handler; INTERRUPTS];
    table[Interrupt::UART0 as usize] = UART0;
    table[Interrupt::UART1 as usize] = UART1;
    table[Interrupt::UART2 as usize] = UART2;
    table
};
