//! Wake-ups: each has a reason, and without a reason there is none.
//!
//! Random operations on every kind of channel, with wakers that count: whoever is woken can go on, so there are
//! never more wake-ups than waits that ended. A system in which everybody waits does nothing at all, which is seen
//! by the system's own count of how often each thread has slept.
#![cfg(all(feature = "std", not(loom)))]

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use cloakroom::select::select;

#[macro_use]
#[path = "common/kinds.rs"]
mod kinds;
#[path = "common/random.rs"]
mod random;
#[path = "common/wake_log.rs"]
mod wake_log;
#[path = "common/watch.rs"]
mod watch;

use kinds::{Cramped, Kind, Line};
use wake_log::WakeLog;

mod runners {
    /// Runs a test, and fails if it hangs.
    pub fn alone(test: fn()) {
        crate::watch::watched(test);
    }
}

on_every_kind!(alone: each_wake_up_has_a_reason);
on_kinds!(alone each_wake_up_of_the_latest_has_a_reason: conflated on Conflated);

/// An operation that waits.
type Wait<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn begin<K: Kind>(line: &Line<K, u32>, random: &mut random::Random) -> Wait<'static> {
    let line = line.clone();
    match random.below(5) {
        0 => Box::pin(async move {
            let _ = line.recv().await;
        }),
        1 => Box::pin(async move {
            let _ = line.send(1).await;
        }),
        2 => Box::pin(async move {
            if let Ok(permit) = line.reserve().await {
                drop(permit);
            }
        }),
        3 => Box::pin(async move {
            let _ = select((line.recv(), line.closed())).await;
        }),
        _ => Box::pin(async move {
            let _ = select((line.send(2), line.closed())).await;
        }),
    }
}

fn each_wake_up_has_a_reason<K: Kind>() {
    let mut waited = 0;
    for seed in 1..=60 {
        let mut random = random::Random(seed);
        let line = K::line::<u32>();
        // So that senders wait in half of the runs, and receivers in the others.
        let filled = if seed % 2 == 0 { 100_000 } else { 0 };
        let _ = (0..filled).take_while(|_| line.try_send(0).is_ok()).count();
        let log = WakeLog::default();
        let mut waits: Vec<Option<Wait<'_>>> = Vec::new();
        let (mut parked, mut retries) = (0, 0);
        for step in 0..400 {
            match random.below(8) {
                0..4 => {
                    let mut wait = begin::<K>(&line, &mut random);
                    let waker = log.waker(waits.len());
                    let pending = wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
                    parked += usize::from(pending);
                    waits.push(pending.then_some(wait));
                }
                4 => drop(line.try_send(3)),
                5 => drop(line.try_recv()),
                6 => drop(line.try_reserve()),
                // Somebody goes away, woken or not.
                _ if !waits.is_empty() => {
                    let number = random.below(waits.len() as u64) as usize;
                    waits[number] = None;
                }
                _ => {}
            }
            if step == 399 {
                line.close();
            }
            let mut woken = log.take();
            while let Some(number) = woken.pop() {
                let Some(wait) = &mut waits[number] else { continue };
                let waker = log.waker(number);
                let polled = wait.as_mut().poll(&mut Context::from_waker(&waker));
                woken.extend(log.take());
                // Twice for one poll is once too often, except for memory: see below.
                let may_retry = K::CAPACITY.is_none();
                let again = woken.contains(&number);
                assert!(may_retry || !again, "seed {seed}, step {step}: {number} woken again");
                if polled.is_ready() {
                    waits[number] = None;
                    continue;
                }
                // For memory, the first sender asks: whoever becomes the first is told so, once.
                assert!(may_retry, "woken for nothing: seed {seed}, step {step}, {number}");
                retries += 1;
                assert!(retries <= parked, "seed {seed}, step {step}: told again to try");
            }
        }
        assert_eq!(waits.iter().flatten().count(), 0, "seed {seed}: closed, and still waiting");
        waited += parked;
    }
    assert!(waited > 1_000, "hardly anybody waited: {waited}");
}

fn each_wake_up_of_the_latest_has_a_reason<K: Kind>() {
    each_wake_up_has_a_reason::<K>();
}

/// Whoever adds the memory it waited for is being polled, and does not wake itself for it.
fn woken_once_for_memory<F: Future>(line: &Line<Cramped, u32>, wait: F) {
    while line.try_send(0).is_ok() {}
    let log = WakeLog::default();
    let waker = log.waker(0);
    let cx = &mut Context::from_waker(&waker);
    let mut wait = pin!(wait);
    assert!(wait.as_mut().poll(cx).is_pending());
    assert_eq!(log.take(), [0; 0]);
    assert!(line.try_recv().is_ok());
    assert_eq!(log.take(), [0]);
    assert!(wait.as_mut().poll(cx).is_ready());
    assert_eq!(log.take(), [0; 0]);
}

#[test]
fn memory_wakes_a_sender_once() {
    let line = Cramped::line();
    woken_once_for_memory(&line, line.send(1));
    let line = Cramped::line();
    woken_once_for_memory(&line, line.reserve());
    let line = Cramped::line();
    woken_once_for_memory(&line, select((line.closed(), line.send(1))));
    let line = Cramped::line();
    woken_once_for_memory(&line, select((line.closed(), line.reserve())));
}

