//! No allocation after set-up, on any way a message goes.

#[path = "../common/counting_allocator.rs"]
mod counting_allocator;

use std::cell::Cell;

use cloakroom::Arena;
use cloakroom::channel::Buffered;
use cloakroom::spill::{Chain, Policy, Spill, SpillBytes, SpillTarget, Watermarks};
use cloakroom::std_layer::block_on;
use cloakroom::std_layer::spill::{FileTarget, MemfdTarget};

use crate::fixture::{Lock, slots};

thread_local! {
    /// Allocations of this thread.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has no counter any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

fn without_allocating(target: &dyn SpillTarget) {
    static ARENA: Arena<Lock, 16, 64, 16> = Arena::new();
    let spill = Spill::over(&ARENA, target, Watermarks::new(60, 30));
    let channel = SpillBytes::<Lock, Buffered<32>>::new(&spill, Policy::ColdFirst);
    // Makes this thread's waker.
    block_on(async {});
    let before = CALLS.get();
    for round in 0..20 {
        for number in 0..30 {
            if number % 2 == 0 {
                block_on(channel.send_bytes(&[number; 64])).expect("open");
            } else {
                let mut lease = block_on(ARENA.alloc(64)).expect("memory");
                lease.fill(number);
                channel.try_send(lease).expect("room");
            }
        }
        let wall = ARENA.try_alloc(64 * 4);
        channel.step(usize::MAX);
        drop(wall);
        for number in 0..30 {
            let message = if round % 2 == 0 {
                block_on(channel.recv()).ok()
            } else {
                channel.try_recv().ok()
            };
            assert_eq!(*message.expect("a message"), [number; 64]);
            channel.step(1024);
        }
    }
    let (calls, snapshot) = (CALLS.get() - before, spill.snapshot());
    assert!(snapshot.out > 100 && snapshot.moved > 10, "{snapshot:?}");
    assert_eq!(calls, 0, "calls of the allocator");
}

#[test]
fn nothing_is_allocated_for_a_message() {
    let file = || FileTarget::new(&std::env::temp_dir(), slots(32, 64)).expect("room");
    without_allocating(&MemfdTarget::new(slots(32, 64)).expect("memory"));
    without_allocating(&file());
    without_allocating(&Chain(MemfdTarget::new(slots(8, 64)).expect("memory"), file()));
}
