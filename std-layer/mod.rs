//! What the `std` feature adds: a clock, a lock that parks, `block_on`, and arenas over mapped memory.

mod block_on;
mod clock;
mod lock;
mod mapped;

pub use block_on::{block_on, block_on_until};
pub use clock::StdClock;
pub use lock::StdRawMutex;
pub use mapped::{MapError, MappedArena};
