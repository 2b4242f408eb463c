//! The programs on a broadcast channel, as tokio, embassy-sync (`PubSubChannel`) and Go's hubs know it: every
//! subscriber hears everything that is sent while it is there.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use cloakroom::channel::{
    Broadcast, Channel, Counted, CountedSender, Delivery, DropOldest, Subscriber,
};
use cloakroom::std_layer::ArcShare;
use cloakroom::{RecvError, TryRecvError, TrySendError, select};

use crate::crew::{Crew, breathe, every_crew, poll_once};
use crate::kinds::Lock;
use crate::ledger::{Entry, Ledger};
use crate::random::Random;

type Hub<T, const N: usize> = Arc<Channel<Lock, T, Broadcast<N>>>;

fn hub<T: cloakroom::channel::Share, const N: usize>() -> Hub<T, N> {
    Arc::new(Channel::new())
}

/// With a room of one, and with more than is ever used.
fn for_both_rooms(small: fn(Crew), large: fn(Crew)) {
    every_crew(small);
    every_crew(large);
}

fn ping_pong<const N: usize>(crew: Crew) {
    const ROUNDS: u32 = 300;
    let (ping, pong) = (hub::<u32, N>(), hub::<u32, N>());
    let mut pings = Subscriber::of(ping.clone());
    let mut pongs = Subscriber::of(pong.clone());
    let back = pong.clone();
    crew.spawn(async move {
        while let Ok(Delivery::Value(ball)) = pings.recv().await {
            assert!(back.send(ball + 1).await.is_ok());
        }
        back.close();
    });
    crew.run(async {
        for round in 0..ROUNDS {
            assert!(ping.send(round).await.is_ok());
            assert_eq!(pongs.recv().await, Ok(Delivery::Value(round + 1)));
        }
        ping.close();
        assert!(pongs.recv().await.is_err(), "more came back than was sent");
    });
}

#[test]
fn two_sides_one_ball() {
    for_both_rooms(ping_pong::<1>, ping_pong::<64>);
}

/// Several senders, several subscribers, all slower and faster at times: each hears all values, and those of a
/// sender in order.
fn all_hear_all<const N: usize>(crew: Crew) {
    const SENDERS: usize = 3;
    const SUBSCRIBERS: u64 = 4;
    const EACH: usize = 100;
    let hub = hub::<(usize, usize), N>();
    for seed in 0..SUBSCRIBERS {
        let mut subscriber = Subscriber::of(hub.clone());
        crew.spawn(async move {
            let mut random = Random(seed);
            let mut next = [0; SENDERS];
            while let Ok(delivery) = subscriber.recv().await {
                let (sender, number) = delivery.value().expect("senders wait for the slowest");
                assert_eq!(number, next[sender], "of sender {sender}");
                next[sender] += 1;
                for _ in 0..random.below(3) {
                    breathe().await;
                }
            }
            assert_eq!(next, [EACH; SENDERS]);
        });
    }
    let sending = Arc::new(AtomicUsize::new(SENDERS));
    for sender in 0..SENDERS {
        let (hub, sending) = (hub.clone(), sending.clone());
        crew.spawn(async move {
            for number in 0..EACH {
                assert!(hub.send((sender, number)).await.is_ok());
            }
            if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
                hub.close();
            }
        });
    }
    crew.run(async {});
    let (end, all) = (hub.snapshot(), (SENDERS * EACH) as u32);
    assert_eq!((end.sent, end.received, end.dropped), (all, all, 0));
    assert_eq!((end.delivered, end.lagged), (all * SUBSCRIBERS as u32, 0));
}

#[test]
fn everybody_hears_everything() {
    for_both_rooms(all_hear_all::<1>, all_hear_all::<64>);
}

/// Subscribers come and go while senders send: each hears a run without a gap, and nobody waits for those who
/// have gone.
fn come_and_go<const N: usize>(crew: Crew) {
    const VALUES: u64 = 400;
    let hub = hub::<u64, N>();
    for seed in 0..3 {
        let hub = hub.clone();
        crew.spawn(async move {
            let mut random = Random(seed);
            while !hub.is_closed() {
                let mut subscriber = Subscriber::of(hub.clone());
                let mut last: Option<u64> = None;
                for _ in 0..random.below(8) {
                    let Ok(delivery) = subscriber.recv().await else { break };
                    let value = delivery.value().expect("senders wait");
                    assert!(last.is_none_or(|last| value == last + 1), "{value} after {last:?}");
                    last = Some(value);
                }
                drop(subscriber);
                breathe().await;
            }
        });
    }
    crew.run(async {
        for value in 0..VALUES {
            assert!(hub.send(value).await.is_ok());
            if value % 3 == 0 {
                breathe().await;
            }
        }
        hub.close();
    });
    let end = hub.snapshot();
    assert_eq!((end.depth, hub.subscribers()), (0, 0));
    assert_eq!(u64::from(end.sent), VALUES);
    assert_eq!(end.sent, end.received + end.dropped);
}

#[test]
fn subscribers_come_and_go() {
    for_both_rooms(come_and_go::<1>, come_and_go::<64>);
}

