//! The order of arrival is the order of service.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use cloakroom::channel::{Broadcast, Channel, Delivery, Subscriber};
use cloakroom::kernel::{Kernel, Next};
use cloakroom::limit::Operation;
use cloakroom::select::{Either, SelectSet, never, select};
use cloakroom::std_layer::{MappedArena, block_on};

use crate::kinds::{Kind, Line, Lock};
use crate::wake_log::WakeLog;

on_every_kind!(alone:
    receivers, senders, permits, mixed_receivers, mixed_senders, tasks, threads_that_receive,
    threads_that_send
);
on_kinds!(alone receivers_of_the_latest: conflated on Conflated);

const WAITERS: usize = 64;

/// A waiter, and what it ends with.
type Waiter<'a> = Pin<Box<dyn Future<Output = usize> + 'a>>;

/// Polls waiters once each, in order, as one executor would; then lets `serve` make room or send a value, again
/// and again, and polls whoever is woken. Returns who ended, in order, with what.
fn serve_all(waiters: Vec<Waiter<'_>>, mut serve: impl FnMut()) -> Vec<(usize, usize)> {
    let log = WakeLog::default();
    let mut waiters: Vec<_> = waiters.into_iter().map(Some).collect();
    let poll = |number: usize, waiters: &mut Vec<Option<Waiter<'_>>>| {
        let waiter = waiters[number]
            .as_mut()
            .unwrap_or_else(|| panic!("waiter {number} was woken after its end"));
        let waker = log.waker(number);
        let polled = waiter.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            waiters[number] = None;
        }
        polled
    };
    for number in 0..waiters.len() {
        assert!(poll(number, &mut waiters).is_pending(), "waiter {number} need not wait");
    }
    assert_eq!(log.take(), [0; 0]);
    let mut ended = Vec::new();
    while waiters.iter().any(Option::is_some) {
        serve();
        let mut woken = VecDeque::from(log.take());
        while let Some(number) = woken.pop_front() {
            if let Poll::Ready(outcome) = poll(number, &mut waiters) {
                ended.push((number, outcome));
            }
            woken.extend(log.take());
        }
    }
    ended
}

/// Everybody, in order.
fn in_order(ended: &[(usize, usize)]) -> bool {
    ended.iter().copied().eq((0..WAITERS).map(|number| (number, number)))
}

/// Sends as many as there is room for.
fn fill<K: Kind>(line: &Line<K, usize>) {
    while line.try_send(usize::MAX).is_ok() {}
}

fn receivers<K: Kind>() {
    let line = K::line::<usize>();
    let receive = async |line: &Line<K, usize>| line.recv().await.expect("a value");
    let waiters = (0..WAITERS).map(|_| Box::pin(receive(&line)) as Waiter<'_>).collect();
    let mut values = 0..;
    let ended = serve_all(waiters, || {
        assert!(line.try_send(values.next().expect("no end")).is_ok(), "somebody waits for it");
    });
    assert!(in_order(&ended), "{ended:?}");
    assert_eq!(line.snapshot().recv_waits as usize, WAITERS);
}

fn receivers_of_the_latest<K: Kind>() {
    receivers::<K>();
}

/// What is received from a channel that was full when so many began to send, in order.
fn drain<'a, K: Kind>(
    line: &'a Line<K, usize>,
    waiters: Vec<Waiter<'a>>,
) -> (Vec<(usize, usize)>, Vec<usize>) {
    let mut received = Vec::new();
    let ended = serve_all(waiters, || received.push(line.try_recv().expect("a value")));
    received.extend(std::iter::from_fn(|| line.try_recv().ok()));
    received.retain(|&value| value != usize::MAX);
    (ended, received)
}

