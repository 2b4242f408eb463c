//! From when to when, on every kind of channel.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cloakroom::Arena;
use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, Conflated, Delivery, DropOldest, Priority, Rendezvous,
    Unlimited, fan_out,
};
use cloakroom::sync::CriticalSectionRawMutex as Lock;

use crate::{histogram_of, queueing};

type Hall = Arena<Lock, 64, 64, 64>;

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn from_send_to_receive_and_not_from_allocation() {
    static HALL: Hall = Arena::new();
    let hall = HALL.handle();
    let ring: Bytes<'_, Lock, Buffered<4>> = Bytes::new();
    let chain: Bytes<'_, Lock, Unlimited<'static, Lock>> = Bytes::over(&HALL);
    let frame = || hall.try_alloc(10).expect("memory");
    let (first, second) = (frame(), frame());
    hall.set_now(1_000);
    ring.try_send(first).expect("room");
    chain.try_send(second).expect("room");
    hall.set_now(1_005);
    ring.try_send(frame()).expect("room");
    assert_eq!((queueing(&ring.snapshot()).count(), ring.snapshot().depth), (0, 2));
    hall.set_now(1_007);
    drop((ring.try_recv().expect("a message"), chain.try_recv().expect("a message")));
    drop(ring.try_recv().expect("a message"));
    assert_eq!(queueing(&ring.snapshot()), histogram_of(&[7, 2]));
    assert_eq!(queueing(&chain.snapshot()), histogram_of(&[7]));
}

#[test]
fn ticks_may_wrap() {
    let hall: Hall = Arena::new();
    let ring: Bytes<'_, Lock, Buffered<4>> = Bytes::new();
    hall.handle().set_now(u32::MAX - 2);
    ring.try_send_bytes(hall.handle(), b"frame").expect("room");
    hall.handle().set_now(6);
    drop(ring.try_recv().expect("a message"));
    assert_eq!(queueing(&ring.snapshot()), histogram_of(&[9]));
    // As long as can be told.
    ring.try_send_bytes(hall.handle(), b"frame").expect("room");
    hall.handle().set_now(5);
    drop(ring.try_recv().expect("a message"));
    let queueing = queueing(&ring.snapshot());
    assert_eq!(queueing, histogram_of(&[9, u32::MAX]));
    assert_eq!((queueing.quantile(0.5), queueing.quantile(1.0)), (Some(15), Some(u32::MAX)));
}

#[test]
fn what_is_dropped_is_not_counted() {
    let hall: Hall = Arena::new();
    let hall = hall.handle();
    let latest: Bytes<'_, Lock, Conflated> = Bytes::new();
    let newest: Bytes<'_, Lock, Buffered<1, DropOldest>> = Bytes::new();
    for now in [10, 20, 40] {
        hall.set_now(now);
        latest.try_send_bytes(hall, b"frame").expect("room");
        newest.try_send_bytes(hall, b"frame").expect("room");
    }
    hall.set_now(43);
    drop((latest.try_recv().expect("a message"), newest.try_recv().expect("a message")));
    assert_eq!(queueing(&latest.snapshot()), histogram_of(&[3]));
    assert_eq!(queueing(&newest.snapshot()), histogram_of(&[3]));
    newest.try_send_bytes(hall, b"frame").expect("room");
    assert_eq!(newest.channel().drain().count(), 1);
    // What is drained is received.
    assert_eq!(queueing(&newest.snapshot()), histogram_of(&[3, 0]));
}

#[test]
fn the_urgent_wait_for_less() {
    let hall: Hall = Arena::new();
    let hall = hall.handle();
    let urgent: Bytes<'_, Lock, Priority<4>> = Bytes::new();
    for (now, priority) in [(0, 0), (100, 200)] {
        hall.set_now(now);
        let frame = hall.try_alloc_from(b"frame").expect("memory").into_parcel().expect("a ticket");
        urgent.channel().try_send_with_priority(frame, priority).expect("room");
    }
    hall.set_now(101);
    drop(urgent.try_recv().expect("a message"));
    assert_eq!(queueing(&urgent.snapshot()), histogram_of(&[1]));
    hall.set_now(500);
    drop(urgent.try_recv().expect("a message"));
    assert_eq!(queueing(&urgent.snapshot()), histogram_of(&[1, 500]));
}

