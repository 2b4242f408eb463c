//! What is decided in the moment in which an operation is given up: rule 3.
//!
//! An operation with a limit looks at its channel, then at its limit, then gives up. Here the limit itself
//! changes the channel in between, as another core or an interrupt might: the match, or the closing, counts.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cloakroom::channel::{Buffered, Channel, ConstStrategy, Rendezvous};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError, StoppedError};
use cloakroom::limit::{Operation, Stopped};

use crate::pending::Tested;
use crate::{Ledger, Lock, Value, ended};

/// What the limit does before it comes true.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meanwhile {
    Nothing,
    Match,
    Close,
    /// In this order: the match counts.
    MatchThenClose,
}

const MEANWHILE: [Meanwhile; 4] =
    [Meanwhile::Nothing, Meanwhile::Match, Meanwhile::Close, Meanwhile::MatchThenClose];

/// Polls twice: once to wait, and once with the limit.
fn in_the_last_moment<F: Operation>(
    operation: F,
    cancels: bool,
    mut meanwhile: impl FnMut(),
) -> F::Limited {
    let mut waits = true;
    let limit = poll_fn(|_| {
        if std::mem::take(&mut waits) {
            return Poll::Pending;
        }
        meanwhile();
        Poll::Ready(())
    });
    let mut cx = Context::from_waker(Waker::noop());
    let (first, second) = if cancels {
        let mut limited = pin!(operation.cancelled_by(limit));
        (ended(limited.as_mut().poll(&mut cx)), ended(limited.as_mut().poll(&mut cx)))
    } else {
        let mut limited = pin!(operation.deadline(limit));
        (ended(limited.as_mut().poll(&mut cx)), ended(limited.as_mut().poll(&mut cx)))
    };
    assert!(first.is_none());
    second.expect("it has been given up")
}

/// Every operation that waits on a channel. `fill` values make senders wait.
fn operations<S: Tested + ConstStrategy<Value>>(fill: usize) {
    for meanwhile in MEANWHILE {
        for cancels in [false, true] {
            for operation in 0..4 {
                let context = format!("operation {operation}, {meanwhile:?}, cancels {cancels}");
                let ledger = Ledger::default();
                let channel: Channel<Lock, Value, S> = Channel::new();
                let matches = matches!(meanwhile, Meanwhile::Match | Meanwhile::MatchThenClose);
                let closes = matches!(meanwhile, Meanwhile::Close | Meanwhile::MatchThenClose);
                if matches!(operation, 1 | 2) {
                    for _ in 0..fill {
                        channel.try_send(ledger.value()).map_err(drop).expect("room");
                    }
                }
                let mut peer = Box::pin(channel.recv());
                let change = || {
                    match operation {
                        0 if matches => {
                            channel.try_send(ledger.value()).map_err(drop).expect("a receiver");
                        }
                        1 if matches => drop(channel.try_recv().expect("a sender")),
                        // A permit of a rendezvous needs a receiver that waits.
                        2 if matches && fill == 0 => {
                            let cx = &mut Context::from_waker(Waker::noop());
                            assert!(peer.as_mut().poll(cx).is_pending());
                        }
                        2 if matches => drop(channel.try_recv().expect("a value")),
                        _ => {}
                    }
                    if closes {
                        channel.close();
                    }
                };
                let before = channel.snapshot();
                let matched = match operation {
                    0 => {
                        let output = in_the_last_moment(channel.recv(), cancels, change);
                        let stopped = output.as_ref().err().copied();
                        let expected = match (matches, closes, cancels) {
                            (true, ..) => None,
                            (false, true, _) => Some(RecvTimeoutError::Closed),
                            (false, false, true) => Some(RecvTimeoutError::Cancelled),
                            (false, false, false) => Some(RecvTimeoutError::Timeout),
                        };
                        assert_eq!(stopped, expected, "{context}");
                        output.is_ok()
                    }
                    1 => {
                        let value = ledger.value();
                        let id = value.id;
                        let output = in_the_last_moment(channel.send(value), cancels, change);
                        match &output {
                            Ok(_) => assert!(matches, "{context}"),
                            Err(error) => {
                                let as_expected = match error {
                                    SendTimeoutError::Closed(_) => closes,
                                    SendTimeoutError::Cancelled(_) => !closes && cancels,
                                    SendTimeoutError::Timeout(_) => !closes && !cancels,
                                };
                                assert!(as_expected && !matches, "{context}");
                            }
                        }
                        let sent = output.is_ok();
                        if let Err(error) = output {
                            assert_eq!(error.into_inner().id, id, "{context}");
                        }
                        sent
                    }
                    2 => {
                        let output = in_the_last_moment(channel.reserve(), cancels, change);
                        let stopped = output.as_ref().err().copied();
                        let expected = match (matches, closes, cancels) {
                            (true, ..) => None,
                            (false, true, _) => Some(StoppedError::Closed),
                            (false, false, true) => Some(StoppedError::Cancelled),
                            (false, false, false) => Some(StoppedError::Timeout),
                        };
                        assert_eq!(stopped, expected, "{context}");
                        // It holds also after closing.
                        output.map(|permit| permit.send(ledger.value())).is_ok()
                    }
                    _ => {
                        let output = in_the_last_moment(channel.closed(), cancels, change);
                        let expected = match (closes, cancels) {
                            (true, _) => Ok(()),
                            (false, true) => Err(Stopped::Cancelled),
                            (false, false) => Err(Stopped::Timeout),
                        };
                        assert_eq!(output, expected, "{context}");
                        output.is_ok()
                    }
                };
                let after = channel.snapshot();
                let stopped = u32::from(!matched && !closes);
                assert_eq!(after.cancelled(), if cancels { stopped } else { 0 }, "{context}");
                assert_eq!(after.timeouts(), if cancels { 0 } else { stopped }, "{context}");
                let refused = !matched && closes && matches!(operation, 1 | 2);
                assert_eq!(after.refused - before.refused, u32::from(refused), "{context}");
                drop(peer);
                drop(channel);
                assert_eq!(ledger.wrong(), [0; 0], "{context}");
            }
        }
    }
}

#[test]
fn the_last_moment_counts() {
    operations::<Rendezvous>(0);
    operations::<Buffered<1>>(1);
    operations::<Buffered<2>>(2);
}