fn senders<K: Kind>() {
    let line = K::line::<usize>();
    fill::<K>(&line);
    let send = async |number| {
        assert!(line.send(number).await.is_ok());
        number
    };
    let waiters = (0..WAITERS).map(|number| Box::pin(send(number)) as Waiter<'_>).collect();
    let (ended, received) = drain::<K>(&line, waiters);
    assert!(in_order(&ended), "{ended:?}");
    assert!(received.iter().copied().eq(0..WAITERS), "{received:?}");
    assert_eq!(line.snapshot().send_waits as usize, WAITERS);
}

/// A permit on a channel without a buffer is for a receiver that waits: one comes at a time.
fn permits<K: Kind>() {
    let line = K::line::<usize>();
    fill::<K>(&line);
    let reserve = async |number| {
        let Ok(permit) = line.reserve().await else { panic!("it is open") };
        drop(permit.send(number));
        number
    };
    let waiters = (0..WAITERS).map(|number| Box::pin(reserve(number)) as Waiter<'_>).collect();
    let (ended, received) = if K::CAPACITY == Some(0) {
        let mut received = Vec::new();
        let mut receives: Vec<_> = (0..WAITERS).map(|_| Box::pin(line.recv())).collect();
        let mut receives = receives.iter_mut();
        let mut current = receives.next().expect("the first");
        let cx = &mut Context::from_waker(Waker::noop());
        let ended = serve_all(waiters, || {
            while let Poll::Ready(value) = current.as_mut().poll(cx) {
                received.push(value.expect("open"));
                current = receives.next().expect("as many as permits");
            }
        });
        let Poll::Ready(Ok(last)) = current.as_mut().poll(cx) else { panic!("it was sent") };
        received.push(last);
        (ended, received)
    } else {
        drain::<K>(&line, waiters)
    };
    assert!(in_order(&ended), "{ended:?}");
    assert!(received.iter().copied().eq(0..WAITERS), "{received:?}");
}

/// Receives in one way or another; some give up their place.
fn mixed_receivers<K: Kind>() {
    let (line, other) = (K::line::<usize>(), K::line::<usize>());
    let (line, other) = (&line, &other);
    let plain = async || line.recv().await.expect("a value");
    let limited = async || line.recv().deadline(pending::<()>()).await.expect("a value");
    let first_arm = async || match select((line.recv(), other.recv())).await {
        Either::First(Ok(value)) => value,
        _ => panic!("nothing is sent to the other one"),
    };
    let last_arm = async || match select((other.recv(), never::<()>(), line.recv())).await {
        cloakroom::select::Either3::Third(Ok(value)) => value,
        _ => panic!("nothing is sent to the other one"),
    };
    let in_a_set = async || {
        let (mut a, mut b) = (Box::pin(other.recv()), Box::pin(line.recv()));
        let mut set = std::pin::pin!(SelectSet::<_, 4>::new().fair());
        for arm in [a.as_mut(), b.as_mut()] {
            assert!(set.as_mut().add(arm).is_ok());
        }
        match set.await {
            (1, Ok(value)) => value,
            _ => panic!("nothing is sent to the other one"),
        }
    };
    let several = async || {
        let mut values = Vec::new();
        assert_eq!(line.recv_many(&mut values, 1).await, Ok(1));
        values[0]
    };
    let waiters = (0..WAITERS).map(|number| -> Waiter<'_> {
        match number % 6 {
            0 => Box::pin(plain()),
            1 => Box::pin(first_arm()),
            2 => Box::pin(limited()),
            3 => Box::pin(last_arm()),
            4 => Box::pin(in_a_set()),
            _ => Box::pin(several()),
        }
    });
    let mut values = 0..;
    let ended = serve_all(waiters.collect(), || {
        assert!(line.try_send(values.next().expect("no end")).is_ok(), "somebody waits for it");
    });
    assert!(in_order(&ended), "{ended:?}");
    // The arms that were withdrawn have left the other channel.
    assert_eq!(other.try_send(1).is_ok(), K::CAPACITY != Some(0));
}

/// As [`mixed_receivers`]. Between them, some wait that go away before their turn.
fn mixed_senders<K: Kind>() {
    let (line, other) = (K::line::<usize>(), K::line::<usize>());
    fill::<K>(&line);
    let (line, other) = (&line, &other);
    let plain = async |number| {
        assert!(line.send(number).await.is_ok());
        number
    };
    let limited = async |number| {
        assert!(line.send(number).deadline(pending::<()>()).await.is_ok());
        number
    };
    let arm = async |number| match select((other.recv(), line.send(number))).await {
        Either::Second(Ok(_)) => number,
        _ => panic!("nothing is sent to the other one"),
    };
    let many = async |number| {
        assert!(line.send_many([number]).await.is_ok_and(|sent| sent == 1));
        number
    };
    let mut gone = Vec::new();
    let mut waiters = Vec::new();
    let cx = &mut Context::from_waker(Waker::noop());
    for number in 0..WAITERS {
        let mut waiter: Waiter<'_> = match number % 4 {
            0 => Box::pin(plain(number)),
            1 => Box::pin(arm(number)),
            2 => Box::pin(limited(number)),
            _ => Box::pin(many(number)),
        };
        // In the queue from now on, so that those who go stand between those who stay.
        assert!(waiter.as_mut().poll(cx).is_pending());
        waiters.push(waiter);
        if number % 3 == 0 {
            let mut goes: Waiter<'_> = match number % 2 {
                0 => Box::pin(plain(number)),
                _ => Box::pin(arm(number)),
            };
            assert!(goes.as_mut().poll(cx).is_pending());
            gone.push(goes);
        }
    }
    drop(gone);
    let (ended, received) = drain::<K>(line, waiters);
    assert!(in_order(&ended), "{ended:?}");
    assert!(received.iter().copied().eq(0..WAITERS), "{received:?}");
}

/// Tasks of the crate's kernel, each of which receives once; one more that sends.
fn tasks<K: Kind>() {
    let memory = MappedArena::new(1 << 20, 256, 256).expect("a megabyte").leak();
    let kernel: &'static Kernel<Lock> = Box::leak(Box::new(Kernel::new()));
    let (line, ended) = (K::line::<usize>(), Arc::new(Mutex::new(Vec::new())));
    for number in 0..WAITERS {
        let (line, ended) = (line.clone(), ended.clone());
        let task = kernel.spawn(memory, async move {
            let value = line.recv().await.expect("a value");
            ended.lock().unwrap().push((number, value));
        });
        assert!(task.is_ok());
    }
    while kernel.poll(0) == Next::Ready {}
    let sending = line.clone();
    let task = kernel.spawn(memory, async move {
        for value in 0..WAITERS {
            assert!(sending.send(value).await.is_ok());
        }
    });
    assert!(task.is_ok());
    while kernel.poll(0) == Next::Ready {}
    assert_eq!(kernel.snapshot().tasks, 0);
    let ended = ended.lock().unwrap();
    assert!(in_order(&ended), "{ended:?}");
}

