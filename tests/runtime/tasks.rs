//! Tasks, blocking calls and timers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::channel::{Buffered, Channel};
use cloakroom::limit::Operation;
use cloakroom::std_layer::channel::bounded;
use cloakroom::std_layer::runtime::{Handle, NotSpawned, Runtime, Shutdown, SpawnError};
use cloakroom::std_layer::{Backing, StdRawMutex as Lock};
use cloakroom::{RecvTimeoutError, TryAllocError};

use crate::watch::watched;
use crate::{sized, small, with_each_size, yield_once};

#[test]
fn outputs_reach_their_handles() {
    with_each_size(|runtime| {
        let tasks: Vec<_> =
            (0..100).map(|number| runtime.spawn(async move { number * 2 }).unwrap()).collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), number * 2);
        }
        assert_eq!(runtime.snapshot().kernel.tasks, 0);
    });
}

#[test]
fn tasks_spawn_tasks_on_the_current_runtime() {
    with_each_size(|runtime| {
        let outer = runtime.spawn(async {
            let current = Handle::current().expect("a worker");
            current.spawn(async { 7 }).unwrap().await.unwrap()
        });
        // Without workers the thread that blocks is none of the runtime's.
        let expected = (runtime.snapshot().workers > 0).then_some(7);
        assert_eq!(outer.unwrap().join().ok(), expected);
    });
    assert!(Handle::current().is_none());
}

/// Tasks that wait for each other need a worker each at the same time.
#[test]
fn as_many_run_at_once_as_there_are_workers() {
    let runtime = small(4);
    let barrier = Arc::new(Barrier::new(4));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let barrier = barrier.clone();
            // It blocks its worker on purpose.
            runtime.spawn(async move { barrier.wait().is_leader() }).unwrap()
        })
        .collect();
    let leaders = tasks.into_iter().filter(|_| true).map(|task| task.join().unwrap());
    assert_eq!(leaders.filter(|&leader| leader).count(), 1);
}

/// Woken in one go by one thread, tasks are taken by all workers.
#[test]
fn one_wake_up_of_many_tasks_wakes_many_workers() {
    static GATE: cloakroom::kernel::CancelToken<Lock> = cloakroom::kernel::CancelToken::new();
    let runtime = small(3);
    let barrier = Arc::new(Barrier::new(3));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let barrier = barrier.clone();
            runtime
                .spawn(async move {
                    GATE.cancelled().await;
                    barrier.wait();
                    thread::current().id()
                })
                .unwrap()
        })
        .collect();
    while runtime.snapshot().parked < 3 {
        thread::yield_now();
    }
    GATE.cancel();
    let threads: HashSet<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    assert_eq!(threads.len(), 3);
}

/// The queue is first come, first served: a task that yields goes to its end.
#[test]
fn tasks_take_turns() {
    let runtime = small(0);
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    for name in ['a', 'b', 'c'] {
        let log = log.clone();
        let turns = async move {
            for _ in 0..3 {
                log.lock().unwrap().push(name);
                yield_once().await;
            }
        };
        runtime.spawn(turns).unwrap();
    }
    let last = runtime.spawn(async { yield_once().await }).unwrap();
    runtime.block_on(last).unwrap();
    while runtime.snapshot().kernel.tasks > 0 {
        runtime.block_on(yield_once());
    }
    assert_eq!(log.lock().unwrap().iter().collect::<String>(), "abcabcabc");
}

#[test]
fn cancelled_tasks_are_dropped() {
    with_each_size(|runtime| {
        let guard = Arc::new(());
        let kept = guard.clone();
        let task = runtime
            .spawn(async move {
                let _kept = kept;
                std::future::pending::<()>().await;
            })
            .unwrap();
        task.cancel();
        assert_eq!(task.join().unwrap_err().to_string(), "the task was cancelled");
        assert_eq!(Arc::strong_count(&guard), 1);
    });
}

