//! Each pair of operations on a broadcast channel, side by side, under the loom model checker.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom_broadcast
//! ```
//!
//! | dimension | values |
//! |---|---|
//! | operations | [`ALL`]: every unordered pair |
//! | capacity | 1, 2 |
//! | at first | nothing, one value, as many as there is room for |
//! | when it is full | senders wait, or the oldest value is dropped |
//! | others | nobody, or a third thread that subscribed first and reads at the end |
//!
//! As in `loom_pairs`, a third thread waits until both operations have ended or sleep, and whoever sleeps must
//! have a reason to. The subscribers agree on what was sent, and in which order.
#![cfg(loom)]

#[path = "common/loom_lock.rs"]
mod loom_lock;
#[path = "common/loom_quiet.rs"]
mod loom_quiet;

use std::pin::pin;

use cloakroom::channel::{
    Broadcast, Channel, ChannelSnapshot, ConstStrategy, Delivery, DropOldest, Listen, Rendezvous,
    Subscriber, Wait,
};
use cloakroom::select::{Either, select};
use loom_lock::{PerObject as Lock, count};
use loom_quiet::{Two, lend, once};

/// What a thread does with the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    TrySend,
    Send,
    /// Dropped after one poll.
    SendDropped,
    /// Subscribes, reads what there is, and goes.
    Subscribe,
    /// Subscribes, and waits for a value.
    SubscribeAndRecv,
    // The others have subscribed before the first value.
    TryRecv,
    Recv,
    /// Dropped after one poll.
    RecvDropped,
    /// Receives, or receives from another channel.
    SelectRecv,
    Unsubscribe,
    Close,
}

use Op::{
    Close, Recv, RecvDropped, SelectRecv, Send, SendDropped, Subscribe, SubscribeAndRecv, TryRecv,
    TrySend, Unsubscribe,
};

const ALL: [Op; 11] = [
    TrySend,
    Send,
    SendDropped,
    Subscribe,
    SubscribeAndRecv,
    TryRecv,
    Recv,
    RecvDropped,
    SelectRecv,
    Unsubscribe,
    Close,
];

impl Op {
    fn sends(self) -> bool {
        matches!(self, TrySend | Send | SendDropped)
    }
    fn has_subscribed(self) -> bool {
        matches!(self, TryRecv | Recv | RecvDropped | SelectRecv | Unsubscribe)
    }
    /// While it sleeps it waits for a value.
    fn waits_to_receive(self) -> bool {
        matches!(self, SubscribeAndRecv | Recv | SelectRecv)
    }
}

trait Kind: ConstStrategy<u32, Receipt = ()> + Listen<u32> + Sync + 'static {}
impl<S: ConstStrategy<u32, Receipt = ()> + Listen<u32> + Sync + 'static> Kind for S {}

/// The channels of a model.
struct Hall<S: Kind> {
    channel: Channel<Lock, u32, S>,
    other: Channel<Lock, u32, Rendezvous>,
}

type Reader<S> = Subscriber<&'static Channel<Lock, u32, S>>;

/// What became of an operation's value, and what it received.
#[derive(Default, Debug)]
struct Account {
    acknowledged: Vec<u32>,
    returned: Vec<u32>,
    received: Vec<Delivery<u32>>,
}

impl Account {
    fn sent<E>(&mut self, value: u32, sent: Result<(), E>, back: impl FnOnce(E) -> u32) {
        match sent {
            Ok(()) => self.acknowledged.push(value),
            Err(error) => self.returned.push(back(error)),
        }
    }

    /// The values, each with its number among those sent since the subscription.
    fn numbered(&self) -> (Vec<(u64, u32)>, u64) {
        let (mut numbered, mut number) = (vec![], 0);
        for delivery in &self.received {
            match *delivery {
                Delivery::Value(value) => {
                    numbered.push((number, value));
                    number += 1;
                }
                Delivery::Lagged(missed) => {
                    assert!(missed > 0);
                    number += missed;
                }
            }
        }
        (numbered, number)
    }
}

