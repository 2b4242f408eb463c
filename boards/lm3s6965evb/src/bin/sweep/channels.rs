//! Sends and receives, on one channel.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use cloakroom::TrySendError;
use cloakroom::channel::{Buffered, Channel, Conflated, RecvFuture, SendFuture};
use cloakroom::sync::CriticalSectionRawMutex as Lock;

use crate::scene::{Fresh, Scene, Slot, UNCLEAN};

static RING: Fresh<Channel<Lock, u32, Buffered<2>>> = Fresh::new(Channel::new());
static LATEST: Channel<Lock, u32, Conflated> = Channel::new();

/// What operations return: a value is itself.
const OK: u32 = 100;
const FULL: u32 = 101;
const EMPTY: u32 = 102;
const CLOSED: u32 = 103;
const PENDING: u32 = 104;

fn send(value: u32) -> u32 {
    match RING.get().try_send(value) {
        Ok(()) => OK,
        Err(TrySendError::Full(back)) if back == value => FULL,
        Err(TrySendError::Closed(back)) if back == value => CLOSED,
        Err(_) => UNCLEAN,
    }
}

fn send_1() -> u32 {
    send(1)
}
fn send_2() -> u32 {
    send(2)
}
fn receive() -> u32 {
    RING.get().try_recv().unwrap_or(EMPTY)
}

fn holding(count: u32) {
    // SAFETY: no operation is under way. The futures go first, so nobody borrows the channel.
    unsafe {
        RECEIVE.with(|slot| *slot = None);
        SEND.with(|slot| *slot = None);
        RING.renew(Channel::new());
        RECEIVE.with(|slot| *slot = Some(RING.get().recv()));
        SEND.with(|slot| *slot = Some(RING.get().send(1)));
    }
    for value in 0..count {
        let _ = RING.get().try_send(10 + value);
    }
}
fn empty() {
    holding(0)
}
fn one() {
    holding(1)
}
fn two() {
    holding(2)
}

/// What is in the channel, two digits a value, if its counters add up.
fn queued() -> u32 {
    let snapshot = RING.get().snapshot();
    let mut digits = 0;
    let mut depth = 0;
    while let Ok(value) = RING.get().try_recv() {
        digits = digits * 100 + value;
        depth += 1;
    }
    let accounted = snapshot.received.wrapping_add(depth);
    if snapshot.sent == accounted && snapshot.depth as u32 == depth { digits } else { UNCLEAN }
}

fn conflate_1() -> u32 {
    LATEST.try_send(1).map_or(UNCLEAN, |old| old.unwrap_or(OK))
}
fn conflate_2() -> u32 {
    LATEST.try_send(2).map_or(UNCLEAN, |old| old.unwrap_or(OK))
}
fn latest() -> u32 {
    LATEST.try_recv().unwrap_or(EMPTY)
}
fn conflated_10() {
    let _ = LATEST.try_recv();
    let _ = LATEST.try_send(10);
}

/// A receive and a send that the operation polls; the intruder uses `try_send` and `try_recv`.
static RECEIVE: Slot<Option<RecvFuture<'static, Lock, u32, Buffered<2>>>> = Slot::new(None);
static SEND: Slot<Option<SendFuture<'static, Lock, u32, Buffered<2>>>> = Slot::new(None);

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

fn poll_receive() -> u32 {
    match poll(&RECEIVE) {
        Some(Poll::Ready(Ok(value))) => value,
        Some(Poll::Ready(Err(_))) => CLOSED,
        Some(Poll::Pending) => PENDING,
        None => UNCLEAN,
    }
}
fn poll_send() -> u32 {
    match poll(&SEND) {
        Some(Poll::Ready(Ok(()))) => OK,
        Some(Poll::Ready(Err(_))) => CLOSED,
        Some(Poll::Pending) => PENDING,
        None => UNCLEAN,
    }
}
fn receiving_parked() {
    empty();
    poll_receive();
}
fn sending_parked() {
    two();
    poll_send();
}
fn drop_receive() -> u32 {
    // SAFETY: intruders do not use it. Assigning drops in place.
    unsafe { RECEIVE.with(|slot| *slot = None) };
    OK
}
fn drop_send() -> u32 {
    // SAFETY: as above.
    unsafe { SEND.with(|slot| *slot = None) };
    OK
}
/// What is received in the end: by the parked future first.
fn received() -> u32 {
    let first = match poll_receive() {
        value @ 0..100 => value,
        _ => 0,
    };
    // SAFETY: no operation is under way.
    unsafe { RECEIVE.with(|slot| *slot = None) };
    let rest = queued();
    if rest == UNCLEAN { UNCLEAN } else { first * 10_000 + rest }
}
/// What is queued when the parked send has had its turn.
fn sent() -> u32 {
    poll_send();
    // SAFETY: no operation is under way.
    unsafe { SEND.with(|slot| *slot = None) };
    queued()
}

