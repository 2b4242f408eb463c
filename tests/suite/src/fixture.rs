//! What tests are made of: a waker that counts, values that count, and statics for a lock.

use core::future::Future;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Channel, ChannelSnapshot};
use cloakroom::kernel::{Kernel, Next, TaskSlot, TimerQueue};
use cloakroom::sync::RawMutex;

use crate::check::Outcome;

/// Statics for a lock that may be shared. Every test leaves them as it found them.
pub struct Stage<M: RawMutex + 'static> {
    /// Where tasks live.
    pub arena: Arena<M, 24, 64, 12>,
    /// Where one lives.
    pub slot: TaskSlot<M, 96>,
    /// What polls them.
    pub kernel: Kernel<M>,
    /// What they wait on.
    pub inbox: Channel<M, u32, Buffered<2>>,
    /// What they wait on for room.
    pub outbox: Channel<M, u32, Buffered<1>>,
    /// What they leave behind.
    pub notes: [AtomicU32; 4],
}

impl<M: RawMutex + Sync + 'static> Stage<M> {
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self {
            arena: Arena::new(),
            slot: TaskSlot::new(),
            kernel: Kernel::new(),
            inbox: Channel::new(),
            outbox: Channel::new(),
            notes: [const { AtomicU32::new(0) }; 4],
        }
    }

    /// Polls until nothing is ready.
    pub(crate) fn run(&self) {
        let now = self.kernel.timers().now();
        while self.kernel.poll(now) == Next::Ready {}
    }

    /// Notes down one more.
    pub(crate) fn note(&self, number: usize) -> u32 {
        // A processor without compare-and-swap has loads and stores only; tests have one thread.
        let count = self.notes[number].load(Relaxed) + 1;
        self.notes[number].store(count, Relaxed);
        count
    }

    /// What was noted, which starts again from 0.
    pub(crate) fn noted(&self, number: usize) -> u32 {
        let count = self.notes[number].load(Relaxed);
        self.notes[number].store(0, Relaxed);
        count
    }

    /// Whether all is as it was before the first test.
    pub(crate) fn is_as_found(&self) -> Outcome {
        check_eq!(self.kernel.snapshot().tasks, 0);
        check_eq!(self.arena.snapshot().live, 0);
        check!(self.arena.handle().verify().is_clean());
        check!(!self.slot.is_taken());
        check!(self.inbox.is_empty());
        check!(reconciles(&self.inbox.snapshot()));
        check!(self.outbox.is_empty());
        check!(reconciles(&self.outbox.snapshot()));
        check!(self.kernel.timers().next_deadline().is_none());
        Ok(())
    }
}

/// A lock that may be shared, with statics for it. Made by [`place!`](crate::place).
pub trait Place: 'static {
    /// The lock.
    type Lock: RawMutex + Send + Sync + 'static;
    /// The statics.
    fn stage() -> &'static Stage<Self::Lock>;
}

/// Defines a [`Place`]: `place!(Name, Lock)`.
#[macro_export]
macro_rules! place {
    ($name:ident, $lock:ty) => {
        #[doc = concat!("Where the tests run under `", stringify!($lock), "`.")]
        pub struct $name;

        impl $crate::Place for $name {
            type Lock = $lock;
            fn stage() -> &'static $crate::Stage<$lock> {
                static STAGE: $crate::Stage<$lock> = $crate::Stage::new();
                &STAGE
            }
        }
    };
}

/// Whether a channel's counters add up: every value that was sent is somewhere.
pub(crate) fn reconciles(snapshot: &ChannelSnapshot) -> bool {
    let depth = snapshot.depth as u32;
    snapshot.sent == snapshot.received.wrapping_add(depth).wrapping_add(snapshot.dropped)
}

/// Counts wake-ups, and the wakers that exist.
pub(crate) struct Witness {
    wakes: AtomicU32,
    wakers: AtomicU32,
    /// Wakers point here.
    _pinned: PhantomPinned,
}

impl Witness {
    pub(crate) fn new() -> Self {
        Self { wakes: AtomicU32::new(0), wakers: AtomicU32::new(0), _pinned: PhantomPinned }
    }

    /// How often it has been woken since the last time it was asked.
    pub(crate) fn wakes(&self) -> u32 {
        let wakes = self.wakes.load(Relaxed);
        self.wakes.store(0, Relaxed);
        wakes
    }

    /// Polls a future once, with this as the waker.
    pub(crate) fn poll<F: Future>(self: Pin<&Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        let waker = self.waker();
        future.poll(&mut Context::from_waker(&waker))
    }

    fn waker(self: Pin<&Self>) -> Waker {
        add(&self.wakers, 1);
        // SAFETY: the vtable counts, and does nothing else. The pointer is good for as long as any of
        // the wakers exists: the witness is pinned, so it is dropped before its memory is used for
        // anything else, and its drop does not return while there is a waker.
        unsafe { Waker::from_raw(RawWaker::new((&raw const *self).cast(), &VTABLE)) }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        assert!(self.wakers.load(Relaxed) == 0, "a waker was kept, or dropped twice");
    }
}

const VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        add(&behind(data).wakers, 1);
        RawWaker::new(data, &VTABLE)
    },
    |data| {
        add(&behind(data).wakes, 1);
        add(&behind(data).wakers, u32::MAX);
    },
    |data| add(&behind(data).wakes, 1),
    |data| add(&behind(data).wakers, u32::MAX),
);

fn behind<'a>(data: *const ()) -> &'a Witness {
    // SAFETY: `data` comes from a waker that `Witness::waker` made, or from a clone of it, and the
    // witness outlives those; see there. The reference is used up within the vtable's function.
    unsafe { &*data.cast::<Witness>() }
}

/// Adds, wrapping, without compare-and-swap: tests have one thread.
fn add(counter: &AtomicU32, count: u32) {
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}

/// Defines pinned witnesses.
macro_rules! witness {
    ($($name:ident),+) => {
        $(
            let $name = core::pin::pin!($crate::fixture::Witness::new());
            let $name = $name.as_ref();
        )+
    };
}
pub(crate) use witness;

/// A value that counts how many of its kind exist.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    pub(crate) fn new(count: &'a AtomicU32) -> Self {
        add(count, 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        add(self.0, u32::MAX);
    }
}

/// Numbers without a pattern, the same in every run (Marsaglia's xorshift).
pub(crate) struct Numbers(u32);

impl Numbers {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}
