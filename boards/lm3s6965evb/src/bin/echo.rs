//! Sends every byte that arrives at the first serial port out at the second: by interrupt, with the
//! main program asleep. It never ends. A line feed at the second port says that it is ready.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use harness as _;
use lm3s6965evb::interrupt;
use lm3s6965evb::uart::{Receive, UART0, UART1};

#[entry]
fn main() -> ! {
    UART1.init(115_200, Receive::Queued);
    UART0.init(115_200, Receive::Queued);
    UART0.enable_receive_interrupt();
    UART1.write(b'\n');
    loop {
        cortex_m::asm::wfi();
    }
}

#[interrupt]
fn UART0() {
    while let Some(byte) = UART0.try_read() {
        UART1.write(byte);
    }
}