macro_rules! scene {
    ($name:literal, $reset:expr, $operation:expr, $intruder:expr, $state:expr, $before:expr, $after:expr) => {
        Scene {
            name: $name,
            reset: $reset,
            operation: $operation,
            intruder: $intruder,
            state: $state,
            before: $before,
            after: $after,
            is_broken: false,
        }
    };
}
pub(crate) use scene;

pub const SCENES: &[Scene] = &[
    scene!(
        "try_send, interrupted by one for the last slot",
        one,
        send_1,
        send_2,
        queued,
        (OK, FULL, 1001),
        (FULL, OK, 1002)
    ),
    scene!(
        "try_send to an empty channel, interrupted by try_send",
        empty,
        send_1,
        send_2,
        queued,
        (OK, OK, 102),
        (OK, OK, 201)
    ),
    scene!(
        "try_send to an empty channel, interrupted by try_recv",
        empty,
        send_1,
        receive,
        queued,
        (OK, 1, 0),
        (OK, EMPTY, 1)
    ),
    scene!(
        "try_send to a full channel, interrupted by try_recv",
        two,
        send_1,
        receive,
        queued,
        (FULL, 10, 11),
        (OK, 10, 1101)
    ),
    scene!(
        "try_send, interrupted by try_recv",
        one,
        send_1,
        receive,
        queued,
        (OK, 10, 1),
        (OK, 10, 1)
    ),
    scene!(
        "try_recv of an empty channel, interrupted by try_send",
        empty,
        receive,
        send_2,
        queued,
        (EMPTY, OK, 2),
        (2, OK, 0)
    ),
    scene!(
        "try_recv, interrupted by one for the last value",
        one,
        receive,
        receive,
        queued,
        (10, EMPTY, 0),
        (EMPTY, 10, 0)
    ),
    scene!(
        "try_recv of a full channel, interrupted by try_send",
        two,
        receive,
        send_2,
        queued,
        (10, OK, 1102),
        (10, FULL, 11)
    ),
    scene!(
        "try_recv, interrupted by try_recv",
        two,
        receive,
        receive,
        queued,
        (10, 11, 0),
        (11, 10, 0)
    ),
    scene!(
        "conflated try_send, interrupted by another",
        conflated_10,
        conflate_1,
        conflate_2,
        latest,
        (10, 1, 2),
        (2, 10, 1)
    ),
    scene!(
        "conflated try_recv, interrupted by try_send",
        conflated_10,
        latest,
        conflate_2,
        latest,
        (10, OK, 2),
        (2, 10, EMPTY)
    ),
    scene!(
        "recv is polled, interrupted by try_send",
        empty,
        poll_receive,
        send_2,
        received,
        (PENDING, OK, 20000),
        (2, OK, 0)
    ),
    scene!(
        "recv is parked and polled, interrupted by try_send",
        receiving_parked,
        poll_receive,
        send_2,
        received,
        (PENDING, OK, 20000),
        (2, OK, 0)
    ),
    scene!(
        "recv is parked and dropped, interrupted by try_send",
        receiving_parked,
        drop_receive,
        send_2,
        received,
        (OK, OK, 2),
        (OK, OK, 2)
    ),
    scene!(
        "send is polled, interrupted by try_recv",
        two,
        poll_send,
        receive,
        sent,
        (PENDING, 10, 1101),
        (OK, 10, 1101)
    ),
    scene!(
        "send is parked and polled, interrupted by try_recv",
        sending_parked,
        poll_send,
        receive,
        sent,
        (PENDING, 10, 1101),
        (OK, 10, 1101)
    ),
    scene!(
        "send is parked and dropped, interrupted by try_recv",
        sending_parked,
        drop_send,
        receive,
        sent,
        (OK, 10, 11),
        (OK, 10, 11)
    ),
    scene!(
        "try_send to a parked recv, interrupted by try_recv",
        receiving_parked,
        send_1,
        receive,
        received,
        (OK, EMPTY, 10000),
        (OK, EMPTY, 10000)
    ),
    scene!(
        "try_recv from a parked send, interrupted by try_send",
        sending_parked,
        receive,
        send_2,
        sent,
        (10, FULL, 1101),
        (10, FULL, 1101)
    ),
];
