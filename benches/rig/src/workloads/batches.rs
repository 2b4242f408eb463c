//! Messages in batches of 32, where a crate has operations for that; otherwise one by one.

use cloakroom::std_layer::{block_on, channel as ours};

use crate::crew;
use crate::meter::Meter;
use crate::tally::Tally;
use crate::workload::{OURS, Subject, Workload, why};

const CAPACITY: usize = 128;
const BATCH: usize = 32;

/// All of them.
pub fn all() -> Vec<Workload> {
    let (one_thread, two_threads) = subjects().into_iter().unzip();
    vec![
        Workload::new(format!("batch/pair/u64/{BATCH}"), one_thread).in_one_thread(),
        Workload::new(format!("batch/1to1/u64/{BATCH}"), two_threads),
    ]
}

/// One participant in one thread, and in two. `send` empties the batch, `receive` fills one; false: no more will come.
fn both<S: Send + 'static, R: Send + 'static>(
    name: &str,
    make: impl Fn() -> (S, R) + Copy + 'static,
    send: impl Fn(&mut S, &mut Vec<u64>) + Copy + Send + 'static,
    receive: impl Fn(&mut R, &mut Vec<u64>) + Copy + Send + 'static,
) -> (Subject, Subject) {
    let one_thread = Subject::new(name, move |messages| {
        let (mut sender, mut receiver) = make();
        let (mut outgoing, mut incoming) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let mut tally = Tally::default();
        let meter = Meter::start();
        for number in 0..messages {
            outgoing.push(number);
            if outgoing.len() == BATCH || number + 1 == messages {
                send(&mut sender, &mut outgoing);
                receive(&mut receiver, &mut incoming);
                incoming.drain(..).for_each(|number| tally.add(number));
            }
        }
        let figures = meter.stop(messages);
        tally.check(messages, 1);
        figures
    });
    let two_threads = Subject::new(name, move |messages| {
        let (mut sender, mut receiver) = make();
        let mut outgoing = Vec::with_capacity(BATCH);
        let send = move |number| {
            outgoing.push(number);
            if outgoing.len() == BATCH || number + 1 == messages {
                send(&mut sender, &mut outgoing);
            }
        };
        let mut incoming = Vec::with_capacity(BATCH);
        let receive = move || {
            if incoming.is_empty() {
                receive(&mut receiver, &mut incoming);
            }
            incoming.pop()
        };
        crew::run(vec![crew::sending(send)], vec![crew::receiving(receive)], messages, 1)
    });
    (one_thread, two_threads)
}

fn subjects() -> Vec<(Subject, Subject)> {
    let rtrb = both(
        "rtrb",
        || rtrb::RingBuffer::new(CAPACITY),
        |sender, batch| {
            while !batch.is_empty() {
                let room = sender.slots().min(batch.len());
                let chunk = sender.write_chunk_uninit(room).expect("there is room for so many");
                chunk.fill_from_iter(batch.drain(..room));
                if room == 0 {
                    std::thread::yield_now();
                }
            }
        },
        |receiver, batch| {
            while batch.is_empty() {
                // First: what was sent before it went is seen after that.
                let is_last = receiver.is_abandoned();
                let there = receiver.slots().min(BATCH);
                let chunk = receiver.read_chunk(there).expect("there are so many");
                batch.extend(chunk);
                if is_last {
                    break;
                }
                if there == 0 {
                    std::thread::yield_now();
                }
            }
        },
    );
    vec![
        both(
            OURS,
            || ours::bounded(CAPACITY),
            |sender, batch| {
                sender.blocking_send_many(batch.drain(..)).expect("it is open");
            },
            |receiver, batch| {
                // Closed and empty: the batch stays empty.
                let _ = receiver.blocking_recv_many(batch, BATCH);
            },
        ),
        both(
            "crossbeam",
            || crossbeam_channel::bounded(CAPACITY),
            |sender, batch| batch.drain(..).for_each(|one| sender.send(one).expect("it is open")),
            |receiver, batch| {
                batch.extend(receiver.recv().ok());
                batch.extend(receiver.try_iter().take(BATCH - 1));
            },
        ),
        both(
            "kanal",
            || kanal::bounded(CAPACITY),
            |sender, batch| batch.drain(..).for_each(|one| sender.send(one).expect("it is open")),
            |receiver, batch| {
                if receiver.drain_into(batch) == Ok(0) {
                    batch.extend(receiver.recv().ok());
                }
            },
        ),
        both(
            "flume",
            || flume::bounded(CAPACITY),
            |sender, batch| batch.drain(..).for_each(|one| sender.send(one).expect("it is open")),
            |receiver, batch| {
                batch.extend(receiver.recv().ok());
                batch.extend(receiver.drain());
            },
        ),
        both(
            "crossfire",
            || crossfire::spsc::bounded_blocking(CAPACITY),
            |sender, batch| batch.drain(..).for_each(|one| sender.send(one).expect("it is open")),
            |receiver, batch| {
                batch.extend(receiver.recv().ok());
                batch.extend(std::iter::from_fn(|| receiver.try_recv().ok()).take(BATCH - 1));
            },
        ),
        both(
            "tokio",
            || tokio::sync::mpsc::channel(CAPACITY),
            |sender, batch| {
                let permits = block_on(sender.reserve_many(batch.len())).expect("it is open");
                permits.zip(batch.drain(..)).for_each(|(permit, one)| permit.send(one));
            },
            |receiver, batch| {
                block_on(receiver.recv_many(batch, BATCH));
            },
        ),
        (rtrb.0.aside(why::SPINS), rtrb.1.aside(why::SPINS)),
    ]
}
