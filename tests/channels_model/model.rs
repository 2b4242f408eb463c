//! The model of a channel whose receivers compete: who waits, who was promised what, and the counters.
//!
//! Nothing here is clever. The queue is a `Vec`; what is next in a priority channel is found by computing every
//! value's deadline as documented; an operation that cannot go on stands in a list. An operation that is an arm
//! of a select has a *side*: a claim that it shares with the other arms, and its number.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::rc::Rc;

use cloakroom::channel::{ChannelSnapshot, PayloadMode};

/// What a send without room does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    Wait,
    DropNewest,
    DropOldest,
    /// There is always room for the latest value.
    Replace,
}

/// A kind of channel.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Both sides must meet.
    pub meets: bool,
    pub policy: Policy,
    pub capacity: usize,
    /// The head start of a step of priority.
    pub ageing: Option<u64>,
}

impl Shape {
    pub const RENDEZVOUS: Self =
        Self { meets: true, policy: Policy::Wait, capacity: 1, ageing: None };

    pub const fn ring(capacity: usize, policy: Policy) -> Self {
        Self { meets: false, policy, capacity, ageing: None }
    }

    pub const fn priority(capacity: usize, ageing: u64) -> Self {
        Self { ageing: Some(ageing), ..Self::ring(capacity, Policy::Wait) }
    }
}

/// How an operation ended, with the number of the value that was involved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With the value that it replaced.
    Sent(Option<usize>),
    Received(usize),
    /// A permit.
    Held,
    /// Told that the channel has been closed, as it wanted to know.
    Told,
    /// Failed, with the value that came back.
    Closed(Option<usize>),
    Cancelled(Option<usize>),
    Timeout(Option<usize>),
}

/// What an operation wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// To send the value of this number, with a priority.
    Send(usize, u8),
    Recv,
    Reserve,
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    New,
    Queued,
    Granted,
    Taken,
    Closed,
    Lost,
    Ended,
}

/// The claim that the arms of one select share: the arm that happens.
pub type Claim = Rc<Cell<Option<usize>>>;
pub type Side = Option<(Claim, usize)>;

/// An operation as the model sees it.
pub struct Operation {
    pub kind: Kind,
    pub phase: Phase,
    /// How often the channel has woken it.
    pub wakes: usize,
    pub side: Side,
    /// It waits for a slot, and does not offer its value meanwhile.
    pub(super) bare: bool,
}

/// A value in the channel.
pub(super) struct Queued {
    id: usize,
    /// How many values had been sent when it was.
    sent_at: u64,
    priority: u8,
}

pub struct Model {
    pub(super) shape: Shape,
    pub closed: bool,
    pub(super) queue: Vec<Queued>,
    sends: u64,
    /// Waiting operations, by their numbers.
    pub(super) senders: VecDeque<usize>,
    pub(super) receivers: VecDeque<usize>,
    pub(super) closers: VecDeque<usize>,
    pub(super) promised_slots: usize,
    pub(super) promised_values: usize,
    pub operations: Vec<Operation>,
    pub counters: ChannelSnapshot,
    /// What the policy has dropped, in order.
    pub dropped: Vec<usize>,
}

impl Model {
    pub fn new(empty: ChannelSnapshot, shape: Shape) -> Self {
        Self {
            shape,
            closed: false,
            queue: Vec::new(),
            sends: 0,
            senders: VecDeque::new(),
            receivers: VecDeque::new(),
            closers: VecDeque::new(),
            promised_slots: 0,
            promised_values: 0,
            operations: Vec::new(),
            counters: empty,
            dropped: Vec::new(),
        }
    }

    /// A new operation's number.
    pub fn add(&mut self, kind: Kind) -> usize {
        let bare = matches!(kind, Kind::Reserve);
        self.operations.push(Operation { kind, phase: Phase::New, wakes: 0, side: None, bare });
        self.operations.len() - 1
    }

