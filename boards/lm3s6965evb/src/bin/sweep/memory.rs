//! Allocating, releasing, depositing, redeeming and compacting, in one arena.

use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cloakroom::{Arena, Lease, LeaseMut, RedeemError, Ticket, TryAllocError};

use crate::channels::scene;
use crate::scene::{Fresh, Scene, Slot, UNCLEAN};

static ARENA: Fresh<Arena<Lock, 4, 64, 6>> = Fresh::new(Arena::new());
/// Contents that tell a payload.
const MARK: [u8; 64] = [0xc7; 64];

const OK: u32 = 1;
const FULL: u32 = 2;
const STALE: u32 = 3;

/// What the operation has, what the intruder has, and what neither touches.
static OWN: Slot<Held> = Slot::new(Held::NOTHING);
static THEIRS: Slot<Held> = Slot::new(Held::NOTHING);
static OTHERS: Slot<Held> = Slot::new(Held::NOTHING);

struct Held {
    unique: Option<LeaseMut<'static, Lock>>,
    shared: Option<Lease<'static, Lock>>,
    ticket: Option<Ticket>,
}

impl Held {
    const NOTHING: Self = Self { unique: None, shared: None, ticket: None };

    fn alloc(&mut self, len: usize) -> u32 {
        match ARENA.get().try_alloc(len) {
            Ok(lease) => {
                self.unique = Some(lease);
                OK
            }
            Err(TryAllocError::Full) => FULL,
            Err(TryAllocError::TooLarge) => UNCLEAN,
        }
    }

    fn release(&mut self) -> u32 {
        self.unique = None;
        self.shared = None;
        OK
    }

    fn deposit(&mut self) -> u32 {
        self.ticket = self.shared.take().and_then(|lease| lease.deposit().ok());
        if self.ticket.is_some() { OK } else { UNCLEAN }
    }

    fn redeem(&mut self) -> u32 {
        match self.ticket.map(|ticket| ARENA.get().redeem(ticket)) {
            Some(Ok(lease)) if lease[..] == MARK => {
                self.shared = Some(lease);
                self.ticket = None;
                OK
            }
            Some(Err(RedeemError::Stale)) => STALE,
            _ => UNCLEAN,
        }
    }

    fn clear(&mut self) {
        self.release();
        if let Some(ticket) = self.ticket.take() {
            // The other one may have had the same ticket, and have redeemed it.
            let _ = ARENA.get().handle().discard(ticket);
        }
    }
}

fn own<R>(f: impl FnOnce(&mut Held) -> R) -> R {
    // SAFETY: used by operations, and between them.
    unsafe { OWN.with(f) }
}
fn theirs<R>(f: impl FnOnce(&mut Held) -> R) -> R {
    // SAFETY: used by intruders, and between operations.
    unsafe { THEIRS.with(f) }
}
fn others<R>(f: impl FnOnce(&mut Held) -> R) -> R {
    // SAFETY: used between operations.
    unsafe { OTHERS.with(f) }
}

/// Descriptors in use and free pages, if the books balance; then everything is given back.
fn state() -> u32 {
    let clean = ARENA.get().handle().verify().is_clean();
    let snapshot = ARENA.get().snapshot();
    give_back();
    let all_back = ARENA.get().snapshot().live == 0 && ARENA.get().snapshot().free == 4;
    let clean = clean && all_back && ARENA.get().handle().verify().is_clean();
    if clean { (snapshot.live * 10 + snapshot.free) as u32 } else { UNCLEAN }
}

fn give_back() {
    own(Held::clear);
    theirs(Held::clear);
    others(Held::clear);
}

fn clear() {
    give_back();
    // SAFETY: no operation is under way, and nobody holds a lease.
    unsafe { ARENA.renew(Arena::new()) };
}

