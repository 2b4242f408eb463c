//! How many bytes of RAM things take.

use bench::Bench;
use cloakroom::channel::{Buffered, Bytes, Channel, RecvFuture, Rendezvous, SendFuture};
use cloakroom::kernel::{Kernel, NoTimers, Sleep, Timers};
use cloakroom::select::select;
use cloakroom::{Arena, Lease, Parcel, Ticket};

use crate::{ARENA, Lock};

/// Prints the figures.
pub fn print(bench: &Bench) {
    let base = size_of::<Arena<Lock, 64, 64, 32>>();
    let row = |what: &str, bytes: usize| bench.bytes(what, bytes);
    row("a descriptor", (size_of::<Arena<Lock, 64, 64, 64>>() - base) / 32);
    row("a page, besides its own bytes", (size_of::<Arena<Lock, 128, 64, 32>>() - base) / 64 - 64);
    row("a home", (size_of::<Arena<Lock, 64, 64, 32, 12>>() - base) / 8);
    row("an arena's header", size_of::<Arena<Lock, 0, 64, 0, 1>>() - 12);
    row("a rendezvous of u32", size_of::<Channel<Lock, u32, Rendezvous>>());
    row("a channel of 8 u32", size_of::<Channel<Lock, u32, Buffered<8>>>());
    row("a channel of 8 messages", size_of::<Bytes<'_, Lock, Buffered<8>>>());
    row("a pending receive", size_of::<RecvFuture<'_, Lock, u32, Buffered<8>>>());
    row("a pending send of u32", size_of::<SendFuture<'_, Lock, u32, Buffered<8>>>());
    static NUMBERS: Channel<Lock, u32, Buffered<8>> = Channel::new();
    row("a pending permit", size_of_val(&NUMBERS.reserve()));
    row("a pending allocation", size_of_val(&ARENA.alloc(64)));
    row("a pending select of two receives", size_of_val(&select((NUMBERS.recv(), NUMBERS.recv()))));
    row("a lease", size_of::<Lease<'_, Lock>>());
    row("a parcel", size_of::<Parcel<'_, Lock>>());
    row("a ticket", size_of::<Ticket>());
    row("a kernel without timers", size_of::<Kernel<Lock, NoTimers>>());
    row("timers", size_of::<Timers<Lock>>());
    row("a pending sleep", size_of::<Sleep<'_, Lock>>());
}
