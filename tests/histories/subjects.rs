//! The kinds of channels whose histories are taken.

use std::cell::Cell;
use std::marker::PhantomData;

use cloakroom::Arena;
use cloakroom::channel::{
    Buffered, Channel, Compete, Conflated, DropNewest, DropOldest, Rendezvous, Strategy, Unlimited,
};
use cloakroom::sync::RawMutex;

use super::history::Value;
use super::models::Kind;

/// One kind, under one lock.
pub trait Subject: Send + Sync {
    type Lock: RawMutex + Send + Sync + 'static;
    type Strategy: Compete<Value> + Send + Sync;
    /// Its sequential specification.
    const KIND: Kind;

    fn new() -> Self;
    fn channel(&self) -> Channel<Self::Lock, Value, Self::Strategy>;
    /// The value that had to go for a send, by what the send returned.
    fn dropped(receipt: <Self::Strategy as Strategy<Value>>::Receipt) -> Option<Value>;
}

pub struct Meeting<M>(PhantomData<M>);
pub struct Ring<M, const N: usize>(PhantomData<M>);
pub struct Newest<M, const N: usize>(PhantomData<M>);
pub struct Oldest<M, const N: usize>(PhantomData<M>);
pub struct Latest<M>(PhantomData<M>);
pub struct Endless<M: RawMutex + Send + Sync + 'static>(&'static Arena<M, 512, 64, 512>);

type Hook = fn(Value);

thread_local! {
    /// What this thread's sends have dropped by policy.
    static DROPPED: Cell<Option<Value>> = const { Cell::new(None) };
}

fn note(value: Value) {
    assert_eq!(DROPPED.replace(Some(value)), None, "one send dropped two values");
}

macro_rules! subject {
    (
        impl<M $(, $n:ident)?> $name:ty, $strategy:ty, $kind:expr,
        $dropped:expr, $channel:expr
    ) => {
        impl<M: RawMutex + Send + Sync + 'static $(, const $n: usize)?> Subject for $name {
            type Lock = M;
            type Strategy = $strategy;
            const KIND: Kind = $kind;

            fn new() -> Self {
                Self(PhantomData)
            }
            fn channel(&self) -> Channel<M, Value, $strategy> {
                $channel
            }
            fn dropped(receipt: <$strategy as Strategy<Value>>::Receipt) -> Option<Value> {
                $dropped(receipt)
            }
        }
    };
}

subject!(impl<M> Meeting<M>, Rendezvous, Kind::Rendezvous, |()| None, Channel::new());
subject!(impl<M, N> Ring<M, N>, Buffered<N>, Kind::Buffered(N), |()| None, Channel::new());
subject!(
    impl<M, N> Newest<M, N>, Buffered<N, DropNewest<Hook>>, Kind::DropNewest(N),
    |()| DROPPED.take(), Channel::with(Buffered::with(DropNewest(note)))
);
subject!(
    impl<M, N> Oldest<M, N>, Buffered<N, DropOldest<Hook>>, Kind::DropOldest(N),
    |()| DROPPED.take(), Channel::with(Buffered::with(DropOldest(note)))
);
subject!(impl<M> Latest<M>, Conflated, Kind::Conflated, |replaced| replaced, Channel::new());

impl<M: RawMutex + Send + Sync + 'static> Subject for Endless<M> {
    type Lock = M;
    type Strategy = Unlimited<'static, M, 2>;
    const KIND: Kind = Kind::Unlimited;

    fn new() -> Self {
        Self(Box::leak(Box::new(Arena::new())))
    }
    fn channel(&self) -> Channel<M, Value, Unlimited<'static, M, 2>> {
        Channel::over(self.0)
    }
    fn dropped((): ()) -> Option<Value> {
        None
    }
}
