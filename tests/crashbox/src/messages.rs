//! Messages whose payload follows from their number.

use crate::random::Random;

/// Bytes of a payload at the most.
pub const LONGEST: u32 = 600;

/// A message's payload: of any length, none included.
pub fn payload(chan: u16, seq: u64) -> Vec<u8> {
    let mut random = Random(seq << 16 | u64::from(chan));
    let len = random.below(u64::from(LONGEST) + 1);
    (0..len).map(|_| random.next() as u8).collect()
}
