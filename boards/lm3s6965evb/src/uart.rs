//! The three serial ports: Arm PL011s.
//!
//! Each port is a `static`, and every method takes `&self`: a method is one access to one register
//! (except for [`Uart::init`]), so a program and its interrupt handlers may share a port. What they must
//! agree on is who reads and who writes, or bytes end up in the wrong hands, though never torn.

use cortex_m::peripheral::NVIC;

use crate::Interrupt;

/// The first serial port, on pins A0 and A1.
pub static UART0: Uart =
    Uart::at(0x4000_C000, Interrupt::UART0, 0, Pins::at(0x4000_4000, 0, 0b0011));
/// The second serial port, on pins D2 and D3.
pub static UART1: Uart =
    Uart::at(0x4000_D000, Interrupt::UART1, 1, Pins::at(0x4000_7000, 3, 0b1100));
/// The third serial port, on pins G0 and G1.
pub static UART2: Uart =
    Uart::at(0x4000_E000, Interrupt::UART2, 2, Pins::at(0x4002_6000, 6, 0b0011));

/// The chip runs from its 12 MHz oscillator until somebody sets up the PLL, which nothing here does.
const CLOCK_HZ: u32 = 12_000_000;

/// When the receive interrupt is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// At every byte: there is no queue, and a byte that is not read in time is overwritten.
    EachByte,
    /// When two bytes wait in the queue of 16, or when one has waited for as long as three would take.
    /// A handler reads until [`Uart::try_read`] returns `None`, or the interrupt may never come again.
    Queued,
}

/// A serial port.
pub struct Uart {
    base: usize,
    interrupt: Interrupt,
    /// The port's bit in the register that switches clocks of serial ports on.
    clock_bit: u32,
    pins: Pins,
}

/// The pins of a serial port.
struct Pins {
    base: usize,
    clock_bit: u32,
    mask: u32,
}

impl Pins {
    const fn at(base: usize, clock_bit: u32, mask: u32) -> Self {
        Self { base, clock_bit, mask }
    }
}

impl Uart {
    const fn at(base: usize, interrupt: Interrupt, clock_bit: u32, pins: Pins) -> Self {
        Self { base, interrupt, clock_bit, pins }
    }

    /// Switches the port on: `baud` bits a second, 8 data bits, no parity, one stop bit. Its interrupt
    /// stays off until [`enable_receive_interrupt`](Self::enable_receive_interrupt).
    ///
    /// Bytes that arrived earlier are thrown away. A sender that must not lose any waits until the
    /// program has said that it is ready.
    pub fn init(&self, baud: u32, receive: Receive) {
        // The clock registers are shared by all ports.
        critical_section::with(|_| {
            set_bits(system::CLOCK_GATE_1, 1 << self.clock_bit);
            set_bits(system::CLOCK_GATE_2, 1 << self.pins.clock_bit);
            set_bits(self.pins.base + pin::ALTERNATE_FUNCTION, self.pins.mask);
            set_bits(self.pins.base + pin::DIGITAL_ENABLE, self.pins.mask);
        });

        // The divisor counts 64ths of a clock of 16 ticks to the bit.
        let divisor = (CLOCK_HZ * 4 + baud / 2) / baud;
        self.write_register(register::CONTROL, 0);
        self.write_register(register::BAUD_INTEGER, divisor / 64);
        self.write_register(register::BAUD_FRACTION, divisor % 64);
        // Writing the line control is also what makes the divisor take effect.
        let queue = match receive {
            Receive::EachByte => 0,
            Receive::Queued => line::QUEUES,
        };
        self.write_register(register::LINE_CONTROL, line::EIGHT_BITS | queue);
        self.write_register(register::QUEUE_LEVELS, 0);
        self.write_register(register::INTERRUPT_MASK, 0);
        self.write_register(register::INTERRUPT_CLEAR, !0);
        self.write_register(
            register::CONTROL,
            control::ENABLE | control::TRANSMIT | control::RECEIVE,
        );

        // Interrupts went first and bytes go second: a byte that comes in between is thrown away with its
        // interrupt, and one that comes later raises its own.
        while self.try_read().is_some() {}
    }

    /// The next byte received, if there is one.
    pub fn try_read(&self) -> Option<u8> {
        if self.read_register(register::FLAGS) & flag::RECEIVE_EMPTY != 0 {
            return None;
        }
        Some(self.read_register(register::DATA) as u8)
    }