/// A sender that goes away between its wake-up and its poll passes the memory on.
#[test]
fn memory_goes_to_the_next_when_the_first_is_dropped() {
    let line = Cramped::line::<u32>();
    while line.try_send(0).is_ok() {}
    let log = WakeLog::default();
    let wakers = [log.waker(0), log.waker(1)];
    let mut first = Box::pin(line.send(1));
    let mut second = pin!(line.send(2));
    assert!(first.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_pending());
    assert!(second.as_mut().poll(&mut Context::from_waker(&wakers[1])).is_pending());
    assert!(line.try_recv().is_ok());
    assert_eq!(log.take(), [0]);
    drop(first);
    // To ask for memory, as the first one now.
    let mut polled = Poll::Pending;
    while polled.is_pending() {
        assert_eq!(log.take().first(), Some(&1), "it was forgotten");
        polled =
            second.as_mut().poll(&mut Context::from_waker(&wakers[1])).map(|sent| sent.is_ok());
    }
    assert_eq!(polled, Poll::Ready(true));
    assert!(second.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[cfg(target_os = "linux")]
mod idle {
    //! Threads that wait sleep, and go on sleeping.

    use std::fs;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use cloakroom::Arena;
    use cloakroom::select::select;
    use cloakroom::std_layer::block_on;

    use super::kinds::{Buffered1, Kind, Lock};

    /// The thread's directory in the system's list.
    fn this_thread() -> String {
        let path = fs::read_link("/proc/thread-self").expect("Linux");
        path.file_name().expect("a number").to_string_lossy().into_owned()
    }

    /// How often a thread has gone to sleep, and whether it sleeps now.
    fn sleeps(thread: &str) -> (u64, bool) {
        let status =
            fs::read_to_string(format!("/proc/self/task/{thread}/status")).expect("it lives");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.trim().to_owned()
        };
        let count = field("voluntary_ctxt_switches:").parse().expect("a number");
        (count, field("State:").starts_with('S'))
    }

    /// Waits until a thread has slept for a while without a break.
    fn settled(thread: &str) -> u64 {
        let mut before = sleeps(thread);
        loop {
            thread::sleep(Duration::from_millis(100));
            let now = sleeps(thread);
            if now == before && now.1 {
                return now.0;
            }
            before = now;
        }
    }

    #[test]
    fn threads_that_wait_sleep() {
        let (empty, full) = (Buffered1::line::<u32>(), Buffered1::line::<u32>());
        assert!(full.try_send(0).is_ok());
        let arena: Arena<Lock, 4, 64, 4> = Arena::new();
        let all = arena.try_alloc(4 * 64).expect("all of it");
        let (tell, told) = mpsc::channel();
        let begin = move || tell.send(this_thread()).expect("the test goes on");
        thread::scope(|scope| {
            let (empty, full, arena) = (&empty, &full, &arena);
            let threads: [Box<dyn FnOnce() + Send>; 6] = [
                Box::new(|| {
                    let _ = block_on(empty.recv());
                }),
                Box::new(|| {
                    let _ = block_on(full.send(1));
                }),
                Box::new(|| {
                    let _ = block_on(select((empty.recv(), full.send(2))));
                }),
                Box::new(|| drop(block_on(arena.alloc(64)))),
                Box::new(|| drop(block_on(full.reserve()))),
                Box::new(|| block_on(empty.closed())),
            ];
            let count = threads.len();
            for wait in threads {
                let begin = begin.clone();
                scope.spawn(move || {
                    begin();
                    wait();
                });
            }
            let threads: Vec<String> = told.iter().take(count).collect();
            let before: Vec<u64> = threads.iter().map(|thread| settled(thread)).collect();
            thread::sleep(Duration::from_secs(1));
            let after: Vec<u64> = threads.iter().map(|thread| sleeps(thread).0).collect();
            // Before what is asserted, so that a failure does not hang.
            empty.close();
            full.close();
            drop(all);
            assert_eq!(before, after, "a thread woke up for nothing");
        });
    }
}

/// A slot that a value leaves at once, as nobody is there to read it, goes to the sender that waits next.
#[test]
fn what_nobody_hears_leaves_its_slot_to_the_next_sender() {
    use cloakroom::channel::{Broadcast, Channel};
    use cloakroom::sync::SpinRawMutex;

    let channel: Channel<SpinRawMutex, u32, Broadcast<1>> = Channel::new();
    let mut listener = channel.subscribe();
    assert!(channel.try_send(1).is_ok());
    let (mut first, mut second) = (pin!(channel.send(2)), pin!(channel.send(3)));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(cx).is_pending());
    assert!(second.as_mut().poll(cx).is_pending());
    // The slot is promised to the first of them, and then nobody is there any more.
    assert!(listener.try_recv().is_ok());
    drop(listener);
    assert!(first.as_mut().poll(cx).is_ready());
    assert!(second.as_mut().poll(cx).is_ready(), "it waits although there is room");
}
