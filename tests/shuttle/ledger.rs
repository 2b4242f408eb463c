//! What was sent, and what was received.

use cloakroom::channel::{Channel, Compete, ConstStrategy};

use crate::shuttle_lock::PerObject as Lock;

/// Kinds that these mixes run on.
pub trait Kind: ConstStrategy<u32, Receipt = ()> + Compete<u32> + Send + Sync + 'static {}
impl<S: ConstStrategy<u32, Receipt = ()> + Compete<u32> + Send + Sync + 'static> Kind for S {}

/// What one thread has seen.
#[derive(Default, Debug)]
pub struct Ledger {
    /// Acknowledged, or taken out of a send that was given up before it could say so.
    pub sent: Vec<u32>,
    pub received: Vec<u32>,
}

/// Message `number` of a thread.
pub fn message(thread: usize, number: u32) -> u32 {
    thread as u32 * 100 + number
}

/// Compares what was sent with what arrived, or is left in the channels.
pub fn reconcile<S: Kind, Z: Kind>(
    ledgers: Vec<Ledger>,
    a: &Channel<Lock, u32, S>,
    b: &Channel<Lock, u32, Z>,
) {
    let story = format!("{ledgers:?}");
    let mut sent: Vec<u32> = ledgers.iter().flat_map(|ledger| ledger.sent.clone()).collect();
    let mut arrived: Vec<u32> = ledgers.iter().flat_map(|ledger| ledger.received.clone()).collect();
    let counted = (a.snapshot().sent + b.snapshot().sent) as usize;
    assert_eq!(counted, sent.len(), "counted as sent: {story}");
    let counted = (a.snapshot().received + b.snapshot().received) as usize;
    assert_eq!(counted, arrived.len(), "counted as received: {story}");
    arrived.extend(std::iter::from_fn(|| a.try_recv().ok()));
    arrived.extend(std::iter::from_fn(|| b.try_recv().ok()));
    for snapshot in [a.snapshot(), b.snapshot()] {
        assert_eq!(snapshot.sent, snapshot.received + snapshot.dropped, "{snapshot:?}");
        assert_eq!(snapshot.depth, 0);
    }
    sent.sort_unstable();
    arrived.sort_unstable();
    assert_eq!(sent, arrived, "sent, and received or left: {story}");
}

/// Messages that one thread received from one channel come in the order in which each thread sent them.
pub fn assert_in_order(received: &[u32], story: &str) {
    for (at, value) in received.iter().enumerate() {
        let late = received[at..].iter().find(|&later| later / 100 == value / 100 && later < value);
        assert_eq!(late, None, "overtaken by {value}: {story}");
    }
}
