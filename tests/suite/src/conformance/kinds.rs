//! The kinds of channels in the matrix, and how each is received from.

use core::cell::Cell;

use cloakroom::Arena;
use cloakroom::channel::{
    Broadcast, Buffered, Channel, Compete, Conflated, Delivery, DropNewest, DropOldest, Hook,
    Listen, Priority, RecvFuture, RecvMany, Rendezvous, Strategy, Subscriber, Unlimited, Wait,
};
use cloakroom::error::TryRecvError;
use cloakroom::sync::RawMutex;

use super::cell::{self, Operation, State, Way};
use super::words::Word;
use crate::Failure;

/// Room in the channels that have a fixed one.
const ROOM: usize = 2;

/// A hook that remembers the last value it was handed.
pub(super) struct Remember<'a>(&'a Cell<u32>);

impl Hook<u32> for Remember<'_> {
    fn dropped(&self, value: u32) {
        self.0.set(value);
    }
}

/// A list with room for a few, for `recv_many`.
#[derive(Default)]
pub(super) struct Few {
    pub(super) first: u32,
    pub(super) count: usize,
}

impl<T: Received> Extend<T> for Few {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        for value in values {
            if self.count == 0 {
                self.first = value.id();
            }
            self.count += 1;
        }
    }
}

/// What a receive returns, as a number.
pub(super) trait Received {
    fn id(self) -> u32;
}

impl Received for u32 {
    fn id(self) -> u32 {
        self
    }
}

impl Received for Delivery<u32> {
    fn id(self) -> u32 {
        // Nobody lags in the matrix by more than a few.
        match self {
            Self::Value(value) => value,
            Self::Lagged(missed) => missed as u32,
        }
    }
}

/// What a send returns, as the number of the value that it replaced.
pub(super) trait Receipt {
    fn replaced(self) -> Option<u32>;
}

impl Receipt for () {
    fn replaced(self) -> Option<u32> {
        None
    }
}

impl Receipt for Option<u32> {
    fn replaced(self) -> Option<u32> {
        self
    }
}

/// The receiving side: the channel itself, or a subscriber.
pub(super) trait Reader<M: RawMutex, S: Strategy<u32>> {
    fn try_recv(&mut self) -> Result<S::Received, TryRecvError>;
    fn recv(&mut self) -> RecvFuture<'_, M, u32, S>;
    fn recv_many<'a>(&'a mut self, few: &'a mut Few, limit: usize) -> RecvMany<'a, M, u32, S, Few>;
    fn drain(&mut self, few: &mut Few);
}

impl<M: RawMutex, S: Compete<u32>> Reader<M, S> for &Channel<M, u32, S> {
    fn try_recv(&mut self) -> Result<u32, TryRecvError> {
        Channel::try_recv(self)
    }
    fn recv(&mut self) -> RecvFuture<'_, M, u32, S> {
        Channel::recv(self)
    }
    fn recv_many<'a>(&'a mut self, few: &'a mut Few, limit: usize) -> RecvMany<'a, M, u32, S, Few> {
        Channel::recv_many(self, few, limit)
    }
    fn drain(&mut self, few: &mut Few) {
        few.extend(Channel::drain(self));
    }
}

impl<M: RawMutex, S: Listen<u32>> Reader<M, S> for Subscriber<&Channel<M, u32, S>> {
    fn try_recv(&mut self) -> Result<Delivery<u32>, TryRecvError> {
        Subscriber::try_recv(self)
    }
    fn recv(&mut self) -> RecvFuture<'_, M, u32, S> {
        Subscriber::recv(self)
    }
    fn recv_many<'a>(&'a mut self, few: &'a mut Few, limit: usize) -> RecvMany<'a, M, u32, S, Few> {
        Subscriber::recv_many(self, few, limit)
    }
    fn drain(&mut self, few: &mut Few) {
        few.extend(Subscriber::drain(self));
    }
}

/// A reader for a channel of competing receivers.
fn channel_itself<M: RawMutex, S: Compete<u32>>(
    channel: &Channel<M, u32, S>,
) -> &Channel<M, u32, S> {
    channel
}

/// Runs a cell on a fresh channel.
macro_rules! observe {
    ($($name:ident: $kind:ty, |$hooked:ident| $make:expr, $reader:expr;)+) => {
        $(
            pub(super) fn $name<M: RawMutex + 'static>(
                operation: Operation,
                way: Way,
                state: State,
            ) -> Result<Word, Failure> {
                let $hooked = Cell::new(0);
                let channel: Channel<M, u32, $kind> = $make;
                cell::run(&channel, &$hooked, $reader, operation, way, state)
            }
        )+

        pub(super) fn table<M: RawMutex + 'static>() -> &'static [(&'static str, super::Observe)] {
            const { &[$((stringify!($name), $name::<M>)),+] }
        }
    };
}

observe! {
    rendezvous: Rendezvous, |hooked| Channel::new(), channel_itself;
    buffered: Buffered<ROOM>, |hooked| Channel::new(), channel_itself;
    drop_newest: Buffered<ROOM, DropNewest<Remember<'_>>>,
        |hooked| Channel::with(Buffered::with(DropNewest(Remember(&hooked)))), channel_itself;
    drop_oldest: Buffered<ROOM, DropOldest<Remember<'_>>>,
        |hooked| Channel::with(Buffered::with(DropOldest(Remember(&hooked)))), channel_itself;
    conflated: Conflated, |hooked| Channel::new(), channel_itself;
    priority: Priority<ROOM>, |hooked| Channel::new(), channel_itself;
    broadcast: Broadcast<ROOM, Wait>, |hooked| Channel::new(), Channel::subscribe;
    lagging_broadcast: Broadcast<ROOM, DropOldest<Remember<'_>>>,
        |hooked| Channel::with(Broadcast::with(DropOldest(Remember(&hooked)))), Channel::subscribe;
}

/// Memory for two segments of one value.
pub(super) fn unlimited<M: RawMutex + Sync + 'static>(
    operation: Operation,
    way: Way,
    state: State,
) -> Result<Word, Failure> {
    let arena: Arena<M, 2, 64, 2> = Arena::new();
    let hooked = Cell::new(0);
    let channel: Channel<M, u32, Unlimited<'_, M, 1>> = Channel::over(&arena);
    cell::run(&channel, &hooked, channel_itself, operation, way, state)
}
