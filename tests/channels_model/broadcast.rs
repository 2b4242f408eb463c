//! Broadcast channels against a list of values and a cursor for each subscriber.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cloakroom::channel::{
    Broadcast, Channel, ConstOverflow, Delivery, DropNewest, DropOldest, Overflow, SendFuture,
    Share, Subscriber, Wait,
};
use cloakroom::error::{TryRecvError, TrySendError};

use super::{Lock, Random};

const ROOM: usize = 3;

/// A value that is shared by a reference count.
struct Item(Arc<u64>);

// SAFETY: `Arc`'s clone is an addition.
unsafe impl Share for Item {
    fn share(&self) -> Option<Self> {
        Some(Self(self.0.clone()))
    }
}

type News<P> = Channel<Lock, Item, Broadcast<ROOM, P>>;
type Sending<'n, P> = Pin<Box<SendFuture<'n, Lock, Item, Broadcast<ROOM, P>>>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Policy {
    Waits,
    LosesNewest,
    LosesOldest,
}

/// What the channel is, with nothing left out.
#[derive(Default)]
struct Model {
    /// All values that ever got in, and how many of them have gone again.
    values: Vec<u64>,
    gone: usize,
    /// Where each subscriber is.
    cursors: BTreeMap<usize, usize>,
    /// How many have read each value.
    reads: Vec<usize>,
    sent: u32,
    received: u32,
    dropped: u32,
    delivered: u32,
    lagged: u32,
    closed: bool,
}

impl Model {
    fn depth(&self) -> usize {
        self.values.len() - self.gone
    }

    /// `false`: there is no room.
    fn send(&mut self, value: u64, policy: Policy) -> bool {
        if self.cursors.is_empty() {
            self.sent += 1;
            self.dropped += 1;
            return true;
        }
        if self.depth() == ROOM {
            match policy {
                Policy::Waits => return false,
                Policy::LosesNewest => {
                    self.sent += 1;
                    self.dropped += 1;
                    return true;
                }
                Policy::LosesOldest => {
                    let oldest = self.gone;
                    self.lagged += self.cursors.values().filter(|&&at| at <= oldest).count() as u32;
                    self.gone += 1;
                    self.dropped += 1;
                }
            }
        }
        self.sent += 1;
        self.values.push(value);
        self.reads.push(0);
        true
    }

    /// Lets values go that nobody has yet to read.
    fn tidy(&mut self) {
        while self.depth() > 0 && self.cursors.values().all(|&at| at > self.gone) {
            if self.reads[self.gone] > 0 {
                self.received += 1;
            } else {
                self.dropped += 1;
            }
            self.gone += 1;
        }
    }

    fn receive(&mut self, subscriber: usize) -> Result<Delivery<u64>, TryRecvError> {
        let at = self.cursors.get_mut(&subscriber).expect("it is there");
        if *at < self.gone {
            let missed = self.gone - *at;
            *at = self.gone;
            return Ok(Delivery::Lagged(missed as u64));
        }
        if *at == self.values.len() {
            return Err(if self.closed { TryRecvError::Closed } else { TryRecvError::Empty });
        }
        let value = self.values[*at];
        self.reads[*at] += 1;
        *at += 1;
        self.delivered += 1;
        self.tidy();
        Ok(Delivery::Value(value))
    }
}