/// These in order.
fn sorted(values: &[usize]) -> Vec<usize> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values
}

/// Waits until a count has come so far.
fn wait_until(count: impl Fn() -> u32, wanted: usize) {
    while (count() as usize) < wanted {
        thread::yield_now();
    }
    assert_eq!(count() as usize, wanted, "somebody waited twice");
}

/// Threads that block, one after the other; every second one in a select. Meanwhile, others try all the time to be
/// faster.
fn threads_that_receive<K: Kind>() {
    let (line, other) = (K::line::<usize>(), K::line::<usize>());
    let (tell, told) = mpsc::channel();
    let (over, stolen) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    stolen.fetch_add(usize::from(line.try_recv().is_ok()), Ordering::Relaxed);
                    thread::yield_now();
                }
            });
        }
        for number in 0..WAITERS {
            let (line, other, tell) = (&line, &other, tell.clone());
            scope.spawn(move || {
                let value = if number % 2 == 0 {
                    block_on(line.recv())
                } else {
                    match block_on(select((other.recv(), line.recv()))) {
                        Either::First(value) | Either::Second(value) => value,
                    }
                };
                tell.send((number, value)).expect("the test goes on");
            });
            wait_until(|| line.snapshot().recv_waits, number + 1);
        }
        for value in 0..WAITERS {
            assert!(line.try_send(value).is_ok(), "somebody waits for it");
            // One at a time, as nobody says in what order threads that were woken run.
            assert_eq!(told.recv().expect("somebody was served"), (value, Ok(value)));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(stolen.load(Ordering::Relaxed), 0, "others were faster");
}

/// As [`threads_that_receive`], with senders on a full channel.
fn threads_that_send<K: Kind>() {
    let (line, other) = (K::line::<usize>(), K::line::<usize>());
    fill::<K>(&line);
    let (tell, told) = mpsc::channel();
    let (over, stolen) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut received = Vec::new();
    thread::scope(|scope| {
        for number in 0..WAITERS {
            let (line, other, tell) = (&line, &other, tell.clone());
            scope.spawn(move || {
                let sent = if number % 2 == 0 {
                    block_on(line.send(number)).is_ok()
                } else {
                    match block_on(select((other.recv(), line.send(number)))) {
                        Either::First(_) => false,
                        Either::Second(sent) => sent.is_ok(),
                    }
                };
                tell.send((number, sent)).expect("the test goes on");
            });
            wait_until(|| line.snapshot().send_waits, number + 1);
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    stolen.fetch_add(
                        usize::from(line.try_send(usize::MAX).is_ok()),
                        Ordering::Relaxed,
                    );
                    thread::yield_now();
                }
            });
        }
        let mut served = 0;
        while served < WAITERS {
            // Room for one more, or for a segment of them; one step at a time, as nobody says in what order
            // threads that were woken run.
            for _ in 0..K::STEP {
                received.push(block_on(line.recv()).expect("a value, or a sender"));
            }
            let step = K::STEP.min(WAITERS - served);
            let mut ended: Vec<_> =
                (0..step).map(|_| told.recv().expect("somebody was served")).collect();
            ended.sort_unstable();
            assert!(ended.into_iter().eq((served..served + step).map(|number| (number, true))));
            served += step;
        }
        over.store(true, Ordering::Relaxed);
    });
    // What was there, then what was sent, in no other order than that of the steps.
    received.extend(line.try_iter());
    received.retain(|&value| value != usize::MAX);
    assert!(received.chunks(K::STEP).flat_map(sorted).eq(0..WAITERS), "{received:?}");
    assert_eq!(stolen.load(Ordering::Relaxed), 0, "others were faster");
}

/// Everybody gets every value, so what is in order is who is told.
#[test]
fn subscribers() {
    let hub: Channel<Lock, usize, Broadcast<2>> = Channel::new();
    let mut subscribers: Vec<Subscriber<_>> = (0..WAITERS).map(|_| hub.subscribe()).collect();
    let log = WakeLog::default();
    for round in 0..3 {
        let mut receives: Vec<_> =
            subscribers.iter_mut().map(|subscriber| Box::pin(subscriber.recv())).collect();
        for (number, receive) in receives.iter_mut().enumerate() {
            let waker = log.waker(number);
            assert!(receive.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert!(hub.try_send(round).is_ok());
        assert!(log.take().into_iter().eq(0..WAITERS));
        let cx = &mut Context::from_waker(Waker::noop());
        for receive in &mut receives {
            assert_eq!(receive.as_mut().poll(cx), Poll::Ready(Ok(Delivery::Value(round))));
        }
    }
}
