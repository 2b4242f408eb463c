//! A random sequence of operations on a channel whose receivers compete, and on its model.

use std::cell::RefCell;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Waker};

use cloakroom::channel::{ChannelSnapshot, Receiver, Sender};
use cloakroom::error::{TryRecvError, TryReserveError, TrySendError};
use cloakroom::kernel::{CancelToken, TimerQueue, Timers};
use cloakroom::sync::RawMutex;

use crate::model::{Kind, Model, Operation, Outcome, Phase, Policy, Shape};
use crate::pending::{Limit, Outside, Rank, Replaced, Running, Sides, Slot, Tested};
use crate::random::Random;
use crate::{Count, Ledger, Lock, Value};

const STEPS: usize = 400;

/// A channel and its model under way.
struct Driver<'a, M: RawMutex, S: Tested> {
    sender: &'a Sender<M, Value, S>,
    receiver: &'a Receiver<M, Value, S>,
    outside: Outside<'a>,
    /// What the policy's hook has seen.
    hooked: &'a RefCell<Vec<usize>>,
    ledger: Ledger,
    model: Model,
    random: Random,
    live: Vec<(usize, Running<'a, M, S>, Arc<Count>)>,
    permits: Vec<Slot<'a, S, M>>,
    seed: u64,
    step: usize,
    rare: Rare,
}

/// What happens seldom, and has to happen.
#[derive(Default, Debug)]
struct Rare {
    sent_after_closing: u64,
    dropped_with_a_promise: u64,
}

impl<'a, M: RawMutex, S: Tested> Driver<'a, M, S> {
    #[track_caller]
    fn same<T: PartialEq + Debug>(&self, got: T, expected: T) {
        assert_eq!(got, expected, "seed {}, step {}", self.seed, self.step);
    }

    fn priority(&mut self) -> u8 {
        // Few different ones, so that there are equals, and both ends.
        [0, 0, 0, 1, 2, 3, 100, 254, 255][self.random.index(9)]
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..12 => self.try_send(),
            12..26 => self.try_recv(),
            26..29 => self.try_reserve(),
            29..48 if self.live.len() < 8 => self.start(),
            29..76 if !self.live.is_empty() => self.poll(),
            76..82 if !self.live.is_empty() => self.abandon(),
            82..92 => self.use_permit(),
            92..95 => {
                let now = self.outside.timers.now() + self.random.below(12);
                self.outside.timers.advance(now);
            }
            95 => self.outside.tokens[self.random.index(self.outside.tokens.len())].cancel(),
            96 if self.random.one_in(3) => {
                let got: Vec<usize> = self.receiver.drain().map(|value| value.id).collect();
                let expected = self.model.drain();
                self.same(got, expected);
            }
            97 if self.random.one_in(6) => {
                let expected = self.model.close();
                self.same(self.sender.close(), expected);
            }
            _ => {}
        }
    }

    fn try_send(&mut self) {
        let (value, priority) = (self.ledger.value(), self.priority());
        let id = value.id;
        let expected = self.model.offer(&None, id, priority);
        let got = match self.sender.try_send_with_priority(value, S::Rank::of(priority)) {
            Ok(receipt) => Some(Outcome::Sent(receipt.id())),
            Err(TrySendError::Closed(back)) => Some(Outcome::Closed(Some(back.id))),
            Err(TrySendError::Full(back)) => {
                self.same(back.id, id);
                self.model.counters.full += 1;
                None
            }
        };
        self.same(got, expected);
    }

    fn try_recv(&mut self) {
        let expected = self.model.take(&None);
        let got = match self.receiver.try_recv() {
            Ok(value) => Some(Outcome::Received(value.id)),
            Err(TryRecvError::Closed) => Some(Outcome::Closed(None)),
            Err(TryRecvError::Empty) => {
                self.model.counters.empty += 1;
                None
            }
        };
        self.same(got, expected);
    }

    fn try_reserve(&mut self) {
        let expected = self.model.hold(&None);
        let got = match self.sender.try_reserve() {
            Ok(permit) => {
                self.permits.push(permit);
                Some(Outcome::Held)
            }
            Err(TryReserveError::Closed) => Some(Outcome::Closed(None)),
            Err(TryReserveError::Full) => {
                self.model.counters.full += 1;
                None
            }
        };
        self.same(got, expected);
    }

    /// Sends with a permit, or drops it.
    fn use_permit(&mut self) {
        if self.permits.is_empty() {
            return;
        }
        let permit = self.permits.swap_remove(self.random.index(self.permits.len()));
        if self.random.one_in(3) {
            drop(permit);
            self.model.return_slot();
        } else {
            self.rare.sent_after_closing += u64::from(self.model.closed);
            let (value, priority) = (self.ledger.value(), self.priority());
            let expected = self.model.keep_slot(value.id, priority);
            let got = permit.send_with_priority(value, S::Rank::of(priority)).id();
            self.same(got, expected);
        }
    }

    fn start(&mut self) {
        let limited = self.random.one_in(3).then(|| Limit {
            deadline: self
                .random
                .one_in(2)
                .then(|| self.outside.timers.now() + self.random.below(30)),
            token: self.random.one_in(2).then(|| self.random.index(self.outside.tokens.len())),
        });
        let mut value = None;
        let kind = match self.random.below(20) {
            0..8 => {
                let value = value.insert(self.ledger.value());
                Kind::Send(value.id, self.priority())
            }
            8..16 => Kind::Recv,
            16..19 => Kind::Reserve,
            _ => Kind::Closed,
        };
        let running =
            Running::start((self.sender, self.receiver), kind, value, limited, self.outside);
        self.live.push((self.model.add(kind), running, Arc::default()));
    }

    fn poll(&mut self) {
        let at = self.random.index(self.live.len());
        let (operation, running, count) = &mut self.live[at];
        let operation = *operation;
        let waker = Waker::from(count.clone());
        let got = running.poll(&mut Context::from_waker(&waker));
        let limit = match running {
            Running::Limited(_, limit) => Some(*limit),
            _ => None,
        };
        let mut expected = self.model.poll(operation);
        if let (None, Some(limit)) = (expected, limit) {
            expected = self.outside.verdict(limit, self.model.operations[operation].kind);
            if let Some(verdict) = expected {
                self.model.leave(operation);
                let receives = self.model.operations[operation].kind == Kind::Recv;
                let counters = &mut self.model.counters;
                *match (verdict, receives) {
                    (Outcome::Cancelled(_), false) => &mut counters.send_cancelled,
                    (Outcome::Cancelled(_), true) => &mut counters.recv_cancelled,
                    (_, false) => &mut counters.send_timeouts,
                    (_, true) => &mut counters.recv_timeouts,
                } += 1;
            }
        }
        let (got, permit) = got.unzip();
        self.same(got, expected);
        self.permits.extend(permit.flatten());
        if got.is_some() {
            self.live.swap_remove(at);
        }
    }

    /// Drops an operation, or takes its value back.
    fn abandon(&mut self) {
        let (operation, running, _) = self.live.swap_remove(self.random.index(self.live.len()));
        let Operation { kind, phase, .. } = self.model.operations[operation];
        let promised = matches!(phase, Phase::Granted | Phase::Taken);
        self.rare.dropped_with_a_promise += u64::from(promised);
        let keeps_value = self.model.abandon(operation);
        if let (Running::Send(mut send), Kind::Send(value, _), true) =
            (running, kind, self.random.one_in(2))
        {
            let back = send.as_mut().take_value().map(|value| value.id);
            self.same(back, keeps_value.then_some(value));
        }
    }

    fn check(&mut self) {
        let expected = self.model.snapshot();
        self.same(self.sender.snapshot(), expected);
        self.same(self.sender.is_full(), self.model.is_full());
        self.same(
            (self.receiver.len(), self.receiver.is_closed()),
            (expected.depth, expected.closed),
        );
        self.same(&*self.hooked.borrow(), &self.model.dropped);
        for (operation, running, count) in &self.live {
            let (woken, owed) = (count.get(), self.model.operations[*operation].wakes);
            match running {
                // The deadline and the cancellation wake it, too.
                Running::Limited(..) => {
                    self.same((owed..=owed + 2).contains(&woken), true);
                }
                _ => self.same(woken, owed),
            }
        }
    }
}

