//! The three ways to end, and what each leaves.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use cloakroom::std_layer::runtime::{Left, NotSpawned, Shutdown};

use crate::watch::watched;
use crate::{small, with_each_size};

const NOTHING: Left = Left { cancelled: 0, running: 0, threads: 0, payloads: 0 };

#[test]
fn draining_waits_for_all_tasks_and_for_those_they_spawn() {
    with_each_size(|runtime| {
        let handle = runtime.handle();
        let ended = Arc::new(AtomicU32::new(0));
        let count = ended.clone();
        let task = async move {
            handle.sleep(Duration::from_millis(2)).await;
            let more = count.clone();
            handle.spawn(async move { more.fetch_add(1, SeqCst) }).unwrap();
            let more = count.clone();
            handle.spawn_blocking(move || more.fetch_add(1, SeqCst)).unwrap();
            count.fetch_add(1, SeqCst);
        };
        runtime.spawn(task).unwrap();
        assert_eq!(runtime.shutdown(Shutdown::Drain), NOTHING);
        assert_eq!(ended.load(SeqCst), 3);
        assert!(matches!(handle.spawn(async {}).unwrap_err().why, NotSpawned::Over));
        assert!(matches!(handle.spawn_blocking(|| ()).unwrap_err().why, NotSpawned::Over));
    });
}

#[test]
fn ending_now_drops_tasks_wherever_they_wait() {
    with_each_size(|runtime| {
        let guard = Arc::new(());
        let handle = runtime.handle();
        let handles: Vec<_> = (0..10)
            .map(|number| {
                let guard = guard.clone();
                let waits = async move {
                    let _guard = guard;
                    handle.sleep(Duration::from_secs(3600 + number)).await;
                };
                runtime.spawn(waits).unwrap()
            })
            .collect();
        let left = runtime.shutdown(Shutdown::Now);
        assert_eq!(left, Left { cancelled: 10, payloads: 10, ..NOTHING });
        assert_eq!(Arc::strong_count(&guard), 1);
        for handle in handles {
            assert_eq!(handle.join().unwrap_err().to_string(), "the task was cancelled");
        }
        assert_eq!(handle.arena().snapshot().live, 0);
    });
}

#[test]
fn a_deadline_ends_what_does_not_drain() {
    with_each_size(|runtime| {
        let handle = runtime.handle();
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        runtime
            .spawn(async move {
                handle.sleep(Duration::from_millis(1)).await;
                flag.store(true, SeqCst);
            })
            .unwrap();
        runtime.spawn(std::future::pending::<()>()).unwrap();
        let left = runtime.shutdown(Shutdown::Deadline(Duration::from_millis(200)));
        assert_eq!(left, Left { cancelled: 1, ..NOTHING });
        assert!(ended.load(SeqCst));
    });
}

/// A poll that is under way is left, and told of; the thread ends with it.
#[test]
fn what_is_under_way_is_left() {
    let runtime = small(2);
    let (open, gate) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let busy = runtime.spawn(async move {
        begun.send(()).unwrap();
        gate.recv().unwrap();
    });
    begins.recv().unwrap();
    let waits = runtime.spawn(std::future::pending::<()>()).unwrap();
    let left = runtime.shutdown(Shutdown::Now);
    assert_eq!((left.cancelled, left.running, left.threads), (1, 1, 1));
    assert!(waits.join().is_err());
    open.send(()).unwrap();
    busy.unwrap().join().unwrap();
}

#[test]
fn calls_that_have_not_begun_are_dropped() {
    let runtime = crate::sized(1).blocking_threads(1).build().unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    runtime
        .spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
        })
        .unwrap();
    begins.recv().unwrap();
    let second = runtime.spawn_blocking(|| unreachable!("cancelled before it begins")).unwrap();
    let opener = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        open.send(()).unwrap();
    });
    let left = runtime.shutdown(Shutdown::Now);
    assert_eq!((left.cancelled, left.running, left.threads), (1, 0, 0));
    assert!(second.join().map(|(): ()| ()).is_err());
    opener.join().unwrap();
}

/// Threads spawn while another ends the runtime: every handle is told, nothing stays.
#[test]
fn spawning_while_it_ends() {
    for round in 0..60 {
        let runtime = small(2);
        let handle = runtime.handle();
        let spawners: Vec<_> = (0..3)
            .map(|_| {
                thread::spawn(move || {
                    let mut told = 0;
                    while let Ok(task) = handle.spawn(async {}) {
                        let _ = task.join();
                        told += 1;
                    }
                    told
                })
            })
            .collect();
        thread::sleep(Duration::from_micros(50 * round));
        let how = if round % 2 == 0 { Shutdown::Now } else { Shutdown::Drain };
        runtime.shutdown(how);
        for spawner in spawners {
            spawner.join().unwrap();
        }
        assert_eq!(handle.snapshot().kernel.tasks, 0);
        assert_eq!(handle.arena().snapshot().live, 0);
    }
}

#[test]
fn dropping_it_ends_it_now() {
    let guard = Arc::new(());
    let runtime = small(1);
    let kept = guard.clone();
    runtime
        .spawn(async move {
            let _kept = kept;
            std::future::pending::<()>().await;
        })
        .unwrap();
    drop(runtime);
    assert_eq!(Arc::strong_count(&guard), 1);
}

#[test]
fn no_thread_is_started_for_a_call_after_the_end() {
    let runtime = small(1);
    let handle = runtime.handle();
    runtime.shutdown(Shutdown::Now);
    assert!(matches!(handle.spawn_blocking(|| ()).unwrap_err().why, NotSpawned::Over));
    assert_eq!(handle.snapshot().blocking_threads, 0);
}

/// Whatever its place among those that a worker runs in one go: a task whose poll outlasts the end is dropped after it, and whoever waits for it is told.
#[test]
fn a_task_that_is_polled_when_it_ends_is_ended_wherever_it_stands() {
    watched(|| {
        for before in [0, 14, 31] {
            let runtime = small(1);
            let (open, gate) = mpsc::channel::<()>();
            let (begun, begins) = mpsc::channel();
            let (end, ends) = mpsc::channel::<()>();
            // All that follow are queued when it goes on.
            let first = runtime.spawn(async move { gate.recv().is_ok() }).unwrap();
            let others: Vec<_> = (0..before).map(|_| runtime.spawn(async {}).unwrap()).collect();
            let polled = runtime.spawn(poll_fn(move |_| {
                let _ = begun.send(());
                let _ = ends.recv();
                Poll::<()>::Pending
            }));
            open.send(()).unwrap();
            begins.recv().unwrap();
            let shutdown = thread::spawn(move || runtime.shutdown(Shutdown::Now));
            // It is told of as running, and goes on after that.
            assert_eq!(shutdown.join().unwrap().running, 1);
            drop(end);
            assert!(polled.unwrap().join().is_err());
            assert!(first.join().unwrap());
            others.into_iter().for_each(|other| drop(other.join()));
        }
    });
}
