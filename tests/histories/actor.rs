//! A thread of a round: what it can do, and how that is written down.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use cloakroom::RecvError;
use cloakroom::channel::{Permit, SendFuture};
use cloakroom::error::{
    ClosedError, RecvTimeoutError, SendError, SendTimeoutError, StoppedError, TryRecvError,
    TryReserveError, TrySendError,
};
use cloakroom::limit::Stopped;

use super::history::{Answer, Arm, Call, Clock, Lane, OperationId, Outcome, Value};
use super::limits::{Limits, Manner};
use super::random::Random;
use super::stage::{Bed, Bedroom, Gate, Rest};
use super::subjects::{ChannelOf, ReceiptOf, ReceivedOf, Subject};
use super::workloads::{Deed, Mix};

pub type PermitOf<'h, K> = Permit<'h, <K as Subject>::Lock, Value, <K as Subject>::Strategy>;
type SendOf<'h, K> = SendFuture<'h, <K as Subject>::Lock, Value, <K as Subject>::Strategy>;

/// The channels of a round, and what else its threads share.
pub struct Hall<A: Subject, B: Subject> {
    pub a: ChannelOf<A>,
    pub b: ChannelOf<B>,
    pub clock: Clock,
    pub bedroom: Arc<Bedroom>,
    pub gate: Gate,
}

/// A channel, its number, and what the thread receives through.
pub struct Place<'h, K: Subject + 'h> {
    pub channel: &'h ChannelOf<K>,
    pub number: u8,
    reader: Option<K::Reader<'h>>,
}

impl<'h, K: Subject> Place<'h, K> {
    pub fn new(channel: &'h ChannelOf<K>, number: u8) -> Self {
        Self { channel, number, reader: None }
    }
}

/// The round was given up: somebody was not woken.
pub struct Over;

/// One thread in one round.
pub struct Actor<'h, A: Subject, B: Subject> {
    hall: &'h Hall<A, B>,
    mix: &'h Mix,
    number: u8,
    pub lane: Lane,
    pub random: Random,
    values: u8,
    waker: Waker,
}

pub fn sent<K: Subject>(result: Result<ReceiptOf<K>, SendError<Value>>) -> Outcome {
    result.map_or(Outcome::Closed, |receipt| Outcome::Sent(K::dropped(receipt)))
}

pub fn received<K: Subject>(result: Result<ReceivedOf<K>, RecvError>) -> Outcome {
    result.map_or(Outcome::Closed, K::received)
}

impl<'h, A: Subject, B: Subject> Actor<'h, A, B> {
    pub fn new(hall: &'h Hall<A, B>, mix: &'h Mix, number: usize, random: Random) -> Self {
        let waker = Waker::from(Arc::new(Bed { room: hall.bedroom.clone(), number }));
        let number = u8::try_from(number).expect("few");
        Self { hall, mix, number, lane: Lane::default(), random, values: 0, waker }
    }

    /// A value of its own.
    pub fn value(&mut self) -> Value {
        self.values += 1;
        u16::from(self.number) << 8 | u16::from(self.values)
    }

    pub fn begin(&mut self, arms: Vec<Arm>) -> OperationId {
        self.lane.begin(self.number, arms)
    }

    pub fn stamp(&self) -> u64 {
        self.hall.clock.stamp()
    }

    pub fn enter(&mut self, begun: u64, call: Call, answer: Answer) {
        self.lane.enter(&self.hall.clock, begun, call, answer);
    }

    fn record(&mut self, call: Call, run: impl FnOnce() -> Answer) -> Answer {
        let begun = self.stamp();
        let answer = run();
        self.enter(begun, call, answer);
        answer
    }

    pub fn manner(&mut self) -> Manner {
        if self.random.below(8) < self.mix.patience {
            return Manner::Await;
        }
        if self.random.below(2) == 0 {
            return Manner::Drop(1 + self.random.below(3));
        }
        Manner::Limit { cancellation: self.random.below(4), deadline: self.random.below(4) }
    }

