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
                thread::spawn(move || (0..times).for_each(|_| _ = guarded.add()))
            })
            .collect();
        (0..own).for_each(|_| _ = guarded.add());
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

/// The owner has seen that it is the owner, and is slow to go on. Meanwhile the lock goes to a second thread, which is inside when the first one says that it is, too,
/// and that it is not after all; and a third one comes to take the bias away.
#[test]
fn left_behind() {
    explore(Some(3), || {
        let guarded = Arc::new(Guarded { lock: Biased::new(), value: UnsafeCell::new(0) });
        // Often enough that the bias was worth it: then who takes it away has it.
        const WORTH: u32 = 6;
        (0..WORTH).for_each(|_| _ = guarded.add());
        let second = guarded.clone();
        let second = thread::spawn(move || {
            second.add();
            1 + u32::from(second.try_add())
        });
        let third = guarded.clone();
        let third = thread::spawn(move || u32::from(third.try_add()));
        let own = u32::from(guarded.try_add());
        let others = second.join().unwrap() + third.join().unwrap();
        assert_eq!(guarded.add(), WORTH + own + others + 1);
    });
}
