//! What waits is moved out and back, whatever is received meanwhile.

use std::sync::Arc;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, DropNewest};
use cloakroom::spill::{Policy, Spill, SpillBytes, Stepped, Watermarks};
use cloakroom::std_layer::spill::MemfdTarget;

use crate::fixture::{Faulty, Lock, Mood, assert_clean, slots};

type Ring<'a> = SpillBytes<'a, Lock, Buffered<64>>;

/// Which of the messages are lent, which shows where they were, as numbers; all are received.
fn lent(channel: &Ring<'_>) -> Vec<u8> {
    let received = std::iter::from_fn(|| channel.try_recv().ok());
    received.filter(|message| message.is_lent()).map(|message| message[0]).collect()
}

#[test]
fn the_tail_goes_first_and_the_budget_bounds_it() {
    let arena = Arena::<Lock, 20, 64, 32>::new();
    let target = MemfdTarget::new(slots(64, 64)).expect("memory");
    let spill = Spill::over(&arena, &target, Watermarks::new(80, 40));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for number in 0..12 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    assert_eq!(channel.step(usize::MAX), Stepped::default());
    let others = arena.try_alloc(4 * 64).expect("memory");
    // One message and a look are 96 bytes.
    assert_eq!(channel.step(0).out, 0);
    let stepped = channel.step(97);
    assert_eq!((stepped.out, stepped.bytes_out, stepped.more), (2, 128, true));
    assert_eq!(spill.snapshot().messages, 2);
    let stepped = channel.step(usize::MAX);
    assert_eq!((stepped.out, stepped.more), (7, false));
    assert_eq!(arena.snapshot().used(), 7);
    drop(others);
    assert_eq!((lent(&channel), spill.snapshot().moved), ((3..12).collect(), 9));
    assert_clean(spill.snapshot());
}

