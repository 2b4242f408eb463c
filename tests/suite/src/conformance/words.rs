//! What came of an operation, in words of the matrix.

use core::fmt::{self, Write};
use core::ops::Deref;

use cloakroom::channel::ChannelSnapshot;

/// A short text.
#[derive(Clone, Copy)]
pub struct Word {
    bytes: [u8; 24],
    len: usize,
}

impl Word {
    pub(super) const EMPTY: Self = Self { bytes: [0; 24], len: 0 };

    /// A state that a channel of this kind cannot be in.
    pub(super) fn impossible() -> Self {
        Self::of(format_args!("-"))
    }

    /// All of these, or `-`.
    pub(super) fn all(letters: impl Iterator<Item = &'static str>) -> Self {
        let mut word = Self::EMPTY;
        for letter in letters {
            let _ = word.write_str(letter);
        }
        if word.is_empty() { Self::impossible() } else { word }
    }

    pub(super) fn of(text: fmt::Arguments<'_>) -> Self {
        let mut word = Self::EMPTY;
        // A text that is too long differs from what is expected, which is what counts.
        let _ = word.write_fmt(text);
        word
    }
}

impl Write for Word {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            *self.bytes.get_mut(self.len).ok_or(fmt::Error)? = byte;
            self.len += 1;
        }
        Ok(())
    }
}

impl Deref for Word {
    type Target = str;
    fn deref(&self) -> &str {
        self.bytes.get(..self.len).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("?")
    }
}

/// The counters that have moved, as letters, with a number behind those that moved more than once.
pub(super) fn counters(before: &ChannelSnapshot, after: &ChannelSnapshot) -> Word {
    let moved = [
        ('S', after.sent.wrapping_sub(before.sent)),
        ('R', after.received.wrapping_sub(before.received)),
        ('D', after.dropped.wrapping_sub(before.dropped)),
        ('F', after.full.wrapping_sub(before.full)),
        ('E', after.empty.wrapping_sub(before.empty)),
        ('X', after.refused.wrapping_sub(before.refused)),
        ('W', after.send_waits.wrapping_sub(before.send_waits)),
        ('V', after.recv_waits.wrapping_sub(before.recv_waits)),
        ('T', after.timeouts().wrapping_sub(before.timeouts())),
        ('C', after.cancelled().wrapping_sub(before.cancelled())),
        ('L', after.lagged.wrapping_sub(before.lagged)),
    ];
    let mut word = Word::EMPTY;
    for (letter, count) in moved {
        let _ = match count {
            0 => Ok(()),
            1 => write!(word, "{letter}"),
            _ => write!(word, "{letter}{count}"),
        };
    }
    if word.is_empty() { Word::of(format_args!("-")) } else { word }
}
