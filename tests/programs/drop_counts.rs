//! Every value is dropped once, in each of the ways in which it can end: received, replaced, dropped by policy,
//! left in a channel, in a pending send that is dropped or gives it back, in an error.

use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::Poll;

use cloakroom::channel::{Buffered, Channel, DropNewest, DropOldest};
use cloakroom::error::SendTimeoutError;
use cloakroom::limit::Operation;
use cloakroom::{SendError, TrySendError};

use crate::crew::{Crew, breathe, poll_once};
use crate::kinds::{Conflated, Kind, Line, Lock, Rendezvous};
use crate::ledger::{Entry, Ledger};
use crate::random::Random;

on_every_kind!(alone: in_a_pending_send, in_an_error, in_a_permit);
on_every_kind_with_room!(alone: received_or_left_in_a_channel);
on_every_kind!(every_crew: in_turmoil);
on_kinds!(every_crew in_turmoil_latest: conflated on Conflated);

/// Sends as many as there is room for, up to `most`.
fn fill<K: Kind>(line: &Line<K, Entry>, ledger: &Ledger, most: usize) -> usize {
    (0..most).take_while(|_| line.try_send(ledger.entry()).is_ok()).count()
}

fn received_or_left_in_a_channel<K: Kind>() {
    for turns in 0..4 {
        for most in 0..=9 {
            let (line, ledger) = (K::line(), Ledger::default());
            // So that it starts elsewhere in a ring or a segment.
            for _ in 0..turns {
                assert_eq!(fill::<K>(&line, &ledger, 1), 1);
                drop(line.try_recv().expect("a value"));
                assert_eq!(ledger.alive(), 0);
            }
            let left = fill::<K>(&line, &ledger, most);
            assert_eq!((ledger.alive(), line.len()), (left, left));
            drop(line);
            ledger.is_balanced();
        }
    }
}

#[test]
fn left_at_the_meeting_point() {
    let (line, ledger) = (Rendezvous::line(), Ledger::default());
    {
        let mut receive = pin!(line.recv());
        assert!(poll_once(receive.as_mut()).is_pending());
        assert!(line.try_send(ledger.entry()).is_ok());
    }
    assert_eq!((ledger.alive(), line.len()), (1, 1));
    drop(line);
    ledger.is_balanced();
}

/// How far a pending send has come.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Moment {
    New,
    Queued,
    /// What it waited for is there, and it has not been polled since. On a rendezvous: its value was taken.
    Granted,
    Closed,
}

/// What becomes of it then.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Dropped,
    ValueTaken,
    Polled,
}

fn in_a_pending_send<K: Kind>() {
    let meets = K::CAPACITY == Some(0);
    for moment in [Moment::New, Moment::Queued, Moment::Granted, Moment::Closed] {
        for end in [End::Dropped, End::ValueTaken, End::Polled] {
            let (line, ledger) = (K::line(), Ledger::default());
            fill::<K>(&line, &ledger, usize::MAX);
            let entry = ledger.entry();
            let number = entry.number;
            let mut send = Box::pin(line.send(entry));
            if moment != Moment::New {
                assert!(poll_once(send.as_mut()).is_pending());
            }
            match moment {
                Moment::New | Moment::Queued => {}
                Moment::Granted => {
                    for _ in 0..K::STEP {
                        let received = line.try_recv().expect("a value");
                        assert_eq!(received.number == number, meets);
                    }
                }
                Moment::Closed => assert!(line.close()),
            }
            let was_taken = meets && moment == Moment::Granted;
            assert_eq!(ledger.drops()[number], u32::from(was_taken));
            match end {
                End::Dropped => {}
                End::ValueTaken => {
                    let value = send.as_mut().take_value().map(|value| value.number);
                    assert_eq!(value, (!was_taken).then_some(number), "{moment:?}");
                    assert!(send.as_mut().take_value().is_none());
                }
                End::Polled => match (poll_once(send.as_mut()), moment) {
                    (Poll::Pending, Moment::New | Moment::Queued) => {}
                    (Poll::Ready(Ok(_)), Moment::Granted) => {}
                    (Poll::Ready(Err(SendError(back))), Moment::Closed) => {
                        assert_eq!(back.number, number);
                    }
                    (wrong, _) => panic!("{moment:?}: {:?}", wrong.map(|sent| sent.is_ok())),
                },
            }
            drop(send);
            let in_the_channel = !meets && moment == Moment::Granted && end == End::Polled;
            assert_eq!(ledger.drops()[number], u32::from(!in_the_channel), "{moment:?} {end:?}");
            drop(line);
            ledger.is_balanced();
        }
    }
}

