//! Reports to test with: of real channels, arenas and kernels, with figures changed where a test says so.

use cloakroom::arena::{ArenaSnapshot, Census, PayloadState, TicketDump};
use cloakroom::channel::{Buffered, Channel, Histogram, Kind, SpillSnapshot};
use cloakroom::kernel::Kernel;
use cloakroom::report::{
    Begin, ChannelRecord, KernelRecord, Name, QueueingRecord, Record, TicketRecord,
};
use cloakroom::std_layer::report::Report;
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cloakroom::{Arena, Ticket};

use crate::picture::Picture;

/// The beginning of a report, one second after the one before it.
fn begin(sequence: u32) -> Begin {
    let ticks = u64::from(sequence) * 1_000;
    Begin { source: Name::new("sample"), sequence, ticks, ticks_per_second: 1_000 }
}

/// An empty channel of that name.
pub fn channel(name: &str) -> ChannelRecord {
    let channel: Channel<Lock, u32, Buffered<16>> = Channel::new();
    ChannelRecord { name: Name::new(name), snapshot: channel.snapshot() }
}

/// That three messages of a channel of that name were queued for up to 3 ticks, and one for up to 1,023.
pub fn queued(name: &str) -> Record {
    let mut histogram = Histogram::default();
    (histogram.buckets[2], histogram.buckets[10]) = (3, 1);
    histogram.ticks = 9 + 600;
    Record::Queueing(QueueingRecord { channel: Name::new(name), histogram })
}

/// That five of twelve messages of a channel of that name are out.
pub fn spilled(name: &str) -> Record {
    let mut spilled = SpillSnapshot::default();
    (spilled.messages, spilled.bytes, spilled.above) = (5, 5_000, true);
    (spilled.out, spilled.moved, spilled.back, spilled.fetched) = (12, 3, 4, 1);
    (spilled.lent, spilled.lost, spilled.dropped) = (1, 2, 0);
    (spilled.full, spilled.failed) = (7, 1);
    (spilled.capacity, spilled.used) = (65_536, 8_192);
    Record::spilled(name, spilled)
}

/// An idle kernel of that name.
pub fn kernel(name: &str) -> KernelRecord {
    static KERNEL: Kernel<Lock> = Kernel::new();
    KernelRecord { name: Name::new(name), snapshot: KERNEL.snapshot() }
}

/// An arena of that many pages, all free.
pub fn arena(pages: usize) -> ArenaSnapshot {
    static ARENA: Arena<Lock, 16, 64, 8> = Arena::new();
    ArenaSnapshot { pages, free: pages, free_run: pages, ..ARENA.snapshot() }
}

/// A payload at these pages of arena `heap`, of no known age.
pub fn ticket(first_page: usize, pages: usize, state: PayloadState) -> TicketRecord {
    let arena: Arena<Lock, 16, 64, 8> = Arena::new();
    let _held = arena.try_alloc(1);
    let payload = arena.handle().dump().next().expect("a payload");
    let (in_hand, at_rest) = match state {
        PayloadState::InHand => (1, 0),
        PayloadState::Shared => (1, 1),
        PayloadState::AtRest | PayloadState::Moving => (0, 1),
    };
    // The same in every arena.
    let ticket = Ticket::from_bits(first_page as u64);
    let dump =
        TicketDump { ticket, first_page, pages, state, in_hand, at_rest, age: None, ..payload };
    TicketRecord::new("heap", dump)
}

/// A report of these.
pub fn picture(sequence: u32, records: Vec<Record>) -> Picture {
    Picture::new(Report { begin: begin(sequence), records })
}

/// A report with something of every sort: `beats` is busy, `frames` throttled, `log` closed.
pub fn everything(sequence: u32) -> Picture {
    let mut beats = channel("beats");
    beats.snapshot.sent = 500 * sequence;
    beats.snapshot.received = beats.snapshot.sent - 3;
    beats.snapshot.delivered = beats.snapshot.received;
    beats.snapshot.depth = 3;
    beats.snapshot.high_water = 9;
    let mut frames = channel("frames");
    frames.snapshot.sent = 16;
    frames.snapshot.depth = 16;
    frames.snapshot.high_water = 16;
    frames.snapshot.parked_senders = 14;
    frames.snapshot.full = 7;
    let mut log = channel("log");
    log.snapshot.kind = Kind::Unlimited;
    log.snapshot.capacity = None;
    log.snapshot.closed = true;
    let heap = ArenaSnapshot { free: 40, free_run: 30, live: 2, high_water: 60, ..arena(64) };
    let census = Census { pages_in_hand: 8, pages_at_rest: 16, runs_in_hand: 1, runs_at_rest: 1 };
    let mut main = kernel("main");
    main.snapshot.polls = 100 * sequence;
    picture(
        sequence,
        vec![
            Record::Channel(beats),
            Record::Channel(frames),
            queued("frames"),
            Record::Channel(log),
            spilled("log"),
            Record::arena("heap", heap, Some(census)),
            Record::Kernel(main),
            Record::Ticket(ticket(0, 8, PayloadState::InHand)),
            Record::Ticket(ticket(16, 16, PayloadState::AtRest)),
        ],
    )
}
