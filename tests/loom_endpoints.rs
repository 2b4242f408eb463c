//! What the endpoints of a channel on the heap own together, under the loom model checker.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --features std --test loom_endpoints
//! ```
#![cfg(all(loom, feature = "std"))]

#[path = "common/loom_lock.rs"]
mod loom_lock;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom::channel::{DropOldest, Hook};
use cloakroom::std_layer::channel::bounded_with;
use loom::cell::UnsafeCell;
use loom::thread;
use loom_lock::explore;

/// What each of two threads writes to while it has an endpoint.
#[derive(Default)]
struct Notes([UnsafeCell<u32>; 2]);

// SAFETY: loom watches who uses the cells, and in what order.
unsafe impl Sync for Notes {}

impl Notes {
    fn write(&self, thread: usize) {
        // SAFETY: as above.
        self.0[thread].with_mut(|note| unsafe { *note += 1 });
    }
}

/// Goes with the channel's memory, and writes to both.
struct Last(Arc<Notes>, Arc<AtomicUsize>);

impl Hook<u32> for Last {
    fn dropped(&self, _value: u32) {}
}

impl Drop for Last {
    fn drop(&mut self) {
        self.0.write(0);
        self.0.write(1);
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_last_one_frees_the_channel_after_all_others_are_done_with_it() {
    explore(None, || {
        let (notes, ends) = (Arc::new(Notes::default()), Arc::new(AtomicUsize::new(0)));
        let (sender, receiver) = bounded_with(1, DropOldest(Last(notes.clone(), ends.clone())));
        // Weak senders are not counted under the channel's lock, which would put them in order.
        let [mine, other] = [sender.downgrade(), sender.downgrade()];
        drop((sender, receiver));
        let others = notes.clone();
        let thread = thread::spawn(move || {
            others.write(0);
            drop(other.clone());
            drop(other);
        });
        notes.write(1);
        drop(mine);
        thread.join().expect("no model panics in here");
        assert_eq!(ends.load(Ordering::Relaxed), 1);
    });
}