#[test]
fn a_full_arena_gives_the_future_back() {
    let runtime = sized(1).arena_sizes(4096, 64, 8).build().unwrap();
    let waits = std::future::pending::<()>;
    let tasks: Vec<_> = std::iter::from_fn(|| runtime.spawn(waits()).ok()).collect();
    assert!((1..=8).contains(&tasks.len()), "{}", tasks.len());
    let guard = Arc::new(());
    let kept = guard.clone();
    let SpawnError { why, future } = runtime.spawn(async move { drop(kept) }).unwrap_err();
    assert!(matches!(why, NotSpawned::Memory(TryAllocError::Full)), "{why}");
    assert_eq!(Arc::strong_count(&guard), 2);
    runtime.block_on(future);
    assert_eq!(Arc::strong_count(&guard), 1);
    let huge = [0u8; 8192];
    let error = runtime.spawn(async move { huge.len() + waits().await_len() }).unwrap_err();
    assert!(matches!(error.why, NotSpawned::Memory(TryAllocError::TooLarge)), "{}", error.why);
}

trait AwaitLen {
    fn await_len(&self) -> usize;
}

impl<F> AwaitLen for F {
    fn await_len(&self) -> usize {
        size_of_val(self)
    }
}

#[test]
fn blocking_calls_run_beside_each_other() {
    let runtime = sized(1).blocking_threads(3).build().unwrap();
    let barrier = Arc::new(Barrier::new(3));
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let barrier = barrier.clone();
            runtime.spawn_blocking(move || barrier.wait().is_leader()).unwrap()
        })
        .collect();
    let leaders = calls.into_iter().map(|call| call.join().unwrap()).filter(|&leader| leader);
    assert_eq!(leaders.count(), 1);
    assert_eq!(runtime.snapshot().blocking_threads, 3);
}

#[test]
fn blocking_calls_wait_for_a_thread_in_order_and_can_be_cancelled_until_then() {
    let runtime = sized(1).blocking_threads(1).build().unwrap();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let first = runtime.spawn_blocking(move || gate.recv()).unwrap();
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    let calls: Vec<_> = (0..5)
        .map(|number| {
            let log = log.clone();
            runtime.spawn_blocking(move || log.lock().unwrap().push(number)).unwrap()
        })
        .collect();
    calls[2].cancel();
    open.send(()).unwrap();
    first.join().unwrap().unwrap();
    let ended: Vec<_> = calls.into_iter().map(|call| call.join().is_ok()).collect();
    assert_eq!(ended, [true, true, false, true, true]);
    assert_eq!(*log.lock().unwrap(), [0, 1, 3, 4]);
}

#[test]
fn sleeps_end_but_never_early() {
    with_each_size(|runtime| {
        let handle = runtime.handle();
        let tasks: Vec<_> = [30, 0, 10, 20]
            .map(Duration::from_millis)
            .into_iter()
            .map(|duration| {
                let start = Instant::now();
                let sleep = handle.sleep(duration);
                let task = runtime.spawn(async move {
                    sleep.await;
                    start.elapsed()
                });
                (duration, task.unwrap())
            })
            .collect();
        for (duration, task) in tasks {
            let slept = task.join().unwrap();
            assert!(slept >= duration, "{slept:?} of {duration:?}");
        }
    });
}

/// Workers that sleep are told of a sleep that is begun on a thread which is none of them, also when one of
/// them sleeps for longer already.
#[test]
fn a_thread_outside_begins_a_sleep() {
    let runtime = small(2);
    let handle = runtime.handle();
    let long = runtime.spawn(async move { handle.sleep(Duration::from_secs(3600)).await }).unwrap();
    while runtime.snapshot().parked < 2 {
        thread::yield_now();
    }
    // The main thread only waits: a worker ends the sleep.
    let start = Instant::now();
    runtime.block_on(runtime.sleep(Duration::from_millis(5)));
    assert!(start.elapsed() >= Duration::from_millis(5));
    long.cancel();
}

#[test]
fn operations_take_a_sleep_as_their_deadline() {
    let runtime = small(1);
    let channel: Channel<Lock, u8, Buffered<1>> = Channel::new();
    let late = channel.recv().deadline(runtime.sleep(Duration::from_millis(1)));
    assert_eq!(runtime.block_on(late), Err(RecvTimeoutError::Timeout));
}

