//! Queues over a journal: at least once, in order, whatever fails in between.
#![cfg(all(unix, not(any(loom, shuttle))))]

#[path = "../common/random.rs"]
mod random;

#[path = "../journal/disk.rs"]
#[allow(dead_code, reason = "more goes wrong in the log's own tests")]
mod disk;

mod closing;
mod futures;
mod model;
mod once;
mod recovery;
mod redelivery;
mod threads;

use cloakroom::Arena;
use cloakroom::durable::Queue;
use cloakroom::std_layer::StdRawMutex;
use cloakroom::std_layer::journal::{Level, Log, OpenPolicy, Options};

use disk::Disk;

type Lock = StdRawMutex;
type Small = Arena<Lock, 64, 64, 32>;
type Lot<'q, 'a> = Queue<'q, 'a, Lock, Log<Disk>, 8, 4>;

/// Keys that are remembered.
const KEYS: usize = 64;

fn open(disk: &Disk) -> Log<Disk> {
    Log::open(disk.clone(), options()).unwrap().0
}

fn options() -> Options {
    Options {
        segment_bytes: 32 << 10,
        slots: 5,
        max_payload: 4 << 10,
        max_messages: 200,
        stage_bytes: 16 << 10,
        keys: KEYS,
        policy: OpenPolicy::Salvage,
        ..Options::default()
    }
}

fn queue<'q, 'a>(arena: &'a Small, log: &'q Log<Disk>) -> Lot<'q, 'a> {
    Queue::new(arena.handle(), log, 1, Level::Buffered)
}

/// Sends these bytes at once.
fn put<'a>(queue: &Lot<'_, 'a>, arena: &'a Small, bytes: &[u8]) -> Result<u64, String> {
    let mut payload = arena.try_alloc(bytes.len()).map_err(|error| error.to_string())?;
    payload.copy_from_slice(bytes);
    queue.try_send(payload).map_err(|error| error.to_string())
}
