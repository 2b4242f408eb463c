//! What the log asks of a file system, so that tests can stand in for one.

use std::io::{self, ErrorKind};
use std::vec::Vec;

use crate::journal::{Binding, Position, RECORD_HEADER, RecordHeader, Shape};

/// A directory of slots.
pub trait LogFiles: Send + Sync + 'static {
    /// One of its files.
    type File: LogFile;

    /// The numbers of the slots that are there.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn list(&self) -> io::Result<Vec<u32>>;

    /// Opens a slot's file, to write to it, too, if `writable`.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn open(&self, number: u32, writable: bool) -> io::Result<Self::File>;

    /// Makes a slot's file, which is empty. Its name is durable after [`sync_names`](Self::sync_names) only.
    ///
    /// # Errors
    ///
    /// Those of the system; also if there is one of that number.
    fn create(&self, number: u32) -> io::Result<Self::File>;

    /// Returns when the names of all files survive a power cut.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn sync_names(&self) -> io::Result<()>;
}

/// A slot's file. Its methods are those of the system: they may be interrupted, and transfer less than asked for.
pub trait LogFile: Send + Sync + 'static {
    /// Bytes that it has.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn size(&self) -> io::Result<u64>;

    /// Reads into `buffer` what is at `offset`, and returns how much that was.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes `bytes` to `offset`, and returns how many of them.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Cuts it off, or lets it read as zeros up to there.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Gives it that size, with all the room it takes, where the file system can do so.
    ///
    /// # Errors
    ///
    /// Those of the system: there is no room.
    fn allocate(&self, size: u64) -> io::Result<()>;

    /// Returns when what was written, and the size, survive a power cut.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of `bytes`, however often that takes.
pub(super) fn write_all(file: &impl LogFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(some) => done += some,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `buffer`, however often that takes.
pub(super) fn read_all(file: &impl LogFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(some) => done += some,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads the record at a position: its body, which is that long, and its header, if that verifies.
pub(super) fn read_record(
    file: &impl LogFile,
    log_id: u128,
    at: Position,
    body: &mut [u8],
) -> io::Result<Option<RecordHeader>> {
    let mut header = [0; RECORD_HEADER];
    read_all(file, &mut header, u64::from(at.offset))?;
    read_all(file, body, u64::from(at.offset) + RECORD_HEADER as u64)?;
    let binding = Binding { log_id, segment: at.segment, shape: Shape::Long };
    Ok(RecordHeader::decode(&header, &binding, at.offset))
}

/// Makes a call until no signal interrupts it: one that was interrupted has not failed, so a sync, too, is made again.
pub(super) fn uninterrupted(call: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Makes a file read as zeros, durably, with the room it takes. With `written` they are written out: a sync after a write
/// to such a file has nothing to note down but the data.
pub(super) fn blank(file: &impl LogFile, size: u32, written: bool) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    if file.size()? > 0 {
        // What was there is gone before the file grows again: it cannot come back as part of it.
        uninterrupted(|| file.set_size(0))?;
        uninterrupted(|| file.sync())?;
    }
    uninterrupted(|| file.allocate(u64::from(size)))?;
    if written {
        let mut at = 0;
        while at < size {
            let len = (size - at).min(ZEROS.len() as u32);
            write_all(file, &ZEROS[..len as usize], u64::from(at))?;
            at += len;
        }
    }
    uninterrupted(|| file.sync())
}