    /// The counters as they should be now.
    pub fn snapshot(&mut self) -> ChannelSnapshot {
        self.counters.depth = self.queue.len();
        self.counters.closed = self.closed;
        let waits = |&&operation: &&usize| !self.is_decided(operation);
        let parked = |list: &VecDeque<usize>| list.iter().filter(waits).count() as u32;
        let (senders, receivers) = (parked(&self.senders), parked(&self.receivers));
        self.counters.parked_senders = senders;
        self.counters.parked_receivers = receivers;
        let ChannelSnapshot { sent, received, dropped, depth, delivered, .. } = self.counters;
        if self.counters.mode == PayloadMode::Messages {
            // A message is a number.
            self.counters.bytes_sent = u64::from(sent) * size_of::<usize>() as u64;
            self.counters.bytes_received = u64::from(delivered) * size_of::<usize>() as u64;
        }
        assert_eq!(sent, received + dropped + depth as u32, "the model's own counters");
        self.counters
    }

    /// The values in the channel.
    pub fn queued(&self) -> impl Iterator<Item = usize> {
        self.queue.iter().map(|value| value.id)
    }

    pub(super) fn has_room(&self) -> bool {
        self.shape.policy == Policy::Replace
            || self.queue.len() + self.promised_slots < self.shape.capacity
    }

    pub(super) fn loses(&self) -> bool {
        matches!(self.shape.policy, Policy::DropNewest | Policy::DropOldest)
    }

    /// Whether the channel says that it is full.
    pub fn is_full(&self) -> bool {
        let waits =
            |&receiver: &usize| !self.operations[receiver].bare && !self.is_decided(receiver);
        !self.has_room() || (self.shape.meets && !self.receivers.iter().any(waits))
    }

    /// The place of the value that is next.
    fn next(&self) -> usize {
        let deadline = |value: &Queued| match self.shape.ageing {
            None => (value.sent_at, Reverse(0)),
            Some(ageing) => {
                let priority = value.priority;
                (value.sent_at + u64::from(u8::MAX - priority) * ageing, Reverse(priority))
            }
        };
        (0..self.queue.len()).min_by_key(|&at| deadline(&self.queue[at])).expect("a value")
    }

    /// Puts a value in; what it replaced.
    pub(super) fn put(&mut self, id: usize, priority: u8) -> Option<usize> {
        self.counters.sent += 1;
        self.sends += 1;
        // A message may be sent to one channel twice: it does not tell who goes.
        let (victim, stays) = match self.shape.policy {
            Policy::Wait => (None, true),
            Policy::Replace => (self.queue.pop().map(|old| old.id), true),
            _ if self.has_room() => (None, true),
            Policy::DropOldest if !self.queue.is_empty() => (Some(self.queue.remove(0).id), true),
            _ => (Some(id), false),
        };
        self.counters.dropped += u32::from(victim.is_some());
        if stays {
            self.queue.push(Queued { id, sent_at: self.sends, priority });
        }
        self.counters.high_water = self.counters.high_water.max(self.queue.len());
        if self.shape.policy == Policy::Replace {
            return victim;
        }
        self.dropped.extend(victim);
        None
    }

    pub(super) fn pull(&mut self) -> usize {
        self.counters.received += 1;
        self.counters.delivered += 1;
        let next = self.next();
        self.queue.remove(next).id
    }

    /// Whether the select of a waiting operation was decided for another arm.
    fn is_decided(&self, operation: usize) -> bool {
        let side = &self.operations[operation].side;
        side.as_ref().is_some_and(|(claim, _)| claim.get().is_some())
    }

    pub(super) fn is_arm_of(&self, operation: usize, side: &Side) -> bool {
        match (&self.operations[operation].side, side) {
            (Some((mine, _)), Some((other, _))) => Rc::ptr_eq(mine, other),
            _ => false,
        }
    }

    /// Those whose select was decided otherwise wait no longer.
    pub(super) fn forget_losers(&mut self) {
        for list in 0..3 {
            let waiting = std::mem::take(self.list(list));
            for operation in waiting {
                if self.is_decided(operation) {
                    self.operations[operation].phase = Phase::Lost;
                } else {
                    self.list(list).push_back(operation);
                }
            }
        }
    }

    pub(super) fn list(&mut self, list: usize) -> &mut VecDeque<usize> {
        [&mut self.senders, &mut self.receivers, &mut self.closers].into_iter().nth(list).unwrap()
    }

    pub(super) fn decide(&mut self, operation: usize, phase: Phase) {
        let waiting = &mut self.operations[operation];
        assert_eq!(waiting.phase, Phase::Queued);
        waiting.phase = phase;
        waiting.wakes += 1;
        // Who waits for closing is told, and claims when it comes to look.
        if waiting.kind != Kind::Closed {
            claim(&waiting.side);
        }
        for list in 0..3 {
            self.list(list).retain(|&other| other != operation);
        }
    }

