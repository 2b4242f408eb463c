//! rtic-sync: a channel for many senders and one receiver.
#![no_std]
#![no_main]

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Waker};

use bench::Bench;
use cortex_m_rt::entry;
use rtic_sync::channel::Channel;
use rtic_sync::make_channel;

#[entry]
fn main() -> ! {
    let mut bench = Bench::start("rtic-sync");
    let (mut sender, mut receiver) = make_channel!(u32, 8);
    let mut pair = || {
        let _ = black_box(sender.try_send(black_box(1)));
        let _ = black_box(receiver.try_recv());
    };
    bench.operation("try_send + try_recv, u32, capacity 8", &mut pair);
    bench.masked("try_send + try_recv, u32", &mut pair);
    let (mut block_sender, mut block_receiver) = make_channel!([u32; 16], 8);
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
    let mut wake = || {
        let mut receive = pin!(receiver.recv());
        let mut cx = Context::from_waker(Waker::noop());
        let _ = black_box(receive.as_mut().poll(&mut cx).is_pending());
        let _ = sender.try_send(1);
        let _ = black_box(receive.as_mut().poll(&mut cx));
    };
    bench.operation("wake of a waiting receive: register, send, ready", &mut wake);
    bench.masked("parked receive: register, send, ready", &mut wake);

    bench.bytes("a channel of 8 u32", size_of::<Channel<u32, 8>>());
    bench.bytes("a pending receive", size_of_val(&receiver.recv()));
    bench.bytes("a pending send of u32", size_of_val(&sender.send(1)));
    for number in 0..8 {
        let _ = sender.try_send(number);
    }
    bench.operation("try_send, full", &mut || {
        let _ = black_box(sender.try_send(black_box(1)));
    });
    bench.finish()
}
