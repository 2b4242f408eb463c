//! Every operation on messages, pending, with every ending: nothing stays behind.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cloakroom::Arena;
use cloakroom::channel::{
    Buffered, ByteRecvError, Bytes, BytesError, Compete, Conflated, Rendezvous, Unlimited,
};
use cloakroom::error::SendTimeoutError;
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::limit::Operation;
use cloakroom::sync::RawMutex;

use crate::Lock;

/// How a pending operation ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Dropped,
    Cancelled,
    TimedOut,
    Closed,
    /// What it waits for happens, and it is dropped before it knows.
    MatchedThenDropped,
}

const ENDINGS: [Ending; 5] = [
    Ending::Dropped,
    Ending::Cancelled,
    Ending::TimedOut,
    Ending::Closed,
    Ending::MatchedThenDropped,
];

/// Every operation of a message channel, pending, with every ending. `fill` messages make it full.
fn byte_operations<'a, S: Compete<cloakroom::Parcel<'a, M>>, M: RawMutex + Sync>(
    arena: &'a Arena<M, 64, 64, 32>,
    make: impl Fn() -> Bytes<'a, M, S>,
    fill: usize,
    senders_wait: bool,
) {
    let handle = arena.handle();
    let lease = || {
        let mut lease = handle.try_alloc(100).expect("plenty");
        lease.fill(7);
        lease
    };
    let mut cx = Context::from_waker(Waker::noop());
    for ending in ENDINGS {
        for operation in 0..4 {
            if operation > 0 && !senders_wait {
                continue;
            }
            let (timers, token): (Timers<M>, CancelToken<M>) = Default::default();
            let channel = make();
            if operation > 0 {
                for _ in 0..fill {
                    channel.try_send_bytes(handle, &[1; 70]).expect("room");
                }
            }
            let pending = Cell::new(true);
            let end = || {
                match ending {
                    Ending::Dropped => {}
                    Ending::Cancelled => token.cancel(),
                    Ending::TimedOut => timers.advance(10),
                    Ending::Closed => drop(channel.close()),
                    Ending::MatchedThenDropped if operation == 0 => {
                        channel.try_send(lease()).map_err(drop).expect("a receiver waits");
                    }
                    Ending::MatchedThenDropped => {
                        channel.try_recv().expect("a message, or a sender that waits");
                    }
                }
                pending.set(matches!(ending, Ending::Dropped | Ending::MatchedThenDropped));
            };
            let sent = |result: Poll<Result<S::Receipt, SendTimeoutError<_>>>| match result {
                Poll::Pending => None,
                Poll::Ready(Ok(_)) => panic!("sent"),
                Poll::Ready(Err(error)) => {
                    let ending = match &error {
                        SendTimeoutError::Closed(_) => Ending::Closed,
                        SendTimeoutError::Cancelled(_) => Ending::Cancelled,
                        SendTimeoutError::Timeout(_) => Ending::TimedOut,
                    };
                    let parcel: cloakroom::Parcel<'_, M> = error.into_inner();
                    let lease = parcel.redeem().expect("undamaged");
                    assert_eq!(&*lease, &[7; 100]);
                    Some(ending)
                }
            };
            let ended = match operation {
                0 => {
                    let recv = channel.recv().deadline(timers.at(10));
                    let mut recv = pin!(recv.cancelled_by(token.cancelled()));
                    assert!(recv.as_mut().poll(&mut cx).is_pending());
                    end();
                    if pending.get() { None } else { Some(recv.as_mut().poll(&mut cx)) }.map(
                        |ended| match ended {
                            Poll::Ready(Err(ByteRecvError::Closed)) => Ending::Closed,
                            Poll::Ready(Err(ByteRecvError::Cancelled)) => Ending::Cancelled,
                            Poll::Ready(Err(ByteRecvError::Timeout)) => Ending::TimedOut,
                            other => panic!("{:?}", other.map(|result| result.map(drop))),
                        },
                    )
                }
                1 | 2 => {
                    let send = if operation == 1 {
                        channel.send(lease())
                    } else {
                        channel.send_parcel(lease().into_parcel())
                    };
                    let send = send.deadline(timers.at(10)).cancelled_by(token.cancelled());
                    let mut send = pin!(send);
                    assert!(sent(send.as_mut().poll(&mut cx)).is_none());
                    end();
                    if pending.get() { None } else { sent(send.as_mut().poll(&mut cx)) }
                }
                _ => {
                    let mut send = pin!(channel.send_bytes(handle, &[7; 100]));
                    assert!(send.as_mut().poll(&mut cx).is_pending());
                    end();
                    match (ending, send.as_mut().poll(&mut cx)) {
                        (Ending::Closed, Poll::Ready(Err(BytesError::Closed))) => {}
                        (Ending::MatchedThenDropped, Poll::Ready(Ok(()))) => {}
                        (Ending::Closed | Ending::MatchedThenDropped, other) => panic!("{other:?}"),
                        (_, other) => assert!(other.is_pending()),
                    }
                    None
                }
            };
            if let Some(ended) = ended {
                assert_eq!(ended, ending);
            }
            drop(channel);
            let context = format!("operation {operation}, {ending:?}");
            assert_eq!(arena.snapshot().live, 0, "{context}");
            assert!(handle.verify().is_clean(), "{context}");
        }
    }
}

#[test]
fn operations_on_bytes_leave_nothing_behind() {
    let arena: Arena<Lock, 64, 64, 32> = Arena::new();
    byte_operations(&arena, Bytes::<Lock, Rendezvous>::new, 0, true);
    byte_operations(&arena, Bytes::<Lock, Buffered<1>>::new, 1, true);
    byte_operations(&arena, Bytes::<Lock, Buffered<3>>::new, 3, true);
    byte_operations(&arena, Bytes::<Lock, Conflated>::new, 1, false);
    byte_operations(&arena, || Bytes::<Lock, Unlimited<'_, Lock, 2>>::over(&arena), 0, false);
}
