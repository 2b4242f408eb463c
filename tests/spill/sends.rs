//! Pending sends: arms of a select, limits, and what becomes of a payload that is not sent.

use std::pin::pin;
use std::task::Poll;
use std::thread;

use cloakroom::channel::{Buffered, Channel, Conflated, DropOldest, Rendezvous, Share, Strategy};
use cloakroom::limit::Operation;
use cloakroom::select::{Either, Either3, plain, select};
use cloakroom::spill::{Policy, Slot, Spill, SpillBytes, Watermarks};
use cloakroom::std_layer::{MappedArena, block_on};
use cloakroom::{Arena, LeaseMut, SendTimeoutError};

use crate::fixture::{Faulty, Lock, assert_clean, message, poll, second_look};

type Single<'a> = SpillBytes<'a, Lock, Buffered<1>>;
type Hall = Arena<Lock, 8, 64, 8>;

fn payload(hall: &Hall, byte: u8) -> LeaseMut<'_, Lock> {
    let mut lease = hall.try_alloc(8).expect("memory");
    lease.fill(byte);
    lease
}

/// Calls `test` with a channel that is full, above its mark, and below it.
fn full(test: impl for<'a> Fn(&'a Hall, &Single<'a>)) {
    for high in [0, 100] {
        let (hall, target) = (Hall::new(), Faulty::default());
        let spill = Spill::over(&hall, &target, Watermarks::new(high, 0));
        let channel = Single::new(&spill, Policy::ColdFirst);
        channel.try_send_bytes(&[0; 8]).expect("room");
        test(&hall, &channel);
        assert_clean(spill.snapshot());
        drop(channel);
        assert_eq!((target.held(), target.is_misused(), hall.snapshot().live), (0, false, 0));
    }
}

#[test]
fn another_arm_that_happens_leaves_the_payload() {
    full(|hall, channel| {
        let stop = Channel::<Lock, u8, Rendezvous>::new();
        let mut send = pin!(channel.send(payload(hall, 1)));
        {
            let mut waits = pin!(select((send.as_mut(), stop.recv())));
            assert!(poll(waits.as_mut()).is_pending());
            stop.try_send(5).expect("the select waits");
            // The slot that is free by now is for whoever comes next: this select has been decided.
            assert_eq!(*channel.try_recv().expect("a message"), [0; 8]);
            assert!(matches!(poll(waits.as_mut()), Poll::Ready(Either::Second(Ok(5)))));
        }
        assert!(channel.is_empty());
        let parcel = send.as_mut().take_value().expect("it was not sent");
        assert!(send.as_mut().take_value().is_none());
        // It has nothing to do any more, and takes nobody's slot.
        assert!(poll(send).is_pending());
        channel.try_send_parcel(parcel).expect("room");
        assert_eq!(*channel.try_recv().expect("a message"), [1; 8]);
    });
}

#[test]
fn an_arm_that_is_given_a_slot_is_sent() {
    full(|hall, channel| {
        let stop = Channel::<Lock, u8, Buffered<1>>::new();
        let mut waits = pin!(select((stop.recv(), channel.send(payload(hall, 1)))));
        assert!(poll(waits.as_mut()).is_pending());
        assert_eq!(*channel.try_recv().expect("a message"), [0; 8]);
        // Too late: the slot was matched with the select.
        stop.try_send(5).expect("room");
        assert!(matches!(poll(waits.as_mut()), Poll::Ready(Either::Second(Ok(())))));
        assert_eq!(stop.try_recv(), Ok(5));
        assert_eq!(*channel.try_recv().expect("a message"), [1; 8]);
    });
}

#[test]
fn a_look_sends_nothing() {
    full(|hall, channel| {
        let stop = Channel::<Lock, u8, Buffered<1>>::new();
        let mut looks = pin!(select((stop.recv(), channel.send(payload(hall, 1)))));
        assert!(looks.as_mut().try_now().is_none());
        assert_eq!(*channel.try_recv().expect("a message"), [0; 8]);
        assert_eq!(poll(pin!(looks.as_mut().ready())), Poll::Ready(1));
        assert!(channel.is_empty());
        assert!(matches!(looks.as_mut().try_now(), Some(Either::Second(Ok(())))));
        assert_eq!(*channel.try_recv().expect("a message"), [1; 8]);
    });
}

