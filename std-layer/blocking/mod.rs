//! Channels for threads, with the names, the signatures and the meaning of crossbeam-channel: a program that uses it
//! moves over by a change of `use`.
//!
//! ```
//! use cloakroom::blocking as crossbeam_channel;
//!
//! use crossbeam_channel::{bounded, select, tick};
//! # use std::time::Duration;
//!
//! let (sender, receiver) = bounded(4);
//! let worker = std::thread::spawn(move || receiver.iter().count());
//! let ticks = tick(Duration::from_millis(1));
//! for number in 0..8 {
//!     select! {
//!         send(sender, number) -> sent => sent?,
//!         recv(ticks) -> _ => {}
//!     }
//! }
//! drop(sender);
//! assert!(worker.join().unwrap() <= 8);
//! # Ok::<(), crossbeam_channel::SendError<i32>>(())
//! ```
//!
//! Behind the names are the channels of [`std_layer::channel`](super::channel), so all of their guarantees hold:
//! those who wait are served in the order in which they came, and nobody has to win a race. To use a channel from
//! tasks and threads at once, take it from there.
//!
//! # What is different
//!
//! * **[`unbounded`] channels take their memory from one arena of the process**, which holds 1 GiB (64 MiB on a 32-bit
//!   target; half of that, and so on, if the operating system maps no more). It is mapped at the first use, and takes
//!   real memory only as it is used. When it is exhausted the process is not killed: `send` waits until something has
//!   been received, `try_send` says [`Full`](TrySendError::Full). [`unbounded_in`] takes an arena of your own. Memory
//!   is taken in segments of 256 values.
//! * What is in a bounded channel when its last receiver goes is dropped at that moment, as it is in an unbounded one,
//!   and not when the last sender goes. If a value's `Drop` panics the other values are dropped all the same.
//! * A thread that waits is parked at once; nobody spins.
//! * [`Select`] takes up to 65,533 operations. When it first has to wait it allocates each of them, once; `select!` and
//!   `select_biased!` do so whenever they have to wait.
//! * The asynchronous channels' own [`select!`](crate::select!) has another syntax; it stays at the crate's root.

mod case;
mod default_arena;
mod error;
mod handoff;
mod macros;
mod outcome;
mod receiver;
mod select;
mod sender;
mod timer;

pub use error::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError,
    SendTimeoutError, TryReadyError, TryRecvError, TrySelectError, TrySendError,
};
pub use receiver::{IntoIter, Iter, Receiver, TryIter};
#[doc(hidden)]
pub use select::{Among, Listed};
pub use select::{Select, SelectedOperation};
pub use sender::Sender;

#[doc(inline)]
pub use crate::__blocking_select as select;
#[doc(inline)]
pub use crate::__blocking_select_biased as select_biased;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::{self, InArena, Joint};
use super::{MappedArena, StdRawMutex};
use crate::channel::endpoints;
use receiver::Source;
use sender::Target;
use timer::Timer;

/// A channel that holds up to `cap` values; of 0, a rendezvous, where a send waits until its value has been received.
///
/// The memory is allocated here; sending and receiving allocate nothing.
///
/// # Panics
/// When that much memory cannot be addressed.
///
/// ```
/// use cloakroom::blocking::{TrySendError, bounded};
///
/// let (sender, receiver) = bounded(1);
/// sender.send("one")?;
/// assert_eq!(sender.try_send("two"), Err(TrySendError::Full("two")));
/// assert_eq!(receiver.recv(), Ok("one"));
///
/// let (sender, receiver) = bounded(0);
/// std::thread::spawn(move || sender.send("met"));
/// assert_eq!(receiver.recv(), Ok("met"));
/// # Ok::<(), cloakroom::blocking::SendError<&str>>(())
/// ```
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    if cap == 0 {
        let (sender, receiver) = channel::rendezvous();
        return (Sender(Target::Rendezvous(sender)), Receiver(Source::Rendezvous(receiver)));
    }
    let (sender, receiver) = channel::bounded(cap);
    (Sender(Target::Bounded(sender)), Receiver(Source::Bounded(receiver)))
}

