//! Firmware that can be looked into: while it works, it reports on itself out of a serial line.
//!
//! ```text
//!  SysTick ─┬► READINGS ──► collect ──► BLOCKS ──► store, too slow
//!           └► LATEST ────────────────────────────►  │  ◄── ORDERS, which never come
//!
//!  report ──► UART0
//! ```
//!
//! As `store` is too slow, BLOCKS is throttled, then READINGS is full and refuses. All of that is in the reports:
//! counters, who waits, where memory is and how old each payload in it is. A report is written record by record, so
//! that it takes the memory of one frame, however much there is to say. See it with `chanmon top LINE`.
#![no_std]
#![no_main]

use cloakroom::Arena;
use cloakroom::arena::{Census, Home};
use cloakroom::channel::{Buffered, Bytes, Channel, Conflated};
use cloakroom::kernel::{Clock, Kernel};
use cloakroom::limit::Operation;
use cloakroom::report::{Begin, MAX_FRAME, Name, Record, encode};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cortex_m::peripheral::Peripherals;
use cortex_m_rt::{entry, exception};
use harness as _;
use lm3s6965evb::uart::{Receive, UART0};
use lm3s6965evb::uptime::Uptime;

/// Tasks and blocks: 4 KiB.
static MEMORY: Arena<Lock, 64, 64, 16> = Arena::new();
static KERNEL: Kernel<Lock> = Kernel::new();

static READINGS: Channel<Lock, u16, Buffered<16>> = Channel::new();
static LATEST: Channel<Lock, u16, Conflated> = Channel::new();
static BLOCKS: Bytes<'static, Lock, Buffered<4>> = Bytes::new();
static ORDERS: Channel<Lock, u8, Buffered<2>> = Channel::new();

static UPTIME: Uptime = Uptime::new();

/// Bytes of a block: a page of 32 readings.
const BLOCK: usize = 64;
/// What blocks may take of the arena, in pages.
const BLOCKS_CAP: usize = 8;
/// How long `store` takes for a block, in milliseconds. The next one is there after 32.
const STORE_TAKES: u64 = 48;
/// From the beginning of one report to that of the next, in milliseconds.
const REPORT_EVERY: u64 = 250;
/// What the line takes in a millisecond, at 115,200 bits a second: less than the port's queue of 16.
const BYTES_A_TICK: usize = 11;

#[entry]
fn main() -> ! {
    UART0.init(115_200, Receive::Queued);
    let memory = MEMORY.handle();
    let Ok(blocks) = memory.open_home(BLOCKS_CAP, BLOCKS_CAP) else { fail("no room for blocks") };
    let spawned = KERNEL.spawn(memory, collect(blocks)).is_ok()
        && KERNEL.spawn(memory, store()).is_ok()
        && KERNEL.spawn(memory, report()).is_ok();
    if !spawned {
        fail("no room for the tasks");
    }

    let Some(mut peripherals) = Peripherals::take() else { fail("peripherals") };
    UPTIME.start(&mut peripherals.SYST);
    KERNEL.run(&UPTIME, |_next| {
        // Interrupts are masked between the last look and the sleep, and end it all the same.
        critical_section::with(|_| {
            if KERNEL.is_idle() {
                cortex_m::asm::wfi();
            }
        });
    })
}

#[exception]
fn SysTick() {
    let now = UPTIME.tick();
    MEMORY.handle().set_now(now);
    let reading = now as u16;
    // Who is refused is counted; who is replaced, too.
    let _ = READINGS.try_send(reading);
    let _ = LATEST.try_send(reading);
}

/// Fills blocks with readings.
async fn collect(home: Home<'static, Lock>) {
    loop {
        let Ok(mut block) = home.alloc(BLOCK).await else { fail("a block is too large") };
        for pair in block.chunks_exact_mut(2) {
            let Ok(reading) = READINGS.recv().await else { return };
            pair.copy_from_slice(&reading.to_le_bytes());
        }
        if BLOCKS.send(block).await.is_err() {
            return;
        }
    }
}

/// Takes its time over each block: it waits for orders that nobody gives.
async fn store() {
    while let Ok(_block) = BLOCKS.recv().await {
        let _ = LATEST.try_recv();
        let _ = ORDERS.recv().deadline(KERNEL.timers().after(STORE_TAKES)).await;
    }
}

/// Reports for ever.
async fn report() {
    // Ends whatever was on the line before.
    write(&[0]).await;
    for sequence in 0.. {
        let now = UPTIME.now();
        let begin = Begin {
            source: Name::new("lm3s6965evb"),
            sequence,
            ticks: now,
            ticks_per_second: Uptime::TICKS_PER_SECOND,
        };
        send(&Record::Begin(begin)).await;
        let mut records = 0;
        for record in figures() {
            send(&record).await;
            records += 1;
        }
        send(&Record::End { records }).await;
        KERNEL.timers().at(now + REPORT_EVERY).await;
    }
}

/// What there is to say, each looked at when its turn comes.
fn figures() -> impl Iterator<Item = Record> {
    const ALL: [fn() -> Record; 6] = [
        || Record::channel("readings", READINGS.snapshot()),
        || Record::channel("latest", LATEST.snapshot()),
        || Record::channel("blocks", BLOCKS.snapshot()),
        || Record::channel("orders", ORDERS.snapshot()),
        || Record::kernel("tasks", KERNEL.snapshot()),
        || Record::arena("memory", MEMORY.snapshot(), Some(MEMORY.handle().census())),
    ];
    let memory = MEMORY.handle();
    let homes = memory.homes().map(move |home| {
        let mut held = [Census::default(); 2];
        memory.census_by_home(&mut held);
        Record::home("memory", home, held.get(usize::from(home.id)).copied())
    });
    let payloads = memory.dump().map(|payload| Record::ticket("memory", payload));
    ALL.into_iter().map(|look| look()).chain(homes).chain(payloads)
}

async fn send(record: &Record) {
    let mut buffer = [0; MAX_FRAME];
    let Ok(frame) = encode(record, &mut buffer) else { fail("a record is too long") };
    write(frame).await;
}

/// Writes at the pace of the line, so that nobody has to wait for the port.
async fn write(bytes: &[u8]) {
    for piece in bytes.chunks(BYTES_A_TICK) {
        piece.iter().for_each(|&byte| UART0.write(byte));
        KERNEL.timers().after(1).await;
    }
}

/// Ends the program: the harness prints the reason and exits with failure.
fn fail(what: &str) -> ! {
    panic!("{what}")
}