#[test]
fn each_subscriber_counts_and_what_it_misses_does_not() {
    let hall: Hall = Arena::new();
    let hall = hall.handle();
    let news: Bytes<'_, Lock, Broadcast<2, DropOldest>> = Bytes::new();
    let (mut quick, mut slow) = (news.channel().subscribe(), news.channel().subscribe());
    for now in [10, 20, 30] {
        hall.set_now(now);
        news.try_send_bytes(hall, b"frame").expect("room");
        hall.set_now(now + 1);
        assert!(matches!(quick.try_recv(), Ok(Delivery::Value(_))));
    }
    hall.set_now(60);
    assert!(matches!(slow.try_recv(), Ok(Delivery::Lagged(1))));
    assert!(matches!(slow.try_recv(), Ok(Delivery::Value(_))));
    assert!(matches!(slow.try_recv(), Ok(Delivery::Value(_))));
    let now = news.snapshot();
    assert_eq!((now.delivered, now.lagged), (5, 1));
    assert_eq!(queueing(&now), histogram_of(&[1, 1, 1, 40, 30]));
}

#[test]
fn waiting_to_send_is_not_queueing() {
    let hall: Hall = Arena::new();
    let hall = hall.handle();
    let meeting: Bytes<'_, Lock, Rendezvous> = Bytes::new();
    let ring: Bytes<'_, Lock, Buffered<1>> = Bytes::new();
    hall.set_now(10);
    let mut met = pin!(meeting.send_bytes(hall, b"frame"));
    assert!(poll(met.as_mut()).is_pending());
    ring.try_send_bytes(hall, b"frame").expect("room");
    let mut waits = pin!(ring.send_bytes(hall, b"frame"));
    assert!(poll(waits.as_mut()).is_pending());
    hall.set_now(30);
    // From hand to hand.
    drop(meeting.try_recv().expect("a sender waits"));
    assert!(poll(met).is_ready());
    assert_eq!(queueing(&meeting.snapshot()), histogram_of(&[0]));
    // Into the ring only now.
    drop(ring.try_recv().expect("a message"));
    assert!(poll(waits).is_ready());
    hall.set_now(34);
    drop(ring.try_recv().expect("a message"));
    assert_eq!(queueing(&ring.snapshot()), histogram_of(&[20, 4]));
    // In the meeting point, until the receiver is polled.
    let mut receives = pin!(meeting.recv());
    assert!(poll(receives.as_mut()).is_pending());
    meeting.try_send(hall.try_alloc(1).expect("memory")).expect("a receiver waits");
    hall.set_now(36);
    assert!(poll(receives).is_ready());
    assert_eq!(queueing(&meeting.snapshot()), histogram_of(&[0, 2]));
}

/// One payload in several channels at once: each has its own time.
#[test]
fn one_payload_is_queued_here_for_longer_than_there() {
    let hall: Hall = Arena::new();
    let hall = hall.handle();
    let (early, late): (Bytes<'_, Lock, Buffered<2>>, Bytes<'_, Lock, Buffered<2>>) =
        (Bytes::new(), Bytes::new());
    let frame = hall.try_alloc_from(b"frame").expect("memory");
    assert_eq!(fan_out(&[&early], frame.clone()), 1);
    hall.set_now(100);
    assert_eq!(fan_out(&[&early, &late], frame), 2);
    hall.set_now(107);
    // Passed on as it is: it is queued again.
    let parcel = early.channel().try_recv().expect("a message");
    late.try_send_parcel(parcel).expect("room");
    hall.set_now(110);
    while let Ok(message) = late.try_recv() {
        drop(message);
    }
    drop(early.try_recv().expect("a message"));
    assert_eq!(queueing(&early.snapshot()), histogram_of(&[107, 10]));
    assert_eq!(queueing(&late.snapshot()), histogram_of(&[10, 3]));
}

#[test]
fn values_have_none() {
    let numbers: Channel<Lock, u32, Buffered<2>> = Channel::new();
    numbers.try_send(1).expect("room");
    assert_eq!(numbers.try_recv(), Ok(1));
    assert_eq!(numbers.snapshot().queueing, None);
}