/// A send that is leaked while it waits keeps its value, and a receiver may still come for it.
#[test]
fn in_a_leaked_send() {
    let ledger = Ledger::default();
    let line: &'static _ = Box::leak(Box::new(Rendezvous::line()));
    let mut send = Box::pin(line.send(ledger.entry()));
    assert!(poll_once(send.as_mut()).is_pending());
    std::mem::forget(send);
    assert_eq!(ledger.alive(), 1);
    drop(line.try_recv().expect("a sender that waits"));
    ledger.is_balanced();
}

fn in_an_error<K: Kind>() {
    let (line, ledger) = (K::line(), Ledger::default());
    let sent = fill::<K>(&line, &ledger, usize::MAX);
    // The last one was given back, and dropped with the error.
    assert_eq!(ledger.alive(), sent);
    assert_eq!(ledger.drops().len(), sent + 1);

    let timeout = line.send(ledger.entry()).deadline(ready(()));
    let Poll::Ready(Err(SendTimeoutError::Timeout(back))) = poll_once(pin!(timeout)) else {
        panic!("no timeout");
    };
    assert_eq!((back.number, ledger.alive()), (sent + 1, sent + 1));
    let cancelled = line.send(back).cancelled_by(ready(()));
    let Poll::Ready(Err(SendTimeoutError::Cancelled(back))) = poll_once(pin!(cancelled)) else {
        panic!("not cancelled");
    };
    line.close();
    let Err(TrySendError::Closed(back)) = line.try_send(back) else { panic!("it is closed") };
    let Poll::Ready(Err(SendError(back))) = poll_once(pin!(line.send(back))) else {
        panic!("it is closed");
    };
    assert_eq!((back.number, ledger.alive()), (sent + 1, sent + 1));
    drop(back);
    drop(line);
    ledger.is_balanced();
}

fn in_a_permit<K: Kind>() {
    let (line, ledger) = (K::line(), Ledger::default());
    {
        let mut receive = pin!(line.recv());
        assert!(poll_once(receive.as_mut()).is_pending());
        drop(line.try_reserve().expect("a place"));
        drop(line.try_reserve().expect("the same place").send(ledger.entry()));
        // The receiver goes, the value stays.
    }
    assert_eq!((ledger.alive(), line.len()), (1, 1));
    drop(line);
    ledger.is_balanced();
}

#[test]
fn replaced() {
    let (line, ledger) = (Conflated::line(), Ledger::default());
    assert!(line.try_send(ledger.entry()).is_ok_and(|replaced| replaced.is_none()));
    for number in 1..5 {
        let replaced = line.try_send(ledger.entry()).expect("open").expect("the one before");
        assert_eq!((replaced.number, ledger.alive()), (number - 1, 2));
    }
    let Poll::Ready(Ok(Some(replaced))) = poll_once(pin!(line.send(ledger.entry()))) else {
        panic!("always room, and something to replace");
    };
    assert_eq!((replaced.number, ledger.alive()), (4, 2));
    drop(replaced);
    drop(line);
    ledger.is_balanced();
}