#[test]
fn arenas_in_huge_pages_and_in_files() {
    let path = std::env::temp_dir().join(format!("cloakroom-arena-{}", std::process::id()));
    let file = Backing::File(path.clone());
    for backing in [Backing::HugePages, file.clone()] {
        let runtime = sized(1).backing(backing).build().unwrap();
        assert_eq!(runtime.spawn(async { 3 }).unwrap().join().unwrap(), 3);
    }
    let length = std::fs::metadata(&path).unwrap().len();
    assert!(length > 1 << 20, "{length}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = sized(1).backing(file).build().unwrap_err().to_string();
    assert!(again.contains("exists"), "{again}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_runtime_on_an_arena_that_is_given() {
    let arena = cloakroom::std_layer::MappedArena::<Lock>::new(1 << 16, 64, 64).unwrap().leak();
    let runtime = Runtime::builder().workers(1).arena(arena).name("given").build().unwrap();
    let task = runtime.spawn(async { thread::current().name().map(str::to_owned) }).unwrap();
    assert_eq!(task.join().unwrap().as_deref(), Some("given-worker-0"));
    assert_eq!(runtime.shutdown(Shutdown::Drain).payloads, 0);
    assert_eq!(arena.snapshot().live, 0);
}

/// Many producers and consumers, as tasks: everything arrives.
#[test]
fn a_storm_of_tasks_through_one_channel() {
    static LINE: Channel<Lock, u32, Buffered<8>> = Channel::new();
    static SUM: AtomicU32 = AtomicU32::new(0);
    let runtime = small(4);
    let senders: Vec<_> = (0..50)
        .map(|number| {
            runtime
                .spawn(async move {
                    for step in 0..100 {
                        LINE.send(number * 100 + step).await.unwrap();
                    }
                })
                .unwrap()
        })
        .collect();
    let receivers: Vec<_> = (0..50)
        .map(|_| {
            runtime
                .spawn(async {
                    while let Ok(value) = LINE.recv().await {
                        SUM.fetch_add(value, SeqCst);
                    }
                })
                .unwrap()
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    LINE.close();
    for receiver in receivers {
        receiver.join().unwrap();
    }
    assert_eq!(SUM.load(SeqCst), (0..5000).sum::<u32>());
    let left = runtime.shutdown(Shutdown::Drain);
    assert_eq!(left.payloads, 0);
}

#[test]
fn calls_one_after_the_other_need_one_thread() {
    let runtime = small(1);
    for number in 0..100 {
        let call = runtime.spawn_blocking(move || number).unwrap();
        assert_eq!(call.join().unwrap(), number);
    }
    assert_eq!(runtime.snapshot().blocking_threads, 1);
}

#[test]
fn calls_that_wait_for_each_other_have_a_thread_each() {
    let runtime = small(1);
    for _ in 0..200 {
        let meeting = Arc::new(Barrier::new(2));
        let start = Barrier::new(2);
        let (runtime, start) = (&runtime, &start);
        thread::scope(|scope| {
            for _ in 0..2 {
                let meeting = meeting.clone();
                scope.spawn(move || {
                    start.wait();
                    let call = runtime.spawn_blocking(move || meeting.wait().is_leader()).unwrap();
                    call.join().unwrap();
                });
            }
        });
    }
}

/// Threads' own futures compute until another thread has run a task, or has had a sleep. So whoever is free does that, though one that computes was the last
/// to fall asleep, and another one has kept the time.
#[test]
fn what_there_is_to_do_does_not_wait_for_who_computes() {
    watched(|| {
        for spawns in [true, false] {
            let runtime = small(0);
            let handle = runtime.handle();
            let (done, is_done) = mpsc::channel();
            let is_done = Arc::new(Mutex::new(is_done));
            let (go, gone) = bounded(2);
            let (stop, stopped) = bounded::<()>(1);
            let sleeper = done.clone();
            let idle = thread::spawn(move || {
                if spawns {
                    let _ = handle.block_on(stopped.recv());
                    return;
                }
                handle.block_on(handle.sleep(Duration::from_millis(30)));
                (0..2).for_each(|_| sleeper.send(()).unwrap());
            });
            thread::sleep(Duration::from_millis(5));
            let busy = [(); 2].map(|()| {
                let (gone, is_done) = (gone.clone(), is_done.clone());
                thread::spawn(move || {
                    handle.block_on(async move {
                        match spawns {
                            true => gone.recv().await.unwrap(),
                            false => handle.sleep(Duration::from_millis(10)).await,
                        }
                        is_done.lock().unwrap().recv().unwrap();
                    });
                })
            });
            if spawns {
                // By now all sleep, as a rule.
                thread::sleep(Duration::from_millis(10));
                (0..2).for_each(|_| go.try_send(()).unwrap());
                drop(runtime.spawn(async move { (0..2).for_each(|_| done.send(()).unwrap()) }));
            }
            busy.into_iter().for_each(|busy| busy.join().unwrap());
            drop(stop);
            idle.join().unwrap();
        }
    });
}
