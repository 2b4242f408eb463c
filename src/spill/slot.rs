//! What stands in the queue: a payload in the arena, or what there is to know about one in the target.

use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::place::Spill;
use super::tally::{Event, Tally, Way};
use super::target::{SpillError, SpillTarget};
use crate::arena::{LeaseMut, Parcel};
use crate::sum::sum;
use crate::sync::RawMutex;

/// A place in the queue of a [`SpillBytes`](super::SpillBytes): three words on a 64-bit target, four on a 32-bit one.
pub struct Slot<'a, M: RawMutex>(pub(super) Content<'a, M>);

impl<'a, M: RawMutex> Slot<'a, M> {
    /// The payload, if it is in the arena.
    pub(crate) fn resting(&self) -> Option<&Parcel<'a, M>> {
        match &self.0 {
            Content::Resting(parcel) => Some(parcel),
            Content::Spilled(_) => None,
        }
    }
}

/// Where a message is.
pub(super) enum Content<'a, M: RawMutex> {
    Resting(Parcel<'a, M>),
    Spilled(Spilled<'a, M>),
}

/// What there is to know about a payload in the target.
///
/// Length and checksum are kept here, in the queue: whatever becomes of the target's bytes (they change, are cut off, or another
/// payload's are in their place), they are not taken for this payload.
#[derive(Clone, Copy)]
pub(super) struct Far {
    pub(super) extent: u32,
    pub(super) len: u32,
    sum: u32,
}

impl Far {
    /// Its bytes where they are, if the target lends them.
    ///
    /// # Safety
    /// The extent is held, until they are not used any more.
    pub(super) unsafe fn view(self, target: &dyn SpillTarget) -> Option<NonNull<u8>> {
        let len = self.len as usize;
        // SAFETY: held, and so long.
        let bytes = unsafe { target.view(self.extent, len) }?;
        // A target that lends less than it was asked for is asked to copy, and that finds it out.
        (bytes.len() == len).then(|| NonNull::from(bytes).cast())
    }

    /// Copies them into memory that is long enough.
    ///
    /// # Safety
    /// The extent is held.
    pub(super) unsafe fn read<M: RawMutex>(
        self,
        target: &dyn SpillTarget,
        memory: &mut LeaseMut<'_, M>,
    ) -> Result<(), SpillError> {
        memory.set_len(self.len as usize).map_err(|_| SpillError::Full)?;
        // SAFETY: held, and as long as that.
        unsafe { target.read(self.extent, memory) }?;
        self.verify(memory)
    }

    /// Whether these are the bytes that were stored.
    pub(super) fn verify(self, bytes: &[u8]) -> Result<(), SpillError> {
        if sum(bytes) == self.sum { Ok(()) } else { Err(SpillError::Damaged) }
    }
}

/// A payload in the target: its extent is held, and freed with this.
pub(super) struct Spilled<'a, M: RawMutex> {
    place: &'a Spill<'a, M>,
    pub(super) far: Far,
}

impl<'a, M: RawMutex> Spilled<'a, M> {
    /// Stores a payload of the channel with this tally; `None` if the target does not, which is counted.
    pub(super) fn store(place: &'a Spill<'a, M>, bytes: &[u8], tally: &Tally) -> Option<Self> {
        let len = u32::try_from(bytes.len()).ok()?;
        match place.target().store(bytes) {
            Ok(extent) => {
                place.count(Event::Out(len), tally);
                Some(Self { place, far: Far { extent, len, sum: sum(bytes) } })
            }
            Err(error) => {
                place.count(Event::Failed(error), tally);
                None
            }
        }
    }

    /// Its bytes where they are, if the target lends them. They are there until this is dropped.
    pub(super) fn view(&self) -> Option<NonNull<u8>> {
        // SAFETY: held until this is dropped.
        unsafe { self.far.view(self.place.target()) }
    }

    /// Copies it into memory that is long enough, and frees it, whatever comes of that.
    pub(super) fn fetch(
        self,
        memory: &mut LeaseMut<'a, M>,
        tally: &Tally,
    ) -> Result<(), SpillError> {
        let Self { place, far } = *ManuallyDrop::new(self);
        let mut ending = Ending { place, far, way: Way::Dropped, tally };
        // SAFETY: held until `ending` is dropped, also if the target panics.
        let read = unsafe { far.read(place.target(), memory) };
        ending.way = if read.is_ok() { Way::Back } else { Way::Lost };
        read
    }

    /// Frees it, and counts how it went.
    pub(super) fn end(self, way: Way, tally: &Tally) {
        let Self { place, far } = *ManuallyDrop::new(self);
        place.release(far, way, Some(tally));
    }

    /// It leaves its channel unreceived; the place counts that when it is dropped.
    pub(super) fn leave(&self, tally: &Tally) {
        self.place.count_apart(Event::Ended(self.far.len, Way::Dropped), tally);
    }
}

/// A payload in the target that ends when this is dropped.
struct Ending<'t, 'a, M: RawMutex> {
    place: &'a Spill<'a, M>,
    far: Far,
    way: Way,
    tally: &'t Tally,
}

impl<M: RawMutex> Drop for Ending<'_, '_, M> {
    fn drop(&mut self) {
        self.place.release(self.far, self.way, Some(self.tally));
    }
}

impl<M: RawMutex> Drop for Spilled<'_, M> {
    fn drop(&mut self) {
        // Of a channel that has gone, or that has counted it.
        self.place.release(self.far, Way::Dropped, None);
    }
}

impl<M: RawMutex> fmt::Debug for Slot<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Content::Resting(_) => "Slot(Resting)",
            Content::Spilled(_) => "Slot(Spilled)",
        })
    }
}
