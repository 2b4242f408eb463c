//! The arena against a model: a plain list of what should be in it.
//!
//! Each step does one random operation on the arena and on the model and compares what comes out. The
//! arenas are small, so that full, fragmented and empty ones are met all the time, and of several
//! shapes: pages run out before descriptors, or descriptors before pages.
//!
//! The seed is fixed. `ARENA_MODEL_SEED=…` runs another history; a failure names its seed.

use cloakroom::arena::Home;
use cloakroom::sync::{CriticalSectionRawMutex, NoopRawMutex, RawMutex, SpinRawMutex};
use cloakroom::{Arena, ArenaRef, Lease, LeaseMut, Parcel, RedeemError, Ticket, TryAllocError};

/// Steps of each history. Twenty-four histories run: five million steps.
const STEPS: usize = 200_000;
/// As many of them, at the beginning, are followed by a full check of the arena's books; later ones
/// now and then.
const CHECKED_STEPS: usize = 4_000;
const CHECK_LATER: usize = 256;

/// SplitMix64 (Steele, Lea, Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// One payload, as it should be, with all handles to it.
struct Payload<'a, M: RawMutex> {
    bytes: Vec<u8>,
    pages: usize,
    /// Descriptors it takes: one, or one a run when it is scattered.
    rows: usize,
    /// 0 is the arena itself.
    home: usize,
    unique: Option<LeaseMut<'a, M>>,
    shared: Vec<Lease<'a, M>>,
    parcels: Vec<Parcel<'a, M>>,
    chain: Option<cloakroom::arena::Chain<'a, M>>,
    /// All tickets of one payload are the same number; this is how often it may be redeemed.
    tickets: usize,
    ticket: Option<Ticket>,
    scattered: bool,
}

impl<M: RawMutex> Payload<'_, M> {
    fn is_gone(&self) -> bool {
        self.unique.is_none()
            && self.shared.is_empty()
            && self.parcels.is_empty()
            && self.chain.is_none()
            && self.tickets == 0
    }
    fn in_hand(&self) -> bool {
        self.unique.is_some() || !self.shared.is_empty() || self.chain.is_some()
    }
}

struct Model<'a, M: RawMutex> {
    arena: ArenaRef<'a, M>,
    random: Random,
    payloads: Vec<Payload<'a, M>>,
    /// Tickets of payloads that are gone.
    stale: Vec<Ticket>,
    homes: Vec<(Home<'a, M>, usize, usize)>,
    page_size: usize,
    pages: usize,
    rows: usize,
    redeemed: usize,
    refused: usize,
}

impl<'a, M: RawMutex> Model<'a, M> {
    fn new(arena: ArenaRef<'a, M>, seed: u64) -> Self {
        let total = arena.snapshot();
        // One home with a minimum and a cap, one with a cap only.
        let homes = [(total.pages / 2 + 1, total.pages / 4), (total.pages / 3, 0)]
            .into_iter()
            .map(|(cap, min)| {
                let cap = cap.min(total.pages);
                (arena.open_home(cap, min).expect("an empty arena keeps any minimum"), cap, min)
            })
            .collect();
        Self {
            arena,
            random: Random(seed),
            payloads: Vec::new(),
            stale: Vec::new(),
            homes,
            page_size: total.page_size,
            pages: total.pages,
            rows: total.descriptors,
            redeemed: 0,
            refused: 0,
        }
    }

    fn free(&self) -> usize {
        self.pages - self.payloads.iter().map(|p| p.pages).sum::<usize>()
    }
    fn live(&self) -> usize {
        self.payloads.iter().map(|p| p.rows).sum()
    }
    fn used_by(&self, home: usize) -> usize {
        self.payloads.iter().filter(|p| p.home == home).map(|p| p.pages).sum()
    }
    /// What all homes but `except` were promised and do not use.
    fn promised(&self, except: usize) -> usize {
        self.homes
            .iter()
            .enumerate()
            .filter(|(at, _)| at + 1 != except)
            .map(|(at, (_, _, min))| min.saturating_sub(self.used_by(at + 1)))
            .sum()
    }

