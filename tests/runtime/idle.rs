//! A runtime with nothing to do does nothing.

use std::thread;
use std::time::Duration;

use cloakroom::std_layer::runtime::Runtime;

use crate::sized;

/// Voluntary and involuntary context switches of each thread of this process whose name begins so.
#[cfg(target_os = "linux")]
fn switches(name: &str) -> Vec<(String, u64)> {
    let mut threads = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let Ok(comm) = std::fs::read_to_string(path.join("comm")) else { continue };
        if !comm.starts_with(name) {
            continue;
        }
        let status = std::fs::read_to_string(path.join("status")).unwrap();
        let count = |key| -> u64 {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().last().unwrap().parse().unwrap()
        };
        let count = count("voluntary_ctxt_switches") + count("nonvoluntary_ctxt_switches");
        threads.push((path.file_name().unwrap().to_string_lossy().into_owned(), count));
    }
    threads.sort();
    threads
}

/// Waits until all of them sleep, and returns how often they were switched in the time after.
#[cfg(target_os = "linux")]
fn switches_while_idle(runtime: &Runtime, name: &str, time: Duration) -> (usize, Vec<u64>) {
    loop {
        let snapshot = runtime.snapshot();
        let parked = (snapshot.parked, snapshot.blocking_parked);
        if parked == (snapshot.workers, snapshot.blocking_threads) {
            break;
        }
        thread::yield_now();
    }
    // That a thread is counted as parked is seen a moment before it sleeps: a long one, on a busy machine.
    let mut before = switches(name);
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(100));
        let now = switches(name);
        if std::mem::replace(&mut before, now.clone()) == now {
            break;
        }
    }
    thread::sleep(time);
    let after = switches(name);
    let grown = before.iter().zip(&after).map(|(before, after)| {
        assert_eq!(before.0, after.0, "another thread");
        after.1 - before.1
    });
    (before.len(), grown.collect())
}

#[cfg(target_os = "linux")]
#[test]
fn no_thread_is_switched_to_while_nothing_is_ready() {
    let runtime = sized(4).name("idle-a").blocking_threads(2).build().unwrap();
    let handle = runtime.handle();
    runtime.spawn_blocking(|| ()).unwrap().join().unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|_| runtime.spawn(std::future::pending::<()>()).unwrap())
        .chain([runtime
            .spawn(async move { handle.sleep(Duration::from_secs(3600)).await })
            .unwrap()])
        .collect();
    let (threads, grown) = switches_while_idle(&runtime, "idle-a", idle_time());
    assert_eq!(threads, 5);
    assert!(grown.iter().all(|&count| count == 0), "{grown:?}");
    assert_eq!(runtime.snapshot().kernel.tasks as usize, tasks.len());
}

/// Of those who sleep one keeps the time: a sleep that ends wakes one worker, not all.
#[cfg(target_os = "linux")]
#[test]
fn a_sleep_that_ends_wakes_one_worker() {
    let runtime = sized(4).name("idle-b").build().unwrap();
    let handle = runtime.handle();
    let task = runtime.spawn(async move {
        loop {
            handle.sleep(Duration::from_millis(50)).await;
        }
    });
    // Who has kept the time hands it over: two wake. On a loaded machine the second may take so long that a third
    // is needed, now and then; if a sleep's end woke all, all would be busy each time.
    let two_were_busy = (0..10).any(|_| {
        let (threads, grown) = switches_while_idle(&runtime, "idle-b", Duration::from_millis(300));
        assert_eq!(threads, 4);
        grown.iter().filter(|&&count| count > 0).count() <= 2
    });
    assert!(two_were_busy);
    task.unwrap().cancel();
}

/// A hundred thousand tasks that wait use no CPU. What each takes is printed.
#[cfg(target_os = "linux")]
#[test]
fn a_hundred_thousand_parked_tasks() {
    use cloakroom::channel::{Buffered, Channel};
    use cloakroom::std_layer::StdRawMutex as Lock;
    use cloakroom::std_layer::runtime::{Runtime, Shutdown};

    const TASKS: usize = 100_000;
    static LINE: Channel<Lock, u64, Buffered<1>> = Channel::new();
    let builder = Runtime::builder().workers(2).name("idle-c");
    let runtime = builder.arena_sizes(64 << 20, 64, TASKS + 16).build().unwrap();
    for _ in 0..TASKS {
        drop(runtime.spawn(LINE.recv()).expect("room"));
    }
    // All have been polled, and wait.
    while LINE.snapshot().recv_waits as usize != TASKS {
        thread::yield_now();
    }
    let arena = runtime.arena().snapshot();
    let bytes = (arena.pages - arena.free) * arena.page_size / TASKS;
    println!("a parked task takes {bytes} bytes of pages, and a descriptor");
    let (threads, grown) = switches_while_idle(&runtime, "idle-c", idle_time());
    assert_eq!((threads, grown), (2, vec![0, 0]));
    // Each is woken once, and all end.
    for number in 0..TASKS as u64 {
        runtime.block_on(LINE.send(number)).unwrap();
    }
    let left = runtime.shutdown(Shutdown::Drain);
    assert_eq!((left.cancelled, left.payloads), (0, 0));
}

/// How long nothing may happen: `CLOAKROOM_IDLE_SECONDS`, or two.
fn idle_time() -> Duration {
    let seconds = std::env::var("CLOAKROOM_IDLE_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(2))
}
