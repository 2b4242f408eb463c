//! Fan-in: from each of three channels somebody carries messages to a common one, with a permit for it that
//! is held while the next message is waited for.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use cloakroom::channel::{Buffered, Channel, Rendezvous};

use crate::ledger::{Kind, Ledger, assert_in_order, message, reconcile};
use crate::shuttle_lock::{PerObject as Lock, below, explore, together};

const SOURCES: usize = 3;
const MESSAGES: u32 = 2;

struct Hall<S: Kind> {
    sources: [Channel<Lock, u32, Buffered<1>>; SOURCES],
    common: Channel<Lock, u32, S>,
    carrying: AtomicUsize,
}

impl<S: Kind> Hall<S> {
    /// Sends, with a permit or without, and closes.
    async fn produce(&self, number: usize) {
        let source = &self.sources[number];
        for count in 0..MESSAGES {
            let value = message(number, count);
            match below(3) {
                0 => source.send(value).await.expect("open"),
                1 => source.reserve().await.expect("open").send(value),
                _ => {
                    // A change of mind in between.
                    drop(source.reserve().await.expect("open"));
                    source.send(value).await.expect("open");
                }
            }
        }
        source.close();
    }

    /// Carries what comes; the last one closes.
    async fn carry(&self, number: usize, ledger: &mut Ledger) {
        loop {
            let permit = self.common.reserve().await.expect("open");
            if below(4) == 0 {
                continue;
            }
            let Ok(value) = self.sources[number].recv().await else { break };
            permit.send(value);
            ledger.sent.push(value);
        }
        if self.carrying.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.common.close();
        }
    }

    /// Receives all, and now and then goes away from a receive that others count on.
    async fn consume(&self, ledger: &mut Ledger) {
        loop {
            if below(3) == 0 {
                let recv = pin!(self.common.recv());
                let mut cx = Context::from_waker(Waker::noop());
                if let Poll::Ready(Ok(value)) = recv.poll(&mut cx) {
                    ledger.received.push(value);
                }
            }
            let Ok(value) = self.common.recv().await else { return };
            ledger.received.push(value);
        }
    }
}

fn model<S: Kind>() {
    let hall = Hall::<S> {
        sources: Default::default(),
        common: Channel::new(),
        carrying: AtomicUsize::new(SOURCES),
    };
    let ledgers = together(2 * SOURCES + 1, async |number| {
        let mut ledger = Ledger::default();
        match number {
            0..SOURCES => hall.produce(number).await,
            _ if number < 2 * SOURCES => hall.carry(number - SOURCES, &mut ledger).await,
            _ => {
                hall.consume(&mut ledger).await;
                assert_in_order(&ledger.received, "all of a source came one way");
            }
        }
        ledger
    });
    let sent: usize = ledgers.iter().map(|ledger| ledger.sent.len()).sum();
    assert_eq!(sent, SOURCES * MESSAGES as usize);
    assert!(hall.common.is_empty(), "closed before everything was received");
    let none: Channel<Lock, u32, S> = Channel::new();
    reconcile(ledgers, &hall.common, &none);
}

#[test]
fn to_a_rendezvous() {
    explore(model::<Rendezvous>);
}

#[test]
fn to_one_slot() {
    explore(model::<Buffered<1>>);
}

#[test]
fn to_two_slots() {
    explore(model::<Buffered<2>>);
}