    /// Lengths of interest: nothing, edges of pages, everything, more than everything.
    fn some_len(&mut self) -> usize {
        let whole = self.pages * self.page_size;
        match self.random.below(40) {
            0 => 0,
            1 => whole,
            2 => whole + 1,
            3 => usize::MAX,
            4..12 => self.page_size * self.random.below(self.pages + 1),
            12..20 => self.random.below(whole + 1),
            _ => self.random.below(3 * self.page_size + 1),
        }
    }

    fn fill(&mut self, len: usize) -> Vec<u8> {
        let first = self.random.next() as u8;
        (0..len).map(|at| first.wrapping_add((at * 7) as u8)).collect()
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.payloads.len();
        (count > 0).then(|| self.random.below(count))
    }

    /// The longest free run, found the slow way.
    fn longest_run(&self) -> usize {
        let mut used = vec![false; self.pages];
        for payload in self.arena.dump() {
            for page in &mut used[payload.first_page..payload.first_page + payload.pages] {
                assert!(!*page, "two payloads on one page");
                *page = true;
            }
        }
        used.split(|&used| used).map(<[bool]>::len).max().unwrap_or(0)
    }

    /// Whether this many pages may be had now, wherever they lie.
    fn affordable(&self, home: usize, pages: usize) -> bool {
        let capped = home > 0 && self.used_by(home) + pages > self.homes[home - 1].1;
        !capped && self.live() < self.rows && pages <= self.free() - self.promised(home)
    }

    fn alloc(&mut self) {
        let len = self.some_len();
        let home = self.random.below(self.homes.len() + 1);
        let from_home = |home: usize| match home {
            0 => self.arena.try_alloc(len),
            home => self.homes[home - 1].0.try_alloc(len),
        };
        let pages = len.div_ceil(self.page_size);
        let cap = if home == 0 { self.pages } else { self.homes[home - 1].1 };
        let result = from_home(home);
        if pages > cap {
            assert_eq!(result.err(), Some(TryAllocError::TooLarge));
            return;
        }
        let affordable = self.affordable(home, pages);
        let mut lease = match result {
            Ok(lease) => {
                assert!(affordable, "{len} bytes were given that there are not");
                lease
            }
            Err(why) => {
                self.refused += 1;
                assert_eq!(why, TryAllocError::Full);
                if !affordable {
                    return;
                }
                // Refused for want of a run: runs of one size class (half an octave) are not searched
                // for the longest, so one a little longer than asked for may have been passed by.
                let longest = self.longest_run();
                assert!(
                    longest < pages + pages.div_ceil(2),
                    "{pages} pages refused, {longest} are free"
                );
                assert!(pages > 4 || longest < pages, "up to four pages are never passed by");
                // With nothing in hand, compaction must make the run.
                if self.payloads.iter().any(|p| p.in_hand()) {
                    return;
                }
                assert!(self.arena.compact(usize::MAX).finished);
                from_home(home).expect("a compacted arena gives whatever fits")
            }
        };
        assert_eq!(lease.len(), len);
        assert_eq!(lease.capacity(), pages * self.page_size);
        let bytes = self.fill(len);
        lease.copy_from_slice(&bytes);
        self.payloads.push(Payload {
            bytes,
            pages,
            rows: 1,
            home,
            unique: Some(lease),
            shared: Vec::new(),
            parcels: Vec::new(),
            chain: None,
            tickets: 0,
            ticket: None,
            scattered: false,
        });
    }

    fn alloc_scattered(&mut self) {
        let len = self.some_len();
        let pages = len.div_ceil(self.page_size);
        match self.arena.try_alloc_scattered(len) {
            Ok(mut chain) => {
                assert!(self.affordable(0, pages));
                assert_eq!(chain.len(), len);
                let bytes = self.fill(len);
                let half = len / 2;
                assert_eq!(chain.write_at(half, &bytes[half..]), len - half);
                assert_eq!(chain.write_at(0, &bytes[..half]), half);
                let rows = chain.segments().count();
                self.payloads.push(Payload {
                    bytes,
                    pages,
                    rows,
                    home: 0,
                    unique: None,
                    shared: Vec::new(),
                    parcels: Vec::new(),
                    chain: Some(chain),
                    tickets: 0,
                    ticket: None,
                    scattered: true,
                });
            }
            Err(TryAllocError::TooLarge) => assert!(len > self.pages * self.page_size),
            Err(TryAllocError::Full) => {
                // Fragmentation never refuses a scattered payload: pages or descriptors have run out.
                let rows_left = self.rows - self.live();
                assert!(!self.affordable(0, pages) || rows_left < pages);
            }
        }
    }

