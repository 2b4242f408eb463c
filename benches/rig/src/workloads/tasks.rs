//! Tasks that send to tasks.

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use cloakroom::std_layer::channel as ours;

use super::threads::{Capacity, Plan};
use crate::crew::Shape;
use crate::executor::{Executor, Task};
use crate::message::{Message, Source, read};
use crate::meter::Meter;
use crate::ours::{arena_for, queue_arena};
use crate::tally::{Tally, share};
use crate::workload::{OURS, Subject, Workload, why};

/// Messages that a channel of bytes holds.
const MESSAGES: usize = 128;

/// All of them.
pub fn all() -> Vec<Workload> {
    let of = |executor: Executor| {
        let workloads = on(executor).into_iter();
        workloads.map(move |one| if executor.is_one_thread() { one.in_one_thread() } else { one })
    };
    Executor::ALL.into_iter().flat_map(of).collect()
}

fn on(executor: Executor) -> Vec<Workload> {
    let pairs =
        [Capacity::Rendezvous, Capacity::Bounded(1), Capacity::Bounded(128), Capacity::Unbounded];
    let crowds = [Shape::FAN_IN, Shape::CROWD].map(|shape| (shape, Capacity::Bounded(128)));
    let plans = pairs.into_iter().map(|capacity| (Shape::PAIR, capacity)).chain(crowds);
    let numbers = plans.map(|(shape, capacity)| {
        let plan = Plan { shape, capacity, size: 8 };
        let name = format!("{}/{}/u64/{}", executor.name(), shape.name(), capacity.name());
        let mut subjects = vec![cloakroom(executor, plan)];
        subjects.extend(peers::<u64>(executor, plan));
        let workload = Workload::new(name, subjects);
        if capacity == Capacity::Unbounded { workload.allocating() } else { workload }
    });

    let plan = Plan { shape: Shape::PAIR, capacity: Capacity::Bounded(128), size: 1024 };
    let mut subjects = vec![in_arena(executor, plan)];
    subjects.extend(peers::<Vec<u8>>(executor, plan));
    subjects.extend(
        peers::<Bytes>(executor, plan).into_iter().filter(|one| one.name.starts_with("tokio")),
    );
    let payload = Workload::new(format!("{}/1to1/1KiB/128", executor.name()), subjects);
    numbers.chain([payload.allocating()]).collect()
}

/// A crate's channel between tasks: how its endpoints are made, and what a task does with one.
fn subject<S, R, SF, RF>(
    name: String,
    executor: Executor,
    plan: Plan,
    make: impl Fn() -> (Vec<S>, Vec<R>) + 'static,
    send: impl Fn(S, Range<u64>, Source) -> SF + 'static,
    receive: impl Fn(R) -> RF + 'static,
) -> Subject
where
    SF: Future<Output = Tally> + Send + 'static,
    RF: Future<Output = Tally> + Send + 'static,
{
    Subject::new(name, move |messages| {
        let (senders, receivers) = make();
        assert_eq!((senders.len(), receivers.len()), (plan.shape.senders, plan.shape.receivers));
        let meter = Meter::start();
        let everybody = senders.len();
        let senders = senders.into_iter().enumerate().map(|(which, sender)| -> Task<Tally> {
            let numbers = share(messages, everybody, which);
            Box::pin(send(sender, numbers, Source::new(plan.size)))
        });
        let receivers =
            receivers.into_iter().map(|receiver| -> Task<Tally> { Box::pin(receive(receiver)) });
        let tallies = executor.run(senders.chain(receivers).collect());
        let figures = meter.stop(messages);
        tallies.into_iter().sum::<Tally>().check(messages, 1);
        figures
    })
}

/// Sends its share of numbers by this method.
macro_rules! sending {
    ($message:ty, $send:ident) => {
        |sender, numbers, mut source| async move {
            for number in numbers {
                let message = <$message>::make(&mut source, number);
                sender.$send(message).await.expect("it is open");
            }
            Tally::default()
        }
    };
}

/// Receives by this method, which returns an `Option` or a `Result`, until there is no more.
macro_rules! receiving {
    ($recv:ident) => {
        |receiver| async move {
            #[allow(unused_mut, reason = "some can do without")]
            let mut receiver = receiver;
            let mut tally = Tally::default();
            while let Some(message) = receiver.$recv().await.into_iter().next() {
                tally.add(message.read());
            }
            tally
        }
    };
}

