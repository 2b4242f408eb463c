//! Counted endpoints against counts.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use cloakroom::Arena;
use cloakroom::channel::{
    Buffered, ChannelRef, Counted, CountedReceiver, CountedSender, WeakSender, endpoints,
};
use cloakroom::error::{RecvError, TryRecvError, TrySendError};

use crate::random::Random;
use crate::{Count, Ledger, Lock, Value, ended};

const ROOM: usize = 3;

type Line = Counted<Lock, Value, Buffered<ROOM>>;

/// What the endpoints can see, and what is in the channel.
#[derive(Default)]
struct Model {
    closed: bool,
    queue: VecDeque<usize>,
    sent: u32,
    received: u32,
    dropped: u32,
}

impl Model {
    /// The last one of a side has gone.
    fn without_senders(&mut self) {
        self.closed = true;
    }

    fn without_receivers(&mut self) {
        self.closed = true;
        self.dropped += self.queue.len() as u32;
        self.queue.clear();
    }
}

/// `check` is told whether an endpoint is left, after every step.
fn sequence<P: ChannelRef<Target = Line>>(
    channel: P,
    seed: u64,
    ledger: &Ledger,
    check: impl Fn(bool),
) where
    P::Target: Sized,
{
    let mut random = Random(seed);
    let mut model = Model::default();
    let (sender, receiver) = endpoints(channel);
    let mut senders: Vec<CountedSender<P>> = vec![sender];
    let mut receivers: Vec<CountedReceiver<P>> = vec![receiver];
    let mut weak: Vec<WeakSender<P>> = Vec::new();
    for step in 0..120 {
        let context = || format!("seed {seed}, step {step}");
        match random.below(100) {
            0..10 if (1..4).contains(&senders.len()) => {
                senders.push(senders[random.index(senders.len())].clone());
            }
            10..22 if !senders.is_empty() => {
                drop(senders.swap_remove(random.index(senders.len())));
                if senders.is_empty() {
                    model.without_senders();
                }
            }
            22..32 if (1..4).contains(&receivers.len()) => {
                receivers.push(receivers[random.index(receivers.len())].clone());
            }
            32..44 if !receivers.is_empty() => {
                drop(receivers.swap_remove(random.index(receivers.len())));
                if receivers.is_empty() {
                    model.without_receivers();
                }
            }
            44..50 if !senders.is_empty() && weak.len() < 3 => {
                weak.push(senders[random.index(senders.len())].downgrade());
            }
            50..54 if !weak.is_empty() => drop(weak.swap_remove(random.index(weak.len()))),
            54..56 if !weak.is_empty() => weak.push(weak[random.index(weak.len())].clone()),
            56..64 if !weak.is_empty() => {
                let upgraded = weak[random.index(weak.len())].upgrade();
                assert_eq!(upgraded.is_some(), !senders.is_empty(), "{}", context());
                senders.extend(upgraded);
            }
            64..80 if !senders.is_empty() => {
                let value = ledger.value();
                let id = value.id;
                let expected = match (model.closed, model.queue.len()) {
                    (true, _) => Err(true),
                    (false, ROOM) => Err(false),
                    (false, _) => Ok(()),
                };
                if expected.is_ok() {
                    model.sent += 1;
                    model.queue.push_back(id);
                }
                let got = senders[random.index(senders.len())].try_send(value);
                let got = got.map_err(|error| matches!(error, TrySendError::Closed(_)));
                assert_eq!(got, expected, "{}", context());
            }
            80..92 if !receivers.is_empty() => {
                let expected = match (model.queue.pop_front(), model.closed) {
                    (Some(id), _) => Ok(id),
                    (None, true) => Err(TryRecvError::Closed),
                    (None, false) => Err(TryRecvError::Empty),
                };
                model.received += u32::from(expected.is_ok());
                let got = receivers[random.index(receivers.len())].try_recv();
                assert_eq!(got.map(|value| value.id), expected, "{}", context());
            }
            92..98 if !receivers.is_empty() && !senders.is_empty() && model.queue.is_empty() => {
                // A receiver that waits is told by the last sender that goes, and by no other.
                let count = Arc::<Count>::default();
                let waker = Waker::from(count.clone());
                let mut cx = Context::from_waker(&waker);
                let mut recv = pin!(receivers[0].recv());
                let closed = ended(recv.as_mut().poll(&mut cx)).map(|got| got.map(drop));
                assert_eq!(closed, model.closed.then_some(Err(RecvError)), "{}", context());
                drop(senders.swap_remove(random.index(senders.len())));
                let told = senders.is_empty() && !model.closed;
                assert_eq!(count.get(), usize::from(told), "{}", context());
                if senders.is_empty() {
                    model.without_senders();
                    assert!(recv.as_mut().poll(&mut cx).is_ready(), "{}", context());
                }
            }
            98.. if !senders.is_empty() => {
                // What is sent with a permit goes the way of what is in the channel.
                let permit = senders[0].try_reserve();
                let room = !model.closed && model.queue.len() < ROOM;
                assert_eq!(permit.is_ok(), room, "{}", context());
                let Ok(permit) = permit else { continue };
                let value = ledger.value();
                model.queue.push_back(value.id);
                if random.one_in(2) {
                    receivers.clear();
                }
                permit.send(value);
                model.sent += 1;
                if receivers.is_empty() {
                    model.without_receivers();
                }
            }
            _ => {}
        }
        let (sending, receiving) = (senders.first(), receivers.first());
        let snapshot = match (sending, receiving) {
            (Some(sender), _) => sender.snapshot(),
            (None, Some(receiver)) => receiver.snapshot(),
            (None, None) => {
                check(!weak.is_empty());
                if weak.is_empty() {
                    return;
                }
                continue;
            }
        };
        let got = (snapshot.sent, snapshot.received, snapshot.dropped, snapshot.depth);
        let expected = (model.sent, model.received, model.dropped, model.queue.len());
        assert_eq!(got, expected, "{}", context());
        assert_eq!(snapshot.closed, model.closed, "{}", context());
        for sender in &senders {
            assert_eq!(sender.sender_count(), senders.len(), "{}", context());
        }
        for receiver in &receivers {
            assert_eq!(receiver.receiver_count(), receivers.len(), "{}", context());
        }
        for id in &model.queue {
            assert!(ledger.is_alive(*id), "value {id}, {}", context());
        }
        check(true);
    }
}

