//! Threads that wait for futures, and one that waits until none of them has anything left to do.
//!
//! When all have ended or are asleep, and nobody is on the way to wake one, whoever still sleeps must have a
//! reason to: this is where a wake-up that was lost, or not sent, shows, even if something that comes later
//! would make up for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Condvar, Mutex};

/// What one thread is doing.
#[derive(Clone, Copy, Default)]
struct Sleeper {
    asleep: bool,
    rung: bool,
    /// Wake-ups that came on top of another one, or brought nothing.
    excess: usize,
}

struct State<const N: usize> {
    sleepers: [Sleeper; N],
    /// Threads that neither sleep nor have ended.
    awake: usize,
}

/// What [`N`] threads are doing.
pub struct Quiet<const N: usize> {
    state: Mutex<State<N>>,
    bells: [Condvar; N],
    all_quiet: Condvar,
}

/// What rings thread `number`'s bell.
struct Bell<const N: usize> {
    quiet: Arc<Quiet<N>>,
    number: usize,
}

impl<const N: usize> Wake for Bell<N> {
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

impl<const N: usize> Quiet<N> {
    /// `N` threads that are about to begin.
    pub fn new() -> Arc<Self> {
        let state = State { sleepers: [Sleeper::default(); N], awake: N };
        Arc::new(Self {
            state: Mutex::new(state),
            bells: std::array::from_fn(|_| Condvar::new()),
            all_quiet: Condvar::new(),
        })
    }

    /// All there is to do for thread `number`: waits for `future`.
    pub fn run<F: Future>(self: &Arc<Self>, number: usize, mut future: Pin<&mut F>) -> F::Output {
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

    fn rest(&self, state: &mut State<N>) {
        state.awake -= 1;
        if state.awake == 0 {
            self.all_quiet.notify_one();
        }
    }

    /// Waits until all have ended or sleep. Who sleeps.
    pub fn wait(&self) -> [bool; N] {
        let mut state = self.state.lock().expect("no model panics in here");
        while state.awake > 0 {
            state = self.all_quiet.wait(state).expect("no model panics in here");
        }
        state.sleepers.map(|sleeper| sleeper.asleep)
    }

    /// How many wake-ups of thread `number` came on top of another one, or brought nothing.
    pub fn excess(&self, number: usize) -> usize {
        self.state.lock().expect("no model panics in here").sleepers[number].excess
    }
}
