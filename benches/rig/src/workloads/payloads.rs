//! Threads that send messages of bytes: allocated (or not), written, sent, received, read, and freed.

use std::sync::{Arc, mpsc};
use std::thread;

use bytes::Bytes;
use disruptor::wait_strategies::WaitStrategy;
use disruptor::{Producer, Sequence};
use thingbuf::mpsc::blocking::with_recycle;
use thingbuf::recycling::Recycle;

use super::floor::floor;
use super::floor_in_turns::floor_in_turns;
use super::threads::{Capacity, Plan, peers};
use crate::crew::{self, Shape};
use crate::figure::Figures;
use crate::message::{Source, read};
use crate::meter::Meter;
use crate::ours::{arena_for, filled};
use crate::tally::Tally;
use crate::workload::{OURS, Subject, Workload, why};

const CAPACITY: usize = 128;

/// All of them.
pub fn all() -> Vec<Workload> {
    let sizes = [("64B", 64), ("1KiB", 1 << 10), ("64KiB", 64 << 10)];
    let plans = sizes.into_iter().flat_map(|size| Shape::ALL.map(|shape| (size, shape)));
    plans
        .map(|((name, size), shape)| {
            let plan = Plan { shape, capacity: Capacity::Bounded(CAPACITY), size };
            let name = format!("threads/{}/{name}/{CAPACITY}", shape.name());
            Workload::new(name, subjects(plan)).allocating()
        })
        .collect()
}

fn subjects(plan: Plan) -> Vec<Subject> {
    let mut all = vec![cloakroom(plan)];
    all.extend(peers::<Vec<u8>>(plan));
    let is_of = |names: &'static [&str]| {
        move |one: &Subject| names.iter().any(|name| one.name.starts_with(name))
    };
    // What their users would rather send: not everything through everybody.
    all.extend(peers::<Bytes>(plan).into_iter().filter(is_of(&["flume", "tokio"])));
    let shared = peers::<Arc<[u8]>>(plan).into_iter();
    all.extend(shared.filter(is_of(&["crossbeam", "kanal", "crossfire"])));
    match plan.size {
        64 => all.extend(in_place::<64>(plan)),
        1024 => all.extend(in_place::<1024>(plan)),
        _ => all.extend(in_place::<65536>(plan)),
    }
    all
}

/// A lease on memory of an arena, through a channel of messages.
fn cloakroom(plan: Plan) -> Subject {
    let Plan { shape, size, .. } = plan;
    let arena = arena_for(size);
    Subject::new(OURS, move |messages| {
        let (sender, receiver) = cloakroom::std_layer::channel::messages(CAPACITY);
        let senders = vec![sender; shape.senders].into_iter().map(|sender| {
            let mut source = Source::new(size);
            crew::sending(move |number| {
                let message = filled(arena, &mut source, number).into_parcel();
                sender.blocking_send(message).expect("it is open");
            })
        });
        let receivers = vec![receiver; shape.receivers].into_iter().map(|receiver| {
            crew::receiving(move || {
                let parcel = receiver.blocking_recv().ok()?;
                Some(read(&parcel.redeem().expect("nobody else has its number")))
            })
        });
        crew::run(senders.collect(), receivers.collect(), messages, 1)
    })
}

/// Slots that are written and read where they are.
fn in_place<const SIZE: usize>(plan: Plan) -> Vec<Subject> {
    let mut all = vec![floor::<SIZE>(plan), floor_in_turns::<SIZE>(plan)];
    if plan.shape.receivers == 1 {
        all.push(thingbuf::<SIZE>(plan.shape.senders).aside(why::IN_PLACE));
    }
    if plan.shape == Shape::PAIR {
        all.push(multicast::<SIZE>("disruptor, in place", 1).aside(why::SPINS));
    }
    all
}

/// Leaves in a slot what was there: the next message is written over it.
struct Keep;

impl<const SIZE: usize> Recycle<[u8; SIZE]> for Keep {
    fn new_element(&self) -> [u8; SIZE] {
        [0; SIZE]
    }
    fn recycle(&self, _: &mut [u8; SIZE]) {}
}

fn thingbuf<const SIZE: usize>(senders: usize) -> Subject {
    Subject::new("thingbuf, in place", move |messages| {
        let (sender, receiver) = with_recycle::<[u8; SIZE], _>(CAPACITY, Keep);
        let senders = vec![sender; senders].into_iter().map(|sender| {
            let mut source = Source::new(SIZE);
            crew::sending(move |number| {
                let mut slot = sender.send_ref().expect("it is open");
                slot.copy_from_slice(source.numbered(number));
            })
        });
        let receive = crew::receiving(move || receiver.recv_ref().map(|slot| read(&slot[..])));
        crew::run(senders.collect(), vec![receive], messages, 1)
    })
}

/// Gives the other threads a turn: there may be more of them than processors.
#[derive(Clone, Copy)]
struct Yield;

impl WaitStrategy for Yield {
    fn wait_for(&self, _: Sequence) {
        thread::yield_now();
    }
}

/// A ring of slots that each of `consumers`, one or four, reads.
pub fn multicast<const SIZE: usize>(name: &str, consumers: usize) -> Subject {
    Subject::new(name, move |messages| {
        let (report, reports) = mpsc::channel();
        let consumer = || {
            let mut reader = Reader { tally: Tally::default(), report: report.clone() };
            move |slot: &Slot<SIZE>, _: Sequence, _: bool| reader.read(&slot.0)
        };
        let ring = disruptor::build_single_producer(CAPACITY, || Slot([0; SIZE]), Yield);
        let figures = if consumers == 1 {
            publish(ring.handle_events_with(consumer()).build(), messages)
        } else {
            let ring = ring.handle_events_with(consumer()).handle_events_with(consumer());
            let ring = ring.handle_events_with(consumer()).handle_events_with(consumer());
            publish(ring.build(), messages)
        };
        drop(report);
        let tallies: Vec<Tally> = reports.into_iter().collect();
        assert_eq!(tallies.len(), consumers);
        tallies.into_iter().sum::<Tally>().check(messages, consumers as u64);
        figures
    })
}

/// Publishes so many messages, and waits until everybody has read all of them.
fn publish<const SIZE: usize>(mut producer: impl Producer<Slot<SIZE>>, messages: u64) -> Figures {
    let mut source = Source::new(SIZE);
    let meter = Meter::start();
    for number in 0..messages {
        let bytes = source.numbered(number);
        producer.publish(|slot| slot.0.copy_from_slice(bytes));
    }
    // It waits for the readers.
    drop(producer);
    meter.stop(messages)
}

/// A message's place in a ring.
struct Slot<const SIZE: usize>([u8; SIZE]);

/// Says what it has read when it goes.
struct Reader {
    tally: Tally,
    report: mpsc::Sender<Tally>,
}

impl Reader {
    fn read(&mut self, message: &[u8]) {
        self.tally.add(read(message));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Nobody listens any more only when the round has failed already.
        let _ = self.report.send(self.tally);
    }
}