    /// Does something to a payload in hand.
    fn handle(&mut self, at: usize) {
        let choice = self.random.below(8);
        let whole = self.payloads[at].pages * self.page_size;
        let new_len = self.random.below(whole + 2);
        let first = self.random.next() as u8;
        let payload = &mut self.payloads[at];
        if let Some(mut lease) = payload.unique.take() {
            assert_eq!(lease[..], payload.bytes[..]);
            match choice {
                0 => {
                    lease.fill(first);
                    payload.bytes.fill(first);
                    payload.unique = Some(lease);
                }
                1 => {
                    // What was cut off is still there when it grows again: only the length changes.
                    let result = lease.set_len(new_len);
                    assert_eq!(result.is_ok(), new_len <= whole);
                    if new_len <= whole {
                        lease.fill(first);
                        payload.bytes = vec![first; new_len];
                    }
                    payload.unique = Some(lease);
                }
                2 => {
                    payload.ticket = Some(lease.deposit());
                    payload.tickets = 1;
                }
                3 => payload.parcels.push(lease.into_parcel()),
                4 => drop(lease),
                _ => payload.shared.push(lease.freeze()),
            }
        } else if let Some(chain) = payload.chain.take() {
            let read: Vec<u8> = chain.segments().flatten().copied().collect();
            assert_eq!(read, payload.bytes);
            match choice {
                0 | 1 => {
                    payload.ticket = Some(chain.deposit());
                    payload.tickets = 1;
                }
                2 | 3 => drop(chain),
                _ => payload.chain = Some(chain),
            }
        } else if let Some(lease) = payload.shared.pop() {
            assert_eq!(lease[..], payload.bytes[..]);
            match choice {
                0 | 1 => {
                    payload.shared.push(lease.clone());
                    payload.shared.push(lease);
                }
                2 => {
                    let ticket = lease.deposit().expect("far fewer than the count can take");
                    assert!(payload.ticket.is_none_or(|other| other == ticket));
                    payload.ticket = Some(ticket);
                    payload.tickets += 1;
                }
                3 => payload.parcels.push(lease.into_parcel().expect("as above")),
                4 => {
                    let alone = payload.shared.is_empty()
                        && payload.parcels.is_empty()
                        && payload.tickets == 0;
                    match lease.try_into_mut() {
                        Ok(lease) => {
                            assert!(alone, "a shared payload became writable");
                            payload.unique = Some(lease);
                        }
                        Err(lease) => {
                            assert!(!alone, "a payload with one handle is not writable");
                            payload.shared.push(lease);
                        }
                    }
                }
                _ => drop(lease),
            }
        }
        self.bury(at);
    }

    /// Redeems or discards what is at rest of a payload.
    fn redeem(&mut self, at: usize) {
        let choice = self.random.below(6);
        let payload = &mut self.payloads[at];
        if payload.tickets > 0 {
            let ticket = payload.ticket.expect("a payload with tickets has a number");
            if payload.scattered {
                assert!(matches!(self.arena.redeem(ticket), Err(RedeemError::Layout)));
            } else {
                assert!(matches!(self.arena.redeem_scattered(ticket), Err(RedeemError::Layout)));
            }
            payload.tickets -= 1;
            self.redeemed += 1;
            if choice == 0 {
                self.arena.discard(ticket).expect("a live ticket");
            } else if payload.scattered {
                let chain = self.arena.redeem_scattered(ticket).expect("a live ticket");
                assert!(chain.segments().flatten().eq(&payload.bytes));
                payload.chain = Some(chain);
            } else {
                let lease = self.arena.redeem(ticket).expect("a live ticket");
                assert_eq!(lease[..], payload.bytes[..]);
                payload.shared.push(lease);
            }
            if payload.tickets == 0 && payload.parcels.is_empty() {
                // Redeemed as often as deposited: the number is worth nothing, whether or not the
                // payload is still in hand.
                assert!(matches!(self.arena.redeem(ticket), Err(RedeemError::Stale)));
            }
        } else if let Some(parcel) = payload.parcels.pop() {
            assert_eq!(parcel.len(), payload.bytes.len());
            match choice {
                0 => drop(parcel),
                1 => {
                    payload.ticket = Some(parcel.into_ticket());
                    payload.tickets += 1;
                }
                _ => {
                    let lease = parcel.redeem().expect("an owned payload");
                    assert_eq!(lease[..], payload.bytes[..]);
                    payload.shared.push(lease);
                }
            }
        }
        self.bury(at);
    }

