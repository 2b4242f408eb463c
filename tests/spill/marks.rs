//! When payloads go out, and where they are then.

use std::task::Poll;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Unlimited};
use cloakroom::spill::{
    Chain, Policy, Spill, SpillBytes, SpillRecvError, SpillTarget, TrySpillRecvError,
    TrySpillSendError, Watermarks,
};
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::spill::{MemfdTarget, bounded};
use cloakroom::sync::CriticalSectionRawMutex;

use crate::fixture::{Faulty, Lock, Mood, assert_clean, message, poll, slots};

type Ring<'a> = SpillBytes<'a, Lock, Buffered<64>>;

#[test]
fn payloads_go_out_from_the_high_mark_until_below_the_low_one() {
    let (arena, target) = (
        Arena::<CriticalSectionRawMutex, 10, 64, 32>::new(),
        MemfdTarget::new(slots(64, 64)).expect("memory"),
    );
    let spill = Spill::over(&arena, &target, Watermarks::new(80, 40));
    let channel = SpillBytes::<_, Buffered<64>>::new(&spill, Policy::ColdFirst);
    let send = || channel.try_send_bytes(&[1; 64]).expect("room");
    let used = || arena.snapshot().used();
    for pages in 1..=8 {
        assert!(!channel.is_above());
        send();
        assert_eq!((used(), spill.snapshot().messages), (pages, 0));
    }
    assert!(channel.is_above() && spill.snapshot().above);
    for spilled in 1..=5 {
        send();
        assert_eq!((used(), spill.snapshot().messages), (8, spilled));
    }
    // Down to 40 percent it goes on.
    for received in 1..=4 {
        assert!(!channel.try_recv().expect("a message").is_lent());
        send();
        assert_eq!((used(), spill.snapshot().messages), (8 - received as usize, 5 + received));
    }
    drop(channel.try_recv().expect("a message"));
    send();
    assert_eq!((used(), spill.snapshot().messages), (4, 9));
    assert!(!channel.is_above());
    while channel.try_recv().is_ok() {}
    assert_clean(spill.snapshot());
    assert_eq!((spill.snapshot().out, spill.snapshot().lent, used()), (9, 9, 0));
}

/// A payload that is sent as a lease goes out as well, and its memory is free at once.
#[test]
fn a_lease_that_is_sent_above_the_mark_is_freed() {
    let (arena, target) =
        (Arena::<Lock, 4, 64, 8>::new(), MemfdTarget::new(slots(64, 64)).expect("memory"));
    let spill = Spill::over(&arena, &target, Watermarks::new(50, 25));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for number in 0..30_u32 {
        let mut lease = arena.try_alloc(64).expect("memory");
        lease.fill(number as u8);
        if number % 2 == 0 {
            channel.try_send(lease).expect("room");
        } else {
            block_on(channel.send(lease)).expect("open");
        }
    }
    assert_eq!((arena.snapshot().used(), spill.snapshot().messages), (1, 29));
    for number in 0..30 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
    assert_clean(spill.snapshot());
}

/// Threads put memory aside that is free: that is not taken for memory in use for long.
#[test]
fn what_threads_put_aside_is_soon_found() {
    let (arena, target) =
        (Arena::<Lock, 100, 64, 128>::new(), MemfdTarget::new(slots(64, 64)).expect("memory"));
    let spill = Spill::over(&arena, &target, Watermarks::new(50, 1));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for _ in 0..55 {
        channel.try_send_bytes(&[1; 64]).expect("room");
    }
    while channel.try_recv().is_ok() {}
    let mut lent = std::iter::from_fn(|| {
        channel.try_send_bytes(&[1; 64]).expect("room");
        Some(channel.try_recv().expect("a message").is_lent())
    });
    assert!(lent.by_ref().take(16).any(|lent| !lent));
    assert!(!lent.take(100).any(|lent| lent));
}

#[test]
fn descriptors_count_as_pages_do() {
    let (arena, target) =
        (Arena::<Lock, 64, 64, 10>::new(), MemfdTarget::new(slots(64, 64)).expect("memory"));
    let spill = Spill::over(&arena, &target, Watermarks::new(80, 40));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for _ in 0..12 {
        channel.try_send_bytes(&[1]).expect("room");
    }
    assert_eq!(spill.snapshot().messages, 4);
}

