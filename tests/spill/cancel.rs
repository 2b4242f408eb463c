//! Receives and sends that are dropped at any moment lose nothing, and leave nothing behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use cloakroom::Arena;
use cloakroom::channel::Buffered;
use cloakroom::spill::{Policy, Spill, SpillBytes, Stepped, TrySpillRecvError, Watermarks};
use proptest::prelude::*;

use crate::fixture::{Faulty, Lock, Mood, assert_clean, poll};

type Ring<'a> = SpillBytes<'a, Lock, Buffered<16>>;

/// A receive that is polled so often, and dropped then: the next one finds what it would have found.
#[test]
fn a_receive_that_waits_for_memory_and_goes_away_leaves_its_message_in_front() {
    // Memory for one message is kept by the channel; there would be some for another one, but for a wall.
    let (arena, target) = (Arena::<Lock, 8, 64, 8>::new(), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    for number in 0..6 {
        channel.try_send_bytes(&[number; 256]).expect("room");
    }
    let wall = arena.try_alloc(1).expect("memory");
    let first = channel.try_recv().expect("there is memory for one");
    assert!(first.is_lent());
    for polls in 0..4 {
        let mut receive = pin!(channel.recv());
        for _ in 0..polls {
            assert!(poll(receive.as_mut()).is_pending());
        }
    }
    assert_eq!(channel.len(), 5);
    assert_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Memory));
    assert_eq!((channel.len(), channel.snapshot().depth), (5, 4));
    {
        // Two wait; the first goes away, and the second has its message.
        let mut other = pin!(channel.recv());
        {
            let mut one = pin!(channel.recv());
            assert!(poll(one.as_mut()).is_pending());
            assert!(poll(other.as_mut()).is_pending());
            // It has its turn.
            assert_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Empty));
        }
        assert!(poll(other.as_mut()).is_pending());
        drop(wall);
        let Poll::Ready(Ok(message)) = poll(other.as_mut()) else { panic!("there is memory") };
        assert_eq!((message.is_lent(), &*message), (false, &[1; 256][..]));
    }
    // The channel's own comes back.
    let wall = arena.try_alloc(1).expect("memory");
    {
        let mut receive = pin!(channel.recv());
        assert!(poll(receive.as_mut()).is_pending());
        assert_eq!(*first, [0; 256]);
        drop(first);
        let Poll::Ready(Ok(message)) = poll(receive.as_mut()) else { panic!("there is memory") };
        assert_eq!((message.is_lent(), &*message), (true, &[2; 256][..]));
    }
    for number in 3..6 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 256]);
    }
    assert_clean(spill.snapshot());
    drop((wall, channel));
    assert_eq!((arena.snapshot().live, arena.snapshot().waiting), (0, 0));
    assert!(!target.is_misused());
}

/// Of all things, memory is taken by messages behind the one that is to be copied back, and the target is full: it goes on.
#[test]
fn a_full_arena_does_not_keep_the_next_message_out() {
    let (arena, target) = (Arena::<Lock, 8, 64, 8>::new(), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(75, 50));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let wall = arena.try_alloc(6 * 64).expect("memory");
    for number in 0..4 {
        channel.try_send_bytes(&[number; 64]).expect("room in the target");
    }
    target.set(Mood::Full);
    drop(wall);
    let sent = (4..16).find(|&number| channel.try_send_bytes(&[number; 64]).is_err());
    assert_eq!((sent, arena.snapshot().free), (Some(11), 0));
    for number in 0..11 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
    assert_clean(spill.snapshot());
}

