//! This crate, as its users have it.

use std::sync::OnceLock;

use cloakroom::channel::{Buffered, Bytes};
use cloakroom::std_layer::{MappedArena, StdRawMutex as Lock, block_on};
use cloakroom::{ArenaRef, Lease, LeaseMut};

use crate::message::{Source, read};

/// The kind of channel that messages in an arena go through.
pub type Line = Bytes<'static, Lock, Buffered<128>>;

/// An arena of 64 MiB for messages of this size: a page is as long as a message, as one would choose who knows.
pub fn arena_for(size: usize) -> ArenaRef<'static, Lock> {
    static ARENAS: [OnceLock<ArenaRef<'static, Lock>>; 17] = [const { OnceLock::new() }; 17];
    let page = size.next_power_of_two().clamp(16, 1 << 16);
    *ARENAS[page.trailing_zeros() as usize].get_or_init(|| {
        const BYTES: usize = 64 << 20;
        let arena = MappedArena::new(BYTES, page, (BYTES / page).min(1 << 16));
        arena.expect("there is as much memory").leak()
    })
}

/// The arena of unbounded channels.
pub fn queue_arena() -> &'static MappedArena<Lock> {
    static ARENA: OnceLock<MappedArena<Lock>> = OnceLock::new();
    ARENA.get_or_init(|| MappedArena::new(1 << 30, 512, 1 << 20).expect("there is as much memory"))
}

/// Allocates a message, and writes it.
pub fn filled(
    arena: ArenaRef<'static, Lock>,
    source: &mut Source,
    number: u64,
) -> LeaseMut<'static, Lock> {
    let bytes = source.numbered(number);
    let lease = arena.try_alloc(bytes.len());
    let lease = lease.or_else(|_| block_on(arena.alloc(bytes.len())));
    let mut lease = lease.expect("the arena has room for one");
    lease.copy_from_slice(bytes);
    lease
}

/// Receives a message, reads it, and gives its memory back.
pub fn received(line: &Line) -> Option<u64> {
    block_on(line.recv()).ok().map(|lease: Lease<'static, Lock>| read(&lease))
}
