//! Fan-out to channels of different kinds and fullness, against one model a channel.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use cloakroom::channel::{
    Buffered, Bytes, ChannelSnapshot, Compete, Conflated, DropNewest, DropOldest, NoFanOut, Outlet,
    Permit, Priority, RecvFuture, Rendezvous, Unlimited, fan_out, try_fan_out_all,
};
use cloakroom::{Arena, Lease, Parcel};

use crate::model::{Kind, Model, Outcome, Policy, Shape, without_times};
use crate::random::Random;
use crate::{Count, Lock, ended};

pub type Message<'a> = Parcel<'a, Lock>;
pub type Hall = Arena<Lock, 64, 64, 64>;

/// The number in a message.
pub fn number(parcel: Message<'_>) -> usize {
    let lease = parcel.redeem().expect("undamaged");
    usize::from_le_bytes(lease[..8].try_into().expect("eight bytes"))
}

pub fn message(hall: &Hall, number: usize) -> Lease<'_, Lock> {
    hall.try_alloc_from(&number.to_le_bytes()).expect("memory")
}

/// A channel of messages, of any kind whose receivers compete.
trait Line<'a> {
    fn outlet(&self) -> &dyn Outlet<'a, Lock>;
    fn take(&self) -> Option<usize>;
    /// Somebody who receives.
    fn receive<'c>(&'c self) -> Pin<Box<dyn Future<Output = Option<usize>> + 'c>>;
    /// Holds a slot, for as long as the result is kept.
    fn hold<'c>(&'c self) -> Option<Box<dyn Held + 'c>>;
    fn close(&self);
    fn snapshot(&self) -> ChannelSnapshot;
}

/// A permit that is only kept.
trait Held {}

impl<'a, S: Compete<Message<'a>>> Held for Permit<'_, Lock, Message<'a>, S> {}

impl<'a, S: Compete<Message<'a>>> Line<'a> for Bytes<'a, Lock, S> {
    fn outlet(&self) -> &dyn Outlet<'a, Lock> {
        self
    }
    fn take(&self) -> Option<usize> {
        self.channel().try_recv().ok().map(number)
    }
    fn receive<'c>(&'c self) -> Pin<Box<dyn Future<Output = Option<usize>> + 'c>> {
        let receive: RecvFuture<'_, Lock, Message<'a>, S> = self.channel().recv();
        Box::pin(async { receive.await.ok().map(number) })
    }
    fn hold<'c>(&'c self) -> Option<Box<dyn Held + 'c>> {
        Some(Box::new(self.channel().try_reserve().ok()?))
    }
    fn close(&self) {
        Bytes::close(self);
    }
    fn snapshot(&self) -> ChannelSnapshot {
        Bytes::snapshot(self)
    }
}

/// The best effort, on the models: to how many.
fn best(models: &mut [Model], named: &[usize], id: usize) -> usize {
    let mut sent = 0;
    for &channel in named {
        match models[channel].hold(&None) {
            Some(Outcome::Held) => {
                models[channel].keep_slot(id, 0);
                sent += 1;
            }
            Some(_) => {}
            None => models[channel].counters.full += 1,
        }
    }
    sent
}

/// All or nothing, on the models, where a slot of the one with number `held` is held already.
pub fn all(
    models: &mut [Model],
    named: &[usize],
    id: usize,
    held: Option<usize>,
) -> Result<(), NoFanOut> {
    for (number, &channel) in named.iter().enumerate() {
        if held == Some(number) {
            continue;
        }
        let why = match models[channel].hold(&None) {
            Some(Outcome::Held) => continue,
            Some(_) => NoFanOut::Closed(number),
            None => {
                models[channel].counters.full += 1;
                NoFanOut::Full(number)
            }
        };
        for (other, &channel) in named.iter().enumerate() {
            if other < number || held == Some(other) {
                models[channel].return_slot();
            }
        }
        return Err(why);
    }
    for &channel in named {
        models[channel].keep_slot(id, 0);
    }
    Ok(())
}

/// Each payload's tickets, and nothing in hand: as the queues say.
fn check_references(hall: &Hall, models: &[Model], context: &str) {
    let mut expected = vec![0; 1];
    for id in models.iter().flat_map(Model::queued) {
        expected.resize(expected.len().max(id + 1), 0);
        expected[id] += 1;
    }
    expected.retain(|&tickets| tickets > 0);
    expected.sort_unstable();
    let mut got: Vec<usize> = hall
        .handle()
        .dump()
        .map(|payload| {
            assert_eq!(payload.in_hand, 0, "{context}");
            payload.at_rest
        })
        .collect();
    got.sort_unstable();
    assert_eq!(got, expected, "tickets of each payload, {context}");
}

/// A receiver under way, with the numbers of its channel and of its operation.
type Receiver<'c> = (usize, usize, Pin<Box<dyn Future<Output = Option<usize>> + 'c>>, Arc<Count>);

