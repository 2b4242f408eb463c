//! Operations under way on a channel whose receivers compete, with and without limits.

use std::future::{Future, pending};
use std::pin::Pin;
use std::task::Context;

use cloakroom::channel::{
    Channel, Closed, Compete, Permit, Receiver, RecvFuture, Reserve, SendFuture, Sender, Strategy,
};
use cloakroom::error::{RecvTimeoutError, SendTimeoutError, StoppedError};
use cloakroom::kernel::{CancelToken, Timers};
use cloakroom::limit::{Operation, Stopped};
use cloakroom::sync::RawMutex;

use crate::model::{Kind, Outcome};
use crate::{Lock, Value, ended};

/// A priority, where there is one.
pub trait Rank {
    fn of(priority: u8) -> Self;
}

impl Rank for () {
    fn of(_priority: u8) -> Self {}
}

impl Rank for u8 {
    fn of(priority: u8) -> Self {
        priority
    }
}

/// What a successful send returns, as the number of the value that was replaced.
pub trait Replaced {
    fn id(self) -> Option<usize>;
}

impl Replaced for () {
    fn id(self) -> Option<usize> {
        None
    }
}

impl Replaced for Option<Value> {
    fn id(self) -> Option<usize> {
        self.map(|value| value.id)
    }
}

/// The kinds that the model describes.
pub trait Tested:
    Compete<Value> + Strategy<Value, Received = Value, Reader = (), Rank: Rank, Receipt: Replaced>
{
}

impl<
    S: Compete<Value> + Strategy<Value, Received = Value, Reader = (), Rank: Rank, Receipt: Replaced>,
> Tested for S
{
}

pub type Slot<'a, S, M = Lock> = Permit<'a, M, Value, S>;
/// An outcome, and the permit if it is one.
type Ended<'a, S, M> = (Outcome, Option<Slot<'a, S, M>>);

/// Both sides of a channel, however it is owned.
pub trait Sides<M: RawMutex, S: Tested> {
    fn sides(&self) -> (&Sender<M, Value, S>, &Receiver<M, Value, S>);
}

impl<M: RawMutex, S: Tested> Sides<M, S> for Channel<M, Value, S> {
    fn sides(&self) -> (&Sender<M, Value, S>, &Receiver<M, Value, S>) {
        (self.sender(), self.receiver())
    }
}

