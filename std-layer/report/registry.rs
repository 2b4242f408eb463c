//! Channels, arenas and kernels by name.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::collected::Report;
use super::reap::reap;
use super::sightings::Sightings;
use super::watch::Watch;
use crate::arena::{ArenaRef, Census};
use crate::channel::{AnyArena, Compete, HasChannel};
use crate::kernel::{Clock, Kernel, TimerQueue};
use crate::report::{Action, ArenaRecord, Begin, Name, Orphans, Outcome, Record, TicketRecord};
#[cfg(feature = "spill")]
use crate::spill::{Slot, SpillBytes, TrySpillRecvError};
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
    orphan_age: AtomicU32,
    /// In the order in which they were registered; with their numbers, which are never used twice.
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
    /// Looks at what waits in it, under its name.
    fn look_into(&self, _name: &Name, _sightings: &mut Sightings) {}
    /// Adds what there is to say about it, under its name; nothing if it has gone.
    fn report(&self, name: &Name, detail: Detail<'_>, records: &mut Vec<Record>);
    /// Does something to it. `None` if it has gone.
    fn act(&self, action: Action, registry: &Registry) -> Option<Outcome>;
}

/// How much is reported.
#[derive(Clone, Copy)]
enum Detail<'r> {
    Figures,
    /// Every payload, too, with where it was seen to wait.
    Payloads(&'r Registry, &'r Sightings),
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
                orphan_age: AtomicU32::new(Self::ORPHAN_AGE),
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

    /// Registers a channel that spills, with what is out of it. It can be closed and drained from outside; what the target keeps back then
    /// stays.
    ///
    /// ```
    /// use cloakroom::channel::Buffered;
    /// use cloakroom::spill::{Class, Extents, MemoryTarget, Policy, Spill, SpillBytes, Watermarks, Word};
    /// use cloakroom::std_layer::{StdRawMutex as Lock, report::Registry};
    /// use cloakroom::Arena;
    ///
    /// static ARENA: Arena<Lock, 8, 64, 8> = Arena::new();
    /// let memory = Box::leak(Box::new([0; 512]));
    /// let extents = Extents::new([Class { bytes: 64, count: 8 }], Word::free::<1>());
    /// let target = Box::leak(Box::new(MemoryTarget::new(memory, extents)));
    /// let spill = Box::leak(Box::new(Spill::over(&ARENA, target, Watermarks::new(50, 25))));
    /// let log: &SpillBytes<'_, Lock, Buffered<8>> =
    ///     Box::leak(Box::new(SpillBytes::new(spill, Policy::ColdFirst)));
    ///
    /// let registry = Registry::new("server");
    /// registry.spilling("log", log).keep();
    /// for _ in 0..6 {
    ///     log.try_send_bytes(b"a line")?;
    /// }
    /// let report = registry.collect();
    /// assert_eq!(report.channel("log").map(|log| log.depth), Some(6));
    /// assert_eq!(report.spilled("log").map(|log| log.messages), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "spill")]
    pub fn spilling<M, S, W>(&self, name: &str, channel: W) -> Registered
    where
        M: RawMutex + Sync + 'static,
        S: Compete<Slot<'static, M>> + 'static,
        W: Watch<Target = SpillBytes<'static, M, S>>,
    {
        self.add(Sort::Channel, name, WatchedSpill { channel })
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

    /// The [orphan age](Self::set_orphan_age) at first: a minute, if the arenas are told milliseconds.
    pub const ORPHAN_AGE: u32 = 60_000;

    /// From what age on a payload that is at rest and waits in no registered channel is called an
    /// [orphan](crate::report::TicketState::Orphan) in a dump: so many ticks of its arena after its allocation, longer
    /// than a message may be under way. Ages are known with the `stamps` feature.
    pub fn set_orphan_age(&self, ticks: u32) {
        self.shared.orphan_age.store(ticks, Ordering::Relaxed);
    }

    /// A snapshot of everything that is registered and still there. No lock is held across two of them.
    pub fn collect(&self) -> Report {
        self.collect_with(Detail::Figures)
    }

    /// As [`collect`](Self::collect), with every payload of the arenas: its state, and the channel in which it waits.
    /// That is much: each payload is looked at in a critical section of its own, and so is each value in the registered
    /// channels. Sends and receives pay nothing for it but that.
    ///
    /// So a dump is no picture of one moment. The channels are looked through first, and for what would be an orphan
    /// a second time, in the opposite order.
    ///
    /// * What stays in a channel, or with a sender that waits, is shown there. Its position is that of the moment at
    ///   which it was looked at: under traffic two payloads may have the same one.
    /// * What came into a channel since it was looked at is [dehydrated](crate::report::TicketState::Dehydrated); what
    ///   left it since is shown where it was.
    /// * What is taken from one channel and put into another just then may be seen in neither, and so may what a sender
    ///   holds that has been told to go on and has not been polled since. If it is older than the
    ///   [orphan age](Self::set_orphan_age), it is called an orphan. Two dumps in which it is one say more.
    /// * What lies inside a value of a type of your own, in a channel that is not registered, or in a future that has
    ///   not been polled yet, is not seen. Parcels and tickets are, as values of channels.
    pub fn dump(&self) -> Report {
        let sightings = self.sightings(false);
        self.collect_with(Detail::Payloads(self, &sightings))
    }

    /// What waits in the registered channels.
    pub(super) fn sightings(&self, backwards: bool) -> Sightings {
        let mut all = self.all();
        if backwards {
            all.reverse();
        }
        let mut sightings = Sightings::none();
        all.iter().for_each(|(name, entry)| entry.look_into(name, &mut sightings));
        sightings
    }

    fn collect_with(&self, detail: Detail<'_>) -> Report {
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
    ///
    /// [Reaping](Action::Reap) takes a moment: the registered channels are looked through twice, with a pause. Whatever
    /// is in one of them, or is the value of a send that waits for one, from the first look to the last, is not freed,
    /// whatever its age; if a channel does not show everything (see
    /// [`is_whole`](crate::channel::Walk::is_whole)), nothing is freed, and the outcome is [`Busy`](Outcome::Busy).
    /// Payloads may be freed of which somebody has the number, or a parcel: they get a stale error. So the age should be
    /// longer than a message is ever under way, and channels that carry payloads should be registered.
    pub fn act(&self, name: &str, action: Action) -> Outcome {
        let name = Name::new(name);
        let all = self.all();
        let mut named = all.iter().filter(|(own, _)| *own == name);
        named.find_map(|(_, entry)| entry.act(action, self)).unwrap_or(Outcome::Unknown)
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
    fn look_into(&self, name: &Name, sightings: &mut Sightings) {
        self.channel.look(|target| sightings.look_into(*name, target.channel()));
    }

    fn report(&self, name: &Name, _detail: Detail<'_>, records: &mut Vec<Record>) {
        let snapshot = self.channel.look(|target| target.channel().snapshot());
        let Some(snapshot) = snapshot else { return };
        records.push(Record::channel(name, snapshot));
        records.extend(Record::queueing(name, &snapshot));
    }

    fn act(&self, action: Action, _registry: &Registry) -> Option<Outcome> {
        self.channel.look(|target| match (action, self.drain) {
            (Action::Close, _) => Outcome::Done(target.channel().close().into()),
            (Action::Drain, Some(drain)) => Outcome::Done(drain(target)),
            _ => Outcome::Unsuited,
        })
    }
}

#[cfg(feature = "spill")]
struct WatchedSpill<W> {
    channel: W,
}

#[cfg(feature = "spill")]
impl<M, S, W> Entry for WatchedSpill<W>
where
    M: RawMutex + Sync + 'static,
    S: Compete<Slot<'static, M>> + 'static,
    W: Watch<Target = SpillBytes<'static, M, S>>,
{
    fn look_into(&self, name: &Name, sightings: &mut Sightings) {
        self.channel.look(|target| sightings.look_into(*name, target.queue()));
    }

    fn report(&self, name: &Name, _detail: Detail<'_>, records: &mut Vec<Record>) {
        let snapshots = self.channel.look(|target| (target.snapshot(), target.spilled()));
        let Some((queue, spilled)) = snapshots else { return };
        records.extend([Record::channel(name, queue), Record::spilled(name, spilled)]);
    }

    fn act(&self, action: Action, _registry: &Registry) -> Option<Outcome> {
        self.channel.look(|target| match action {
            Action::Close => Outcome::Done(target.close().into()),
            Action::Drain => {
                let gone =
                    |received: &_| matches!(received, Ok(_) | Err(TrySpillRecvError::Lost(_)));
                let drained = core::iter::repeat_with(|| target.try_recv()).take_while(gone);
                Outcome::Done(drained.count() as u64)
            }
            _ => Outcome::Unsuited,
        })
    }
}

struct WatchedArena<M, W> {
    arena: W,
    lock: core::marker::PhantomData<fn() -> M>,
}

impl<M: RawMutex + 'static, W: Watch<Target: AnyArena<M>>> Entry for WatchedArena<M, W> {
    fn report(&self, name: &Name, detail: Detail<'_>, records: &mut Vec<Record>) {
        self.arena.look(|target| {
            let arena = target.any();
            let homes: Vec<_> = arena.homes().collect();
            let mut by_home = std::vec![Census::default(); homes.len()];
            let (snapshot, census) = (arena.snapshot(), arena.census_by_home(&mut by_home));
            let (mut tickets, mut orphans) = (Vec::new(), None);
            if let Detail::Payloads(registry, sightings) = detail {
                tickets = payloads(name, arena, registry, sightings);
                orphans = Some(tickets.iter().fold(Orphans::default(), Orphans::with));
            }
            records.push(Record::Arena(ArenaRecord {
                name: *name,
                snapshot,
                census: Some(census),
                orphans,
            }));
            let homes = homes.into_iter().zip(by_home);
            records.extend(homes.map(|(home, held)| Record::home(name, home, Some(held))));
            records.extend(tickets.into_iter().map(Record::Ticket));
        });
    }

    fn act(&self, action: Action, registry: &Registry) -> Option<Outcome> {
        self.arena.look(|target| match action {
            Action::Compact => Outcome::Done(target.any().compact(usize::MAX).pages_moved as u64),
            Action::Reap { age } => reap(registry, target.any(), age),
            _ => Outcome::Unsuited,
        })
    }
}

/// What there is to say of an arena's payloads.
fn payloads<M: RawMutex>(
    name: &str,
    arena: ArenaRef<'_, M>,
    registry: &Registry,
    sightings: &Sightings,
) -> Vec<TicketRecord> {
    let age = registry.shared.orphan_age.load(Ordering::Relaxed);
    let place = |payload| sightings.place(arena, TicketRecord::new(name, payload));
    let mut tickets: Vec<TicketRecord> = arena.dump().map(place).collect();
    if tickets.iter().any(|ticket| ticket.is_at_large(age)) {
        // They may be on the way from one channel to another.
        let again = registry.sightings(true);
        for ticket in tickets.iter_mut().filter(|ticket| ticket.is_at_large(age)) {
            *ticket = again.place(arena, *ticket).orphaned_at(age);
        }
    }
    follow_runs(&mut tickets);
    tickets
}

/// The later runs of scattered payloads are what the first ones are: only these have tickets.
fn follow_runs(tickets: &mut [TicketRecord]) {
    let place = |tickets: &[TicketRecord], descriptor| {
        // They are in the order of their descriptors.
        tickets.binary_search_by_key(&descriptor, |ticket| ticket.dump.descriptor).ok()
    };
    for first in 0..tickets.len() {
        let head = tickets[first];
        let mut next = head.dump.next.filter(|_| !head.dump.part);
        while let Some(at) = next.and_then(|descriptor| place(tickets, descriptor)) {
            let run = &mut tickets[at];
            // Of other payloads by now, if they were freed meanwhile.
            if !run.dump.part {
                break;
            }
            (run.state, run.place) = (head.state, head.place);
            next = run.dump.next;
        }
    }
}

struct WatchedKernel<M: RawMutex + Sync + 'static, T: 'static> {
    kernel: &'static Kernel<M, T>,
}

impl<M: RawMutex + Sync + 'static, T: TimerQueue + Sync + 'static> Entry for WatchedKernel<M, T> {
    fn report(&self, name: &Name, _detail: Detail<'_>, records: &mut Vec<Record>) {
        records.push(Record::kernel(name, self.kernel.snapshot()));
    }

    fn act(&self, _action: Action, _registry: &Registry) -> Option<Outcome> {
        Some(Outcome::Unsuited)
    }
}
