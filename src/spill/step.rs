//! Housekeeping: what waits is moved out, and what comes next is moved back.
//!
//! ```text
//!                 copied to the target, outside of any lock              still there: put in its place
//!   RESTING ────────────────────────────────────────────► RESTING, and a copy ────────────────────► SPILLED
//!      │  ▲                 (leaving)                       │        │
//!      │  └── the target is full, or fails ─────────────────┘        │ received meanwhile: the copy is dropped
//!      ▼                                                             ▼
//!   received                                                      received
//!
//!                 read into the arena, outside of any lock            still there: put in its place
//!   SPILLED ────────────────────────────────────────────► SPILLED, and a copy ────────────────────► RESTING
//!      │  ▲                 (coming back)                   │        │
//!      │  └── no memory; the target fails; other bytes ─────┘        │ received meanwhile: the copy is dropped
//!      ▼                                                             ▼
//!   received                                                      received, and the extent left to the reader to free
//! ```
//!
//! A message is its place in the queue's at all times, and can be received from there at all times: nobody waits for a step. Who
//! copies has a share of the payload, or has noted down the extent that it reads, taken under the channel's lock while the message was in
//! its place; so neither is freed, nor given to another message, before the copy is made. The copy takes the message's place
//! under that lock if the very same message is still there.
//!
//! | who | owns |
//! |---|---|
//! | the place in the queue | the parcel, or the extent |
//! | a step that moves out | a share of the payload, in hand; then the new extent, until it is in the place |
//! | a step that moves back | the memory, until it is in the place; and the extent, if its owner has gone |

use super::channel::{SpillBytes, Stays};
use super::counting::Counting;
use super::place::Reading;
use super::slot::{Content, Far, Slot, Spilled};
use super::tally::{Event, Way};
use crate::arena::Parcel;
use crate::channel::Strategy;
use crate::channel::inside::Inside;
use crate::sync::{Locked, RawMutex};

/// What a look at a message costs of the budget, in bytes.
const LOOK: usize = 32;
/// How many messages at the head are moved back before they are received.
const AHEAD: u32 = 4;

/// Who steps, and how far that has come.
pub(super) struct Stepper {
    busy: bool,
    /// The number of the next message to look at, and then the ones before it.
    next: Option<u32>,
}

impl Stepper {
    pub(super) const IDLE: Self = Self { busy: false, next: None };
}

/// The only step at a time. Dropped, another one may begin.
struct Going<'s, M: RawMutex> {
    stepper: &'s Locked<M, Stepper>,
    next: Option<u32>,
}

impl<'s, M: RawMutex> Going<'s, M> {
    fn begin(stepper: &'s Locked<M, Stepper>) -> Option<Self> {
        let next = stepper.with(|Stepper { busy, next }| {
            let begun = !core::mem::replace(busy, true);
            begun.then_some(*next)
        })?;
        Some(Self { stepper, next })
    }
}

impl<M: RawMutex> Drop for Going<'_, M> {
    fn drop(&mut self) {
        let next = self.next;
        self.stepper.with(|stepper| *stepper = Stepper { busy: false, next });
    }
}

/// What a [`step`](SpillBytes::step) has done.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stepped {
    /// Messages that were moved out, and their bytes.
    pub out: u32,
    /// Bytes of them.
    pub bytes_out: usize,
    /// Messages that were moved back.
    pub back: u32,
    /// Bytes of them.
    pub bytes_back: usize,
    /// The budget was used up before all was looked at: there may be more to do.
    pub more: bool,
}

/// What a look at a place has found.
enum Seen<T> {
    /// Nothing is there: what was is gone, or the queue's kind shows no places.
    Gone,
    /// Nothing to do here.
    Pass,
    This(T),
}

