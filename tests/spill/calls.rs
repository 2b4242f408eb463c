//! Blocking calls, limits, and receives as arms of a select.

use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::channel::{Buffered, Channel, Rendezvous};
use cloakroom::limit::Operation;
use cloakroom::select::{Either, Either3, plain, select};
use cloakroom::spill::{
    Policy, Spill, SpillBytes, SpillRecvError, SpillSendError, SpillTarget, TrySpillRecvError,
    Watermarks,
};
use cloakroom::std_layer::spill::{FileTarget, MemfdTarget, bounded};
use cloakroom::std_layer::{MappedArena, block_on};
use cloakroom::{Arena, SendTimeoutError};

use crate::fixture::{Faulty, Lock, assert_clean, message, poll, second_look, slots};

type Ring<'a> = SpillBytes<'a, Lock, Buffered<4>>;
type Hall = Arena<Lock, 8, 64, 8>;

const MOMENT: Duration = Duration::from_millis(2);

/// A select may move to another thread while it waits.
#[test]
fn a_pending_receive_may_go_to_another_thread() {
    fn goes<T: Send>(_: &T) {}
    let (hall, target) = (Hall::new(), Faulty::default());
    let spill = Spill::over(&hall, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    goes(&channel.recv());
}

/// Sends and receives that block, in every form, past a target of either sort.
fn to_and_fro(target: &dyn SpillTarget) {
    const COUNT: u32 = 2_000;
    let arena = MappedArena::<Lock>::new(32 << 10, 256, 128).expect("memory");
    let spill = Spill::over(&arena, target, Watermarks::new(40, 20));
    let channel = bounded(&spill, Policy::ColdFirst, 100);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..COUNT {
                let bytes = message(number, 400);
                let (long, soon) = (Duration::from_secs(60), Instant::now() + Duration::MAX / 4);
                let lease = || {
                    let mut lease = block_on(arena.handle().alloc(bytes.len())).expect("memory");
                    lease.copy_from_slice(&bytes);
                    lease
                };
                match number % 7 {
                    0 => channel.blocking_send(lease()).expect("open"),
                    1 => channel.blocking_send_timeout(lease(), long).expect("in time"),
                    2 => channel.blocking_send_parcel(lease().into_parcel()).expect("open"),
                    3 => channel
                        .blocking_send_parcel_timeout(lease().into_parcel(), Duration::MAX)
                        .expect("there is no limit"),
                    4 => channel.blocking_send_bytes_timeout(&bytes, long).expect("in time"),
                    5 => channel.blocking_send_bytes_deadline(&bytes, soon).expect("in time"),
                    _ => channel.blocking_send_bytes(&bytes).expect("open"),
                }
            }
            channel.close();
        });
        let check = |number: u32, bytes: &[u8]| {
            assert_eq!(*bytes, message(number, 400));
            if number % 64 == 0 {
                thread::sleep(Duration::from_micros(300));
                channel.step(8 << 10);
            }
        };
        for number in 0..COUNT / 2 {
            let received = match number % 3 {
                0 => channel.blocking_recv(),
                1 => channel.blocking_recv_timeout(Duration::from_secs(60)),
                _ => channel.blocking_recv_deadline(Instant::now() + Duration::from_secs(60)),
            };
            check(number, &received.expect("a message"));
        }
        let mut number = COUNT / 2;
        for bytes in channel.blocking_iter() {
            check(number, &bytes.expect("it is whole"));
            number += 1;
        }
        assert_eq!(number, COUNT);
    });
    assert_eq!(channel.blocking_recv().err(), Some(SpillRecvError::Closed));
    assert!(spill.snapshot().out > 0);
    assert_clean(spill.snapshot());
}

#[test]
#[cfg(target_os = "linux")]
fn threads_block_with_a_target_that_lends() {
    to_and_fro(&MemfdTarget::new(slots(80, 400)).expect("memory"));
}

#[test]
fn threads_block_with_a_file() {
    let here = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    to_and_fro(&FileTarget::new(here, slots(80, 400)).expect("room"));
}

#[test]
fn a_send_that_is_late_gives_its_payload_back() {
    let (hall, target) = (Hall::new(), Faulty::default());
    for (high, spills) in [(0, true), (100, false)] {
        let spill = Spill::over(&hall, &target, Watermarks::new(high, 0));
        let channel = Ring::new(&spill, Policy::ColdFirst);
        for number in 0..4 {
            channel.blocking_send_bytes(&[number; 8]).expect("room");
        }
        let mut lease = hall.try_alloc(8).expect("memory");
        lease.fill(9);
        let Err(SendTimeoutError::Timeout(parcel)) = channel.blocking_send_timeout(lease, MOMENT)
        else {
            panic!("there is no room")
        };
        let deadline = Instant::now() + MOMENT;
        let late = channel.blocking_send_parcel_deadline(parcel, deadline);
        let Err(SendTimeoutError::Timeout(parcel)) = late else { panic!("there is no room") };
        assert_eq!(
            channel.blocking_send_bytes_timeout(b"late", MOMENT),
            Err(SpillSendError::Timeout)
        );
        assert_eq!((channel.spilled().out, channel.len()), (if spills { 4 } else { 0 }, 4));
        channel.close();
        let closed = channel.blocking_send_parcel_deadline(parcel, Instant::now() + MOMENT);
        let Err(SendTimeoutError::Closed(parcel)) = closed else { panic!("it is closed") };
        assert_eq!(*parcel.redeem().expect("it is whole"), [9; 8]);
        assert_eq!(channel.blocking_send_bytes(b"late"), Err(SpillSendError::Closed));
        for number in 0..4 {
            assert_eq!(*channel.blocking_recv().expect("a message"), [number; 8]);
        }
    }
}

