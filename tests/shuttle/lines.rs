//! Three senders, three receivers.

use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom::channel::{Buffered, Channel, Rendezvous};

use crate::ledger::{Kind, Ledger, assert_in_order, message, reconcile};
use crate::shuttle_lock::{PerObject as Lock, explore, together};

const SENDERS: usize = 3;
const RECEIVERS: usize = 3;
const MESSAGES: u32 = 2;

/// One thread's part. The last sender closes.
async fn part<S: Kind>(
    number: usize,
    channel: &Channel<Lock, u32, S>,
    sending: &AtomicUsize,
) -> Ledger {
    let mut ledger = Ledger::default();
    if number < SENDERS {
        for count in 0..MESSAGES {
            let value = message(number, count);
            channel.send(value).await.expect("open");
            ledger.sent.push(value);
        }
        if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
            assert!(channel.close());
        }
    } else {
        while let Ok(value) = channel.recv().await {
            ledger.received.push(value);
        }
        assert_in_order(&ledger.received, "a receiver");
    }
    ledger
}

fn model<S: Kind>() {
    let channel: Channel<Lock, u32, S> = Channel::new();
    let sending = AtomicUsize::new(SENDERS);
    let parts = together(SENDERS + RECEIVERS, |number| part(number, &channel, &sending));
    assert!(channel.is_empty(), "closed before everything was received");
    let none: Channel<Lock, u32, S> = Channel::new();
    reconcile(parts, &channel, &none);
}

#[test]
fn rendezvous() {
    explore(model::<Rendezvous>);
}

#[test]
fn one_slot() {
    explore(model::<Buffered<1>>);
}

#[test]
fn two_slots() {
    explore(model::<Buffered<2>>);
}