    /// Forgets a payload without handles; its ticket is stale from here on.
    fn bury(&mut self, at: usize) {
        if self.payloads[at].is_gone() {
            let payload = self.payloads.swap_remove(at);
            if let Some(ticket) = payload.ticket {
                if self.stale.len() >= 64 {
                    let place = self.random.below(64);
                    self.stale[place] = ticket;
                } else {
                    self.stale.push(ticket);
                }
            }
        }
    }

    fn try_bad_tickets(&mut self) {
        let forged = Ticket::from_bits(self.random.next());
        assert!(self.arena.redeem(forged).is_err(), "a random number was redeemed");
        if !self.stale.is_empty() {
            let place = self.random.below(self.stale.len());
            let stale = self.stale[place];
            for refusal in [self.arena.redeem(stale).err(), self.arena.discard(stale).err()] {
                assert_eq!(refusal, Some(RedeemError::Stale));
            }
            assert!(matches!(self.arena.redeem_scattered(stale), Err(RedeemError::Stale)));
        }
    }

    fn step(&mut self) {
        match self.random.below(32) {
            0..8 => self.alloc(),
            8 | 9 => self.alloc_scattered(),
            10 => {
                let budget = self.random.below(4);
                let compaction = self.arena.compact(budget);
                assert!(budget > 0 || compaction.pages_moved == 0);
            }
            11 if self.random.below(8) == 0 => {
                assert!(self.arena.compact(usize::MAX).finished);
                if !self.payloads.iter().any(|p| p.in_hand()) {
                    assert_eq!(self.longest_run(), self.free(), "free pages in several runs");
                }
            }
            12 => self.try_bad_tickets(),
            13..22 => {
                if let Some(at) = self.pick() {
                    self.redeem(at);
                }
            }
            _ => {
                if let Some(at) = self.pick() {
                    self.handle(at);
                }
            }
        }
    }

    fn check_totals(&self) {
        let total = self.arena.snapshot();
        assert_eq!((total.free, total.live), (self.free(), self.live()));
        assert_eq!(total.promised, self.promised(usize::MAX));
        for (at, (home, cap, min)) in self.homes.iter().enumerate() {
            let home = home.snapshot();
            assert_eq!((home.used, home.cap, home.min), (self.used_by(at + 1), *cap, *min));
        }
    }

    fn check_books(&self) {
        let verdict = self.arena.verify();
        assert!(verdict.is_clean(), "{:?}", verdict.violations().collect::<Vec<_>>());
    }

    fn run(mut self, steps: usize) {
        for step in 0..steps {
            self.step();
            if step < CHECKED_STEPS || step % CHECK_LATER == 0 {
                self.check_totals();
                self.check_books();
            }
        }
        // A history that refuses nothing, or redeems nothing, tests nothing.
        assert!(self.redeemed > steps / 100, "{} redeemed", self.redeemed);
        assert!(self.refused > steps / 100, "{} refused", self.refused);

        for payload in self.payloads.drain(..) {
            for _ in 0..payload.tickets {
                let ticket = payload.ticket.expect("a payload with tickets has a number");
                self.arena.discard(ticket).expect("a live ticket");
            }
        }
        self.check_totals();
        self.check_books();
        let total = self.arena.snapshot();
        assert_eq!((total.live, total.free), (0, total.pages), "something was lost");
        let minimum = self.promised(usize::MAX);
        assert!(self.arena.compact(usize::MAX).finished);
        let rest = (total.pages - minimum) * self.page_size;
        assert_eq!(self.arena.try_alloc(rest).expect("all that nobody is promised").len(), rest);
        assert_eq!(self.longest_run(), total.pages);
    }
}

