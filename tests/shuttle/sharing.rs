//! One value for several: broadcasts whose subscribers come and go, and messages that go to all channels or to
//! none.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use cloakroom::Arena;
use cloakroom::channel::{
    Broadcast, Buffered, Bytes, Channel, ConstStrategy, Delivery, DropOldest, Listen, Wait,
    fan_out_all, try_fan_out_all,
};

use crate::ledger::{assert_in_order, message};
use crate::shuttle_lock::{PerObject as Lock, below, explore, together};

const SENDERS: usize = 2;

/// Two senders. Two subscribers from the start, who read to the end; with them others, who come, poll a few
/// times and go.
fn broadcast<S: ConstStrategy<u32, Receipt = ()> + Listen<u32> + Send + Sync, const WAITS: bool>() {
    const FAITHFUL: usize = 2;
    const FICKLE: usize = 2;
    let channel: Channel<Lock, u32, S> = Channel::new();
    let sending = AtomicUsize::new(SENDERS);
    let mut faithful: Vec<_> = (0..FAITHFUL).map(|_| Some(channel.subscribe())).collect();
    let read = together(SENDERS + FAITHFUL + FICKLE, |number| {
        let faithful = number.checked_sub(SENDERS).and_then(|at| faithful.get_mut(at)?.take());
        let (channel, sending) = (&channel, &sending);
        async move {
            let mut read = vec![];
            if let Some(mut subscriber) = faithful {
                while let Ok(delivery) = subscriber.recv().await {
                    read.push(delivery);
                }
            } else if number < SENDERS {
                for count in 0..3 {
                    channel.send(message(number, count)).await.expect("open");
                }
                if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
                    channel.close();
                }
            } else {
                for _ in 0..2 {
                    let mut subscriber = channel.subscribe();
                    let mut values = vec![];
                    for _ in 0..below(3) {
                        let mut cx = Context::from_waker(Waker::noop());
                        if let Poll::Ready(Ok(delivery)) = pin!(subscriber.recv()).poll(&mut cx) {
                            values.extend(delivery.value());
                        }
                    }
                    assert_in_order(&values, "somebody who came later");
                }
            }
            read
        }
    });
    let orders: Vec<_> = read[SENDERS..][..FAITHFUL].iter().map(|read| numbered(read)).collect();
    for (number, (one, other)) in orders[0].iter().zip(&orders[1]).enumerate() {
        // Each may have missed values, but not read another one in their place.
        let agree = one.is_none() || other.is_none() || one == other;
        assert!(agree, "value {number}: {orders:?}");
    }
    let snapshot = channel.snapshot();
    assert_eq!(snapshot.sent as usize, SENDERS * 3);
    assert_eq!((snapshot.depth, snapshot.sent), (0, snapshot.received + snapshot.dropped));
    let mut missed = 0;
    for order in &orders {
        assert_eq!(order.len(), SENDERS * 3, "{orders:?}");
        let values: Vec<u32> = order.iter().flatten().copied().collect();
        assert_in_order(&values, "one who was there from the start");
        missed += order.len() - values.len();
    }
    // The others may have missed the rest.
    assert!(missed <= snapshot.lagged as usize, "{orders:?}, {snapshot:?}");
    assert!(!WAITS || snapshot.lagged == 0, "{orders:?}, {snapshot:?}");
}

/// All values since the subscription; `None` for one that was missed.
fn numbered(read: &[Delivery<u32>]) -> Vec<Option<u32>> {
    let numbered = read.iter().flat_map(|delivery| match *delivery {
        Delivery::Value(value) => vec![Some(value)],
        Delivery::Lagged(missed) => vec![None; missed as usize],
    });
    numbered.collect()
}

#[test]
fn a_broadcast_that_waits() {
    explore(broadcast::<Broadcast<1, Wait>, true>);
}

#[test]
fn a_longer_broadcast_that_waits() {
    explore(broadcast::<Broadcast<2, Wait>, true>);
}

#[test]
fn a_broadcast_that_drops() {
    explore(broadcast::<Broadcast<2, DropOldest>, false>);
}

/// Messages to both of two channels, in either order of them, awaited, tried or given up, beside messages to
/// one of them.
fn to_all() {
    const SOURCES: usize = 4;
    let arena: Arena<Lock, 16, 16, 16, 1> = Arena::new();
    {
        let lines: [Bytes<'_, Lock, Buffered<1>>; 2] = [Bytes::new(), Bytes::new()];
        let sending = AtomicUsize::new(SOURCES);
        // Of a source: what went to both. Of a receiver: what it received.
        let seen = together(SOURCES + 2, async |number| {
            let mut seen = vec![];
            if let Some(line) = number.checked_sub(SOURCES) {
                while let Ok(lease) = lines[line].recv().await {
                    seen.push(u32::from(lease[0]));
                }
                return seen;
            }
            for count in 0..2 {
                let value = message(number, count);
                let lease = || arena.try_alloc_from(&[value as u8]).expect("room");
                let [first, second] = &lines;
                match number {
                    0 => fan_out_all(&[first, second], lease()).await.expect("open"),
                    1 => fan_out_all(&[second, first], lease()).await.expect("open"),
                    2 => {
                        let sent = if below(2) == 0 {
                            try_fan_out_all(&[first, second], lease()).is_ok()
                        } else {
                            let mut cx = Context::from_waker(Waker::noop());
                            let both = [second, first];
                            pin!(fan_out_all(&both, lease())).poll(&mut cx).is_ready()
                        };
                        if !sent {
                            continue;
                        }
                    }
                    _ => {
                        let sent = lines[count as usize].send_bytes(arena.handle(), &[ONE]).await;
                        sent.expect("open");
                        continue;
                    }
                }
                seen.push(value);
            }
            if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
                for line in &lines {
                    line.close();
                }
            }
            seen
        });
        let mut sent = seen[..SOURCES].concat();
        sent.push(u32::from(ONE));
        sent.sort_unstable();
        for received in &seen[SOURCES..] {
            let mut received = received.clone();
            let to_all = received.iter().copied().filter(|&value| value != u32::from(ONE));
            assert_in_order(&to_all.collect::<Vec<_>>(), "to all");
            received.sort_unstable();
            assert_eq!(received, sent, "to both, or to neither: {seen:?}");
        }
    }
    assert!(arena.handle().verify().is_clean());
    assert_eq!(arena.snapshot().live, 0, "a message was not freed");
}

/// What goes to one channel only, once to each.
const ONE: u8 = 255;

#[test]
fn messages_to_all_or_none() {
    explore(to_all);
}