/// A channel without a limit of its own. Its memory comes from an arena that all of them share, see the
/// [module](self).
///
/// ```
/// use cloakroom::blocking::unbounded;
///
/// let (sender, receiver) = unbounded();
/// for number in 0..1_000 {
///     sender.send(number)?;
/// }
/// drop(sender);
/// assert!(receiver.iter().eq(0..1_000));
/// # Ok::<(), cloakroom::blocking::SendError<i32>>(())
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    in_arena(InArena::forever(default_arena::default_arena()))
}

/// An unbounded channel over an arena of your own, which it shares.
///
/// ```
/// use std::sync::Arc;
/// use cloakroom::blocking::unbounded_in;
/// use cloakroom::std_layer::MappedArena;
///
/// let budget = Arc::new(MappedArena::new(64 << 10, 1024, 64)?);
/// let (sender, receiver) = unbounded_in(budget);
/// let sent = (0..).take_while(|number| sender.try_send(*number).is_ok()).count();
/// assert_eq!(receiver.try_iter().count(), sent); // full, and nothing was lost
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unbounded_in<T>(arena: Arc<MappedArena<StdRawMutex>>) -> (Sender<T>, Receiver<T>) {
    in_arena(InArena::new(arena))
}

fn in_arena<T>(channel: InArena<T>) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = endpoints(Joint::new(channel));
    (Sender(Target::Unbounded(sender)), Receiver(Source::Unbounded(receiver)))
}

/// A receiver that gets one value, the instant at which it was due, after `duration`.
///
/// ```
/// use std::time::{Duration, Instant};
/// use cloakroom::blocking::after;
///
/// let start = Instant::now();
/// let due = after(Duration::from_millis(5)).recv()?;
/// assert!(due >= start + Duration::from_millis(5));
/// # Ok::<(), cloakroom::blocking::RecvError>(())
/// ```
pub fn after(duration: Duration) -> Receiver<Instant> {
    match Instant::now().checked_add(duration) {
        Some(when) => at(when),
        // Beyond what the clock can tell.
        None => never(),
    }
}

/// A receiver that gets one value, `when`, at that instant.
///
/// ```
/// use std::time::Instant;
/// use cloakroom::blocking::at;
///
/// let now = Instant::now();
/// let receiver = at(now);
/// assert_eq!(receiver.try_recv(), Ok(now));
/// assert!(receiver.try_recv().is_err()); // once
/// ```
pub fn at(when: Instant) -> Receiver<Instant> {
    Receiver(Source::Timer(Arc::new(Timer::new(when, None))))
}

/// A receiver that gets a value every `duration`: the instant at which it was due. If nobody receives it in time, the
/// next is due a `duration` after it was received.
///
/// ```
/// use std::time::Duration;
/// use cloakroom::blocking::tick;
///
/// let ticks = tick(Duration::from_millis(1));
/// let (first, second) = (ticks.recv()?, ticks.recv()?);
/// assert!(second >= first + Duration::from_millis(1));
/// # Ok::<(), cloakroom::blocking::RecvError>(())
/// ```
pub fn tick(duration: Duration) -> Receiver<Instant> {
    match Instant::now().checked_add(duration) {
        Some(first) => Receiver(Source::Timer(Arc::new(Timer::new(first, Some(duration))))),
        None => never(),
    }
}

/// A receiver that never gets anything: to leave an operation of a select out.
///
/// ```
/// use cloakroom::blocking::{TryRecvError, never};
///
/// assert_eq!(never::<u8>().try_recv(), Err(TryRecvError::Empty));
/// ```
pub const fn never<T>() -> Receiver<T> {
    Receiver(Source::Nobody)
}
