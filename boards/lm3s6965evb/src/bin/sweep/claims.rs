//! Two selects about to meet under a lock that masks nothing, and a handler that comes to another arm of one of
//! them, on a channel of its own.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use cloakroom::channel::{Buffered, Channel, RecvFuture, Rendezvous, SendFuture};
use cloakroom::select::{Either, Select, select};
use cloakroom::sync::{CriticalSectionRawMutex as Lock, NoopRawMutex};

use crate::scene::{Fresh, Scene, Slot, UNCLEAN};

/// A value of one context: intruders keep away from it.
struct Own<T>(T);

// SAFETY: there is one core, and intruders do not use it.
unsafe impl<T> Sync for Own<T> {}

type Meeting = Channel<NoopRawMutex, u32, Rendezvous>;
type Inbox = Channel<Lock, u32, Buffered<1>>;
type Give = (SendFuture<'static, NoopRawMutex, u32, Rendezvous>, Receive<Lock, Buffered<1>>);
type Take = (Receive<NoopRawMutex, Rendezvous>, Receive<Lock, Buffered<1>>);
type Receive<M, S> = RecvFuture<'static, M, u32, S>;

static MEETING: Fresh<Own<Meeting>> = Fresh::new(Own(Channel::new()));
static INBOX: Fresh<Inbox> = Fresh::new(Channel::new());
static GIVES: Slot<Option<Select<Give>>> = Slot::new(None);
static TAKES: Slot<Option<Select<Take>>> = Slot::new(None);

const OK: u32 = 100;
const PENDING: u32 = 104;
/// A value out of the inbox.
const FROM_INBOX: u32 = 1_000;

fn poll<F: Future>(slot: &'static Slot<Option<F>>) -> Option<Poll<F::Output>> {
    // SAFETY: intruders use other slots. A slot is a static, so what is in it is pinned for as long as it
    // is not taken out, and it is only ever overwritten in place.
    unsafe {
        slot.with(|future| {
            let future = Pin::new_unchecked(future.as_mut()?);
            Some(future.poll(&mut Context::from_waker(Waker::noop())))
        })
    }
}

/// One select waits to give a value away at the meeting, another is about to come for it; both read the inbox.
fn one_waits() {
    // SAFETY: no operation is under way. The selects go first, so nobody borrows the channels.
    unsafe {
        GIVES.with(|slot| *slot = None);
        TAKES.with(|slot| *slot = None);
        MEETING.renew(Own(Channel::new()));
        INBOX.renew(Channel::new());
        let (meeting, inbox) = (&MEETING.get().0, INBOX.get());
        GIVES.with(|slot| *slot = Some(select((meeting.send(1), inbox.recv()))));
        TAKES.with(|slot| *slot = Some(select((meeting.recv(), inbox.recv()))));
    }
    let _ = poll(&GIVES);
}

fn take() -> u32 {
    match poll(&TAKES) {
        Some(Poll::Ready(Either::First(Ok(value)))) => value,
        Some(Poll::Ready(Either::Second(Ok(value)))) => FROM_INBOX + value,
        Some(Poll::Pending) => PENDING,
        _ => UNCLEAN,
    }
}

fn post() -> u32 {
    INBOX.get().try_send(7).map_or(UNCLEAN, |()| OK)
}

/// What became of the other select, and what is in the inbox then, with two digits.
fn rest() -> u32 {
    let gave = match poll(&GIVES) {
        Some(Poll::Ready(Either::First(Ok(())))) => OK,
        Some(Poll::Ready(Either::Second(Ok(value)))) => FROM_INBOX + value,
        Some(Poll::Pending) => PENDING,
        _ => return UNCLEAN,
    };
    if !MEETING.get().0.is_empty() {
        return UNCLEAN;
    }
    gave * 100 + INBOX.get().try_recv().unwrap_or(0)
}

pub const SCENES: &[Scene] = &[Scene {
    name: "two selects meet, and one is posted to",
    reset: one_waits,
    operation: take,
    intruder: post,
    state: rest,
    // They meet, and what is posted is for whoever comes next.
    before: (1, OK, OK * 100 + 7),
    // The one that waits is posted to, so there is nobody to meet.
    after: (PENDING, OK, (FROM_INBOX + 7) * 100),
    is_broken: false,
}];
