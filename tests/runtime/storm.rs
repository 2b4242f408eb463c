//! Many threads, every kind of channel, and everything that can go wrong at once: at the end nothing is left in
//! the arena.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use cloakroom::channel::{
    Broadcast, Buffered, Compete, Conflated, Counted, CountedReceiver, CountedSender, DropOldest,
    Priority, Receiver, Rendezvous, Sender, Strategy, Subscriber, Unlimited, endpoints,
};
use cloakroom::limit::Operation;
use cloakroom::select::select;
use cloakroom::std_layer::StdRawMutex as Lock;
use cloakroom::std_layer::runtime::{Handle, Shutdown};
use cloakroom::{ArenaRef, Parcel};

use crate::random::Random;
use crate::{sized, yield_once};

const THREADS: u64 = 64;

type Message = Parcel<'static, Lock>;
type Line<S> = Arc<Counted<Lock, Message, S>>;

/// What a thread of the storm has to do with.
struct Weather {
    random: Random,
    arena: ArenaRef<'static, Lock>,
    runtime: Handle,
}

impl Weather {
    fn message(&mut self) -> Option<Message> {
        let mut lease = self.arena.try_alloc(1 + self.random.below(300) as usize).ok()?;
        let length = lease.len();
        lease[length - 1] = length as u8;
        Some(lease.into_parcel())
    }

    /// What was received is what was sent.
    fn check(&self, message: Message) {
        let lease = message.redeem().expect("nothing damages it");
        assert_eq!(lease[lease.len() - 1], lease.len() as u8);
    }

    /// Polls a few times, then drops the future.
    fn poll_some<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..=self.random.below(3) {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Some(output);
            }
            thread::yield_now();
        }
        None
    }

    fn send<S: Strategy<Message>>(&mut self, sender: &Sender<Lock, Message, S>) {
        let Some(message) = self.message() else { return };
        let moment = Duration::from_micros(self.random.below(300));
        match self.random.below(6) {
            0 => drop(sender.try_send(message)),
            1 => drop(sender.blocking_send_timeout(message, moment)),
            2 => drop(self.poll_some(sender.send(message))),
            3 => match self.poll_some(sender.reserve()) {
                Some(Ok(permit)) if self.random.below(2) == 0 => drop(permit.send(message)),
                other => drop(other),
            },
            4 => drop(sender.try_reserve().map(|permit| permit.send(message))),
            _ => drop(self.poll_some(select((sender.send(message), sender.closed())))),
        }
    }

    fn receive<S: Compete<Message>>(&mut self, receiver: &Receiver<Lock, Message, S>) {
        let moment = Duration::from_micros(self.random.below(300));
        let received = match self.random.below(5) {
            0 => receiver.try_recv().ok(),
            1 => receiver.blocking_recv_timeout(moment).ok(),
            2 => self.poll_some(receiver.recv()).and_then(Result::ok),
            3 if Handle::current().is_none() => {
                let late = self.runtime.sleep(moment);
                self.runtime.block_on(receiver.recv().deadline(late)).ok()
            }
            _ => receiver.drain().last(),
        };
        if let Some(message) = received {
            self.check(message);
        }
    }
}

/// What a thread holds of a channel.
trait Hold: Send {
    fn step(&mut self, weather: &mut Weather);
    fn share(&self) -> Box<dyn Hold>;
}

/// Endpoints of a channel whose receivers compete. Each may have gone.
struct Ends<S: Compete<Message>> {
    sender: Option<CountedSender<Line<S>>>,
    receiver: Option<CountedReceiver<Line<S>>>,
}

impl<S: Compete<Message>> Ends<S>
where
    Line<S>: Send,
{
    fn of(channel: Counted<Lock, Message, S>) -> Self {
        let (sender, receiver) = endpoints(Arc::new(channel));
        Self { sender: Some(sender), receiver: Some(receiver) }
    }
}

impl<S: Compete<Message> + 'static> Hold for Ends<S>
where
    Line<S>: Send,
{
    fn step(&mut self, weather: &mut Weather) {
        match (weather.random.below(100), &self.sender, &self.receiver) {
            (0, ..) => self.sender = None,
            (1, ..) => self.receiver = None,
            (2, Some(sender), _) if weather.random.below(50) == 0 => drop(sender.close()),
            (3..5, Some(sender), _) => self.sender = Some(sender.clone()),
            (5..52, Some(sender), _) => weather.send(sender),
            (52.., _, Some(receiver)) => weather.receive(receiver),
            _ => {}
        }
    }

    fn share(&self) -> Box<dyn Hold> {
        Box::new(Self { sender: self.sender.clone(), receiver: self.receiver.clone() })
    }
}

type News = Line<Broadcast<4, DropOldest>>;

