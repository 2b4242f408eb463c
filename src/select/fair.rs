//! Where a fair select begins.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The state of Marsaglia's xorshift generator. Loads and stores alone, as not every target has more: two
/// selects that draw at the same moment may draw the same number, which is no less random.
static STATE: AtomicU32 = AtomicU32::new(0x9e37_79b9);

/// A number below `limit`, or 0.
///
/// Random and not in turn: two selects in turn would each see every second number only.
#[inline]
pub(crate) fn below(limit: u16) -> u16 {
    scale(draw() >> 16, limit)
}

/// Two numbers, each below its limit, or 0. (One draw has enough bits for both.)
#[cfg(feature = "std")]
#[inline]
pub(crate) fn two_below([first, second]: [u16; 2]) -> [u16; 2] {
    let drawn = draw();
    [scale(drawn >> 16, first), scale(drawn & 0xffff, second)]
}

/// 32 random bits.
#[inline]
fn draw() -> u32 {
    let mut state = STATE.load(Relaxed);
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    STATE.store(state, Relaxed);
    state
}

/// Of 16 bits, a number below `limit`: their product's upper half (Lemire, 2019), without a division.
#[inline]
fn scale(bits: u32, limit: u16) -> u16 {
    // Lossless: below `limit`.
    ((bits * u32::from(limit)) >> 16) as u16
}
