//! Bytes for code that knows `std::io` alone: streams, scattered output, and `bytes::Bytes`.
#![cfg(all(feature = "std", not(any(loom, shuttle))))]

use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, Read, Write};
use std::thread;

use cloakroom::Arena;
use cloakroom::channel::{Buffered, Bytes};
use cloakroom::std_layer::{StdRawMutex, pipe};

type Lock = StdRawMutex;

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(31) ^ (at >> 8)) as u8).collect()
}

#[test]
fn what_is_written_is_read() {
    // Far less memory than there are bytes, so that writers wait for memory; and readers of odd sizes.
    static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    let sent = pattern(100_000);
    for (messages, chunk, at_once) in [(1, 1, 1), (4, 64, 7), (4, 300, 1000), (2, 1024, 64)] {
        let (mut writer, mut reader) = pipe(ARENA.handle(), messages, chunk);
        let sent = &sent[..if chunk == 1 { 2_000 } else { sent.len() }];
        thread::scope(|scope| {
            scope.spawn(move || {
                for piece in sent.chunks(777) {
                    writer.write_all(piece).unwrap();
                }
                writer.flush().unwrap();
            });
            let (mut received, mut buffer) = (Vec::new(), vec![0; at_once]);
            loop {
                match reader.read(&mut buffer).unwrap() {
                    0 => break,
                    count => received.extend_from_slice(&buffer[..count]),
                }
            }
            assert!(received == sent);
            // It stays at its end.
            assert_eq!(reader.read(&mut buffer).unwrap(), 0);
            assert_eq!(reader.read(&mut []).unwrap(), 0);
        });
        assert_eq!(ARENA.snapshot().live, 0);
    }
}

#[test]
fn lines_lie_in_the_memory_of_the_message() {
    static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    let (mut writer, mut reader) = pipe(ARENA.handle(), 4, 64);
    writer.write_all(b"one\ntwo\nth").unwrap();
    writer.write_all(b"ree\n").unwrap();
    drop(writer);
    let first = reader.fill_buf().unwrap().as_ptr();
    reader.consume(4);
    assert_eq!(reader.fill_buf().unwrap().as_ptr(), first.wrapping_add(4)); // nothing was copied
    let lines: Vec<_> = reader.lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["two", "three"]);
}

#[test]
fn several_slices_become_one_message() {
    static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    static PIPE: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
    let mut writer = PIPE.writer(ARENA.handle(), 10);
    let pieces = [&b"ab"[..], b"", b"cdef", b"ghijkl"].map(IoSlice::new);
    assert_eq!(writer.write_vectored(&pieces).unwrap(), 10);
    assert_eq!(&*PIPE.try_recv().unwrap(), b"abcdefghij");
    // Nothing is no message: a reader would take it for the end.
    assert_eq!(Write::write(&mut writer, b"").unwrap(), 0);
    assert_eq!(writer.write_vectored(&[]).unwrap(), 0);
    assert!(PIPE.is_empty());
    // Messages that somebody else has sent may be empty.
    PIPE.try_send_bytes(ARENA.handle(), b"").unwrap();
    PIPE.try_send_bytes(ARENA.handle(), b"more").unwrap();
    PIPE.close();
    let mut all = String::new();
    BufReader::new(PIPE.reader()).read_to_string(&mut all).unwrap();
    assert_eq!(all, "more");
    assert_eq!(Write::write(&mut writer, b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_pipe_ends_with_its_ends() {
    static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    let (mut writer, reader) = pipe(ARENA.handle(), 4, 64);
    let mut second = writer.clone();
    writer.write_all(b"first").unwrap();
    drop(writer);
    second.write_all(b" second").unwrap();
    drop(second);
    let mut other = reader.clone();
    drop(reader);
    let mut all = Vec::new();
    other.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"first second");

    let (mut writer, mut reader) = pipe(ARENA.handle(), 4, 64);
    writer.write_all(b"half read, half not").unwrap();
    reader.read_exact(&mut [0; 9]).unwrap();
    drop(reader);
    assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(ARENA.snapshot().live, 0);
}

#[test]
fn more_than_the_arena_can_ever_hold_is_an_error() {
    static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    let (mut writer, _reader) = pipe(ARENA.handle(), 4, 1 << 20);
    assert_eq!(writer.write(&[0; 2_000]).unwrap_err().kind(), ErrorKind::OutOfMemory);
}

/// A target that takes a few bytes at a time, and is interrupted now and then.
#[derive(Default)]
struct Reluctant {
    taken: Vec<u8>,
    calls: usize,
    most: usize,
}

impl Write for Reluctant {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls % 5 == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        self.most = self.most.max(pieces.len());
        let mut count = 0;
        for byte in pieces.iter().flat_map(|piece| piece.iter()).take(self.calls % 90) {
            self.taken.push(*byte);
            count += 1;
        }
        if count == 0 { self.write_vectored(pieces) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_scattered_payload_is_written_run_by_run() {
    static ARENA: Arena<Lock, 256, 16, 256> = Arena::new();
    // Every other page is taken.
    let pages: Vec<_> = (0..256).map(|_| ARENA.try_alloc(16).unwrap()).collect();
    let kept: Vec<_> =
        pages.into_iter().filter(|page| page.as_ptr().addr() / 16 % 2 == 0).collect();
    let bytes = pattern(120 * 16 + 5);
    let mut chain = ARENA.handle().try_alloc_scattered(bytes.len()).unwrap();
    assert_eq!(chain.write_at(0, &bytes), bytes.len());
    assert_eq!(chain.io_slices().count(), 121); // more than one batch

    let mut target = Reluctant::default();
    chain.write_all_to(&mut target).unwrap();
    assert!(target.taken == bytes);
    assert!(target.most > 1);

    let empty = ARENA.handle().try_alloc_scattered(0).unwrap();
    let mut target = Reluctant::default();
    empty.write_all_to(&mut target).unwrap();
    assert_eq!(target.calls, 0);

    // A target that takes nothing any more.
    let mut room = [0; 100];
    let full = chain.write_all_to(&mut &mut room[..]).unwrap_err();
    assert_eq!((full.kind(), &room[..]), (ErrorKind::WriteZero, &bytes[..100]));
    drop(kept);
}

#[cfg(feature = "bytes")]
#[test]
fn a_lease_is_seen_as_bytes() {
    static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    static PIPE: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
    PIPE.try_send_bytes(ARENA.handle(), b"header and body").unwrap();
    let lease = PIPE.try_recv().unwrap();
    let address = lease.as_ptr();
    let all = bytes::Bytes::from(lease);
    assert_eq!(all.as_ptr(), address);
    let body = all.slice(11..);
    drop(all);
    // Another thread gives the memory back.
    thread::spawn(move || assert_eq!(&body[..], b"body")).join().unwrap();
    assert_eq!(ARENA.snapshot().live, 0);
}