/// One operation, with `value` if it sends, through `reader` if it has subscribed.
async fn perform<S: Kind>(
    op: Op,
    hall: &'static Hall<S>,
    value: u32,
    reader: Option<Reader<S>>,
) -> Account {
    let channel = &hall.channel;
    let mut account = Account::default();
    let Some(mut reader) = reader else {
        match op {
            TrySend => account.sent(value, channel.try_send(value), |error| error.into_inner()),
            Send => account.sent(value, channel.send(value).await, |error| error.into_inner()),
            SendDropped => {
                let mut send = pin!(channel.send(value));
                match once(send.as_mut()).await {
                    Some(sent) => account.sent(value, sent, |error| error.into_inner()),
                    None => account.returned.extend(send.take_value()),
                }
            }
            Subscribe => account.received.extend(channel.subscribe().try_iter()),
            SubscribeAndRecv => account.received.extend(channel.subscribe().recv().await),
            _ => drop(channel.close()),
        }
        return account;
    };
    match op {
        TryRecv => account.received.extend(reader.try_recv()),
        Recv => account.received.extend(reader.recv().await),
        RecvDropped => {
            let received = once(pin!(reader.recv())).await;
            account.received.extend(received.and_then(Result::ok));
        }
        SelectRecv => {
            if let Either::First(received) = select((reader.recv(), hall.other.recv())).await {
                account.received.extend(received);
            }
        }
        _ => drop(reader),
    }
    account
}

/// Two operations on a channel of one kind that has so many values in it, with or without a third subscriber.
#[derive(Clone, Copy, Debug)]
struct Pair {
    ops: [Op; 2],
    values: u32,
    third: bool,
    waits: bool,
}

impl Pair {
    /// The values that threads 0 and 1 send; smaller ones are there from the start.
    const VALUES: [u32; 2] = [10, 20];
    /// What the third thread sends.
    const HELP: u32 = 30;

    /// One execution.
    fn run<S: Kind>(self) {
        lend(Hall::<S> { channel: Channel::new(), other: Channel::new() }, |hall| {
            let channel = &hall.channel;
            let mut third = self.third.then(|| channel.subscribe());
            let mut own = Account::default();
            let readers = self.ops.map(|op| op.has_subscribed().then(|| channel.subscribe()));
            for value in 1..=self.values {
                channel.try_send(value).expect("room");
            }
            let mut readers = readers.into_iter();
            let mut perform = |number: usize| {
                let reader = readers.next().expect("one each");
                perform(self.ops[number], hall, Self::VALUES[number], reader)
            };
            let two = Two::start([perform(0), perform(1)]);

            let mut asleep = two.wait();
            self.look(channel, asleep);
            while let Some(third) = third.as_mut().filter(|third| !third.is_empty()) {
                own.received.extend(third.try_iter());
                // What it has made room for.
                asleep = two.wait();
            }
            self.help(channel, asleep, &mut own);
            assert_eq!(two.wait(), [false; 2], "{self:?}: not told");
            channel.close();
            assert_eq!(two.excess(), [0, 0], "{self:?}: woken for nothing");
            let accounts = two.join();
            if let Some(mut third) = third {
                own.received.extend(third.try_iter());
            }
            self.reconcile(channel.snapshot(), own, asleep, accounts);
        });
    }

    /// Whether those who sleep may have a reason to.
    fn look<S: Kind>(self, channel: &Channel<Lock, u32, S>, asleep: [bool; 2]) {
        for (op, asleep) in self.ops.into_iter().zip(asleep) {
            // Whether a subscriber that came later has missed something, the third one's help will show.
            let nothing_to_read = !op.has_subscribed() || channel.snapshot().sent == 0;
            let reason = (op == Send && self.waits && self.third && channel.is_full())
                || (op.waits_to_receive() && nothing_to_read);
            let reason = reason && !channel.is_closed();
            assert!(!asleep || reason, "{self:?}: {op:?} sleeps, {:?}", channel.snapshot());
        }
    }

