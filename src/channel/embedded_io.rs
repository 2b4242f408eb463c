//! Streams of bytes as [`embedded_io_async`] has them.

use embedded_io_async::{BufRead, Error, ErrorKind, ErrorType, Read, ReadReady, Write};

use super::store::{Compete, Strategy};
use super::{ByteReader, ByteRecvError, ByteWriter, BytesError};
use crate::arena::Parcel;
use crate::sync::RawMutex;

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
        self.write_some(core::iter::once(bytes)).await
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
        self.fill().await
    }

    fn consume(&mut self, count: usize) {
        self.unread().consume(count);
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> Read for ByteReader<'_, 'a, M, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ByteRecvError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.fill().await?;
        Ok(self.unread().read(buffer))
    }
}

impl<'a, M: RawMutex, S: Compete<Parcel<'a, M>>> ReadReady for ByteReader<'_, 'a, M, S> {
    fn read_ready(&mut self) -> Result<bool, ByteRecvError> {
        Ok(self.is_ready())
    }
}
