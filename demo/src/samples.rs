//! Samples in frames: written as small differences, read back without loss.

use crate::frame::{FrameWriter, Kind, NoRoom};

/// Builds a frame of samples in place.
///
/// ```
/// use cloakroom_demo::{NoRoom, SamplesWriter};
///
/// # fn main() -> Result<(), NoRoom> {
/// let mut memory = [0; 128];
/// let mut writer = SamplesWriter::new(&mut memory, 0, 0)?;
/// for sample in [1000, 1003, 1001] {
///     writer.push_sample(sample)?;
/// }
/// assert_eq!(writer.count(), 3);
/// // Two bytes for the first sample, one for each of the others.
/// assert_eq!(writer.finish(), 8 + 4 + 4 + 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SamplesWriter<'a> {
    frame: FrameWriter<'a>,
    previous: u16,
    count: u16,
}

impl<'a> SamplesWriter<'a> {
    /// Starts a frame whose first sample will be number `first` of the recording.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if `buffer` is too short even for a frame without samples.
    pub fn new(buffer: &'a mut [u8], sequence: u16, first: u32) -> Result<Self, NoRoom> {
        let mut frame = FrameWriter::new(buffer, Kind::Samples, sequence)?;
        frame.push_u32(first)?;
        Ok(Self { frame, previous: 0, count: 0 })
    }

    /// Appends the next sample.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if it does not fit: finish this frame and begin the next one with this sample.
    pub fn push_sample(&mut self, sample: u16) -> Result<(), NoRoom> {
        let folded = fold(i32::from(sample) - i32::from(self.previous));
        let low = (folded & 0x7F) as u8;
        let middle = (folded >> 7 & 0x7F) as u8;
        let high = (folded >> 14) as u8;
        // A difference of two 16-bit numbers folds to 17 bits, so three bytes of 7 are enough.
        match (middle, high) {
            (0, 0) => self.frame.push_bytes(&[low]),
            (_, 0) => self.frame.push_bytes(&[low | 0x80, middle]),
            _ => self.frame.push_bytes(&[low | 0x80, middle | 0x80, high]),
        }?;
        self.previous = sample;
        self.count += 1;
        Ok(())
    }

    /// How many samples are in the frame.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Completes the frame and returns how many bytes of the buffer it takes.
    #[must_use = "the length says how much of the buffer to send"]
    pub fn finish(self) -> usize {
        self.frame.finish()
    }
}

/// 0, −1, 1, −2, 2 … become 0, 1, 2, 3, 4 …
fn fold(difference: i32) -> u32 {
    let twice = difference.unsigned_abs() * 2;
    if difference < 0 { twice - 1 } else { twice }
}

/// The inverse of [`fold`], for the 21 bits that three bytes can hold.
fn unfold(folded: u32) -> i32 {
    let half = (folded >> 1) as i32;
    if folded & 1 == 0 { half } else { -1 - half }
}

/// The samples of a frame, read one after the other.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    /// The number of the first of them in the recording.
    pub first: u32,
    bytes: &'a [u8],
    previous: u16,
}

impl<'a> Samples<'a> {
    /// The samples encoded in `bytes`.
    pub(crate) fn new(first: u32, bytes: &'a [u8]) -> Self {
        Self { first, bytes, previous: 0 }
    }

    /// Reads one folded difference off `bytes`.
    fn read(&mut self) -> Option<u32> {
        let mut folded = 0;
        for shift in [0, 7, 14] {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            folded |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(folded);
            }
        }
        None
    }
}

/// The bytes are not what [`SamplesWriter`] writes: a number breaks off, is longer than three bytes,
/// or leads out of the 16 bits of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSample;

impl core::fmt::Display for BadSample {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a sample that no writer writes")
    }
}

impl core::error::Error for BadSample {}

impl Iterator for Samples<'_> {
    type Item = Result<u16, BadSample>;

    /// The next sample. After an error, there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let sample = self
            .read()
            .map(|folded| i32::from(self.previous) + unfold(folded))
            .and_then(|sample| u16::try_from(sample).ok());
        if let Some(sample) = sample {
            self.previous = sample;
            Some(Ok(sample))
        } else {
            self.bytes = &[];
            Some(Err(BadSample))
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::{HEADER_LEN, TRAILER_LEN};
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    #[test]
    fn differences_fold_to_small_numbers() {
        assert_eq!([0, -1, 1, -2, 2].map(fold), [0, 1, 2, 3, 4]);
        for extreme in [-65_535, 65_535] {
            assert!(fold(extreme) < 1 << 17);
            assert_eq!(unfold(fold(extreme)), extreme);
        }
    }

    #[test]
    fn damaged_samples_are_errors_and_the_end() {
        for bytes in [&[0x80][..], &[0x80, 0x80, 0x80, 0x00], &[0x01], &[0xFF, 0xFF, 0x7F, 0x00]] {
            let all: Vec<_> = Samples::new(0, bytes).collect();
            assert_eq!(all, vec![Err(BadSample)]);
        }
    }

    proptest! {
        #[test]
        fn samples_come_back(samples in proptest::collection::vec(any::<u16>(), 0..100)) {
            let mut memory = [0; 512];
            let mut writer = SamplesWriter::new(&mut memory, 0, 42)?;
            for &sample in &samples {
                writer.push_sample(sample)?;
            }
            let len = writer.finish();
            let payload = &memory[HEADER_LEN + 4..len - TRAILER_LEN];
            let read: Result<Vec<_>, _> = Samples::new(42, payload).collect();
            prop_assert_eq!(read, Ok(samples));
        }

        #[test]
        fn a_full_frame_keeps_what_it_has(samples in proptest::collection::vec(any::<u16>(), 64), len in 16usize..64) {
            let mut memory = vec![0; len];
            let mut writer = SamplesWriter::new(&mut memory, 0, 0)?;
            let fit = samples.iter().take_while(|&&sample| writer.push_sample(sample).is_ok()).count();
            prop_assert_eq!(usize::from(writer.count()), fit);
            let len = writer.finish();
            let read: Result<Vec<_>, _> = Samples::new(0, &memory[HEADER_LEN + 4..len - TRAILER_LEN]).collect();
            prop_assert_eq!(read.unwrap(), &samples[..fit]);
        }
    }
}