#[test]
fn channels_that_matter_less_go_out_first() {
    let (arena, target) =
        (Arena::<Lock, 100, 64, 128>::new(), MemfdTarget::new(slots(64, 64)).expect("memory"));
    let spill = Spill::over(&arena, &target, Watermarks::new(60, 30));
    let [bulk, normal, vital, never] =
        [Policy::ColdFirst, Policy::Priority(64), Policy::Priority(255), Policy::Never]
            .map(|policy| Ring::new(&spill, policy));
    // In percent, as there are a hundred pages.
    let mut held = Vec::new();
    for percent in 0..=100 {
        let above = [&bulk, &normal, &vital, &never].map(|channel| channel.is_above());
        assert_eq!(above, [percent >= 60, percent >= 70, percent >= 100, false], "{percent}");
        held.extend(arena.try_alloc(64));
    }
    assert_eq!(never.try_send_bytes(&[1]), Err(TrySpillSendError::Memory));
    bulk.try_send_bytes(&[1]).expect("the target has room");
    drop(held);
    assert_eq!(*bulk.try_recv().expect("a message"), [1]);
}

#[test]
fn a_target_that_is_full_or_fails_leaves_messages_in_the_arena() {
    for (mood, failures) in [(Mood::Full, [4, 0]), (Mood::Broken, [0, 4])] {
        let (arena, target) = (Arena::<Lock, 9, 64, 9>::new(), Faulty::default());
        let spill = Spill::over(&arena, &target, Watermarks::new(50, 25));
        let channel = Ring::new(&spill, Policy::ColdFirst);
        target.set(mood);
        for number in 0..8 {
            if number % 2 == 0 {
                channel.try_send_bytes(&[number; 64]).expect("room in the arena");
            } else {
                let mut lease = arena.try_alloc(64).expect("memory");
                lease.fill(number);
                channel.try_send(lease).expect("room");
            }
        }
        assert_eq!(channel.try_send_bytes(&[9]), Err(TrySpillSendError::Memory));
        let snapshot = spill.snapshot();
        assert_eq!(([snapshot.full, snapshot.failed], snapshot.out), (failures, 0));
        for number in 0..8 {
            assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
        }
        target.set(Mood::Well);
        assert_clean(spill.snapshot());
    }
}

#[test]
fn refusals_give_the_payload_back_and_write_nothing() {
    let (arena, target) = (Arena::<Lock, 8, 64, 8>::new(), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = SpillBytes::<Lock, Buffered<1>>::new(&spill, Policy::ColdFirst);
    channel.try_send_bytes(b"first").expect("room");
    let lease = |bytes: &[u8]| {
        let mut lease = arena.try_alloc(bytes.len()).expect("memory");
        lease.copy_from_slice(bytes);
        lease
    };
    let refused = channel.try_send(lease(b"second")).expect_err("full");
    assert!(refused.is_full());
    assert_eq!(&*refused.into_inner().redeem().expect("it is whole"), b"second");
    assert_eq!(channel.try_send_bytes(b"second"), Err(TrySpillSendError::Full));
    assert_eq!(channel.try_send_bytes(&[0; 513]), Err(TrySpillSendError::TooLarge));
    assert!(channel.close() && channel.is_closed());
    let refused = channel.try_send(lease(b"third")).expect_err("closed");
    assert!(refused.is_closed());
    assert_eq!(&*refused.into_inner().redeem().expect("it is whole"), b"third");
    let refused = block_on(channel.send(lease(b"fourth"))).expect_err("closed");
    assert_eq!(&*refused.into_inner().redeem().expect("it is whole"), b"fourth");
    assert_eq!((target.held(), spill.snapshot().out), (1, 1));
    // What is in it is received, then it is closed.
    assert_eq!(&*block_on(channel.recv()).expect("a message"), b"first");
    assert_eq!(block_on(channel.recv()).err(), Some(SpillRecvError::Closed));
    assert_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Closed));
    drop(channel);
    assert_eq!((arena.snapshot().live, target.held()), (0, 0));
}

