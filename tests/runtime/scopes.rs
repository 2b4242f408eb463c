//! Tasks that borrow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use cloakroom::std_layer::runtime::Shutdown;

use crate::time::ends;
use crate::{small, with_each_size};

#[test]
fn tasks_borrow_and_are_waited_for() {
    with_each_size(|runtime| {
        let mut numbers = [0; 16];
        let seen = AtomicU32::new(0);
        let handle = runtime.handle();
        runtime.scope(|scope| {
            for (number, place) in numbers.iter_mut().enumerate() {
                let seen = &seen;
                let task = scope.spawn(async move {
                    handle.sleep(std::time::Duration::from_micros(50)).await;
                    *place = number;
                    seen.fetch_add(1, SeqCst);
                });
                drop(task.unwrap());
            }
        });
        assert_eq!(seen.load(SeqCst), 16);
        assert!(numbers.iter().copied().eq(0..16));
        assert_eq!(runtime.shutdown(Shutdown::Drain).payloads, 0);
    });
}

#[test]
fn tasks_of_a_scope_spawn_more() {
    let runtime = small(2);
    let sum = AtomicU32::new(0);
    runtime.scope(|scope| {
        let sum = &sum;
        for _ in 0..3 {
            let outer = scope.spawn(async move {
                let inner = scope.spawn(async move { sum.fetch_add(1, SeqCst) }).unwrap();
                inner.await.unwrap();
                sum.fetch_add(10, SeqCst);
            });
            drop(outer.unwrap());
        }
    });
    assert_eq!(sum.load(SeqCst), 33);
}

/// Counts its drops, and must not be dropped after the scope.
struct Loan<'a>(&'a Mutex<Vec<u32>>, u32);

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
    }
}

#[test]
fn results_are_dropped_before_the_scope_ends() {
    with_each_size(|runtime| {
        let log = Mutex::new(Vec::new());
        runtime.scope(|scope| {
            let log = &log;
            drop(scope.spawn(async move { Loan(log, 1) }).unwrap());
            let kept = scope.spawn(async move { Loan(log, 2) }).unwrap();
            let taken = scope.spawn(async move { Loan(log, 3) }).unwrap().join().unwrap();
            assert_eq!(taken.1, 3);
            drop(taken);
            let cancelled = scope
                .spawn(async move {
                    let loan = Loan(log, 4);
                    std::future::pending::<()>().await;
                    loan
                })
                .unwrap();
            cancelled.cancel();
            drop(kept);
        });
        let mut dropped = log.into_inner().unwrap();
        dropped.sort();
        // The fourth exists only if the task had begun.
        assert!(matches!(dropped[..], [1, 2, 3] | [1, 2, 3, 4]), "{dropped:?}");
    });
}

#[test]
fn panics_come_out_of_the_scope_after_all_have_ended() {
    with_each_size(|runtime| {
        let ended = AtomicU32::new(0);
        let handle = runtime.handle();
        let slow = || async {
            handle.sleep(std::time::Duration::from_millis(2)).await;
            ended.fetch_add(1, SeqCst);
        };
        // The body's.
        let body = catch_unwind(AssertUnwindSafe(|| {
            runtime.scope(|scope| {
                drop(scope.spawn(slow()).unwrap());
                panic!("body");
            })
        }));
        assert_eq!(body.unwrap_err().downcast_ref(), Some(&"body"));
        assert_eq!(ended.load(SeqCst), 1);
        // A task's that nobody joins.
        let task = catch_unwind(AssertUnwindSafe(|| {
            runtime.scope(|scope| {
                drop(scope.spawn(slow()).unwrap());
                drop(scope.spawn(async { panic!("task") }).unwrap());
            })
        }));
        assert_eq!(task.unwrap_err().downcast_ref(), Some(&"a task of the scope panicked"));
        assert_eq!(ended.load(SeqCst), 2);
        // One that is joined is the joiner's business.
        let joined = runtime.scope(|scope| {
            let task = scope.spawn(async { panic!("joined") }).unwrap();
            task.join().map(|(): ()| ()).unwrap_err().message().map(str::to_owned)
        });
        assert_eq!(joined.as_deref(), Some("joined"));
    });
}

/// A scope whose runtime ends under it: its tasks are cancelled, and it does not wait for ever.
#[test]
fn the_runtime_ends_under_a_scope() {
    let runtime = small(2);
    let handle = runtime.handle();
    let log = Mutex::new(Vec::new());
    let begun = AtomicBool::new(false);
    let left = handle.scope(|scope| {
        let (log, begun) = (&log, &begun);
        let task = scope
            .spawn(async move {
                let _loan = Loan(log, 1);
                begun.store(true, SeqCst);
                std::future::pending::<()>().await;
            })
            .unwrap();
        while !begun.load(SeqCst) {
            std::thread::yield_now();
        }
        let left = runtime.shutdown(Shutdown::Now);
        assert!(task.join().is_err());
        assert!(scope.spawn(async {}).is_err());
        left
    });
    assert_eq!((left.cancelled, left.running), (1, 0));
    assert_eq!(log.into_inner().unwrap(), [1]);
}

/// Panics with something that panics again when it is dropped.
struct Chain;

struct Link;

impl Drop for Chain {
    fn drop(&mut self) {
        std::panic::panic_any(Link);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        panic!("link");
    }
}

#[test]
fn a_scope_ends_whatever_a_result_panics_with() {
    // Without workers the task runs after its handle has gone, so it drops the result itself.
    let runtime = small(0);
    assert!(ends(move || {
        let scope = || runtime.scope(|scope| drop(scope.spawn(async { Chain }).unwrap()));
        assert!(catch_unwind(AssertUnwindSafe(scope)).is_err());
    }));
}
