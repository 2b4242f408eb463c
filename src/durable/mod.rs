//! Queues whose messages survive a crash, and are delivered until somebody says that they are done with.
//!
//! A [`Queue`] is a channel of messages in an arena with a [`Journal`](crate::journal::Journal) behind it. A message is kept there
//! before it is sent. Whoever receives it holds a [`Delivery`] and says [`ack`](Delivery::ack): then it is forgotten. If they do
//! not ([`nack`](Delivery::nack), dropped, too slow, a crash), it is delivered again: *at least once*. After so many attempts
//! it can go to [`DeadLetters`].
//!
//! ```text
//!            keep, then send              receive                      ack: forget
//!   caller ───────────────────► sent ──────────────► row: out ─────────────────────► gone
//!                                 ▲                    │   ▲                           ▲
//!   journal ── next_pending ──────┼─── after a crash ──┘   │ receive                   │
//!                                 │      nack, drop, late  ▼                           │
//!                                 │                  row: returned ── too often ── dead letters
//! ```
//!
//! Each message that is out has a *row*, so a queue says how many may be out at once, and needs no memory beyond itself. Rows'
//! numbers wait in two channels, one of those that are free and one of those that were returned, so waiting for a row, for what
//! came back and for what is new is waiting for channels, with their order and their cancel safety.
//!
//! How often a message was delivered is noted down in the journal before it is delivered again, so dead letters are dead after a
//! crash, too.
//!
//! Who sends again what may have been sent before (an answer that never came, a crash) gives it a *key*: a second message with a key
//! that is remembered is acknowledged, and not sent ([`Queue::send_once`]).
//!
//! | state of a row | who has its number | its payload |
//! |---|---|---|
//! | free | `spare`, or a receiver that looks for a message | none |
//! | out | the delivery | a share at rest, for another attempt |
//! | returned | `returned` | that share |

mod delivery;
mod error;
mod queue;
mod receive;
mod rows;
mod send;
mod sending;

pub use delivery::{DeadLetters, Delivery};
pub use error::{AckError, Lost, LostWhy, RecvError, SendError, TryRecvError, TrySendError};
pub use queue::{Queue, QueueSnapshot};
pub use send::{Permit, Sent};