impl<'a, M: RawMutex, S: Strategy<Slot<'a, M>>> SpillBytes<'a, M, S> {
    /// Does what there is to do, up to a budget of so many bytes: while the arena is above the mark, moves out what waits, from the tail on;
    /// while it is below the low one, moves the first few back that the target does not lend. To be called now and then: by the loop that
    /// polls a kernel, a timer's task, a thread.
    ///
    /// Each message is looked at in a critical section of its own, and copied outside. A look counts as 32 bytes. The budget may
    /// be exceeded by one message. While one call is under way, another one returns at once.
    ///
    /// ```
    /// # use cloakroom::channel::Buffered;
    /// # use cloakroom::spill::{Class, Extents, MemoryTarget, Policy, Spill, SpillBytes, Watermarks, Word};
    /// # use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
    /// static ARENA: Arena<Lock, 8, 64, 8> = Arena::new();
    /// # let mut psram = [0; 512];
    /// # let target = MemoryTarget::new(&mut psram, Extents::new([Class { bytes: 64, count: 8 }], Word::free::<1>()));
    /// let spill = Spill::over(&ARENA, &target, Watermarks::new(75, 50));
    /// let log: SpillBytes<'_, Lock, Buffered<8>> = SpillBytes::new(&spill, Policy::ColdFirst);
    /// for number in 0..5 {
    ///     log.try_send_bytes(&[number; 64])?;
    /// }
    /// // Somebody else needs memory.
    /// let frame = ARENA.try_alloc(64)?;
    /// assert_eq!(log.step(1024).out, 3);
    /// assert_eq!(ARENA.snapshot().used(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn step(&self, budget: usize) -> Stepped {
        let mut stepped = Stepped::default();
        let Some(mut going) = Going::begin(&self.stepper) else { return stepped };
        let mut left = budget;
        if self.is_above() {
            self.move_out(&mut going.next, &mut left, &mut stepped);
        } else {
            self.move_back(&mut left, &mut stepped);
        }
        stepped
    }

    /// From the tail, or where the last call has come to, towards the head.
    fn move_out(&self, next: &mut Option<u32>, left: &mut usize, stepped: &mut Stepped) {
        let (first, len) = self.queue.inside(|inside| (inside.first(), inside.len()));
        let Some(last) = len.checked_sub(1).map(|last| first.wrapping_add(last)) else { return };
        let mut number = match *next {
            Some(next) if next.wrapping_sub(first) < len => next,
            _ => last,
        };
        loop {
            if *left == 0 {
                stepped.more = true;
                *next = Some(number);
                return;
            }
            *left = left.saturating_sub(LOOK);
            let seen = self.queue.inside(|mut inside| resting(&mut inside, number));
            match seen {
                // Those before it are gone, too.
                Seen::Gone => break,
                Seen::Pass => {}
                Seen::This(share) => {
                    let len = share.len();
                    match self.copy_out(&share) {
                        Ok(spilled) => {
                            let replaced = self.replace_resting(number, &share, spilled);
                            match replaced.0 {
                                Content::Resting(parcel) => {
                                    drop((parcel, share));
                                    self.place.count(Event::Moved, self.tally());
                                    stepped.out += 1;
                                    stepped.bytes_out += len;
                                }
                                Content::Spilled(in_vain) => {
                                    in_vain.end(Way::Dropped, self.tally());
                                }
                            }
                            *left = left.saturating_sub(len);
                        }
                        Err(Stays::AnyHow) => {}
                        Err(Stays::Refused) => {
                            // A shorter one may fit, but not now: the device may have failed.
                            *next = Some(number.wrapping_sub(1));
                            return;
                        }
                    }
                    if !self.is_above() {
                        break;
                    }
                }
            }
            number = number.wrapping_sub(1);
        }
        // The next call begins at the tail.
        *next = None;
    }

    /// Puts a copy in the target in the place of a payload, of which `share` is one. What is in neither place then comes back: the
    /// payload, or the copy.
    fn replace_resting(
        &self,
        number: u32,
        share: &Parcel<'a, M>,
        spilled: Spilled<'a, M>,
    ) -> Slot<'a, M> {
        let mut copy = Slot(Content::Spilled(spilled));
        let same = |parcel: &Parcel<'a, M>| parcel.identity() == share.identity();
        self.queue.inside(|mut inside| match inside.numbered(number) {
            Some(slot) if matches!(&slot.0, Content::Resting(parcel) if same(parcel)) => {
                core::mem::swap(slot, &mut copy);
            }
            _ => {}
        });
        copy
    }

    /// The first few.
    fn move_back(&self, left: &mut usize, stepped: &mut Stepped) {
        let first = self.queue.inside(|inside| inside.first());
        for ahead in 0..AHEAD {
            if *left == 0 {
                stepped.more = true;
                return;
            }
            *left = left.saturating_sub(LOOK);
            let number = first.wrapping_add(ahead);
            let seen = self.queue.inside(|mut inside| self.begin_to_read(&mut inside, number));
            let Seen::This(far) = seen else { continue };
            let reading = Reading(self.place);
            let goes_on = self.read_back(number, far, left, stepped);
            drop(reading);
            if !goes_on {
                return;
            }
        }
    }

    /// Notes down that the extent of a message is being read, if it is spilled. Under the channel's lock.
    fn begin_to_read(
        &self,
        inside: &mut Inside<'_, Slot<'a, M>, Counting<S>>,
        number: u32,
    ) -> Seen<Far> {
        let Some(slot) = inside.numbered(number) else { return Seen::Gone };
        match &slot.0 {
            Content::Spilled(spilled) if self.place.begin_to_read(spilled.far.extent) => {
                Seen::This(spilled.far)
            }
            _ => Seen::Pass,
        }
    }

    /// Moves a message back whose extent is noted down as being read; `false` if there is no room for it, or for others.
    fn read_back(&self, number: u32, far: Far, left: &mut usize, stepped: &mut Stepped) -> bool {
        let (target, arena, len) = (self.place.target(), self.place.arena(), far.len as usize);
        // SAFETY: it was held when it was noted down, and is not freed while it is.
        if unsafe { far.view(target) }.is_some() {
            return true;
        }
        let room = arena.stays_below(self.place.marks.low(), len);
        let Some(mut memory) = room.then(|| arena.try_alloc(len).ok()).flatten() else {
            // SAFETY: as above.
            unsafe { target.read_ahead(far.extent, len) };
            return false;
        };
        *left = left.saturating_sub(len);
        // SAFETY: as above.
        if let Err(error) = unsafe { far.read(target, &mut memory) } {
            // It stays, and its receiver is told, if that does not change.
            self.place.count(Event::Failed(error), self.tally());
            return true;
        }
        let mut copy = Slot(Content::Resting(memory.into_parcel()));
        self.queue.inside(|mut inside| match inside.numbered(number) {
            // This extent has no other message, as it was not freed since.
            Some(slot) if matches!(&slot.0, Content::Spilled(old) if old.far.extent == far.extent) => {
                core::mem::swap(slot, &mut copy);
            }
            _ => {}
        });
        if let Content::Spilled(old) = copy.0 {
            old.end(Way::Back, self.tally());
            self.place.count(Event::Fetched, self.tally());
            stepped.back += 1;
            stepped.bytes_back += len;
        }
        true
    }
}

/// A share of the payload of that number, if it is in the arena.
fn resting<'a, M: RawMutex, S: Strategy<Slot<'a, M>>>(
    inside: &mut Inside<'_, Slot<'a, M>, Counting<S>>,
    number: u32,
) -> Seen<Parcel<'a, M>> {
    match inside.numbered(number) {
        None => Seen::Gone,
        Some(Slot(Content::Resting(parcel))) => parcel.share().map_or(Seen::Pass, Seen::This),
        Some(Slot(Content::Spilled(_))) => Seen::Pass,
    }
}
