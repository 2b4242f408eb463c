//! Reading a stream of frames, whatever has become of it on the way.

use core::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::frame::{FrameError, MAX_FRAME, decode};

/// Puts frames together from bytes as they come: of [`Record`](super::Record)s, or of
/// [`Request`](super::Request)s.
///
/// After damage it goes on at the next zero byte, so that what is lost is the frame that was damaged, or two if it
/// was the zero between them. A reader that comes in the middle of a frame loses that one. See the
/// [module](super) for an example.
pub struct Decoder<T> {
    buffer: [u8; MAX_FRAME],
    len: usize,
    /// More bytes have come than the buffer holds.
    overflowed: bool,
    _frames: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Decoder<T> {
    /// At the beginning of a frame, or anywhere.
    pub const fn new() -> Self {
        Self { buffer: [0; MAX_FRAME], len: 0, overflowed: false, _frames: PhantomData }
    }

    /// Takes one byte. If that was the last of a frame, returns what is in it.
    pub fn push(&mut self, byte: u8) -> Option<Result<T, FrameError>> {
        if byte != 0 {
            match self.buffer.get_mut(self.len) {
                Some(slot) => {
                    *slot = byte;
                    self.len += 1;
                }
                None => self.overflowed = true,
            }
            return None;
        }
        let len = core::mem::replace(&mut self.len, 0);
        if core::mem::replace(&mut self.overflowed, false) {
            return Some(Err(FrameError::TooLong));
        }
        match self.buffer.get_mut(..len) {
            // Zeros may stand between frames: a sender begins with one if it does not know what came before.
            None | Some([]) => None,
            Some(frame) => Some(decode(frame)),
        }
    }

    /// Whether it is in the middle of a frame.
    pub fn is_within_frame(&self) -> bool {
        self.len > 0
    }
}

impl<T: DeserializeOwned> Default for Decoder<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The frames in a stream of bytes. A frame that the stream's end cuts off is an error, too.
///
/// ```
/// use cloakroom::report::{Frames, FrameError, MAX_FRAME, Request, encode};
///
/// let mut stream = Vec::new();
/// for request in [Request::Report, Request::Dump] {
///     stream.extend_from_slice(encode(&request, &mut [0; MAX_FRAME])?);
/// }
/// stream[3] ^= 0x40; // damage to the first
/// let requests: Vec<Result<Request, FrameError>> = Frames::new(stream).collect();
/// assert_eq!(requests, [Err(FrameError::Damaged), Ok(Request::Dump)]);
/// # Ok::<(), cloakroom::report::FullError>(())
/// ```
pub struct Frames<I, T> {
    bytes: I,
    decoder: Decoder<T>,
}

impl<I: Iterator<Item = u8>, T: DeserializeOwned> Frames<I, T> {
    /// The frames in `bytes`.
    pub fn new(bytes: impl IntoIterator<IntoIter = I>) -> Self {
        Self { bytes: bytes.into_iter(), decoder: Decoder::new() }
    }
}

impl<I: Iterator<Item = u8>, T: DeserializeOwned> Iterator for Frames<I, T> {
    type Item = Result<T, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        for byte in &mut self.bytes {
            if let Some(frame) = self.decoder.push(byte) {
                return Some(frame);
            }
        }
        let cut_off = core::mem::take(&mut self.decoder).is_within_frame();
        cut_off.then_some(Err(FrameError::TooShort))
    }
}