fn sequence<P: Overflow<Item> + ConstOverflow>(policy: Policy, seed: u64) {
    let news: News<P> = Channel::new();
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut subscribers: BTreeMap<usize, Subscriber<&News<P>>> = BTreeMap::new();
    let mut waiting: Vec<(u64, Sending<'_, P>)> = Vec::new();
    let mut handles: Vec<Arc<u64>> = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    let mut next = 0;
    for step in 0..300 {
        let context = || format!("{policy:?}, seed {seed}, step {step}");
        let mut item = || {
            let handle = Arc::new(handles.len() as u64);
            handles.push(handle.clone());
            Item(handle)
        };
        match random.below(100) {
            0..30 => {
                let item = item();
                let id = *item.0;
                let expected = match (model.closed, waiting.is_empty()) {
                    (true, _) => None,
                    // Nobody passes a sender that waits.
                    (false, false) => Some(false),
                    (false, true) => Some(model.send(id, policy)),
                };
                let got = match news.try_send(item) {
                    Ok(()) => Some(true),
                    Err(TrySendError::Full(back)) => Some(*back.0 != id),
                    Err(TrySendError::Closed(_)) => None,
                };
                assert_eq!(got, expected, "try_send, {}", context());
            }
            30..60 if !subscribers.is_empty() => {
                let nth = random.index(subscribers.len());
                let (&id, subscriber) = subscribers.iter_mut().nth(nth).expect("below the length");
                let got = if random.one_in(2) {
                    subscriber.try_recv()
                } else {
                    let mut receive = Box::pin(subscriber.recv());
                    match receive.as_mut().poll(&mut cx) {
                        Poll::Ready(Ok(delivery)) => Ok(delivery),
                        Poll::Ready(Err(_)) => Err(TryRecvError::Closed),
                        // Dropped while it waits.
                        Poll::Pending => Err(TryRecvError::Empty),
                    }
                };
                let got = got.map(|delivery| delivery.map(|item| *item.0));
                assert_eq!(got, model.receive(id), "receive, {}", context());
            }
            60..70 if subscribers.len() < 4 => {
                subscribers.insert(next, news.subscribe());
                model.cursors.insert(next, model.values.len());
                next += 1;
            }
            70..76 if !subscribers.is_empty() => {
                let nth = random.index(subscribers.len());
                let id = *subscribers.keys().nth(nth).expect("below the length");
                drop(subscribers.remove(&id));
                model.cursors.remove(&id);
                model.tidy();
            }
            76..86 if waiting.len() < 3 && !model.closed => {
                let item = item();
                let id = *item.0;
                let mut send = Box::pin(news.send(item));
                let expected = waiting.is_empty() && model.send(id, policy);
                let ready = send.as_mut().poll(&mut cx).is_ready();
                assert_eq!(ready, expected, "send, {}", context());
                if !ready {
                    waiting.push((id, send));
                }
            }
            86..90 if !waiting.is_empty() => {
                // Given up: nothing was sent.
                let (id, mut send) = waiting.remove(random.index(waiting.len()));
                assert_eq!(send.as_mut().take_value().map(|item| *item.0), Some(id));
            }
            90 if random.one_in(8) => {
                news.close();
                model.closed = true;
            }
            _ => {}
        }
        // Senders go on in their order, as far as there is room; or learn that it is closed.
        while let Some((id, send)) = waiting.first_mut() {
            let expected = model.closed || model.send(*id, policy);
            let polled = send.as_mut().poll(&mut cx);
            assert_eq!(polled.is_ready(), expected, "a sender that waits, {}", context());
            if !expected {
                break;
            }
            drop(waiting.remove(0));
        }
        let snapshot = news.snapshot();
        let got = (
            (snapshot.sent, snapshot.received, snapshot.dropped),
            (snapshot.delivered, snapshot.lagged, snapshot.depth),
        );
        let expected = (
            (model.sent, model.received, model.dropped),
            (model.delivered, model.lagged, model.depth()),
        );
        assert_eq!(got, expected, "counters, {}", context());
        assert_eq!(snapshot.sent, snapshot.received + snapshot.dropped + snapshot.depth as u32);
        assert_eq!(news.subscribers(), subscribers.len());
        for (id, subscriber) in &subscribers {
            assert_eq!(subscriber.len(), model.values.len() - model.cursors[id], "{}", context());
        }
    }
    drop((waiting, subscribers));
    assert!(news.is_empty());
    drop(news);
    // Nobody holds a value any more, and none was dropped twice.
    assert!(handles.iter().all(|handle| Arc::strong_count(handle) == 1));
}

#[test]
fn slow_subscribers_hold_senders_up() {
    (0..300).for_each(|seed| sequence::<Wait>(Policy::Waits, seed));
}

#[test]
fn slow_subscribers_lag() {
    (0..300).for_each(|seed| sequence::<DropOldest>(Policy::LosesOldest, seed));
}

#[test]
fn the_newest_is_lost() {
    (0..300).for_each(|seed| sequence::<DropNewest>(Policy::LosesNewest, seed));
}
