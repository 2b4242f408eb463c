//! Sending to all of several channels or to none, beside every other operation on them, under the loom
//! model checker.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom_fan_out
//! ```
//!
//! Two channels of one slot, empty or full at first. As in `loom_pairs`, a third thread waits until both
//! operations have ended or sleep, looks whether they may, helps them, and counts: a message is in both channels
//! or in neither, and its memory comes back.
#![cfg(loom)]

#[path = "common/loom_lock.rs"]
mod loom_lock;
#[path = "common/loom_quiet.rs"]
mod loom_quiet;

use std::pin::pin;

use cloakroom::channel::{
    Buffered, Bytes, FanOutError, NoFanOut, fan_out, fan_out_all, try_fan_out_all,
};
use cloakroom::kernel::CancelToken;
use cloakroom::limit::Operation;
use cloakroom::{Arena, Lease};
use loom_lock::{PerObject as Lock, count};
use loom_quiet::{Two, lend, once};

/// What a thread does with channels 0 and 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    /// To as many as have room.
    FanOut,
    TryAll,
    All,
    /// In the other order.
    AllReversed,
    /// Dropped after one poll.
    AllDropped,
    /// Cancelled under way, by the third thread.
    AllCancelled,
    TrySend(usize),
    Send(usize),
    TryRecv(usize),
    Recv(usize),
    Close(usize),
}

use Op::{
    All, AllCancelled, AllDropped, AllReversed, Close, FanOut, Recv, Send, TryAll, TryRecv, TrySend,
};

const TO_SEVERAL: [Op; 6] = [FanOut, TryAll, All, AllReversed, AllDropped, AllCancelled];
const TO_ONE: [Op; 10] = [
    TrySend(0),
    TrySend(1),
    Send(0),
    Send(1),
    TryRecv(0),
    TryRecv(1),
    Recv(0),
    Recv(1),
    Close(0),
    Close(1),
];

type Memory = Arena<Lock, 8, 16, 8, 1>;
type Line = Bytes<'static, Lock, Buffered<1>>;

/// What became of an operation's message, and what it received.
#[derive(Default, Debug)]
struct Account {
    /// How many channels its message went to.
    went_to: usize,
    /// Of each channel.
    received: [Vec<u8>; 2],
}

impl Account {
    fn tried(&mut self, sent: Result<(), FanOutError<'_, Lock>>) {
        self.went_to = match sent {
            Ok(()) => 2,
            Err(FanOutError { message, why }) => {
                assert!(!matches!(why, NoFanOut::TooMany | NoFanOut::Timeout));
                // It can be written to: no other handle is left.
                assert!(message.try_into_mut().is_ok(), "a copy was not given back");
                0
            }
        };
    }

    fn received<E>(&mut self, from: usize, received: Result<Lease<'_, Lock>, E>) {
        self.received[from].extend(received.ok().map(|lease| lease[0]));
    }
}

/// One operation, with `value` as its message.
async fn perform(
    op: Op,
    arena: &'static Memory,
    lines: &'static [Line; 2],
    cancel: &'static CancelToken<Lock>,
    value: u8,
) -> Account {
    let mut account = Account::default();
    let message = || arena.try_alloc_from(&[value; 16]).expect("room");
    let [first, second] = lines;
    match op {
        FanOut => account.went_to = fan_out(&[first, second], message()),
        TryAll => account.tried(try_fan_out_all(&[first, second], message())),
        All => account.tried(fan_out_all(&[first, second], message()).await),
        AllReversed => account.tried(fan_out_all(&[second, first], message()).await),
        AllDropped => {
            if let Some(sent) = once(pin!(fan_out_all(&[first, second], message()))).await {
                account.tried(sent);
            }
        }
        AllCancelled => {
            let both = [first, second];
            let all = fan_out_all(&both, message()).cancelled_by(cancel.cancelled());
            account.tried(all.await);
        }
        TrySend(to) => {
            let parcel = message().into_parcel().expect("few");
            account.went_to = usize::from(lines[to].try_send_parcel(parcel).is_ok());
        }
        Send(to) => {
            let parcel = message().into_parcel().expect("few");
            account.went_to = usize::from(lines[to].send_parcel(parcel).await.is_ok());
        }
        TryRecv(from) => account.received(from, lines[from].try_recv()),
        Recv(from) => account.received(from, lines[from].recv().await),
        Close(which) => drop(lines[which].close()),
    }
    account
}

/// Two operations, and which channels are full at first.
#[derive(Clone, Copy, Debug)]
struct Pair {
    ops: [Op; 2],
    full: [bool; 2],
}

impl Pair {
    /// The messages of threads 0 and 1, and of the third one; smaller ones are there from the start.
    const VALUES: [u8; 3] = [10, 20, 30];

