//! What a parcel knows of its payload: which descriptor, which generation, and whether the bytes were copied.

/// A descriptor, the generation in which it was put to rest, and a mark.
///
/// On a host all of it is one word: so a parcel is two words, which pass in registers, and are written, and read, in one piece each. (A
/// word that has just been written in two pieces a processor waits for when it reads it as one. Four threads to one, 64 bytes: 26 ns
/// instead of 37.)
// Where a word is shorter there are two, as one of twice the length would be aligned to its length.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Rested(Words);

#[cfg(target_pointer_width = "64")]
type Words = u64;
#[cfg(not(target_pointer_width = "64"))]
type Words = (u32, u32);

/// Marks a parcel whose bytes were copied into the arena to be sent. Descriptors are counted in fewer bits.
const COPIED: u32 = 1 << 31;

impl Rested {
    /// Lossless: an arena has at most 2^20 descriptors.
    #[inline]
    pub(super) fn new(index: usize, generation: u32) -> Self {
        Self::from_halves(index as u32, generation)
    }

    #[cfg(target_pointer_width = "64")]
    #[inline]
    fn from_halves(low: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(low))
    }

    #[cfg(not(target_pointer_width = "64"))]
    #[inline]
    fn from_halves(low: u32, generation: u32) -> Self {
        Self((low, generation))
    }

    /// The descriptor and the mark.
    #[inline]
    fn low(self) -> u32 {
        #[cfg(target_pointer_width = "64")]
        return self.0 as u32;
        #[cfg(not(target_pointer_width = "64"))]
        self.0.0
    }

    #[inline]
    pub(super) fn generation(self) -> u32 {
        #[cfg(target_pointer_width = "64")]
        return (self.0 >> 32) as u32;
        #[cfg(not(target_pointer_width = "64"))]
        self.0.1
    }

    /// The descriptor.
    #[inline]
    pub(super) fn index(self) -> usize {
        (self.low() & !COPIED) as usize
    }

    #[inline]
    pub(super) fn is_copied(self) -> bool {
        self.low() & COPIED != 0
    }

    #[inline]
    pub(super) fn set_copied(&mut self, copied: bool) {
        let mark = if copied { COPIED } else { 0 };
        *self = Self::from_halves(self.low() & !COPIED | mark, self.generation());
    }
}
