//! Unlimited channels: segments taken from an arena until it is exhausted.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::task::{Context, Poll};

use super::aside::{Alone, HasAside, Lent, Window};
use super::snapshot::Kind;
use super::store::{Growing, Store, Strategy, receivers_compete, sealed::Sealed};
use super::walk::{Place, Step};
use crate::arena::{Alloc, Arena, ArenaRef, LeaseMut};
use crate::error::TryAllocError;
use crate::sync::RawMutex;
use crate::unwind::to_the_end;

/// Values in segments of `SEGMENT`, taken from an arena as they are needed and given back when they
/// are used up. When the arena is exhausted the channel is full, not dead: senders wait for memory.
///
/// An empty channel keeps one segment, and what has been promised to permits and senders. Sending allocates one segment for every `SEGMENT`
/// values, so its cost is that of a buffered channel plus a share of an allocation.
#[derive(Clone, Copy)]
pub struct Unlimited<'a, M: RawMutex, const SEGMENT: usize = 8, A = Alone> {
    arena: &'a dyn AnyArena<M>,
    _aside: PhantomData<fn() -> A>,
}

/// An arena of any size, before its first use.
///
/// [`Arena`] and [`ArenaRef`] are; a constructor that runs in a `const` takes one as `&dyn`.
pub trait AnyArena<M: RawMutex>: Sync + Sealed {
    /// The arena.
    fn any(&self) -> ArenaRef<'_, M>;
}

impl<M: RawMutex + Sync, const P: usize, const S: usize, const D: usize, const H: usize> AnyArena<M>
    for Arena<M, P, S, D, H>
{
    fn any(&self) -> ArenaRef<'_, M> {
        self.handle()
    }
}

impl<M, const P: usize, const S: usize, const D: usize, const H: usize> Sealed
    for Arena<M, P, S, D, H>
{
}

impl<M> Sealed for ArenaRef<'_, M> {}

impl<M: RawMutex + Sync> AnyArena<M> for ArenaRef<'_, M> {
    fn any(&self) -> ArenaRef<'_, M> {
        *self
    }
}

impl<'a, M: RawMutex, const SEGMENT: usize, A> Unlimited<'a, M, SEGMENT, A> {
    /// The kind of a channel that takes its memory from `arena`, for constructors that want a kind: a
    /// [`Channel`](super::Channel) has [`over`](super::Channel::over).
    ///
    /// ```
    /// use cloakroom::channel::{Counted, Unlimited, endpoints};
    /// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
    ///
    /// static ARENA: Arena<Lock, 16, 64, 16> = Arena::new();
    /// static EVENTS: Counted<Lock, u16, Unlimited<'static, Lock>> =
    ///     Counted::with(Unlimited::over(&ARENA));
    ///
    /// let (sender, receiver) = endpoints(&EVENTS);
    /// sender.try_send_many(0..100)?;
    /// drop(sender);
    /// assert_eq!(receiver.drain().count(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn over(arena: &'a dyn AnyArena<M>) -> Self {
        assert!(SEGMENT > 0, "a segment has room for one value at least");
        Self { arena, _aside: PhantomData }
    }
}

impl<M: RawMutex, const SEGMENT: usize, A> Sealed for Unlimited<'_, M, SEGMENT, A> {}

impl<'a, T, M: RawMutex, const SEGMENT: usize, A: HasAside> Strategy<T>
    for Unlimited<'a, M, SEGMENT, A>
{
    type Receipt = ();
    type Received = T;
    type Rank = ();
    type Reader = ();
    type Mark = ();
    type Store = Segments<'a, T, M, SEGMENT>;
    type Aside = A::Aside<T>;
    type Weighs = A::Weighs;
    type Highest = u32;
    type Growth = LeaseMut<'a, M>;
    type Growing = MoreMemory<'a, M>;
    const KIND: Kind = Kind::Unlimited;
    const GROWS: bool = true;

    fn receipt(&self, _replaced: Option<T>) {}
    fn grow(&self) -> Result<LeaseMut<'a, M>, TryAllocError> {
        self.arena.any().try_alloc(segment_len::<T, SEGMENT>())
    }
    fn shrink(mut growth: LeaseMut<'a, M>) {
        // The pages held a segment, with padding that must not be read as bytes by the next lease.
        growth.fill(0);
    }
    fn growing(&self) -> MoreMemory<'a, M> {
        MoreMemory(self.arena.any().alloc(segment_len::<T, SEGMENT>()))
    }
}