    /// Polls `future` until it is ready, or `polls` times. What it came to, if anything.
    pub fn wait<F: Future>(
        &mut self,
        id: OperationId,
        mut future: Pin<&mut F>,
        polls: Option<u64>,
        limits: &Limits,
        mut answer: impl FnMut(F::Output) -> Answer,
    ) -> Result<Option<Answer>, Over> {
        let mut cx = Context::from_waker(Waker::noop());
        let waker = self.waker.clone();
        let mut woken = Context::from_waker(&waker);
        let cx = if polls.is_none() { &mut woken } else { &mut cx };
        let mut polled = 0;
        loop {
            let begun = self.stamp();
            let answer = match future.as_mut().poll(cx) {
                Poll::Ready(output) => answer(output),
                Poll::Pending => Answer::Pending,
            };
            let call = if limits.hold() { Call::Limit(id) } else { Call::Poll(id) };
            self.enter(begun, call, answer);
            polled += 1;
            if answer != Answer::Pending {
                return Ok(Some(answer));
            }
            match polls {
                Some(polls) if polled == polls => return Ok(None),
                Some(_) => thread::yield_now(),
                None => self.sleep()?,
            }
        }
    }

    fn sleep(&mut self) -> Result<(), Over> {
        match self.hall.bedroom.sleep(usize::from(self.number)) {
            Rest::Woken => Ok(()),
            Rest::Stuck => self.wake_all(),
            Rest::Over => Err(Over),
        }
    }

    /// All others sleep: closing wakes those who wait, or else somebody has been forgotten.
    fn wake_all(&mut self) -> Result<(), Over> {
        // A wake-up that is missing shows here, too, as the closing that follows wakes everybody.
        self.record(Call::Rest, || Answer::Done);
        let mut was_open = false;
        for channel in 0..self.mix.channels {
            was_open |= self.close(channel) == Answer::WasOpen(true);
        }
        if was_open {
            return Ok(());
        }
        self.hall.bedroom.give_up();
        Err(Over)
    }

    fn close(&mut self, channel: u8) -> Answer {
        let hall = self.hall;
        self.record(Call::Close { channel }, || {
            Answer::WasOpen(if channel == 0 { hall.a.close() } else { hall.b.close() })
        })
    }

    /// How urgent a value is; where that does not matter, nobody looks.
    pub fn rank(&mut self) -> u8 {
        u8::try_from(self.random.below(4)).expect("below 4")
    }