/// Runs many sequences on fresh channels. `make` is given what a hook may write to.
pub fn sequences<'h, M: RawMutex, S: Tested, C: Sides<M, S>>(
    seeds: Range<u64>,
    shape: Shape,
    hooked: &'h RefCell<Vec<usize>>,
    make: impl Fn(&'h RefCell<Vec<usize>>) -> C,
) {
    println!("seeds {seeds:?}");
    let mut totals = [0u64; 14];
    let mut rare = Rare::default();
    for seed in seeds {
        let ledger = Ledger::default();
        hooked.borrow_mut().clear();
        {
            let (channel, timers) = (make(hooked), Timers::new());
            let tokens: [CancelToken<Lock>; 6] = Default::default();
            let (sender, receiver) = channel.sides();
            let mut driver = Driver {
                sender,
                receiver,
                outside: Outside { timers: &timers, tokens: &tokens },
                hooked,
                ledger: ledger.clone(),
                model: Model::new(sender.snapshot(), shape),
                random: Random(seed),
                live: Vec::new(),
                permits: Vec::new(),
                seed,
                step: 0,
                rare,
            };
            for step in 0..STEPS {
                driver.step = step;
                driver.step();
                driver.check();
            }
            rare = driver.rare;
            drop((driver.live, driver.permits));
            // Half of what is left is received, the rest goes with the channel.
            receiver.drain().take(receiver.len() / 2).for_each(drop);
            add(&mut totals, receiver.snapshot());
        }
        assert_eq!(ledger.wrong(), [0; 0], "seed {seed}: values dropped other than once");
    }
    println!(
        "sent, received, dropped, full, empty, refused, send waits, recv waits, timeouts and \
         cancelled by side, ended, abandoned: {totals:?}; {rare:?}"
    );
    assert!(rare.sent_after_closing > 0 && rare.dropped_with_a_promise > 0);
    // Every counter that can move has moved.
    for (number, total) in totals.into_iter().enumerate() {
        let moves = match number {
            2 => shape.policy != Policy::Wait,
            3 | 6 => shape.policy != Policy::Replace && shape.capacity < usize::MAX,
            _ => true,
        };
        assert_eq!(total > 0, moves, "counter {number}");
    }
}

fn add(totals: &mut [u64; 14], snapshot: ChannelSnapshot) {
    let counters = [
        snapshot.sent,
        snapshot.received,
        snapshot.dropped,
        snapshot.full,
        snapshot.empty,
        snapshot.refused,
        snapshot.send_waits,
        snapshot.recv_waits,
        snapshot.send_timeouts,
        snapshot.recv_timeouts,
        snapshot.send_cancelled,
        snapshot.recv_cancelled,
        snapshot.ended,
        snapshot.abandoned,
    ];
    for (total, counter) in totals.iter_mut().zip(counters) {
        *total += u64::from(counter);
    }
}
