//! Interrupts between the critical sections of a channel's operations, one within the other.
//!
//! The lock of these channels calls an "interrupt handler" right after its n-th release, and another one within
//! that handler. Each test tries every pair of places. On several cores the same happens without interrupts:
//! the first operation stands still, a second one looks, a third one helps.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use cloakroom::channel::{Buffered, Channel, Rendezvous};
use cloakroom::select::select;
use cloakroom::sync::RawMutex;
use cloakroom::{TryRecvError, TrySendError};

type Handler = Box<dyn FnOnce()>;

thread_local! {
    /// The first: critical sections until it comes, and what it does. The next one counts from there.
    static INTERRUPTS: RefCell<VecDeque<(usize, Handler)>> = const { RefCell::new(VecDeque::new()) };
}

struct Lock;

// SAFETY: one thread, no preemption inside the closure, and not `Sync` channels.
unsafe impl RawMutex for Lock {
    const INIT: Self = Self;
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let result = f();
        let due = INTERRUPTS.with_borrow_mut(|interrupts| match interrupts.front_mut() {
            Some((0, _)) => interrupts.pop_front(),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        });
        if let Some((_, handler)) = due {
            handler();
        }
        result
    }
}

type Ring<const N: usize> = Channel<Lock, u8, Buffered<N>>;
type Meet = Channel<Lock, u8, Rendezvous>;

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Runs `operation`, interrupted by `first` and that by `second`, at every pair of places there is.
fn at_every_place<S: Copy + 'static>(
    scene: impl Fn() -> S,
    operation: impl Fn(S),
    first: impl Fn(S) + Copy + 'static,
    second: impl Fn(S) + Copy + 'static,
) {
    let mut both = 0;
    for outer in 0.. {
        for inner in 0.. {
            let scene = scene();
            INTERRUPTS.with_borrow_mut(|interrupts| {
                interrupts.push_back((outer, Box::new(move || first(scene))));
                interrupts.push_back((inner, Box::new(move || second(scene))));
            });
            operation(scene);
            let left = INTERRUPTS.with_borrow_mut(std::mem::take).len();
            match left {
                0 => both += 1,
                1 => break,
                _ => {
                    assert!(both > 0, "no interrupt was interrupted");
                    return;
                }
            }
        }
    }
}

/// Two selects that wait in line and have been decided elsewhere are nobody to wait for.
#[test]
fn full_is_honest_while_lost_arms_are_cleared_away() {
    at_every_place(
        || {
            let (ring, others) = (leak(Ring::<1>::new()), leak([Ring::<1>::new(), Ring::new()]));
            ring.try_send(0).expect("empty");
            for other in others {
                let mut arm = Box::pin(select((ring.send(1), other.recv())));
                assert!(!poll(&mut arm));
                Box::leak(Box::new(arm));
                other.try_send(9).expect("claims the other arm");
            }
            ring
        },
        |ring| assert_eq!(ring.try_recv(), Ok(0)),
        |ring| {
            if ring.is_empty() {
                assert_eq!(ring.try_send(5), Ok(()), "there is room, and nobody waits for it");
            }
        },
        |ring| drop(ring.try_reserve()),
    );
}

#[test]
fn a_slot_can_be_had_while_lost_arms_are_cleared_away() {
    at_every_place(
        || {
            let (ring, others) = (leak(Ring::<1>::new()), leak([Ring::<1>::new(), Ring::new()]));
            ring.try_send(0).expect("empty");
            for other in others {
                let mut arm = Box::pin(select((ring.send(1), other.recv())));
                assert!(!poll(&mut arm));
                Box::leak(Box::new(arm));
                other.try_send(9).expect("claims the other arm");
            }
            ring
        },
        |ring| assert_eq!(ring.try_recv(), Ok(0)),
        |ring| {
            if ring.is_empty() {
                assert!(ring.try_reserve().is_ok(), "there is room, and nobody waits for it");
            }
        },
        |ring| drop(ring.try_reserve()),
    );
}

#[test]
fn empty_is_honest_while_lost_arms_are_cleared_away() {
    at_every_place(
        || {
            let (ring, others) = (leak(Ring::<2>::new()), leak([Ring::<1>::new(), Ring::new()]));
            for other in others {
                let mut arm = Box::pin(select((ring.recv(), other.recv())));
                assert!(!poll(&mut arm));
                Box::leak(Box::new(arm));
                other.try_send(9).expect("claims the other arm");
            }
            ring
        },
        |ring| assert_eq!(ring.try_send(7), Ok(())),
        |ring| {
            if !ring.is_empty() {
                assert_eq!(ring.try_recv(), Ok(7), "it is there, and nobody waits for it");
            }
        },
        |ring| drop(ring.try_reserve()),
    );
}

/// Whoever waits for a permit on a rendezvous cannot send any more once it is closed.
#[test]
fn closed_is_closed_while_those_who_wait_are_sent_away() {
    at_every_place(
        || {
            let meet = leak(Meet::new());
            let mut reserve = Box::pin(meet.reserve());
            assert!(!poll(&mut reserve));
            Box::leak(Box::new(reserve));
            meet
        },
        |meet| assert!(meet.close()),
        |meet| assert_eq!(meet.try_recv(), Err(TryRecvError::Closed), "nothing can come"),
        |meet| assert_eq!(meet.try_send(1), Err(TrySendError::Closed(1))),
    );
}
