//! Reading one segment, record by record, past whatever is damaged.

use super::device::LogDevice;
use super::record::{ALIGN, Binding, Flags, RecordHeader};
use super::report::RecoverError;
use super::segment::{SEGMENT_HEADER, SegmentHeader, field};
use crate::sum::Sum;

/// What a read error makes unreadable at least.
const SECTOR: u32 = 512;

/// The smallest window.
pub const MIN_WINDOW: usize = 64;

/// What is found next in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item {
    /// A record that is intact.
    Record {
        /// Where it begins.
        offset: u32,
        /// What it says; its body was summed up.
        header: RecordHeader,
    },
    /// Bytes that are no record, with records behind them, or a record whose body is damaged.
    Damage {
        /// The first of them.
        from: u32,
        /// The first behind them.
        to: u32,
        /// If it is the body only: whose.
        header: Option<RecordHeader>,
    },
    /// No record follows.
    End {
        /// Where the last one ends.
        offset: u32,
        /// Where that which is not zero ends: the same, if the end is clean.
        garbage: u32,
    },
}

/// Goes through one segment as it lies there, for who wants to see its records: calls `each` with them, and with what is
/// damaged, from the first to the end. What a log comes to is [`recover`](super::recover)'s to say.
///
/// `header` is the segment's, which is in `slot`. Records end at `limit` at the latest: where the header of the segment that
/// follows says that this one ends, or at the header behind the last record (`u32::MAX` will do).
///
/// # Errors
///
/// [`RecoverError::Device`], and [`RecoverError::WindowTooSmall`].
///
/// # Example
///
/// ```
/// use cloakroom::journal::{Item, Kind, LogDevice, Record, SegmentHeader, Shape, scan};
///
/// /// A sector with a segment in it.
/// struct Sector(Vec<u8>);
/// impl LogDevice for Sector {
///     type Error = ();
///     fn slots(&self) -> u32 { 1 }
///     fn segment_bytes(&self) -> u32 { 512 }
///     fn read(&mut self, _: u32, offset: u32, buffer: &mut [u8]) -> Result<(), ()> {
///         buffer.copy_from_slice(&self.0[offset as usize..][..buffer.len()]);
///         Ok(())
///     }
///     fn write(&mut self, _: u32, _: u32, _: &[u8]) -> Result<(), ()> { Err(()) }
///     fn sync(&mut self, _: u32) -> Result<(), ()> { Err(()) }
///     fn renew(&mut self, _: u32) -> Result<(), ()> { Err(()) }
/// }
///
/// let header = SegmentHeader {
///     log_id: 7, segment: 1, segment_bytes: 512, geometry: 0, previous_end: 0, created: 0, shape: Shape::Long,
/// };
/// let mut sector = Sector(vec![0; 512]);
/// let record = Record::new(Kind::Send, 3, 17, b"a message").unwrap();
/// record.encode(&header.binding(), 64, &mut sector.0[64..]).unwrap();
///
/// let mut seen = Vec::new();
/// scan(&mut sector, 0, &header, u32::MAX, &mut [0; 64], |item| seen.push(item)).unwrap();
/// assert!(matches!(seen[0], Item::Record { offset: 64, header } if header.seq == 17));
/// assert_eq!(seen[1], Item::End { offset: 112, garbage: 112 });
/// ```
pub fn scan<D: LogDevice>(
    device: &mut D,
    slot: u32,
    header: &SegmentHeader,
    limit: u32,
    window: &mut [u8],
    mut each: impl FnMut(Item),
) -> Result<(), RecoverError<D::Error>> {
    if window.len() < MIN_WINDOW {
        return Err(RecoverError::WindowTooSmall);
    }
    let bytes = device.segment_bytes();
    let available = device.available(slot).map_err(RecoverError::Device)?.min(bytes);
    let mut window = Window::new(window);
    window.open(slot, available & !7);
    let room = bytes.saturating_sub(SEGMENT_HEADER as u32);
    let end = limit.min(room).min(available & !7);
    let mut scanner = Scanner::new(header.binding(), end, device.word());
    loop {
        let item = scanner.next(&mut window, device);
        each(item);
        if matches!(item, Item::End { .. }) {
            return Ok(());
        }
    }
}

/// Part of a slot, in memory of the caller's.
pub(super) struct Window<'b> {
    buffer: &'b mut [u8],
    slot: u32,
    start: u32,
    len: usize,
    /// Bytes that the slot has.
    end: u32,
}

