//! thingbuf: a channel whose values are written and read in place.
#![no_std]
#![no_main]

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Waker};

use bench::Bench;
use bench::payload::{fill_words, sum_words};
use cortex_m_rt::entry;
use thingbuf::mpsc::StaticChannel;
use thingbuf::recycling::DefaultRecycle;

/// A message on a boundary of words, as others'.
#[derive(Clone, Copy)]
#[repr(align(4))]
struct Frame([u8; 64]);

impl Default for Frame {
    fn default() -> Self {
        Self([0; 64])
    }
}

static NUMBERS: StaticChannel<u32, 8> = StaticChannel::new();
static BLOCKS: StaticChannel<[u32; 16], 8> = StaticChannel::new();
static INBOX: StaticChannel<u32, 8> = StaticChannel::new();
static FRAMES: StaticChannel<Frame, 8> = StaticChannel::new();

#[entry]
fn main() -> ! {
    let mut bench = Bench::start("thingbuf");
    let (sender, receiver) = NUMBERS.split();
    let mut pair = || {
        let _ = black_box(sender.try_send(black_box(1)));
        let _ = black_box(receiver.try_recv());
    };
    bench.operation("try_send + try_recv, u32, capacity 8", &mut pair);
    bench.masked("try_send + try_recv, u32", &mut pair);
    let (block_sender, block_receiver) = BLOCKS.split();
    let block = black_box([1; 16]);
    let mut blocks = || {
        let _ = black_box(&block_sender.try_send(block));
        let _ = black_box(&block_receiver.try_recv());
    };
    bench.operation("try_send + try_recv, 64 bytes by value", &mut blocks);
    bench.masked("try_send + try_recv, 64 bytes by value", &mut blocks);
    bench.operation("try_send + try_recv, 64 bytes by value, and making it", &mut || {
        let _ = black_box(&block_sender.try_send(black_box([1; 16])));
        let _ = black_box(&block_receiver.try_recv());
    });
    bench.operation("try_recv, empty", &mut || {
        let _ = black_box(receiver.try_recv());
    });
    for number in 0..8 {
        let _ = sender.try_send(number);
    }
    bench.operation("try_send, full", &mut || {
        let _ = black_box(sender.try_send(black_box(1)));
    });

    let (frame_sender, frame_receiver) = FRAMES.split();
    let mut message = || {
        if let Ok(mut frame) = frame_sender.try_send_ref() {
            fill_words(&mut frame.0, 0x5a5a_5a5a);
        }
        if let Ok(frame) = frame_receiver.try_recv_ref() {
            black_box(sum_words(&frame.0));
        }
    };
    bench.operation("64-byte message: alloc, fill, send, receive, read, release", &mut message);
    bench.masked("64-byte message: send and receive", &mut message);

    let (sender, receiver) = INBOX.split();
    let mut wake = || {
        let mut receive = pin!(receiver.recv());
        let mut cx = Context::from_waker(Waker::noop());
        let _ = black_box(receive.as_mut().poll(&mut cx).is_pending());
        let _ = sender.try_send(1);
        let _ = black_box(receive.as_mut().poll(&mut cx));
    };
    bench.operation("wake of a waiting receive: register, send, ready", &mut wake);
    bench.masked("parked receive: register, send, ready", &mut wake);

    bench.bytes("a channel of 8 u32", size_of::<StaticChannel<u32, 8, DefaultRecycle>>());
    bench.bytes("a channel of 8 messages", size_of::<StaticChannel<Frame, 8, DefaultRecycle>>());
    bench.bytes("a pending receive", size_of_val(&receiver.recv()));
    bench.bytes("a pending send of u32", size_of_val(&sender.send(1)));
    bench.finish()
}