/// A target that panics ends that call, and no more: nothing stays taken.
#[test]
fn a_target_that_panics_leaves_all_in_order() {
    let (arena, target) = (Arena::<Lock, 8, 64, 8>::new(), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(75, 50));
    let channel = Ring::new(&spill, Policy::ColdFirst);
    let panics = |call: &mut dyn FnMut()| {
        *target.interrupt.lock().unwrap() = Some(Box::new(|| panic!("as it was told to")));
        catch_unwind(AssertUnwindSafe(call)).expect_err("it has panicked");
    };
    for number in 0..5 {
        channel.try_send_bytes(&[number; 64]).expect("room");
    }
    // While it moves out, and while it stores.
    let wall = arena.try_alloc(2 * 64).expect("memory");
    panics(&mut || assert_eq!(channel.step(usize::MAX), Stepped::default()));
    assert_eq!(channel.step(usize::MAX).out, 5);
    let more = arena.try_alloc(4 * 64).expect("memory");
    panics(&mut || assert!(channel.try_send_bytes(&[9; 64]).is_err()));
    assert_eq!((channel.len(), spill.snapshot().messages), (5, 5));
    drop((wall, more));
    // While it moves back, and while it reads: then that message is gone, and counted.
    panics(&mut || assert_eq!(channel.step(usize::MAX), Stepped::default()));
    assert_eq!((channel.len(), channel.step(33).back), (5, 1));
    assert_eq!(*channel.try_recv().expect("a message"), [0; 64]);
    panics(&mut || assert!(channel.try_recv().is_err()));
    assert_eq!((spill.snapshot().dropped, spill.snapshot().reconciles()), (1, true));
    for number in 2..5 {
        assert_eq!(*channel.try_recv().expect("a message"), [number; 64]);
    }
    assert_clean(spill.snapshot());
    drop(channel);
    assert_eq!((arena.snapshot().live, target.is_misused()), (0, false));
}

#[test]
fn a_send_that_goes_away_frees_its_payload_and_writes_nothing() {
    let (arena, target) = (Arena::<Lock, 4, 64, 8>::new(), Faulty::default());
    let spill = Spill::over(&arena, &target, Watermarks::new(0, 0));
    let channel = SpillBytes::<Lock, Buffered<1>>::new(&spill, Policy::ColdFirst);
    channel.try_send_bytes(b"first").expect("room");
    {
        let mut lease = pin!(channel.send(arena.try_alloc(64).expect("memory")));
        let mut bytes = pin!(channel.send_bytes(b"second"));
        assert!(poll(lease.as_mut()).is_pending());
        assert!(poll(bytes.as_mut()).is_pending());
        // And the channel's own.
        assert_eq!(arena.snapshot().live, 2);
    }
    assert_eq!((target.held(), spill.snapshot().out, arena.snapshot().live), (1, 1, 1));
    assert_eq!(&*channel.try_recv().expect("a message"), b"first");
    assert_eq!(channel.try_recv().err(), Some(TrySpillRecvError::Empty));
}

/// A receive in a place: what it got, when it ended.
macro_rules! step {
    ($receives:ident, $at:ident, $got:ident) => {
        if let Some(receive) = &mut $receives[$at] {
            if let Poll::Ready(received) = poll(receive.as_mut()) {
                $receives[$at] = None;
                $got.push(received.expect("open, and whole"));
            }
        }
    };
}

proptest! {
    /// Three receivers that are polled and dropped as it comes, while memory comes and goes: every message, once, in order.
    #[test]
    fn receivers_that_come_and_go_get_every_message_once_in_order(
        steps in prop::collection::vec((0_u8..8, 0_usize..3), 1..200),
    ) {
        let (arena, target) = (Arena::<Lock, 4, 64, 8>::new(), Faulty::default());
        let spill = Spill::over(&arena, &target, Watermarks::new(50, 25));
        let channel = Ring::new(&spill, Policy::ColdFirst);
        let mut receives = [const { None }; 3];
        let (mut got, mut wall, mut sent, mut received) = (Vec::new(), None, 0_u32, 0_u32);
        for (what, at) in steps {
            match what {
                0 | 1 => sent += u32::from(channel.try_send_bytes(&sent.to_le_bytes().repeat(20)).is_ok()),
                2 => receives[at] = None,
                3 => wall = match wall { None => arena.try_alloc(150).ok(), Some(_) => None },
                4 => { channel.step(200); }
                _ => {
                    if receives[at].is_none() {
                        receives[at] = Some(Box::pin(channel.recv()));
                    }
                    step!(receives, at, got);
                }
            }
            for message in got.drain(..) {
                prop_assert_eq!(&message[..], &received.to_le_bytes().repeat(20)[..]);
                received += 1;
            }
        }
        receives = [const { None }; 3];
        drop((wall, receives));
        drop(got);
        while let Ok(message) = channel.try_recv() {
            prop_assert_eq!(&message[..], &received.to_le_bytes().repeat(20)[..]);
            received += 1;
        }
        drop(channel);
        prop_assert_eq!((sent, arena.snapshot().live, arena.snapshot().waiting), (received, 0, 0));
        prop_assert!(!target.is_misused());
        assert_clean(spill.snapshot());
    }
}
