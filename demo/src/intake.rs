//! From the bytes of the input line to samples.

use crate::Crc32;

/// How much came in, and its checksum: what both ends of the demo compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    /// The number of samples, two bytes each.
    pub samples: u32,
    /// The CRC-32 of all their bytes.
    pub crc: u32,
}

impl Input {
    /// The samples and checksum of a whole recording.
    #[must_use]
    pub fn of(recording: &[u8]) -> Self {
        Self { samples: (recording.len() / 2) as u32, crc: Crc32::of(recording) }
    }
}

/// Puts the bytes of the input together to samples, and keeps count.
///
/// ```
/// use cloakroom_demo::{Input, Intake};
///
/// let mut intake = Intake::new();
/// assert_eq!(intake.push(0x34), None);
/// assert_eq!(intake.push(0x12), Some(0x1234));
/// assert_eq!(intake.input(), Input::of(&[0x34, 0x12]));
/// ```
#[derive(Clone, Debug)]
pub struct Intake {
    /// The low half of a sample whose high half is still to come.
    half: Option<u8>,
    samples: u32,
    crc: Crc32,
}

impl Intake {
    /// Nothing has come in yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { half: None, samples: 0, crc: Crc32::new() }
    }

    /// Takes the next byte and returns the sample that it completes: low byte first, then high.
    pub fn push(&mut self, byte: u8) -> Option<u16> {
        self.crc.update(&[byte]);
        match self.half.take() {
            None => {
                self.half = Some(byte);
                None
            }
            Some(low) => {
                self.samples = self.samples.wrapping_add(1);
                Some(u16::from_le_bytes([low, byte]))
            }
        }
    }

    /// What has come in so far.
    #[must_use]
    pub fn input(&self) -> Input {
        Input { samples: self.samples, crc: self.crc.value() }
    }
}

impl Default for Intake {
    fn default() -> Self {
        Self::new()
    }
}
