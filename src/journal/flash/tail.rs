//! The end of the log: records go through the buffer, one after the other, each durable before the next.

use super::error::FlashError;
use super::log::State;
use crate::journal::reserve::For;
use crate::journal::{
    Binding, Checkpoint, Flags, Kind, LogDevice, PAIR, Position, Record, RecordHeader,
    SEGMENT_HEADER, Shape, Span,
};
use crate::sum::Sum;

/// Where the log is written on.
pub(super) struct Tail {
    /// Of the current segment.
    pub(super) binding: Binding,
    /// The slot that it is in.
    pub(super) slot: u32,
    /// Where the next byte goes.
    pub(super) end: u32,
    /// Bytes before that that are in the buffer only.
    pub(super) filled: usize,
    /// All records before are durable.
    pub(super) durable: Position,
}

/// The longest word of a flash: headers of segments are whole words.
pub(super) const LONGEST_WORD: usize = SEGMENT_HEADER;
/// Bytes of a header without a key, and without a count.
const HEADER: usize = Shape::Short.header(Flags::NONE);
/// Bytes of a record with a span: what the log ends with, or a scar.
pub(super) const SPAN: u32 = (HEADER + Span::LEN) as u32;
/// Bytes of a record with a checkpoint.
pub(super) const CHECKPOINT: u32 = (HEADER + Checkpoint::LEN) as u32;

impl<D: LogDevice> State<'_, D> {
    /// Writes a record, and returns where it is. There is room in the segment: whoever calls has looked.
    pub(super) fn put(
        &mut self,
        header: &RecordHeader,
        body: &[u8],
    ) -> Result<Position, FlashError<D::Error>> {
        let at = self.put_header(header)?;
        self.push(body)?;
        self.end_record()?;
        Ok(at)
    }

    /// Begins a record: its body and [`end_record`](Self::end_record) follow.
    pub(super) fn put_header(
        &mut self,
        header: &RecordHeader,
    ) -> Result<Position, FlashError<D::Error>> {
        let at = Position { segment: self.tail.binding.segment, offset: self.tail.end };
        let bytes = header.encode(&self.tail.binding, at.offset);
        self.push(&bytes[..header.header_len(Shape::Short) as usize])?;
        Ok(at)
    }

    /// Ends a record: it is durable. The next one is not begun before, as recovery relies on that.
    pub(super) fn end_record(&mut self) -> Result<(), FlashError<D::Error>> {
        let missing = self.whole(self.tail.end) - self.tail.end;
        self.push(&[0; LONGEST_WORD][..missing as usize])?;
        if self.tail.filled > 0 {
            self.write_out()?;
        }
        let segment = self.tail.binding.segment;
        self.tail.durable = Position { segment, offset: self.tail.end };
        Ok(())
    }

    /// Writes a record that is the log's own.
    fn put_own(
        &mut self,
        kind: Kind,
        flags: Flags,
        body: &[u8],
    ) -> Result<(), FlashError<D::Error>> {
        // It can be counted: it is short.
        let Some(record) = Record::new(kind, 0, 0, body) else { return Ok(()) };
        self.put(record.flagged(flags).header(), body).map(drop)
    }

    pub(super) fn put_checkpoint(&mut self, flags: Flags) -> Result<(), FlashError<D::Error>> {
        self.put_own(Kind::Checkpoint, flags, &self.checkpoint.encode())
    }

    /// Writes that everything is durable, and that the log was closed.
    pub(super) fn put_end(&mut self) -> Result<(), FlashError<D::Error>> {
        let durable = Span { from: self.tail.durable, to: 0 };
        self.put_own(Kind::Batch, Flags::CLEAN, &durable.encode())
    }

    pub(super) fn put_scar(&mut self, scar: Span) -> Result<(), FlashError<D::Error>> {
        self.put_own(Kind::Scar, Flags::NONE, &scar.encode())
    }

    /// Writes the keys that are remembered.
    pub(super) fn put_keys(&mut self) -> Result<(), FlashError<D::Error>> {
        let mut written = 0;
        // They are as they were: nobody else sends meanwhile.
        loop {
            let header = self.keys.records().nth(written).map(|record| record.header());
            let Some(header) = header else { return Ok(()) };
            self.put_header(&header)?;
            for at in 0..header.body_len as usize / PAIR {
                let pair = self.keys.records().nth(written).and_then(|it| it.pairs().nth(at));
                self.push(&pair.unwrap_or_default())?;
            }
            self.end_record()?;
            written += 1;
        }
    }

    /// Writes the acknowledgements that are noted down.
    pub(super) fn put_acks(&mut self) -> Result<(), FlashError<D::Error>> {
        // A record of acknowledgements takes no more than an eighth of a segment.
        let most = (self.device.segment_bytes() as usize / 8 / 16).max(1);
        while !self.acks.is_empty() {
            let group = self.acks.group(most);
            let Some(&last) = group.last() else { return Ok(()) };
            let ranges = group.len();
            let mut sum = Sum::new();
            group.iter().for_each(|range| sum.add(&range.encode()));
            // The cast keeps the value: there are few.
            let body_len = ranges as u32 * 16;
            let header = RecordHeader {
                body_crc: sum.end(),
                body_len,
                kind: Kind::Ack as u8,
                flags: Flags::NONE,
                chan: last.chan,
                seq: last.last,
                slot: 0,
                generation: 0,
            };
            self.make_room(self.whole(HEADER as u32 + body_len), For::Acks)?;
            self.put_header(&header)?;
            // They are as they were: nobody else notes any down.
            for range in 0..ranges {
                let bytes = self.acks.group(most)[range].encode();
                self.push(&bytes)?;
            }
            self.end_record()?;
            self.acks.written(ranges);
        }
        Ok(())
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), FlashError<D::Error>> {
        while !bytes.is_empty() {
            let room = &mut self.buffer[self.tail.filled..];
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            self.tail.filled += len;
            self.tail.end += len as u32;
            bytes = &bytes[len..];
            if self.tail.filled == self.buffer.len() {
                self.write_out()?;
            }
        }
        Ok(())
    }

    /// Writes the buffer. Its length, and that of a record, are whole words.
    fn write_out(&mut self) -> Result<(), FlashError<D::Error>> {
        let filled = core::mem::take(&mut self.tail.filled);
        let at = self.tail.end - filled as u32;
        let (slot, bytes) = (self.tail.slot, &mut self.buffer[..filled]);
        let written = self.device.write_out(slot, at, bytes);
        let synced = written.and_then(|()| self.device.sync(slot));
        synced.map_err(|_| self.fail())
    }
}
