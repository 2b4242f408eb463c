//! Streams of bytes as [`std::io`] has them, and output of scattered payloads.

use std::array;
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};

use super::StdRawMutex;
use super::block_on;
use super::channel::{self, MessageReceiver, MessageSender};
use crate::arena::{ArenaRef, Chain, Parcel};
use crate::channel::byte_stream::{Unread, write_pieces};
use crate::channel::{ByteReader, ByteRecvError, ByteWriter, Bytes, BytesError, Compete, Strategy};
use crate::sync::RawMutex;

impl From<BytesError> for io::Error {
    fn from(error: BytesError) -> Self {
        let kind = match error {
            BytesError::Memory(_) => ErrorKind::OutOfMemory,
            BytesError::Full => ErrorKind::WouldBlock,
            BytesError::Closed => ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}

impl From<ByteRecvError> for io::Error {
    fn from(error: ByteRecvError) -> Self {
        let kind = match error {
            ByteRecvError::Closed => ErrorKind::BrokenPipe,
            ByteRecvError::Damaged => ErrorKind::InvalidData,
            ByteRecvError::Cancelled => ErrorKind::Interrupted,
            ByteRecvError::Timeout => ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

/// Declares `Write` by a function that sends pieces.
macro_rules! writes {
    (|$this:ident, $pieces:ident| $write:expr) => {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let ($this, $pieces) = (self, std::iter::once(bytes));
            Ok(block_on($write)?)
        }

        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            let ($this, $pieces) = (self, pieces.iter().map(|piece| &**piece));
            Ok(block_on($write)?)
        }

        fn flush(&mut self) -> io::Result<()> {
            // Nothing is kept back.
            Ok(())
        }
    };
}

/// Declares `Read` and `BufRead` by a future that fills what is unread.
macro_rules! reads {
    (|$this:ident| $fill:expr, $unread:expr) => {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            let $this = self;
            Ok(block_on($fill)?)
        }

        fn consume(&mut self, count: usize) {
            let $this = self;
            $unread.consume(count);
        }
    };
}

impl<'a, M: RawMutex, S: Strategy<Parcel<'a, M>>> Write for ByteWriter<'_, 'a, M, S> {
    writes!(|this, pieces| this.write_some(pieces));
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> BufRead for ByteReader<'_, 'a, M, S> {
    reads!(|this| this.fill(), this.unread());
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Read for ByteReader<'_, 'a, M, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        block_on(self.fill())?;
        Ok(self.unread().read(buffer))
    }
}

/// A stream of bytes through memory of `arena`, in up to `messages` messages of up to `chunk` bytes at a time.
///
/// Writers wait for memory and for room, readers for bytes; both are owned, may be cloned, and move to other threads. A
/// reader is at its end when the last writer has gone and everything is read; a write fails with
/// [`BrokenPipe`](ErrorKind::BrokenPipe) when the last reader has gone. A write of several slices becomes one message.
/// With several readers each message is read by one of them.
///
/// ```
/// use std::io::{BufRead, Write};
/// use cloakroom::Arena;
/// use cloakroom::std_layer::{StdRawMutex, pipe};
///
/// static ARENA: Arena<StdRawMutex, 64, 64, 16> = Arena::new();
/// let (mut writer, reader) = pipe(ARENA.handle(), 4, 256);
/// let thread = std::thread::spawn(move || -> std::io::Result<()> {
///     for line in 1..=100 {
///         writeln!(writer, "line {line}")?;
///     }
///     Ok(())
/// });
/// assert_eq!(reader.lines().count(), 100);
/// thread.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe(
    arena: ArenaRef<'_, StdRawMutex>,
    messages: usize,
    chunk: usize,
) -> (PipeWriter<'_>, PipeReader<'_>) {
    let (sender, receiver) = channel::messages(messages);
    let writer = PipeWriter { sender, arena, chunk: chunk.max(1) };
    (writer, PipeReader { receiver, unread: Unread::NOTHING })
}

/// The writing end of a [`pipe`].
#[derive(Clone)]
pub struct PipeWriter<'a> {
    sender: MessageSender<'a>,
    arena: ArenaRef<'a, StdRawMutex>,
    chunk: usize,
}

/// The reading end of a [`pipe`]. It holds the message that it is in the middle of, and as a [`BufRead`] lends its
/// memory.
pub struct PipeReader<'a> {
    receiver: MessageReceiver<'a>,
    unread: Unread<'a, StdRawMutex>,
}

impl Write for PipeWriter<'_> {
    writes!(|this, pieces| {
        write_pieces(Bytes::of(this.sender.channel()), this.arena, this.chunk, pieces)
    });
}

impl PipeReader<'_> {
    async fn fill(&mut self) -> Result<&[u8], ByteRecvError> {
        self.unread.fill(Bytes::of(self.receiver.channel())).await
    }
}

impl BufRead for PipeReader<'_> {
    reads!(|this| this.fill(), this.unread);
}

impl Read for PipeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        block_on(self.fill())?;
        Ok(self.unread.read(buffer))
    }
}

impl Clone for PipeReader<'_> {
    /// Another reader, which does not have the rest of the message that this one is in the middle of.
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), unread: Unread::NOTHING }
    }
}

impl<M: RawMutex> Chain<'_, M> {
    /// Its runs as the operating system takes them: `writev` sends a scattered payload without a copy.
    ///
    /// ```
    /// use std::io::{IoSlice, Write};
    /// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
    ///
    /// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    /// let mut chain = ARENA.handle().try_alloc_scattered(500)?;
    /// chain.write_at(0, &[7; 500]);
    /// let slices: Vec<IoSlice<'_>> = chain.io_slices().collect();
    /// let mut out = Vec::new();
    /// assert_eq!(out.write_vectored(&slices)?, 500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn io_slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        self.segments().map(IoSlice::new)
    }

    /// Writes all of it, many runs at a time. Allocates nothing.
    ///
    /// # Errors
    /// Those of `out`; what was written before is lost track of, as with [`write_all`](Write::write_all).
    ///
    /// ```
    /// use cloakroom::{Arena, sync::CriticalSectionRawMutex as Lock};
    ///
    /// static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    /// let mut chain = ARENA.handle().try_alloc_scattered(500)?;
    /// chain.write_at(0, &[7; 500]);
    /// let mut out = Vec::new();
    /// chain.write_all_to(&mut out)?;
    /// assert_eq!(out, [7; 500]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_all_to(&self, out: &mut impl Write) -> io::Result<()> {
        /// How many runs are handed over at a time.
        const BATCH: usize = 64;
        let mut runs = self.io_slices().filter(|run| !run.is_empty()).peekable();
        while runs.peek().is_some() {
            let mut batch: [IoSlice<'_>; BATCH] =
                array::from_fn(|_| runs.next().unwrap_or(IoSlice::new(&[])));
            let filled = batch.iter().take_while(|run| !run.is_empty()).count();
            let mut rest = batch.get_mut(..filled).unwrap_or_default();
            while !rest.is_empty() {
                match out.write_vectored(rest) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => IoSlice::advance_slices(&mut rest, count),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