/// An operation under way.
pub enum Running<'a, M: RawMutex, S: Tested> {
    Send(Pin<Box<SendFuture<'a, M, Value, S>>>),
    Recv(Pin<Box<RecvFuture<'a, M, Value, S>>>),
    Reserve(Pin<Box<Reserve<'a, M, Value, S>>>),
    Closed(Pin<Box<Closed<'a, M, Value, S>>>),
    Limited(Pin<Box<dyn Future<Output = Ended<'a, S, M>> + 'a>>, Limit),
}

/// When an operation is to be given up.
#[derive(Clone, Copy)]
pub struct Limit {
    pub deadline: Option<u64>,
    /// The number of a cancellation.
    pub token: Option<usize>,
}

/// What limits refer to.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    pub timers: &'a Timers<Lock>,
    pub tokens: &'a [CancelToken<Lock>],
}

impl Outside<'_> {
    /// What a limited operation of this kind that still waits comes to.
    pub fn verdict(self, limit: Limit, kind: Kind) -> Option<Outcome> {
        let value = match kind {
            Kind::Send(value, _) => Some(value),
            _ => None,
        };
        if limit.token.is_some_and(|token| self.tokens[token].is_cancelled()) {
            Some(Outcome::Cancelled(value))
        } else if limit.deadline.is_some_and(|deadline| deadline <= self.timers.now()) {
            Some(Outcome::Timeout(value))
        } else {
            None
        }
    }
}

impl<'a, M: RawMutex, S: Tested> Running<'a, M, S> {
    /// `value` is there if the kind is a send.
    pub fn start(
        (sender, receiver): (&'a Sender<M, Value, S>, &'a Receiver<M, Value, S>),
        kind: Kind,
        value: Option<Value>,
        limit: Option<Limit>,
        outside: Outside<'a>,
    ) -> Self {
        match (kind, value, limit) {
            (Kind::Send(_, priority), Some(value), None) => {
                Self::Send(Box::pin(sender.send(value).priority(S::Rank::of(priority))))
            }
            (Kind::Send(_, priority), Some(value), Some(limit)) => {
                let send = sender.send(value).priority(S::Rank::of(priority));
                limited(send, limit, outside, |output| (sent(output), None))
            }
            (Kind::Recv, None, None) => Self::Recv(Box::pin(receiver.recv())),
            (Kind::Recv, None, Some(limit)) => {
                limited(receiver.recv(), limit, outside, |output| (received(output), None))
            }
            (Kind::Reserve, None, None) => Self::Reserve(Box::pin(sender.reserve())),
            (Kind::Reserve, None, Some(limit)) => {
                limited(sender.reserve(), limit, outside, reserved)
            }
            (Kind::Closed, None, None) => Self::Closed(Box::pin(sender.closed())),
            (Kind::Closed, None, Some(limit)) => {
                limited(sender.closed(), limit, outside, |output| (told(output), None))
            }
            _ => unreachable!("a value is for a send"),
        }
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Option<Ended<'a, S, M>> {
        match self {
            Self::Send(send) => ended(send.as_mut().poll(cx))
                .map(|output| (sent(SendFuture::<M, Value, S>::finish(output)), None)),
            Self::Recv(recv) => ended(recv.as_mut().poll(cx))
                .map(|output| (received(RecvFuture::<M, Value, S>::finish(output)), None)),
            Self::Reserve(reserve) => ended(reserve.as_mut().poll(cx))
                .map(|output| reserved(Reserve::<M, Value, S>::finish(output))),
            Self::Closed(closed) => ended(closed.as_mut().poll(cx))
                .map(|output| (told(Closed::<M, Value, S>::finish(output)), None)),
            Self::Limited(future, _) => ended(future.as_mut().poll(cx)),
        }
    }
}

fn limited<'a, M: RawMutex, S: Tested, F: Operation + 'a>(
    operation: F,
    limit: Limit,
    outside: Outside<'a>,
    outcome: impl FnOnce(F::Limited) -> Ended<'a, S, M> + 'a,
) -> Running<'a, M, S> {
    // A missing limit is one that never comes true.
    let deadline = outside.timers.at(limit.deadline.unwrap_or(u64::MAX));
    let token = limit.token.map(|token| outside.tokens[token].cancelled());
    let cancelled = async {
        match token {
            Some(token) => token.await,
            None => pending().await,
        }
    };
    // Either may be put round the operation first.
    let cancelled_first = limit.deadline.is_none_or(|deadline| deadline % 2 == 0);
    let future: Pin<Box<dyn Future<Output = Ended<'a, S, M>>>> = if cancelled_first {
        Box::pin(async move { outcome(operation.cancelled_by(cancelled).deadline(deadline).await) })
    } else {
        Box::pin(async move { outcome(operation.deadline(deadline).cancelled_by(cancelled).await) })
    };
    Running::Limited(future, limit)
}

pub fn sent<R: Replaced>(output: Result<R, SendTimeoutError<Value>>) -> Outcome {
    match output {
        Ok(receipt) => Outcome::Sent(receipt.id()),
        Err(SendTimeoutError::Closed(back)) => Outcome::Closed(Some(back.id)),
        Err(SendTimeoutError::Cancelled(back)) => Outcome::Cancelled(Some(back.id)),
        Err(SendTimeoutError::Timeout(back)) => Outcome::Timeout(Some(back.id)),
    }
}

pub fn received(output: Result<Value, RecvTimeoutError>) -> Outcome {
    match output {
        Ok(value) => Outcome::Received(value.id),
        Err(RecvTimeoutError::Closed) => Outcome::Closed(None),
        Err(RecvTimeoutError::Cancelled) => Outcome::Cancelled(None),
        Err(RecvTimeoutError::Timeout) => Outcome::Timeout(None),
    }
}

fn reserved<M: RawMutex, S: Tested>(
    output: Result<Slot<'_, S, M>, StoppedError>,
) -> Ended<'_, S, M> {
    match output {
        Ok(permit) => (Outcome::Held, Some(permit)),
        Err(StoppedError::Closed) => (Outcome::Closed(None), None),
        Err(StoppedError::Cancelled) => (Outcome::Cancelled(None), None),
        Err(StoppedError::Timeout) => (Outcome::Timeout(None), None),
    }
}

fn told(output: Result<(), Stopped>) -> Outcome {
    match output {
        Ok(()) => Outcome::Told,
        Err(Stopped::Cancelled) => Outcome::Cancelled(None),
        Err(Stopped::Timeout) => Outcome::Timeout(None),
    }
}
