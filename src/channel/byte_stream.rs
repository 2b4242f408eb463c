//! A channel of messages as a stream of bytes, for code that reads and writes: asynchronous with the feature
//! `embedded-io-async`, blocking with `std`.

use super::store::{Compete, Strategy};
use super::{ByteRecvError, Bytes, BytesError};
use crate::arena::{ArenaRef, Lease, Parcel};
use crate::error::{SendError, TryAllocError};
use crate::sync::RawMutex;

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Bytes<'a, M, S> {
    /// The sending side as a stream of bytes, in messages of up to `chunk` bytes (at least one) of `arena`.
    pub fn writer(&self, arena: ArenaRef<'a, M>, chunk: usize) -> ByteWriter<'_, 'a, M, S> {
        ByteWriter { channel: self, arena, chunk: chunk.max(1) }
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Bytes<'a, M, S> {
    /// The receiving side as a stream of bytes. It is at its end when the channel is closed and empty.
    pub fn reader(&self) -> ByteReader<'_, 'a, M, S> {
        ByteReader { channel: self, unread: Unread::NOTHING }
    }
}

/// Writes bytes into a channel, made by [`Bytes::writer`].
///
/// It is `embedded_io_async::Write` with the feature of that name, and `std::io::Write` with `std`. A write copies
/// once, into the arena, waits for memory and for room, and sends one message. Cancel safety:
/// a write that is dropped has sent nothing. Nothing is kept back, so flushing does nothing.
///
#[cfg_attr(feature = "embedded-io-async", doc = "```")]
#[cfg_attr(not(feature = "embedded-io-async"), doc = "```ignore")]
/// use cloakroom::channel::{Buffered, Bytes};
/// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
/// use embedded_io_async::{Read, Write};
///
/// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
/// static PIPE: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// PIPE.writer(ARENA.handle(), 64).write_all(b"as many messages as it takes").await?;
/// let mut start = [0; 7];
/// PIPE.reader().read_exact(&mut start).await.map_err(|_| "too short")?;
/// # Ok(()) }
/// ```
pub struct ByteWriter<'c, 'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> {
    channel: &'c Bytes<'a, M, S>,
    arena: ArenaRef<'a, M>,
    chunk: usize,
}

/// Reads bytes out of a channel, made by [`Bytes::reader`].
///
/// It is `embedded_io_async::BufRead` with the feature of that name, and `std::io::BufRead` with `std`.
/// It holds the message that it is in the middle of, which is lost to other receivers. As a `BufRead` it
/// lends the message's own memory, so nothing is copied. Cancel safety: a read that is dropped has lost
/// nothing. A message that was damaged at rest is an error, once, and what follows is read.
pub struct ByteReader<'c, 'a, M: RawMutex, S: Compete<Parcel<'a, M>>> {
    channel: &'c Bytes<'a, M, S>,
    unread: Unread<'a, M>,
}

/// The message that a reader is in the middle of.
pub(crate) struct Unread<'a, M: RawMutex> {
    message: Option<Lease<'a, M>>,
    /// How much of it has been read.
    at: usize,
}

impl<'a, M: RawMutex> Unread<'a, M> {
    pub(crate) const NOTHING: Self = Self { message: None, at: 0 };

    /// What is left of the message.
    pub(crate) fn rest(&self) -> &[u8] {
        self.message.as_deref().and_then(|message| message.get(self.at..)).unwrap_or(&[])
    }

    /// What is left of the message, or the next one that is not empty; nothing at the end of the channel.
    pub(crate) async fn fill<S: Compete<Parcel<'a, M>>>(
        &mut self,
        channel: &Bytes<'a, M, S>,
    ) -> Result<&[u8], ByteRecvError> {
        while self.rest().is_empty() {
            *self = Self::NOTHING;
            match channel.recv().await {
                Ok(message) => self.message = Some(message),
                Err(ByteRecvError::Closed) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.rest())
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// Copies as much of what is left as fits.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let bytes = self.rest();
        let count = bytes.len().min(buffer.len());
        buffer.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.consume(count);
        count
    }
}

/// Sends the pieces, one behind the other, up to `chunk` bytes of them as one message; how many that were.
pub(crate) async fn write_pieces<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>>(
    channel: &Bytes<'a, M, S>,
    arena: ArenaRef<'a, M>,
    chunk: usize,
    pieces: impl Iterator<Item = &[u8]> + Clone,
) -> Result<usize, BytesError> {
    let all = pieces.clone().fold(0, |sum: usize, piece| sum.saturating_add(piece.len()));
    let count = all.min(chunk);
    if count == 0 {
        return Ok(0);
    }
    let allocated = arena.alloc(count).await;
    let mut message = allocated.map_err(|_| BytesError::Memory(TryAllocError::TooLarge))?;
    let mut room = &mut message[..];
    for piece in pieces {
        let (now, later) = room.split_at_mut(piece.len().min(room.len()));
        now.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
        room = later;
    }
    match channel.send(message).await {
        Ok(_) => Ok(count),
        Err(SendError(_)) => Err(BytesError::Closed),
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> ByteWriter<'_, 'a, M, S> {
    pub(crate) async fn write_some(
        &mut self,
        pieces: impl Iterator<Item = &[u8]> + Clone,
    ) -> Result<usize, BytesError> {
        write_pieces(self.channel, self.arena, self.chunk, pieces).await
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> ByteReader<'_, 'a, M, S> {
    pub(crate) async fn fill(&mut self) -> Result<&[u8], ByteRecvError> {
        self.unread.fill(self.channel).await
    }

    pub(crate) fn unread(&mut self) -> &mut Unread<'a, M> {
        &mut self.unread
    }

    /// Whether a read would not wait.
    #[cfg(feature = "embedded-io-async")]
    pub(super) fn is_ready(&self) -> bool {
        let (unread, channel) = (&self.unread, self.channel);
        !unread.rest().is_empty() || !channel.is_empty() || channel.is_closed()
    }
}
