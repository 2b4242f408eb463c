//! Permits, closing, selects, and the kinds that do more than queue.

use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use cloakroom::channel::{
    Broadcast, Buffered, Channel, ConstStrategy, Delivery, DropOldest, Permit, Priority,
    RecvFuture, Rendezvous, Strategy, Subscriber,
};
use cloakroom::select::{Either, select};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cloakroom::{TryRecvError, TryReserveError, TrySendError};

use crate::channels::scene;
use crate::scene::{Fresh, Scene, Slot, UNCLEAN};

type Ring = Channel<Lock, u32, Buffered<2>>;
type Lossy = Channel<Lock, u32, Buffered<2, DropOldest>>;
type Ranked = Channel<Lock, u32, Priority<2>>;
type Shared = Channel<Lock, u32, Broadcast<2>>;
type Meet = Channel<Lock, u32, Rendezvous>;

static RING: Fresh<Ring> = Fresh::new(Channel::new());
static LOSSY: Fresh<Lossy> = Fresh::new(Channel::new());
static RANKED: Fresh<Ranked> = Fresh::new(Channel::new());
static SHARED: Fresh<Shared> = Fresh::new(Channel::new());
static MEET: Fresh<Meet> = Fresh::new(Channel::new());

/// Used by operations; intruders use the channels.
static PERMIT: Slot<Option<Permit<'static, Lock, u32, Buffered<2>>>> = Slot::new(None);
static READER: Slot<Option<Subscriber<&'static Shared>>> = Slot::new(None);
static RECEIVE: Slot<Option<RecvFuture<'static, Lock, u32, Rendezvous>>> = Slot::new(None);
/// Used by intruders.
static OTHER: Slot<Option<Subscriber<&'static Shared>>> = Slot::new(None);

/// What operations return: a value is itself.
const OK: u32 = 100;
const FULL: u32 = 101;
const EMPTY: u32 = 102;
const CLOSED: u32 = 103;

fn sent<R>(result: Result<R, TrySendError<u32>>) -> u32 {
    match result {
        Ok(_) => OK,
        Err(TrySendError::Full(_)) => FULL,
        Err(TrySendError::Closed(_)) => CLOSED,
    }
}
fn received(result: Result<u32, TryRecvError>) -> u32 {
    match result {
        Ok(value) => value,
        Err(TryRecvError::Empty) => EMPTY,
        Err(TryRecvError::Closed) => CLOSED,
    }
}

/// Makes a channel anew, with values from 10 on, after all that borrows it has gone.
fn renew<S: ConstStrategy<u32>>(fresh: &'static Fresh<Channel<Lock, u32, S>>, values: u32) {
    // SAFETY: no operation is under way, so nobody uses the slots. What is in them goes before the channels
    // do, so nobody borrows those.
    unsafe {
        PERMIT.with(|slot| *slot = None);
        READER.with(|slot| *slot = None);
        OTHER.with(|slot| *slot = None);
        RECEIVE.with(|slot| *slot = None);
        fresh.renew(Channel::new());
    }
    for value in 0..values {
        let _ = fresh.get().try_send(10 + value);
    }
}

/// What is in a channel, two digits a value, if its counters add up.
fn left<S: Strategy<u32>>(
    channel: &Channel<Lock, u32, S>,
    mut receive: impl FnMut() -> Option<u32>,
) -> u32 {
    let snapshot = channel.snapshot();
    let accounted = snapshot.received.wrapping_add(snapshot.dropped);
    if snapshot.sent != accounted.wrapping_add(snapshot.depth as u32) {
        return UNCLEAN;
    }
    core::iter::from_fn(|| receive()).fold(0, |digits, value| digits * 100 + value)
}

fn one() {
    renew(&RING, 1);
}
fn two() {
    renew(&RING, 2);
}
fn permit_held() {
    one();
    // SAFETY: no operation is under way.
    unsafe { PERMIT.with(|slot| *slot = RING.get().try_reserve().ok()) };
}
fn send_2() -> u32 {
    sent(RING.get().try_send(2))
}
fn receive() -> u32 {
    received(RING.get().try_recv())
}
fn close() -> u32 {
    if RING.get().close() { OK } else { CLOSED }
}
fn in_ring() -> u32 {
    // SAFETY: no operation is under way.
    unsafe { PERMIT.with(|slot| *slot = None) };
    left(RING.get(), || RING.get().try_recv().ok())
}
fn reserve() -> u32 {
    let permit = match RING.get().try_reserve() {
        Ok(permit) => permit,
        Err(TryReserveError::Full) => return FULL,
        Err(TryReserveError::Closed) => return CLOSED,
    };
    // SAFETY: intruders do not use it.
    unsafe { PERMIT.with(|slot| *slot = Some(permit)) };
    OK
}
fn use_permit() -> u32 {
    // SAFETY: as above.
    let permit = unsafe { PERMIT.with(Option::take) };
    permit.map_or(UNCLEAN, |permit| {
        permit.send(1);
        OK
    })
}
fn drop_permit() -> u32 {
    // SAFETY: as above.
    unsafe { PERMIT.with(|slot| *slot = None) };
    OK
}
fn select_now() -> u32 {
    let selected = pin!(select((MEET.get().recv(), RING.get().recv())));
    match selected.try_now() {
        Some(Either::First(Ok(value)) | Either::Second(Ok(value))) => value,
        Some(_) => CLOSED,
        None => EMPTY,
    }
}

