//! The kinds of channels whose histories are taken.

use std::cell::Cell;
use std::marker::PhantomData;

use cloakroom::channel::{
    Broadcast, Buffered, Channel, Conflated, Delivery, DropNewest, DropOldest, Priority,
    RecvFuture, Rendezvous, Strategy, Subscriber, Unlimited,
};
use cloakroom::sync::RawMutex;
use cloakroom::{Arena, TryRecvError};

use super::history::{Outcome, Value};
use super::models::{Kind, Policy};

pub type ChannelOf<K> = Channel<<K as Subject>::Lock, Value, <K as Subject>::Strategy>;
pub type ReceivedOf<K> = <<K as Subject>::Strategy as Strategy<Value>>::Received;
pub type ReceiptOf<K> = <<K as Subject>::Strategy as Strategy<Value>>::Receipt;
pub type RankOf<K> = <<K as Subject>::Strategy as Strategy<Value>>::Rank;
pub type ReceiveOf<'r, K> = RecvFuture<'r, <K as Subject>::Lock, Value, <K as Subject>::Strategy>;

/// One kind, under one lock.
pub trait Subject: Send + Sync {
    type Lock: RawMutex + Send + Sync + 'static;
    type Strategy: Strategy<Value> + Send + Sync;
    /// What a thread receives through.
    type Reader<'h>
    where
        Self: 'h;
    /// Its sequential specification.
    const KIND: Kind;

    fn new() -> Self;
    fn channel(&self) -> ChannelOf<Self>;
    /// The value that had to go for a send, by what the send returned.
    fn dropped(receipt: ReceiptOf<Self>) -> Option<Value>;
    fn rank(rank: u8) -> RankOf<Self>;
    fn reader<'h>(channel: &'h ChannelOf<Self>) -> Self::Reader<'h>;
    fn try_receive(reader: &mut Self::Reader<'_>) -> Result<ReceivedOf<Self>, TryRecvError>;
    fn receive<'r>(reader: &'r mut Self::Reader<'_>) -> ReceiveOf<'r, Self>;
    fn received(received: ReceivedOf<Self>) -> Outcome;
}

pub struct Meeting<M>(PhantomData<M>);
pub struct Ring<M, const N: usize>(PhantomData<M>);
pub struct Newest<M, const N: usize>(PhantomData<M>);
pub struct Oldest<M, const N: usize>(PhantomData<M>);
pub struct Latest<M>(PhantomData<M>);
pub struct Urgent<M, const N: usize>(PhantomData<M>);
pub struct Endless<M: RawMutex + Send + Sync + 'static>(&'static Arena<M, 512, 64, 512>);
/// Each channel has memory of its own, for so many values.
pub struct Poor<M, const N: usize>(PhantomData<M>);
/// Everybody reads everything.
pub struct Heard<M, const N: usize>(PhantomData<M>);
/// Everybody reads everything, but those who are slow miss some.
pub struct Overheard<M, const N: usize>(PhantomData<M>);

type Hook = fn(Value);

/// Small, so that ageing counts.
const AGEING: u32 = 2;

thread_local! {
    /// What this thread's sends have dropped by policy.
    static DROPPED: Cell<Option<Value>> = const { Cell::new(None) };
}

fn note(value: Value) {
    assert_eq!(DROPPED.replace(Some(value)), None, "one send dropped two values");
}

fn delivered(delivery: Delivery<Value>) -> Outcome {
    match delivery {
        Delivery::Value(value) => Outcome::Received(value),
        Delivery::Lagged(missed) => Outcome::Lagged(missed),
    }
}

macro_rules! subject {
    (
        impl<M $(, $n:ident)?> $name:ty, $strategy:ty, $kind:expr, $rank:expr, $dropped:expr,
        $new:expr, $self:ident => $channel:expr, $readers:ident
    ) => {
        impl<M: RawMutex + Send + Sync + 'static $(, const $n: usize)?> Subject for $name {
            type Lock = M;
            type Strategy = $strategy;
            const KIND: Kind = $kind;

            fn new() -> Self {
                Self($new)
            }
            fn channel(&$self) -> Channel<M, Value, $strategy> {
                $channel
            }
            fn dropped(receipt: ReceiptOf<Self>) -> Option<Value> {
                $dropped(receipt)
            }
            fn rank(rank: u8) -> RankOf<Self> {
                $rank(rank)
            }
            $readers!();
        }
    };
}

