//! The arena under the loom model checker: every interleaving of a few operations, in
//! the largest models up to three preemptions.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --test loom
//! ```
//!
//! Each model runs twice: with a lock that has a state, under which state words change by
//! compare-exchange outside the lock (several cores), and with a lock of size zero, under which they
//! change inside it (one core).
//!
//! Loom does not see the payload's bytes. Where a model is about who may touch them, a loom cell stands
//! for them: those who may read the payload read the cell, those who may write it write the cell, and
//! loom reports any two that are not ordered.
#![cfg(loom)]

#[path = "common/loom_lock.rs"]
mod loom_lock;

use std::sync::Arc;

use cloakroom::sync::{RawMutex, SpinRawMutex};
use cloakroom::{Arena, RedeemError};
use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::thread;
use loom_lock::{PerObject, block_on, explore};

loom::lazy_static! {
    static ref CRITICAL_SECTION: Mutex<()> = Mutex::new(());
}

/// A global critical section: a lock of size zero.
struct Global;

// SAFETY: there is one mutex for all of them.
unsafe impl RawMutex for Global {
    const INIT: Self = Self;
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let _held = CRITICAL_SECTION.lock().expect("no model panics in here");
        f()
    }
}

type Subject<M, const PAGES: usize, const ROWS: usize> = Arena<M, PAGES, 16, ROWS, 1>;

/// Lends an arena for as long as a model takes; all its threads are joined inside `model`.
fn with_arena<M: RawMutex + Sync + 'static, const P: usize, const R: usize>(
    model: impl FnOnce(&'static Subject<M, P, R>),
) {
    let arena = Box::into_raw(Box::new(Subject::<M, P, R>::new()));
    // SAFETY: the box is given back below, when nothing refers to it any more.
    model(unsafe { &*arena });
    // SAFETY: from `into_raw`; `model` has joined its threads.
    let arena = unsafe { Box::from_raw(arena) };
    let verdict = arena.handle().verify();
    assert!(verdict.is_clean(), "{:?}", verdict.violations().collect::<Vec<_>>());
    assert_eq!((arena.snapshot().live, arena.snapshot().free), (0, P));
}

/// Stands for a payload's bytes.
struct Bytes(UnsafeCell<u32>);

// SAFETY: loom checks every access, which is what this is for.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Bytes {
    fn new() -> Arc<Self> {
        Arc::new(Self(UnsafeCell::new(0)))
    }
    fn read(&self) -> u32 {
        // SAFETY: loom panics instead if there is an unordered write.
        self.0.with(|value| unsafe { *value })
    }
    fn write(&self, value: u32) {
        // SAFETY: loom panics instead if there is any unordered access.
        self.0.with_mut(|at| unsafe { *at = value });
    }
}

/// So many preemptions; fewer where there are trays, which multiply the steps of whoever waits.
fn preemptions<M>(usual: Option<usize>, with_trays: usize) -> Option<usize> {
    if size_of::<M>() == 0 { usual } else { Some(with_trays) }
}

macro_rules! models {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        mod per_object {
            $(#[test] fn $name() { super::$name::<super::PerObject>(); })*
        }
        mod global {
            $(#[test] fn $name() { super::$name::<super::Global>(); })*
        }
    };
}

models! {
    last_leases;
    a_sole_lease_becomes_writable;
    redeem_and_redeem;
    stale_redeem_and_reuse;
    deposit_and_release;
    redeem_and_compaction;
    parcel_drop_and_compaction;
    alloc_and_release;
    never_refused;
    park_and_release;
    two_wait_for_one_release;
}

/// Two leases are given up on two threads. Both have read the payload; whoever has the memory next
/// writes it.
fn last_leases<M: RawMutex + Sync + Send + 'static>() {
    // Three preemptions: each release tries the short way first, and looks again if another one came first.
    explore(Some(3), || {
        with_arena::<M, 1, 1>(|arena| {
            let bytes = Bytes::new();
            let one = arena.try_alloc(16).expect("empty").freeze();
            let other = one.clone();
            let reader = {
                let bytes = bytes.clone();
                thread::spawn(move || {
                    bytes.read();
                    drop(other);
                })
            };
            bytes.read();
            drop(one);
            // Refused, or the page is really free.
            if let Ok(_lease) = arena.try_alloc(16) {
                bytes.write(1);
            }
            reader.join().expect("no panic");
        });
    });
}

