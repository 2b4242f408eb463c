//! What the `std` feature adds: a clock, a lock that parks, `block_on` and blocking calls, channels for servers (also
//! under the names of crossbeam-channel), streams of bytes, arenas over mapped memory, and a [`runtime`] of worker
//! threads; with the `monitor` feature reports of what goes on in a process.

mod block_on;
pub mod blocking;
mod byte_stream;
#[cfg(feature = "bytes")]
mod bytes;
mod calls;
pub mod channel;
mod clock;
#[cfg(all(feature = "wal", unix))]
pub mod journal;
#[cfg(not(loom))]
mod lock;
mod mapped;
#[cfg(loom)]
mod modelled;
mod park;
mod processors;
#[cfg(feature = "monitor")]
pub mod report;
pub mod runtime;
mod share;
#[cfg(all(feature = "spill-std", unix, not(loom)))]
pub mod spill;

pub use block_on::{block_on, block_on_by, block_on_until};
pub use byte_stream::{PipeReader, PipeWriter, pipe};
pub use calls::block_on_for;
pub use clock::StdClock;
#[cfg(not(loom))]
pub use lock::StdRawMutex;
pub use mapped::{Backing, MapError, MappedArena};
#[cfg(loom)]
pub use modelled::StdRawMutex;
pub use share::ArcShare;
