//! How long messages were queued, in buckets that double.

/// How many messages were queued for how long: in ticks of their arena, in buckets of which each is twice as wide as
/// the one before it.
///
/// A message is counted when it is delivered, in the same critical section: so there are as many as the channel has
/// [delivered](super::ChannelSnapshot::delivered), in every snapshot. It is queued from the moment it is in the channel (what
/// its sender has waited for room before is not part of that) until a receiver has it. At a rendezvous
/// that is next to nothing. What is dropped is not counted.
///
/// Ticks pass only when the arena is told so (`ArenaRef::set_now`), and no time is finer than that.
///
/// ```
/// # #[cfg(feature = "histograms")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cloakroom::channel::{Buffered, Bytes};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
///
/// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
/// static FRAMES: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
///
/// let arena = ARENA.handle();
/// for (sent, received) in [(0, 0), (10, 15), (20, 29)] {
///     arena.set_now(sent);
///     FRAMES.try_send_bytes(arena, b"frame")?;
///     arena.set_now(received);
///     FRAMES.try_recv()?;
/// }
/// let queueing = FRAMES.snapshot().queueing.ok_or("they are messages")?;
/// assert_eq!((queueing.count(), queueing.ticks), (3, 14));
/// assert_eq!(queueing.quantile(0.5), Some(7)); // 5, which is no more than 7
/// assert_eq!(queueing.longest(), Some(15)); // 9
/// # Ok(()) }
/// # #[cfg(not(feature = "histograms"))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Histogram {
    /// Messages in each bucket; wrap. The first is of those that were queued for no tick at all; for the others see
    /// [`bound`](Self::bound).
    pub buckets: [u32; Histogram::BUCKETS],
    /// For how long all of them were queued together. Wraps where the device's addresses do.
    pub ticks: u64,
}

impl Histogram {
    /// How many buckets there are. The last but one ends at 4,194,303 ticks: more than 4 seconds of microseconds, or an
    /// hour of milliseconds.
    pub const BUCKETS: usize = 24;

    /// The bucket of those that were queued for so long.
    #[cfg(feature = "histograms")]
    #[inline]
    pub(super) const fn bucket_of(ticks: u32) -> usize {
        let doubled = (u32::BITS - ticks.leading_zeros()) as usize;
        if doubled < Self::BUCKETS { doubled } else { Self::BUCKETS - 1 }
    }

    /// The most ticks that one in this bucket can have been queued for: 0, 1, 3, 7 and so on. `None` for the last bucket,
    /// which has no bound, and beyond.
    pub const fn bound(bucket: usize) -> Option<u32> {
        if bucket < Self::BUCKETS - 1 { Some((1 << bucket) - 1) } else { None }
    }

    /// How many messages there are. As many as were delivered, until a bucket wraps.
    pub fn count(&self) -> u64 {
        self.buckets.iter().copied().map(u64::from).sum()
    }

    /// An upper bound of a quantile: that part of the messages was queued for no longer than so many ticks. It is less
    /// than twice what is true. `None` if there are no messages; [`u32::MAX`] beyond the last
    /// [bound](Self::bound). What is less than 0 counts as 0, what is more than 1 as 1.
    ///
    /// Constant time.
    pub fn quantile(&self, part: f64) -> Option<u32> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let exact = part * count as f64;
        // The conversion rounds down, and keeps to the range. There is no `ceil` without a library.
        let down = exact as u64;
        let rank = if (down as f64) < exact { down.saturating_add(1) } else { down };
        self.at_rank(rank.clamp(1, count))
    }

    /// An upper bound of how long the one was queued that was queued for the longest time. `None` if there are no messages.
    pub fn longest(&self) -> Option<u32> {
        let last = self.buckets.iter().rposition(|&count| count > 0)?;
        Some(Self::bound(last).unwrap_or(u32::MAX))
    }

    fn at_rank(&self, rank: u64) -> Option<u32> {
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank
        })?;
        Some(Self::bound(bucket).unwrap_or(u32::MAX))
    }
}

/// What is kept of it.
#[cfg(feature = "histograms")]
#[derive(Clone, Copy)]
pub(super) struct Queueing {
    buckets: [u32; Histogram::BUCKETS],
    ticks: usize,
}

#[cfg(feature = "histograms")]
impl Queueing {
    pub(super) const NONE: Self = Self { buckets: [0; Histogram::BUCKETS], ticks: 0 };

    /// Counts a message that was queued for so long.
    #[inline]
    pub(super) fn note(&mut self, ticks: u32) {
        // Always there; spelled so that no panic is compiled in.
        if let Some(bucket) = self.buckets.get_mut(Histogram::bucket_of(ticks)) {
            super::snapshot::count(bucket);
        }
        self.ticks = self.ticks.wrapping_add(ticks as usize);
    }

    pub(super) fn histogram(&self) -> Histogram {
        Histogram { buckets: self.buckets, ticks: self.ticks as u64 }
    }
}

#[cfg(all(test, feature = "histograms", not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_begins_where_the_one_before_it_ends() {
        assert_eq!([0, 1, 2, 3, 4].map(Histogram::bucket_of), [0, 1, 2, 2, 3]);
        for bucket in 0..Histogram::BUCKETS - 1 {
            let bound = Histogram::bound(bucket).expect("not the last");
            assert_eq!(Histogram::bucket_of(bound), bucket);
            assert_eq!(Histogram::bucket_of(bound + 1), bucket + 1);
        }
        assert_eq!(Histogram::bucket_of(u32::MAX), Histogram::BUCKETS - 1);
        let beyond = [Histogram::BUCKETS - 1, Histogram::BUCKETS, usize::MAX];
        assert_eq!(beyond.map(Histogram::bound), [None; 3]);
    }
}
