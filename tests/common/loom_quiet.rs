//! Two threads that wait for futures, and a third one that waits until neither has anything left to do.
//!
//! When both have ended or are asleep, and nobody is on the way to wake one, whoever still sleeps must have a
//! reason to: this is where a wake-up that was lost, or not sent, shows, even if something that comes later
//! would make up for it. Each test uses some of this.
#![allow(dead_code)]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Condvar, Mutex};
use loom::thread::{self, JoinHandle};

/// What one thread is doing.
#[derive(Clone, Copy, Default)]
struct Sleeper {
    asleep: bool,
    rung: bool,
    /// Wake-ups that came on top of another one, or brought nothing.
    excess: usize,
}

struct State {
    sleepers: [Sleeper; 2],
    /// Threads that neither sleep nor have ended.
    awake: usize,
}

struct Quiet {
    state: Mutex<State>,
    bells: [Condvar; 2],
    all_quiet: Condvar,
}

/// What rings thread `number`'s bell.
struct Bell {
    quiet: Arc<Quiet>,
    number: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let mut state = self.quiet.state.lock().expect("no model panics in here");
        let sleeper = &mut state.sleepers[self.number];
        sleeper.excess += usize::from(sleeper.rung);
        sleeper.rung = true;
        if sleeper.asleep {
            sleeper.asleep = false;
            state.awake += 1;
            self.quiet.bells[self.number].notify_one();
        }
    }
}

impl Quiet {
    /// All there is to do for thread `number`: waits for `future`.
    fn run<F: Future>(self: &Arc<Self>, number: usize, mut future: Pin<&mut F>) -> F::Output {
        let waker = Waker::from(Arc::new(Bell { quiet: self.clone(), number }));
        let mut woken = false;
        loop {
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            let mut state = self.state.lock().expect("no model panics in here");
            if let Poll::Ready(output) = polled {
                self.rest(&mut state);
                return output;
            }
            state.sleepers[number].excess += usize::from(woken);
            woken = true;
            if !state.sleepers[number].rung {
                state.sleepers[number].asleep = true;
                self.rest(&mut state);
                while !state.sleepers[number].rung {
                    state = self.bells[number].wait(state).expect("no model panics in here");
                }
            }
            state.sleepers[number].rung = false;
        }
    }

    fn rest(&self, state: &mut State) {
        state.awake -= 1;
        if state.awake == 0 {
            self.all_quiet.notify_one();
        }
    }
}

/// Two futures, on a thread each. They lie in one allocation: selects are claimed in the order of their
/// addresses, which must be the same in every run of a model.
pub struct Two<F: Future> {
    futures: *mut [F; 2],
    threads: [JoinHandle<F::Output>; 2],
    quiet: Arc<Quiet>,
}

impl<F: Future + 'static> Two<F> {
    pub fn start(futures: [F; 2]) -> Self {
        let futures = Box::into_raw(Box::new(futures));
        let quiet = Arc::new(Quiet {
            state: Mutex::new(State { sleepers: [Sleeper::default(); 2], awake: 2 }),
            bells: [Condvar::new(), Condvar::new()],
            all_quiet: Condvar::new(),
        });
        let threads = [0, 1].map(|number| {
            // SAFETY: it stays in place until it is dropped in `join`, after its thread.
            let future = unsafe { Pin::new_unchecked(&mut (*futures)[number]) };
            let quiet = quiet.clone();
            thread::spawn(move || quiet.run(number, future))
        });
        Self { futures, threads, quiet }
    }

    /// Waits until both have ended or sleep. Who sleeps.
    pub fn wait(&self) -> [bool; 2] {
        let mut state = self.quiet.state.lock().expect("no model panics in here");
        while state.awake > 0 {
            state = self.quiet.all_quiet.wait(state).expect("no model panics in here");
        }
        state.sleepers.map(|sleeper| sleeper.asleep)
    }

    /// How many wake-ups of each came on top of another one, or brought nothing.
    pub fn excess(&self) -> [usize; 2] {
        let state = self.quiet.state.lock().expect("no model panics in here");
        state.sleepers.map(|sleeper| sleeper.excess)
    }

    /// What they return.
    pub fn join(self) -> [F::Output; 2] {
        let outputs = self.threads.map(|thread| thread.join().expect("no panic"));
        // SAFETY: from `into_raw`; the threads have ended.
        drop(unsafe { Box::from_raw(self.futures) });
        outputs
    }
}

/// Polls once.
pub async fn once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Lends a value for as long as a model takes; all its threads are joined inside `model`.
pub fn lend<T: 'static>(value: T, model: impl FnOnce(&'static T)) {
    let value = Box::into_raw(Box::new(value));
    // SAFETY: given back below, when nothing refers to it any more.
    model(unsafe { &*value });
    // SAFETY: from `into_raw`.
    drop(unsafe { Box::from_raw(value) });
}
