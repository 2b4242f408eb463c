//! The firmware's side of the demo: an ECG arrives byte by byte, frames and heart beats leave.
//!
//! ```text
//!  UART0 ─interrupt─► BYTES ──► assemble ──► SAMPLES ──► detect ──► BEATS ──► assemble
//!                                  │ frames, built in place in the arena
//!                                  ▼
//!                               FRAMES ──► transmit ──► UART1
//! ```
//!
//! The arena for messages holds four frames. The line out is slower than the one in, so `assemble` soon
//! waits for memory; then BYTES fills up, the interrupt stops reading, and the sender at the other end
//! of the line has to wait. Nothing is dropped anywhere.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cloakroom::channel::{Buffered, Bytes, Channel, ChannelSnapshot};
use cloakroom::kernel::{Clock, Kernel};
use cloakroom::select::{Either, select};
use cloakroom::sync::CriticalSectionRawMutex as Lock;
use cloakroom::{Arena, LeaseMut};
use cloakroom_demo::{
    ArenaStatus, Beat, BeatDetector, ChannelStatus, End, Intake, MAX_FRAME_LEN, NoRoom,
    SamplesWriter, StatusWriter,
};
use cortex_m::peripheral::{NVIC, Peripherals};
use cortex_m_rt::{entry, exception};
use harness as _;
use lm3s6965evb::interrupt;
use lm3s6965evb::uart::{Receive, UART0, UART1};
use lm3s6965evb::uptime::Uptime;

/// Messages: 2 KiB, four frames of the longest kind.
static MESSAGES: Arena<Lock, 32, 64, 16> = Arena::new();
/// The tasks' futures.
static TASKS: Arena<Lock, 32, 64, 4> = Arena::new();
static KERNEL: Kernel<Lock> = Kernel::new();

static BYTES: Channel<Lock, u8, Buffered<64>> = Channel::new();
static SAMPLES: Channel<Lock, u16, Buffered<32>> = Channel::new();
static BEATS: Channel<Lock, Beat, Buffered<4>> = Channel::new();
static FRAMES: Bytes<'static, Lock, Buffered<8>> = Bytes::new();

/// BYTES was full, and the interrupt has stopped reading.
static THROTTLED: AtomicBool = AtomicBool::new(false);

static UPTIME: Uptime = Uptime::new();

/// A status frame this often, in milliseconds.
const STATUS_EVERY: u64 = 250;
/// Bytes the line takes in a millisecond: 128 kbit/s.
const BYTES_A_TICK: usize = 16;

#[entry]
fn main() -> ! {
    let Some(mut peripherals) = Peripherals::take() else { fail("peripherals") };
    UPTIME.start(&mut peripherals.SYST);

    let tasks = TASKS.handle();
    let spawned = KERNEL.spawn(tasks, assemble()).is_ok()
        && KERNEL.spawn(tasks, detect()).is_ok()
        && KERNEL.spawn(tasks, transmit()).is_ok();
    if !spawned {
        fail("no room for the tasks");
    }

    UART1.init(115_200, Receive::Queued);
    UART0.init(115_200, Receive::Queued);
    UART0.enable_receive_interrupt();
    UART1.write(b'\n'); // ready
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
    UPTIME.tick();
}

#[interrupt]
fn UART0() {
    loop {
        // A byte is taken from the port only if there is room for it; this is the only sender.
        if BYTES.capacity() == Some(BYTES.len()) {
            THROTTLED.store(true, Relaxed);
            UART0.disable_receive_interrupt();
            return;
        }
        let Some(byte) = UART0.try_read() else { return };
        if BYTES.try_send(byte).is_err() {
            fail("no room for a byte, although there was");
        }
    }
}

/// Lets the interrupt go on once there is room again.
fn unthrottle() {
    if THROTTLED.load(Relaxed) && BYTES.len() <= 16 {
        THROTTLED.store(false, Relaxed);
        UART0.enable_receive_interrupt();
        // What is in the port already does not raise the interrupt again.
        NVIC::pend(UART0.interrupt());
    }
}

/// What `assemble` keeps between frames.
struct Line {
    sequence: u16,
    next_status: u64,
}