/// This crate's, for values.
fn cloakroom(executor: Executor, plan: Plan) -> Subject {
    let Plan { shape: Shape { senders, receivers }, capacity, .. } = plan;
    macro_rules! of {
        ($make:expr) => {{
            let make = move || {
                let (sender, receiver) = $make;
                (vec![sender; senders], vec![receiver; receivers])
            };
            subject(OURS.to_owned(), executor, plan, make, sending!(u64, send), receiving!(recv))
        }};
    }
    match capacity {
        Capacity::Rendezvous => of!(ours::rendezvous::<u64>()),
        Capacity::Bounded(capacity) => of!(ours::bounded::<u64>(capacity)),
        Capacity::Unbounded => of!(ours::unbounded::<u64>(queue_arena())),
    }
}

/// This crate's, for messages in an arena.
fn in_arena(executor: Executor, plan: Plan) -> Subject {
    let arena = arena_for(plan.size);
    let make = move || {
        let (sender, receiver) = ours::messages(MESSAGES);
        (vec![sender; plan.shape.senders], vec![receiver; plan.shape.receivers])
    };
    let send = move |sender: ours::MessageSender<'static>,
                     numbers: Range<u64>,
                     mut source: Source| async move {
        for number in numbers {
            let bytes = source.numbered(number);
            let mut lease = arena.alloc(bytes.len()).await.expect("the arena has room for one");
            lease.copy_from_slice(bytes);
            sender.send(lease.into_parcel()).await.expect("it is open");
        }
        Tally::default()
    };
    let receive = |receiver: ours::MessageReceiver<'static>| async move {
        let mut tally = Tally::default();
        while let Ok(parcel) = receiver.recv().await {
            tally.add(read(&parcel.redeem().expect("nobody else has its number")));
        }
        tally
    };
    subject(OURS.to_owned(), executor, plan, make, send, receive)
}

/// Everybody else's.
fn peers<M: Message>(executor: Executor, plan: Plan) -> Vec<Subject> {
    let Plan { shape: Shape { senders, receivers }, capacity, .. } = plan;
    macro_rules! of {
        ($name:literal, $make:expr, $send:ident, $recv:ident) => {
            subject(
                format!("{}{}", $name, M::NAME),
                executor,
                plan,
                $make,
                sending!(M, $send),
                receiving!($recv),
            )
        };
    }
    let kanal = of!(
        "kanal",
        move || {
            use kanal::{bounded_async, unbounded_async};
            let (sender, receiver) = capacity.or_none().map_or_else(unbounded_async, bounded_async);
            (vec![sender; senders], vec![receiver; receivers])
        },
        send,
        recv
    );
    // A send that waits for room can be dropped only where there is some.
    let is_bounded = matches!(capacity, Capacity::Bounded(_));
    let sends_dropped = |one: Subject| if is_bounded { one.aside(why::SENDS) } else { one };
    let mut all = vec![
        kanal.aside(why::LOSES),
        sends_dropped(of!(
            "flume",
            move || {
                use flume::{bounded, unbounded};
                let (sender, receiver) = capacity.or_none().map_or_else(unbounded, bounded);
                (vec![sender; senders], vec![receiver; receivers])
            },
            send_async,
            recv_async
        )),
        sends_dropped(of!(
            "loole",
            move || {
                use loole::{bounded, unbounded};
                let (sender, receiver) = capacity.or_none().map_or_else(unbounded, bounded);
                (vec![sender; senders], vec![receiver; receivers])
            },
            send_async,
            recv_async
        )),
    ];
    if capacity != Capacity::Rendezvous {
        all.push(of!(
            "async-channel",
            move || {
                use async_channel::{bounded, unbounded};
                let (sender, receiver) = capacity.or_none().map_or_else(unbounded, bounded);
                (vec![sender; senders], vec![receiver; receivers])
            },
            send,
            recv
        ));
    }
    let Capacity::Bounded(capacity) = capacity else { return all };
    all.push(match plan.shape {
        Shape::PAIR => of!(
            "crossfire",
            move || {
                let (sender, receiver) = crossfire::spsc::bounded_async(capacity);
                (vec![sender], vec![receiver])
            },
            send,
            recv
        ),
        Shape { receivers: 1, .. } => of!(
            "crossfire",
            move || {
                let (sender, receiver) = crossfire::mpsc::bounded_async(capacity);
                (vec![sender; senders], vec![receiver])
            },
            send,
            recv
        ),
        _ => of!(
            "crossfire",
            move || {
                let (sender, receiver) = crossfire::mpmc::bounded_async(capacity);
                (vec![sender; senders], vec![receiver; receivers])
            },
            send,
            recv
        ),
    });
    if receivers == 1 {
        all.push(of!(
            "tokio",
            move || {
                let (sender, receiver) = tokio::sync::mpsc::channel(capacity);
                (vec![sender; senders], vec![receiver])
            },
            send,
            recv
        ));
        all.push(of!(
            "tachyonix",
            move || {
                let (sender, receiver) = tachyonix::channel(capacity);
                (vec![sender; senders], vec![receiver])
            },
            send,
            recv
        ));
    }
    all
}