/// Bytes for a segment, with room to align it within a lease.
const fn segment_len<T, const SEGMENT: usize>() -> usize {
    size_of::<Segment<T, SEGMENT>>() + align_of::<Segment<T, SEGMENT>>() - 1
}

/// A segment that is being waited for.
#[doc(hidden)]
pub struct MoreMemory<'a, M: RawMutex>(Alloc<'a, M>);

impl<'a, M: RawMutex> Growing for MoreMemory<'a, M> {
    type Growth = LeaseMut<'a, M>;
    fn poll_growth(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LeaseMut<'a, M>>> {
        // SAFETY: the only field, pinned with the whole.
        let alloc = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        core::future::Future::poll(alloc, cx).map(Result::ok)
    }
}

struct Segment<T, const SEGMENT: usize> {
    next: *mut Self,
    /// Its own memory.
    lease: MaybeUninit<[usize; 2]>,
    slots: [MaybeUninit<T>; SEGMENT],
}

/// Values from `head`'s slot `first` on to `tail`'s slot `end`.
#[doc(hidden)]
pub struct Segments<'a, T, M: RawMutex, const SEGMENT: usize> {
    head: *mut Segment<T, SEGMENT>,
    tail: *mut Segment<T, SEGMENT>,
    first: usize,
    end: usize,
    len: usize,
    /// Slots behind `end` in the tail and in segments after it.
    room: usize,
    /// The segment that a walk stands in. It is in the list, at the tail or before it; or null.
    walked: *mut Segment<T, SEGMENT>,
    _leases: PhantomData<LeaseMut<'a, M>>,
}

// SAFETY: it owns its segments and the values in them; the segments are leases, which may be sent
// where `M` may be shared.
unsafe impl<T: Send, M: RawMutex + Sync, const SEGMENT: usize> Send
    for Segments<'_, T, M, SEGMENT>
{
}

impl<T, M: RawMutex, const SEGMENT: usize> Sealed for Segments<'_, T, M, SEGMENT> {}

impl<'a, T, M: RawMutex, const SEGMENT: usize> Segments<'a, T, M, SEGMENT> {
    const LEASE_FITS: () = assert!(size_of::<LeaseMut<'a, M>>() <= size_of::<[usize; 2]>());

    /// The slot behind the last value of a segment, which is the tail or before it.
    fn end_of(&self, segment: *mut Segment<T, SEGMENT>) -> usize {
        if segment == self.tail { self.end } else { SEGMENT }
    }

    /// Its slots: a place, not a reference to it.
    fn slots_of(segment: *mut Segment<T, SEGMENT>) -> *mut MaybeUninit<T> {
        // SAFETY: callers have it from the list, so it is alive.
        unsafe { (&raw mut (*segment).slots).cast() }
    }

    /// What there is in the first one, to be lent. A segment's last value is not: with it the segment goes.
    fn front_window(&self) -> Window<T> {
        let left = SEGMENT - 1 - self.first;
        Window { slots: Self::slots_of(self.head), at: self.first, left }
    }

    /// Takes the first segment's memory out of the list.
    fn detach(&mut self) -> Option<LeaseMut<'a, M>> {
        if self.head.is_null() {
            return None;
        }
        let segment = self.head;
        // SAFETY: a segment of the list is alive, and its lease was written by `add`. The lease is
        // read once, as the segment leaves the list here.
        let (next, lease) = unsafe {
            ((*segment).next, (*segment).lease.as_ptr().cast::<LeaseMut<'a, M>>().read())
        };
        self.head = next;
        if self.walked == segment {
            self.walked = ptr::null_mut();
        }
        if next.is_null() {
            self.tail = ptr::null_mut();
        }
        Some(lease)
    }
}

impl<'a, T, M: RawMutex, const SEGMENT: usize> Store<T> for Segments<'a, T, M, SEGMENT> {
    type Growth = LeaseMut<'a, M>;
    type Rank = ();
    receivers_compete!();
    const EMPTY: Self = Self {
        head: ptr::null_mut(),
        tail: ptr::null_mut(),
        first: 0,
        end: 0,
        len: 0,
        room: 0,
        walked: ptr::null_mut(),
        _leases: PhantomData,
    };