/// A sender and a subscriber of a broadcast.
struct Reader {
    sender: CountedSender<News>,
    subscriber: Subscriber<News>,
}

impl Hold for Reader {
    fn step(&mut self, weather: &mut Weather) {
        match weather.random.below(50) {
            0 => self.subscriber = self.sender.subscribe(),
            1..25 => weather.send(&self.sender),
            _ => {
                let delivery = match weather.random.below(2) {
                    0 => self.subscriber.try_recv().ok(),
                    _ => weather.poll_some(self.subscriber.recv()).and_then(Result::ok),
                };
                if let Some(message) = delivery.and_then(|delivery| delivery.value()) {
                    weather.check(message);
                }
            }
        }
    }

    fn share(&self) -> Box<dyn Hold> {
        let sender = self.sender.clone();
        let subscriber = sender.subscribe();
        Box::new(Self { sender, subscriber })
    }
}

fn every_kind(arena: ArenaRef<'static, Lock>) -> Vec<Box<dyn Hold>> {
    let arena: &'static ArenaRef<'static, Lock> = Box::leak(Box::new(arena));
    let news = CountedSender::of(Arc::new(Counted::new()));
    vec![
        Box::new(Ends::of(Counted::<_, _, Rendezvous>::new())),
        Box::new(Ends::of(Counted::<_, _, Buffered<3>>::new())),
        Box::new(Ends::of(Counted::<_, _, Buffered<2, DropOldest>>::new())),
        Box::new(Ends::of(Counted::<_, _, Conflated>::new())),
        Box::new(Ends::of(Counted::<_, _, Priority<4>>::new())),
        Box::new(Ends::of(Counted::with(Unlimited::<Lock, 4>::over(arena)))),
        Box::new(Reader { subscriber: news.subscribe(), sender: news }),
    ]
}

/// One thread, or task: it goes on until it has done so many steps, or panics in the middle of one.
fn roam(holds: &mut [Box<dyn Hold>], weather: &mut Weather, steps: u64) {
    for _ in 0..steps {
        let number = weather.random.below(holds.len() as u64) as usize;
        match weather.random.below(400) {
            0 => {
                let _held = weather.message();
                resume_unwind(Box::new("a storm's panic"));
            }
            1..10 => {
                let mut holds: Vec<_> = holds.iter().map(|hold| hold.share()).collect();
                let random = Random(weather.random.next());
                let mut inner = Weather { random, ..*weather };
                let task = weather.runtime.spawn(async move {
                    for _ in 0..5 {
                        roam(&mut holds, &mut inner, 3);
                        yield_once().await;
                    }
                });
                match (task, weather.random.below(3)) {
                    (Ok(task), 0) => task.cancel(),
                    // A task must not block its worker.
                    (Ok(task), 1) if Handle::current().is_none() => drop(task.join()),
                    (Ok(task), _) => drop(task),
                    // No room.
                    (Err(_), _) => {}
                }
            }
            _ => holds[number].step(weather),
        }
    }
}

/// Storms one after the other, each with channels of its own; `CLOAKROOM_STORMS` for more.
fn storms() -> u64 {
    let storms = std::env::var("CLOAKROOM_STORMS").ok().and_then(|storms| storms.parse().ok());
    storms.unwrap_or(5)
}

#[test]
fn nothing_is_left_after_a_storm() {
    let mut panics = 0;
    for number in 0..storms() {
        panics += storm(number);
    }
    assert!(panics > 0, "no thread ever panicked");
}

/// Sixty-four threads, a few hundred steps each. How many of them ended in a panic.
fn storm(number: u64) -> usize {
    let runtime = sized(2).build().unwrap();
    let (handle, arena) = (runtime.handle(), runtime.arena());
    let holds = every_kind(arena);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let mut holds: Vec<_> = holds.iter().map(|hold| hold.share()).collect();
            thread::spawn(move || {
                let random = Random(number * THREADS + thread);
                let mut weather = Weather { random, arena, runtime: handle };
                let roams = AssertUnwindSafe(|| roam(&mut holds, &mut weather, 300));
                let caught = catch_unwind(roams);
                caught.err().map(|panic| panic.downcast_ref::<&str>().map(|text| text.to_string()))
            })
        })
        .collect();
    drop(holds);
    let mut panics = 0;
    for thread in threads {
        // Only the storm's own panics.
        if let Some(message) = thread.join().unwrap() {
            assert_eq!(message.as_deref(), Some("a storm's panic"));
            panics += 1;
        }
    }
    let left = runtime.shutdown(Shutdown::Drain);
    assert_eq!((left.running, left.threads, left.payloads), (0, 0, 0));
    assert!(arena.verify().is_clean());
    assert_eq!(arena.snapshot().free, arena.snapshot().pages);
    panics
}
