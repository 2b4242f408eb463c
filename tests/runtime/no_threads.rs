//! The operating system gives no more threads.

use std::process::Command;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use cloakroom::std_layer::runtime::{NotSpawned, Shutdown};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::small;
use crate::watch::watched;

/// Runs a test of this file in a process of its own, as limits are a process's.
fn alone(test: &str, body: impl FnOnce() + Send + 'static) {
    const MARK: &str = "CLOAKROOM_TEST_ALONE";
    if ["ASAN_OPTIONS", "TSAN_OPTIONS"].iter().any(|name| env::var_os(name).is_some()) {
        println!("not shown: a sanitizer needs memory of its own");
        return;
    }
    if env::var_os(MARK).is_some() {
        return watched(body);
    }
    let mut child = Command::new(env::current_exe().expect("this program"));
    child.args([&format!("no_threads::{test}"), "--exact", "--nocapture"]).env(MARK, "");
    assert!(child.status().expect("a process").success());
}

/// From now on there is room for no more stacks: a thread's is of 2 MiB.
fn no_more_threads() {
    let pages = fs::read_to_string("/proc/self/statm").expect("sizes of this process");
    let pages: u64 = pages.split(' ').next().and_then(|all| all.parse().ok()).expect("a number");
    let most = pages * rustix::param::page_size() as u64 + (1 << 20);
    let limit = Rlimit { current: Some(most), maximum: None };
    setrlimit(Resource::As, limit).expect("a lower limit");
    assert!(thread::Builder::new().spawn(|| ()).is_err(), "there is room for another thread");
}

#[test]
fn no_call_is_left_waiting() {
    alone("no_call_is_left_waiting", || {
        let runtime = small(0);
        let handle = runtime.handle();
        let start = Arc::new(Barrier::new(3));
        let (counted, count) = mpsc::channel();
        let done = Arc::new(Barrier::new(3));
        let spawners = [(); 2].map(|()| {
            let (start, counted, done) = (start.clone(), counted.clone(), done.clone());
            thread::spawn(move || {
                // The allocator may set 64 MiB aside for a thread that comes first, and there will be no room for that.
                drop(std::hint::black_box(vec![0u8; 64]));
                start.wait();
                start.wait();
                let spawned = (0..2_000).filter(|_| handle.spawn_blocking(|| ()).is_ok()).count();
                counted.send(spawned).unwrap();
                done.wait();
            })
        });
        start.wait();
        no_more_threads();
        let error = runtime.spawn_blocking(|| 5).unwrap_err();
        assert!(matches!(error.why, NotSpawned::Thread(_)));
        assert_eq!((error.future)(), 5);
        start.wait();
        // There is nobody who would do them. The spawners stay meanwhile, as others would have their stacks.
        let spawned = [(); 2].map(|()| count.recv().unwrap());
        done.wait();
        assert_eq!(spawned, [0, 0]);
        assert!(spawners.into_iter().all(|spawner| spawner.join().is_ok()));
    });
}

/// A runtime without workers cannot drain.
#[test]
fn draining_comes_to_an_end() {
    alone("draining_comes_to_an_end", || {
        /// Says when its task is dropped.
        struct Dropped(mpsc::Sender<()>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let runtime = small(0);
        let handle = runtime.handle();
        let (dropped, is_dropped) = mpsc::channel();
        let (said, why) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let call = runtime.spawn_blocking(move || {
            begun.send(()).unwrap();
            is_dropped.recv().unwrap();
            // Whoever ends it has gone on.
            thread::sleep(Duration::from_millis(20));
            said.send(handle.spawn(async {}).map_err(|error| error.why)).unwrap();
        });
        let dropped = Dropped(dropped);
        let task = runtime.spawn(async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        });
        has_begun.recv().unwrap();
        no_more_threads();
        let left = runtime.shutdown(Shutdown::Drain);
        assert_eq!((left.cancelled, left.running, left.threads), (1, 0, 0));
        assert!(matches!(why.recv(), Ok(Err(NotSpawned::Over))));
        drop((call, task));
    });
}