    fn len(&self) -> usize {
        self.len
    }

    fn capacity(&self) -> Option<usize> {
        None
    }

    fn has_room(&self, promised: usize) -> bool {
        self.room > promised
    }

    unsafe fn push(&mut self, value: T, _rank: (), _promised: usize) -> Option<T> {
        if self.end == SEGMENT {
            // SAFETY: there is room and none in the tail, so a segment follows it.
            self.tail = unsafe { (*self.tail).next };
            self.end = 0;
        }
        // SAFETY: the tail is alive and its slot `end` empty; the caller has made sure of room.
        unsafe { (*self.tail).slots.as_mut_ptr().add(self.end).cast::<T>().write(value) };
        self.end += 1;
        self.len += 1;
        self.room -= 1;
        None
    }

    fn pop(&mut self, promised: usize, _reader: ()) -> Option<(T, Option<LeaseMut<'a, M>>)> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: `len > 0`, so the head is alive and its slot `first` holds a value, which leaves.
        let value = unsafe { (*self.head).slots.as_ptr().add(self.first).cast::<T>().read() };
        self.first += 1;
        self.len -= 1;
        let mut unused = None;
        if self.len == 0 && self.head == self.tail {
            // Nothing left: the last segment starts over, in place.
            self.room += self.end;
            self.first = 0;
            self.end = 0;
            // SAFETY: alive, as above.
            let more_follow = !unsafe { (*self.head).next }.is_null();
            if more_follow && self.room - SEGMENT >= promised {
                // Memory that senders waited for and did not use: the next segment is enough.
                unused = self.detach();
                self.tail = self.head;
                self.room -= SEGMENT;
            }
        } else if self.first == SEGMENT {
            unused = self.detach();
            self.first = 0;
        }
        Some((value, unused))
    }

    #[cfg(feature = "stamps")]
    fn front(&mut self) -> Option<&mut T> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: `len > 0`, so the head is alive and its slot `first` holds a value, which stays borrowed from
        // this store.
        Some(unsafe { &mut *(*self.head).slots.as_mut_ptr().add(self.first).cast::<T>() })
    }

    fn begin(&mut self, place: &mut Place) {
        place.left = self.len;
        self.walked = ptr::null_mut();
    }

