//! What becomes of a value when a future that waits is dropped, in each crate that takes part: polled by hand, in one thread, so
//! always the same.
//!
//! * A *send* that waits for room and is dropped has told the program nothing, so its value should not be in the channel. It is,
//!   where a receiver takes it, or moves it into the slot that became free, on behalf of the sender.
//! * A *receive* that waits for a value and is dropped has told the program nothing, so the value should be there for the next one. It
//!   is lost where the sender copies it into the future.
//!
//! Who does either is shown with a star where futures may be dropped, and a row is not compared with it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use cloakroom::std_layer::MappedArena;
use cloakroom::std_layer::channel as ours;
use cloakroom_rig::workload::why;
use cloakroom_rig::workloads;

/// Polls it once.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What a channel does.
#[derive(PartialEq, Eq, Debug)]
struct Conduct {
    /// A send that waited for room, and was dropped after a receive, was received all the same.
    sends_what_was_dropped: bool,
    /// A value that was sent to a receive which waited, and was dropped, is not there.
    loses_what_was_sent: bool,
}

const KEEPS_BOTH: Conduct = Conduct { sends_what_was_dropped: false, loses_what_was_sent: false };
const SENDS: Conduct = Conduct { sends_what_was_dropped: true, ..KEEPS_BOTH };
const KEEPS_NEITHER: Conduct = Conduct { loses_what_was_sent: true, ..SENDS };

/// What channels with a single slot do, made by this.
macro_rules! conduct {
    ($make:expr, $send:ident, $recv:ident) => {{
        #[allow(unused_mut, reason = "some can do without")]
        let (sender, mut receiver) = $make;
        assert!(poll(pin!(sender.$send(1))).is_ready());
        let next = {
            let mut waits = Box::pin(sender.$send(2));
            assert!(poll(waits.as_mut()).is_pending());
            let first = poll(pin!(receiver.$recv())).map(|one| one.into_iter().next());
            assert_eq!(first, Poll::Ready(Some(1)));
            drop(waits);
            poll(pin!(receiver.$recv())).map(|one| one.into_iter().next())
        };
        assert!(next == Poll::Pending || next == Poll::Ready(Some(2)), "{next:?}");
        let sends_what_was_dropped = next.is_ready();
        let loses_what_was_sent = loses!($make, $send, $recv);
        Conduct { sends_what_was_dropped, loses_what_was_sent }
    }};
}

/// Whether channels with any number of slots, or none, lose a value that was sent to a receive which waits, and is dropped.
macro_rules! loses {
    ($make:expr, $send:ident, $recv:ident) => {{
        #[allow(unused_mut, reason = "some can do without")]
        let (sender, mut receiver) = $make;
        let mut waits = Box::pin(receiver.$recv());
        assert!(poll(waits.as_mut()).is_pending());
        assert!(poll(pin!(sender.$send(3))).is_ready());
        drop(waits);
        let next = poll(pin!(receiver.$recv())).map(|one| one.into_iter().next());
        assert!(next == Poll::Pending || next == Poll::Ready(Some(3)), "{next:?}");
        next.is_pending()
    }};
}

#[test]
fn a_channel_with_room_for_one() {
    assert_eq!(conduct!(ours::bounded(1), send, recv), KEEPS_BOTH, "cloakroom");
    assert_eq!(conduct!(tokio::sync::mpsc::channel(1), send, recv), KEEPS_BOTH, "tokio");
    assert_eq!(conduct!(async_channel::bounded(1), send, recv), KEEPS_BOTH, "async-channel");
    assert_eq!(conduct!(tachyonix::channel(1), send, recv), KEEPS_BOTH, "tachyonix");
    assert_eq!(conduct!(crossfire::spsc::bounded_async(1), send, recv), KEEPS_BOTH, "crossfire");
    assert_eq!(conduct!(crossfire::mpsc::bounded_async(1), send, recv), KEEPS_BOTH, "crossfire");
    assert_eq!(conduct!(crossfire::mpmc::bounded_async(1), send, recv), KEEPS_BOTH, "crossfire");
    assert_eq!(conduct!(flume::bounded(1), send_async, recv_async), SENDS, "flume");
    assert_eq!(conduct!(loole::bounded(1), send_async, recv_async), SENDS, "loole");
    assert_eq!(conduct!(kanal::bounded_async(1), send, recv), KEEPS_NEITHER, "kanal");
}

#[test]
fn a_channel_without_a_limit() {
    let arena = MappedArena::new(1 << 20, 512, 1 << 10).expect("there is memory");
    assert!(!loses!(ours::unbounded(&arena), send, recv));
    assert!(!loses!(async_channel::unbounded(), send, recv));
    assert!(!loses!(flume::unbounded(), send_async, recv_async));
    assert!(!loses!(loole::unbounded(), send_async, recv_async));
    assert!(loses!(kanal::unbounded_async(), send, recv));
}

/// Both sides are there: who waited has received, or has sent, before it is polled again. So a send that is dropped may have been
/// received, by this crate's, too.
#[test]
fn a_rendezvous() {
    /// Whether a value is there that was on its way when the receive was dropped which it was for.
    macro_rules! is_there {
        ($make:expr, $send:ident, $recv:ident) => {{
            let (sender, receiver) = $make;
            let mut waits = Box::pin(receiver.$recv());
            assert!(poll(waits.as_mut()).is_pending());
            let mut send = pin!(sender.$send(3));
            let _ = poll(send.as_mut());
            drop(waits);
            poll(pin!(receiver.$recv())) == Poll::Ready(Ok(3))
        }};
    }
    /// Whether a receive takes the value of a send that waits.
    macro_rules! takes {
        ($make:expr, $send:ident, $recv:ident) => {{
            let (sender, receiver) = $make;
            let mut waits = Box::pin(sender.$send(4));
            assert!(poll(waits.as_mut()).is_pending());
            poll(pin!(receiver.$recv())) == Poll::Ready(Ok(4))
        }};
    }
    assert!(is_there!(ours::rendezvous(), send, recv) && takes!(ours::rendezvous(), send, recv));
    assert!(is_there!(flume::bounded(0), send_async, recv_async));
    assert!(takes!(flume::bounded(0), send_async, recv_async));
    assert!(is_there!(loole::bounded(0), send_async, recv_async));
    assert!(takes!(loole::bounded(0), send_async, recv_async));
    assert!(!is_there!(kanal::bounded_async(0), send, recv));
    assert!(takes!(kanal::bounded_async(0), send, recv));
}

/// The stars are theirs who have been seen to deserve them, where futures may be dropped, and nobody else's.
#[test]
fn who_is_not_compared_with() {
    let mut seen = 0;
    for workload in workloads::all() {
        let mut parts = workload.name.split('/').peekable();
        let is_ping_pong = parts.next_if_eq(&"ping-pong").is_some();
        let executor = parts.next().expect("it has a name");
        if !["tokio-", "own-"].iter().any(|one| executor.starts_with(one)) {
            continue;
        }
        let capacity = parts.next_back().expect("it ends with the capacity");
        let is_bounded = is_ping_pong || !["0", "unbounded"].contains(&capacity);
        for subject in &workload.subjects {
            let name = subject.name.split(" + ").next().expect("it has one");
            let expected = match name {
                "kanal" => Some(why::LOSES),
                "flume" | "loole" if is_bounded => Some(why::SENDS),
                _ => None,
            };
            assert_eq!(subject.aside, expected, "{} in {}", subject.name, workload.name);
            seen += usize::from(expected.is_some());
        }
    }
    assert!(seen > 50, "{seen}");
}