#[test]
fn any_kind_of_queue_keeps_its_order() {
    let (arena, target) = (Arena::<Lock, 16, 64, 32>::new(), Faulty::default());
    let room = Arena::<Lock, 64, 256, 64>::new();
    let spill = Spill::over(&arena, &target, Watermarks::new(50, 25));
    let unlimited = SpillBytes::<Lock, Unlimited<Lock>>::with(
        &spill,
        Policy::ColdFirst,
        Unlimited::over(&room),
    );
    let heap = bounded(&spill, Policy::ColdFirst, 200);
    for number in 0..200 {
        unlimited.try_send_bytes(&message(number, 64)).expect("room");
        heap.try_send_bytes(&message(number, 64)).expect("room");
        // It does nothing in an unlimited queue.
        assert_eq!(unlimited.step(64).out, 0);
    }
    assert!(heap.is_full() && !unlimited.is_full());
    for number in 0..200 {
        assert_eq!(*unlimited.try_recv().expect("a message"), message(number, 64));
        assert_eq!(*heap.try_recv().expect("a message"), message(number, 64));
    }
    assert_clean(spill.snapshot());
    // What is in a queue that is dropped is freed, wherever it is.
    for number in 0..200 {
        heap.try_send_bytes(&message(number, 64)).expect("room");
    }
    drop((heap, unlimited));
    assert_clean(spill.snapshot());
    assert_eq!((arena.snapshot().live, target.is_misused()), (0, false));
    assert!(spill.snapshot().dropped > 100);
}

#[test]
fn a_chain_goes_on_where_the_first_is_full_or_fails() {
    let arena = Arena::<Lock, 8, 64, 8>::new();
    let target = Chain(
        Chain(Faulty::default(), MemfdTarget::new(slots(3, 64)).expect("memory")),
        Faulty::default(),
    );
    let Chain(Chain(first, second), third) = &target;
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let moods = [Mood::Well, Mood::Broken, Mood::Full, Mood::Well, Mood::Broken, Mood::Full];
    for (number, mood) in moods.into_iter().enumerate() {
        first.set(mood);
        channel.try_send_bytes(&[number as u8; 64]).expect("room");
    }
    assert_eq!((first.held(), second.used(), third.held()), (2, 192, 1));
    first.set(Mood::Well);
    let lent: Vec<bool> = (0..6)
        .map(|number| {
            let message = channel.try_recv().expect("a message");
            assert_eq!(*message, [number; 64]);
            message.is_lent()
        })
        .collect();
    assert_eq!(lent, [false, true, true, false, true, false]);
    assert_clean(spill.snapshot());
}

/// What was received and is lent stays, whatever is sent meanwhile; and a lease goes on without a copy.
#[test]
fn lent_bytes_stay_until_they_are_dropped() {
    let (arena, target) =
        (Arena::<Lock, 4, 64, 8>::new(), MemfdTarget::new(slots(4, 64)).expect("memory"));
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    channel.try_send_bytes(&[1; 64]).expect("room");
    let first = channel.try_recv().expect("a message");
    for number in 2..50 {
        channel.try_send_bytes(&[number; 64]).expect("room");
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
        assert_eq!(*first, [1; 64]);
    }
    assert_eq!((spill.snapshot().messages, target.used()), (1, 64));
    let first = first.into_lease().expect_err("lent");
    drop(first);
    assert_clean(spill.snapshot());
    assert_eq!(spill.snapshot().lent, 49);
}

/// Senders that wait as the arena and the target are full go on when either has room; each finds out what is free for it.
#[test]
fn senders_wait_for_room_in_either() {
    let (arena, target) =
        (Arena::<Lock, 4, 64, 8>::new(), MemfdTarget::new(slots(4, 64)).expect("memory"));
    let spill = Spill::over(&arena, &target, Watermarks::new(100, 50));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let wall = arena.try_alloc(4 * 64).expect("memory");
    for number in 0..4 {
        channel.try_send_bytes(&[number; 64]).expect("room in the target");
    }
    assert_eq!(channel.try_send_bytes(&[9; 64]), Err(TrySpillSendError::Memory));
    let [long, short, other] = [[4; 200].as_slice(), &[5; 64], &[6; 64]];
    let mut sends = [long, short, other].map(|bytes| Box::pin(channel.send_bytes(bytes)));
    let mut poll_all = || sends.each_mut().map(|send| poll(send.as_mut()).is_ready());
    assert_eq!(poll_all(), [false; 3]);
    assert_eq!(*channel.try_recv().expect("a message"), [0; 64]);
    // The first that looks has what is free, but not if that is too short for it.
    assert_eq!(poll_all(), [false, true, false]);
    drop(wall);
    let Poll::Ready(Ok(())) = poll(sends[0].as_mut()) else { panic!("there is memory") };
    for bytes in [[1; 64].as_slice(), &[2; 64], &[3; 64], &[5; 64], &[4; 200]] {
        assert_eq!(&*channel.try_recv().expect("a message"), bytes);
    }
}
