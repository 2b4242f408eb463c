//! Which extents are free: slots of a few sizes, and a bit for each.

use core::fmt;

use crate::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// Slots of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Class {
    /// Bytes a slot.
    pub bytes: u32,
    /// Slots.
    pub count: u32,
}

/// Bits for 32 slots.
#[derive(Debug)]
pub struct Word(AtomicU32);

impl Word {
    /// All of them free.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// So many words, all free.
    pub const fn free<const WORDS: usize>() -> [Self; WORDS] {
        [const { Self::new() }; WORDS]
    }
}

impl Default for Word {
    fn default() -> Self {
        Self::new()
    }
}

/// The extents of a target: slots of up to `CLASSES` sizes, one class behind the other.
///
/// A payload takes a slot of the smallest class that is long enough and has a free one. There is nothing to compact and nothing
/// to search but bits, 32 at a time, without a lock: all calls may come from threads and interrupts at once.
///
/// *Memory:* a bit a slot, in `B`: an array of [`Word`]s in a `static`, a box of them on a host; 16 bytes, and 12 a class.
///
/// ```
/// use cloakroom::spill::{Class, Extents, Word};
///
/// // 64 slots of 256 bytes, then 8 slots of 4 KiB.
/// static EXTENTS: Extents<2, [Word; 3]> = Extents::new(
///     [Class { bytes: 256, count: 64 }, Class { bytes: 4096, count: 8 }],
///     Word::free(),
/// );
/// let extent = EXTENTS.take(1000).ok_or("full")?;
/// assert_eq!((extent, EXTENTS.offset(extent), EXTENTS.used()), (64, 64 * 256, 4096));
/// assert_eq!(EXTENTS.take(5000), None);
/// EXTENTS.give_back(extent);
/// assert_eq!(EXTENTS.used(), 0);
/// # Ok::<(), &'static str>(())
/// ```
pub struct Extents<const CLASSES: usize, B> {
    classes: [Class; CLASSES],
    /// Where a search begins, in words from a class's first one.
    hints: [AtomicU32; CLASSES],
    taken: B,
}

impl<const CLASSES: usize, B> Extents<CLASSES, B> {
    /// Slots of these sizes, ascending, all free. Slots for which there is no bit are not used.
    pub const fn new(classes: [Class; CLASSES], taken: B) -> Self {
        Self { classes, hints: [const { AtomicU32::new(0) }; CLASSES], taken }
    }

    /// Without the slots that lie beyond so many bytes.
    pub(super) const fn within(&mut self, mut bytes: usize) {
        let mut at = 0;
        while at < CLASSES {
            let class = &mut self.classes[at];
            let size = class.bytes as usize;
            let fit = bytes.checked_div(size);
            let fit = if let Some(fit) = fit { fit } else { usize::MAX };
            if fit < class.count as usize {
                // Lossless: no more than there were.
                class.count = fit as u32;
                // What comes behind would lie there.
                bytes = 0;
            } else {
                bytes -= class.count as usize * size;
            }
            at += 1;
        }
    }
}

impl<const CLASSES: usize, B: AsRef<[Word]>> Extents<CLASSES, B> {
    /// Each class with its first slot's number and offset. The numbers of slots beyond 2³¹ are not given out.
    fn laid_out(&self) -> impl Iterator<Item = (u32, u64, Class)> {
        let bits = (self.taken.as_ref().len() as u64 * 32).min(1 << 31);
        self.classes.iter().scan((0_u64, 0_u64), move |(first, offset), &class| {
            let (begins, lies) = (*first, *offset);
            // Lossless: no more than there were.
            let count = u64::from(class.count).min(bits.saturating_sub(begins)) as u32;
            *first += u64::from(count);
            *offset += u64::from(count) * u64::from(class.bytes);
            // Lossless: no more than bits.
            Some((begins as u32, lies, Class { count, ..class }))
        })
    }

    /// Takes a slot for so many bytes; `None` if none is free.
    pub fn take(&self, len: usize) -> Option<u32> {
        let fits = |&(_, (.., class)): &(usize, (u32, u64, Class))| class.bytes as usize >= len;
        let mut classes = self.laid_out().enumerate().filter(fits);
        classes.find_map(|(number, (first, _, class))| self.take_among(number, first, class.count))
    }

    /// Takes one of `count` slots from `first` on.
    fn take_among(&self, class: usize, first: u32, count: u32) -> Option<u32> {
        let last = first.checked_add(count.checked_sub(1)?)?;
        let words = last / 32 - first / 32 + 1;
        let hint = self.hints.get(class)?;
        // Relaxed: any word will do to begin with. (Divisions would take longer than all the rest.)
        let start = Some(hint.load(Relaxed)).filter(|start| *start < words).unwrap_or(0);
        (start..words).chain(0..start).find_map(|at| {
            let word = first / 32 + at;
            // The bits of this class in it.
            let from = first.max(word * 32) % 32;
            let to = last.min(word * 32 + 31) % 32;
            let mask = (u32::MAX << from) & (u32::MAX >> (31 - to));
            let bit = self.take_in(word, mask)?;
            hint.store(at, Relaxed);
            Some(word * 32 + bit)
        })
    }

    /// Takes one of the bits in the mask.
    fn take_in(&self, word: u32, mask: u32) -> Option<u32> {
        let Word(bits) = self.taken.as_ref().get(word as usize)?;
        let mut seen = bits.load(Relaxed);
        loop {
            let free = !seen & mask;
            if free == 0 {
                return None;
            }
            let bit = free.trailing_zeros();
            // Acquire pairs with the Release in `give_back`: who had the slot is done with its bytes.
            match bits.compare_exchange_weak(seen, seen | 1 << bit, Acquire, Relaxed) {
                Ok(_) => return Some(bit),
                Err(now) => seen = now,
            }
        }
    }

    /// Gives a slot back; whether it was taken.
    pub fn give_back(&self, extent: u32) -> bool {
        let bit = 1 << (extent % 32);
        let word = self.taken.as_ref().get(extent as usize / 32);
        // Release: see `take_in`.
        word.is_some_and(|Word(bits)| bits.fetch_and(!bit, Release) & bit != 0)
    }

    /// Where a slot begins, in bytes; the end of all of them for a number that is none.
    pub fn offset(&self, extent: u32) -> u64 {
        let class =
            self.laid_out().find(|(first, _, class)| extent.wrapping_sub(*first) < class.count);
        class.map_or(self.capacity(), |(first, offset, class)| {
            offset + u64::from(extent - first) * u64::from(class.bytes)
        })
    }

    /// Bytes of all slots.
    pub fn capacity(&self) -> u64 {
        self.laid_out().map(|(.., class)| u64::from(class.count) * u64::from(class.bytes)).sum()
    }

    /// Bytes of slots that are taken. It counts bits: for a snapshot, not for each message.
    pub fn used(&self) -> u64 {
        let taken = |slot: &u32| {
            let word = self.taken.as_ref().get(*slot as usize / 32);
            // Relaxed: a figure.
            word.is_some_and(|Word(bits)| bits.load(Relaxed) & 1 << (slot % 32) != 0)
        };
        let used = |(first, _, class): (u32, u64, Class)| {
            (first..first + class.count).filter(taken).count() as u64 * u64::from(class.bytes)
        };
        self.laid_out().map(used).sum()
    }
}

impl<const CLASSES: usize, B> fmt::Debug for Extents<CLASSES, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extents").field("classes", &self.classes).finish_non_exhaustive()
    }
}