fn at_once(seed: u64, outcomes: &mut [usize; 4]) {
    let hall = Hall::new();
    // What queues itself takes memory of its own.
    let storage: Arena<Lock, 64, 64, 64> = Arena::new();
    {
        let (meeting, ring) = (Bytes::<Lock, Rendezvous>::new(), Bytes::<Lock, Buffered<1>>::new());
        let (oldest, newest) = (
            Bytes::<Lock, Buffered<2, DropOldest>>::new(),
            Bytes::<Lock, Buffered<2, DropNewest>>::new(),
        );
        let (latest, urgent) = (Bytes::<Lock, Conflated>::new(), Bytes::<Lock, Priority<2>>::new());
        let endless = Bytes::<Lock, Unlimited<'_, Lock, 2>>::over(&storage);
        let lines: [(&dyn Line<'_>, Shape); 7] = [
            (&meeting, Shape::RENDEZVOUS),
            (&ring, Shape::ring(1, Policy::Wait)),
            (&oldest, Shape::ring(2, Policy::DropOldest)),
            (&newest, Shape::ring(2, Policy::DropNewest)),
            (&latest, Shape::ring(1, Policy::Replace)),
            (&urgent, Shape::priority(2, 16)),
            (&endless, Shape::ring(usize::MAX, Policy::Wait)),
        ];
        let mut random = Random(seed);
        let mut models: Vec<Model> =
            lines.iter().map(|(line, shape)| Model::new(line.snapshot(), *shape)).collect();
        let mut receivers: Vec<Receiver<'_>> = Vec::new();
        let mut permits: Vec<(usize, Box<dyn Held + '_>)> = Vec::new();
        for step in 0..200 {
            let context = format!("seed {seed}, step {step}");
            let channel = random.index(lines.len());
            let line = lines[channel].0;
            match random.below(100) {
                0..40 => {
                    // Also none, and the same one twice.
                    let named: Vec<usize> =
                        (0..random.index(5)).map(|_| random.index(lines.len())).collect();
                    let outlets: Vec<&dyn Outlet<'_, Lock>> =
                        named.iter().map(|&channel| lines[channel].0.outlet()).collect();
                    let lease = message(&hall, step);
                    if random.one_in(2) {
                        let sent = best(&mut models, &named, step);
                        assert_eq!(fan_out(&outlets, lease), sent, "{context}");
                        outcomes[usize::from(sent > 0)] += 1;
                    } else {
                        let expected = all(&mut models, &named, step, None);
                        let got = try_fan_out_all(&outlets, lease).map_err(|error| {
                            assert_eq!(&error.message[..], &step.to_le_bytes(), "{context}");
                            assert!(
                                error.message.try_into_mut().is_ok(),
                                "a copy is left, {context}"
                            );
                            error.why
                        });
                        assert_eq!(got, expected, "{context}");
                        outcomes[2 + usize::from(expected.is_ok())] += 1;
                    }
                }
                40..62 => {
                    let expected = match models[channel].take(&None) {
                        Some(Outcome::Received(id)) => Some(id),
                        Some(_) => None,
                        None => {
                            models[channel].counters.empty += 1;
                            None
                        }
                    };
                    assert_eq!(line.take(), expected, "{context}");
                }
                62..70 if receivers.len() < 4 => {
                    let operation = models[channel].add(Kind::Recv);
                    receivers.push((channel, operation, line.receive(), Arc::default()));
                }
                62..84 if !receivers.is_empty() => {
                    let at = random.index(receivers.len());
                    let (channel, operation, receive, count) = &mut receivers[at];
                    let expected = models[*channel].poll(*operation).map(|outcome| match outcome {
                        Outcome::Received(id) => Some(id),
                        _ => None,
                    });
                    let waker = Waker::from(count.clone());
                    let got = ended(receive.as_mut().poll(&mut Context::from_waker(&waker)));
                    assert_eq!(got, expected, "{context}");
                    if got.is_some() {
                        drop(receivers.swap_remove(at));
                    }
                }
                84..88 if !receivers.is_empty() => {
                    let (channel, operation, receive, _) =
                        receivers.swap_remove(random.index(receivers.len()));
                    drop(receive);
                    models[channel].abandon(operation);
                }
                88..93 => {
                    let expected = models[channel].hold(&None);
                    models[channel].counters.full += u32::from(expected.is_none());
                    let got = line.hold();
                    assert_eq!(got.is_some(), expected == Some(Outcome::Held), "{context}");
                    permits.extend(got.map(|permit| (channel, permit)));
                }
                93..98 if !permits.is_empty() => {
                    let (channel, permit) = permits.swap_remove(random.index(permits.len()));
                    drop(permit);
                    models[channel].return_slot();
                }
                98 if random.one_in(4) => {
                    line.close();
                    models[channel].close();
                }
                _ => {}
            }
            for ((line, _), model) in lines.iter().zip(&mut models) {
                let now = without_times(line.snapshot());
                assert_eq!(now, model.snapshot(), "{context}");
            }
            for (channel, operation, _, count) in &receivers {
                assert_eq!(count.get(), models[*channel].operations[*operation].wakes, "{context}");
            }
            check_references(&hall, &models, &context);
        }
    }
    for arena in [hall.handle(), storage.handle()] {
        assert_eq!(arena.snapshot().live, 0, "seed {seed}");
        assert!(arena.verify().is_clean(), "seed {seed}");
    }
}

#[test]
fn to_all_or_to_some() {
    let mut outcomes = [0; 4];
    for seed in 0..500 {
        at_once(seed, &mut outcomes);
    }
    println!("sent to none, to some; refused, sent to all: {outcomes:?}");
    assert!(outcomes.into_iter().all(|times| times > 1_000));
}
