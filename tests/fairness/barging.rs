//! Nobody is faster than one who waits, however hard they try.
//!
//! In `…_in_step` one value, or one slot, is there at a time, so whoever gets it is seen. In `…_at_large` the
//! other side does as it likes, and what is compared are two counts: what others had got when the waiter had been
//! seen to wait, and what they had got when it was served, which is when its wake-up is sent. There was nothing
//! left when it began to wait, so they are the same.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use cloakroom::channel::ChannelSnapshot;
use cloakroom::std_layer::block_on;

use crate::kinds::{Kind, Line};

on_every_kind!(alone: receiver_in_step, receiver_at_large);
on_every_bounded_kind!(alone: sender_in_step, sender_at_large);
// Where memory comes in larger pieces than one value, it makes room for others, too.
on_kinds!(alone sender_in_step_for_memory: cramped on Cramped);
on_kinds!(alone sender_at_large_for_memory: cramped on Cramped);

const BARGERS: usize = 3;
const ROUNDS: u32 = 200;
/// What a barger sends, or what a channel is filled with.
const FILLING: u32 = u32::MAX;

/// Threads that try all the time, until `over`; how often they succeed.
fn barge<'s>(
    scope: &'s thread::Scope<'s, '_>,
    over: &'s AtomicBool,
    successes: &'s AtomicU32,
    attempt: impl Fn() -> bool + Copy + Send + 's,
) {
    for _ in 0..BARGERS {
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                successes.fetch_add(u32::from(attempt()), Ordering::Relaxed);
                thread::yield_now();
            }
        });
    }
}

/// Waits until a counter says `wanted`.
fn wait_for(counter: impl Fn() -> u32, wanted: u32) {
    while counter() < wanted {
        thread::yield_now();
    }
    assert_eq!(counter(), wanted, "somebody else waited");
}

fn receiver_in_step<K: Kind>() {
    let line = K::line::<u32>();
    let (over, stolen) = (AtomicBool::new(false), AtomicU32::new(0));
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        barge(scope, &over, &stolen, || line.try_recv().is_ok());
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                tell.send(block_on(line.recv())).expect("the test goes on");
            }
        });
        for round in 0..ROUNDS {
            wait_for(|| line.snapshot().recv_waits, round + 1);
            assert!(line.try_send(round).is_ok(), "somebody waits for it");
            assert_eq!(told.recv().expect("somebody was served"), Ok(round));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(stolen.load(Ordering::Relaxed), 0, "others were faster");
}

fn sender_in_step<K: Kind>() {
    let line = K::line::<u32>();
    while line.try_send(FILLING).is_ok() {}
    let (over, stolen) = (AtomicBool::new(false), AtomicU32::new(0));
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                let sent = block_on(line.send(round));
                tell.send(sent.is_ok()).expect("the test goes on");
            }
        });
        wait_for(|| line.snapshot().send_waits, 1);
        barge(scope, &over, &stolen, || line.try_send(FILLING).is_ok());
        for round in 0..ROUNDS {
            // Each time with the sender in the queue.
            while line.try_recv().is_err() {
                thread::yield_now();
            }
            assert!(told.recv().expect("somebody was served"));
            if round + 1 < ROUNDS {
                wait_for(|| line.snapshot().send_waits, round + 2);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(stolen.load(Ordering::Relaxed), 0, "others were faster");
}

fn sender_in_step_for_memory<K: Kind>() {
    sender_in_step::<K>();
}

/// A waker that notes down what a count was when it was woken.
struct Witness<C> {
    count: C,
    thread: Thread,
    at_wake: Mutex<Vec<u32>>,
}

impl<C: Fn() -> u32 + Send + Sync> Wake for Witness<C> {
    fn wake(self: Arc<Self>) {
        let count = (self.count)();
        self.at_wake.lock().unwrap().push(count);
        self.thread.unpark();
    }
}

/// Waits for one operation on this thread, with a count of what everybody has got. Whether it had to wait.
/// `own`: how much of that is this operation's own when its wake-up is sent.
fn wait_once(
    operation: impl Future<Output = bool>,
    count: impl Fn() -> u32 + Copy + Send + Sync + 'static,
    own: u32,
) -> bool {
    let (thread, at_wake) = (thread::current(), Mutex::default());
    let witness = Arc::new(Witness { count, thread, at_wake });
    let waker = Waker::from(witness.clone());
    let cx = &mut Context::from_waker(&waker);
    let mut operation = pin!(operation);
    if let Poll::Ready(done) = operation.as_mut().poll(cx) {
        assert!(done);
        return false;
    }
    // It stands in the queue.
    let when_queued = count();
    loop {
        let wakes = std::mem::take(&mut *witness.at_wake.lock().unwrap());
        if wakes.is_empty() {
            thread::park();
            continue;
        }
        for when_woken in wakes {
            // If it was served before it was seen to wait, others may have got something since.
            let faster = when_woken.saturating_sub(when_queued + own);
            assert_eq!(faster, 0, "others were faster");
        }
        assert_eq!(operation.as_mut().poll(cx), Poll::Ready(true), "woken for nothing");
        return true;
    }
}

/// Lets one waiter wait `ROUNDS` times, and the others have something as often.
///
/// The waiter stays away while the others are behind it: if it came again at once, it would always be the one that
/// waits, and as nobody is faster than that, the others might never have anything.
fn until_enough(over: &AtomicBool, successes: &AtomicU32, mut wait: impl FnMut() -> bool) {
    let mut waits = 0;
    while waits < ROUNDS {
        waits += u32::from(wait());
        while successes.load(Ordering::Relaxed) < waits {
            thread::yield_now();
        }
    }
    over.store(true, Ordering::Relaxed);
}

/// A counter of a channel that outlives the test, for wakers.
fn counter<K: Kind>(
    line: &'static Line<K, u32>,
    of: fn(&ChannelSnapshot) -> u32,
) -> impl Fn() -> u32 + Copy + Send + Sync {
    move || of(&line.snapshot())
}

fn receiver_at_large<K: Kind>() {
    let line: &'static Line<K, u32> = Box::leak(Box::new(K::line()));
    let (over, barged) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        barge(scope, &over, &barged, || line.try_recv().is_ok());
        // One sender, so that nothing is sent between a send and its wake-up. It waits, as without a buffer
        // those who try find nobody else.
        scope.spawn(|| {
            while line.is_closed()
                || block_on(line.send(0)).is_ok() && !over.load(Ordering::Relaxed)
            {}
        });
        until_enough(&over, &barged, || {
            wait_once(
                async { line.recv().await.is_ok() },
                counter::<K>(line, |all| all.received),
                0,
            )
        });
        line.close();
    });
}

fn sender_at_large<K: Kind>() {
    let line: &'static Line<K, u32> = Box::leak(Box::new(K::line()));
    while line.try_send(FILLING).is_ok() {}
    // Without a buffer, its value has been taken when it is told.
    let own = u32::from(K::CAPACITY == Some(0));
    let (over, barged) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        barge(scope, &over, &barged, || line.try_send(FILLING).is_ok());
        scope.spawn(|| while block_on(line.recv()).is_ok() {});
        until_enough(&over, &barged, || {
            wait_once(async { line.send(0).await.is_ok() }, counter::<K>(line, |all| all.sent), own)
        });
        line.close();
    });
}

fn sender_at_large_for_memory<K: Kind>() {
    sender_at_large::<K>();
}
