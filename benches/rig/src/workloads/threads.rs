//! Threads that send to threads.

use std::sync::mpsc;
use std::thread;

use cloakroom::std_layer::channel as ours;

use crate::crew::{self, Shape};
use crate::message::{Message, Source};
use crate::ours::queue_arena;
use crate::workload::{OURS, Subject, Workload, why};

use super::floor::floor_of_one;

/// How much a channel holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capacity {
    /// Nothing: both sides meet.
    Rendezvous,
    /// So many messages.
    Bounded(usize),
    /// As many as there is memory for.
    Unbounded,
}

impl Capacity {
    /// `128`.
    pub fn name(self) -> String {
        match self {
            Self::Rendezvous => "0".to_owned(),
            Self::Bounded(capacity) => capacity.to_string(),
            Self::Unbounded => "unbounded".to_owned(),
        }
    }

    /// For crates whose rendezvous is a channel of no capacity.
    pub fn or_none(self) -> Option<usize> {
        match self {
            Self::Rendezvous => Some(0),
            Self::Bounded(capacity) => Some(capacity),
            Self::Unbounded => None,
        }
    }
}

/// What threads do.
#[derive(Clone, Copy)]
pub struct Plan {
    /// How many there are.
    pub shape: Shape,
    /// What the channel holds.
    pub capacity: Capacity,
    /// How long a message is.
    pub size: usize,
}

/// All of them.
pub fn all() -> Vec<Workload> {
    let capacities =
        [Capacity::Rendezvous, Capacity::Bounded(1), Capacity::Bounded(128), Capacity::Unbounded];
    let plans = capacities.into_iter().flat_map(|capacity| {
        Shape::ALL.into_iter().map(move |shape| Plan { shape, capacity, size: 8 })
    });
    plans
        .map(|plan| {
            let Plan { shape, capacity, .. } = plan;
            let name = format!("threads/{}/u64/{}", shape.name(), capacity.name());
            let subjects = cloakroom(plan).into_iter().chain(peers::<u64>(plan));
            let workload = Workload::new(name, subjects.chain(rings(plan)).collect());
            if capacity == Capacity::Unbounded { workload.allocating() } else { workload }
        })
        .collect()
}

/// A crate's channel between threads: how its endpoints are made, and how they are used.
pub fn subject<M: Message, S: Send + 'static, R: Send + 'static>(
    name: &str,
    Plan { shape, size, .. }: Plan,
    make: impl Fn() -> (Vec<S>, Vec<R>) + 'static,
    send: impl Fn(&mut S, M) + Copy + Send + 'static,
    receive: impl Fn(&mut R) -> Option<M> + Copy + Send + 'static,
) -> Subject {
    Subject::new(format!("{name}{}", M::NAME), move |messages| {
        let (senders, receivers) = make();
        assert_eq!((senders.len(), receivers.len()), (shape.senders, shape.receivers));
        let senders = senders.into_iter().map(|mut sender| {
            let mut source = Source::new(size);
            crew::sending(move |number| send(&mut sender, M::make(&mut source, number)))
        });
        let receivers = receivers.into_iter().map(|mut receiver| {
            crew::receiving(move || receive(&mut receiver).map(|message| message.read()))
        });
        crew::run(senders.collect(), receivers.collect(), messages, 1)
    })
}

/// This crate's, for values.
fn cloakroom(plan: Plan) -> Vec<Subject> {
    let Plan { shape: Shape { senders, receivers }, capacity, .. } = plan;
    vec![match capacity {
        Capacity::Rendezvous => subject::<u64, _, _>(
            OURS,
            plan,
            move || {
                let (sender, receiver) = ours::rendezvous();
                (vec![sender; senders], vec![receiver; receivers])
            },
            |sender, message| sender.blocking_send(message).expect("it is open"),
            |receiver| receiver.blocking_recv().ok(),
        ),
        Capacity::Bounded(capacity) => subject::<u64, _, _>(
            OURS,
            plan,
            move || {
                let (sender, receiver) = ours::bounded(capacity);
                (vec![sender; senders], vec![receiver; receivers])
            },
            |sender, message| sender.blocking_send(message).expect("it is open"),
            |receiver| receiver.blocking_recv().ok(),
        ),
        Capacity::Unbounded => subject::<u64, _, _>(
            OURS,
            plan,
            move || {
                let (sender, receiver) = ours::unbounded(queue_arena());
                (vec![sender; senders], vec![receiver; receivers])
            },
            |sender, message| sender.blocking_send(message).expect("it is open"),
            |receiver| receiver.blocking_recv().ok(),
        ),
    }]
}