/// Neither the arena nor the target has room: that is a wait, too, and it ends.
#[test]
#[cfg(target_os = "linux")]
fn a_send_waits_for_memory_no_longer_than_it_may() {
    let (hall, target) = (Hall::new(), MemfdTarget::new(slots(1, 64)).expect("memory"));
    let spill = Spill::over(&hall, &target, Watermarks::new(50, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let wall = hall.try_alloc(8 * 64).expect("memory");
    channel.blocking_send_bytes(&[0; 64]).expect("there is room in the target");
    let late = channel.blocking_send_bytes_timeout(&[1; 64], MOMENT);
    assert_eq!((late, channel.len()), (Err(SpillSendError::Timeout), 1));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(MOMENT);
            assert_eq!(*channel.blocking_recv().expect("a message"), [0; 64]);
        });
        channel.blocking_send_bytes_timeout(&[2; 64], Duration::from_secs(60)).expect("in time");
    });
    assert_eq!(*channel.blocking_recv().expect("a message"), [2; 64]);
    drop(wall);
}

/// A receive whose time is over while its message waits for memory: the message is the next one.
#[test]
fn a_receive_that_is_late_loses_nothing() {
    let (hall, target) = (Hall::new(), Faulty::default());
    let spill = Spill::over(&hall, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let late = |why| Some(why) == channel.blocking_recv_timeout(MOMENT).err();
    assert!(late(SpillRecvError::Timeout), "there is nothing");
    for number in 0..3 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    let wall = hall.try_alloc(7 * 64).expect("memory");
    let held = channel.blocking_recv().expect("there is memory for one");
    assert!(late(SpillRecvError::Timeout), "it is being used");
    assert_eq!((channel.len(), channel.try_recv().err()), (2, Some(TrySpillRecvError::Memory)));
    // Cancelled when it has been handed over, and is lent or in the arena already: it counts.
    drop(held);
    let cancelled = block_on(channel.recv().cancelled_by(async {}));
    assert_eq!(*cancelled.expect("it was there"), [1; 64]);
    drop(wall);
    let cancelled = block_on(channel.recv().cancelled_by(async {}));
    assert_eq!(*cancelled.expect("it was there"), [2; 64]);
    let cancelled = block_on(channel.recv().cancelled_by(async {}));
    assert_eq!(cancelled.err(), Some(SpillRecvError::Cancelled));
    channel.close();
    assert!(late(SpillRecvError::Closed));
    assert_clean(spill.snapshot());
    assert!(!target.is_misused());
}

/// Each of a set of targets, for tests of both ways to receive.
fn each_target(test: impl Fn(&dyn SpillTarget)) {
    #[cfg(target_os = "linux")]
    test(&MemfdTarget::new(slots(64, 64)).expect("memory"));
    let target = Faulty::default();
    test(&target);
    assert!(!target.is_misused());
}

#[test]
fn another_arm_that_happens_leaves_the_message() {
    each_target(|target| {
        let hall = Hall::new();
        let spill = Spill::over(&hall, target, Watermarks::new(0, 0));
        let channel = Ring::new(&spill, Policy::ColdFirst);
        let stop = Channel::<Lock, u8, Buffered<1>>::new();
        // Both are there, and the first one is looked at first.
        channel.try_send_bytes(b"one").expect("room");
        stop.try_send(0).expect("room");
        let first = block_on(select((stop.recv(), channel.recv())));
        assert!(matches!(first, Either::First(Ok(0))));
        // It waits; then the message comes, and after it, before the select is polled, the other one.
        assert_eq!(*channel.try_recv().expect("it has stayed"), *b"one");
        let mut waits = pin!(select((stop.recv(), channel.recv())));
        assert!(poll(waits.as_mut()).is_pending());
        channel.try_send_bytes(b"two").expect("room");
        stop.try_send(2).expect("room");
        let (message, other) = match poll(waits.as_mut()) {
            Poll::Ready(Either::First(Ok(2))) => (channel.try_recv().expect("a message"), None),
            // A target that lends: the message was matched with the select first.
            Poll::Ready(Either::Second(message)) => {
                (message.expect("a message"), stop.try_recv().ok())
            }
            _ => panic!("there are both"),
        };
        assert_eq!((&*message, other), (&b"two"[..], target.lends().then_some(2)));
        assert_clean_but_one(&spill);
        drop(message);
        assert_clean(spill.snapshot());
    });
}

fn assert_clean_but_one(spill: &Spill<'_, Lock>) {
    let now = spill.snapshot();
    assert!(now.reconciles() && now.messages <= 1, "{now:?}");
}

/// The arm has taken a message, and waits for memory, when another one happens.
#[test]
fn a_message_that_waits_for_memory_is_put_in_front() {
    let (hall, target) = (Hall::new(), Faulty::default());
    let spill = Spill::over(&hall, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let stop = Channel::<Lock, u8, Rendezvous>::new();
    for number in 0..3 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    let wall = hall.try_alloc(7 * 64).expect("memory");
    let held = channel.try_recv().expect("there is memory for one");
    {
        let mut arm = pin!(channel.recv());
        {
            let mut waits = pin!(select((stop.recv(), arm.as_mut())));
            assert!(poll(waits.as_mut()).is_pending());
            assert_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Empty), "it has the turn");
            stop.try_send(1).expect("the select waits");
            assert!(matches!(poll(waits.as_mut()), Poll::Ready(Either::First(Ok(1)))));
        }
        // The turn is given up with the arm, though that lives on.
        assert_eq!((channel.len(), channel.try_recv().err()), (2, Some(TrySpillRecvError::Memory)));
        drop(held);
        // And it can be used again.
        let mut again = pin!(select((stop.recv(), arm.as_mut())));
        let Poll::Ready(Either::Second(Ok(message))) = poll(again.as_mut()) else {
            panic!("a message is there")
        };
        assert_eq!(*message, [1; 64]);
    }
    drop(wall);
    assert_eq!(*channel.try_recv().expect("a message"), [2; 64]);
    assert_clean(spill.snapshot());
    assert!(!target.is_misused());
}