/// As above, but the last one left makes the payload writable instead.
fn a_sole_lease_becomes_writable<M: RawMutex + Sync + Send + 'static>() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let became = Arc::new(AtomicBool::new(false));
    let seen = became.clone();
    explore(None, move || {
        with_arena::<M, 1, 1>(|arena| {
            let bytes = Bytes::new();
            let one = arena.try_alloc(16).expect("empty").freeze();
            let other = one.clone();
            let reader = {
                let bytes = bytes.clone();
                thread::spawn(move || {
                    bytes.read();
                    drop(other);
                })
            };
            // A second try, as loom does not let a mere load wait for the other thread by itself.
            let mut one = one;
            for _ in 0..2 {
                match one.try_into_mut() {
                    Ok(_lease) => {
                        seen.store(true, Ordering::Relaxed);
                        bytes.write(1);
                        break;
                    }
                    Err(lease) => one = lease,
                }
                thread::yield_now();
            }
            reader.join().expect("no panic");
        });
    });
    assert!(became.load(Ordering::Relaxed), "the case this is about was never met");
}

/// Exactly one of two redeems of one ticket wins, and it may then write.
fn redeem_and_redeem<M: RawMutex + Sync + Send + 'static>() {
    explore(None, || {
        with_arena::<M, 1, 1>(|arena| {
            let bytes = Bytes::new();
            bytes.write(1);
            let ticket = arena.try_alloc(16).expect("empty").deposit();
            let attempt = move |bytes: Arc<Bytes>| match arena.redeem(ticket) {
                Ok(lease) => {
                    bytes.write(2);
                    drop(lease);
                    true
                }
                Err(why) => {
                    assert_eq!(why, RedeemError::Stale);
                    false
                }
            };
            let other = {
                let bytes = bytes.clone();
                thread::spawn(move || attempt(bytes))
            };
            let here = attempt(bytes);
            assert!(here ^ other.join().expect("no panic"), "exactly one wins");
        });
    });
}

/// A ticket is redeemed and its descriptor used again, while somebody else tries the same number.
fn stale_redeem_and_reuse<M: RawMutex + Sync + Send + 'static>() {
    explore(None, || {
        with_arena::<M, 1, 1>(|arena| {
            let bytes = Bytes::new();
            bytes.write(1);
            let old = arena.try_alloc(16).expect("empty").deposit();
            let other = {
                let bytes = bytes.clone();
                thread::spawn(move || {
                    if let Ok(lease) = arena.redeem(old) {
                        assert_eq!(bytes.read(), 1, "a stale ticket redeemed the next payload");
                        drop(lease);
                    }
                })
            };
            drop(arena.redeem(old));
            let new = arena.try_alloc(16).ok().map(|lease| {
                bytes.write(2);
                lease.deposit()
            });
            other.join().expect("no panic");
            if let Some(new) = new {
                assert_ne!(new, old);
                drop(arena.redeem(new).expect("live"));
            }
        });
    });
}

/// One lease becomes a ticket while the other one is given up: the payload stays.
fn deposit_and_release<M: RawMutex + Sync + Send + 'static>() {
    // Three preemptions: each release tries the short way first, and looks again if another one came first.
    explore(Some(3), || {
        with_arena::<M, 1, 1>(|arena| {
            let bytes = Bytes::new();
            let one = arena.try_alloc(16).expect("empty").freeze();
            let other = one.clone();
            let release = {
                let bytes = bytes.clone();
                thread::spawn(move || {
                    bytes.read();
                    drop(other);
                })
            };
            let ticket = one.deposit().expect("few");
            let lease = arena.redeem(ticket).expect("live");
            bytes.read();
            drop(lease);
            if let Ok(_next) = arena.try_alloc(16) {
                bytes.write(1);
            }
            release.join().expect("no panic");
        });
    });
}

/// The payload is redeemed at any moment of its move, and is whole.
fn redeem_and_compaction<M: RawMutex + Sync + Send + 'static>() {
    explore(None, || {
        with_arena::<M, 3, 2>(|arena| {
            let top = arena.try_alloc(16).expect("empty");
            let ticket = arena.try_alloc_from(&[7; 16]).expect("room").deposit().expect("few");
            drop(top);
            let compactor = thread::spawn(move || {
                arena.compact(1);
            });
            let lease = arena.redeem(ticket).expect("live");
            assert_eq!(lease[..], [7; 16]);
            compactor.join().expect("no panic");
            assert_eq!(lease[..], [7; 16], "moved while it was in hand");
            drop(lease);
        });
    });
}