fn seed() -> u64 {
    std::env::var("ARENA_MODEL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x0c10_a400)
}

/// A static one, and the same on memory of the system's, which nobody has written to.
trait Make<M> {
    fn with(&self, f: impl FnOnce(ArenaRef<'_, M>));
}

struct Static<const P: usize, const S: usize, const D: usize>;

impl<M: RawMutex, const P: usize, const S: usize, const D: usize> Make<M> for Static<P, S, D> {
    fn with(&self, f: impl FnOnce(ArenaRef<'_, M>)) {
        let arena: Box<Arena<M, P, S, D>> = Box::default();
        f(arena.handle());
    }
}

#[cfg(feature = "std")]
struct Mapped<const P: usize, const S: usize, const D: usize>;

#[cfg(feature = "std")]
impl<M: RawMutex, const P: usize, const S: usize, const D: usize> Make<M> for Mapped<P, S, D> {
    fn with(&self, f: impl FnOnce(ArenaRef<'_, M>)) {
        let arena = cloakroom::std_layer::MappedArena::new(P * S, S, D);
        f(arena.expect("there is memory").handle());
    }
}

fn history<M: RawMutex>(make: impl Make<M>) {
    make.with(|arena| {
        let total = arena.snapshot();
        let (pages, rows) = (total.pages, total.descriptors);
        println!("{pages} pages, {rows} descriptors: ARENA_MODEL_SEED={}", seed());
        Model::new(arena, seed() ^ (pages * 1_000_003 + rows) as u64).run(STEPS);
    });
    // Without homes, so that a single request can have everything.
    make.with(books);
}

fn books<M: RawMutex>(arena: ArenaRef<'_, M>) {
    let mut model = Model { homes: Vec::new(), ..Model::new(arena, seed()) };
    model.check_books();
    for _ in 0..500 {
        model.try_bad_tickets();
    }
}

macro_rules! histories {
    ($module:ident, $make:ident, $lock:ty) => {
        mod $module {
            use super::*;

            #[test]
            fn ordinary() {
                history::<$lock>($make::<64, 64, 32>);
            }
            #[test]
            fn pages_run_out_first() {
                history::<$lock>($make::<8, 16, 64>);
            }
            #[test]
            fn descriptors_run_out_first() {
                history::<$lock>($make::<256, 16, 8>);
            }
            #[test]
            fn one_page_one_descriptor() {
                history::<$lock>($make::<1, 16, 1>);
            }
            #[test]
            fn many_small_pages() {
                history::<$lock>($make::<128, 32, 96>);
            }
            /// So many that some are made ready in advance, where there are trays.
            #[test]
            fn very_many() {
                history::<$lock>($make::<1024, 16, 700>);
            }
        }
    };
}

histories!(critical_section, Static, CriticalSectionRawMutex);
histories!(noop, Static, NoopRawMutex);
histories!(spin, Static, SpinRawMutex);
#[cfg(feature = "std")]
histories!(mapped, Mapped, cloakroom::std_layer::StdRawMutex);

/// An arena without homes gives all of itself to one request after any history that ends empty.
#[test]
fn an_emptied_arena_gives_all_of_itself() {
    let arena: Arena<NoopRawMutex, 32, 16, 64> = Arena::new();
    let handle = arena.handle();
    let mut random = Random(seed());
    for _ in 0..2_000 {
        let mut tickets: Vec<Ticket> = Vec::new();
        while let Ok(lease) = handle.try_alloc(random.below(100)) {
            if random.below(3) > 0 {
                tickets.push(lease.deposit());
            }
            if random.below(4) == 0 && !tickets.is_empty() {
                let at = random.below(tickets.len());
                handle.discard(tickets.swap_remove(at)).expect("live");
            }
            if random.below(24) == 0 {
                break;
            }
        }
        handle.compact(random.below(3));
        for ticket in tickets {
            handle.discard(ticket).expect("live");
        }
        assert!(handle.compact(usize::MAX).finished);
        assert_eq!(handle.try_alloc(32 * 16).expect("everything is free").len(), 32 * 16);
        assert!(handle.verify().is_clean());
    }
}
