//! Operations that are closed, cancelled and timed out under way.

use std::pin::pin;

use cloakroom::channel::{Buffered, Channel, Rendezvous};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError};
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::limit::Operation;
use cloakroom::select::{Either3, select};

use crate::ledger::{Kind, Ledger, message, reconcile};
use crate::shuttle_lock::{PerObject as Lock, below, explore, together};

struct Hall<A: Kind, B: Kind> {
    a: Channel<Lock, u32, A>,
    b: Channel<Lock, u32, B>,
    cancel: CancelToken<Lock>,
    timers: Timers<Lock>,
}

impl<A: Kind, B: Kind> Hall<A, B> {
    /// Closes, cancels and lets time pass, in any order, and in the end all of it.
    fn disturb(&self) {
        for now in 1..=3 {
            match below(4) {
                0 => drop(self.a.close()),
                1 => drop(self.b.close()),
                2 => self.cancel.cancel(),
                _ => self.timers.advance(now),
            }
        }
        self.timers.advance(100);
        self.cancel.cancel();
        self.a.close();
        self.b.close();
    }

    /// One operation. Whatever ends it, `value` was sent or is given back.
    async fn operate(&self, value: u32, ledger: &mut Ledger) {
        let child = pin!(self.cancel.child());
        let cancelled = child.as_ref().cancelled();
        let sleep = self.timers.at(u64::from(below(5)));
        match below(6) {
            0 => {
                let send = self.a.send(value).deadline(sleep).cancelled_by(cancelled);
                finish(value, send.await, ledger);
            }
            1 => finish(value, self.b.send(value).cancelled_by(cancelled).await, ledger),
            2 => {
                let recv = self.a.recv().cancelled_by(cancelled).deadline(sleep);
                ledger.received.extend(recv.await.ok());
            }
            3 => match self.b.recv().cancelled_by(cancelled).await {
                Err(RecvTimeoutError::Timeout) => panic!("it had no deadline"),
                received => ledger.received.extend(received.ok()),
            },
            4 => {
                let mut send = pin!(self.a.send(value));
                let outcome = select((send.as_mut(), self.b.recv(), sleep)).await;
                let back = send.take_value();
                match outcome {
                    Either3::First(Ok(())) => {
                        assert_eq!(back, None);
                        ledger.sent.push(value);
                    }
                    Either3::First(Err(error)) => {
                        assert_eq!((error.into_inner(), back), (value, None))
                    }
                    Either3::Second(received) => {
                        assert_eq!(back, Some(value), "a losing send went through");
                        ledger.received.extend(received.ok());
                    }
                    Either3::Third(()) => {
                        assert_eq!(back, Some(value), "a losing send went through")
                    }
                }
            }
            _ => {
                let mut send = pin!(self.b.send(value));
                let outcome = select((self.a.recv(), send.as_mut(), self.b.closed())).await;
                let back = send.take_value();
                match outcome {
                    Either3::Second(Ok(())) => {
                        assert_eq!(back, None);
                        ledger.sent.push(value);
                    }
                    Either3::Second(Err(error)) => {
                        assert_eq!((error.into_inner(), back), (value, None));
                    }
                    Either3::First(received) => {
                        assert_eq!(back, Some(value), "a losing send went through");
                        ledger.received.extend(received.ok());
                    }
                    Either3::Third(()) => {
                        assert!(self.b.is_closed());
                        assert_eq!(back, Some(value), "a losing send went through");
                    }
                }
            }
        }
    }
}

fn finish(value: u32, sent: Result<(), SendTimeoutError<u32>>, ledger: &mut Ledger) {
    match sent {
        Ok(()) => ledger.sent.push(value),
        Err(error) => assert_eq!(error.into_inner(), value),
    }
}

fn model<A: Kind, B: Kind>() {
    const THREADS: usize = 3;
    let hall = Hall::<A, B> {
        a: Channel::new(),
        b: Channel::new(),
        cancel: CancelToken::new(),
        timers: Timers::new(),
    };
    let ledgers = together(THREADS + 1, async |number| {
        let mut ledger = Ledger::default();
        if number == THREADS {
            hall.disturb();
        } else {
            for count in 0..2 {
                hall.operate(message(number, count), &mut ledger).await;
            }
        }
        ledger
    });
    assert_eq!(hall.timers.next_deadline(), None, "a sleep that nobody waits for");
    reconcile(ledgers, &hall.a, &hall.b);
}

#[test]
fn rendezvous() {
    explore(model::<Rendezvous, Rendezvous>);
}

#[test]
fn buffered() {
    explore(model::<Buffered<1>, Buffered<2>>);
}

#[test]
fn mixed() {
    explore(model::<Rendezvous, Buffered<1>>);
}
