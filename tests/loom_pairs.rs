//! Each pair of operations on a channel, side by side, under the loom model checker.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom_pairs
//! ```
//!
//! | dimension | values |
//! |---|---|
//! | operations | [`ALL`]: every unordered pair, and pairs of selects in both orders of their addresses |
//! | capacity | 0, 1, 2 |
//! | at first | nothing, one value, as many as there is room for |
//!
//! Each operation has a thread of its own. A third one waits until both have ended or sleep. Then
//! whoever sleeps must have nothing to wake up for ([`has_reason_to_sleep`]): a wake-up that was
//! lost shows here, also where one that comes later would hide it. Then this third one sends or receives
//! what is waited for, and closes the channel, so that both operations end; should one not, it was not
//! told. At the end every value is where it is said to be, and the counters agree.
//!
//! There are two preemptions at most. `CLOAKROOM_PREEMPTIONS` sets a larger bound, or 0 for none.
#![cfg(loom)]

#[path = "common/loom_lock.rs"]
mod loom_lock;
#[path = "common/loom_quiet.rs"]
mod loom_quiet;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use cloakroom::channel::{
    Buffered, Channel, Compete, ConstStrategy, RecvFuture, Rendezvous, SendFuture,
};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError};
use cloakroom::kernel::CancelToken;
use cloakroom::limit::Operation;
use cloakroom::select::{Either, select};
use loom_lock::{PerObject as Lock, count};
use loom_quiet::{Two, lend, once};

/// What a thread does with the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    TrySend,
    Send,
    TryRecv,
    Recv,
    ReserveAndSend,
    ReserveAndDrop,
    Close,
    /// Dropped after one poll.
    SendDropped,
    RecvDropped,
    /// Cancelled under way, by the third thread.
    SendCancelled,
    RecvCancelled,
    /// Sends, or receives from another channel.
    SelectSend,
    /// The same, looking at the other channel first.
    SelectSendLast,
    /// Receives, or sends to another channel.
    SelectRecv,
    /// The same, looking at the other channel first.
    SelectRecvLast,
    /// Sends and receives on the same channel.
    SelectBoth,
    Closed,
}

use Op::{
    Close, Closed, Recv, RecvCancelled, RecvDropped, ReserveAndDrop, ReserveAndSend, SelectBoth,
    SelectRecv, SelectRecvLast, SelectSend, SelectSendLast, Send, SendCancelled, SendDropped,
    TryRecv, TrySend,
};

const ALL: [Op; 17] = [
    TrySend,
    Send,
    TryRecv,
    Recv,
    ReserveAndSend,
    ReserveAndDrop,
    Close,
    SendDropped,
    RecvDropped,
    SendCancelled,
    RecvCancelled,
    SelectSend,
    SelectSendLast,
    SelectRecv,
    SelectRecvLast,
    SelectBoth,
    Closed,
];

impl Op {
    fn is_cancelled(self) -> bool {
        matches!(self, SendCancelled | RecvCancelled)
    }
    fn is_select(self) -> bool {
        matches!(self, SelectSend | SelectSendLast | SelectRecv | SelectRecvLast | SelectBoth)
    }
    fn sends(self) -> bool {
        matches!(
            self,
            TrySend | ReserveAndSend | SendDropped | SendCancelled | SelectRecv | SelectRecvLast
        ) || self.has_value()
    }
    /// While it sleeps it waits for room, or for a receiver.
    fn waits_to_send(self) -> bool {
        self.has_value() || matches!(self, ReserveAndSend | ReserveAndDrop)
    }
    /// While it sleeps it waits for a value.
    fn waits_to_receive(self) -> bool {
        matches!(self, Recv | SelectRecv | SelectRecvLast | SelectBoth)
    }
    /// It has a value ready while it waits to send.
    fn has_value(self) -> bool {
        matches!(self, Send | SelectSend | SelectSendLast | SelectBoth)
    }
}

trait Kind:
    ConstStrategy<u32, Receipt = ()> + Compete<u32> + Sync + std::marker::Send + 'static
{
}
impl<S: ConstStrategy<u32, Receipt = ()> + Compete<u32> + Sync + std::marker::Send + 'static> Kind
    for S
{
}

/// The channels of a model.
struct Hall<S: Kind> {
    channel: Channel<Lock, u32, S>,
    /// The other arm of selects.
    other: Channel<Lock, u32, Rendezvous>,
    cancel: CancelToken<Lock>,
}