    /// From the front to the back, as segments are linked. `place.number` is the next value's, in the count of those
    /// that have left the store; what has left since is passed over.
    fn step(&mut self, place: &mut Place, gone: u32) -> Step<'_, T> {
        let Some(left) = place.left.checked_sub(1) else { return Step::End };
        let ahead = place.number.wrapping_sub(gone) as i32;
        if self.walked.is_null() || ahead < 0 {
            self.walked = self.head;
            (place.number, place.slot) = (gone, self.first);
        }
        // Lossless: not negative.
        let position = place.number.wrapping_sub(gone) as usize;
        if self.walked.is_null() || position >= self.len {
            return Step::End;
        }
        if self.walked == self.head {
            // An only segment may have been filled anew from its beginning.
            place.slot = self.first + position;
        }
        if place.slot >= SEGMENT {
            // SAFETY: a segment of the list is alive.
            let next = unsafe { (*self.walked).next };
            if self.walked == self.tail || next.is_null() {
                return Step::End;
            }
            (self.walked, place.slot) = (next, 0);
        }
        if place.slot >= self.end_of(self.walked) {
            return Step::End;
        }
        place.left = left;
        place.number = place.number.wrapping_add(1);
        let slot = place.slot;
        place.slot += 1;
        // SAFETY: `walked` is in the list, hence alive, between head and tail. Slots before its end hold values: in the
        // head from `first` on, which is where the place is if it is the head, elsewhere from the first on.
        Step::Seen(unsafe { &*(*self.walked).slots.as_ptr().add(slot).cast::<T>() }, position)
    }

    unsafe fn add(&mut self, mut growth: LeaseMut<'a, M>) {
        const { Self::LEASE_FITS };
        let align = align_of::<Segment<T, SEGMENT>>();
        let start = growth.as_mut_ptr();
        let padding = start.align_offset(align);
        // SAFETY: `segment_len` has room for a segment behind up to `align - 1` bytes of padding.
        let segment = unsafe { start.add(padding) }.cast::<Segment<T, SEGMENT>>();
        // SAFETY: aligned, and within the lease, whose address stays while it exists; it exists until
        // `detach` reads it back. Fields are written in place, so no slot is touched.
        unsafe {
            ptr::addr_of_mut!((*segment).next).write(ptr::null_mut());
            ptr::addr_of_mut!((*segment).lease).cast::<LeaseMut<'a, M>>().write(growth);
        }
        self.room += SEGMENT;
        match NonNull::new(self.tail) {
            None => {
                self.head = segment;
                self.tail = segment;
                self.first = 0;
                self.end = 0;
            }
            Some(tail) => {
                // Right behind the tail: what permits have been promised follows it, and is empty, too.
                // SAFETY: segments of the list are alive.
                unsafe {
                    (*segment).next = (*tail.as_ptr()).next;
                    (*tail.as_ptr()).next = segment;
                }
            }
        }
    }

    fn lend(&mut self, promised: [usize; 2]) -> Option<Lent<T>> {
        let tail = NonNull::new(self.tail)?;
        // SAFETY: segments of the list are alive.
        if !unsafe { (*tail.as_ptr()).next }.is_null() {
            // Memory for what has been promised: whoever receives the last value may have to give it back.
            return None;
        }
        Some(Lent {
            tail: Window {
                slots: Self::slots_of(self.tail),
                at: self.end,
                left: (SEGMENT - self.end).min(self.room.saturating_sub(promised[0])),
            },
            head: self.front_window(),
            turn: SEGMENT,
            len: self.len,
            // That is for `left` to say.
            room: usize::MAX,
            promised: [0, promised[1]],
            high_water: 0,
            is_closed: false,
            weighs: false,
        })
    }

    unsafe fn take_back(&mut self, sent: usize, received: usize) {
        self.end += sent;
        self.room -= sent;
        self.first += received;
        self.len = self.len + sent - received;
        if self.len == 0 && self.head == self.tail {
            // Nothing left: as in `pop`.
            self.room += self.end;
            self.first = 0;
            self.end = 0;
        }
    }

    unsafe fn lend_more(
        &mut self,
        sent: usize,
        growth: LeaseMut<'a, M>,
    ) -> Result<Window<T>, LeaseMut<'a, M>> {
        // Otherwise slots were promised, and are not lent.
        if self.end + sent != SEGMENT {
            return Err(growth);
        }
        self.len += sent;
        self.room -= sent;
        // SAFETY: by the caller's word.
        unsafe { self.add(growth) };
        // SAFETY: the tail is alive, and a segment follows it: the new one, and no other, as else nothing would be lent.
        self.tail = unsafe { (*self.tail).next };
        self.end = 0;
        Ok(Window { slots: Self::slots_of(self.tail), at: 0, left: SEGMENT })
    }

    unsafe fn lend_next(&mut self, received: usize) -> Option<(Window<T>, LeaseMut<'a, M>)> {
        if self.head == self.tail || self.first + received != SEGMENT {
            return None;
        }
        // It is not the last one, so the store has been told of all values that were sent into it.
        self.len -= received;
        let unused = self.detach()?;
        self.first = 0;
        Some((self.front_window(), unused))
    }

    fn spare(&mut self, promised: usize) -> Option<LeaseMut<'a, M>> {
        let tail = NonNull::new(self.tail)?.as_ptr();
        // SAFETY: segments of the list are alive.
        let unused = NonNull::new(unsafe { (*tail).next })?.as_ptr();
        // Whatever follows the tail is empty, and is part of the room.
        if self.room - SEGMENT < promised {
            return None;
        }
        self.room -= SEGMENT;
        // SAFETY: as above; its lease was written by `add` and is read once, as it leaves the list here.
        unsafe {
            (*tail).next = (*unused).next;
            Some((*unused).lease.as_ptr().cast::<LeaseMut<'a, M>>().read())
        }
    }
}

impl<T, M: RawMutex, const SEGMENT: usize> Drop for Segments<'_, T, M, SEGMENT> {
    fn drop(&mut self) {
        to_the_end(|| {
            let (value, unused) = match self.pop(0, ()) {
                Some((value, unused)) => (Some(value), unused),
                None => (None, self.detach()),
            };
            // The memory first, as the value's drop may panic.
            let any = value.is_some() || unused.is_some();
            if let Some(mut lease) = unused {
                // As in `shrink`.
                lease.fill(0);
            }
            drop(value);
            any
        });
    }
}
