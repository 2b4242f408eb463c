//! What came of an operation, for who knows its type.

use std::boxed::Box;
use std::mem::MaybeUninit;

/// Room for what is kept in place: six words. A value of five fits, whatever is said beside it. (Four words cost the same.)
type Room = MaybeUninit<[usize; 6]>;

/// What came of an operation, once something has: a value whose type only who takes it says. It is dropped if nobody does.
pub(super) struct Outcome {
    /// The value, or, if it does not fit, a pointer to a box with it.
    room: Room,
    /// `None` if nothing has come of it, or that has been taken.
    drop: Option<unsafe fn(&mut Room)>,
}

/// Whether an `O` lies in the room itself.
const fn fits<O>() -> bool {
    size_of::<O>() <= size_of::<Room>() && align_of::<O>() <= align_of::<Room>()
}

/// Takes the value out.
///
/// # Safety
/// There is one, of this type, and it is not used again.
#[inline]
unsafe fn read<O>(room: &mut Room) -> O {
    let place = room.as_mut_ptr();
    // SAFETY: by the caller's word; `Outcome::set` has put it there by the same rule.
    unsafe {
        if fits::<O>() {
            return place.cast::<O>().read();
        }
        *Box::from_raw(place.cast::<*mut O>().read())
    }
}

/// A received value that is no longer than a word. It goes from hand to hand in a register: a processor that copies in large
/// pieces what it has just written in small ones waits until all of it has arrived in its cache, which is a third of what
/// a select takes.
#[derive(Clone, Copy)]
pub(super) struct Word(MaybeUninit<usize>);

impl Word {
    /// Of a value, if it fits.
    #[inline]
    pub(super) fn of<T>(value: T) -> Result<Self, T> {
        if size_of::<T>() > size_of::<usize>() || align_of::<T>() > align_of::<usize>() {
            return Err(value);
        }
        let mut word = MaybeUninit::<usize>::uninit();
        // SAFETY: there is room for a `T`.
        unsafe { word.as_mut_ptr().cast::<T>().write(value) };
        Ok(Self(word))
    }

    /// The value.
    ///
    /// # Safety
    /// It is one of this type, and is taken once.
    #[inline]
    pub(super) unsafe fn take<T>(self) -> T {
        // SAFETY: by the caller's word; `of` has put it there.
        unsafe { self.0.as_ptr().cast::<T>().read() }
    }
}

/// What came of an attempt.
pub(super) enum Attempted {
    /// It would have to wait.
    NotNow,
    /// A value was received, and here it is.
    Received(Word),
    /// It is done, and what came of it is where it was to be put.
    Kept,
}

impl Outcome {
    /// Nothing yet.
    #[inline]
    pub(super) const fn none() -> Self {
        Self { room: Room::uninit(), drop: None }
    }

    /// This is what came of it. There was nothing before, or that is left alone for ever.
    #[inline]
    pub(super) fn set<O>(&mut self, outcome: O) {
        let place = self.room.as_mut_ptr();
        // SAFETY: the room is large enough, and aligned, for an `O` that fits, and for a pointer.
        unsafe {
            if fits::<O>() {
                place.cast::<O>().write(outcome);
            } else {
                place.cast::<*mut O>().write(Box::into_raw(Box::new(outcome)));
            }
        }
        // SAFETY: by the word of who calls it: there is a value, which is not used again, and it is an `O`.
        self.drop = Some(|room| drop(unsafe { read::<O>(room) }));
    }

    /// The value, if there is one; then there is none any more.
    ///
    /// # Safety
    /// It was made of this type; lifetimes in it may have become longer, if what they speak of is still there.
    #[inline]
    pub(super) unsafe fn take<O>(&mut self) -> Option<O> {
        self.drop.take()?;
        // SAFETY: there is one, and none any more; its type by the caller's word.
        Some(unsafe { read::<O>(&mut self.room) })
    }

    /// Drops the value; whether there was one.
    #[inline]
    pub(super) fn discard(&mut self) -> bool {
        let Some(drop) = self.drop.take() else { return false };
        // SAFETY: there was a value, and there is none any more.
        unsafe { drop(&mut self.room) };
        true
    }
}

impl Drop for Outcome {
    #[inline]
    fn drop(&mut self) {
        self.discard();
    }
}
