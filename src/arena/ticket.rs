//! Tickets: a payload at rest, as a plain integer.

/// A payload at rest: a plain 64-bit integer that may cross a queue, an interrupt, a hardware FIFO, a
/// wire or a log.
///
/// ```text
///   63                            32 31      20 19           0
///  ┌────────────────────────────────┬──────────┬──────────────┐
///  │ generation xor epoch           │  check   │  descriptor  │
///  └────────────────────────────────┴──────────┴──────────────┘
/// ```
///
/// Whoever holds the number may redeem it, once for every time it was deposited. An arena accepts it
/// only if the descriptor exists, is at rest, has this very generation in this very epoch, and the
/// check bits fit all three. A *stale* ticket of the same epoch is therefore never accepted: each
/// return of a descriptor to the free list raises its generation, and a descriptor that has used up its
/// 2³² generations is taken out of service. A *forged* one (random bits) is accepted with a
/// probability of *at rest* ÷ 2⁶⁴ each: one value of 2⁶⁴ is good for each payload at rest. A *damaged*
/// one is accepted only if it has become another live ticket's very number, for which at least two bits
/// must have changed. One of an *earlier epoch* is accepted only if it is a live ticket's very number in
/// this one, which cannot be when the two epochs differ in their lowest ten bits only, and happens to
/// about one in 2¹² of the candidates otherwise, on the average over all pairs of epochs.
///
/// A ticket does not own anything by itself: one that is never redeemed or
/// [discarded](crate::arena::ArenaRef::discard) keeps its payload in the arena.
/// [`Parcel`](crate::Parcel) is the owning form.
///
/// ```
/// use cloakroom::Ticket;
///
/// let ticket = Ticket::from_bits(0x1234_5678_9abc_def0);
/// assert_eq!(ticket.to_bits(), 0x1234_5678_9abc_def0);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ticket(u64);

pub(super) const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

impl Ticket {
    /// A ticket from its bits. Any value may be tried: the arena decides.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits, to be sent anywhere.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    pub(super) fn seal(index: usize, generation: u32, epoch: u32) -> Self {
        // Lossless: an arena has at most 2^INDEX_BITS descriptors, checked when it is built.
        let index = index as u32;
        let high = generation ^ epoch;
        let rest = (fold(index) ^ key(high, epoch)) >> INDEX_BITS;
        // What `fold` makes of these bits is `rest`: their own lower four come back in the upper four.
        let check = rest ^ (rest & 0xf) << 8;
        Self(u64::from(high) << 32 | u64::from(check << INDEX_BITS | index))
    }

    /// The descriptor and generation, if the check bits fit.
    #[inline]
    pub(super) fn open(self, epoch: u32) -> Option<(usize, u32)> {
        let (low, high) = (self.0 as u32, (self.0 >> 32) as u32);
        let fits = (fold(low) ^ key(high, epoch)) >> INDEX_BITS == 0;
        fits.then_some(((low & INDEX_MASK) as usize, high ^ epoch))
    }
}

/// A hash in the upper twelve bits: multiply and take the top, as in Fibonacci hashing (Knuth, vol. 3, 6.4), twice,
/// with the epoch in between. One constant for all, as loading another takes two instructions. The addition
/// keeps zeroed memory from being the first ticket of epoch 0.
#[inline]
fn key(high: u32, epoch: u32) -> u32 {
    const K: u32 = 0x9e37_79b1;
    (high.wrapping_mul(K) ^ epoch).wrapping_mul(K).wrapping_add(K)
}

/// The lower half with the index folded into its upper twelve bits, the place of the check bits: the index's lower
/// twelve bits, and its upper eight. So no damage to those twelve bits, and none to a single bit of the index or
/// of the check, goes unseen.
#[inline]
fn fold(low: u32) -> u32 {
    low ^ low << 20 ^ low << 8
}
