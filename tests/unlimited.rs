//! Unlimited channels and the memory they live on.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use cloakroom::channel::{Channel, Unlimited};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cloakroom::{Arena, TryAllocError, TrySendError};

type Memory = Arena<Lock, 4, 64, 4>;
type Subject<'a> = Channel<Lock, u64, Unlimited<'a, Lock, 1>>;

/// Takes all memory that is left, piece by piece.
fn take_the_rest(arena: &Memory) -> Vec<cloakroom::LeaseMut<'_, Lock>> {
    let rest: Vec<_> = std::iter::from_fn(|| arena.try_alloc(64).ok()).collect();
    assert_eq!(arena.try_alloc(1).err(), Some(TryAllocError::Full));
    rest
}

#[test]
fn a_newcomer_gets_memory_of_its_own_when_the_free_slot_is_promised() {
    let arena = Memory::new();
    let channel: Channel<Lock, u64, Unlimited<'_, Lock, 2>> = Channel::over(&arena);
    let rest = take_the_rest(&arena);
    let (mut first, mut second) = (pin!(channel.send(1)), pin!(channel.send(2)));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(cx).is_pending(), "no memory");
    assert!(second.as_mut().poll(cx).is_pending(), "no memory");

    drop(rest);
    // The first adds a segment of two slots; the other slot is the second's, who has not been polled.
    assert!(first.poll(cx).is_ready());
    channel.try_send(3).expect("memory for a slot of its own");
    assert!(second.poll(cx).is_ready());
    assert_eq!([channel.try_recv(), channel.try_recv(), channel.try_recv()], [Ok(1), Ok(3), Ok(2)]);
}

#[test]
fn full_is_not_dead() {
    let arena = Memory::new();
    let channel = Subject::over(&arena);
    let sent = (0..).take_while(|&value| channel.try_send(value).is_ok()).count();
    assert_eq!(sent, 4, "one segment a page");
    for round in 0..100 {
        assert!(channel.try_recv().is_ok());
        assert!(channel.try_send(round).is_ok());
        assert_eq!(channel.try_send(0), Err(TrySendError::Full(0)));
    }
    drop(channel);
    assert_eq!(arena.snapshot().live, 0);
}

#[test]
fn a_waiting_sender_gets_memory_that_others_free() {
    let arena = Memory::new();
    let rest = take_the_rest(&arena);
    let channel = Subject::over(&arena);
    let (mut first, mut second) = (pin!(channel.send(1)), pin!(channel.send(2)));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(cx).is_pending());
    assert!(second.as_mut().poll(cx).is_pending());
    drop(rest);
    assert!(first.poll(cx).is_ready());
    assert!(second.poll(cx).is_ready());
    assert_eq!((channel.try_recv(), channel.try_recv()), (Ok(1), Ok(2)));
}

#[test]
fn closing_gives_waiting_senders_their_values_back() {
    let arena = Memory::new();
    let _rest = take_the_rest(&arena);
    let channel = Subject::over(&arena);
    let (mut first, mut second) = (pin!(channel.send(1)), pin!(channel.send(2)));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(cx).is_pending());
    assert!(second.as_mut().poll(cx).is_pending());
    channel.close();
    let back = |poll| match poll {
        std::task::Poll::Ready(Err(cloakroom::SendError(value))) => value,
        _ => panic!("not given back"),
    };
    assert_eq!((back(first.poll(cx)), back(second.poll(cx))), (1, 2));
}