/// Sends five to a channel of two in each way there is, and tells what the hook was given.
fn dropped_by<P>(
    policy: impl FnOnce(Box<dyn Fn(Entry) + Send + Sync>) -> P,
    ledger: &Ledger,
) -> (Vec<usize>, Vec<usize>)
where
    Buffered<2, P>: cloakroom::channel::Compete<Entry, Receipt = ()>,
{
    let dropped: &'static Mutex<Vec<Entry>> = Box::leak(Box::default());
    let hook = Box::new(|value| dropped.lock().unwrap().push(value));
    let line: Channel<Lock, Entry, _> = Channel::with(Buffered::<2, P>::with(policy(hook)));
    for _ in 0..2 {
        assert!(line.try_send(ledger.entry()).is_ok());
    }
    assert!(line.try_send(ledger.entry()).is_ok());
    assert!(matches!(poll_once(pin!(line.send(ledger.entry()))), Poll::Ready(Ok(()))));
    let limited = line.send(ledger.entry()).deadline(ready(()));
    assert!(matches!(poll_once(pin!(limited)), Poll::Ready(Ok(()))));
    assert_eq!(ledger.alive(), 5, "the hook's values are the hook's");
    assert_eq!(line.snapshot().dropped, 3);
    let dropped: Vec<_> = dropped.lock().unwrap().drain(..).map(|value| value.number).collect();
    let left = std::iter::from_fn(|| line.try_recv().ok()).map(|value| value.number).collect();
    (dropped, left)
}

#[test]
fn dropped_by_policy() {
    let ledger = Ledger::default();
    assert_eq!(dropped_by(DropNewest, &ledger), (vec![2, 3, 4], vec![0, 1]));
    ledger.is_balanced();
    let ledger = Ledger::default();
    assert_eq!(dropped_by(DropOldest, &ledger), (vec![0, 1, 2], vec![3, 4]));
    ledger.is_balanced();
}

/// Polls a few times; whether it has come to its end.
async fn poll_some<F: Future>(mut future: Pin<&mut F>, times: u64) -> bool {
    for _ in 0..times {
        if poll_once(future.as_mut()).is_ready() {
            return true;
        }
        breathe().await;
    }
    false
}

/// One operation, dropped or ended in a random way.
async fn disturb<K: Kind>(line: &Line<K, Entry>, ledger: &Ledger, random: &mut Random) {
    let times = random.below(3);
    match random.below(10) {
        0 => drop(line.try_send(ledger.entry())),
        1 => drop(line.try_recv()),
        2 => drop(line.send(ledger.entry()).deadline(breathe()).await),
        3 => drop(line.recv().deadline(breathe()).await),
        4 => {
            poll_some(pin!(line.send(ledger.entry())), times).await;
        }
        5 => {
            let mut send = pin!(line.send(ledger.entry()));
            poll_some(send.as_mut(), times).await;
            drop(send.take_value());
        }
        6 | 7 => {
            poll_some(pin!(line.recv()), times).await;
        }
        8 => {
            poll_some(pin!(line.reserve()), times).await;
        }
        _ => {
            if let Ok(permit) = line.reserve().deadline(breathe()).await {
                drop(permit.send(ledger.entry()));
            }
        }
    }
}

fn in_turmoil<K: Kind>(crew: Crew) {
    let (line, ledger) = (K::line::<Entry>(), Ledger::default());
    for task in 0..4 {
        let (line, ledger) = (line.clone(), ledger.clone());
        crew.spawn(async move {
            let mut random = Random(task);
            for round in 0..200 {
                disturb::<K>(&line, &ledger, &mut random).await;
                if task == 0 && round == 150 {
                    line.close();
                }
            }
        });
    }
    crew.run(async {});
    let end = line.snapshot();
    assert_eq!(end.sent, end.received + end.dropped + end.depth as u32);
    assert_eq!(ledger.alive(), end.depth);
    drop(line);
    ledger.is_balanced();
}

fn in_turmoil_latest<K: Kind>(crew: Crew) {
    in_turmoil::<K>(crew);
}
