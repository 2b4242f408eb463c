//! Keys of messages that were sent, so that none is sent twice: of each channel those that came last.
//!
//! Memory is the caller's, cut into *windows* of equal length, one for each channel that sends with keys. A window is a ring: a new
//! key takes the place of the oldest. To find one, places are chained by their keys' hashes: a place is an entry of the ring and,
//! beside, the head of a chain.
//!
//! In the log a key is part of its message's record ([`Flags::KEYED`](super::Flags::KEYED)). As that goes when its segment is collected,
//! which may be before the key is forgotten, each segment begins with all keys that are remembered then, the oldest first
//! ([`Kind::Keys`](super::Kind::Keys)). So the oldest segment that is left says what was remembered when it was begun, those behind it say
//! what came later, in order, and a recovery comes to what was remembered in the end, however often it is made.

use core::{error, fmt};

#[cfg(all(feature = "wal", unix))]
use super::record::Record;
use super::record::record_len;
#[cfg(feature = "flash")]
use super::record::{Flags, RecordHeader};
#[cfg(any(feature = "flash", all(feature = "wal", unix)))]
use super::record::{Kind, RECORD_HEADER};
#[cfg(feature = "flash")]
use crate::sum::Sum;

/// Keys in one record at the most.
#[cfg(any(feature = "flash", all(feature = "wal", unix)))]
pub(crate) const MAX_KEYS: usize = 64;
/// Bytes of a key in a record.
pub(crate) const PAIR: usize = 16;

/// A place for a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered {
    key: u64,
    /// Of its message.
    seq: u64,
    /// The first place of the chain that begins here, and the next one of the chain that this is in: within the window, from 1
    /// on; 0 is none.
    head: u32,
    next: u32,
    /// Of a window's first place: where the next key goes, and whose the window is.
    cursor: u32,
    chan: u16,
    owned: bool,
    taken: bool,
}

impl Remembered {
    pub(crate) const NONE: Self =
        Self { key: 0, seq: 0, head: 0, next: 0, cursor: 0, chan: 0, owned: false, taken: false };

    #[cfg(any(feature = "flash", all(feature = "wal", unix)))]
    fn pair(&self) -> [u8; PAIR] {
        let mut bytes = [0; PAIR];
        bytes[..8].copy_from_slice(&self.key.to_le_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_le_bytes());
        bytes
    }
}

/// All channels have their windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoWindowError;

impl fmt::Display for NoWindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no memory for keys of another channel")
    }
}

impl error::Error for NoWindowError {}

/// Keys that are remembered. `S` is what they lie in: `&mut [Remembered]`, `Box<[Remembered]>`.
///
/// *Cost:* constant, but for keys whose hashes meet.
///
/// ```
/// use cloakroom::journal::{Keys, Remembered};
///
/// let mut keys = Keys::new([Remembered::default(); 4], 2);
/// keys.remember(1, 500, 10)?;
/// keys.remember(1, 501, 11)?;
/// assert_eq!(keys.find(1, 500), Some(10));
/// assert_eq!(keys.find(2, 500), None);
/// // The third takes the place of the first.
/// keys.remember(1, 502, 12)?;
/// assert_eq!((keys.find(1, 500), keys.find(1, 501)), (None, Some(11)));
/// # Ok::<(), cloakroom::journal::NoWindowError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keys<S> {
    places: S,
    window: usize,
}

impl Keys<[Remembered; 0]> {
    /// For who does not want to know any.
    pub const fn none() -> Self {
        Self { places: [], window: 0 }
    }
}

impl<S: AsRef<[Remembered]> + AsMut<[Remembered]>> Keys<S> {
    /// None yet; of each channel `window` at the most, for as many channels as there are whole windows.
    pub fn new(mut places: S, window: usize) -> Self {
        places.as_mut().fill(Remembered::NONE);
        // A place's number has 32 bits.
        let window = window.min(u32::MAX as usize - 1);
        Self { places, window }
    }

    /// The number of the message that was sent with a key, if that is remembered.
    pub fn find(&self, chan: u16, key: u64) -> Option<u64> {
        let window = self.window_of(chan)?;
        self.place_of(window, key).map(|place| window[place].seq)
    }

