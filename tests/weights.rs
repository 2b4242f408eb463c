//! Bytes are counted whatever lock an arena and a channel are under: a channel weighs what it carries without knowing
//! that.
#![cfg(not(any(loom, shuttle)))]

use cloakroom::channel::{Buffered, Bytes};
#[cfg(feature = "std")]
use cloakroom::std_layer::{MappedArena, StdRawMutex};
use cloakroom::sync::{CriticalSectionRawMutex, NoopRawMutex, RawMutex, SpinRawMutex};
use cloakroom::{Arena, ArenaRef};

const LENGTHS: [usize; 4] = [0, 1, 64, 1000];

fn adds_up<M: RawMutex>(arena: ArenaRef<'_, M>) {
    let channel = Bytes::<M, Buffered<4>>::new();
    for len in LENGTHS {
        assert!(channel.try_send(arena.try_alloc(len).unwrap()).is_ok());
    }
    let total = LENGTHS.iter().sum::<usize>() as u64;
    assert_eq!(channel.snapshot().bytes_sent, total);
    while channel.try_recv().is_ok() {}
    assert_eq!(channel.snapshot().bytes_received, total);
}

fn in_both<M: RawMutex + Send + Sync>() {
    adds_up(Arena::<M, 64, 64, 7>::new().handle());
    #[cfg(feature = "std")]
    adds_up(MappedArena::<M>::new(1 << 16, 64, 7).unwrap().handle());
}

#[test]
fn under_a_critical_section() {
    in_both::<CriticalSectionRawMutex>();
}

#[test]
fn under_a_spin_lock() {
    in_both::<SpinRawMutex>();
}

#[cfg(feature = "std")]
#[test]
fn under_a_lock_for_threads() {
    in_both::<StdRawMutex>();
}

#[test]
fn under_none() {
    adds_up(Arena::<NoopRawMutex, 64, 64, 7>::new().handle());
}