fn lossy() {
    renew(&LOSSY, 2);
}
fn lose_1() -> u32 {
    sent(LOSSY.get().try_send(1))
}
fn lose_2() -> u32 {
    sent(LOSSY.get().try_send(2))
}
fn receive_lossy() -> u32 {
    received(LOSSY.get().try_recv())
}
fn in_lossy() -> u32 {
    left(LOSSY.get(), || LOSSY.get().try_recv().ok())
}

fn ranked() {
    renew(&RANKED, 1);
}
fn urgent() -> u32 {
    sent(RANKED.get().try_send_with_priority(1, 5))
}
fn more_urgent() -> u32 {
    sent(RANKED.get().try_send_with_priority(2, 9))
}
fn receive_ranked() -> u32 {
    received(RANKED.get().try_recv())
}
fn in_ranked() -> u32 {
    left(RANKED.get(), || RANKED.get().try_recv().ok())
}

fn number(delivery: Delivery<u32>) -> u32 {
    delivery.value().unwrap_or(UNCLEAN)
}
/// Two subscribers, and `values` that both have yet to read.
fn shared(values: u32) {
    renew(&SHARED, 0);
    // SAFETY: no operation is under way.
    unsafe {
        READER.with(|slot| *slot = Some(SHARED.get().subscribe()));
        OTHER.with(|slot| *slot = Some(SHARED.get().subscribe()));
    }
    for value in 0..values {
        let _ = SHARED.get().try_send(10 + value);
    }
}
fn shared_one() {
    shared(1);
}
/// Full: one subscriber has read everything and the other nothing.
fn shared_two() {
    shared(2);
    read_other();
    read_other();
}
fn broadcast() -> u32 {
    sent(SHARED.get().try_send(1))
}
fn read(slot: &'static Slot<Option<Subscriber<&'static Shared>>>) -> u32 {
    // SAFETY: operations use one of the slots, intruders the other.
    unsafe {
        slot.with(|slot| {
            slot.as_mut().map_or(UNCLEAN, |reader| received(reader.try_recv().map(number)))
        })
    }
}
fn read_mine() -> u32 {
    read(&READER)
}
fn read_other() -> u32 {
    read(&OTHER)
}
fn subscribe() -> u32 {
    // SAFETY: intruders do not use it. It is there already, and is dropped for the new one.
    unsafe { READER.with(|slot| *slot = Some(SHARED.get().subscribe())) };
    OK
}
fn leave() -> u32 {
    // SAFETY: as above.
    unsafe { READER.with(|slot| *slot = None) };
    OK
}
/// What each has yet to read, and how many values remain when they have gone.
fn unread() -> u32 {
    let mut digits = 0;
    for slot in [&READER, &OTHER] {
        // SAFETY: no operation is under way.
        unsafe {
            slot.with(|slot| {
                while let Some(Ok(value)) = slot.as_mut().map(Subscriber::try_recv) {
                    digits = digits * 100 + number(value);
                }
                *slot = None;
            });
        }
    }
    let snapshot = SHARED.get().snapshot();
    let accounted = snapshot.received.wrapping_add(snapshot.dropped);
    if snapshot.depth == 0 && snapshot.sent == accounted { digits } else { UNCLEAN }
}

