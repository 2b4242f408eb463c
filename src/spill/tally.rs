//! What has gone out, and what became of it: of a channel, and of all channels that share a place.

use super::target::SpillError;
use crate::channel::SpillSnapshot;
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// How a spilled payload ended.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// In the arena again.
    Back,
    /// Lent to a receiver, who is done with it.
    Lent,
    /// Its bytes cannot be read, or are others.
    Lost,
    /// Nobody wanted it.
    Dropped,
}

/// Something to be counted.
#[derive(Clone, Copy)]
pub(super) enum Event {
    /// A payload of so many bytes is in the target.
    Out(u32),
    /// One that had waited was moved out.
    Moved,
    /// One was moved back before it was received.
    Fetched,
    /// The target did not do what it was asked for.
    Failed(SpillError),
    /// A payload of so many bytes has ended.
    Ended(u32, Way),
}

/// Counters. They are read and written under one lock, the place's, whoever's they are: so a message counts for its channel and for all
/// in the same moment, and every snapshot reconciles. They are atomics (loaded and stored, never exchanged) as the lock is another object's;
/// relaxed, as it orders them.
pub(super) struct Tally {
    messages: AtomicU32,
    bytes: AtomicUsize,
    out: AtomicU32,
    moved: AtomicU32,
    back: AtomicU32,
    fetched: AtomicU32,
    lent: AtomicU32,
    lost: AtomicU32,
    dropped: AtomicU32,
    full: AtomicU32,
    failed: AtomicU32,
}

fn add(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl Tally {
    pub(super) const fn new() -> Self {
        Self {
            messages: AtomicU32::new(0),
            bytes: AtomicUsize::new(0),
            out: AtomicU32::new(0),
            moved: AtomicU32::new(0),
            back: AtomicU32::new(0),
            fetched: AtomicU32::new(0),
            lent: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            full: AtomicU32::new(0),
            failed: AtomicU32::new(0),
        }
    }

    /// Under the place's lock.
    pub(super) fn count(&self, event: Event) {
        match event {
            Event::Out(len) => {
                add(&self.out);
                self.hold(1, len as usize);
            }
            Event::Moved => add(&self.moved),
            Event::Fetched => add(&self.fetched),
            Event::Failed(SpillError::Full) => add(&self.full),
            Event::Failed(SpillError::Device(_) | SpillError::Damaged) => add(&self.failed),
            Event::Ended(len, way) => {
                add(match way {
                    Way::Back => &self.back,
                    Way::Lent => &self.lent,
                    Way::Lost => &self.lost,
                    Way::Dropped => &self.dropped,
                });
                self.hold(1_u32.wrapping_neg(), (len as usize).wrapping_neg());
            }
        }
    }

    /// So many more are in the target.
    fn hold(&self, messages: u32, bytes: usize) {
        self.messages.store(self.messages.load(Relaxed).wrapping_add(messages), Relaxed);
        self.bytes.store(self.bytes.load(Relaxed).wrapping_add(bytes), Relaxed);
    }

    /// Under the place's lock.
    pub(super) fn snapshot(&self) -> SpillSnapshot {
        let read = |counter: &AtomicU32| counter.load(Relaxed);
        SpillSnapshot {
            messages: read(&self.messages),
            bytes: self.bytes.load(Relaxed) as u64,
            out: read(&self.out),
            moved: read(&self.moved),
            back: read(&self.back),
            fetched: read(&self.fetched),
            lent: read(&self.lent),
            lost: read(&self.lost),
            dropped: read(&self.dropped),
            full: read(&self.full),
            failed: read(&self.failed),
            ..SpillSnapshot::default()
        }
    }
}
