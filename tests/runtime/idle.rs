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
    // That a thread is counted as parked is seen a moment before it sleeps.
    thread::sleep(Duration::from_millis(100));
    let before = switches(name);
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
    let (threads, grown) = switches_while_idle(&runtime, "idle-a", Duration::from_secs(2));
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
        for _ in 0..20 {
            handle.sleep(Duration::from_millis(50)).await;
        }
    });
    let (threads, grown) = switches_while_idle(&runtime, "idle-b", Duration::from_millis(600));
    assert_eq!(threads, 4);
    // Who has kept the time may hand it over: two wake at the most, and each is switched to when it wakes and
    // when it waits for a lock.
    let busy = grown.iter().filter(|&&count| count > 0).count();
    assert!(busy <= 2, "{grown:?}");
    task.unwrap().cancel();
}