fn one_page_free() {
    clear();
    others(|others| others.alloc(3 * 64));
}
fn two_pages_free() {
    clear();
    others(|others| others.alloc(2 * 64));
}
fn all_held(by: fn(fn(&mut Held) -> u32) -> u32) {
    clear();
    others(|others| others.alloc(3 * 64));
    by(|held| held.alloc(64));
}
fn full_with_theirs() {
    all_held(|f| theirs(f));
}
fn full_with_own() {
    all_held(|f| own(f));
}
/// A payload with two leases.
fn shared() {
    clear();
    if let Ok(lease) = ARENA.get().try_alloc_from(&MARK) {
        theirs(|held| held.shared = Some(lease.clone()));
        own(|held| held.shared = Some(lease));
    }
}
/// A payload in hand once, and at rest once, for the intruder.
fn shared_and_deposited() {
    shared();
    theirs(Held::deposit);
}
/// The same, the other way round.
fn deposited_and_shared() {
    shared();
    own(Held::deposit);
}
/// A payload at rest once, whose ticket both have.
fn one_ticket() {
    clear();
    own(|held| held.shared = ARENA.get().try_alloc_from(&MARK).ok());
    own(Held::deposit);
    let ticket = own(|held| held.ticket);
    theirs(|held| held.ticket = ticket);
}
/// A payload at rest behind a free page, to be moved.
fn movable() {
    clear();
    others(|others| others.alloc(64));
    one_behind();
}
fn one_behind() {
    own(|held| held.shared = ARENA.get().try_alloc_from(&MARK).ok());
    own(Held::deposit);
    others(|others| others.release());
}
/// The same, with the ticket in the intruder's hands.
fn movable_for_them() {
    movable();
    let ticket = own(|held| held.ticket.take());
    theirs(|held| held.ticket = ticket);
}

fn alloc_page() -> u32 {
    own(|held| held.alloc(64))
}
fn alloc_three_pages() -> u32 {
    own(|held| held.alloc(3 * 64))
}
fn release() -> u32 {
    own(Held::release)
}
fn deposit() -> u32 {
    own(Held::deposit)
}
fn redeem() -> u32 {
    own(Held::redeem)
}
fn compact() -> u32 {
    ARENA.get().compact(usize::MAX);
    OK
}
fn they_alloc_page() -> u32 {
    theirs(|held| held.alloc(64))
}
fn they_release() -> u32 {
    theirs(Held::release)
}
fn they_deposit() -> u32 {
    theirs(Held::deposit)
}
fn they_redeem() -> u32 {
    theirs(Held::redeem)
}

pub const SCENES: &[Scene] = &[
    scene!(
        "try_alloc, interrupted by one for the last page",
        one_page_free,
        alloc_page,
        they_alloc_page,
        state,
        (OK, FULL, 20),
        (FULL, OK, 20)
    ),
    scene!(
        "try_alloc, interrupted by try_alloc",
        two_pages_free,
        alloc_page,
        they_alloc_page,
        state,
        (OK, OK, 30),
        (OK, OK, 30)
    ),
    scene!(
        "try_alloc in a full arena, interrupted by a release",
        full_with_theirs,
        alloc_page,
        they_release,
        state,
        (FULL, OK, 11),
        (OK, OK, 20)
    ),
    scene!(
        "release, interrupted by try_alloc in a full arena",
        full_with_own,
        release,
        they_alloc_page,
        state,
        (OK, OK, 20),
        (OK, FULL, 11)
    ),
    scene!(
        "release of a share, interrupted by the other's",
        shared,
        release,
        they_release,
        state,
        (OK, OK, 4),
        (OK, OK, 4)
    ),
    scene!(
        "release of a share, interrupted by a deposit",
        shared,
        release,
        they_deposit,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "release of a share, interrupted by a redeem",
        shared_and_deposited,
        release,
        they_redeem,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "deposit, interrupted by the other share's",
        shared,
        deposit,
        they_deposit,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "deposit, interrupted by a redeem",
        shared_and_deposited,
        deposit,
        they_redeem,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "deposit, interrupted by a release",
        shared,
        deposit,
        they_release,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "redeem, interrupted by one of the same ticket",
        one_ticket,
        redeem,
        they_redeem,
        state,
        (OK, STALE, 13),
        (STALE, OK, 13)
    ),
    scene!(
        "redeem, interrupted by a deposit",
        deposited_and_shared,
        redeem,
        they_deposit,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "redeem, interrupted by a release",
        deposited_and_shared,
        redeem,
        they_release,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "redeem, interrupted by compaction",
        movable,
        redeem,
        compact,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "compaction, interrupted by a redeem in the middle of its move",
        movable_for_them,
        compact,
        they_redeem,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "compaction, interrupted by compaction",
        movable,
        compact,
        compact,
        state,
        (OK, OK, 13),
        (OK, OK, 13)
    ),
    scene!(
        "try_alloc of a long run, interrupted by compaction",
        movable,
        alloc_three_pages,
        compact,
        state,
        (FULL, OK, 13),
        (OK, OK, 20)
    ),
    scene!(
        "compaction, interrupted by try_alloc",
        movable,
        compact,
        they_alloc_page,
        state,
        (OK, OK, 22),
        (OK, OK, 22)
    ),
];
