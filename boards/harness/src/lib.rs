//! What the firmware binaries under QEMU share.
//!
//! A binary prints through [`println!`] and runs its tests with [`run`], or ends on its own with
//! [`exit`](semihosting::exit): QEMU then ends with the same verdict. A panic or a fault ends it as a
//! failure.
//!
//! Firmware whose size is measured does *not* use this crate: its fault handlers print, and printing
//! costs flash.
#![no_std]

mod fault;
mod runner;
pub mod semihosting;

pub use runner::run;