impl<'b> Window<'b> {
    pub(super) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, slot: 0, start: 0, len: 0, end: 0 }
    }

    pub(super) fn open(&mut self, slot: u32, end: u32) {
        (self.slot, self.start, self.len, self.end) = (slot, 0, 0, end);
    }

    /// `len` bytes at `at`, not more than the window; `None` if they cannot be read, or are not there.
    pub(super) fn get<D: LogDevice>(
        &mut self,
        device: &mut D,
        at: u32,
        len: usize,
    ) -> Option<&[u8]> {
        if self.held(at) < len {
            self.fill(device, at, len)?;
        }
        let skip = (at - self.start) as usize;
        Some(&self.buffer[skip..skip + len])
    }

    /// `N` bytes at `at`; `None` if they cannot be read.
    pub(super) fn array<const N: usize, D: LogDevice>(
        &mut self,
        device: &mut D,
        at: u32,
    ) -> Option<[u8; N]> {
        self.get(device, at, N).map(|bytes| field(bytes, 0))
    }

    fn fill<D: LogDevice>(&mut self, device: &mut D, at: u32, len: usize) -> Option<()> {
        let there = self.end.checked_sub(at)? as usize;
        if len > there || len > self.buffer.len() {
            return None;
        }
        // As much as there is room for; if that cannot be read, what was asked for.
        self.len = 0;
        for len in [there.min(self.buffer.len()), len] {
            if device.read(self.slot, at, &mut self.buffer[..len]).is_ok() {
                (self.start, self.len) = (at, len);
                return Some(());
            }
        }
        None
    }

    /// The first byte from `at` on that is not zero, or `to`; `None` if the sector that `at` is in cannot be read.
    pub(super) fn past_zeros<D: LogDevice>(
        &mut self,
        device: &mut D,
        mut at: u32,
        to: u32,
    ) -> Option<u32> {
        while at < to {
            let held = self.held(at);
            let len = if held > 0 { held } else { self.buffer.len() }.min((to - at) as usize);
            let bytes = match self.get(device, at, len) {
                Some(bytes) => bytes,
                None => {
                    let sector = len.min((SECTOR - at % SECTOR) as usize);
                    self.get(device, at, sector)?
                }
            };
            let words = bytes.chunks_exact(ALIGN).take_while(|word| **word == [0; ALIGN]);
            let zeros = words.count() * ALIGN;
            let zeros = zeros + bytes[zeros..].iter().take_while(|&&byte| byte == 0).count();
            at += zeros as u32;
            if zeros < bytes.len() {
                return Some(at);
            }
        }
        Some(to)
    }

    /// How many bytes from `at` on are in the window.
    fn held(&self, at: u32) -> usize {
        at.checked_sub(self.start).map_or(0, |skip| self.len.saturating_sub(skip as usize))
    }
}

/// Goes through one segment.
pub(super) struct Scanner {
    binding: Binding,
    at: u32,
    end: u32,
    /// The device's.
    word: u32,
    /// A record that was found behind damage.
    found: Option<RecordHeader>,
}

impl Scanner {
    /// From the first record on to `end`, which the window reaches.
    pub(super) fn new(binding: Binding, end: u32, word: u32) -> Self {
        Self { binding, at: SEGMENT_HEADER as u32, end, word, found: None }
    }

    pub(super) fn next<D: LogDevice>(&mut self, window: &mut Window<'_>, device: &mut D) -> Item {
        let (offset, found) = (self.at, self.found.take());
        if let Some(header) = found.or_else(|| self.header(window, device, offset)) {
            return self.judge(window, device, offset, header);
        }
        let mut garbage = offset;
        let mut at = offset;
        while at < self.end {
            match window.past_zeros(device, at, self.end) {
                Some(found) if found == self.end => break,
                // A record that begins with two sums of zero has something else than zeros in its second word.
                Some(found) => {
                    let word = found / ALIGN as u32 * ALIGN as u32;
                    at = word.saturating_sub(ALIGN as u32).max(at);
                    for candidate in (at..=word).step_by(ALIGN) {
                        if let Some(header) = self.header(window, device, candidate) {
                            (self.at, self.found) = (candidate, Some(header));
                            return Item::Damage { from: offset, to: candidate, header: None };
                        }
                    }
                    at = word + ALIGN as u32;
                    garbage = at.min(self.end);
                }
                None => {
                    at = (at / SECTOR + 1) * SECTOR;
                    garbage = at.min(self.end);
                }
            }
        }
        self.at = self.end;
        Item::End { offset, garbage }
    }

    /// A header at `at` that verifies, of a record that fits.
    fn header<D: LogDevice>(
        &self,
        window: &mut Window<'_>,
        device: &mut D,
        at: u32,
    ) -> Option<RecordHeader> {
        let shape = self.binding.shape;
        if (self.end.checked_sub(at)? as usize) < shape.header(Flags::NONE) {
            return None;
        }
        let bytes = shape.read(|bytes| {
            bytes.copy_from_slice(window.get(device, at, bytes.len()).ok_or(())?);
            Ok::<(), ()>(())
        });
        let header = RecordHeader::decode(&bytes.ok()?, &self.binding, at)?;
        (header.len(shape)? <= self.end - at).then_some(header)
    }

    /// Whether the body is what was written.
    fn judge<D: LogDevice>(
        &mut self,
        window: &mut Window<'_>,
        device: &mut D,
        offset: u32,
        header: RecordHeader,
    ) -> Item {
        let mut sum = Sum::new();
        let mut at = offset + header.header_len(self.binding.shape);
        let end = at + header.body_len;
        let mut whole = true;
        while at < end && whole {
            let len = (end - at).min(window.buffer.len() as u32);
            match window.get(device, at, len as usize) {
                Some(bytes) => sum.add(bytes),
                None => whole = false,
            }
            at += len;
        }
        // The header was checked for that: the record ends before the segment does.
        self.at = end.next_multiple_of(self.word).min(self.end);
        if whole && sum.end() == header.body_crc {
            Item::Record { offset, header }
        } else {
            Item::Damage { from: offset, to: self.at, header: Some(header) }
        }
    }
}
