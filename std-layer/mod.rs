//! What the `std` feature adds: a clock, a lock that parks, `block_on` and blocking calls, and arenas over
//! mapped memory; with the `monitor` feature reports of what goes on in a process.

mod block_on;
mod blocking;
mod clock;
mod lock;
mod mapped;
#[cfg(feature = "monitor")]
pub mod report;
mod share;

pub use block_on::{block_on, block_on_by, block_on_until};
pub use blocking::block_on_for;
pub use clock::StdClock;
pub use lock::StdRawMutex;
pub use mapped::{MapError, MappedArena};
pub use share::ArcShare;