    /// Whether a byte written now would be lost.
    pub fn is_transmit_full(&self) -> bool {
        self.read_register(register::FLAGS) & flag::TRANSMIT_FULL != 0
    }

    /// Sends `byte`, or returns `false` if the port cannot take it yet.
    pub fn try_write(&self, byte: u8) -> bool {
        let free = !self.is_transmit_full();
        if free {
            self.write_register(register::DATA, u32::from(byte));
        }
        free
    }

    /// Sends `byte`, after waiting until the port can take it.
    pub fn write(&self, byte: u8) {
        while !self.try_write(byte) {}
    }

    /// Whether everything written has left the port.
    pub fn is_idle(&self) -> bool {
        self.read_register(register::FLAGS) & flag::BUSY == 0
    }

    /// The interrupt that the port raises.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt
    }

    /// Lets received bytes raise the port's interrupt, for which the program must have a handler.
    pub fn enable_receive_interrupt(&self) {
        self.write_register(
            register::INTERRUPT_MASK,
            interrupt::RECEIVE | interrupt::RECEIVE_TIMEOUT,
        );
        // SAFETY: unmasking breaks critical sections built on masking this very interrupt. Critical
        // sections here mask all interrupts at once.
        unsafe { NVIC::unmask(self.interrupt) };
    }

    /// Keeps received bytes from raising the port's interrupt. They stay in the port.
    pub fn disable_receive_interrupt(&self) {
        self.write_register(register::INTERRUPT_MASK, 0);
    }

    /// Takes back a receive interrupt. Reading the bytes does it too. A handler that calls this must do
    /// so *before* it reads, or it takes back the interrupt of a byte that came in between.
    pub fn clear_receive_interrupt(&self) {
        self.write_register(
            register::INTERRUPT_CLEAR,
            interrupt::RECEIVE | interrupt::RECEIVE_TIMEOUT,
        );
    }

    fn read_register(&self, offset: usize) -> u32 {
        read(self.base + offset)
    }

    fn write_register(&self, offset: usize, value: u32) {
        write(self.base + offset, value);
    }
}

fn read(address: usize) -> u32 {
    // SAFETY: every address this module passes is a device register from the chip's data sheet, aligned
    // and readable at any time. None of them overlaps memory that Rust knows of.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: usize, value: u32) {
    // SAFETY: as for reading. Writing these registers moves bytes through pins and raises interrupts, but
    // does not touch memory.
    unsafe { (address as *mut u32).write_volatile(value) };
}

fn set_bits(address: usize, bits: u32) {
    write(address, read(address) | bits);
}

/// Registers of the system control, by address.
mod system {
    pub const CLOCK_GATE_1: usize = 0x400F_E104;
    pub const CLOCK_GATE_2: usize = 0x400F_E108;
}

/// Registers of a group of pins, by offset.
mod pin {
    pub const ALTERNATE_FUNCTION: usize = 0x420;
    pub const DIGITAL_ENABLE: usize = 0x51C;
}

/// Registers of a serial port, by offset.
mod register {
    pub const DATA: usize = 0x00;
    pub const FLAGS: usize = 0x18;
    pub const BAUD_INTEGER: usize = 0x24;
    pub const BAUD_FRACTION: usize = 0x28;
    pub const LINE_CONTROL: usize = 0x2C;
    pub const CONTROL: usize = 0x30;
    pub const QUEUE_LEVELS: usize = 0x34;
    pub const INTERRUPT_MASK: usize = 0x38;
    pub const INTERRUPT_CLEAR: usize = 0x44;
}

/// Bits of the flag register.
mod flag {
    pub const BUSY: u32 = 1 << 3;
    pub const RECEIVE_EMPTY: u32 = 1 << 4;
    pub const TRANSMIT_FULL: u32 = 1 << 5;
}

/// Bits of the line control register.
mod line {
    pub const QUEUES: u32 = 1 << 4;
    pub const EIGHT_BITS: u32 = 0b11 << 5;
}

/// Bits of the control register.
mod control {
    pub const ENABLE: u32 = 1 << 0;
    pub const TRANSMIT: u32 = 1 << 8;
    pub const RECEIVE: u32 = 1 << 9;
}

/// Bits of the interrupt registers.
mod interrupt {
    pub const RECEIVE: u32 = 1 << 4;
    pub const RECEIVE_TIMEOUT: u32 = 1 << 6;
}
