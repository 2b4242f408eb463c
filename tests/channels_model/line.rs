//! A channel of any kind whose receivers compete, as a trait object: for sets of different ones.

use std::pin::Pin;

use cloakroom::channel::Channel;
use cloakroom::error::{
    RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TryReserveError, TrySendError,
};
use cloakroom::select::Arm;

use crate::model::{Kind, Model, Outcome, Shape};
use crate::pending::{Rank, Replaced, Slot, Tested, received, sent};
use crate::{Lock, Value};

/// A permit, on a channel of any kind.
pub trait AnySlot {
    fn send(self: Box<Self>, value: Value, priority: u8) -> Option<usize>;
}

impl<S: Tested> AnySlot for Slot<'_, S> {
    fn send(self: Box<Self>, value: Value, priority: u8) -> Option<usize> {
        (*self).send_with_priority(value, S::Rank::of(priority)).id()
    }
}

/// How an arm ended, and the permit if it is one.
pub struct Event<'a> {
    pub outcome: Outcome,
    pub permit: Option<Box<dyn AnySlot + 'a>>,
}

impl Event<'_> {
    fn of(outcome: Outcome) -> Self {
        Event { outcome, permit: None }
    }
}

pub type AnyArm<'a> = dyn Arm<Output = Event<'a>> + 'a;

/// A channel of any kind.
pub trait Line<'a> {
    fn model(&self, shape: Shape) -> Model;
    /// `None`: full.
    fn try_send(&self, value: Value, priority: u8) -> Option<Outcome>;
    /// `None`: empty.
    fn try_recv(&self) -> Option<Outcome>;
    /// `None`: full.
    fn try_reserve(&'a self) -> Option<Event<'a>>;
    /// `value` is there if the kind is a send.
    fn arm(&'a self, kind: Kind, value: Option<Value>) -> Pin<Box<AnyArm<'a>>>;
    fn close(&self) -> bool;
    /// Whether it looks as the model does.
    fn check(&self, model: &mut Model, context: &dyn Fn() -> String);
}

impl<'a, S: Tested> Line<'a> for Channel<Lock, Value, S> {
    fn model(&self, shape: Shape) -> Model {
        Model::new(self.snapshot(), shape)
    }

    fn try_send(&self, value: Value, priority: u8) -> Option<Outcome> {
        match self.try_send_with_priority(value, S::Rank::of(priority)) {
            Ok(receipt) => Some(Outcome::Sent(receipt.id())),
            Err(TrySendError::Closed(back)) => Some(Outcome::Closed(Some(back.id))),
            Err(TrySendError::Full(_)) => None,
        }
    }

    fn try_recv(&self) -> Option<Outcome> {
        match Channel::try_recv(self) {
            Ok(value) => Some(Outcome::Received(value.id)),
            Err(TryRecvError::Closed) => Some(Outcome::Closed(None)),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn try_reserve(&'a self) -> Option<Event<'a>> {
        match Channel::try_reserve(self) {
            Ok(permit) => Some(Event { outcome: Outcome::Held, permit: Some(Box::new(permit)) }),
            Err(TryReserveError::Closed) => Some(Event::of(Outcome::Closed(None))),
            Err(TryReserveError::Full) => None,
        }
    }

    fn arm(&'a self, kind: Kind, value: Option<Value>) -> Pin<Box<AnyArm<'a>>> {
        match (kind, value) {
            (Kind::Send(_, priority), Some(value)) => {
                let send = self.send(value).priority(S::Rank::of(priority));
                Box::pin(send.mapped(|output| {
                    let output = output.map_err(|SendError(back)| SendTimeoutError::Closed(back));
                    Event::of(sent(output))
                }))
            }
            (Kind::Recv, None) => Box::pin(self.recv().mapped(|output| {
                Event::of(received(output.map_err(|_closed| RecvTimeoutError::Closed)))
            })),
            (Kind::Reserve, None) => Box::pin(self.reserve().mapped(|output| match output {
                Ok(permit) => Event { outcome: Outcome::Held, permit: Some(Box::new(permit)) },
                Err(_closed) => Event::of(Outcome::Closed(None)),
            })),
            (Kind::Closed, None) => Box::pin(self.closed().mapped(|()| Event::of(Outcome::Told))),
            _ => unreachable!("a value is for a send"),
        }
    }

    fn close(&self) -> bool {
        Channel::close(self)
    }

    fn check(&self, model: &mut Model, context: &dyn Fn() -> String) {
        let (now, mut expected) = (self.snapshot(), model.snapshot());
        // Arms of a select that was decided otherwise stand in line until somebody comes upon them.
        for (parked, at_least) in [
            (now.parked_senders, &mut expected.parked_senders),
            (now.parked_receivers, &mut expected.parked_receivers),
        ] {
            assert!(parked >= *at_least, "{}", context());
            *at_least = parked;
        }
        assert_eq!(now, expected, "{}", context());
        assert_eq!(self.is_full(), model.is_full(), "is full, {}", context());
    }
}