/// What became of an operation's value, and what it received.
#[derive(Default, Debug)]
struct Account {
    acknowledged: Vec<u32>,
    returned: Vec<u32>,
    received: Vec<u32>,
    cancelled: u32,
}

impl Account {
    /// A send has ended; an error has the value.
    fn sent<E>(&mut self, value: u32, sent: Result<(), E>, back: impl FnOnce(E) -> u32) {
        match sent {
            Ok(()) => self.acknowledged.push(value),
            Err(error) => self.returned.push(back(error)),
        }
    }
    /// A send has lost or was given up: what was not taken out of it is in the channel.
    fn given_up(&mut self, value: u32, back: Option<u32>) {
        match back {
            Some(back) => self.returned.push(back),
            None => self.acknowledged.push(value),
        }
    }
    fn received<E>(&mut self, received: Result<u32, E>) {
        self.received.extend(received.ok());
    }
    /// A select of two.
    async fn choose<A: Kind, B: Kind>(
        &mut self,
        value: u32,
        send: SendFuture<'_, Lock, u32, A>,
        recv: RecvFuture<'_, Lock, u32, B>,
        receives_first: bool,
    ) {
        let mut send = pin!(send);
        let (sent, received) = if receives_first {
            match select((recv, send.as_mut())).await {
                Either::First(received) => (None, Some(received)),
                Either::Second(sent) => (Some(sent), None),
            }
        } else {
            match select((send.as_mut(), recv)).await {
                Either::First(sent) => (Some(sent), None),
                Either::Second(received) => (None, Some(received)),
            }
        };
        if let Some(received) = received {
            self.returned.extend(send.take_value());
            self.received(received);
        }
        if let Some(sent) = sent {
            self.sent(value, sent, |error| error.into_inner());
        }
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// One operation, with `value` if it sends.
async fn perform<S: Kind>(op: Op, hall: &Hall<S>, value: u32) -> Account {
    let Hall { channel, other, cancel } = hall;
    let mut account = Account::default();
    match op {
        TrySend => account.sent(value, channel.try_send(value), |error| error.into_inner()),
        Send => account.sent(value, channel.send(value).await, |error| error.into_inner()),
        TryRecv => account.received(channel.try_recv()),
        Recv => account.received(channel.recv().await),
        ReserveAndSend => match channel.reserve().await {
            Ok(permit) => {
                permit.send(value);
                account.acknowledged.push(value);
            }
            Err(_) => account.returned.push(value),
        },
        ReserveAndDrop => drop(channel.reserve().await),
        Close => drop(channel.close()),
        SendDropped => {
            let mut send = pin!(channel.send(value));
            match once(send.as_mut()).await {
                Some(sent) => account.sent(value, sent, |error| error.into_inner()),
                None => account.given_up(value, send.take_value()),
            }
        }
        RecvDropped => {
            if let Some(received) = once(pin!(channel.recv())).await {
                account.received(received);
            }
        }
        SendCancelled => {
            let sent = channel.send(value).cancelled_by(cancel.cancelled()).await;
            account.cancelled = u32::from(matches!(sent, Err(SendTimeoutError::Cancelled(_))));
            account.sent(value, sent, |error| error.into_inner());
        }
        RecvCancelled => {
            let received = channel.recv().cancelled_by(cancel.cancelled()).await;
            account.cancelled = u32::from(matches!(received, Err(RecvTimeoutError::Cancelled)));
            account.received(received);
        }
        SelectSend => account.choose(value, channel.send(value), other.recv(), false).await,
        SelectSendLast => account.choose(value, channel.send(value), other.recv(), true).await,
        SelectRecv => account.choose(value, other.send(value), channel.recv(), true).await,
        SelectRecvLast => account.choose(value, other.send(value), channel.recv(), false).await,
        SelectBoth => account.choose(value, channel.send(value), channel.recv(), false).await,
        Closed => channel.closed().await,
    }
    account
}

/// Two operations on a channel of one kind that has so many values in it.
#[derive(Clone, Copy, Debug)]
struct Pair {
    ops: [Op; 2],
    values: u32,
}

impl Pair {
    /// The values that threads 0 and 1 send; smaller ones are there from the start.
    const VALUES: [u32; 2] = [10, 20];
    /// What the third thread sends, at the same time and afterwards.
    const MEANWHILE: u32 = 30;
    const HELP: u32 = 40;
    const LAST: u32 = 50;

    /// One execution.
    fn run<S: Kind>(self) {
        let (channel, other, cancel) = (Channel::new(), Channel::new(), CancelToken::new());
        lend(Hall::<S> { channel, other, cancel }, |hall| {
            self.fill(&hall.channel);
            let perform = |number: usize| perform(self.ops[number], hall, Self::VALUES[number]);
            let two = Two::start([perform(0), perform(1)]);
            if self.ops.iter().any(|op| op.is_cancelled()) {
                hall.cancel.cancel();
            }
            let mut own = Account::default();
            self.meddle(hall, &mut own);

            self.look(hall, two.wait());
            self.help(hall, || two.wait(), &mut own);
            hall.channel.close();
            hall.other.close();
            assert_eq!(two.wait(), [false; 2], "{self:?}: not told of the closing");
            for (excess, op) in two.excess().into_iter().zip(self.ops) {
                // A cancellation and a match may well come together.
                assert!(op.is_cancelled() || excess == 0, "{self:?}: {op:?} was woken for nothing");
            }
            self.reconcile(hall, own, two.join());
        });
    }

    /// Values 1, 2, … In a rendezvous one is left in the meeting point, by a receiver that went away.
    fn fill<S: Kind>(self, channel: &Channel<Lock, u32, S>) {
        for value in 1..=self.values {
            let mut recv = pin!(channel.recv());
            if channel.capacity() == Some(0) {
                assert!(poll_once(recv.as_mut()).is_pending());
            }
            channel.try_send(value).expect("room");
        }
        assert_eq!(channel.len(), self.values as usize);
    }

    /// Two on the same side have no part in each other's waiting, except for what one leaves to the other: so the
    /// third thread is on the other side.
    fn meddle<S: Kind>(self, hall: &Hall<S>, own: &mut Account) {
        let both = |which: fn(Op) -> bool| self.ops.into_iter().all(which);
        if both(|op| op.waits_to_receive() || op == RecvDropped) {
            if hall.channel.try_send(Self::MEANWHILE).is_ok() {
                own.acknowledged.push(Self::MEANWHILE);
            }
        } else if both(|op| op.waits_to_send() || op == SendDropped) {
            own.received(hall.channel.try_recv());
        }
    }

    /// Whether all who sleep have a reason to.
    fn look<S: Kind>(self, hall: &Hall<S>, asleep: [bool; 2]) {
        for (number, op) in self.ops.into_iter().enumerate() {
            let reason = !asleep[number] || has_reason_to_sleep(op, hall);
            assert!(reason, "{self:?}: {number} sleeps, {:?}", hall.channel.snapshot());
        }
        let [a, b] = self.ops;
        let meet = |a: Op, b: Op| a.waits_to_send() && b.waits_to_receive();
        assert!(
            asleep != [true; 2] || !(meet(a, b) || meet(b, a)),
            "{self:?} sleep, and could meet"
        );
    }

    /// Gives one of those who sleep what it waits for, while nobody else does anything.
    fn help<S: Kind>(self, hall: &Hall<S>, wait: impl Fn() -> [bool; 2], own: &mut Account) {
        let one_sleeps = |which: fn(Op) -> bool| {
            self.ops.into_iter().zip(wait()).any(|(op, asleep)| asleep && which(op))
        };
        if one_sleeps(Op::waits_to_receive) {
            let sent = hall.channel.try_send(Self::HELP);
            assert!(sent.is_ok(), "{self:?}: nobody takes a value");
            own.acknowledged.push(Self::HELP);
        }
        let meets = hall.channel.capacity() == Some(0);
        if one_sleeps(if meets { Op::has_value } else { Op::waits_to_send }) {
            let received = hall.channel.try_recv();
            assert!(received.is_ok(), "{self:?}: nobody has a value");
            own.received(received);
        }
        let asleep = wait();
        self.look(hall, asleep);
        let waits = |(op, asleep): (Op, bool)| asleep && op != Closed;
        if !hall.channel.is_closed() && !self.ops.into_iter().zip(asleep).any(waits) {
            self.exercise(&hall.channel, own);
        }
    }

    /// With nobody waiting there is nothing promised, either: all its values can be received, and it has all
    /// its room.
    fn exercise<S: Kind>(self, channel: &Channel<Lock, u32, S>, own: &mut Account) {
        self.drain(channel, own);
        assert!(channel.is_empty(), "{self:?}: values that are promised to nobody");
        let room = channel.capacity().expect("fixed") as u32;
        for value in Self::LAST..Self::LAST + room.max(1) {
            let mut recv = pin!(channel.recv());
            // At a rendezvous, room is a receiver; what it leaves is the next one's.
            if room == 0 {
                assert!(poll_once(recv.as_mut()).is_pending());
            }
            assert!(channel.try_send(value).is_ok(), "{self:?}: room that is promised to nobody");
            own.acknowledged.push(value);
        }
        self.drain(channel, own);
    }

    /// Receives what is there.
    fn drain<S: Kind>(self, channel: &Channel<Lock, u32, S>, own: &mut Account) {
        let left: Vec<u32> = channel.try_iter().collect();
        // What was sent meanwhile in any order, behind what was there and before what came later.
        let place = |&value: &u32| if value < Self::HELP { value.min(10) } else { value };
        assert!(left.iter().map(place).is_sorted(), "{self:?}: out of order: {left:?}");
        own.received.extend(left);
    }

    /// Every value is where it is said to be, and the counters agree.
    fn reconcile<S: Kind>(self, hall: &Hall<S>, mut own: Account, accounts: [Account; 2]) {
        let before = hall.channel.snapshot();
        let aside = hall.other.snapshot();
        self.drain(&hall.channel, &mut own);
        let story = format!("{self:?}, {accounts:?}, third {own:?}, {before:?}, {aside:?}");

        let mut sent: Vec<u32> = (1..=self.values).collect();
        let mut received = vec![];
        let mut cancelled = 0;
        for (number, account) in accounts.into_iter().chain([own]).enumerate() {
            if self.ops.get(number).is_some_and(|op| op.sends()) {
                let value = [&account.acknowledged[..], &account.returned[..]].concat();
                assert_eq!(value, [Self::VALUES[number]], "sent or given back: {story}");
            }
            sent.extend(account.acknowledged);
            received.extend(account.received);
            cancelled += account.cancelled;
        }
        let after = hall.channel.snapshot();
        let counts = (after.sent + aside.sent, after.received + aside.received);
        assert_eq!(counts, (sent.len() as u32, received.len() as u32), "counted: {story}");
        assert_eq!(after.cancelled(), cancelled, "counted: {story}");
        for snapshot in [before, aside, after] {
            let accounted = snapshot.received + snapshot.depth as u32 + snapshot.dropped;
            assert_eq!(snapshot.sent, accounted, "{story}");
        }
        sent.sort_unstable();
        received.sort_unstable();
        assert_eq!(sent, received, "sent, and received or left: {story}");
    }
}

/// Whether `op` waits for something that is not there, what the other operation waits for aside.
fn has_reason_to_sleep<S: Kind>(op: Op, hall: &Hall<S>) -> bool {
    let channel = &hall.channel;
    let no_room = channel.capacity() == Some(0) || channel.is_full();
    !channel.is_closed()
        && !op.is_cancelled()
        && (!op.waits_to_send() || no_room)
        && (!op.waits_to_receive() || channel.is_empty())
        && (op.waits_to_send() || op.waits_to_receive() || op == Closed)
}

/// Every pair on a channel with so many values in it.
fn every_pair<S: Kind>(values: u32) {
    let (mut pairs, mut interleavings) = (0, 0);
    for (number, &first) in ALL.iter().enumerate() {
        for (other, &second) in ALL.iter().enumerate() {
            let both_orders = first.is_select() && second.is_select();
            if other >= number || both_orders {
                let pair = Pair { ops: [first, second], values };
                pairs += 1;
                interleavings += count(Some(2), move || pair.run::<S>());
            }
        }
    }
    println!("{interleavings} interleavings of {pairs} pairs");
}

macro_rules! pairs {
    ($($name:ident: $kind:ty, $values:literal;)*) => {
        $(#[test] fn $name() { every_pair::<$kind>($values); })*
    };
}

pairs! {
    rendezvous: Rendezvous, 0;
    rendezvous_with_a_value_left: Rendezvous, 1;
    one_slot_empty: Buffered<1>, 0;
    one_slot_full: Buffered<1>, 1;
    two_slots_empty: Buffered<2>, 0;
    two_slots_half_full: Buffered<2>, 1;
    two_slots_full: Buffered<2>, 2;
}