    /// What this thread receives through: a subscriber, unless all receivers are alike.
    pub fn reader<'p, K: Subject>(&mut self, place: &'p mut Place<'h, K>) -> &'p mut K::Reader<'h> {
        if place.reader.is_none() {
            let begun = self.stamp();
            place.reader = Some(K::reader(place.channel));
            if K::KIND.shares() {
                let call = Call::Subscribe { channel: place.number, reader: self.number };
                self.enter(begun, call, Answer::Done);
            }
        }
        place.reader.as_mut().expect("made just now")
    }

    pub fn unsubscribe<K: Subject>(&mut self, place: &mut Place<'h, K>) {
        let (channel, reader) = (place.number, self.number);
        if let Some(subscriber) = place.reader.take().filter(|_| K::KIND.shares()) {
            self.record(Call::Unsubscribe { channel, reader }, || {
                drop(subscriber);
                Answer::Done
            });
        }
    }

    fn try_send<K: Subject>(&mut self, place: &mut Place<'h, K>) {
        let (value, rank) = (self.value(), self.rank());
        self.record(Call::TrySend { channel: place.number, value, rank }, || {
            match place.channel.try_send_with_priority(value, K::rank(rank)) {
                Ok(receipt) => Answer::Ready(0, Outcome::Sent(K::dropped(receipt))),
                Err(TrySendError::Full(back)) => {
                    assert_eq!(back, value);
                    Answer::Full
                }
                Err(TrySendError::Closed(back)) => {
                    assert_eq!(back, value);
                    Answer::Ready(0, Outcome::Closed)
                }
            }
        });
    }

    pub fn try_receive<K: Subject>(&mut self, place: &mut Place<'h, K>) -> Answer {
        let (channel, reader) = (place.number, self.number);
        let receiver = self.reader(place);
        self.record(Call::TryReceive { channel, reader }, || match K::try_receive(receiver) {
            Ok(received) => Answer::Ready(0, K::received(received)),
            Err(TryRecvError::Empty) => Answer::Empty,
            Err(TryRecvError::Closed) => Answer::Ready(0, Outcome::Closed),
        })
    }

    fn try_reserve<K: Subject>(&mut self, place: &mut Place<'h, K>) {
        let mut permit = None;
        self.record(Call::TryReserve { channel: place.number }, || {
            match place.channel.try_reserve() {
                Ok(held) => {
                    permit = Some(held);
                    Answer::Ready(0, Outcome::Held)
                }
                Err(TryReserveError::Full) => Answer::Full,
                Err(TryReserveError::Closed) => Answer::Ready(0, Outcome::Closed),
            }
        });
        self.redeem(place, permit);
    }

    /// Uses a permit, or gives it back, perhaps after something else.
    pub fn redeem<K: Subject>(
        &mut self,
        place: &mut Place<'h, K>,
        permit: Option<PermitOf<'h, K>>,
    ) {
        let Some(permit) = permit else { return };
        match self.random.below(4) {
            0 => self.try_send(place),
            1 => drop(self.try_receive(place)),
            _ => {}
        }
        let channel = place.number;
        if self.random.below(4) == 0 {
            self.record(Call::Return { channel }, || {
                drop(permit);
                Answer::Done
            });
        } else {
            let (value, rank) = (self.value(), self.rank());
            self.record(Call::Redeem { channel, value, rank }, || {
                let receipt = permit.send_with_priority(value, K::rank(rank));
                Answer::Ready(0, Outcome::Sent(K::dropped(receipt)))
            });
        }
    }

    fn send<K: Subject>(&mut self, place: &mut Place<'h, K>, manner: Manner) -> Result<(), Over> {
        let (value, rank) = (self.value(), self.rank());
        let id = self.begin(vec![Arm::Send { channel: place.number, value, rank }]);
        let send = place.channel.send(value).priority(K::rank(rank));
        let limits = Limits::default();
        if matches!(manner, Manner::Limit { .. }) {
            let send = pin!(limits.limit(send, manner));
            self.wait(id, send, None, &limits, |result| match result {
                Ok(receipt) => Answer::Ready(0, Outcome::Sent(K::dropped(receipt))),
                Err(error) => {
                    let answer = match &error {
                        SendTimeoutError::Closed(_) => Answer::Ready(0, Outcome::Closed),
                        SendTimeoutError::Cancelled(_) => limits.explain(Stopped::Cancelled),
                        SendTimeoutError::Timeout(_) => limits.explain(Stopped::Timeout),
                    };
                    assert_eq!(error.into_inner(), value);
                    answer
                }
            })?;
            return Ok(());
        }
        let mut send = pin!(send);
        let ready = |result| Answer::Ready(0, sent::<K>(result));
        if self.wait(id, send.as_mut(), manner.polls(), &limits, ready)?.is_none() {
            self.record(Call::Drop(id), || Answer::Dropped(gone::<K>(send, value).then_some(0)));
        }
        Ok(())
    }

    fn receive<K: Subject>(
        &mut self,
        place: &mut Place<'h, K>,
        manner: Manner,
    ) -> Result<(), Over> {
        let id = self.begin(vec![Arm::Receive { channel: place.number }]);
        let limits = Limits::default();
        let receive = K::receive(self.reader(place));
        if matches!(manner, Manner::Limit { .. }) {
            let receive = pin!(limits.limit(receive, manner));
            self.wait(id, receive, None, &limits, |result| match result {
                Ok(value) => Answer::Ready(0, K::received(value)),
                Err(RecvTimeoutError::Closed) => Answer::Ready(0, Outcome::Closed),
                Err(RecvTimeoutError::Cancelled) => limits.explain(Stopped::Cancelled),
                Err(RecvTimeoutError::Timeout) => limits.explain(Stopped::Timeout),
            })?;
            return Ok(());
        }
        self.wait_or_drop(id, Box::pin(receive), manner, received::<K>)
    }

    fn reserve<K: Subject>(
        &mut self,
        place: &mut Place<'h, K>,
        manner: Manner,
    ) -> Result<(), Over> {
        let id = self.begin(vec![Arm::Reserve { channel: place.number }]);
        let limits = Limits::default();
        let mut permit = None;
        if matches!(manner, Manner::Limit { .. }) {
            let reserve = pin!(limits.limit(place.channel.reserve(), manner));
            self.wait(id, reserve, None, &limits, |result| match result {
                Ok(permit_now) => Answer::Ready(0, held::<K>(Ok(permit_now), &mut permit)),
                Err(StoppedError::Closed) => Answer::Ready(0, Outcome::Closed),
                Err(StoppedError::Cancelled) => limits.explain(Stopped::Cancelled),
                Err(StoppedError::Timeout) => limits.explain(Stopped::Timeout),
            })?;
        } else {
            let reserve = Box::pin(place.channel.reserve());
            self.wait_or_drop(id, reserve, manner, |result| held::<K>(result, &mut permit))?;
        }
        self.redeem(place, permit);
        Ok(())
    }

    fn closed<K: Subject>(&mut self, place: &mut Place<'h, K>, manner: Manner) -> Result<(), Over> {
        let id = self.begin(vec![Arm::Closed { channel: place.number }]);
        self.wait_or_drop(id, Box::pin(place.channel.closed()), manner, |()| Outcome::Closed)
    }

    /// Waits for a future that takes no value with it, or drops it after some polls.
    fn wait_or_drop<F: Future>(
        &mut self,
        id: OperationId,
        mut future: Pin<Box<F>>,
        manner: Manner,
        mut outcome: impl FnMut(F::Output) -> Outcome,
    ) -> Result<(), Over> {
        let ready = |output| Answer::Ready(0, outcome(output));
        let limits = Limits::default();
        if self.wait(id, future.as_mut(), manner.polls(), &limits, ready)?.is_none() {
            self.record(Call::Drop(id), || {
                drop(future);
                Answer::Dropped(None)
            });
        }
        Ok(())
    }

    fn act<K: Subject>(&mut self, deed: Deed, place: &mut Place<'h, K>) -> Result<(), Over> {
        let manner = self.manner();
        match deed {
            Deed::TrySend => self.try_send(place),
            Deed::TryReceive => drop(self.try_receive(place)),
            Deed::TryReserve => self.try_reserve(place),
            Deed::Send => self.send(place, manner)?,
            Deed::Receive => self.receive(place, manner)?,
            Deed::Reserve => self.reserve(place, manner)?,
            Deed::Closed => self.closed(place, manner)?,
            Deed::Close => drop(self.close(place.number)),
            Deed::Unsubscribe => self.unsubscribe(place),
            Deed::Select => {}
        }
        Ok(())
    }

    /// A thread's part of a round.
    pub fn play(&mut self) -> Result<(), Over> {
        let mut a = Place::<A>::new(&self.hall.a, 0);
        let mut b = Place::<B>::new(&self.hall.b, 1);
        if self.random.below(4) > 0 {
            self.reader(&mut a);
        }
        let total: u64 = self.mix.deeds.iter().map(|(weight, _)| weight).sum();
        for _ in 0..super::workloads::DEEDS {
            let mut drawn = self.random.below(total);
            let (_, deed) = self
                .mix
                .deeds
                .iter()
                .find(|(weight, _)| {
                    let hit = drawn < *weight;
                    drawn = drawn.wrapping_sub(*weight);
                    hit
                })
                .expect("below the sum");
            let first = self.random.below(u64::from(self.mix.channels)) == 0;
            match (*deed, first) {
                (Deed::Select, true) => self.select(&mut a, &mut b)?,
                (Deed::Select, false) => self.select(&mut b, &mut a)?,
                (deed, true) => self.act(deed, &mut a)?,
                (deed, false) => self.act(deed, &mut b)?,
            }
        }
        self.unsubscribe(&mut a);
        self.unsubscribe(&mut b);
        while self.hall.bedroom.leave() == Rest::Stuck {
            self.wake_all()?;
        }
        Ok(())
    }
}

/// Takes the value back. Whether it was gone.
pub fn gone<K: Subject>(send: Pin<&mut SendOf<'_, K>>, value: Value) -> bool {
    let back = send.take_value();
    assert!(back.is_none_or(|back| back == value), "another's value came back");
    back.is_none()
}

pub fn held<'h, K: Subject>(
    result: Result<PermitOf<'h, K>, ClosedError>,
    permit: &mut Option<PermitOf<'h, K>>,
) -> Outcome {
    match result {
        Ok(held) => {
            *permit = Some(held);
            Outcome::Held
        }
        Err(ClosedError) => Outcome::Closed,
    }
}
