//! A bug of one instruction, on purpose: a queue's counter that is read, changed and written back with
//! interrupts on. A sweep that does not find it finds nothing.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::scene::Scene;

static COUNT: AtomicU32 = AtomicU32::new(0);

fn reset() {
    COUNT.store(0, Relaxed);
}

fn push() -> u32 {
    // One instruction between the two loses what an interrupt adds there.
    COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
    1
}

fn count() -> u32 {
    COUNT.load(Relaxed)
}

pub const SCENES: &[Scene] = &[Scene {
    name: "an unprotected counter, broken on purpose",
    reset,
    operation: push,
    intruder: push,
    state: count,
    before: (1, 1, 2),
    after: (1, 1, 2),
    is_broken: true,
}];
