//! How many instructions operations take.

use core::future::{Future, poll_fn};
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use bench::Bench;
use bench::payload::{fill_words, sum_words};
use cloakroom::Ticket;
use cloakroom::channel::{Broadcast, Buffered, Bytes, Channel, Priority, fan_out};
use cloakroom::kernel::{Kernel, NoTimers, TimerQueue, Timers};
use cloakroom::select::select;

use crate::{ARENA, Lock};

static FRAMES: Bytes<'static, Lock, Buffered<8>> = Bytes::new();
static NUMBERS: Channel<Lock, u32, Buffered<8>> = Channel::new();
static BLOCKS: Channel<Lock, [u32; 16], Buffered<8>> = Channel::new();
static PERMITS: Channel<Lock, u32, Buffered<8>> = Channel::new();
static RANKED: Channel<Lock, u32, Priority<8>> = Channel::new();
static SHARED: Channel<Lock, u32, Broadcast<8>> = Channel::new();
static LINES: [Bytes<'static, Lock, Buffered<8>>; 2] = [Bytes::new(), Bytes::new()];
static INBOX: Channel<Lock, u32, Buffered<8>> = Channel::new();
static TIMERS: Timers<Lock> = Timers::new();
/// A kernel each, so that nobody's tasks are polled in somebody else's row.
static EMPTY: Kernel<Lock, NoTimers> = Kernel::without_timers();
static EMPTY_TIMED: Kernel<Lock> = Kernel::new();
static TWO: Kernel<Lock, NoTimers> = Kernel::without_timers();
static FOUR: Kernel<Lock, NoTimers> = Kernel::without_timers();
static ONE: Kernel<Lock, NoTimers> = Kernel::without_timers();
static YIELDING: Kernel<Lock, NoTimers> = Kernel::without_timers();

/// Tasks that `Kernel::poll` runs in one call.
const BATCH: u32 = 16;

/// Prints the figures.
pub fn print(bench: &mut Bench) {
    values(bench);
    kinds(bench);
    payloads(bench);
    tasks(bench);
    timers(bench);
}

fn kinds(bench: &mut Bench) {
    bench.operation("try_reserve + send + try_recv, u32, capacity 8", &mut || {
        if let Ok(permit) = PERMITS.try_reserve() {
            permit.send(black_box(1));
        }
        let _ = black_box(PERMITS.try_recv());
    });
    bench.operation("try_send + try_recv, u32, priority 8", &mut || {
        let _ = black_box(RANKED.try_send_with_priority(black_box(1), 3));
        let _ = black_box(RANKED.try_recv());
    });
    for number in 0..7 {
        let _ = RANKED.try_send_with_priority(number, number as u8);
    }
    bench.operation("try_send + try_recv, u32, priority 8, seven values in it", &mut || {
        let _ = black_box(RANKED.try_send_with_priority(black_box(1), 200));
        let _ = black_box(RANKED.try_recv());
    });
    let (mut a, mut b) = (SHARED.subscribe(), SHARED.subscribe());
    bench.operation("try_send + two try_recv, u32, broadcast 8", &mut || {
        let _ = black_box(SHARED.try_send(black_box(1)));
        let _ = black_box((a.try_recv(), b.try_recv()));
    });
    bench.operation("a select of two tries to receive", &mut || {
        let select = pin!(select((PERMITS.recv(), INBOX.recv())));
        let _ = black_box(select.try_now());
    });
    bench.operation("fan_out of 64 bytes to two channels, both receive", &mut || {
        if let Ok(message) = ARENA.try_alloc(64) {
            black_box(fan_out(&[&LINES[0], &LINES[1]], message.freeze()));
        }
        let _ = black_box((LINES[0].try_recv(), LINES[1].try_recv()));
    });
}

fn values(bench: &mut Bench) {
    bench.operation("critical section, empty", &mut || critical_section::with(|_| ()));
    bench.operation("copy of 64 bytes", &mut || {
        let source = black_box([0u8; 64]);
        black_box(source);
    });
    bench.operation("try_send + try_recv, u32, capacity 8", &mut || {
        let _ = black_box(NUMBERS.try_send(black_box(1)));
        let _ = black_box(NUMBERS.try_recv());
    });
    let block = black_box([1; 16]);
    bench.operation("try_send + try_recv, 64 bytes by value", &mut || {
        let _ = black_box(&BLOCKS.try_send(block));
        let _ = black_box(&BLOCKS.try_recv());
    });
    bench.operation("try_send + try_recv, 64 bytes by value, and making it", &mut || {
        let _ = black_box(&BLOCKS.try_send(black_box([1; 16])));
        let _ = black_box(&BLOCKS.try_recv());
    });
    bench.operation("try_recv, empty", &mut || {
        let _ = black_box(NUMBERS.try_recv());
    });
    for number in 0..8 {
        let _ = NUMBERS.try_send(number);
    }
    bench.operation("try_send, full", &mut || {
        let _ = black_box(NUMBERS.try_send(black_box(1)));
    });
}

fn payloads(bench: &mut Bench) {
    let arena = ARENA.handle();
    bench.operation("64-byte message: alloc, fill, send, receive, read, release", &mut || {
        if let Ok(mut frame) = ARENA.try_alloc(64) {
            fill_words(&mut frame, 0x5a5a_5a5a);
            let _ = FRAMES.try_send(frame);
        }
        if let Ok(frame) = FRAMES.try_recv() {
            black_box(sum_words(&frame));
        }
    });
    let mut frame = arena.try_alloc(64).expect("the arena is empty");
    bench.operation("of a 64-byte message: fill and read", &mut || {
        fill_words(&mut frame, black_box(0x5a5a_5a5a));
        black_box(sum_words(&frame));
    });
    drop(frame);
    bench.operation("alloc + release, 64 bytes", &mut || drop(black_box(ARENA.try_alloc(64))));
    bench.operation("alloc + release, 64 bytes, awaited", &mut || {
        let alloc = pin!(ARENA.alloc(64));
        drop(black_box(alloc.poll(&mut Context::from_waker(Waker::noop()))));
    });
    bench.operation("alloc + release, 640 bytes: split and join", &mut || {
        drop(black_box(ARENA.try_alloc(640)))
    });
    let lease = arena.try_alloc_from(b"shared").expect("the arena is empty");
    bench.operation("clone + drop of a shared payload", &mut || drop(black_box(lease.clone())));
    drop(lease);
    bench.operation("alloc + deposit + redeem + release", &mut || {
        if let Ok(lease) = ARENA.try_alloc(64) {
            let ticket = black_box(lease.deposit());
            drop(black_box(ARENA.redeem(ticket)));
        }
    });
    let lease = arena.try_alloc_from(b"held").expect("the arena is empty");
    let mut held = Some(lease);
    bench.operation("deposit + redeem", &mut || {
        if let Some(ticket) = held.take().and_then(|lease| lease.deposit().ok()) {
            held = ARENA.redeem(black_box(ticket)).ok();
        }
    });
    drop(held);
    let stale = arena.try_alloc(1).expect("the arena is empty").deposit();
    drop(arena.redeem(stale));
    bench.operation("redeem of a stale ticket", &mut || {
        let _ = black_box(ARENA.redeem(black_box(stale)).is_err());
    });
    let forged = Ticket::from_bits(stale.to_bits() ^ (1 << 31));
    bench.operation("check of a ticket (forged)", &mut || {
        let _ = black_box(ARENA.redeem(black_box(forged)).is_err());
    });
}

fn tasks(bench: &mut Bench) {
    let arena = ARENA.handle();
    bench.operation("wake of a waiting receive: register, send, ready", &mut || {
        let mut receive = pin!(NUMBERS_WAITED.recv());
        let mut cx = Context::from_waker(Waker::noop());
        let _ = black_box(receive.as_mut().poll(&mut cx).is_pending());
        let _ = NUMBERS_WAITED.try_send(1);
        let _ = black_box(receive.as_mut().poll(&mut cx));
    });
    let _ = FULL.try_send(0);
    bench.operation("wake of a waiting send: register, receive, ready (bare future)", &mut || {
        let mut send = pin!(FULL.send(1));
        let mut cx = Context::from_waker(Waker::noop());
        let _ = black_box(send.as_mut().poll(&mut cx).is_pending());
        let _ = black_box(FULL.try_recv());
        let _ = black_box(send.as_mut().poll(&mut cx).is_ready());
    });
    spawn(&ONE, async {
        loop {
            let _ = black_box(INBOX.recv().await);
        }
    });
    ONE.poll(0);
    bench.operation("wake of a waiting task: send, poll, receive, register again", &mut || {
        let _ = INBOX.try_send(1);
        ONE.poll(0);
    });
    bench.next_operation("of the wake of a task: the send", &mut || {
        let _ = INBOX.try_send(1);
    });
    ONE.poll(0);
    bench.operation("empty poll", &mut || {
        black_box(EMPTY.poll(0));
    });
    bench.operation("empty poll, with timers", &mut || {
        black_box(EMPTY_TIMED.poll(0));
    });
    for (kernel, count) in [(&TWO, 2), (&FOUR, 4)] {
        for _ in 0..count {
            spawn(kernel, async {
                let _ = WAITED_FOR.recv().await;
            });
        }
        kernel.poll(0);
    }
    bench.operation("poll with two tasks on an empty channel", &mut || {
        black_box(TWO.poll(0));
    });
    bench.operation("poll with four tasks on an empty channel", &mut || {
        black_box(FOUR.poll(0));
    });
    for name in ["task switch", "task switch between two tasks"] {
        spawn(&YIELDING, async {
            loop {
                let mut yielded = false;
                poll_fn(|cx| {
                    if core::mem::replace(&mut yielded, true) {
                        return Poll::Ready(());
                    }
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            }
        });
        let mut batch = || {
            black_box(YIELDING.poll(0));
        };
        batch();
        bench.part_of_operation(name, BATCH, &mut batch);
    }
    bench.operation("spawn, run to the end, free", &mut || {
        drop(black_box(EMPTY.spawn(arena, async {})));
        EMPTY.poll(0);
    });
}

static WAITED_FOR: Channel<Lock, u32, Buffered<1>> = Channel::new();
static FULL: Channel<Lock, u32, Buffered<1>> = Channel::new();
static NUMBERS_WAITED: Channel<Lock, u32, Buffered<8>> = Channel::new();

fn spawn(kernel: &'static Kernel<Lock, NoTimers>, task: impl Future<Output = ()> + Send + 'static) {
    drop(kernel.spawn(ARENA.handle(), task).expect("the arena is large enough"));
}

fn timers(bench: &mut Bench) {
    let mut cx = Context::from_waker(Waker::noop());
    bench.operation("timer insert + cancel", &mut || {
        let sleep = pin!(TIMERS.at(100));
        let _ = black_box(sleep.poll(&mut cx).is_pending());
    });
    let mut now = 0;
    bench.operation("timer insert + expiry", &mut || {
        now += 100;
        let mut sleep = pin!(TIMERS.at(now));
        let _ = black_box(sleep.as_mut().poll(&mut cx).is_pending());
        TIMERS.advance(now);
        let _ = black_box(sleep.poll(&mut cx).is_ready());
    });
}