#[test]
fn limits_and_closing_give_the_payload_back() {
    full(|hall, channel| {
        let cancelled = block_on(channel.send(payload(hall, 1)).cancelled_by(async {}));
        let Err(SendTimeoutError::Cancelled(parcel)) = cancelled else { panic!("it is full") };
        let late = block_on(channel.send_parcel(parcel).deadline(async {}));
        let Err(SendTimeoutError::Timeout(parcel)) = late else { panic!("it is full") };
        // The slot was handed to it before its time was over: that counts.
        {
            let mut send = pin!(channel.send(payload(hall, 2)));
            assert!(poll(send.as_mut()).is_pending());
            assert_eq!(*channel.try_recv().expect("a message"), [0; 8]);
            let stopped = send.abandon(cloakroom::limit::Stopped::Timeout);
            assert!(matches!(stopped, Some(Ok(()))));
        }
        let mut waits = pin!(channel.send_parcel(parcel));
        assert!(poll(waits.as_mut()).is_pending());
        channel.close();
        let Poll::Ready(Err(closed)) = poll(waits.as_mut()) else { panic!("it is closed") };
        assert_eq!(*closed.into_inner().redeem().expect("whole"), [1; 8]);
        assert!(poll(waits.as_mut()).is_pending());
        assert_eq!(*channel.try_recv().expect("a message"), [2; 8]);
    });
}

/// A kind that drops values instead of waiting sends when its arm is looked at, and only if no other has happened.
#[test]
fn a_kind_that_never_waits_sends_once_it_has_won() {
    fn sends<S>(kind: S)
    where
        S: for<'a> Strategy<Slot<'a, Lock>>,
    {
        let (hall, target) = (Hall::new(), Faulty::default());
        let spill = Spill::over(&hall, &target, Watermarks::new(0, 0));
        let channel = SpillBytes::<Lock, S>::with(&spill, Policy::ColdFirst, kind);
        let stop = Channel::<Lock, u8, Buffered<1>>::new();
        stop.try_send(5).expect("room");
        {
            let mut send = pin!(channel.send(payload(&hall, 1)));
            let stopped = block_on(select((stop.recv(), send.as_mut())));
            assert!(matches!(stopped, Either::First(Ok(5))));
            // The first arm is met after it was looked at, and before this one is.
            let meets = plain(std::future::poll_fn(|_| {
                stop.try_send(6).expect("the select waits");
                Poll::<()>::Pending
            }));
            let stopped = poll(pin!(select((stop.recv(), meets, send.as_mut()))));
            assert!(matches!(stopped, Poll::Ready(Either3::First(Ok(6)))));
            assert!(channel.is_empty());
            let mut looks = pin!(select((stop.recv(), send.as_mut())));
            assert_eq!(poll(pin!(looks.as_mut().ready())), Poll::Ready(1));
            assert!(channel.is_empty());
            assert!(matches!(looks.as_mut().try_now(), Some(Either::Second(Ok(())))));
            // It has nothing to do any more.
            assert!(looks.as_mut().try_now().is_none());
            assert_eq!(channel.len(), 1);
        }
        channel.close();
        let refused = block_on(channel.send(payload(&hall, 2)).deadline(async {}));
        let Err(SendTimeoutError::Closed(parcel)) = refused else { panic!("it is closed") };
        assert_eq!(*parcel.redeem().expect("whole"), [2; 8]);
        drop(channel);
        assert_eq!((target.held(), target.is_misused()), (0, false));
    }
    sends(Buffered::<1, DropOldest>::default());
    sends(Conflated);
}

/// One thread offers the same payload to two channels and now and then gives up; two others receive: each payload comes out once, of
/// one of them, in order.
#[test]
fn offers_among_threads_lose_and_double_nothing() {
    fn goes<T: Send>(send: T) -> T {
        send
    }
    const COUNT: u32 = 2_000;
    let (arena, target) =
        (MappedArena::<Lock>::new(4 << 10, 64, 64).expect("memory"), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(5, 2));
    let [one, two] =
        [(); 2].map(|()| SpillBytes::<Lock, Buffered<4>>::new(&spill, Policy::ColdFirst));
    let seen = thread::scope(|scope| {
        let receivers = [&one, &two].map(|channel| {
            scope.spawn(move || {
                let mut seen = Vec::new();
                while let Ok(bytes) = channel.blocking_recv() {
                    let number = u32::from_le_bytes(bytes[..4].try_into().expect("four"));
                    assert_eq!(*bytes, message(number, 60));
                    seen.push(number);
                }
                seen
            })
        });
        for number in 0..COUNT {
            let bytes = message(number, 60);
            let mut lease = block_on(arena.handle().alloc(bytes.len())).expect("memory");
            lease.copy_from_slice(&bytes);
            let mut parcel = Some(lease.into_parcel());
            while let Some(offered) = parcel.take() {
                let mut first = pin!(goes(one.send_parcel(offered.share().expect("whole"))));
                let mut second = pin!(two.send_parcel(offered));
                let other = plain(second_look());
                match block_on(select((first.as_mut(), second.as_mut(), other)).fair()) {
                    Either3::First(sent) => sent.expect("open"),
                    Either3::Second(sent) => sent.expect("open"),
                    Either3::Third(()) => parcel = second.as_mut().take_value(),
                }
            }
        }
        one.close();
        two.close();
        receivers.map(|receiver| receiver.join().expect("a receiver"))
    });
    assert!(seen.iter().all(|seen| seen.is_sorted()));
    let mut all = seen.concat();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..COUNT));
    assert!(spill.snapshot().out > 0 && !target.is_misused());
    assert_clean(spill.snapshot());
}