/// In small steps it comes to the messages in the middle, past those that are out already.
#[test]
fn small_steps_come_to_everything() {
    let (arena, target) = (Arena::<Lock, 20, 64, 32>::new(), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(50, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for number in 0..40 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    assert_eq!(spill.snapshot().messages, 30);
    // Two looks, and nothing is found.
    assert_eq!(channel.step(64), Stepped { more: true, ..Stepped::default() });
    let steps = (1..100).find(|_| {
        channel.step(64);
        spill.snapshot().messages == 40
    });
    assert!(steps.is_some_and(|steps| steps <= 26), "{steps:?}");
    for number in 0..40 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
}

#[test]
fn the_first_few_come_back_while_there_is_room() {
    let (arena, target) = (Arena::<Lock, 20, 64, 32>::new(), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(50, 40));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let wall = arena.try_alloc(15 * 64).expect("memory");
    for number in 0..10 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    assert_eq!(channel.step(usize::MAX).back, 0);
    drop(wall);
    assert_eq!(channel.step(33).back, 1);
    let stepped = channel.step(usize::MAX);
    assert_eq!((stepped.back, stepped.bytes_back, stepped.more), (3, 192, false));
    assert_eq!((target.held(), arena.snapshot().used(), spill.snapshot().fetched), (6, 5, 4));
    let wall = arena.try_alloc(3 * 64).expect("memory");
    for number in 0..4 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
    // Up to the low mark, of eight pages, which one more would come to.
    let more = arena.try_alloc(2 * 64).expect("memory");
    assert_eq!(channel.step(usize::MAX).back, 1);
    drop((wall, more));
    for number in 4..10 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
    assert_clean(spill.snapshot());
    assert!(!target.is_misused());
}

#[test]
fn a_target_that_fails_leaves_what_waits_where_it_is() {
    let (arena, target) = (Arena::<Lock, 8, 64, 8>::new(), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(50, 40));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for number in 0..3 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    let wall = arena.try_alloc(64).expect("memory");
    target.set(Mood::Broken);
    // One after the other, a call each.
    for failed in 1..=3 {
        assert_eq!((channel.step(usize::MAX).out, spill.snapshot().failed), (0, failed));
    }
    target.set(Mood::Well);
    assert_eq!(channel.step(usize::MAX).out, 2);
    drop(wall);
    drop(channel.try_recv().expect("a message"));
    drop(channel.try_recv().expect("a message"));
    // Nor is anything moved back that cannot be read, or is other bytes.
    for mood in [Mood::Broken, Mood::Lying, Mood::Short] {
        target.set(mood);
        assert_eq!((channel.step(usize::MAX).back, arena.snapshot().live), (0, 1));
    }
    target.set(Mood::Well);
    assert_eq!(*channel.try_recv().expect("a message"), [2; 64]);
    assert_clean(spill.snapshot());
}

/// A message without bytes, or one that the target has no room for, is passed over.
#[test]
fn what_cannot_go_out_does_not_keep_the_others_in() {
    let arena = Arena::<Lock, 10, 64, 16>::new();
    let target = MemfdTarget::new(slots(8, 64)).expect("memory");
    let spill = Spill::over(&arena, &target, Watermarks::new(70, 10));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for (number, length) in [64, 64, 100, 0].into_iter().enumerate() {
        channel.try_send_bytes(&vec![number as u8; length]).expect("room");
    }
    let wall = arena.try_alloc(4 * 64).expect("memory");
    // The long one, then those before it.
    let stepped = [(); 3].map(|()| channel.step(usize::MAX).out);
    assert_eq!((stepped, spill.snapshot().full), ([0, 2, 0], 2));
    drop(wall);
    for (number, length) in [64, 64, 100, 0].into_iter().enumerate() {
        assert_eq!(*channel.try_recv().expect("a message"), vec![number as u8; length]);
    }
}

/// A payload that is being copied out can be received, and is not received again.
#[test]
fn what_is_received_while_it_is_moved_out_is_received_once() {
    for received in 1..=3 {
        let (arena, target) = (leaked(Arena::<Lock, 8, 64, 8>::new()), leaked(Faulty::default()));
        let spill = leaked(Spill::over(arena, target, Watermarks::new(50, 40)));
        let channel = Arc::new(Ring::new(spill, Policy::ColdFirst));
        for number in 0..3 {
            channel.try_send_bytes(&[number; 64]).expect("room");
        }
        let wall = arena.try_alloc(64).expect("memory");
        let meanwhile = channel.clone();
        // In the middle of the write of the last one.
        *target.interrupt.lock().unwrap() = Some(Box::new(move || {
            for number in 0..received {
                let message = meanwhile.try_recv().expect("a message");
                assert_eq!((message.is_lent(), message[0]), (false, number));
            }
            // Nor does another step begin.
            assert_eq!(meanwhile.step(usize::MAX), Stepped::default());
        }));
        let stepped = channel.step(usize::MAX);
        let moved = u32::from(received < 3);
        assert_eq!((stepped.out, spill.snapshot().dropped), (moved, 1 - moved));
        for number in received..3 {
            assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
        }
        assert!(channel.try_recv().is_err());
        drop(wall);
        assert_clean(spill.snapshot());
        // Memory for one message is the channel's.
        assert_eq!((arena.snapshot().live, target.is_misused()), (1, false));
    }
}

/// So can one that is being copied back. Its extent is not used again before it was read.
#[test]
fn what_is_received_while_it_is_moved_back_is_received_once() {
    let (arena, target) = (leaked(Arena::<Lock, 9, 64, 9>::new()), leaked(Faulty::default()));
    let spill = leaked(Spill::over(arena, target, Watermarks::new(50, 50)));
    let channel = Arc::new(Ring::new(spill, Policy::ColdFirst));
    let wall = arena.try_alloc(8 * 64).expect("memory");
    for number in 0..3 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    drop(wall);
    let meanwhile = channel.clone();
    *target.interrupt.lock().unwrap() = Some(Box::new(move || {
        assert_eq!(*meanwhile.try_recv().expect("a message"), [0; 64]);
        // Its reader has it still.
        assert_eq!((target.held(), spill.snapshot().messages), (3, 2));
    }));
    // The first was received; of the others two are the next.
    assert_eq!(channel.step(usize::MAX).back, 2);
    assert_eq!((target.held(), target.is_misused()), (0, false));
    for number in 1..3 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
    assert_clean(spill.snapshot());
    assert_eq!(arena.snapshot().live, 1);
}

/// A policy that drops a value on its way in counts it, and then messages have other numbers: what has been copied is not put in another one's
/// place.
#[test]
fn a_copy_is_put_in_its_own_place_only() {
    type Dropping = SpillBytes<'static, Lock, Buffered<4, DropNewest>>;
    let (arena, target) = (leaked(Arena::<Lock, 16, 64, 16>::new()), leaked(Faulty::default()));
    let spill = leaked(Spill::over(arena, target, Watermarks::new(50, 50)));
    let channel = leaked(Dropping::new(spill, Policy::ColdFirst));
    let wall = || arena.try_alloc(10 * 64).expect("memory");
    for number in 0..4 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    let mut taken = Some(wall());
    *target.interrupt.lock().unwrap() = Some(Box::new(move || {
        drop(taken.take());
        channel.try_send_bytes(&[9; 64]).expect("it is dropped");
    }));
    assert_eq!((channel.step(usize::MAX).out, channel.snapshot().dropped), (0, 1));

    // The other way: all are out, the first one cannot be read, and the second one is being read.
    let taken = wall();
    assert_eq!(channel.step(usize::MAX).out, 4);
    drop(taken);
    *target.interrupt.lock().unwrap() = Some(Box::new(move || {
        target.set(Mood::Broken);
        *target.interrupt.lock().unwrap() = Some(Box::new(move || {
            target.set(Mood::Well);
            channel.try_send_bytes(&[9; 64]).expect("it is dropped");
        }));
    }));
    channel.step(usize::MAX);
    assert_eq!(channel.snapshot().dropped, 2);
    for number in 0..4 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
    assert_clean(spill.snapshot());
    assert!(!target.is_misused());
}

fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}