    /// Whether a channel can send with keys.
    pub fn has_room(&self, chan: u16) -> bool {
        let mut windows = self.windows();
        windows.any(|window| !window[0].owned || window[0].chan == chan)
    }

    /// Remembers a key, and forgets the oldest if there is no place left. One that is remembered of another message is that one's no
    /// more: a window that is larger than when the log was written remembers longer.
    ///
    /// # Errors
    ///
    /// [`NoWindowError`].
    pub fn remember(&mut self, chan: u16, key: u64, seq: u64) -> Result<(), NoWindowError> {
        let own = self.window_of(chan);
        let known =
            own.and_then(|window| self.place_of(window, key).map(|at| (at, window[at].seq)));
        if known.is_some_and(|(_, known)| known == seq) {
            return Ok(());
        }
        let size = self.window.max(1);
        let windows = self.places.as_mut().chunks_exact_mut(size);
        let mut windows = windows.take(if self.window == 0 { 0 } else { usize::MAX });
        // Windows are taken in order, so there is no free one before a channel's own.
        let window = windows.find(|window| !window[0].owned || window[0].chan == chan);
        let window = window.ok_or(NoWindowError)?;
        (window[0].owned, window[0].chan) = (true, chan);
        if let Some((before, _)) = known {
            unlink(window, before);
        }
        let place = window[0].cursor as usize;
        unlink(window, place);
        // Both casts keep the value: a window is no longer.
        window[0].cursor = ((place + 1) % size) as u32;
        let home = home(key, size);
        let next = core::mem::replace(&mut window[home].head, place as u32 + 1);
        let entry = &mut window[place];
        (entry.key, entry.seq, entry.next, entry.taken) = (key, seq, next, true);
        Ok(())
    }

    /// Forgets the keys of messages `first` to `last` of a channel, that were cancelled.
    pub fn forget(&mut self, chan: u16, first: u64, last: u64) {
        let size = self.window.max(1);
        let mut windows = self.places.as_mut().chunks_exact_mut(size);
        let own = |window: &&mut [Remembered]| window[0].owned && window[0].chan == chan;
        let Some(window) = windows.find(own) else { return };
        for place in 0..window.len() {
            if window[place].taken && (first..=last).contains(&window[place].seq) {
                unlink(window, place);
            }
        }
    }

    /// Gives them up: what they lie in.
    #[cfg(feature = "flash")]
    pub(crate) fn into_places(self) -> S {
        self.places
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.windows().flatten().filter(|place| place.taken).count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that are remembered: the channel, the key, and the number of its message; of each channel the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64, u64)> {
        self.windows()
            .flat_map(|window| in_order(window).map(|place| (window[0].chan, place.key, place.seq)))
    }

    /// Bytes that the records of all keys take at the most, in words of that length.
    #[cfg(feature = "flash")]
    pub(crate) fn most_bytes(&self, word: u32) -> u64 {
        most_bytes(self.windows().count(), self.window, word)
    }

    /// The records that say what is remembered, in the order in which they are to be written.
    #[cfg(any(feature = "flash", all(feature = "wal", unix)))]
    pub(crate) fn records(&self) -> impl Iterator<Item = KeysRecord<'_>> {
        self.windows().flat_map(|window| {
            let mut from = 0;
            core::iter::from_fn(move || {
                let record = KeysRecord { window, from };
                let pairs = record.pairs().count();
                from += pairs;
                (pairs > 0).then_some(record)
            })
        })
    }

    /// What a record of keys says, a pair at a time. What there is no window for is not remembered.
    pub(super) fn restore(&mut self, chan: u16, pair: [u8; PAIR]) {
        let (key, seq) = decode(pair);
        // A log that is opened with less memory than before.
        let _ = self.remember(chan, key, seq);
    }

    /// Whether a pair says what is not remembered.
    pub(super) fn is_news(&self, chan: u16, pair: [u8; PAIR]) -> bool {
        let (key, seq) = decode(pair);
        self.has_room(chan) && self.find(chan, key) != Some(seq)
    }

    fn windows(&self) -> impl Iterator<Item = &[Remembered]> {
        let windows = self.places.as_ref().chunks_exact(self.window.max(1));
        windows.take(if self.window == 0 { 0 } else { usize::MAX })
    }

    fn window_of(&self, chan: u16) -> Option<&[Remembered]> {
        self.windows().find(|window| window[0].owned && window[0].chan == chan)
    }

    fn place_of(&self, window: &[Remembered], key: u64) -> Option<usize> {
        let mut link = window[home(key, window.len())].head;
        // A chain ends: each place is in one at the most, and once.
        while let Some(place) = place(link) {
            if window[place].key == key {
                return Some(place);
            }
            link = window[place].next;
        }
        None
    }
}

