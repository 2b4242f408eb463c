//! A channel of messages as a stream of bytes, for code that reads and writes (`embedded-io-async`).

use embedded_io_async::{BufRead, Error, ErrorKind, ErrorType, Read, ReadReady, Write};

use super::store::{Compete, Strategy};
use super::{ByteRecvError, Bytes, BytesError};
use crate::arena::{ArenaRef, Lease, Parcel};
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
        ByteReader { channel: self, current: None, at: 0 }
    }
}

/// Writes bytes into a channel, made by [`Bytes::writer`].
///
/// A write copies once, into the arena, waits for memory and for room, and sends one message. Cancel safety:
/// a write that is dropped has sent nothing. Nothing is kept back, so flushing does nothing.
///
/// ```
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
/// It holds the message that it is in the middle of, which is lost to other receivers. As a [`BufRead`] it
/// lends the message's own memory, so nothing is copied. Cancel safety: a read that is dropped has lost
/// nothing. A message that was damaged at rest is an error, once, and what follows is read.
pub struct ByteReader<'c, 'a, M: RawMutex, S: Compete<Parcel<'a, M>>> {
    channel: &'c Bytes<'a, M, S>,
    current: Option<Lease<'a, M>>,
    /// How much of it has been read.
    at: usize,
}

impl Error for BytesError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Memory(_) => ErrorKind::OutOfMemory,
            Self::Full => ErrorKind::WriteZero,
            Self::Closed => ErrorKind::BrokenPipe,
        }
    }
}

impl Error for ByteRecvError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Closed => ErrorKind::BrokenPipe,
            Self::Damaged => ErrorKind::InvalidData,
            Self::Cancelled => ErrorKind::Interrupted,
            Self::Timeout => ErrorKind::TimedOut,
        }
    }
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> ErrorType for ByteWriter<'_, 'a, M, S> {
    type Error = BytesError;
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Write for ByteWriter<'_, 'a, M, S> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, BytesError> {
        let now = bytes.get(..self.chunk).unwrap_or(bytes);
        if !now.is_empty() {
            self.channel.send_bytes(self.arena, now).await?;
        }
        Ok(now.len())
    }

    async fn flush(&mut self) -> Result<(), BytesError> {
        Ok(())
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> ErrorType for ByteReader<'_, 'a, M, S> {
    type Error = ByteRecvError;
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> BufRead for ByteReader<'_, 'a, M, S> {
    async fn fill_buf(&mut self) -> Result<&[u8], ByteRecvError> {
        while self.current.as_ref().is_none_or(|message| self.at >= message.len()) {
            self.current = None;
            self.at = 0;
            match self.channel.recv().await {
                Ok(message) => self.current = Some(message),
                Err(ByteRecvError::Closed) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.current.as_deref().and_then(|message| message.get(self.at..)).unwrap_or(&[]))
    }

    fn consume(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Read for ByteReader<'_, 'a, M, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ByteRecvError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let bytes = self.fill_buf().await?;
        let count = bytes.len().min(buffer.len());
        buffer.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.consume(count);
        Ok(count)
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> ReadReady for ByteReader<'_, 'a, M, S> {
    fn read_ready(&mut self) -> Result<bool, ByteRecvError> {
        let rest = self.current.as_ref().is_some_and(|message| self.at < message.len());
        Ok(rest || !self.channel.is_empty() || self.channel.is_closed())
    }
}
