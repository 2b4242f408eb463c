//! The journal in files: a write-ahead log for threads, on Unix.
//!
//! A [`Journal`] is a directory of segments. [`Log::send`] keeps a message, [`Log::ack`] forgets it; what was sent and not
//! acknowledged is there again when the directory is opened after a crash, of whatever kind: [`Log::pending`],
//! [`Log::read`]. How much of it depends on the [`Level`] of each send; `DURABILITY.md` has the table.
//!
//! Threads that wait for a sync at the same time share it. Space is bounded by [`Options`]: what lives in the oldest segment is
//! copied forward, and its file used again. After an error of a write or a sync nothing is written any more
//! ([`LogError::Failed`]), as nobody knows what is on the disk; the log is then to be opened anew.
//!
//! A [`Log`] can be the journal behind a [`durable::Queue`](crate::durable::Queue), which numbers messages, delivers them from an arena, and
//! again if they are not acknowledged:
//!
//! ```
//! use cloakroom::durable::Queue;
//! use cloakroom::std_layer::block_on;
//! use cloakroom::std_layer::journal::{Journal, Level, Options};
//! use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
//!
//! static ARENA: Arena<Lock, 64, 64, 32> = Arena::new();
//! # let place = std::env::temp_dir().join(format!("cloakroom-queue-{}", std::process::id()));
//!
//! let (log, _report) = Journal::open(&place, Options::default())?;
//! let orders = Queue::<_, _, 8, 4>::new(ARENA.handle(), &*log, 1, Level::Sync);
//! block_on(orders.send(ARENA.try_alloc_from(b"one coffee")?.try_into_mut().map_err(|_| "shared")?))?;
//! let delivery = block_on(orders.recv())?;
//! assert_eq!(&*delivery, b"one coffee");
//! drop(delivery); // … and nobody has said that it is done with:
//! # drop(log);
//!
//! let (log, _report) = Journal::open(&place, Options::default())?;
//! let orders = Queue::<_, _, 8, 4>::new(ARENA.handle(), &*log, 1, Level::Sync);
//! let delivery = block_on(orders.recv())?;
//! assert!(delivery.may_be_again());
//! assert_eq!(&*delivery.ack()?, b"one coffee");
//! assert!(orders.try_recv().is_err());
//! # drop(log);
//! # std::fs::remove_dir_all(place)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to learn about | read |
//! |---|---|
//! | the format, and recovery | [`cloakroom::journal`](crate::journal) |
//! | opening | `open.rs` |
//! | who writes and who syncs | `commit.rs`, who shares a sync `rounds.rs` |
//! | sending from a future | `keeping.rs`, who waits `waiters.rs` |
//! | the next segment | `slots.rs` |
//! | bounded space | `collect.rs` |
//! | what is asked of a file system | `files.rs`; the real one `directory.rs` |

mod collect;
mod commit;
mod directory;
mod error;
mod files;
mod helper;
mod keep;
mod keeping;
mod log;
mod open;
mod options;
mod rounds;
mod slots;
mod stage;
mod state;
mod sync;
mod waiters;

pub use crate::journal::{CLOSED, Damage, DamageKind, Live, OpenPolicy, Position, RecoveryReport};
pub use directory::Directory;
pub use error::{LogError, OpenError, ReadError};
pub use files::{LogFile, LogFiles};
pub use helper::Journal;
pub use keep::KeepError;
pub use log::{Log, Message};
pub use options::{Level, Options};
