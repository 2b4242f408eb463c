//! Channels, arenas and kernels by name.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::collected::Report;
use super::watch::Watch;
use crate::channel::{AnyArena, Compete, HasChannel};
use crate::kernel::{Clock, Kernel, TimerQueue};
use crate::report::{Action, Begin, Name, Outcome, Record};
use crate::std_layer::StdClock;
use crate::sync::RawMutex;

/// What a process reports on. Cloning gives another handle to the same registry.
///
/// Registering allocates; collecting allocates vectors and takes the own locks of what is registered, one at a time and
/// for a moment: a channel's once; a kernel's once, and once its timers'; an arena's for its figures, for each of its homes, and
/// for each of its descriptors, as the pages in hand and at rest are counted by a walk.
///
/// Names are cut to 32 bytes, see [`Name`]. Of several things of one sort that would be called the same, those that come
/// later are told from the first by a number: `jobs`, `jobs~7`. The number is never used again.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    source: Name,
    clock: StdClock,
    reports: AtomicU32,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// The next number: none is used twice.
    next: u64,
    /// In the order in which they were registered.
    all: Vec<Numbered>,
    names: HashSet<(Sort, Name)>,
}

struct Numbered {
    number: u64,
    sort: Sort,
    name: Name,
    entry: Arc<dyn Entry>,
}

/// What has names of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sort {
    Channel,
    Arena,
    Kernel,
}

/// Something that is registered.
trait Entry: Send + Sync {
    /// Adds what there is to say about it, under its name; nothing if it has gone.
    fn report(&self, name: &Name, detail: Detail, records: &mut Vec<Record>);
    /// Does something to it. `None` if it has gone.
    fn act(&self, action: Action) -> Option<Outcome>;
}

/// How much is reported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Figures,
    /// Every payload, too.
    Payloads,
}

/// Something is registered: until this is dropped.
#[must_use = "what is registered is removed when this is dropped"]
pub struct Registered {
    registry: Registry,
    number: u64,
}

impl Registered {
    /// Leaves it registered for the rest of the process, or until it has gone.
    pub fn keep(self) {
        core::mem::forget(self);
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut entries = self.registry.entries();
        let place = entries.all.iter().position(|entry| entry.number == self.number);
        let removed = place.map(|place| entries.all.remove(place));
        if let Some(removed) = &removed {
            entries.names.remove(&(removed.sort, removed.name));
        }
        drop(entries);
        // Whatever it kept goes outside the lock: it may be something that is registered itself.
        drop(removed);
    }
}