/// Everybody else's, for messages of this type.
pub fn peers<M: Message>(plan: Plan) -> Vec<Subject> {
    let Plan { shape: Shape { senders, receivers }, capacity, .. } = plan;
    let mut all = vec![
        subject::<M, _, _>(
            "crossbeam",
            plan,
            move || {
                use crossbeam_channel::{bounded, unbounded};
                let (sender, receiver) = capacity.or_none().map_or_else(unbounded, bounded);
                (vec![sender; senders], vec![receiver; receivers])
            },
            |sender, message| sender.send(message).expect("it is open"),
            |receiver| receiver.recv().ok(),
        ),
        subject::<M, _, _>(
            "kanal",
            plan,
            move || {
                use kanal::{bounded, unbounded};
                let (sender, receiver) = capacity.or_none().map_or_else(unbounded, bounded);
                (vec![sender; senders], vec![receiver; receivers])
            },
            |sender, message| sender.send(message).expect("it is open"),
            |receiver| receiver.recv().ok(),
        ),
        subject::<M, _, _>(
            "flume",
            plan,
            move || {
                use flume::{bounded, unbounded};
                let (sender, receiver) = capacity.or_none().map_or_else(unbounded, bounded);
                (vec![sender; senders], vec![receiver; receivers])
            },
            |sender, message| sender.send(message).expect("it is open"),
            |receiver| receiver.recv().ok(),
        ),
        subject::<M, _, _>(
            "loole",
            plan,
            move || {
                use loole::{bounded, unbounded};
                let (sender, receiver) = capacity.or_none().map_or_else(unbounded, bounded);
                (vec![sender; senders], vec![receiver; receivers])
            },
            |sender, message| sender.send(message).expect("it is open"),
            |receiver| receiver.recv().ok(),
        ),
    ];
    // Several senders and receivers at one slot keep each other's crossfire awake without getting on: a round of 40 ms takes a
    // minute now and then.
    let stalls = receivers > 1 && matches!(capacity, Capacity::Bounded(1));
    if capacity != Capacity::Rendezvous {
        if !stalls {
            all.push(crossfire::<M>(plan));
        }
        all.push(async_channel::<M>(plan));
    }
    if receivers == 1 {
        all.push(std::<M>(plan));
        all.extend(tokio::<M>(plan));
    }
    all
}

/// The best of three for the shape.
fn crossfire<M: Message>(plan: Plan) -> Subject {
    use crossfire::{mpmc, mpsc, spsc};
    let Plan { shape, capacity, .. } = plan;
    let Shape { senders, receivers } = shape;
    macro_rules! of {
        ($make:expr) => {
            subject::<M, _, _>(
                "crossfire",
                plan,
                $make,
                |sender, message| sender.send(message).expect("it is open"),
                |receiver| receiver.recv().ok(),
            )
        };
    }
    match (shape, capacity.or_none()) {
        (Shape::PAIR, Some(capacity)) => of!(move || {
            let (sender, receiver) = spsc::bounded_blocking(capacity);
            (vec![sender], vec![receiver])
        }),
        (Shape::PAIR, None) => of!(|| {
            let (sender, receiver) = spsc::unbounded_blocking();
            (vec![sender], vec![receiver])
        }),
        (Shape { receivers: 1, .. }, Some(capacity)) => of!(move || {
            let (sender, receiver) = mpsc::bounded_blocking(capacity);
            (vec![sender; senders], vec![receiver])
        }),
        (Shape { receivers: 1, .. }, None) => of!(move || {
            let (sender, receiver) = mpsc::unbounded_blocking();
            (vec![sender; senders], vec![receiver])
        }),
        (_, Some(capacity)) => of!(move || {
            let (sender, receiver) = mpmc::bounded_blocking(capacity);
            (vec![sender; senders], vec![receiver; receivers])
        }),
        (_, None) => of!(move || {
            let (sender, receiver) = mpmc::unbounded_blocking();
            (vec![sender; senders], vec![receiver; receivers])
        }),
    }
}