/// The payload is freed, unredeemed, at any moment of its move.
fn parcel_drop_and_compaction<M: RawMutex + Sync + Send + 'static>() {
    explore(Some(3), || {
        // Nine pages are too many for a shelf: they go straight back to the map.
        with_arena::<M, 11, 2>(|arena| {
            let top = arena.try_alloc(16).expect("empty");
            let parcel = arena.try_alloc(9 * 16).expect("room").into_parcel();
            drop(top);
            let compactor = thread::spawn(move || {
                arena.compact(1);
            });
            drop(parcel);
            compactor.join().expect("no panic");
        });
    });
}

/// An allocation gets the released memory or none; nothing is lost or given twice.
fn alloc_and_release<M: RawMutex + Sync + Send + 'static>() {
    explore(None, || {
        with_arena::<M, 2, 2>(|arena| {
            let bytes = Bytes::new();
            let lease = arena.try_alloc(32).expect("empty");
            let release = {
                let bytes = bytes.clone();
                thread::spawn(move || {
                    bytes.write(1);
                    drop(lease);
                })
            };
            if let Ok(_all) = arena.try_alloc(32) {
                bytes.write(2);
            }
            release.join().expect("no panic");
            assert!(arena.try_alloc(32).is_ok());
        });
    });
}

/// Each of two holds one page of two at a time: nobody is ever refused, wherever freed pages lie.
fn never_refused<M: RawMutex + Sync + Send + 'static>() {
    explore(Some(2), || {
        with_arena::<M, 2, 2>(|arena| {
            let twice = move || {
                for _ in 0..2 {
                    drop(arena.try_alloc(16).expect("one page is free"));
                }
            };
            let other = thread::spawn(twice);
            twice();
            other.join().expect("no panic");
        });
    });
}

/// Memory is released at any moment of parking: the wake-up is not lost.
fn park_and_release<M: RawMutex + Sync + Send + 'static>() {
    explore(preemptions::<M>(None, 3), || {
        with_arena::<M, 1, 1>(|arena| {
            let lease = arena.try_alloc(16).expect("empty");
            let release = thread::spawn(move || drop(lease));
            drop(block_on(arena.alloc(16)).expect("it can fit"));
            release.join().expect("no panic");
        });
    });
}

/// Two wait, one release: the first one to be served passes the turn on.
fn two_wait_for_one_release<M: RawMutex + Sync + Send + 'static>() {
    explore(preemptions::<M>(Some(3), 1), || {
        with_arena::<M, 1, 1>(|arena| {
            let lease = arena.try_alloc(16).expect("empty");
            let other = thread::spawn(move || drop(block_on(arena.alloc(16)).expect("it can fit")));
            let release = thread::spawn(move || drop(lease));
            drop(block_on(arena.alloc(16)).expect("it can fit"));
            other.join().expect("no panic");
            release.join().expect("no panic");
        });
    });
}

/// A waiter behind a payload in hand, which is put to rest at any moment of parking. (Only with the lock
/// of size zero: for the other one the guarantee rests on the single total order of `SeqCst`
/// operations, which loom does not model.)
#[test]
fn park_and_deposit() {
    explore(Some(3), || {
        with_arena::<Global, 3, 3>(|arena| {
            let top = arena.try_alloc(16).expect("empty");
            let pin = arena.try_alloc(16).expect("room");
            drop(top);
            let deposit = thread::spawn(move || pin.deposit());
            drop(block_on(arena.alloc(32)).expect("it can fit"));
            let ticket = deposit.join().expect("no panic");
            arena.handle().discard(ticket).expect("live");
        });
    });
}

/// The spin lock itself.
#[test]
fn spin_lock() {
    explore(None, || {
        let lock = Arc::new(SpinRawMutex::new());
        let bytes = Bytes::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (lock, bytes) = (lock.clone(), bytes.clone());
                thread::spawn(move || lock.lock(|| bytes.write(bytes.read() + 1)))
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(bytes.read(), 2);
    });
}
