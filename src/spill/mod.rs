//! Channels whose messages leave the arena for a slower memory when that fills up.
//!
//! A [`SpillBytes`] is a channel of messages as [`Bytes`](crate::channel::Bytes) is. From a [high mark](Watermarks) of its arena on,
//! until that is below the low one, what is sent goes to a [`SpillTarget`] instead: PSRAM, external flash, shared memory, a file. It is
//! received as a [`Message`]: a lease, or the bytes where the target has them, or, if it cannot lend those, a copy in the arena again.
//! So a queue may hold many times what the arena does; a slow consumer slows nobody down before the target is full, too.
//!
//! * Only payloads move. Order, waiting, closing are those of the one queue, whose places hold a payload or an extent.
//! * The *tail* goes out, as it will be received last; [`step`](SpillBytes::step) moves out what already waits, and the first few back.
//! * Nothing is dropped. A target that is full or fails leaves the message in the arena; if that is full, too, senders wait.
//! * No wrong byte: a message whose bytes are not those that were sent is reported as [`Lost`](SpillRecvError::Lost), freed, and the
//!   channel goes on.
//!
//! Two things to know. What is spilled is *not durable*: nobody finds it after a crash (for that there is the `journal` feature). And shared
//! memory, `/dev/shm` and `tmpfs` are RAM: to spill there lets a small fixed arena overflow into memory that is taken when it is needed, but
//! does not relieve the machine; a file on a disk does.
//!
//! | to | see |
//! |---|---|
//! | make a channel, send, receive | [`SpillBytes`] |
//! | say when, and which | [`Watermarks`], [`Policy`] |
//! | spill to memory that has an address | [`MemoryTarget`] |
//! | spill to a device | [`SpillTarget`], [`Extents`] |
//! | spill to one, then another | [`Chain`] |
//! | spill to shared memory, or a file | `std_layer::spill`, with the `spill-std` feature |
//! | see what is out | [`SpillBytes::spilled`], [`Spill::snapshot`] |

mod chain;
mod channel;
pub(crate) mod counting;
mod error;
mod extents;
mod landing;
mod marks;
mod memory;
mod message;
mod place;
mod receive;
mod recv;
mod send;
mod side;
mod slot;
mod step;
mod tally;
mod target;

pub use chain::Chain;
pub use channel::SpillBytes;
pub use error::{SpillRecvError, SpillSendError, TrySpillRecvError, TrySpillSendError};
pub use extents::{Class, Extents, Word};
pub use marks::{Policy, Watermarks};
pub use memory::MemoryTarget;
pub use message::Message;
pub use place::Spill;
pub use recv::SpillRecv;
pub use send::SpillSend;
pub use slot::Slot;
pub use step::Stepped;
pub use target::{SpillError, SpillTarget};

pub use crate::channel::SpillSnapshot;