macro_rules! compete {
    () => {
        type Reader<'h>
            = &'h ChannelOf<Self>
        where
            Self: 'h;

        fn reader<'h>(channel: &'h ChannelOf<Self>) -> Self::Reader<'h> {
            channel
        }
        fn try_receive(reader: &mut Self::Reader<'_>) -> Result<Value, TryRecvError> {
            reader.try_recv()
        }
        fn receive<'r>(reader: &'r mut Self::Reader<'_>) -> ReceiveOf<'r, Self> {
            reader.recv()
        }
        fn received(value: Value) -> Outcome {
            Outcome::Received(value)
        }
    };
}

macro_rules! share {
    () => {
        type Reader<'h>
            = Subscriber<&'h ChannelOf<Self>>
        where
            Self: 'h;

        fn reader<'h>(channel: &'h ChannelOf<Self>) -> Self::Reader<'h> {
            channel.subscribe()
        }
        fn try_receive(reader: &mut Self::Reader<'_>) -> Result<Delivery<Value>, TryRecvError> {
            reader.try_recv()
        }
        fn receive<'r>(reader: &'r mut Self::Reader<'_>) -> ReceiveOf<'r, Self> {
            reader.recv()
        }
        fn received(delivery: Delivery<Value>) -> Outcome {
            delivered(delivery)
        }
    };
}

subject!(
    impl<M> Meeting<M>, Rendezvous, Kind::Rendezvous, |_| (), |()| None,
    PhantomData, self => Channel::new(), compete
);
subject!(
    impl<M, N> Ring<M, N>, Buffered<N>, Kind::Buffered(N, Policy::Wait), |_| (), |()| None,
    PhantomData, self => Channel::new(), compete
);
subject!(
    impl<M, N> Newest<M, N>, Buffered<N, DropNewest<Hook>>,
    Kind::Buffered(N, Policy::DropNewest), |_| (), |()| DROPPED.take(),
    PhantomData, self => Channel::with(Buffered::with(DropNewest(note))), compete
);
subject!(
    impl<M, N> Oldest<M, N>, Buffered<N, DropOldest<Hook>>,
    Kind::Buffered(N, Policy::DropOldest), |_| (), |()| DROPPED.take(),
    PhantomData, self => Channel::with(Buffered::with(DropOldest(note))), compete
);
subject!(
    impl<M> Latest<M>, Conflated, Kind::Conflated, |_| (), |replaced| replaced,
    PhantomData, self => Channel::new(), compete
);
subject!(
    impl<M, N> Urgent<M, N>, Priority<N, AGEING>, Kind::Priority(N, AGEING), |rank| rank, |()| None,
    PhantomData, self => Channel::new(), compete
);
subject!(
    impl<M> Endless<M>, Unlimited<'static, M, 2>, Kind::Unlimited, |_| (), |()| None,
    Box::leak(Box::new(Arena::new())), self => Channel::over(self.0), compete
);
subject!(
    impl<M, N> Poor<M, N>, Unlimited<'static, M, 1>, Kind::Scarce(N), |_| (), |()| None,
    PhantomData, self => Channel::over(Box::leak(Box::new(Arena::<M, N, 64, N, 1>::new()))), compete
);
subject!(
    impl<M, N> Heard<M, N>, Broadcast<N>, Kind::Broadcast(N, Policy::Wait), |_| (),
    // What nobody is there to read is dropped without a hook.
    |()| None, PhantomData, self => Channel::new(), share
);
subject!(
    impl<M, N> Overheard<M, N>, Broadcast<N, DropOldest<Hook>>,
    Kind::Broadcast(N, Policy::DropOldest), |_| (), |()| DROPPED.take(),
    PhantomData, self => Channel::with(Broadcast::with(DropOldest(note))), share
);