/// Builds frames of samples in place, each from beat to beat, and frames of beats, status and end.
async fn assemble() {
    let mut line = Line { sequence: 0, next_status: 0 };
    let mut expected = [0; 4];
    for byte in &mut expected {
        let Ok(received) = BYTES.recv().await else { return };
        *byte = received;
    }
    let expected = u32::from_le_bytes(expected);

    let mut intake = Intake::new();
    let mut carried = None;
    let mut beats = 0;
    while intake.input().samples < expected || carried.is_some() {
        let mut frame = line.frame().await;
        let first = intake.input().samples - u32::from(carried.is_some());
        let Ok(mut writer) = SamplesWriter::new(&mut frame, line.sequence, first) else {
            fail("no room for a header")
        };
        if let Some(sample) = carried.take() {
            push(&mut writer, sample);
        }
        let mut beat = None;
        while beat.is_none() && carried.is_none() && intake.input().samples < expected {
            match select((BEATS.recv(), BYTES.recv())).await {
                Either::First(found) => beat = found.ok(),
                Either::Second(byte) => {
                    unthrottle();
                    let Some(sample) = byte.ok().and_then(|byte| intake.push(byte)) else {
                        continue;
                    };
                    if SAMPLES.send(sample).await.is_err() {
                        fail("the detector is gone");
                    }
                    // A full frame ends here, and this sample begins the next one.
                    carried = writer.push_sample(sample).err().map(|NoRoom| sample);
                }
            }
        }
        let len = writer.finish();
        line.send(frame, len).await;
        if let Some(beat) = beat {
            beats += 1;
            line.send_beat(beat).await;
        }
        line.send_status_if_due().await;
    }

    // The detector hands over what it has, and ends.
    SAMPLES.close();
    while let Ok(beat) = BEATS.recv().await {
        beats += 1;
        line.send_beat(beat).await;
    }
    line.send_status().await;
    let mut frame = line.frame().await;
    let end = End { input: intake.input(), beats };
    let Ok(len) = end.write(&mut frame, line.sequence) else { fail("no room for the end") };
    line.send(frame, len).await;
}

fn push(writer: &mut SamplesWriter<'_>, sample: u16) {
    if writer.push_sample(sample).is_err() {
        fail("no room for one sample");
    }
}

impl Line {
    /// Memory for one frame. This is where the board waits when the line out is slow.
    async fn frame(&self) -> LeaseMut<'static, Lock> {
        match MESSAGES.alloc(MAX_FRAME_LEN).await {
            Ok(frame) => frame,
            Err(_) => fail("a frame is larger than the arena"),
        }
    }

    /// Sends the first `len` bytes of `frame`, as they lie.
    async fn send(&mut self, mut frame: LeaseMut<'static, Lock>, len: usize) {
        if frame.set_len(len).is_err() || FRAMES.send(frame).await.is_err() {
            fail("the line out is gone");
        }
        self.sequence = self.sequence.wrapping_add(1);
    }

    async fn send_beat(&mut self, beat: Beat) {
        let mut frame = self.frame().await;
        let Ok(len) = beat.write(&mut frame, self.sequence) else { fail("no room for a beat") };
        self.send(frame, len).await;
    }

    async fn send_status_if_due(&mut self) {
        if UPTIME.now() >= self.next_status {
            self.next_status = UPTIME.now() + STATUS_EVERY;
            self.send_status().await;
        }
    }

    async fn send_status(&mut self) {
        let mut frame = self.frame().await;
        let Ok(len) = write_status(&mut frame, self.sequence) else { fail("no room for a status") };
        self.send(frame, len).await;
    }
}

fn write_status(memory: &mut [u8], sequence: u16) -> Result<usize, NoRoom> {
    let arena = MESSAGES.snapshot();
    let status = ArenaStatus {
        pages: arena.pages as u32,
        free: arena.free as u32,
        high_water: arena.high_water as u32,
        waits: arena.waited,
        failed: arena.failed,
    };
    let mut writer = StatusWriter::new(memory, sequence, &status)?;
    let channels = [BYTES.snapshot(), SAMPLES.snapshot(), BEATS.snapshot(), FRAMES.snapshot()];
    for (number, channel) in (0..).zip(&channels) {
        writer.push_channel(&channel_status(number, channel))?;
    }
    Ok(writer.finish())
}

fn channel_status(number: u8, channel: &ChannelSnapshot) -> ChannelStatus {
    ChannelStatus {
        channel: number,
        capacity: channel.capacity.map_or(0, |capacity| capacity as u16),
        sent: channel.sent,
        received: channel.received,
        dropped: channel.dropped,
        high_water: channel.high_water as u16,
    }
}

/// Finds heart beats.
async fn detect() {
    let mut detector = BeatDetector::new();
    while let Ok(sample) = SAMPLES.recv().await {
        if let Some(beat) = detector.push(sample) {
            if BEATS.send(beat).await.is_err() {
                fail("nobody wants the beats");
            }
        }
    }
    BEATS.close();
}

/// Sends frames out of the second port, at the pace of its line. The frame's memory is free again when
/// its last byte has left.
async fn transmit() {
    while let Ok(frame) = FRAMES.recv().await {
        for piece in frame.chunks(BYTES_A_TICK) {
            piece.iter().for_each(|&byte| UART1.write(byte));
            KERNEL.timers().after(1).await;
        }
    }
}

/// Ends the program: the harness prints the reason and exits with failure.
fn fail(what: &str) -> ! {
    panic!("{what}")
}