    /// One execution.
    fn run(self) {
        lend((Memory::new(), CancelToken::new()), |(arena, cancel)| {
            lend([Line::new(), Line::new()], |lines| {
                for (number, line) in lines.iter().enumerate() {
                    if self.full[number] {
                        line.try_send_bytes(arena.handle(), &[number as u8]).expect("room");
                    }
                }
                let perform = |number: usize| {
                    perform(self.ops[number], arena, lines, cancel, Self::VALUES[number])
                };
                let two = Two::start([perform(0), perform(1)]);
                if self.ops.contains(&AllCancelled) {
                    cancel.cancel();
                }

                let asleep = two.wait();
                for (op, asleep) in self.ops.into_iter().zip(asleep) {
                    assert!(!asleep || may_sleep(op, lines), "{self:?}: {op:?} sleeps");
                }
                let mut own = Account::default();
                self.help(arena, lines, || two.wait(), &mut own);
                assert_eq!(two.wait(), [false; 2], "{self:?}: not told");
                self.reconcile(lines, own, two.join());
            });
            assert!(arena.handle().verify().is_clean());
            assert_eq!(arena.snapshot().live, 0, "{self:?}: a message was not freed");
        });
    }

    /// Empties the channels until nobody waits to send, and sends to whoever waits to receive.
    fn help(
        self,
        arena: &'static Memory,
        lines: &'static [Line; 2],
        wait: impl Fn() -> [bool; 2],
        own: &mut Account,
    ) {
        while lines.iter().any(|line| !line.is_empty()) {
            for (from, line) in lines.iter().enumerate() {
                own.received(from, line.try_recv());
            }
            wait();
        }
        for (op, asleep) in self.ops.into_iter().zip(wait()) {
            if let (Recv(from), true) = (op, asleep) {
                let sent = lines[from].try_send_bytes(arena.handle(), &[Self::VALUES[2]]);
                assert!(sent.is_ok(), "{self:?}: it sleeps though the channel is full");
                own.went_to = 1;
            }
        }
    }

    /// Every message is where it is said to be.
    fn reconcile(self, lines: &[Line; 2], own: Account, accounts: [Account; 2]) {
        let mut arrived: [Vec<u8>; 2] = std::array::from_fn(|line| {
            std::iter::from_fn(|| lines[line].try_recv().ok()).map(|lease| lease[0]).collect()
        });
        let story = format!("{self:?}, {accounts:?}, own {own:?}, left {arrived:?}");
        for account in accounts.iter().chain([&own]) {
            for (arrived, received) in arrived.iter_mut().zip(&account.received) {
                arrived.extend(received);
            }
        }
        for (line, arrived) in arrived.iter().enumerate() {
            let at_first = arrived.iter().filter(|&&value| value < 10).count();
            assert_eq!(at_first, usize::from(self.full[line]), "lost or doubled: {story}");
        }
        for (account, value) in accounts.iter().chain([&own]).zip(Self::VALUES) {
            let times = arrived
                .each_ref()
                .map(|arrived| arrived.iter().filter(|&&arrived| arrived == value).count());
            assert_eq!(times[0] + times[1], account.went_to, "{value}: {story}");
            if value != Self::VALUES[2] {
                assert!(times[0] <= 1 && times[1] <= 1, "{value} came twice: {story}");
            }
        }
        for line in lines {
            let snapshot = line.snapshot();
            assert_eq!((snapshot.depth, snapshot.sent), (0, snapshot.received), "{story}");
        }
    }
}

/// Whether `op` waits for something that is not there.
fn may_sleep(op: Op, lines: &[Line; 2]) -> bool {
    let is_full = |line: &Line| line.len() == 1 && !line.is_closed();
    match op {
        // It waits for one that was full, and sees that the other is closed when it has its slot.
        All | AllReversed => lines.iter().any(is_full),
        Send(to) => is_full(&lines[to]),
        Recv(from) => lines[from].is_empty() && !lines[from].is_closed(),
        _ => false,
    }
}

fn every_pair(full: [bool; 2]) {
    let (mut pairs, mut interleavings) = (0, 0);
    for (number, &first) in TO_SEVERAL.iter().enumerate() {
        for &second in TO_SEVERAL[number..].iter().chain(&TO_ONE) {
            let pair = Pair { ops: [first, second], full };
            pairs += 1;
            // One preemption: trays multiply the steps, and the messages' memory comes from one arena. At length, more.
            interleavings += count(Some(1), move || pair.run());
        }
    }
    println!("{interleavings} interleavings of {pairs} pairs");
}

#[test]
fn to_empty_channels() {
    every_pair([false, false]);
}

#[test]
fn the_first_is_full() {
    every_pair([true, false]);
}

#[test]
fn the_second_is_full() {
    every_pair([false, true]);
}

#[test]
fn both_are_full() {
    every_pair([true, true]);
}
