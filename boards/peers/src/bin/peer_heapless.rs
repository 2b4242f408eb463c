//! heapless: queues, and pools of blocks.
#![no_std]
#![no_main]
// That it refuses falsely is why the queue for many is deprecated: its figures are wanted all the same.
#![allow(deprecated)]

use core::hint::black_box;

use bench::Bench;
use bench::payload::sum_words;
use cortex_m::singleton;
use cortex_m_rt::entry;
use heapless::pool::arc::ArcBlock;
use heapless::pool::boxed::{Box, BoxBlock};
use heapless::{arc_pool, box_pool, mpmc, spsc};
use static_cell::ConstStaticCell;

box_pool!(Boxes: [u8; 64]);
arc_pool!(Arcs: [u8; 64]);

static NUMBERS: mpmc::Queue<u32, 8> = mpmc::Queue::new();
static BLOCKS: mpmc::Queue<[u32; 16], 8> = mpmc::Queue::new();
static FRAMES: mpmc::Queue<Box<Boxes>, 8> = mpmc::Queue::new();

#[entry]
fn main() -> ! {
    let mut bench = Bench::start("heapless mpmc");
    many(&mut bench);
    bench.of("heapless spsc");
    single(&mut bench);
    bench.of("heapless box_pool + mpmc");
    boxes(&mut bench);
    bench.of("heapless arc_pool");
    arcs(&mut bench);
    bench.finish()
}

fn many(bench: &mut Bench) {
    let mut pair = || {
        let _ = black_box(NUMBERS.enqueue(black_box(1)));
        let _ = black_box(NUMBERS.dequeue());
    };
    bench.operation("try_send + try_recv, u32, capacity 8", &mut pair);
    bench.masked("try_send + try_recv, u32", &mut pair);
    let block = black_box([1; 16]);
    let mut blocks = || {
        let _ = black_box(&BLOCKS.enqueue(block));
        let _ = black_box(&BLOCKS.dequeue());
    };
    bench.operation("try_send + try_recv, 64 bytes by value", &mut blocks);
    bench.masked("try_send + try_recv, 64 bytes by value", &mut blocks);
    bench.operation("try_send + try_recv, 64 bytes by value, and making it", &mut || {
        let _ = black_box(&BLOCKS.enqueue(black_box([1; 16])));
        let _ = black_box(&BLOCKS.dequeue());
    });
    bench.operation("try_recv, empty", &mut || {
        let _ = black_box(NUMBERS.dequeue());
    });
    for number in 0..8 {
        let _ = NUMBERS.enqueue(number);
    }
    bench.operation("try_send, full", &mut || {
        let _ = black_box(NUMBERS.enqueue(black_box(1)));
    });
    bench.bytes("a channel of 8 u32", size_of_val(&NUMBERS));
}

/// Capacities are one less than in the type, and that a power of two, which is what its index likes best.
fn single(bench: &mut Bench) {
    static NUMBERS: ConstStaticCell<spsc::Queue<u32, 8>> = ConstStaticCell::new(spsc::Queue::new());
    static BLOCKS: ConstStaticCell<spsc::Queue<[u32; 16], 8>> =
        ConstStaticCell::new(spsc::Queue::new());
    let (mut sender, mut receiver) = NUMBERS.take().split();
    let mut pair = || {
        let _ = black_box(sender.enqueue(black_box(1)));
        let _ = black_box(receiver.dequeue());
    };
    bench.operation("try_send + try_recv, u32, capacity 8", &mut pair);
    bench.masked("try_send + try_recv, u32", &mut pair);
    let (mut block_sender, mut block_receiver) = BLOCKS.take().split();
    let block = black_box([1; 16]);
    let mut blocks = || {
        let _ = black_box(&block_sender.enqueue(block));
        let _ = black_box(&block_receiver.dequeue());
    };
    bench.operation("try_send + try_recv, 64 bytes by value", &mut blocks);
    bench.masked("try_send + try_recv, 64 bytes by value", &mut blocks);
    bench.operation("try_send + try_recv, 64 bytes by value, and making it", &mut || {
        let _ = black_box(&block_sender.enqueue(black_box([1; 16])));
        let _ = black_box(&block_receiver.dequeue());
    });
    bench.operation("try_recv, empty", &mut || {
        let _ = black_box(receiver.dequeue());
    });
    for number in 0..8 {
        let _ = sender.enqueue(number);
    }
    bench.operation("try_send, full", &mut || {
        let _ = black_box(sender.enqueue(black_box(1)));
    });
    bench.bytes("a channel of 8 u32", size_of::<spsc::Queue<u32, 8>>());
}

fn boxes(bench: &mut Bench) {
    let memory = singleton!(: [BoxBlock<[u8; 64]>; 8] = [const { BoxBlock::new() }; 8]);
    for block in memory.expect("the only one") {
        Boxes.manage(block);
    }
    let mut message = || {
        // A block is made with its value: that is the filling.
        if let Ok(frame) = Boxes.alloc([0x5a; 64]) {
            let _ = FRAMES.enqueue(frame);
        }
        if let Some(frame) = FRAMES.dequeue() {
            black_box(sum_words(&*frame));
        }
    };
    bench.operation("64-byte message: alloc, fill, send, receive, read, release", &mut message);
    bench.masked("64-byte message: send and receive", &mut message);
}

fn arcs(bench: &mut Bench) {
    let memory = singleton!(: [ArcBlock<[u8; 64]>; 8] = [const { ArcBlock::new() }; 8]);
    for block in memory.expect("the only one") {
        Arcs.manage(block);
    }
    // A block is made with its value, which is no part of an allocation elsewhere.
    bench.operation("alloc + release, 64 bytes, filled", &mut || {
        drop(black_box(Arcs.alloc([0; 64])))
    });
    let shared = Arcs.alloc([0; 64]).ok().expect("the pool is not empty");
    bench.operation("clone + drop of a shared payload", &mut || drop(black_box(shared.clone())));
}