/// A select that only looks takes nothing, and a look at an arm leaves no message with it.
#[test]
fn a_look_takes_nothing() {
    each_target(|target| {
        let hall = Hall::new();
        let spill = Spill::over(&hall, target, Watermarks::new(0, 0));
        let channel = Ring::new(&spill, Policy::ColdFirst);
        let stop = Channel::<Lock, u8, Buffered<1>>::new();
        let mut looks = pin!(select((stop.recv(), channel.recv())));
        assert!(looks.as_mut().try_now().is_none());
        channel.try_send_bytes(b"one").expect("room");
        assert_eq!(poll(pin!(looks.as_mut().ready())), Poll::Ready(1));
        assert_eq!((channel.len(), stop.try_recv().is_ok()), (1, false));
        match looks.as_mut().try_now() {
            Some(Either::Second(Ok(message))) => assert_eq!(*message, *b"one"),
            _ => panic!("a message is there"),
        }
        channel.close();
        let closed = block_on(select((stop.recv(), channel.recv())));
        assert!(matches!(closed, Either::Second(Err(SpillRecvError::Closed))));
    });
}

/// One thread selects from two channels and a future; others send, and others receive beside it: each message comes once, in order.
#[test]
fn selects_among_threads_lose_and_double_nothing() {
    each_target(|target| {
        const COUNT: u32 = 1_500;
        let arena = MappedArena::<Lock>::new(4 << 10, 64, 64).expect("memory");
        let spill = Spill::over(&arena, target, Watermarks::new(30, 10));
        let [one, two] =
            [(); 2].map(|()| SpillBytes::<Lock, Buffered<16>>::new(&spill, Policy::ColdFirst));
        // Before anybody receives, so that some are spilled however fast that is.
        const FIRST: u32 = 16;
        for channel in [&one, &two] {
            for number in 0..FIRST {
                channel.try_send_bytes(&message(number, 60)).expect("room");
            }
        }
        let sums = thread::scope(|scope| {
            for channel in [&one, &two] {
                scope.spawn(move || {
                    for number in FIRST..COUNT {
                        channel.blocking_send_bytes(&message(number, 60)).expect("open");
                    }
                    channel.close();
                });
            }
            let receivers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let (mut last, mut seen) = ([None; 2], [0_u64; 2]);
                    let mut open = [true; 2];
                    while open[0] || open[1] {
                        // Now and then something else happens first.
                        let other = plain(second_look());
                        let (from, received) =
                            match block_on(select((one.recv(), two.recv(), other)).fair()) {
                                Either3::First(received) => (0, received),
                                Either3::Second(received) => (1, received),
                                Either3::Third(()) => continue,
                            };
                        match received {
                            Ok(bytes) => {
                                let number =
                                    u32::from_le_bytes(bytes[..4].try_into().expect("four"));
                                assert_eq!(*bytes, message(number, 60));
                                assert!(last[from].is_none_or(|last| last < number));
                                last[from] = Some(number);
                                seen[from] += u64::from(number) + 1;
                            }
                            Err(error) => {
                                assert_eq!(error, SpillRecvError::Closed);
                                open[from] = false;
                            }
                        }
                    }
                    seen
                })
            });
            receivers.map(|receiver| receiver.join().expect("a receiver"))
        });
        let all = u64::from(COUNT) * u64::from(COUNT + 1) / 2;
        assert_eq!([sums[0][0] + sums[1][0], sums[0][1] + sums[1][1]], [all; 2]);
        assert!(spill.snapshot().out > 0);
        assert_clean(spill.snapshot());
    });
}
