#![doc = "Message passing on a fixed memory budget."]
#![no_std]

#[cfg(feature = "std")]
extern crate std;

pub mod arena;
pub mod error;
pub mod limit;
pub mod sync;

pub use arena::{Arena, ArenaRef, Lease, LeaseMut, Owned, Parcel, Ticket};
pub use error::*;
