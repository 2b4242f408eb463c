//! Spilling under shuttle: the tail is moved out and the head back while receivers take messages, senders wait for room, receives are
//! given up, and the target fails now and then.
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test --release --features spill-std --test shuttle_spill
//! ```
//!
//! Whatever the schedule: each message is received once, whole, and in the order of the one queue, or told to be lost, which only a target
//! that fails to read may cause; nothing stays in the arena or in the target; nobody waits for ever.
#![cfg(all(shuttle, unix))]

#[path = "common/shuttle_lock.rs"]
mod shuttle_lock;

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Channel};
use cloakroom::select::{Either, select};
use cloakroom::spill::{
    Class, Extents, MemoryTarget, Policy, Spill, SpillBytes, SpillError, SpillRecvError,
    SpillTarget, Watermarks, Word,
};
use shuttle::sync::Mutex;
use shuttle::thread;

use shuttle_lock::{PerObject as Lock, below, explore, together};

const PAGE: usize = 16;
type Hall = Arena<Lock, 6, PAGE, 6, 1>;
type Queue<'a> = SpillBytes<'a, Lock, Buffered<4>>;

/// A target that does not lend, may fail at any call, and notices if an extent is read or freed that nobody holds.
#[derive(Default)]
struct Faulty {
    held: Mutex<(u32, HashMap<u32, Vec<u8>>)>,
    stores_fail: AtomicBool,
    reads_fail: AtomicBool,
}

