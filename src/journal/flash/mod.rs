//! The journal in NOR flash: a write-ahead log in memory of the caller's, for one executor.
//!
//! [`FlashLog`] is a [`Journal`](super::Journal) over [`NorSlots`], which are erase blocks of anything that implements
//! `embedded_storage`'s `NorFlash`, or over any other [`LogDevice`](super::LogDevice). It needs no heap: what it needs is in a
//! [`FlashMemory`], which can be a static. Each word of the flash, of up to 64 bytes, is written once between two erases, and no bits are cleared in
//! words that were written, so flash with error correction will do.
//!
//! A message is durable when [`keep`](super::Journal::keep) returns. Acknowledgements are merged in memory, and written when there
//! are as many ranges as there is memory for, on [`sync`](FlashLog::sync), [`close`](FlashLog::close), or at once
//! ([`FlashOptions::ack_at_once`]); a power cut before that brings their messages back. Erases take long: [`maintain`](FlashLog::maintain)
//! makes them when there is nothing else to do, and only if that was not called in time do others make them.
//!
//! | power cut in | what becomes of it |
//! |---|---|
//! | a message's write | it is found, or not: `keep` has not returned |
//! | a segment's header | the slot is erased and begun again |
//! | an erase | the slot holds nothing that is needed, and is erased again |
//! | an opening, at any moment, any number of times | the next opening finds the same messages |
//!
//! ```
//! # mod chip {
//! #     use embedded_storage::nor_flash::*;
//! #     /// A flash in memory.
//! #     pub struct Chip(pub Vec<u8>);
//! #     impl ErrorType for Chip { type Error = NorFlashErrorKind; }
//! #     impl ReadNorFlash for Chip {
//! #         const READ_SIZE: usize = 1;
//! #         fn read(&mut self, at: u32, to: &mut [u8]) -> Result<(), NorFlashErrorKind> {
//! #             to.copy_from_slice(&self.0[at as usize..][..to.len()]);
//! #             Ok(())
//! #         }
//! #         fn capacity(&self) -> usize { self.0.len() }
//! #     }
//! #     impl NorFlash for Chip {
//! #         const WRITE_SIZE: usize = 4;
//! #         const ERASE_SIZE: usize = 4096;
//! #         fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
//! #             self.0[from as usize..to as usize].fill(0xFF);
//! #             Ok(())
//! #         }
//! #         fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
//! #             self.0[at as usize..][..bytes.len()].copy_from_slice(bytes);
//! #             Ok(())
//! #         }
//! #     }
//! # }
//! # let mut chip = chip::Chip(vec![0xFF; 8 * 4096]);
//! use cloakroom::durable::Queue;
//! use cloakroom::journal::flash::{FlashLog, FlashMemory, FlashOptions, NorSlots};
//! use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
//!
//! static ARENA: Arena<Lock, 64, 64, 32> = Arena::new();
//!
//! // 8 slots, for 32 messages; `chip` is the driver's.
//! let mut memory = FlashMemory::<8, 32>::new();
//! {
//!     let slots = NorSlots::new(&mut chip, 0..8 * 4096, 4096)?;
//!     let (log, _report) = FlashLog::open(slots, &mut memory, FlashOptions::default())?;
//!     let orders = Queue::<_, _, 8, 4>::new(ARENA.handle(), &log, 1, ());
//!     let order = ARENA.try_alloc_from(b"one coffee")?;
//!     orders.try_send(order.try_into_mut().map_err(|_| "shared")?)?;
//! } // … and the power fails:
//!
//! let slots = NorSlots::new(&mut chip, 0..8 * 4096, 4096)?;
//! let (log, report) = FlashLog::open(slots, &mut memory, FlashOptions::default())?;
//! assert_eq!(report.pending, 1);
//! let orders = Queue::<_, _, 8, 4>::new(ARENA.handle(), &log, 1, ());
//! let delivery = orders.try_recv().map_err(|_| "nothing")?;
//! assert_eq!(&*delivery.ack()?, b"one coffee");
//! log.sync()?; // does not come again
//! while log.maintain()? {} // when there is time
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to learn about | read |
//! |---|---|
//! | erase blocks as slots | `nor.rs` |
//! | what is written, and when | `tail.rs`, `acks.rs` |
//! | the next segment, bounded space | `space.rs` |
//! | opening | `open.rs` |

mod acks;
mod error;
mod log;
mod memory;
mod nor;
mod open;
mod space;
mod tail;

pub use error::{FlashError, FlashOpenError};
pub use log::FlashLog;
pub use memory::{FlashMemory, FlashOptions};
pub use nor::{NorError, NorSlots};
