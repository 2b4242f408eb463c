//! Message passing on a fixed memory budget, for firmware and servers.
//!
//! Every payload lives in one fixed [`Arena`]. Hand a payload in, get a numbered [`Ticket`]; redeem the
//! ticket once, get the payload back; a stale or forged ticket is refused. When memory is used up
//! nothing fails and nothing is lost: senders wait.
//!
//! * [`arena`]: fixed memory, leases and tickets, quotas, compaction.
//! * [`channel`]: rendezvous, buffered, unlimited, conflated, priority and broadcast channels of values, or of
//!   messages in an arena, all through one state machine.
//! * [`select`](mod@select): waiting for the first of several operations, as a macro, too.
//! * [`kernel`]: a poll loop for futures that live in an arena, with timers and cancellation.
//! * [`limit`]: deadlines and cancellation for everything that waits.
//! * [`sync`]: the locks, as type parameters.
//! * `journal`, with the `journal` feature: a write-ahead log's format, and its recovery over any device; in it, with `flash`, the
//!   log in NOR flash; and `durable`: queues whose messages survive a crash, and are delivered until they are acknowledged.
//! * `spill`, with the `spill` feature: channels whose messages leave the arena for a slower memory when that fills up.
//! * `report`, with the `report` feature: snapshots as framed bytes.
//! * `std_layer`, with the `std` feature: a clock, a lock that parks, `block_on`, mapped arenas, channels for servers;
//!   and `blocking`: channels under the names of crossbeam-channel.
//!
//! The crate is `no_std` and never allocates. Everything that waits is an ordinary future and runs
//! under any executor.
//!
//! ```
//! use cloakroom::channel::{Buffered, Bytes};
//! use cloakroom::sync::CriticalSectionRawMutex as Lock;
//! use cloakroom::Arena;
//!
//! static ARENA: Arena<Lock, 64, 64, 32> = Arena::new();
//! static FRAMES: Bytes<'static, Lock, Buffered<8>> = Bytes::new();
//!
//! async fn produce() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut frame = ARENA.alloc(12).await?; // waits for memory
//!     frame.copy_from_slice(b"no copies!\r\n");
//!     FRAMES.send(frame).await.map_err(|_| "closed")?; // waits for room
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! All are additive.
//!
//! * `std`: the [`std_layer`]; `critical-section` gets its implementation for hosts.
//! * `checksum`: payload checksums by policy, at 4 bytes a descriptor.
//! * `stamps`: time stamps in descriptors, for ages in a dump, at 4 bytes a descriptor.
//! * `correlation`: correlation ids of payloads, at 4 bytes a descriptor.
//! * `histograms`: how long messages were queued in each channel, at 100 bytes (64-bit: 104) a channel and 4 (8) bytes a
//!   slot for messages; includes `stamps`.
//! * `defmt`: `defmt::Format` for snapshots and errors.
//! * `serde`: `Serialize` and `Deserialize` for snapshots.
//! * `report`: snapshots as framed bytes, for any serial line.
//! * `monitor`: reports of a running process, as JSON lines, as Prometheus text, or (on Linux) over a socket.
//! * `journal`: the format of the write-ahead log and its recovery, without a heap.
//! * `flash`: the write-ahead log in NOR flash, in fixed memory, over `embedded-storage`; includes `journal`.
//! * `wal`: the write-ahead log in files, on Unix; includes `std` and `journal`.
//! * `spill`: channels whose messages leave the arena when that fills up, without a heap.
//! * `spill-std`: shared memory and files to spill to, on Unix; includes `std` and `spill`.
//! * `embedded-io-async`: `Read`, `BufRead` and `Write` over a channel of bytes.
//! * `bytes`: a lease as `bytes::Bytes`, without a copy; includes `std`.

#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![warn(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(not(feature = "std"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "std")]
extern crate std;

pub mod arena;
#[cfg(doctest)]
mod bounds;
pub mod channel;
#[cfg(feature = "journal")]
pub mod durable;
pub mod error;
#[cfg(feature = "journal")]
pub mod journal;
pub mod kernel;
pub mod limit;
#[cfg(any(feature = "std", loom))]
mod prefetch;
#[cfg(feature = "report")]
pub mod report;
pub mod select;
#[cfg(all(feature = "spill", not(loom)))]
pub mod spill;
#[cfg(feature = "std")]
#[path = "../std-layer/mod.rs"]
pub mod std_layer;
#[cfg(any(feature = "journal", feature = "spill"))]
mod sum;
pub mod sync;
mod unwind;

#[cfg(feature = "std")]
pub use std_layer::blocking;

pub use arena::{Arena, ArenaRef, Lease, LeaseMut, Owned, Parcel, Parcels, Shared, Ticket};
pub use error::{
    AllocError, AllocTimeoutError, AllocValueError, ClosedError, DepositError, HomeError,
    JoinError, PartlySent, RecvError, RecvTimeoutError, RedeemError, SendError, SendTimeoutError,
    SpawnError, StoppedError, TryAllocError, TryRecvError, TryReserveError, TrySendError,
};
