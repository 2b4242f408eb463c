//! Channels against plain sequential models.
//!
//! Random sequences of operations, with futures polled and dropped at random moments, run on a channel
//! and on a model of it that is made of plain queues. After every step the results, the order of service,
//! every counter, and the number of wake-ups must agree; at the end every value has been dropped exactly
//! once, and every arena is empty and undamaged.
//!
//! | file | what runs | against what |
//! |---|---|---|
//! | `kinds` | all operations on the kinds whose receivers compete (by `sequence`, `pending`) | `model` |
//! | `priority` | order and starvation of a priority channel | the documented bounds |
//! | `unlimited` | an unlimited channel whose arena is used up | a queue |
//! | `broadcast` | subscribers that come and go, under each policy | a list, and cursors |
//! | `select_set` | sets of arms, their peers, and each other (by `line`) | `model`, `set_model` |
//! | `counted` | endpoints that are cloned, dropped and upgraded | counts |
//! | `payloads` | leases, parcels and shared values through a broadcast | cursors, reference counts |
//! | `fan_out`, `fan_out_all` | one message to sets of channels | `model`, one a channel |
//! | `limits` | what is decided in the moment in which an operation is given up | rule 3 |
//! | `bytes` | every operation on messages, with every ending | nothing stays behind |
//!
//! A failure prints the seed and the step; to repeat it, run the sequence of that seed alone.
#![cfg(not(loom))]

mod broadcast;
mod bytes;
mod counted;
mod fan_out;
mod fan_out_all;
mod kinds;
mod limits;
mod line;
mod model;
mod newcomers;
mod payloads;
mod pending;
mod priority;
#[path = "../common/random.rs"]
mod random;
mod select_set;
mod sequence;
mod set_model;
mod unlimited;
mod waiters;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake};

use cloakroom::sync::SpinRawMutex;
use random::Random;

type Lock = SpinRawMutex;

impl Random {
    /// A number below `limit`, to index with.
    fn index(&mut self, limit: usize) -> usize {
        self.below(limit as u64) as usize
    }

    /// True once in so many times.
    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// Numbers values, and counts how often each is dropped.
#[derive(Clone, Default)]
struct Ledger(Rc<RefCell<Vec<u32>>>);

/// A value with a number of its own.
struct Value {
    id: usize,
    ledger: Ledger,
}

impl Ledger {
    fn value(&self) -> Value {
        let mut drops = self.0.borrow_mut();
        drops.push(0);
        Value { id: drops.len() - 1, ledger: self.clone() }
    }

    /// Values dropped other than once.
    fn wrong(&self) -> Vec<usize> {
        let drops = self.0.borrow();
        (0..drops.len()).filter(|&id| drops[id] != 1).collect()
    }

    /// Whether a value has not been dropped yet.
    fn is_alive(&self, id: usize) -> bool {
        self.0.borrow()[id] == 0
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.ledger.0.borrow_mut()[self.id] += 1;
    }
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a poll came to.
fn ended<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
