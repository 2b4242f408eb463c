//! What model tests share: a lock, a way to wait, and the explorer. Each test uses some of it.
#![allow(dead_code)]

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use cloakroom::sync::RawMutex;
use loom::sync::{Condvar, Mutex};

/// A lock with a state. Loom's mutex can only be made inside a model, so it is made at the first use.
pub struct PerObject(OnceLock<Mutex<()>>);

// SAFETY: loom's mutex excludes, and each object has one.
unsafe impl RawMutex for PerObject {
    const INIT: Self = Self(OnceLock::new());
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let _held = self.0.get_or_init(|| Mutex::new(())).lock().expect("no model panics in here");
        f()
    }
}

/// Sleeps until it is woken, also if that was before. (Loom's own `park` forgets an `unpark` that comes
/// while the thread waits for a mutex.)
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.rung.lock().expect("no model panics in here");
        while !*rung {
            rung = self.changed.wait(rung).expect("no model panics in here");
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().expect("no model panics in here") = true;
        self.changed.notify_one();
    }
}

/// Waits for a future. A lost wake-up is a deadlock, which loom reports.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => bell.wait(),
        }
    }
}

/// The bound on preemptions that `CLOAKROOM_PREEMPTIONS` asks for, if it is larger than the usual one. Zero
/// asks for none.
fn bound(usual: Option<usize>) -> Option<usize> {
    let asked = std::env::var("CLOAKROOM_PREEMPTIONS").unwrap_or("1".into());
    match asked.parse::<usize>().expect("CLOAKROOM_PREEMPTIONS is a number") {
        0 => None,
        asked => usual.map(|usual| usual.max(asked)),
    }
}

/// Runs `model` under every interleaving with at most so many preemptions. How many these were.
pub fn count(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) -> usize {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound(preemptions);
    // Who clears the trays of an arena comes by some hundred steps on its way.
    builder.max_branches = 10_000;
    let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = runs.clone();
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    runs.load(std::sync::atomic::Ordering::Relaxed)
}

/// As [`count`], and prints it.
pub fn explore(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    println!("{} interleavings", count(preemptions, model));
}