    /// Sends, if somebody still waits to receive. Senders have been helped.
    fn help<S: Kind>(self, channel: &Channel<Lock, u32, S>, asleep: [bool; 2], own: &mut Account) {
        for (op, asleep) in self.ops.into_iter().zip(asleep) {
            assert!(!asleep || op.waits_to_receive(), "{self:?}: {op:?} still sleeps");
        }
        if asleep != [false; 2] {
            assert!(channel.try_send(Self::HELP).is_ok(), "{self:?}: nobody has read");
            own.acknowledged.push(Self::HELP);
        }
    }

    /// All agree on what was sent, and the counters on what became of it.
    fn reconcile(
        self,
        snapshot: ChannelSnapshot,
        own: Account,
        asleep: [bool; 2],
        accounts: [Account; 2],
    ) {
        let story = format!("{self:?}, {accounts:?}, third {own:?}, {snapshot:?}");
        let (mut sent, mut delivered) = (self.values, 0);
        // By their numbers since the first subscriptions.
        let mut order: Vec<Option<u32>> = (1..=self.values).map(Some).collect();
        order.resize(8, None);
        let (seen, _) = own.numbered();
        for (number, value) in seen {
            let first = order[number as usize].get_or_insert(value);
            assert_eq!(*first, value, "the third one's order: {story}");
        }
        for (number, account) in accounts.iter().enumerate() {
            let op = self.ops[number];
            if op.sends() {
                let value = [&account.acknowledged[..], &account.returned[..]].concat();
                assert_eq!(value, [Self::VALUES[number]], "sent or given back: {story}");
            }
            if asleep[number] {
                assert_eq!(account.received, [Delivery::Value(Self::HELP)], "missed: {story}");
            }
            let (seen, end) = account.numbered();
            assert!(end <= 8);
            for &(at, value) in &seen {
                if op.has_subscribed() {
                    let first = order[at as usize].get_or_insert(value);
                    assert_eq!(*first, value, "{op:?}'s order: {story}");
                } else {
                    assert!(value > self.values, "from before the subscription: {story}");
                }
            }
            let places: Vec<_> = seen
                .iter()
                .filter_map(|(at, value)| {
                    let place = order.iter().position(|sent| sent == &Some(*value));
                    place.map(|place| place as i64 - *at as i64)
                })
                .collect();
            assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "a gap: {story}");
        }
        for account in accounts.iter().chain([&own]) {
            sent += account.acknowledged.len() as u32;
            let values = account.received.iter().filter_map(|delivery| delivery.value());
            delivered += values.count() as u32;
            let lagged = account.received.iter().any(|it| matches!(it, Delivery::Lagged(_)));
            assert!(!lagged || !self.waits, "senders wait for the slowest: {story}");
        }
        let mut distinct: Vec<_> = order.iter().flatten().collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), order.iter().flatten().count(), "twice: {story}");
        if self.third && self.waits {
            assert_eq!(distinct.len() as u32, sent, "the third one missed something: {story}");
        }
        assert_eq!((snapshot.sent, snapshot.delivered), (sent, delivered), "counted: {story}");
        assert_eq!((snapshot.depth, snapshot.sent), (0, snapshot.received + snapshot.dropped));
    }
}

/// Every pair on a channel with so many values in it.
fn every_pair<S: Kind>(values: u32, waits: bool) {
    let (mut pairs, mut interleavings) = (0, 0);
    for (number, &first) in ALL.iter().enumerate() {
        for &second in &ALL[number..] {
            for third in [false, true] {
                let pair = Pair { ops: [first, second], values, third, waits };
                pairs += 1;
                interleavings += count(Some(2), move || pair.run::<S>());
            }
        }
    }
    println!("{interleavings} interleavings of {pairs} pairs");
}

macro_rules! pairs {
    ($($name:ident: $capacity:literal, $values:literal;)*) => {
        mod waiting {
            use super::*;
            $(#[test] fn $name() { every_pair::<Broadcast<$capacity, Wait>>($values, true); })*
        }
        mod dropping {
            use super::*;
            $(#[test] fn $name() { every_pair::<Broadcast<$capacity, DropOldest>>($values, false); })*
        }
    };
}

pairs! {
    one_slot_empty: 1, 0;
    one_slot_full: 1, 1;
    two_slots_empty: 2, 0;
    two_slots_half_full: 2, 1;
    two_slots_full: 2, 2;
}
