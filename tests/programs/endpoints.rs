//! Counted endpoints, as in crossbeam, flume and tokio: nobody closes anything; the last one to go does.

use std::sync::{Arc, Mutex};

use cloakroom::channel::{Counted, CountedReceiver, CountedSender, endpoints};
use cloakroom::{RecvError, SendError, TryRecvError, TrySendError};

use crate::crew::{Crew, breathe};
use crate::kinds::{Kind, Lock};
use crate::ledger::Ledger;

on_every_kind!(every_crew: pool, receivers_leave, heartbeat);
on_every_kind!(alone: what_nobody_will_receive);

/// A channel that knows how many endpoints it has.
type CountedLine<K, T> = Arc<Counted<Lock, T, <K as Kind>::Of<T>>>;

/// Both ends of one.
type Ends<K, T> = (CountedSender<CountedLine<K, T>>, CountedReceiver<CountedLine<K, T>>);

fn counted<K: Kind, T: Send + 'static>() -> Ends<K, T> {
    endpoints(Arc::new(Counted::with(K::make())))
}

/// The worker pool, without a close: the source drops its sender, the workers theirs.
fn pool<K: Kind>(crew: Crew) {
    const JOBS: u64 = 300;
    const WORKERS: usize = 4;
    let (to_do, jobs) = counted::<K, u64>();
    let (done, results) = counted::<K, u64>();
    for _ in 0..WORKERS {
        let (jobs, done) = (jobs.clone(), done.clone());
        crew.spawn(async move {
            while let Ok(job) = jobs.recv().await {
                assert!(done.send(job).await.is_ok());
            }
        });
    }
    drop((jobs, done));
    let more = to_do.clone();
    for (source, parity) in [(to_do, 0), (more, 1)] {
        crew.spawn(async move {
            for job in (parity..JOBS).step_by(2) {
                assert!(source.send(job).await.is_ok());
            }
        });
    }
    let mut all = crew.run(async {
        let mut all = Vec::new();
        while let Ok(job) = results.recv().await {
            all.push(job);
        }
        all
    });
    all.sort_unstable();
    assert!(all.into_iter().eq(0..JOBS), "each job once");
}

/// Receivers go one by one, each after a few values. When the last one has gone, senders get theirs back.
fn receivers_leave<K: Kind>(crew: Crew) {
    const SENDERS: u64 = 3;
    let (sender, receiver) = counted::<K, u64>();
    let weak = sender.downgrade();
    let back = Arc::new(Mutex::new(Vec::new()));
    for number in 0..SENDERS {
        let (sender, back) = (sender.clone(), back.clone());
        crew.spawn(async move {
            for value in (number..).step_by(SENDERS as usize) {
                if let Err(SendError(value)) = sender.send(value).await {
                    back.lock().unwrap().push(value);
                    assert_eq!(sender.try_send(value).err(), Some(TrySendError::Closed(value)));
                    return;
                }
            }
        });
    }
    drop(sender);
    let received = Arc::new(Mutex::new(Vec::new()));
    for count in [5, 10, 20] {
        let (receiver, received) = (receiver.clone(), received.clone());
        crew.spawn(async move {
            for _ in 0..count {
                let value = receiver.recv().await.expect("senders go on");
                received.lock().unwrap().push(value);
            }
        });
    }
    drop(receiver);
    crew.run(async {});
    assert!(weak.upgrade().is_none());
    let (mut received, back) = (received.lock().unwrap(), back.lock().unwrap());
    assert_eq!((received.len(), back.len()), (35, SENDERS as usize));
    received.sort_unstable();
    let before = received.len();
    received.dedup();
    assert_eq!(received.len(), before, "received twice");
    // Of each sender: what was received lies before what came back.
    for value in back.iter() {
        let sender = value % SENDERS;
        let of_one = received.iter().filter(|other| *other % SENDERS == sender);
        assert!(of_one.into_iter().all(|other| other < value), "received, and given back");
    }
}

/// A weak sender does not keep a channel open: a source of heartbeats ends with those it beats for.
fn heartbeat<K: Kind>(crew: Crew) {
    const VALUES: usize = 40;
    let (sender, receiver) = counted::<K, Option<usize>>();
    let weak = sender.downgrade();
    crew.spawn(async move {
        // One sender at a time, for as long as there is another one.
        while let Some(sender) = weak.upgrade() {
            if sender.send(None).await.is_err() {
                break;
            }
            drop(sender);
            breathe().await;
        }
    });
    crew.spawn(async move {
        for value in 0..VALUES {
            assert!(sender.send(Some(value)).await.is_ok());
        }
    });
    let values = crew.run(async {
        let mut values = 0;
        while let Ok(value) = receiver.recv().await {
            if let Some(value) = value {
                assert_eq!(value, values);
                values += 1;
            }
        }
        values
    });
    assert_eq!(values, VALUES);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

/// What is in a channel when its last receiver goes is dropped then, not with the channel.
fn what_nobody_will_receive<K: Kind>() {
    let ledger = Ledger::default();
    let (sender, receiver) = counted::<K, _>();
    let sent = (0..9).take_while(|_| sender.try_send(ledger.entry()).is_ok()).count();
    let other = receiver.clone();
    drop(receiver);
    assert_eq!((sender.is_closed(), ledger.alive()), (false, sent));
    drop(other);
    assert_eq!((sender.is_closed(), ledger.alive()), (true, 0));
    assert_eq!(sender.snapshot().dropped as usize, sent);
    ledger.is_balanced();

    // The other way round, everything is still received.
    let (sender, receiver) = counted::<K, usize>();
    let sent = (0..9).take_while(|&value| sender.try_send(value).is_ok()).count();
    drop(sender);
    assert!((0..sent).all(|value| receiver.try_recv() == Ok(value)));
    assert_eq!(crate::crew::poll_once(std::pin::pin!(receiver.recv())), Err(RecvError).into());
}