/// tokio's lagging receiver: a slow one misses the oldest, is told how many, and goes on from there.
#[test]
fn the_slow_are_told_what_they_missed() {
    every_crew(|crew: Crew| {
        const VALUES: u64 = 500;
        let hub: Arc<Channel<Lock, u64, Broadcast<4, DropOldest>>> = Arc::new(Channel::new());
        for seed in 0..3 {
            let mut subscriber = Subscriber::of(hub.clone());
            crew.spawn(async move {
                let mut random = Random(seed);
                let mut next = 0;
                while let Ok(delivery) = subscriber.recv().await {
                    match delivery {
                        Delivery::Value(value) => {
                            assert_eq!(value, next, "neither heard nor reported as missed");
                            next += 1;
                        }
                        Delivery::Lagged(missed) => {
                            assert!(missed > 0);
                            next += missed;
                        }
                    }
                    for _ in 0..random.below(6) {
                        breathe().await;
                    }
                }
                assert_eq!(next, VALUES, "values and misses do not make up the whole");
            });
        }
        crew.run(async {
            for value in 0..VALUES {
                // Never waits.
                assert!(hub.try_send(value).is_ok());
                breathe().await;
            }
            hub.close();
        });
        let end = hub.snapshot();
        assert_eq!(u64::from(end.delivered) + u64::from(end.lagged), 3 * VALUES);
    });
}

/// Who subscribes later hears what is sent later; who waits is not the reason why others hear nothing.
#[test]
fn from_the_moment_of_subscribing() {
    let hub = hub::<u8, 2>();
    assert_eq!(hub.try_send(0), Ok(()), "with nobody there it is dropped");
    assert_eq!(hub.snapshot().dropped, 1);
    let mut early = hub.subscribe();
    assert_eq!(hub.try_send(1), Ok(()));
    let mut late = hub.subscribe();
    assert_eq!(hub.try_send(2), Ok(()));
    assert_eq!(hub.try_send(3), Err(TrySendError::Full(3)), "one has read nothing");
    assert_eq!((early.len(), late.len()), (2, 1));
    assert_eq!(late.try_recv(), Ok(Delivery::Value(2)));
    assert_eq!(late.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(early.try_recv(), Ok(Delivery::Value(1)));
    assert_eq!(hub.try_send(4), Ok(()));
    hub.close();
    assert!(early.try_iter().eq([Delivery::Value(2), Delivery::Value(4)]));
    assert_eq!(poll_once(pin!(late.recv())), Poll::Ready(Ok(Delivery::Value(4))));
    assert_eq!(poll_once(pin!(late.recv())), Poll::Ready(Err(RecvError)));
}

/// A chat: each member subscribes and sends through counted senders; the last to leave closes.
#[test]
fn chat() {
    every_crew(|crew: Crew| {
        const MEMBERS: usize = 4;
        const LINES: usize = 25;
        let room = Arc::new(Counted::<Lock, (usize, usize), Broadcast<8>>::new());
        let door = CountedSender::of(room);
        // All are there before anybody talks.
        let members: Vec<_> = (0..MEMBERS).map(|_| (door.subscribe(), door.clone())).collect();
        for (name, (mut ears, mouth)) in members.into_iter().enumerate() {
            crew.spawn(async move {
                let (mut said, mut heard) = (0, [0; MEMBERS]);
                let mut mouth = Some(mouth);
                // Talks and listens at once; listens on until nobody talks.
                loop {
                    let heard_now = match &mouth {
                        Some(speaks) => {
                            select! {
                                sent = speaks.send((name, said)) => {
                                    assert!(sent.is_ok());
                                    said += 1;
                                    None
                                }
                                heard = ears.recv() => Some(heard),
                            }
                        }
                        None => Some(ears.recv().await),
                    };
                    if said == LINES {
                        mouth = None;
                    }
                    match heard_now {
                        None => {}
                        Some(Ok(delivery)) => {
                            let (who, line) = delivery.value().expect("speakers wait");
                            assert_eq!(line, heard[who], "of member {who}");
                            heard[who] += 1;
                        }
                        Some(Err(RecvError)) => break,
                    }
                }
                assert_eq!(heard, [LINES; MEMBERS]);
            });
        }
        drop(door);
        crew.run(async {});
    });
}

/// Each value is dropped once, when the last who could have read it has: read, missed, or left behind.
#[test]
fn drop_counts() {
    type Heard = ArcShare<Entry>;
    let ledger = Ledger::default();
    let value = || ArcShare(Arc::new(ledger.entry()));
    let hub = hub::<Heard, 2>();
    drop(hub.try_send(value()));
    assert_eq!(ledger.alive(), 0, "nobody is there");

    let (mut a, mut b) = (hub.subscribe(), hub.subscribe());
    assert!(hub.try_send(value()).is_ok() && hub.try_send(value()).is_ok());
    let heard = a.try_recv().ok().and_then(Delivery::value).expect("a value");
    drop(heard);
    assert_eq!(ledger.alive(), 2, "the other has not read it");
    drop(b.try_recv());
    assert_eq!(ledger.alive(), 1);
    // The second one: in the hands of the one, and not read by the other, who goes.
    let heard = a.try_recv().ok().and_then(Delivery::value).expect("a value");
    drop(b);
    assert_eq!((ledger.alive(), hub.len()), (1, 0));
    drop(heard);
    assert_eq!(ledger.alive(), 0);

    // Left in the channel, and in a send that waits.
    assert!(hub.try_send(value()).is_ok() && hub.try_send(value()).is_ok());
    {
        let mut waits = pin!(hub.send(value()));
        assert!(poll_once(waits.as_mut()).is_pending());
        assert_eq!(ledger.alive(), 3);
    }
    assert_eq!(ledger.alive(), 2);
    drop(a);
    assert_eq!(ledger.alive(), 0, "nobody will read them");
    ledger.is_balanced();

    // Dropped by policy, and with the channel.
    let hub: Channel<Lock, Heard, Broadcast<2, DropOldest>> = Channel::new();
    let slow = hub.subscribe();
    for _ in 0..5 {
        assert!(hub.try_send(value()).is_ok());
    }
    assert_eq!(ledger.alive(), 2);
    std::mem::forget(slow);
    drop(hub);
    ledger.is_balanced();
}