/// A receiver waits.
fn meeting() {
    renew(&MEET, 0);
    // SAFETY: no operation is under way.
    unsafe { RECEIVE.with(|slot| *slot = Some(MEET.get().recv())) };
    poll_meeting();
}
fn poll_meeting() -> u32 {
    // SAFETY: intruders do not use it. What is in a static is pinned, and is only overwritten in place.
    unsafe {
        RECEIVE.with(|slot| {
            let Some(future) = slot.as_mut() else { return UNCLEAN };
            let mut cx = Context::from_waker(Waker::noop());
            match core::future::Future::poll(Pin::new_unchecked(future), &mut cx) {
                Poll::Ready(Ok(value)) => value,
                Poll::Ready(Err(_)) => CLOSED,
                Poll::Pending => EMPTY,
            }
        })
    }
}
fn meet_1() -> u32 {
    sent(MEET.get().try_send(1))
}
fn meet_2() -> u32 {
    sent(MEET.get().try_send(2))
}
fn drop_meeting() -> u32 {
    // SAFETY: intruders do not use it. Assigning drops in place.
    unsafe { RECEIVE.with(|slot| *slot = None) };
    OK
}
/// What the receiver that waited has got, then what is left for others.
fn met() -> u32 {
    // SAFETY: no operation is under way.
    let waits = unsafe { RECEIVE.with(|slot| slot.is_some()) };
    let first = match if waits { poll_meeting() } else { EMPTY } {
        value @ 0..100 => value,
        _ => 0,
    };
    drop_meeting();
    first * 100 + left(MEET.get(), || MEET.get().try_recv().ok())
}

pub const SCENES: &[Scene] = &[
    scene!(
        "try_reserve, interrupted by try_send for the last slot",
        one,
        reserve,
        send_2,
        in_ring,
        (OK, FULL, 10),
        (FULL, OK, 1002)
    ),
    scene!(
        "try_reserve of a full channel, interrupted by try_recv",
        two,
        reserve,
        receive,
        in_ring,
        (FULL, 10, 11),
        (OK, 10, 11)
    ),
    scene!(
        "a permit is used, interrupted by try_send",
        permit_held,
        use_permit,
        send_2,
        in_ring,
        (OK, FULL, 1001),
        (OK, FULL, 1001)
    ),
    scene!(
        "a permit is used, interrupted by close",
        permit_held,
        use_permit,
        close,
        in_ring,
        (OK, OK, 1001),
        (OK, OK, 1001)
    ),
    scene!(
        "a permit is dropped, interrupted by try_send",
        permit_held,
        drop_permit,
        send_2,
        in_ring,
        (OK, OK, 1002),
        (OK, FULL, 10)
    ),
    scene!(
        "close, interrupted by try_send",
        one,
        close,
        send_2,
        in_ring,
        (OK, CLOSED, 10),
        (OK, OK, 1002)
    ),
    scene!(
        "try_recv, interrupted by close",
        one,
        receive,
        close,
        in_ring,
        (10, OK, 0),
        (10, OK, 0)
    ),
    scene!(
        "a select tries to receive, interrupted by try_send",
        || renew(&RING, 0),
        select_now,
        send_2,
        in_ring,
        (EMPTY, OK, 2),
        (2, OK, 0)
    ),
    scene!(
        "try_send that drops the oldest, interrupted by another",
        lossy,
        lose_1,
        lose_2,
        in_lossy,
        (OK, OK, 102),
        (OK, OK, 201)
    ),
    scene!(
        "try_send that drops the oldest, interrupted by try_recv",
        lossy,
        lose_1,
        receive_lossy,
        in_lossy,
        (OK, 11, 1),
        (OK, 10, 1101)
    ),
    scene!(
        "try_send with a priority, interrupted by a more urgent one",
        ranked,
        urgent,
        more_urgent,
        in_ranked,
        (OK, FULL, 110),
        (FULL, OK, 210)
    ),
    scene!(
        "try_recv of the most urgent, interrupted by a more urgent try_send",
        ranked,
        receive_ranked,
        more_urgent,
        in_ranked,
        (10, OK, 2),
        (2, OK, 10)
    ),
    scene!(
        "try_send to two subscribers, interrupted by one that reads",
        shared_one,
        broadcast,
        read_other,
        unread,
        (OK, 10, 100_101),
        (OK, 10, 100_101)
    ),
    scene!(
        "a subscriber reads the last copy, interrupted by try_send",
        shared_two,
        read_mine,
        broadcast,
        unread,
        (10, OK, 110_101),
        (10, FULL, 11)
    ),
    scene!(
        "a subscriber comes anew, interrupted by try_send",
        shared_one,
        subscribe,
        broadcast,
        unread,
        (OK, OK, 11_001),
        (OK, OK, 1_001)
    ),
    scene!(
        "a subscriber leaves two values, interrupted by try_send",
        shared_two,
        leave,
        broadcast,
        unread,
        (OK, OK, 1),
        (OK, FULL, 0)
    ),
    scene!(
        "rendezvous try_send to a receiver that waits, interrupted by another",
        meeting,
        meet_1,
        meet_2,
        met,
        (OK, FULL, 100),
        (FULL, OK, 200)
    ),
    scene!(
        "a rendezvous receiver goes away, interrupted by try_send",
        meeting,
        drop_meeting,
        meet_2,
        met,
        (OK, FULL, 0),
        (OK, OK, 2)
    ),
];
