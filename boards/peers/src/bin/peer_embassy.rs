//! embassy-sync and embassy-executor.
#![no_std]
#![no_main]

use core::future::{Future, poll_fn};
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use bench::Bench;
use bench::payload::{fill_words, sum_words};
use cortex_m_rt::entry;
use embassy_executor::raw::Executor;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex as Lock;
use embassy_sync::channel::Channel;
use embassy_sync::zerocopy_channel;
use static_cell::{ConstStaticCell, StaticCell};

static NUMBERS: Channel<Lock, u32, 8> = Channel::new();
static BLOCKS: Channel<Lock, [u32; 16], 8> = Channel::new();
static INBOX: Channel<Lock, u32, 8> = Channel::new();
static WAITED_FOR: Channel<Lock, u32, 1> = Channel::new();

/// What the executor in thread mode tells its pender.
const THREAD_MODE: *mut () = usize::MAX as *mut ();

/// Tasks that are switched between.
const BATCH: u32 = 16;

#[entry]
fn main() -> ! {
    let mut bench = Bench::start("embassy-sync");
    channels(&mut bench);
    sizes(&bench);
    bench.of("embassy-sync zero-copy");
    zero_copy(&mut bench);
    bench.of("embassy");
    tasks(&mut bench);
    bench.finish()
}

fn channels(bench: &mut Bench) {
    let mut pair = || {
        let _ = black_box(NUMBERS.try_send(black_box(1)));
        let _ = black_box(NUMBERS.try_receive());
    };
    bench.operation("try_send + try_recv, u32, capacity 8", &mut pair);
    bench.masked("try_send + try_recv, u32", &mut pair);
    let block = black_box([1; 16]);
    let mut blocks = || {
        let _ = black_box(&BLOCKS.try_send(block));
        let _ = black_box(&BLOCKS.try_receive());
    };
    bench.operation("try_send + try_recv, 64 bytes by value", &mut blocks);
    bench.masked("try_send + try_recv, 64 bytes by value", &mut blocks);
    bench.operation("try_send + try_recv, 64 bytes by value, and making it", &mut || {
        let _ = black_box(&BLOCKS.try_send(black_box([1; 16])));
        let _ = black_box(&BLOCKS.try_receive());
    });
    bench.operation("try_recv, empty", &mut || {
        let _ = black_box(NUMBERS.try_receive());
    });
    let mut wake = || {
        let mut receive = pin!(INBOX.receive());
        let mut cx = Context::from_waker(Waker::noop());
        let _ = black_box(receive.as_mut().poll(&mut cx).is_pending());
        let _ = INBOX.try_send(1);
        let _ = black_box(receive.as_mut().poll(&mut cx));
    };
    bench.operation("wake of a waiting receive: register, send, ready", &mut wake);
    bench.masked("parked receive: register, send, ready", &mut wake);
    for number in 0..8 {
        let _ = NUMBERS.try_send(number);
    }
    bench.operation("try_send, full", &mut || {
        let _ = black_box(NUMBERS.try_send(black_box(1)));
    });
}

fn sizes(bench: &Bench) {
    bench.bytes("a channel of 8 u32", size_of_val(&NUMBERS));
    bench.bytes("a pending receive", size_of_val(&NUMBERS.receive()));
    bench.bytes("a pending send of u32", size_of_val(&NUMBERS.send(1)));
}

fn zero_copy(bench: &mut Bench) {
    type Frames = zerocopy_channel::Channel<'static, Lock, [u8; 64]>;
    /// On a boundary of words, as the messages of others.
    #[repr(align(4))]
    struct Aligned([[u8; 64]; 8]);
    static BUFFERS: ConstStaticCell<Aligned> = ConstStaticCell::new(Aligned([[0; 64]; 8]));
    static FRAMES: StaticCell<Frames> = StaticCell::new();

    let frames = FRAMES.init(zerocopy_channel::Channel::new(&mut BUFFERS.take().0));
    bench.bytes("a channel of 8 messages", size_of::<Frames>() + size_of::<Aligned>());
    let (mut sender, mut receiver) = frames.split();
    let mut message = || {
        if let Some(frame) = sender.try_send() {
            fill_words(frame, 0x5a5a_5a5a);
            sender.send_done();
        }
        if let Some(frame) = receiver.try_receive() {
            black_box(sum_words(frame));
            receiver.receive_done();
        }
    };
    bench.operation("64-byte message: alloc, fill, send, receive, read, release", &mut message);
    bench.masked("64-byte message: send and receive", &mut message);
}

fn tasks(bench: &mut Bench) {
    // An executor each, so that nobody's tasks are polled in somebody else's row.
    static EXECUTORS: StaticCell<[Executor; 5]> = StaticCell::new();
    let executors = EXECUTORS.init([(); 5].map(|()| Executor::new(THREAD_MODE)));
    let [empty, one, two, four, yielding] = &*executors;

    one.spawner().spawn(receive().expect("the first of its pool"));
    poll(one);
    bench.operation("wake of a waiting task: send, poll, receive, register again", &mut || {
        let _ = INBOX.try_send(1);
        poll(one);
    });
    bench.next_operation("of the wake of a task: the send", &mut || {
        let _ = INBOX.try_send(1);
    });
    poll(one);
    bench.operation("empty poll", &mut || poll(empty));
    let waiting = [
        (two, 2, "poll with two tasks on an empty channel"),
        (four, 4, "poll with four tasks on an empty channel"),
    ];
    for (executor, count, what) in waiting {
        for _ in 0..count {
            executor.spawner().spawn(wait().expect("one of six in its pool"));
        }
        poll(executor);
        bench.operation(what, &mut || poll(executor));
    }
    for _ in 0..BATCH {
        yielding.spawner().spawn(yield_always().expect("one of its pool"));
    }
    poll(yielding);
    bench.part_of_operation("task switch", BATCH, &mut || poll(yielding));
}

fn poll(executor: &'static Executor) {
    // SAFETY: on the thread that made it, and in none of its tasks.
    unsafe { executor.poll() }
}

#[embassy_executor::task]
async fn receive() {
    loop {
        black_box(INBOX.receive().await);
    }
}

#[embassy_executor::task(pool_size = 6)]
async fn wait() {
    WAITED_FOR.receive().await;
}

#[embassy_executor::task(pool_size = 16)]
async fn yield_always() {
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
}
