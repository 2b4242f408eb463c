//! Scattered payloads: a page chain of several runs, for callers that do not need one.

use core::fmt;
use core::mem::ManuallyDrop;
use core::slice;

use super::allocate::{Refusal, Request};
use super::layout::ArenaRef;
use super::map::Link;
use super::ticket::Ticket;
use super::word::Bits;
use crate::error::{RedeemError, TryAllocError};
use crate::sync::RawMutex;

/// A payload in hand whose pages need not lie in one run, unique and writable.
///
/// Fragmentation cannot refuse it: it takes the free pages as they lie, at one descriptor a run. Its
/// bytes are read and written [run by run](Self::segments_mut), or through [`write_at`](Self::write_at).
///
/// ```
/// # use cloakroom::{Arena, sync::CriticalSectionRawMutex};
/// # static ARENA: Arena<CriticalSectionRawMutex, 16, 64, 8> = Arena::new();
/// let mut chain = ARENA.handle().try_alloc_scattered(500)?;
/// chain.write_at(0, &[7; 500]);
/// let ticket = chain.deposit();
/// let chain = ARENA.handle().redeem_scattered(ticket)?;
/// assert_eq!(chain.segments().map(|part| part.len()).sum::<usize>(), 500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Chain<'a, M: RawMutex> {
    pub(super) arena: ArenaRef<'a, M>,
    pub(super) head: usize,
}

impl<'a, M: RawMutex> ArenaRef<'a, M> {
    /// Allocates `len` bytes in as many runs as it takes, in hand, at once.
    ///
    /// The work grows with the number of runs, a critical section each.
    ///
    /// # Errors
    /// As for [`try_alloc`](Self::try_alloc); nothing stays allocated.
    pub fn try_alloc_scattered(self, len: usize) -> Result<Chain<'a, M>, TryAllocError> {
        let whole = self.request(len, 0)?;
        let page_size = self.geometry().page_size;
        let mut chain: Option<Chain<'a, M>> = None;
        let mut tail = None;
        let mut rest = len;
        let mut pages = whole.pages;
        loop {
            let part = Request { len: rest.min(pages * page_size), pages, ..whole };
            match self.take(part) {
                Ok(index) => {
                    let row = self.row(index);
                    row.set_next(Link::NONE);
                    let head = chain.is_none();
                    // Infallible; nobody else has a handle to this row yet.
                    let _ = self.update(row, |bits| Some(bits.scattered(head)));
                    match tail.replace(index) {
                        None => chain = Some(Chain { arena: self, head: index }),
                        Some(before) => self.row(before).set_next(Link::to(index)),
                    }
                    rest -= part.len;
                    if rest == 0 {
                        break;
                    }
                    pages = self.pages_for(rest).ok_or(TryAllocError::TooLarge)?;
                }
                // No run is that long: what there is instead, and at least a half.
                Err(Refusal::Fragmented) if pages > 1 => {
                    let longest = self.core().map.with(|map| map.long_run(self));
                    pages = longest.clamp(1, pages - 1);
                }
                Err(_) => return Err(self.refuse()),
            }
        }
        chain.ok_or(TryAllocError::Full)
    }

    /// Takes a scattered payload in hand.
    ///
    /// # Errors
    /// As for [`redeem`](Self::redeem); [`RedeemError::Layout`] for a contiguous payload.
    pub fn redeem_scattered(self, ticket: Ticket) -> Result<Chain<'a, M>, RedeemError> {
        let head = self.take_ticket(ticket, true, Bits::redeemed)?;
        let chain = Chain { arena: self, head };
        for part in chain.parts().skip(1) {
            self.take_part(part);
        }
        Ok(chain)
    }
}

impl<'a, M: RawMutex> Chain<'a, M> {
    fn parts(&self) -> impl Iterator<Item = usize> + use<'a, M> {
        let arena = self.arena;
        core::iter::successors(Some(self.head), move |&part| arena.row(part).next().get())
    }

    /// The length in bytes, of all runs together.
    pub fn len(&self) -> usize {
        self.parts().map(|part| self.arena.row(part).len()).sum()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The runs, in order.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().map(|part| {
            let row = self.arena.row(part);
            // SAFETY: the part is in hand through this chain alone, which is borrowed.
            unsafe { slice::from_raw_parts(self.arena.page(row.start()), row.len()) }
        })
    }

    /// The runs, in order, writable.
    pub fn segments_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.parts().map(|part| {
            let row = self.arena.row(part);
            // SAFETY: as above, borrowed uniquely, and the parts are distinct runs.
            unsafe { slice::from_raw_parts_mut(self.arena.page(row.start()), row.len()) }
        })
    }

    /// Copies `bytes` in from byte `offset` on; returns how many fitted.
    pub fn write_at(&mut self, mut offset: usize, mut bytes: &[u8]) -> usize {
        let whole = bytes.len();
        for part in self.segments_mut() {
            let skip = offset.min(part.len());
            offset -= skip;
            let Some(room) = part.get_mut(skip..) else {
                continue;
            };
            let count = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            room.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            bytes = later;
        }
        whole - bytes.len()
    }

    /// Puts the payload to rest. The ticket does not own it; see [`Ticket`].
    pub fn deposit(self) -> Ticket {
        let chain = ManuallyDrop::new(self);
        // The head last: until it is at rest, no ticket for the chain is accepted.
        for part in chain.parts().skip(1) {
            // Infallible, here and below: each part has this one handle.
            let _ = chain.arena.rest(part);
        }
        let generation = chain.arena.rest(chain.head).unwrap_or(0);
        chain.arena.ticket_of(chain.head, generation)
    }
}

impl<M: RawMutex> Drop for Chain<'_, M> {
    fn drop(&mut self) {
        self.arena.release_scattered(self.head);
    }
}

impl<M: RawMutex> fmt::Debug for Chain<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("len", &self.len()).finish_non_exhaustive()
    }
}