impl Registry {
    /// An empty one. `source` is what its reports say they are of; a [`Name`] is cut to 32 bytes.
    pub fn new(source: &str) -> Self {
        Self {
            shared: Arc::new(Shared {
                source: Name::new(source),
                clock: StdClock::new(),
                reports: AtomicU32::new(0),
                entries: Mutex::default(),
            }),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing that can panic is done under the lock.
        self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, sort: Sort, name: &str, entry: impl Entry + 'static) -> Registered {
        let mut entries = self.entries();
        let number = entries.next;
        entries.next += 1;
        let plain = Name::new(name);
        // Somebody may have chosen just the name with this number.
        let numbered = (number..).map(|number| plain.numbered(number));
        let mut names = core::iter::once(plain).chain(numbered);
        let free = names.find(|name| entries.names.insert((sort, *name)));
        let name = free.unwrap_or(plain);
        entries.all.push(Numbered { number, sort, name, entry: Arc::new(entry) });
        drop(entries);
        Registered { registry: self.clone(), number }
    }

    /// Registers a channel of any kind and payload. It can be closed from outside, and not be drained; see
    /// [`drainable`](Self::drainable).
    pub fn channel<W: Watch<Target: HasChannel>>(&self, name: &str, channel: W) -> Registered {
        self.add(Sort::Channel, name, WatchedChannel { channel, drain: None })
    }

    /// Registers a channel whose receivers compete, so that what is in it can be dropped from outside. Not for
    /// broadcasts, which nobody can receive for all.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use cloakroom::channel::{Buffered, Channel};
    /// use cloakroom::report::{Action, Outcome};
    /// use cloakroom::std_layer::{StdRawMutex, report::Registry};
    ///
    /// let registry = Registry::new("server");
    /// let jobs: Arc<Channel<StdRawMutex, u32, Buffered<8>>> = Arc::default();
    /// let _registered = registry.drainable("jobs", Arc::downgrade(&jobs));
    /// jobs.try_send_many([1, 2])?;
    /// assert_eq!(registry.act("jobs", Action::Drain), Outcome::Done(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drainable<W>(&self, name: &str, channel: W) -> Registered
    where
        W: Watch<Target: HasChannel>,
        <W::Target as HasChannel>::Kind: Compete<<W::Target as HasChannel>::Value>,
    {
        let drain = |target: &W::Target| target.channel().drain().count() as u64;
        self.add(Sort::Channel, name, WatchedChannel { channel, drain: Some(drain) })
    }

    /// Registers an arena.
    pub fn arena<M, W>(&self, name: &str, arena: W) -> Registered
    where
        M: RawMutex + 'static,
        W: Watch<Target: AnyArena<M>>,
    {
        self.add(Sort::Arena, name, WatchedArena { arena, lock: core::marker::PhantomData })
    }

    /// Registers a kernel.
    pub fn kernel<M, T>(&self, name: &str, kernel: &'static Kernel<M, T>) -> Registered
    where
        M: RawMutex + Sync + 'static,
        T: TimerQueue + Sync + 'static,
    {
        self.add(Sort::Kernel, name, WatchedKernel { kernel })
    }

    /// A snapshot of everything that is registered and still there. No lock is held across two of them.
    pub fn collect(&self) -> Report {
        self.collect_with(Detail::Figures)
    }

    /// As [`collect`](Self::collect), with every payload of the arenas: much, and each looked at in a critical
    /// section of its own.
    pub fn dump(&self) -> Report {
        self.collect_with(Detail::Payloads)
    }

    fn collect_with(&self, detail: Detail) -> Report {
        let begin = Begin {
            source: self.shared.source,
            sequence: self.shared.reports.fetch_add(1, Ordering::Relaxed),
            ticks: self.shared.clock.now(),
            ticks_per_second: StdClock::TICKS_PER_SECOND,
        };
        let mut records = Vec::new();
        for (name, entry) in self.all() {
            entry.report(&name, detail, &mut records);
        }
        Report { begin, records }
    }

    /// What is registered now. Looked at without the registry's lock, as the last holder of a channel may go
    /// meanwhile, and its drop may do anything.
    fn all(&self) -> Vec<(Name, Arc<dyn Entry>)> {
        self.entries().all.iter().map(|entry| (entry.name, entry.entry.clone())).collect()
    }

    /// Does something to the first thing of this name that is still there.
    pub fn act(&self, name: &str, action: Action) -> Outcome {
        let name = Name::new(name);
        let all = self.all();
        let mut named = all.iter().filter(|(own, _)| *own == name);
        named.find_map(|(_, entry)| entry.act(action)).unwrap_or(Outcome::Unknown)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("source", &self.shared.source).finish_non_exhaustive()
    }
}

struct WatchedChannel<W: Watch> {
    channel: W,
    drain: Option<fn(&W::Target) -> u64>,
}

impl<W: Watch<Target: HasChannel>> Entry for WatchedChannel<W> {
    fn report(&self, name: &Name, _detail: Detail, records: &mut Vec<Record>) {
        let snapshot = self.channel.look(|target| target.channel().snapshot());
        let Some(snapshot) = snapshot else { return };
        records.push(Record::channel(name, snapshot));
        records.extend(Record::queueing(name, &snapshot));
    }

    fn act(&self, action: Action) -> Option<Outcome> {
        self.channel.look(|target| match (action, self.drain) {
            (Action::Close, _) => Outcome::Done(target.channel().close().into()),
            (Action::Drain, Some(drain)) => Outcome::Done(drain(target)),
            _ => Outcome::Unsuited,
        })
    }
}

struct WatchedArena<M, W> {
    arena: W,
    lock: core::marker::PhantomData<fn() -> M>,
}

impl<M: RawMutex + 'static, W: Watch<Target: AnyArena<M>>> Entry for WatchedArena<M, W> {
    fn report(&self, name: &Name, detail: Detail, records: &mut Vec<Record>) {
        self.arena.look(|target| {
            let arena = target.any();
            records.push(Record::arena(name, arena.snapshot(), Some(arena.census())));
            records.extend(arena.homes().map(|home| Record::home(name, home)));
            if detail == Detail::Payloads {
                records.extend(arena.dump().map(|payload| Record::ticket(name, payload)));
            }
        });
    }

    fn act(&self, action: Action) -> Option<Outcome> {
        self.arena.look(|target| match action {
            Action::Compact => Outcome::Done(target.any().compact(usize::MAX).pages_moved as u64),
            _ => Outcome::Unsuited,
        })
    }
}

struct WatchedKernel<M: RawMutex + Sync + 'static, T: 'static> {
    kernel: &'static Kernel<M, T>,
}

impl<M: RawMutex + Sync + 'static, T: TimerQueue + Sync + 'static> Entry for WatchedKernel<M, T> {
    fn report(&self, name: &Name, _detail: Detail, records: &mut Vec<Record>) {
        records.push(Record::kernel(name, self.kernel.snapshot()));
    }

    fn act(&self, _action: Action) -> Option<Outcome> {
        Some(Outcome::Unsuited)
    }
}
