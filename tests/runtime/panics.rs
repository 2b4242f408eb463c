//! A panic ends its own task's handle, and nothing else.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use cloakroom::std_layer::runtime::{JoinError, Shutdown};

use crate::watch::watched;
use crate::{small, with_each_size};

/// Its destructor panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("bomb");
        }
    }
}

#[test]
fn a_panic_is_what_the_handle_is_joined_with() {
    with_each_size(|runtime| {
        let healthy = runtime.spawn(async { 1 }).unwrap();
        let task = runtime.spawn(async { panic!("number {}", 5) }).unwrap();
        let error = task.join().map(|(): ()| ()).unwrap_err();
        assert_eq!(error.message(), Some("number 5"));
        assert_eq!(error.to_string(), "the task panicked: number 5");
        assert!(std::panic::catch_unwind(AssertUnwindSafe(|| error.resume_panic())).is_err());
        let call = runtime.spawn_blocking(|| panic!("call")).unwrap();
        assert_eq!(call.join().map(|(): ()| ()).unwrap_err().message(), Some("call"));
        assert_eq!(healthy.join().unwrap(), 1);
        assert_eq!(runtime.spawn(async { 2 }).unwrap().join().unwrap(), 2);
        assert_eq!(runtime.snapshot().panics, 2);
    });
}

/// The future is dropped, with what it owns, before its handle is told.
#[test]
fn what_a_panicking_task_owns_is_dropped() {
    let runtime = small(1);
    let owned = Arc::new(());
    let share = owned.clone();
    let task = runtime
        .spawn(async move {
            let _share = share;
            std::future::ready(()).await;
            panic!("with a share");
        })
        .unwrap();
    assert!(matches!(task.join().map(|(): ()| ()), Err(JoinError::Panicked(_))));
    assert_eq!(Arc::strong_count(&owned), 1);
}

#[test]
fn destructors_that_panic_end_nothing_else() {
    let runtime = small(2);
    // At the task's end.
    let task = runtime.spawn(Owns(Bomb)).unwrap();
    assert_eq!(task.join().map(|(): ()| ()).unwrap_err().message(), Some("bomb"));
    // When it is cancelled.
    let task = runtime
        .spawn(async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        })
        .unwrap();
    task.cancel();
    assert!(matches!(task.join(), Err(JoinError::Cancelled | JoinError::Panicked(_))));
    // An output that nobody wants: whoever comes last drops it, the task or the handle.
    let unwanted = runtime.spawn(async { Bomb }).unwrap();
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| drop(unwanted)));
    while runtime.snapshot().kernel.tasks > 0 {
        std::thread::yield_now();
    }
    // Both workers are still there: two tasks that need each other.
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let tasks = [0, 1].map(|_| {
        let barrier = barrier.clone();
        runtime.spawn(async move { barrier.wait().is_leader() }).unwrap()
    });
    for task in tasks {
        task.join().unwrap();
    }
    assert!(runtime.snapshot().panics >= 1);
    assert_eq!(runtime.shutdown(Shutdown::Drain).payloads, 0);
}

/// A future whose destructor panics although it has ended.
struct Owns(#[allow(dead_code)] Bomb);

impl Future for Owns {
    type Output = ();
    fn poll(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        std::task::Poll::Ready(())
    }
}

/// Panics among thousands of tasks cost exactly the handles of those that panic.
#[test]
fn one_in_three_panics() {
    std::panic::set_hook(Box::new(|_| {}));
    static ENDED: AtomicU32 = AtomicU32::new(0);
    let runtime = small(4);
    let tasks: Vec<_> = (0..3_000)
        .map(|number| {
            runtime
                .spawn(async move {
                    assert!(number % 3 != 0, "unlucky");
                    ENDED.fetch_add(1, SeqCst);
                    number
                })
                .unwrap()
        })
        .collect();
    let mut panicked = 0;
    for (number, task) in tasks.into_iter().enumerate() {
        match task.join() {
            Ok(output) => assert_eq!(output, number),
            Err(error) => {
                assert_eq!((error.message(), number % 3), (Some("unlucky"), 0));
                panicked += 1;
            }
        }
    }
    let _ = std::panic::take_hook();
    assert_eq!((panicked, ENDED.load(SeqCst)), (1_000, 2_000));
}

/// A task that would block its worker is told, instead of a deadlock once all do so.
#[test]
fn tasks_must_not_block_their_workers() {
    let runtime = small(1);
    let handle = runtime.handle();
    let blocks = runtime.spawn(async move { handle.block_on(async { 1 }) }).unwrap();
    assert!(blocks.join().unwrap_err().to_string().contains("must not block"));
    let scope = runtime.spawn(async move { handle.scope(|_scope| 1) }).unwrap();
    assert!(scope.join().unwrap_err().to_string().contains("must not block"));
    // A thread for blocking calls may.
    let call = runtime.spawn_blocking(move || handle.block_on(handle.spawn(async { 2 }).unwrap()));
    assert_eq!(call.unwrap().join().unwrap().unwrap(), 2);
}

#[test]
fn destructors_that_panic_do_not_stop_the_end() {
    with_each_size(|runtime| {
        // A worker that is busy leaves the others' end to whoever ends the runtime.
        let busy = || std::thread::sleep(std::time::Duration::from_millis(50));
        let sleepers = [(); 4].map(|()| runtime.spawn(async move { busy() }).unwrap());
        let owners = [(); 2].map(|()| runtime.spawn(Owns(Bomb)).unwrap());
        owners.iter().for_each(|task| task.cancel());
        let left = runtime.shutdown(Shutdown::Now);
        assert_eq!((left.running, left.threads), (0, 0));
        drop((sleepers, owners));
    });
}

/// What an output that nobody wants panics with concerns nobody, on whichever thread that is.
#[test]
fn an_unwanted_output_panics_in_no_other_future() {
    let runtime = small(0);
    drop(runtime.spawn(async { Bomb }).unwrap());
    let cancelled = runtime.spawn(Owns(Bomb)).unwrap();
    cancelled.cancel();
    drop(cancelled);
    let (other, counted) = (runtime.spawn(async { 1 }).unwrap(), runtime.snapshot().panics);
    assert_eq!((runtime.block_on(other).unwrap(), counted), (1, 0));
    assert_eq!(runtime.snapshot().panics, 2);
    // What the future itself panics with comes out.
    let own = AssertUnwindSafe(|| runtime.block_on(async { panic!("own") }));
    assert!(std::panic::catch_unwind(own).is_err());
}

/// Its destructor panics with another one.
struct Endless;

impl Drop for Endless {
    fn drop(&mut self) {
        std::panic::panic_any(Endless);
    }
}

#[test]
fn panics_without_end_end_no_worker() {
    watched(|| {
        std::panic::set_hook(Box::new(|_| {}));
        let runtime = small(1);
        // Nobody has their handles when they end.
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let waits = runtime.spawn(async move { gate.recv().is_err() }).unwrap();
        drop(runtime.spawn(async { std::panic::panic_any(Endless) }).unwrap());
        drop(runtime.spawn(async { Endless }).unwrap());
        drop(runtime.spawn_blocking(|| std::panic::panic_any(Endless)).unwrap());
        drop(open);
        assert!(waits.join().unwrap());
        assert_eq!(runtime.spawn(async { 2 }).unwrap().join().unwrap(), 2);
        let left = runtime.shutdown(Shutdown::Drain);
        let _ = std::panic::take_hook();
        assert_eq!((left.running, left.threads, left.payloads), (0, 0, 0));
    });
}