impl Faulty {
    fn with<R>(&self, f: impl FnOnce(&mut (u32, HashMap<u32, Vec<u8>>)) -> R) -> R {
        f(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fails(switch: &AtomicBool) -> bool {
        switch.load(Ordering::Relaxed) && below(3) == 0
    }
}

impl SpillTarget for Faulty {
    fn store(&self, bytes: &[u8]) -> Result<u32, SpillError> {
        if Self::fails(&self.stores_fail) {
            return Err([SpillError::Full, SpillError::Device(5)][below(2) as usize]);
        }
        self.with(|(next, held)| {
            *next += 1;
            held.insert(*next, bytes.to_vec());
            Ok(*next)
        })
    }

    unsafe fn read(&self, extent: u32, into: &mut [u8]) -> Result<(), SpillError> {
        let bytes = self.with(|(_, held)| held[&extent].clone());
        // Somebody may free it now, who must not.
        thread::yield_now();
        assert!(self.with(|(_, held)| held.get(&extent) == Some(&bytes)), "it was freed");
        if Self::fails(&self.reads_fail) {
            return Err(SpillError::Device(5));
        }
        into.copy_from_slice(&bytes);
        Ok(())
    }

    unsafe fn free(&self, extent: u32) {
        assert!(self.with(|(_, held)| held.remove(&extent)).is_some(), "freed twice");
    }

    fn capacity(&self) -> u64 {
        u64::MAX
    }

    fn used(&self) -> u64 {
        self.with(|(_, held)| held.len() as u64)
    }
}

/// What came, in order, and what was lost.
#[derive(Default)]
struct Tally {
    last: [u8; 2],
    received: u32,
    lost: u32,
}

impl Tally {
    /// A message: its sender, its number, and that again until its end.
    fn note(&mut self, message: &[u8]) {
        let [sender, number] = [message[0] >> 4, message[0] & 15];
        assert!(message.iter().all(|&byte| byte == message[0]), "bytes of two messages");
        let last = &mut self.last[usize::from(sender)];
        assert!(*last < number, "{number} of {sender} came after {last}");
        *last = number;
        self.received += 1;
    }
}

const EACH: u8 = 3;

/// Two senders, two receivers, one who does housekeeping, and one who takes memory now and then.
fn traffic(target: &dyn SpillTarget, may_lose: bool) {
    let hall = Hall::new();
    let spill = Spill::over(&hall, target, Watermarks::new(50, 30));
    let queue = Queue::new(&spill, Policy::ColdFirst);
    let (sending, working) = (AtomicUsize::new(2), AtomicUsize::new(4));
    let stop = Channel::<Lock, (), Buffered<4>>::new();
    let lost = AtomicU32::new(0);
    let counts = together(6, async |thread| {
        let mut tally = Tally::default();
        match thread {
            0 | 1 => {
                for number in 1..=EACH {
                    let bytes = [(thread as u8) << 4 | number; PAGE];
                    let bytes = &bytes[..1 + below(PAGE as u32) as usize];
                    if below(2) == 0 {
                        queue.send_bytes(bytes).await.expect("open, and it can fit");
                    } else {
                        let mut lease = hall.alloc(bytes.len()).await.expect("it can fit");
                        lease.copy_from_slice(bytes);
                        queue.send(lease).await.expect("open");
                    }
                }
                if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
                    queue.close();
                }
            }
            2 | 3 => loop {
                let received = match below(3) {
                    0 => queue.recv().await,
                    1 => {
                        // Given up wherever it has come to.
                        let mut receive = pin!(queue.recv());
                        let mut cx = Context::from_waker(Waker::noop());
                        let mut polls = (0..=below(2)).map(|_| receive.as_mut().poll(&mut cx));
                        match polls.find(Poll::is_ready) {
                            Some(Poll::Ready(received)) => received,
                            _ => {
                                thread::yield_now();
                                continue;
                            }
                        }
                    }
                    _ => {
                        let _ = stop.try_send(());
                        match select((stop.recv(), queue.recv())).await {
                            Either::First(_) => continue,
                            Either::Second(received) => received,
                        }
                    }
                };
                match received {
                    Ok(message) => tally.note(&message),
                    Err(SpillRecvError::Lost(why)) => {
                        assert!(may_lose, "{why}");
                        tally.lost += 1;
                    }
                    Err(error) => break assert_eq!(error, SpillRecvError::Closed),
                }
            },
            4 => {
                while working.load(Ordering::Relaxed) > 0 {
                    queue.step(below(80) as usize);
                    assert!(queue.spilled().reconciles());
                    thread::yield_now();
                }
            }
            _ => {
                for _ in 0..3 {
                    let pages = 1 + below(3) as usize;
                    let _taken = hall.try_alloc(pages * PAGE);
                    thread::yield_now();
                }
            }
        }
        if thread < 4 {
            working.fetch_sub(1, Ordering::Relaxed);
        }
        lost.fetch_add(tally.lost, Ordering::Relaxed);
        tally.received
    });
    let lost = lost.into_inner();
    assert_eq!(counts.iter().sum::<u32>() + lost, 2 * u32::from(EACH));
    let now = queue.spilled();
    assert_eq!((now, now.messages, now.lost), (spill.snapshot(), 0, lost));
    assert!(now.reconciles() && now.used == 0, "{now:?}");
    drop(queue);
    let snapshot = hall.snapshot();
    assert_eq!((snapshot.live, snapshot.waiting), (0, 0), "something was not given back");
    assert!(hall.handle().verify().is_clean());
}

#[test]
fn what_is_moved_out_and_back_is_received_once() {
    explore(|| traffic(&Faulty::default(), false));
}

#[test]
fn a_target_that_fails_meanwhile_loses_what_it_says() {
    explore(|| {
        let target = Faulty::default();
        target.stores_fail.store(true, Ordering::Relaxed);
        target.reads_fail.store(below(2) == 0, Ordering::Relaxed);
        traffic(&target, true);
    });
}

/// Extents are taken and given back without a lock, and there are fewer than messages: senders wait for them.
#[test]
fn a_small_target_that_lends_is_used_again_and_again() {
    explore(|| {
        let mut memory = [0; 3 * PAGE];
        let extents = Extents::new([Class { bytes: PAGE as u32, count: 3 }], Word::free::<1>());
        traffic(&MemoryTarget::new(&mut memory, extents), false);
    });
}
