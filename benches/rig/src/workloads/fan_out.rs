//! One thread that sends each message to four.

use std::sync::Arc;
use std::thread;

use cloakroom::channel::{Broadcast, Bytes, Delivery, fan_out_all};
use cloakroom::std_layer::{StdRawMutex as Lock, block_on, channel};

use super::floor::floor_for_each;
use super::floor_in_turns::floor_in_turns_for_each;
use super::payloads::multicast;
use crate::crew;
use crate::message::{Message, Source, read};
use crate::ours::{Line, arena_for, filled, received};
use crate::workload::{OURS, Subject, Workload, why};

const RECEIVERS: usize = 4;
const CAPACITY: usize = 128;
const SIZE: usize = 1024;

/// The one there is.
pub fn all() -> Vec<Workload> {
    use std::sync::mpsc;
    let subjects = vec![
        cloakroom(),
        cloakroom_all_or_nothing().aside(why::OURS_TOO),
        cloakroom_broadcast().aside(why::OURS_TOO),
        peer(
            "crossbeam + Arc",
            || crossbeam_channel::bounded(CAPACITY),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        peer(
            "kanal + Arc",
            || kanal::bounded(CAPACITY),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        peer(
            "flume + Arc",
            || flume::bounded(CAPACITY),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        peer(
            "crossfire + Arc",
            || crossfire::spsc::bounded_blocking(CAPACITY),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        peer(
            "std + Arc",
            || mpsc::sync_channel(CAPACITY),
            |s, m| s.send(m).is_ok(),
            |r| r.recv().ok(),
        ),
        rtrb().aside(why::SPINS),
        floor_for_each::<SIZE>(RECEIVERS),
        floor_in_turns_for_each::<SIZE>(RECEIVERS),
        multicast::<SIZE>("disruptor, in place", RECEIVERS).aside(why::SPINS),
    ];
    vec![Workload::new("fan-out/1to4/1KiB/128", subjects).allocating()]
}

/// A channel for each receiver, and a clone of an `Arc` into each.
fn peer<S: Send + 'static, R: Send + 'static>(
    name: &str,
    make: impl Fn() -> (S, R) + 'static,
    send: impl Fn(&mut S, Arc<[u8]>) -> bool + Copy + Send + 'static,
    receive: impl Fn(&mut R) -> Option<Arc<[u8]>> + Copy + Send + 'static,
) -> Subject {
    Subject::new(name, move |messages| {
        let (mut senders, receivers): (Vec<S>, Vec<R>) = (0..RECEIVERS).map(|_| make()).unzip();
        let mut source = Source::new(SIZE);
        let send_to_all = move |number| {
            let message = Arc::<[u8]>::make(&mut source, number);
            for sender in &mut senders {
                assert!(send(sender, message.clone()), "it is open");
            }
        };
        let receivers = receivers.into_iter().map(|mut receiver| {
            crew::receiving(move || receive(&mut receiver).map(|message| message.read()))
        });
        crew::run(vec![crew::sending(send_to_all)], receivers.collect(), messages, RECEIVERS as u64)
    })
}

fn rtrb() -> Subject {
    peer(
        "rtrb + Arc",
        || rtrb::RingBuffer::<Arc<[u8]>>::new(CAPACITY),
        |sender, mut message| {
            while let Err(rtrb::PushError::Full(back)) = sender.push(message) {
                message = back;
                thread::yield_now();
            }
            true
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
    )
}

/// Closes the lines when the sender has gone.
struct Lines(Vec<Arc<Line>>);

impl Drop for Lines {
    fn drop(&mut self) {
        for line in &self.0 {
            line.close();
        }
    }
}

/// Parcels of the same payload into four channels, one after the other, as others send their `Arc`s.
fn cloakroom() -> Subject {
    Subject::new(OURS, |messages| {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..RECEIVERS).map(|_| channel::messages(CAPACITY)).unzip();
        let receivers = receivers.into_iter().map(|receiver| {
            crew::receiving(move || {
                let parcel = receiver.blocking_recv().ok()?;
                Some(read(&parcel.redeem().expect("nobody else has its number")))
            })
        });
        let receivers = receivers.collect();
        let mut source = Source::new(SIZE);
        let send = move |number| {
            let message = filled(arena_for(SIZE), &mut source, number).freeze();
            let parcels = message.into_parcels(RECEIVERS).expect("there are four");
            for (sender, parcel) in senders.iter().zip(parcels) {
                sender.blocking_send(parcel).expect("it is open");
            }
        };
        crew::run(vec![crew::sending(send)], receivers, messages, RECEIVERS as u64)
    })
}

/// The same lease into four channels at once, or into none.
fn cloakroom_all_or_nothing() -> Subject {
    Subject::new("cloakroom, all or nothing", |messages| {
        let lines: Vec<Arc<Line>> = (0..RECEIVERS).map(|_| Arc::new(Line::new())).collect();
        let receivers =
            lines.clone().into_iter().map(|line| crew::receiving(move || received(&line)));
        let receivers = receivers.collect();
        let (lines, mut source) = (Lines(lines), Source::new(SIZE));
        let send = move |number| {
            let [a, b, c, d] = &lines.0[..] else { unreachable!("there are four") };
            let message = filled(arena_for(SIZE), &mut source, number).freeze();
            block_on(fan_out_all(&[&**a, b, c, d], message)).expect("they are open");
        };
        crew::run(vec![crew::sending(send)], receivers, messages, RECEIVERS as u64)
    })
}

/// One channel that every receiver reads.
fn cloakroom_broadcast() -> Subject {
    type News = Bytes<'static, Lock, Broadcast<CAPACITY>>;
    struct Closing(Arc<News>);
    impl Drop for Closing {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    Subject::new("cloakroom, broadcast", |messages| {
        let news = Arc::new(News::new());
        let receivers = (0..RECEIVERS).map(|_| {
            let mut subscriber = cloakroom::channel::Subscriber::of(news.clone());
            crew::receiving(move || match block_on(subscriber.recv()).ok()? {
                Delivery::Value(parcel) => parcel.redeem().ok().map(|lease| read(&lease)),
                Delivery::Lagged(_) => panic!("senders wait"),
            })
        });
        let receivers = receivers.collect();
        let (news, mut source) = (Closing(news), Source::new(SIZE));
        let send = move |number| {
            let message = filled(arena_for(SIZE), &mut source, number);
            block_on(news.0.send(message)).expect("it is open");
        };
        crew::run(vec![crew::sending(send)], receivers, messages, RECEIVERS as u64)
    })
}