/// A record of up to [`MAX_KEYS`] keys of a channel.
#[cfg(any(feature = "flash", all(feature = "wal", unix)))]
pub(crate) struct KeysRecord<'k> {
    window: &'k [Remembered],
    /// How many of the window's keys are in records before.
    from: usize,
}

#[cfg(any(feature = "flash", all(feature = "wal", unix)))]
impl KeysRecord<'_> {
    /// As they are written, the oldest first.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = [u8; PAIR]> {
        in_order(self.window).skip(self.from).take(MAX_KEYS).map(Remembered::pair)
    }

    #[cfg(feature = "flash")]
    pub(crate) fn header(&self) -> RecordHeader {
        let (mut sum, mut pairs) = (Sum::new(), 0);
        self.pairs().for_each(|pair| {
            sum.add(&pair);
            pairs += 1;
        });
        RecordHeader {
            body_crc: sum.end(),
            body_len: pairs * PAIR as u32,
            kind: Kind::Keys as u8,
            flags: Flags::NONE,
            chan: self.window[0].chan,
            seq: 0,
            slot: 0,
            generation: 0,
        }
    }

    /// With its body in `buffer`, which has room for [`MAX_KEYS`].
    #[cfg(all(feature = "wal", unix))]
    pub(crate) fn fill<'b>(&self, buffer: &'b mut [u8; MAX_KEYS * PAIR]) -> Option<Record<'b>> {
        let mut len = 0;
        for pair in self.pairs() {
            buffer[len..len + PAIR].copy_from_slice(&pair);
            len += PAIR;
        }
        Record::new(Kind::Keys, self.window[0].chan, 0, &buffer[..len])
    }
}

/// Bytes that records of so many keys of so many channels take.
#[cfg(any(feature = "flash", all(feature = "wal", unix)))]
pub(crate) const fn most_bytes(windows: usize, window: usize, word: u32) -> u64 {
    // An absurd number is refused as such, and counted as the most there is.
    let records = window.div_ceil(MAX_KEYS);
    // A record is a multiple of a pair's length, and longer words are filled up.
    let record = RECORD_HEADER as u64 + (word as u64).saturating_sub(PAIR as u64);
    let window = (records as u64)
        .saturating_mul(record)
        .saturating_add((window as u64).saturating_mul(PAIR as u64));
    (windows as u64).saturating_mul(window)
}

const _: () = assert!(matches!(record_len(PAIR), Some(48)), "pairs need no zeros behind them");

fn decode(pair: [u8; PAIR]) -> (u64, u64) {
    let both = u128::from_le_bytes(pair);
    // The casts take the lower and the upper half.
    (both as u64, (both >> 64) as u64)
}

/// What a window remembers, the oldest first.
fn in_order(window: &[Remembered]) -> impl Iterator<Item = &Remembered> {
    let (newer, older) = window.split_at(window[0].cursor as usize);
    older.iter().chain(newer).filter(|place| place.taken)
}

/// The place that a link leads to.
fn place(link: u32) -> Option<usize> {
    (link as usize).checked_sub(1)
}

/// Where the chain of a key begins: Fibonacci hashing.
fn home(key: u64, size: usize) -> usize {
    let mixed = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    // Less than the size.
    ((mixed * size as u64) >> 32) as usize
}

/// Takes a place's key out, if it has one.
fn unlink(window: &mut [Remembered], at: usize) {
    if !core::mem::replace(&mut window[at].taken, false) {
        return;
    }
    let next = window[at].next;
    let head = home(window[at].key, window.len());
    let mut link = window[head].head;
    if place(link) == Some(at) {
        window[head].head = next;
        return;
    }
    while let Some(before) = place(link) {
        link = window[before].next;
        if place(link) == Some(at) {
            window[before].next = next;
            return;
        }
    }
}
