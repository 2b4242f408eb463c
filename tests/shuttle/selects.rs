//! Selects with arms that send and receive, on two channels.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use cloakroom::channel::{Buffered, Channel, Rendezvous};
use cloakroom::select::{Either, Either4, select};
use shuttle::thread::yield_now;

use crate::ledger::{Kind, Ledger, message, reconcile};
use crate::shuttle_lock::{PerObject as Lock, below, explore, together};

struct Hall<A: Kind, B: Kind> {
    a: Channel<Lock, u32, A>,
    b: Channel<Lock, u32, B>,
    /// Messages to be received before the channels are closed.
    missing: AtomicUsize,
    /// Threads that may send.
    sending: AtomicUsize,
}

impl<A: Kind, B: Kind> Hall<A, B> {
    fn new(missing: usize, sending: usize) -> Self {
        let (missing, sending) = (AtomicUsize::new(missing), AtomicUsize::new(sending));
        Self { a: Channel::new(), b: Channel::new(), missing, sending }
    }

    fn received(&self, value: u32, ledger: &mut Ledger) {
        ledger.received.push(value);
        self.close_at_end_of(&self.missing);
    }

    fn close_at_end_of(&self, count: &AtomicUsize) {
        if count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.a.close();
            self.b.close();
        }
    }

    /// A select over all four arms, in one of two orders, awaited or polled a few times. Whether `value`
    /// was sent; the arm that sends to `b` has one of its own.
    async fn any_of_four(&self, value: u32, polls: Option<u32>, ledger: &mut Ledger) -> bool {
        let values = [value, value + 50];
        let mut to_a = pin!(self.a.send(values[0]));
        let mut to_b = pin!(self.b.send(values[1]));
        let (from_a, from_b) = (self.a.recv(), self.b.recv());
        // Who comes first matters when several arms are ready.
        let outcome = if below(2) == 0 {
            let arms = (to_a.as_mut(), from_b, to_b.as_mut(), from_a);
            match perhaps(pin!(select(arms)), polls).await {
                Some(Either4::First(sent)) => Some(Either::First((0, sent))),
                Some(Either4::Third(sent)) => Some(Either::First((1, sent))),
                Some(Either4::Second(value) | Either4::Fourth(value)) => {
                    Some(Either::Second(value))
                }
                None => None,
            }
        } else {
            let arms = (from_a, to_b.as_mut(), from_b, to_a.as_mut());
            match perhaps(pin!(select(arms)), polls).await {
                Some(Either4::Fourth(sent)) => Some(Either::First((0, sent))),
                Some(Either4::Second(sent)) => Some(Either::First((1, sent))),
                Some(Either4::First(value) | Either4::Third(value)) => Some(Either::Second(value)),
                None => None,
            }
        };
        let back = [to_a.as_mut().take_value(), to_b.as_mut().take_value()];
        let gone: Vec<usize> = (0..2).filter(|&arm| back[arm].is_none()).collect();
        match outcome {
            Some(Either::First((arm, sent))) => {
                assert_eq!(gone, [arm], "sent by one arm");
                sent.expect("open while there is something to send");
            }
            Some(Either::Second(value)) => {
                assert!(gone.is_empty(), "a losing send went through");
                self.received(value.expect("open while there is something to send"), ledger);
            }
            // It may have met a receiver, and was dropped before it could say so.
            None => assert!(gone.len() <= 1, "two arms happened"),
        }
        ledger.sent.extend(gone.iter().map(|&arm| values[arm]));
        !gone.is_empty()
    }

    /// Receives from both until both are closed and empty.
    async fn receive_all(&self, ledger: &mut Ledger) {
        loop {
            let received = match select((self.a.recv(), self.b.recv())).await {
                Either::First(Err(_)) => self.b.recv().await,
                Either::Second(Err(_)) => self.a.recv().await,
                Either::First(value) | Either::Second(value) => value,
            };
            let Ok(value) = received else { return };
            self.received(value, ledger);
        }
    }
}

/// Awaits a future, or polls it so many times at most.
async fn perhaps<F: Future>(mut future: Pin<&mut F>, polls: Option<u32>) -> Option<F::Output> {
    let Some(polls) = polls else { return Some(future.await) };
    for _ in 0..polls {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        yield_now();
    }
    None
}

/// Threads that send two messages each, and receive whatever comes, until all has been received.
fn awaited<A: Kind, B: Kind>() {
    const THREADS: usize = 3;
    const MESSAGES: u32 = 2;
    let hall = Hall::<A, B>::new(THREADS * MESSAGES as usize, THREADS);
    let ledgers = together(THREADS, async |number| {
        let mut ledger = Ledger::default();
        for count in 0..MESSAGES {
            while !hall.any_of_four(message(number, count), None, &mut ledger).await {}
        }
        hall.receive_all(&mut ledger).await;
        ledger
    });
    reconcile(ledgers, &hall.a, &hall.b);
}

/// Two threads whose selects are dropped at any poll, one that sends, one that receives: these two are
/// passed what the others were promised.
fn dropped<A: Kind, B: Kind>() {
    const FICKLE: usize = 2;
    let hall = Hall::<A, B>::new(usize::MAX, FICKLE + 1);
    let ledgers = together(FICKLE + 2, async |number| {
        let mut ledger = Ledger::default();
        match number {
            0..FICKLE => {
                for count in 0..3 {
                    hall.any_of_four(message(number, count), Some(below(4)), &mut ledger).await;
                }
            }
            FICKLE => {
                for (count, value) in
                    [message(number, 0), message(number, 1)].into_iter().enumerate()
                {
                    let sent = if count == 0 {
                        hall.a.send(value).await
                    } else {
                        hall.b.send(value).await
                    };
                    sent.expect("open while there is something to send");
                    ledger.sent.push(value);
                }
            }
            _ => {
                hall.receive_all(&mut ledger).await;
                return ledger;
            }
        }
        hall.close_at_end_of(&hall.sending);
        ledger
    });
    reconcile(ledgers, &hall.a, &hall.b);
}

macro_rules! on_channels {
    ($($name:ident: $model:ident<$a:ty, $b:ty>;)*) => {
        $(#[test] fn $name() { explore($model::<$a, $b>); })*
    };
}

on_channels! {
    rendezvous_awaited: awaited<Rendezvous, Rendezvous>;
    buffered_awaited: awaited<Buffered<1>, Buffered<2>>;
    mixed_awaited: awaited<Rendezvous, Buffered<1>>;
    rendezvous_dropped: dropped<Rendezvous, Rendezvous>;
    buffered_dropped: dropped<Buffered<1>, Buffered<2>>;
    mixed_dropped: dropped<Rendezvous, Buffered<1>>;
}
