//! The lock of lanes that is biased to a thread, under the loom model checker.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --features std --test loom_biased
//! ```
//!
//! In a model the lock is biased to whoever takes it a second time in a row. What it guards is watched: two at once, or one who does not see what the
//! one before has done, fail the model.
#![cfg(all(loom, feature = "std"))]

#[path = "common/loom_lock.rs"]
mod loom_lock;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use cloakroom::sync::biased::{Biased, Held};
use loom_lock::explore;

struct Guarded {
    lock: Biased,
    value: UnsafeCell<u32>,
}

// SAFETY: the value is touched with the lock held; that this is so is what the models show.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn add(&self) -> u32 {
        let held = self.lock.hold();
        self.add_held(held)
    }

    fn try_add(&self) -> bool {
        self.lock.try_hold().map(|held| self.add_held(held)).is_some()
    }

    fn add_held(&self, _held: Held<'_>) -> u32 {
        // SAFETY: loom fails the model if two are in here at once.
        self.value.with_mut(|value| unsafe {
            *value += 1;
            *value
        })
    }
}

/// So many threads beside this one, each of which takes it so often; and this one, to which it is biased from the start.
fn with(others: &'static [usize], own: usize) {
    // Those who wait yield, which is no preemption.
    explore(Some(3), move || {
        let guarded = Arc::new(Guarded { lock: Biased::new(), value: UnsafeCell::new(0) });
        // Shared once, then biased.
        guarded.add();
        guarded.add();
        let threads: Vec<_> = others
            .iter()
            .map(|&times| {
                let guarded = guarded.clone();
                thread::spawn(move || (0..times).for_each(|_| drop(guarded.add())))
            })
            .collect();
        (0..own).for_each(|_| drop(guarded.add()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let all = 2 + own + others.iter().sum::<usize>();
        assert_eq!(guarded.add(), all as u32 + 1);
    });
}

/// The bias is taken away while the owner enters.
#[test]
fn taken_away() {
    with(&[1], 2);
}

/// It is taken away, and goes to the thread that took it; which loses it again.
#[test]
fn taken_over() {
    with(&[3], 2);
}

/// Who only tries does not wait for the owner, and takes nothing away from one who is inside.
#[test]
fn tried() {
    explore(Some(3), || {
        let guarded = Arc::new(Guarded { lock: Biased::new(), value: UnsafeCell::new(0) });
        guarded.add();
        guarded.add();
        let other = guarded.clone();
        let other = thread::spawn(move || (0..2).filter(|_| other.try_add()).count() as u32);
        let own = (0..2).filter(|_| guarded.try_add()).count() as u32;
        let others = other.join().unwrap();
        assert_eq!(guarded.add(), 3 + own + others);
    });
}

/// Two come at once, and the owner once more when they have.
#[test]
fn two_come() {
    with(&[1, 1], 0);
}