fn async_channel<M: Message>(plan: Plan) -> Subject {
    let Plan { shape: Shape { senders, receivers }, capacity, .. } = plan;
    subject::<M, _, _>(
        "async-channel",
        plan,
        move || {
            use async_channel::{bounded, unbounded};
            let (sender, receiver) = capacity.or_none().map_or_else(unbounded, bounded);
            (vec![sender; senders], vec![receiver; receivers])
        },
        |sender, message| sender.send_blocking(message).expect("it is open"),
        |receiver| receiver.recv_blocking().ok(),
    )
}

fn std<M: Message>(plan: Plan) -> Subject {
    let Plan { shape: Shape { senders, .. }, capacity, .. } = plan;
    match capacity.or_none() {
        Some(capacity) => subject::<M, _, _>(
            "std",
            plan,
            move || {
                let (sender, receiver) = mpsc::sync_channel(capacity);
                (vec![sender; senders], vec![receiver])
            },
            |sender, message| sender.send(message).expect("it is open"),
            |receiver| receiver.recv().ok(),
        ),
        None => subject::<M, _, _>(
            "std",
            plan,
            move || {
                let (sender, receiver) = mpsc::channel();
                (vec![sender; senders], vec![receiver])
            },
            |sender, message| sender.send(message).expect("it is open"),
            |receiver| receiver.recv().ok(),
        ),
    }
}

fn tokio<M: Message>(plan: Plan) -> Option<Subject> {
    use tokio::sync::mpsc;
    let Plan { shape: Shape { senders, .. }, capacity, .. } = plan;
    match capacity {
        Capacity::Rendezvous => None,
        Capacity::Bounded(capacity) => Some(subject::<M, _, _>(
            "tokio",
            plan,
            move || {
                let (sender, receiver) = mpsc::channel(capacity);
                (vec![sender; senders], vec![receiver])
            },
            |sender, message| sender.blocking_send(message).expect("it is open"),
            |receiver| receiver.blocking_recv(),
        )),
        Capacity::Unbounded => Some(subject::<M, _, _>(
            "tokio",
            plan,
            move || {
                let (sender, receiver) = mpsc::unbounded_channel();
                (vec![sender; senders], vec![receiver])
            },
            |sender, message| sender.send(message).expect("it is open"),
            |receiver| receiver.blocking_recv(),
        )),
    }
}

/// rtrb, thingbuf: queues that are shown beside channels.
fn rings(plan: Plan) -> Vec<Subject> {
    let Plan { shape: Shape { senders, receivers }, capacity, .. } = plan;
    let mut all = Vec::new();
    let Capacity::Bounded(capacity) = capacity else { return all };
    if receivers == 1 {
        all.push(subject::<u64, _, _>(
            "thingbuf",
            plan,
            move || {
                let (sender, receiver) = thingbuf::mpsc::blocking::channel(capacity);
                (vec![sender; senders], vec![receiver])
            },
            |sender, message| sender.send(message).expect("it is open"),
            |receiver| receiver.recv(),
        ));
    }
    if plan.shape == Shape::PAIR && capacity == 1 {
        all.push(floor_of_one());
    }
    if plan.shape == Shape::PAIR {
        let ring = subject::<u64, _, _>(
            "rtrb",
            plan,
            move || {
                let (sender, receiver) = rtrb::RingBuffer::new(capacity);
                (vec![sender], vec![receiver])
            },
            |sender, mut message| {
                while let Err(rtrb::PushError::Full(back)) = sender.push(message) {
                    message = back;
                    thread::yield_now();
                }
            },
            |receiver| {
                loop {
                    if let Ok(message) = receiver.pop() {
                        return Some(message);
                    }
                    if receiver.is_abandoned() && receiver.is_empty() {
                        return None;
                    }
                    thread::yield_now();
                }
            },
        );
        all.push(ring.aside(why::SPINS));
    }
    all
}
