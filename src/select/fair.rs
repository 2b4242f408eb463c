//! Where a fair select begins.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The state of Marsaglia's xorshift generator. Loads and stores alone, as not every target has more: two
/// selects that draw at the same moment may draw the same number, which is no less random.
static STATE: AtomicU32 = AtomicU32::new(0x9e37_79b9);

/// A number below `limit`, or 0.
///
/// Random and not in turn: two selects in turn would each see every second number only.
pub(crate) fn below(limit: u16) -> u16 {
    let mut state = STATE.load(Relaxed);
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    STATE.store(state, Relaxed);
    // The upper bits times the limit (Lemire, 2019), without a division. Lossless: below `limit`.
    (((state >> 16) * u32::from(limit)) >> 16) as u16
}
