//! Cache lines that are fetched before they are needed.
//!
//! A message between two cores is a payload, a descriptor and a slot, each in a line that the other core has. Waiting
//! for one after the other is what takes the time: a hint to fetch the next ones meanwhile halves it, and where the
//! cores are far apart it is a quarter. To fetch for reading does not do for what will be written: there the
//! line would have to be asked for again.

/// How much of a payload is fetched: what is longer is read, and written, for so long that the processor itself
/// notices and goes ahead.
const MOST: usize = 1 << 10;

pub(crate) const LINE: usize = 64;

/// Something that will be written soon. `at` may point anywhere.
#[inline(always)]
pub(crate) fn to_write<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(any(miri, loom))))]
    // SAFETY: a hint, which does not fault whatever the address is, and touches neither memory as the program sees it nor
    // a register. All processors with this instruction set have it, or do nothing. (The intrinsic becomes the one for
    // reading, unless the program is built for newer processors only.)
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(miri, loom)))))]
    let _ = at;
}

/// Something that will be read soon. `at` may point anywhere.
#[inline(always)]
pub(crate) fn to_read<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(any(miri, loom))))]
    // SAFETY: a hint, as above.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(miri, loom)))))]
    let _ = at;
}

/// The same for the first lines.
#[inline(always)]
pub(crate) fn lines_to_write<T>(at: *const T, count: usize) {
    (0..count).for_each(|line| to_write(at.wrapping_byte_add(line * LINE)));
}

/// The same for the lines of a payload.
#[inline(always)]
pub(crate) fn lines(start: *const u8, len: usize, fetch: impl Fn(*const u8)) {
    for at in (0..len.min(MOST)).step_by(LINE) {
        fetch(start.wrapping_add(at));
    }
}