    /// What the channel owes its waiters.
    pub(super) fn settle(&mut self) {
        loop {
            self.forget_losers();
            let sender = self.senders.front().copied();
            // Where both sides meet, who only looks is promised nothing.
            let promised = |&receiver: &usize| !self.shape.meets || !self.operations[receiver].bare;
            let receiver = self.receivers.iter().copied().find(promised);
            match (sender, receiver) {
                (_, Some(receiver)) if self.queue.len() > self.promised_values => {
                    self.promised_values += 1;
                    self.decide(receiver, Phase::Granted);
                }
                _ if self.shape.meets => {
                    if let Some((sender, receiver)) = self.pair() {
                        self.introduce(sender, receiver);
                    } else if let Some(onlooker) = self.onlooker() {
                        self.tell(onlooker);
                    } else {
                        break;
                    }
                }
                (Some(sender), _) if !self.closed && self.has_room() => {
                    self.promised_slots += 1;
                    self.decide(sender, Phase::Granted);
                }
                _ => break,
            }
        }
        if !self.closed {
            return;
        }
        for list in 0..3 {
            while let Some(&waiting) = self.list(list).front() {
                if list == 1 && !self.is_drained() {
                    break;
                }
                self.decide(waiting, Phase::Closed);
                self.forget_losers();
            }
        }
    }

    /// The first sender who meets somebody, or who wants a permit while somebody waits, and that somebody.
    fn pair(&self) -> Option<(usize, usize)> {
        let meets = |&sender: &usize| {
            self.other_receiver(&self.operations[sender].side).map(|receiver| (sender, receiver))
        };
        self.senders.iter().find_map(meets).filter(|_| self.has_room())
    }

    /// The first who only looks, and can see a sender or a value.
    fn onlooker(&self) -> Option<usize> {
        let unpromised = self.queue.len() > self.promised_values;
        let sees = |&&receiver: &&usize| {
            let looker = &self.operations[receiver];
            let sender = self.has_room().then(|| self.other_sender(&looker.side)).flatten();
            looker.bare && (unpromised || sender.is_some())
        };
        self.receivers.iter().find(sees).copied()
    }

    fn introduce(&mut self, sender: usize, receiver: usize) {
        match self.operations[sender].kind {
            _ if self.operations[sender].bare => {
                // The receiver stays where it is until something is sent.
                self.promised_slots += 1;
                self.decide(sender, Phase::Granted);
            }
            Kind::Send(value, priority) => {
                self.put(value, priority);
                self.promised_values += 1;
                self.decide(sender, Phase::Taken);
                self.decide(receiver, Phase::Granted);
            }
            kind => unreachable!("{kind:?} brings no value"),
        }
    }

    /// One who only looks has seen something: its select may still see something else first.
    fn tell(&mut self, looker: usize) {
        let waiting = &mut self.operations[looker];
        waiting.phase = Phase::Closed;
        waiting.wakes += 1;
        self.receivers.retain(|&other| other != looker);
    }

    pub(super) fn is_drained(&self) -> bool {
        self.closed && self.queue.is_empty() && self.promised_slots == 0
    }

    /// The first receiver that one of another select can meet.
    pub(super) fn other_receiver(&self, side: &Side) -> Option<usize> {
        self.receivers
            .iter()
            .copied()
            .find(|&receiver| !self.operations[receiver].bare && !self.is_arm_of(receiver, side))
    }
}

/// Claims a select for an arm of it.
pub(super) fn claim(side: &Side) {
    if let Some((claim, arm)) = side {
        assert!(claim.get().is_none(), "claimed twice");
        claim.set(Some(*arm));
    }
}

/// What a model can say of a channel: it has no clock. As many as were delivered have been queued for some time.
pub fn without_times(snapshot: ChannelSnapshot) -> ChannelSnapshot {
    #[cfg(feature = "histograms")]
    let snapshot = {
        let queueing = snapshot.queueing.map(|queueing| {
            assert_eq!(queueing.count(), u64::from(snapshot.delivered), "{snapshot:?}");
            Default::default()
        });
        ChannelSnapshot { queueing, ..snapshot }
    };
    ChannelSnapshot { times: None, ..snapshot }
}