#[test]
fn on_the_stack() {
    for seed in 0..1_500 {
        let ledger = Ledger::default();
        {
            let line = Line::new();
            sequence(&line, seed, &ledger, |_| {});
        }
        assert_eq!(ledger.wrong(), [0; 0], "seed {seed}: values dropped other than once");
    }
}

/// There for exactly as long as an endpoint is, be it one that does not count.
#[test]
fn in_an_arena() {
    let arena: Arena<Lock, 32, 64, 8> = Arena::new();
    for seed in 0..1_500 {
        let ledger = Ledger::default();
        let line = arena.try_alloc_value(Line::new()).map_err(drop).expect("memory").share();
        sequence(line, seed, &ledger, |left| {
            assert_eq!(arena.snapshot().live, usize::from(left), "seed {seed}");
        });
        assert_eq!(arena.snapshot().live, 0, "seed {seed}");
        assert_eq!(ledger.wrong(), [0; 0], "seed {seed}: values dropped other than once");
    }
    assert!(arena.handle().verify().is_clean());
}

#[test]
fn on_the_heap() {
    for seed in 0..1_500 {
        let ledger = Ledger::default();
        #[allow(clippy::arc_with_non_send_sync)] // The ledger stays on one thread.
        let line = Arc::new(Line::new());
        let weak = Arc::downgrade(&line);
        sequence(line, seed, &ledger, |left| {
            assert_eq!(weak.strong_count() > 0, left, "seed {seed}");
        });
        assert_eq!(weak.strong_count(), 0, "seed {seed}");
        assert_eq!(ledger.wrong(), [0; 0], "seed {seed}: values dropped other than once");
    }
}
