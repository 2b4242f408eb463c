//! How far down it goes where threads take turns on one processor, so that no line is ever another one's.
//!
//! One thread at a time has the ring, all of it: a sender fills it, a receiver reads it to the end. So there are as few switches as can be, and
//! nothing is looked at for each message. That they stay on one processor is asked for, which no library can do for its users, and what threads
//! that sleep whenever they wait may come by without. As in [`floor`](super::floor), nothing is promised but that each message arrives.

use std::cell::UnsafeCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::floor::CAPACITY;
use super::threads::Plan;
use crate::crew::{self, Shape};
use crate::message::{Source, read};
use crate::workload::{FLOOR_IN_TURNS, Subject, why};

/// The participant where each message is for one receiver.
pub fn floor_in_turns<const SIZE: usize>(Plan { shape, .. }: Plan) -> Subject {
    let Shape { senders, receivers } = shape;
    let turns =
        (0..senders.max(receivers)).map(|turn| [turn % senders, senders + turn % receivers]);
    subject::<SIZE>(shape, turns.flatten().collect(), 1)
}

/// The participant where each message is for each receiver.
pub fn floor_in_turns_for_each<const SIZE: usize>(receivers: usize) -> Subject {
    let shape = Shape { senders: 1, receivers };
    subject::<SIZE>(shape, (0..=receivers).collect(), receivers as u64)
}

/// Threads, in this order, over and over. Senders have the first numbers.
fn subject<const SIZE: usize>(shape: Shape, turns: Vec<usize>, copies: u64) -> Subject {
    let subject = Subject::new(FLOOR_IN_TURNS, move |messages| {
        let ring = Arc::new(Ring::<SIZE>::new(shape, turns.clone()));
        let end = |which| {
            let is_last = copies == 1 || which == shape.receivers;
            End { ring: ring.clone(), which, passed: 0, bound: 0, has_come: false, is_last }
        };
        let senders = (0..shape.senders).map(|which| {
            let (mut sender, mut source) = (Sender(end(which)), Source::new(SIZE));
            crew::sending(move |number| sender.send(source.numbered(number)))
        });
        let receivers = (0..shape.receivers).map(|which| {
            let mut end = end(shape.senders + which);
            crew::receiving(move || end.receive())
        });
        crew::run(senders.collect(), receivers.collect(), messages, copies)
    });
    subject.aside(why::FLOOR)
}

struct Ring<const SIZE: usize> {
    blocks: UnsafeCell<Box<[[u8; SIZE]]>>,
    turns: Vec<usize>,
    state: Mutex<State>,
    /// One for each thread.
    wakers: Vec<Condvar>,
}

struct State {
    /// How many turns there have been.
    turn: usize,
    /// How many messages were written in the latest sender's.
    written: usize,
    /// Of each sender, whether it has no more to send.
    ended: Vec<bool>,
}

// SAFETY: the blocks are touched by nobody but by whose turn it is, and turns are passed on under the state's lock.
unsafe impl<const SIZE: usize> Sync for Ring<SIZE> {}

impl<const SIZE: usize> Ring<SIZE> {
    fn new(shape: Shape, turns: Vec<usize>) -> Self {
        Self {
            blocks: UnsafeCell::new(vec![[0; SIZE]; CAPACITY].into_boxed_slice()),
            turns,
            state: Mutex::new(State { turn: 0, written: 0, ended: vec![false; shape.senders] }),
            wakers: (0..shape.senders + shape.receivers).map(|_| Condvar::new()).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose turn it is.
    fn whose(&self, state: &State) -> usize {
        self.turns[state.turn % self.turns.len()]
    }

    /// Two threads let each other run, which is a third less than to sleep and to be woken. Among more of them it could be anybody's turn.
    fn are_two(&self) -> bool {
        self.wakers.len() == 2
    }
}

/// A thread's part of the ring.
struct End<const SIZE: usize> {
    ring: Arc<Ring<SIZE>>,
    which: usize,
    /// How many messages it has passed in this turn, and how many it may; both zero while it is another one's.
    passed: usize,
    bound: usize,
    has_come: bool,
    /// Nobody reads again what this one has read.
    is_last: bool,
}

impl<const SIZE: usize> End<SIZE> {
    /// Waits until it is this thread's turn.
    fn come(&mut self) -> MutexGuard<'_, State> {
        if !self.has_come {
            self.has_come = true;
            go_where_all_go();
        }
        let ring = &*self.ring;
        let mut state = ring.lock();
        while ring.whose(&state) != self.which {
            state = if ring.are_two() {
                drop(state);
                thread::yield_now();
                ring.lock()
            } else {
                ring.wakers[self.which].wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
        state
    }

    /// To the next one that has not ended. It is this thread's turn.
    fn pass_on(&mut self, change: impl FnOnce(&mut State)) {
        let ring = &*self.ring;
        let mut state = ring.lock();
        change(&mut state);
        let next = loop {
            state.turn += 1;
            let next = ring.whose(&state);
            if state.ended.get(next) != Some(&true) {
                break next;
            }
        };
        drop(state);
        if !ring.are_two() {
            ring.wakers[next].notify_one();
        }
        (self.passed, self.bound) = (0, 0);
    }

    /// The next block. There is one.
    fn block(&mut self) -> &mut [u8; SIZE] {
        // SAFETY: it is this thread's turn.
        let blocks = unsafe { &mut *self.ring.blocks.get() };
        self.passed += 1;
        &mut blocks[self.passed - 1]
    }

    fn receive(&mut self) -> Option<u64> {
        while self.passed == self.bound {
            if self.bound > 0 {
                let is_last = self.is_last;
                self.pass_on(|state| {
                    if is_last {
                        state.written = 0;
                    }
                });
            }
            let state = self.come();
            let (written, is_over) = (state.written, !state.ended.contains(&false));
            drop(state);
            self.bound = written;
            if written == 0 {
                self.pass_on(|_| ());
                if is_over {
                    return None;
                }
            }
        }
        Some(read(self.block()))
    }
}

struct Sender<const SIZE: usize>(End<SIZE>);

impl<const SIZE: usize> Sender<SIZE> {
    fn send(&mut self, bytes: &[u8]) {
        let end = &mut self.0;
        if end.passed == end.bound {
            if end.bound > 0 {
                end.pass_on(|state| state.written = CAPACITY);
            }
            drop(end.come());
            end.bound = CAPACITY;
        }
        end.block().copy_from_slice(bytes);
    }
}

impl<const SIZE: usize> Drop for Sender<SIZE> {
    fn drop(&mut self) {
        let Self(end) = self;
        if end.bound == 0 {
            drop(end.come());
        }
        let (which, written) = (end.which, end.passed);
        end.pass_on(|state| {
            state.written = written;
            state.ended[which] = true;
        });
    }
}

/// To one processor, the first one that the thread may run on.
fn go_where_all_go() {
    #[cfg(target_os = "linux")]
    {
        use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
        use nix::unistd::Pid;
        let this = Pid::from_raw(0);
        let Ok(allowed) = sched_getaffinity(this) else { return };
        let mut one = CpuSet::new();
        if (0..CpuSet::count())
            .any(|number| allowed.is_set(number) == Ok(true) && one.set(number).is_ok())
        {
            // Where that is refused they take turns on several.
            let _ = sched_setaffinity(this, &one);
        }
    }
}
