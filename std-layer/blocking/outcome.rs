//! What came of an operation, for who knows its type.

use std::boxed::Box;
use std::mem::{self, MaybeUninit};

/// Room for what is kept in place: six words. A value of five fits, whatever is said beside it. (Four words cost the same.)
type Room = MaybeUninit<[usize; 6]>;

/// What came of an operation: a value whose type only who takes it says. It is dropped if nobody does.
pub(super) struct Outcome {
    /// The value, or, if it does not fit, a pointer to a box with it.
    room: Room,
    drop: unsafe fn(&mut Room),
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
    // SAFETY: by the caller's word; `Outcome::new` has put it there by the same rule.
    unsafe {
        if fits::<O>() {
            return place.cast::<O>().read();
        }
        *Box::from_raw(place.cast::<*mut O>().read())
    }
}

impl Outcome {
    #[inline]
    pub(super) fn new<O>(outcome: O) -> Self {
        let mut room = Room::uninit();
        let place = room.as_mut_ptr();
        // SAFETY: the room is large enough, and aligned, for an `O` that fits, and for a pointer.
        unsafe {
            if fits::<O>() {
                place.cast::<O>().write(outcome);
            } else {
                place.cast::<*mut O>().write(Box::into_raw(Box::new(outcome)));
            }
        }
        // SAFETY: by the word of who calls it: there is a value, which is not used again, and it is an `O`.
        Self { room, drop: |room| drop(unsafe { read::<O>(room) }) }
    }

    /// The value.
    ///
    /// # Safety
    /// It was made of this type; lifetimes in it may have become longer, if what they speak of is still there.
    #[inline]
    pub(super) unsafe fn take<O>(mut self) -> O {
        // SAFETY: by the caller's word; nothing is dropped below.
        let outcome = unsafe { read::<O>(&mut self.room) };
        mem::forget(self);
        outcome
    }

    /// Leaves the value alone for ever.
    pub(super) fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        // SAFETY: there is a value: who has taken it forgets this.
        unsafe { (self.drop)(&mut self.room) }
    }
}
